/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/mtrr.h"

#include "arch/x86/insn.h"
#include "arch/x86/msr.h"

#define MTRRCAP_VCNT	 BITS64(7, 0)
#define MTRRCAP_FIX	 BIT64(8)
#define MTRRCAP_SMRR	 BIT64(11)
#define CPUID_1_EDX_MTRR BIT32(12)

static const uint32_t fixed_msr[MEMTYPE_FIXED_COUNT] = {
	MSR_MTRR_FIX64K_00000,	  MSR_MTRR_FIX16K_80000,    MSR_MTRR_FIX16K_A0000,
	MSR_MTRR_FIX4K_C0000,	  MSR_MTRR_FIX4K_C0000 + 1, MSR_MTRR_FIX4K_C0000 + 2,
	MSR_MTRR_FIX4K_C0000 + 3, MSR_MTRR_FIX4K_C0000 + 4, MSR_MTRR_FIX4K_C0000 + 5,
	MSR_MTRR_FIX4K_C0000 + 6, MSR_MTRR_FIX4K_C0000 + 7
};

void mtrr_read(struct mtrr_state *mtrr, unsigned maxphyaddr)
{
	__builtin_memset(mtrr, 0, sizeof(*mtrr));
	mtrr->maxphyaddr = maxphyaddr;
	if ((cpuid(1, 0).edx & CPUID_1_EDX_MTRR) == 0)
		return;
	mtrr->cap = rdmsr(MSR_MTRRCAP);
	mtrr->def_type = rdmsr(MSR_MTRR_DEF_TYPE);
	mtrr->variable_count = (uint32_t)field_get(MTRRCAP_VCNT, mtrr->cap);
	if (mtrr->variable_count > MEMTYPE_VARIABLE_MAX)
		mtrr->variable_count = MEMTYPE_VARIABLE_MAX;
	for (uint32_t i = 0; i < mtrr->variable_count; i++) {
		mtrr->base[i] = rdmsr(MSR_MTRR_PHYSBASE0 + 2 * i);
		mtrr->mask[i] = rdmsr(MSR_MTRR_PHYSBASE0 + 2 * i + 1);
	}
	if ((mtrr->cap & MTRRCAP_FIX) != 0) {
		for (unsigned i = 0; i < MEMTYPE_FIXED_COUNT; i++)
			mtrr->fixed[i] = rdmsr(fixed_msr[i]);
	}
	/* The SMRRs can be read outside SMM on some CPUs only. */
	if ((mtrr->cap & MTRRCAP_SMRR) != 0 && (!rdmsr_safe(MSR_SMRR_PHYSBASE, &mtrr->smrr_base) ||
						!rdmsr_safe(MSR_SMRR_PHYSMASK, &mtrr->smrr_mask))) {
		mtrr->smrr_base = 0;
		mtrr->smrr_mask = 0;
	}
}
