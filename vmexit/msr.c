/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/msr.h"

#include <stddef.h>

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "vmexit/apic_access.h"
#include "vmexit/init_sipi.h"
#include "vmexit/memtype_change.h"

/*
 * An entry counts where its capability is there; NULL: everywhere. A handler returns false for #GP; a NULL handler
 * means not trapped in that direction.
 */
struct msr_entry {
	uint32_t first, last;
	const bool *where;
	bool (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
	bool (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t value);
};

static bool read_absent(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu, (void)msr, (void)value;
	return false;
}

static bool write_absent(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu, (void)msr, (void)value;
	return false;
}

/* To the guest VMX is locked off by the firmware. */
static bool read_feature_control(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	if (!rdmsr_safe(msr, value))
		return false;
	*value = (*value & ~UINT64_C(0x7e)) | FEATURE_CONTROL_LOCK;
	return true;
}

/* Microcode is the firmware's business while we run: in non-root operation an update is not defined. */
static bool write_microcode(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)msr, (void)value;
	log_debug("cpu %u: microcode update ignored", vcpu->index);
	return true;
}

static bool write_mtrr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t old;

	if (rdmsr_safe(msr, &old) && old == value)
		return true;
	if (!wrmsr_safe(msr, value))
		return false;
	memtype_mtrr_written(vcpu);
	return true;
}

static bool write_apic_base(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t old = rdmsr(msr);
	bool ok;

	if (value == old)
		return true;
	/* Followed first: from the write on, kicks need the page where it is. */
	if ((value & APIC_BASE_ADDRESS) >> hv_caps.maxphyaddr != 0 ||
	    !apic_base_follow(vcpu, value))
		return false;
	ok = wrmsr_safe(msr, value);
	HV_ASSERT(apic_base_follow(vcpu, rdmsr(msr)));
	return ok;
}

/* SDM: "Interrupt Command Register (ICR) in x2APIC mode"; there is no delivery status. */
#define X2APIC_ICR_RESERVED (BITS64(31, 20) | BITS64(17, 16) | BITS64(13, 12))

static bool write_x2apic_icr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	if (apic_mode(vcpu->apic_base) != APIC_X2APIC || (value & X2APIC_ICR_RESERVED) != 0)
		return false;
	return !icr_write_trapped(vcpu, value) || wrmsr_safe(msr, value);
}

static bool read_efer(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)msr;
	*value = efer_read(vcpu);
	return true;
}

#define EFER_MODE_BITS (EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME)

/*
 * SVME does not exist for the guest. The bits without influence on the host's own mode are tried on the hardware, which
 * knows which of them it has. SDM, APM: "Extended Feature Enable Register (EFER)".
 */
static bool write_efer(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	uint64_t old = efer_read(vcpu), host;

	if (value == old)
		return true;
	host = rdmsr(msr);
	if ((value & EFER_SVME) != 0)
		return false;
	if (((value ^ old) & EFER_LME) != 0 && (cr0_read(vcpu) & CR0_PG) != 0)
		return false;
	if (!wrmsr_safe(msr, (host & EFER_MODE_BITS) | (value & ~EFER_MODE_BITS)))
		return false;
	/* A bit that was ignored must not come into the control block. */
	value = (value & EFER_MODE_BITS) | (rdmsr(msr) & ~EFER_MODE_BITS);
	wrmsr(msr, host);
	efer_write(vcpu, (value & ~EFER_LMA) | (old & EFER_LMA));
	if (((value ^ old) & EFER_NXE) != 0)
		vendor->flush_linear(vcpu);
	return true;
}

/* To the guest SVM is locked off by the firmware. */
static bool read_vm_cr(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu;
	if (!rdmsr_safe(msr, value))
		return false;
	*value = (*value & ~VM_CR_R_INIT) | VM_CR_LOCK | VM_CR_SVMDIS;
	return true;
}

static bool write_vm_cr(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu, (void)msr;
	return (value & ~BITS64(4, 0)) == 0; /* locked: changes are ignored */
}

/* Memory encryption would give each frame a second address, also the hidden ones. */
static bool write_syscfg(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	return (value & SYSCFG_MEMORY_ENCRYPTION) == 0 && wrmsr_safe(msr, value);
}

#define MSR_BIOS_UPDT_TRIG 0x79u
#define MSR_PATCH_LOADER   0xc0010020u

/* Sorted by index: the only place that says what is trapped and why. */
static const struct msr_entry table[] = {
	/* the mode of the APIC decides how kicks are sent, and where its page is */
	{ MSR_APIC_BASE, MSR_APIC_BASE, NULL, NULL, write_apic_base },
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, &hv_caps.hides_vmx, read_feature_control,
	  write_absent },
	{ MSR_BIOS_UPDT_TRIG, MSR_BIOS_UPDT_TRIG, &hv_caps.hides_vmx, NULL, write_microcode },
	/* memory types in EPT follow the MTRRs */
	{ MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * MEMTYPE_VARIABLE_MAX - 1,
	  &hv_caps.maps_types, NULL, write_mtrr },
	{ MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX64K_00000, &hv_caps.maps_types, NULL, write_mtrr },
	{ MSR_MTRR_FIX16K_80000, MSR_MTRR_FIX16K_A0000, &hv_caps.maps_types, NULL, write_mtrr },
	{ MSR_MTRR_FIX4K_C0000, MSR_MTRR_FIX4K_C0000 + 7, &hv_caps.maps_types, NULL, write_mtrr },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, &hv_caps.maps_types, NULL, write_mtrr },
	/* not offered */
	{ MSR_VMX_BASIC, MSR_VMX_EXIT_CTLS2, &hv_caps.hides_vmx, read_absent, write_absent },
	/* INIT and SIPI are carried in software */
	{ MSR_X2APIC_ICR, MSR_X2APIC_ICR, &hv_caps.traps_apic, NULL, write_x2apic_icr },
	/* SVME is ours */
	{ MSR_EFER, MSR_EFER, &hv_caps.hides_svm, read_efer, write_efer },
	{ MSR_SYSCFG, MSR_SYSCFG, &hv_caps.hides_svm, NULL, write_syscfg },
	{ MSR_PATCH_LOADER, MSR_PATCH_LOADER, &hv_caps.hides_svm, NULL, write_microcode },
	{ MSR_VM_CR, MSR_VM_CR, &hv_caps.hides_svm, read_vm_cr, write_vm_cr },
	{ MSR_VM_HSAVE_PA, MSR_SVM_LOCK_KEY, &hv_caps.hides_svm, read_absent, write_absent },
};

/* From the end, where those are that a running system touches most. */
static const struct msr_entry *find(uint32_t msr)
{
	const struct msr_entry *entry = &table[ARRAY_COUNT(table) - 1];

	while (msr < entry->first) {
		if (entry-- == table)
			return NULL;
	}
	if (msr > entry->last)
		return NULL;
	if (entry->where != NULL && !*entry->where)
		return NULL;
	return entry;
}

bool msr_traps_read(uint32_t msr)
{
	const struct msr_entry *entry = find(msr);

	return entry != NULL && entry->read != NULL;
}

bool msr_traps_write(uint32_t msr)
{
	const struct msr_entry *entry = find(msr);

	return entry != NULL && entry->write != NULL;
}

enum exit_verdict msr_read_exit(struct vcpu *vcpu)
{
	uint32_t msr = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX);
	const struct msr_entry *entry = find(msr);
	uint64_t value = 0;
	bool ok;

	if (entry != NULL && entry->read != NULL)
		ok = entry->read(vcpu, msr, &value);
	else
		ok = vendor->msr_read(vcpu, msr, &value) || rdmsr_safe(msr, &value);
	if (!ok) {
		events_raise_gp(vcpu, 0);
		return VERDICT_RESUME;
	}
	regs_fixed_write(&vcpu->regs, REG_RAX, (uint32_t)value);
	regs_fixed_write(&vcpu->regs, REG_RDX, value >> 32);
	return VERDICT_NEXT_INSN;
}

enum exit_verdict msr_write_exit(struct vcpu *vcpu)
{
	uint32_t msr = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX);
	uint64_t value = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RAX) |
			 regs_fixed_read(&vcpu->regs, REG_RDX) << 32;
	const struct msr_entry *entry = find(msr);
	bool ok;

	if (entry != NULL && entry->write != NULL)
		ok = entry->write(vcpu, msr, value);
	else
		ok = vendor->msr_write(vcpu, msr, value) || wrmsr_safe(msr, value);
	if (!ok) {
		events_raise_gp(vcpu, 0);
		return VERDICT_RESUME;
	}
	return VERDICT_NEXT_INSN;
}
