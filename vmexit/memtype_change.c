/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/memtype_change.h"

#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/mtrr.h"
#include "vmexit/nested_fault.h"

/*
 * Every CPU writes the same values in turn, with MTRRdefType.E cleared or CR0.CD set meanwhile (SDM: "MTRR
 * Considerations in MP Systems"): only a finished change counts, and only the first CPU's makes a difference.
 */
static void follow(struct vcpu *vcpu)
{
	static struct mtrr_state mtrr; /* under vm->lock */
	struct vm *vm = vcpu->vm;
	bool changed = false;

	lock_acquire(&vm->lock);
	mtrr_read(&mtrr, hv_caps.maxphyaddr);
	if (mtrr_enabled(&mtrr) && !mtrr_same_map(&mtrr, &vm->tdp.mtrr))
		changed = tdp_mmu_set_types(&vm->tdp, &mtrr);
	lock_release(&vm->lock);
	if (changed) {
		log_debug("cpu %u: memory types rebuilt", vcpu->index);
		tdp_flush_all(vcpu);
	}
}

void memtype_mtrr_written(struct vcpu *vcpu, uint32_t msr)
{
	if (msr == MSR_MTRR_DEF_TYPE || (cr0_read(vcpu) & CR0_CD) == 0)
		follow(vcpu);
}

void memtype_caching_enabled(struct vcpu *vcpu)
{
	if (vcpu->vm->tdp.typed)
		follow(vcpu);
}
