/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/msr.h"

#include <stddef.h>

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/vendor.h"
#include "mm/tdp_mmu.h"
#include "vmexit/apic_base.h"
#include "vmexit/init_sipi.h"
#include "vmexit/memtype_change.h"

/*
 * An entry counts where its capability is there. A handler ends in give(), taken() or refuse(); a NULL handler means not
 * trapped in that direction.
 */
struct msr_entry {
	uint32_t first, last;
	const bool *where;
	enum exit_verdict (*read)(struct vcpu *vcpu);
	enum exit_verdict (*write)(struct vcpu *vcpu);
};

/* The operands: which MSR, and the value that WRMSR writes. */
static inline uint32_t msr_index(const struct vcpu *vcpu)
{
	return (uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX);
}

static inline uint64_t msr_value(const struct vcpu *vcpu)
{
	return (uint32_t)regs_fixed_read(&vcpu->regs, REG_RAX) |
	       regs_fixed_read(&vcpu->regs, REG_RDX) << 32;
}

static __attribute__((noinline)) enum exit_verdict refuse(struct vcpu *vcpu)
{
	events_raise_gp(vcpu, 0);
	return VERDICT_RESUME;
}

/* The value that RDMSR reads. */
static inline enum exit_verdict give(struct vcpu *vcpu, uint64_t value)
{
	regs_fixed_write(&vcpu->regs, REG_RAX, (uint32_t)value);
	regs_fixed_write(&vcpu->regs, REG_RDX, value >> 32);
	return VERDICT_NEXT_INSN;
}

/* What WRMSR comes to. */
static inline enum exit_verdict taken(struct vcpu *vcpu, bool ok)
{
	return LIKELY(ok) ? VERDICT_NEXT_INSN : refuse(vcpu);
}

static enum exit_verdict read_absent(struct vcpu *vcpu)
{
	return refuse(vcpu);
}

static enum exit_verdict write_absent(struct vcpu *vcpu)
{
	return refuse(vcpu);
}

/* To the guest VMX is locked off by the firmware. */
static enum exit_verdict read_feature_control(struct vcpu *vcpu)
{
	uint64_t value;

	if (!rdmsr_safe(MSR_FEATURE_CONTROL, &value))
		return refuse(vcpu);
	return give(vcpu, (value & ~UINT64_C(0x7e)) | FEATURE_CONTROL_LOCK);
}

/* Microcode is the firmware's business while we run: in non-root operation an update is not defined. */
static enum exit_verdict write_microcode(struct vcpu *vcpu)
{
	log_debug("cpu %u: microcode update ignored", vcpu->index);
	return VERDICT_NEXT_INSN;
}

static enum exit_verdict write_mtrr(struct vcpu *vcpu)
{
	uint32_t msr = msr_index(vcpu);
	uint64_t value = msr_value(vcpu), old;

	if (rdmsr_safe(msr, &old) && old == value)
		return VERDICT_NEXT_INSN;
	if (!wrmsr_safe(msr, value))
		return refuse(vcpu);
	memtype_mtrr_written(vcpu);
	return VERDICT_NEXT_INSN;
}

static __attribute__((noinline)) enum exit_verdict change_apic_base(struct vcpu *vcpu)
{
	switch (apic_base_write(vcpu, msr_value(vcpu))) {
	case APIC_BASE_WRITTEN:
		return VERDICT_NEXT_INSN;
	case APIC_BASE_REFUSED:
		return refuse(vcpu);
	case APIC_BASE_AGAIN:
		break;
	}
	return VERDICT_RESUME;
}

static enum exit_verdict read_apic_base(struct vcpu *vcpu)
{
	return give(vcpu, vcpu->apic_base);
}

static enum exit_verdict write_apic_base(struct vcpu *vcpu)
{
	if (msr_value(vcpu) == vcpu->apic_base)
		return VERDICT_NEXT_INSN;
	return change_apic_base(vcpu);
}

/* SDM: "Interrupt Command Register (ICR) in x2APIC mode"; there is no delivery status. What is not carried the CPU judges. */
#define X2APIC_ICR_RESERVED (BITS64(31, 20) | BITS64(17, 16) | BITS64(13, 12))

static enum exit_verdict write_x2apic_icr(struct vcpu *vcpu)
{
	uint64_t value = msr_value(vcpu);

	if (apic_mode(vcpu->apic_base) != APIC_X2APIC)
		return refuse(vcpu);
	if (icr_is_for_hardware((uint32_t)value)) {
		vcpu->icr_is_carried = false;
		return taken(vcpu, wrmsr_safe(MSR_X2APIC_ICR, value));
	}
	if ((value & X2APIC_ICR_RESERVED) != 0)
		return refuse(vcpu);
	icr_carry(vcpu, value);
	vcpu->icr_carried = value;
	vcpu->icr_is_carried = true;
	return VERDICT_NEXT_INSN;
}

static enum exit_verdict read_x2apic_icr(struct vcpu *vcpu)
{
	uint64_t value;

	if (apic_mode(vcpu->apic_base) != APIC_X2APIC || !rdmsr_safe(MSR_X2APIC_ICR, &value))
		return refuse(vcpu);
	return give(vcpu, vcpu->icr_is_carried ? vcpu->icr_carried : value);
}

static enum exit_verdict read_efer(struct vcpu *vcpu)
{
	return give(vcpu, efer_read(vcpu));
}

#define EFER_MODE_BITS (EFER_LME | EFER_LMA | EFER_NXE | EFER_SVME)

/*
 * SVME does not exist for the guest. The bits without influence on the host's own mode are tried on the hardware, which
 * knows which of them it has. SDM, APM: "Extended Feature Enable Register (EFER)".
 */
static __attribute__((noinline)) enum exit_verdict change_efer(struct vcpu *vcpu)
{
	uint64_t value = msr_value(vcpu), old = efer_read(vcpu), host = rdmsr(MSR_EFER);

	if ((value & EFER_SVME) != 0)
		return refuse(vcpu);
	if (((value ^ old) & EFER_LME) != 0 && (cr0_read(vcpu) & CR0_PG) != 0)
		return refuse(vcpu);
	if (!wrmsr_safe(MSR_EFER, (host & EFER_MODE_BITS) | (value & ~EFER_MODE_BITS)))
		return refuse(vcpu);
	/* A bit that was ignored must not come into the control block. */
	value = (value & EFER_MODE_BITS) | (rdmsr(MSR_EFER) & ~EFER_MODE_BITS);
	wrmsr(MSR_EFER, host);
	efer_write(vcpu, (value & ~EFER_LMA) | (old & EFER_LMA));
	if (((value ^ old) & EFER_NXE) != 0)
		vendor->flush_linear(vcpu);
	return VERDICT_NEXT_INSN;
}

static enum exit_verdict write_efer(struct vcpu *vcpu)
{
	if (efer_read(vcpu) == msr_value(vcpu))
		return VERDICT_NEXT_INSN;
	return change_efer(vcpu);
}

/* Not ours: in the control structure, or on the hardware, whose word is the answer. */
static __attribute__((noinline)) enum exit_verdict read_other(struct vcpu *vcpu)
{
	uint32_t msr = msr_index(vcpu);
	uint64_t value = 0;

	if (!vendor->msr_read(vcpu, msr, &value) && !rdmsr_safe(msr, &value))
		return refuse(vcpu);
	return give(vcpu, value);
}

static __attribute__((noinline)) enum exit_verdict write_other(struct vcpu *vcpu)
{
	uint32_t msr = msr_index(vcpu);
	uint64_t value = msr_value(vcpu);

	return taken(vcpu, vendor->msr_write(vcpu, msr, value) || wrmsr_safe(msr, value));
}

/*
 * To the guest SVM is locked off by the firmware: VM_CR says so, VM_HSAVE_PA and SVM_LOCK_KEY are absent. The two MSRs
 * between them have nothing to do with it.
 */
static enum exit_verdict read_svm(struct vcpu *vcpu)
{
	uint32_t msr = msr_index(vcpu);
	uint64_t value;

	if (msr == MSR_IGNNE || msr == MSR_SMM_CTL)
		return read_other(vcpu);
	if (msr != MSR_VM_CR || !rdmsr_safe(MSR_VM_CR, &value))
		return refuse(vcpu);
	return give(vcpu, (value & ~VM_CR_R_INIT) | VM_CR_LOCK | VM_CR_SVMDIS);
}

static enum exit_verdict write_svm(struct vcpu *vcpu)
{
	uint32_t msr = msr_index(vcpu);

	if (msr == MSR_IGNNE || msr == MSR_SMM_CTL)
		return write_other(vcpu);
	if (msr != MSR_VM_CR)
		return refuse(vcpu);
	return taken(vcpu,
		     (msr_value(vcpu) & ~BITS64(4, 0)) == 0); /* locked: changes are ignored */
}

/*
 * The CPU writes its hints (hardware feedback interface) to a physical address, past the guest map. Its size is a few
 * pages. SDM: "Hardware Feedback Interface and Intel Thread Director".
 */
#define HW_FEEDBACK_BYTES_MAX (16 * PAGE_BYTES)

static enum exit_verdict write_hw_feedback(struct vcpu *vcpu)
{
	const uint64_t value = msr_value(vcpu), base = value & BITS64(51, 12);

	for (uint64_t at = 0; (value & HW_FEEDBACK_VALID) != 0 && at < HW_FEEDBACK_BYTES_MAX;
	     at += PAGE_BYTES) {
		if (tdp_mmu_is_hidden(&vcpu->vm->tdp, (gpa_t){ base + at }))
			return refuse(vcpu);
	}
	return taken(vcpu, wrmsr_safe(MSR_HW_FEEDBACK_PTR, value));
}

/* Memory encryption would give each frame a second address, also the hidden ones. */
static enum exit_verdict write_syscfg(struct vcpu *vcpu)
{
	uint64_t value = msr_value(vcpu);

	return taken(vcpu,
		     (value & SYSCFG_MEMORY_ENCRYPTION) == 0 && wrmsr_safe(MSR_SYSCFG, value));
}

#define MSR_BIOS_UPDT_TRIG 0x79u
#define MSR_PATCH_LOADER   0xc0010020u

static const bool everywhere = true;

/* Sorted by index: the only place that says what is trapped and why. */
static const struct msr_entry table[] = {
	/* nobody, as often as makes the number of entries the power of two that find() needs */
	{ 0, 0, &everywhere, NULL, NULL },
	/* the mode of the APIC decides how kicks are sent, and where its page is; it is never off */
	{ MSR_APIC_BASE, MSR_APIC_BASE, &everywhere, read_apic_base, write_apic_base },
	{ MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, &hv_caps.hides_vmx, read_feature_control,
	  write_absent },
	{ MSR_BIOS_UPDT_TRIG, MSR_BIOS_UPDT_TRIG, &hv_caps.hides_vmx, NULL, write_microcode },
	/* memory types in EPT follow the MTRRs */
	{ MSR_MTRR_PHYSBASE0, MSR_MTRR_PHYSBASE0 + 2 * MEMTYPE_VARIABLE_MAX - 1,
	  &hv_caps.maps_types, NULL, write_mtrr },
	{ MSR_MTRR_FIX64K_00000, MSR_MTRR_FIX4K_C0000 + 7, &hv_caps.maps_types, NULL, write_mtrr },
	{ MSR_MTRR_DEF_TYPE, MSR_MTRR_DEF_TYPE, &hv_caps.maps_types, NULL, write_mtrr },
	/* off while the host runs: records go to linear addresses */
	{ MSR_PEBS_ENABLE, MSR_PEBS_ENABLE, &hv_caps.hides_vmx, NULL, write_other },
	/* not offered */
	{ MSR_VMX_BASIC, MSR_VMX_EXIT_CTLS2, &hv_caps.hides_vmx, read_absent, write_absent },
	{ MSR_RTIT_OUTPUT_BASE, MSR_RTIT_ADDR3_B, &hv_caps.hides_trace, read_absent, write_absent },
	/* INIT and SIPI are carried in software */
	{ MSR_X2APIC_ICR, MSR_X2APIC_ICR, &hv_caps.traps_apic, read_x2apic_icr, write_x2apic_icr },
	/* the CPU would write over us */
	{ MSR_HW_FEEDBACK_PTR, MSR_HW_FEEDBACK_PTR, &hv_caps.hides_vmx, NULL, write_hw_feedback },
	/* SVME is ours */
	{ MSR_EFER, MSR_EFER, &hv_caps.hides_svm, read_efer, write_efer },
	{ MSR_SYSCFG, MSR_SYSCFG, &hv_caps.hides_svm, NULL, write_syscfg },
	{ MSR_PATCH_LOADER, MSR_PATCH_LOADER, &hv_caps.hides_svm, NULL, write_microcode },
	{ MSR_VM_CR, MSR_SVM_LOCK_KEY, &hv_caps.hides_svm, read_svm, write_svm },
};

_Static_assert(ARRAY_COUNT(table) == 16, "find() takes four steps");

static inline const struct msr_entry *further(const struct msr_entry *entry, unsigned by,
					      uint32_t msr)
{
	return entry[by].first <= msr ? entry + by : entry;
}

/* Four comparisons without a branch cost less than a search from whichever end. */
static inline const struct msr_entry *find(uint32_t msr)
{
	const struct msr_entry *entry = table;

	entry = further(entry, 8, msr);
	entry = further(entry, 4, msr);
	entry = further(entry, 2, msr);
	entry = further(entry, 1, msr);
	if (msr > entry->last || !*entry->where)
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
	const struct msr_entry *entry = find(msr_index(vcpu));

	return LIKELY(entry != NULL && entry->read != NULL) ? entry->read(vcpu) : read_other(vcpu);
}

enum exit_verdict msr_write_exit(struct vcpu *vcpu)
{
	const struct msr_entry *entry = find(msr_index(vcpu));

	return LIKELY(entry != NULL && entry->write != NULL) ? entry->write(vcpu)
							     : write_other(vcpu);
}
