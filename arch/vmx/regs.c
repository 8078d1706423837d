/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/regs.h"

#include "arch/vmx/guest_state.h"
#include "arch/vmx/pebs.h"
#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/panic.h"

/*
 * The fields of one segment are 2 apart from those of the next, in the order of enum segment_index.
 */
_Static_assert(VMCS_GUEST_TR_SELECTOR == VMCS_GUEST_ES_SELECTOR + 2 * SEGMENT_TR,
	       "order of segments");
_Static_assert(VMCS_GUEST_TR_BASE == VMCS_GUEST_ES_BASE + 2 * SEGMENT_TR, "order of segments");
_Static_assert(VMCS_GUEST_TR_LIMIT == VMCS_GUEST_ES_LIMIT + 2 * SEGMENT_TR, "order of segments");
_Static_assert(VMCS_GUEST_TR_RIGHTS == VMCS_GUEST_ES_RIGHTS + 2 * SEGMENT_TR, "order of segments");
/* NOLINTNEXTLINE(misc-redundant-expression) */
_Static_assert(SHADOW_STI == INTERRUPTIBILITY_STI, "the cache's shadow is the VMCS's");
/* NOLINTNEXTLINE(misc-redundant-expression) */
_Static_assert(SHADOW_MOV_SS == INTERRUPTIBILITY_MOV_SS, "the cache's shadow is the VMCS's");

/* A control register as the guest sees it: its own bits from the register, ours from the shadow. */
static uint64_t merge_shadow(uint64_t real, uint64_t shadow, uint64_t mask)
{
	return (real & ~mask) | (shadow & mask);
}

static void fetch_segment(struct regs *regs, unsigned index)
{
	struct segment *segment = &regs->segments[index];

	segment->selector = (uint16_t)vmcs_read_checked(VMCS_GUEST_ES_SELECTOR + 2 * index);
	segment->base = vmcs_read_checked(VMCS_GUEST_ES_BASE + 2 * index);
	segment->limit = (uint32_t)vmcs_read_checked(VMCS_GUEST_ES_LIMIT + 2 * index);
	segment->rights = (uint32_t)vmcs_read_checked(VMCS_GUEST_ES_RIGHTS + 2 * index);
}

static void fetch_pdptr(struct regs *regs)
{
	regs->pdptr[0] = vmcs_read64(VMCS_GUEST_PDPTE0);
	regs->pdptr[1] = vmcs_read64(VMCS_GUEST_PDPTE1);
	regs->pdptr[2] = vmcs_read64(VMCS_GUEST_PDPTE2);
	regs->pdptr[3] = vmcs_read64(VMCS_GUEST_PDPTE3);
}

/* Without the control SSP stays in the CPU, where neither side touches it. */
static bool has_cet(const struct vcpu *vcpu)
{
	return (vmx_of(vcpu)->controls.word[VMX_WORD_ENTRY] & ENTRY_LOAD_CET) != 0;
}

static void fetch_other(struct vcpu *vcpu, enum reg reg)
{
	struct regs *regs = &vcpu->regs;
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	switch (reg) {
	case REG_CR0:
		regs->cr0 = merge_shadow(vmcs_read(VMCS_GUEST_CR0), vmcs_read(VMCS_CR0_SHADOW),
					 vmx->cr0_mask);
		break;
	case REG_CR4:
		regs->cr4 = merge_shadow(vmcs_read(VMCS_GUEST_CR4), vmcs_read(VMCS_CR4_SHADOW),
					 vmx->cr4_mask);
		break;
	case REG_CR2:
		regs->cr2 = read_cr2(); /* the host never faults: still the guest's */
		break;
	case REG_CR3:
		regs->cr3 = vmcs_read(VMCS_GUEST_CR3);
		break;
	case REG_EFER:
		regs->efer = vmcs_read64(VMCS_GUEST_EFER);
		break;
	case REG_DR6:
		regs->dr6 = read_dr6(); /* the host has no debug exceptions: still the guest's */
		break;
	case REG_DR7:
		regs->dr7 = vcpu->loan.is_lent ? vcpu->loan.dr7 : vmcs_read(VMCS_GUEST_DR7);
		break;
	case REG_PDPTR:
		fetch_pdptr(regs);
		break;
	case REG_SSP:
		regs->ssp = has_cet(vcpu) ? vmcs_read(VMCS_GUEST_SSP) : 0;
		break;
	case REG_INTERRUPT_SHADOW:
		regs->interrupt_shadow =
			vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW;
		break;
	case REG_NMI_BLOCKED:
		regs->nmi_blocked =
			(vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_NMI) != 0;
		break;
	case REG_EXIT_INFO_1:
		regs->exit_info[0] = vmcs_read(VMCS_EXIT_QUALIFICATION);
		break;
	case REG_EXIT_INFO_2:
		regs->exit_info[1] = vmcs_read(VMCS_EXIT_LINEAR_ADDRESS);
		break;
	case REG_GDTR:
		regs->gdtr.base = vmcs_read(VMCS_GUEST_GDTR_BASE);
		regs->gdtr.limit = (uint16_t)vmcs_read32(VMCS_GUEST_GDTR_LIMIT);
		break;
	case REG_IDTR:
		regs->idtr.base = vmcs_read(VMCS_GUEST_IDTR_BASE);
		regs->idtr.limit = (uint16_t)vmcs_read32(VMCS_GUEST_IDTR_LIMIT);
		break;
	default:
		HV_ASSERT((unsigned)reg >= REG_SEGMENTS &&
			  (unsigned)reg < REG_SEGMENTS + SEGMENT_COUNT);
		fetch_segment(regs, (unsigned)reg - REG_SEGMENTS);
		break;
	}
}

void vmx_regs_fetch(struct vcpu *vcpu, enum reg reg)
{
	struct regs *regs = &vcpu->regs;

	if (LIKELY(reg == REG_RIP))
		regs->rip = vmcs_read(VMCS_GUEST_RIP);
	else if (reg == REG_RSP)
		regs->gpr[REG_RSP] = vmcs_read(VMCS_GUEST_RSP);
	else if (reg == REG_RFLAGS)
		regs->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	else
		fetch_other(vcpu, reg);
	regs_mark_available(regs, reg);
}

/*
 * Caching stays on whatever the guest says: VM entry and exit do not touch CD and NW, so that the
 * guest's would slow the host down. The caches are emptied where the guest expects them to be.
 */
static void store_cr0(struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t value = vcpu->regs.cr0 | CR0_ET;
	uint64_t real = value & ~(CR0_CD | CR0_NW);

	if ((value & ~vmcs_read(VMCS_CR0_SHADOW) & CR0_CD) != 0)
		wbinvd();
	/* With unrestricted guest, PE and PG are free. SDM: "Restrictions on VMX Operation". */
	vmcs_write(VMCS_GUEST_CR0,
		   vmx_cr_fix(real, vmx->cr0_fixed0, vmx->cr0_fixed1, CR0_PE | CR0_PG));
	vmcs_write(VMCS_CR0_SHADOW, value);
}

static void store_cr4(struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint64_t value = vcpu->regs.cr4;

	vmcs_write(VMCS_GUEST_CR4, vmx_cr_fix(value, vmx->cr4_fixed0, vmx->cr4_fixed1, 0));
	vmcs_write(VMCS_CR4_SHADOW, value);
}

/* "IA-32e mode guest" is LMA; the CPU keeps both in step from here on. */
static void store_efer(struct vcpu *vcpu)
{
	uint32_t entry = vmx_of(vcpu)->controls.word[VMX_WORD_ENTRY];
	uint64_t value = vcpu->regs.efer;

	vmcs_write64(VMCS_GUEST_EFER, value);
	vmcs_write32(VMCS_ENTRY_CONTROLS,
		     (value & EFER_LMA) != 0 ? entry | ENTRY_IA32E_GUEST : entry);
}

static void store_segment(struct vcpu *vcpu, unsigned index)
{
	struct segment segment = vmx_segment((enum segment_index)index, &vcpu->regs.segments[index],
					     rflags_read(vcpu));

	vmcs_write_checked(VMCS_GUEST_ES_SELECTOR + 2 * index, segment.selector);
	vmcs_write_checked(VMCS_GUEST_ES_BASE + 2 * index, segment.base);
	vmcs_write_checked(VMCS_GUEST_ES_LIMIT + 2 * index, segment.limit);
	vmcs_write_checked(VMCS_GUEST_ES_RIGHTS + 2 * index, segment.rights);
}

static void store_shadow(struct vcpu *vcpu)
{
	uint32_t other = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & ~INTERRUPTIBILITY_SHADOW;

	vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, other | vcpu->regs.interrupt_shadow);
}

static void store_nmi_blocked(struct vcpu *vcpu)
{
	uint32_t other = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & ~INTERRUPTIBILITY_NMI;

	vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY,
		     vcpu->regs.nmi_blocked ? other | INTERRUPTIBILITY_NMI : other);
}

static void store_pdptr(const struct regs *regs)
{
	vmcs_write64(VMCS_GUEST_PDPTE0, regs->pdptr[0]);
	vmcs_write64(VMCS_GUEST_PDPTE1, regs->pdptr[1]);
	vmcs_write64(VMCS_GUEST_PDPTE2, regs->pdptr[2]);
	vmcs_write64(VMCS_GUEST_PDPTE3, regs->pdptr[3]);
}

static uint32_t hardware_dr7(struct vcpu *vcpu)
{
	uint64_t dr7 = (uint32_t)vcpu->regs.dr7 | DR7_INIT;

	return (uint32_t)(vcpu->loan.is_lent ? debug_loan_store(vcpu, dr7) : dr7);
}

static void store_one(struct vcpu *vcpu, unsigned reg)
{
	const struct regs *regs = &vcpu->regs;

	switch (reg) {
	case REG_RSP:
		vmcs_write(VMCS_GUEST_RSP, regs->gpr[REG_RSP]);
		break;
	case REG_RFLAGS:
		vmcs_write(VMCS_GUEST_RFLAGS, regs->rflags | RFLAGS_FIXED);
		break;
	case REG_CR0:
		store_cr0(vcpu);
		break;
	case REG_CR2:
		write_cr2(regs->cr2);
		break;
	case REG_CR3:
		vmcs_write(VMCS_GUEST_CR3, regs->cr3);
		break;
	case REG_CR4:
		store_cr4(vcpu);
		break;
	case REG_EFER:
		store_efer(vcpu);
		break;
	case REG_DR6:
		write_dr6(regs->dr6);
		break;
	case REG_DR7:
		vmcs_write(VMCS_GUEST_DR7, hardware_dr7(vcpu));
		break;
	case REG_PDPTR:
		store_pdptr(regs);
		break;
	case REG_SSP:
		if (has_cet(vcpu))
			vmcs_write(VMCS_GUEST_SSP, regs->ssp);
		break;
	case REG_INTERRUPT_SHADOW:
		store_shadow(vcpu);
		break;
	case REG_NMI_BLOCKED:
		store_nmi_blocked(vcpu);
		break;
	case REG_GDTR:
		vmcs_write(VMCS_GUEST_GDTR_BASE, regs->gdtr.base);
		vmcs_write32(VMCS_GUEST_GDTR_LIMIT, regs->gdtr.limit);
		break;
	case REG_IDTR:
		vmcs_write(VMCS_GUEST_IDTR_BASE, regs->idtr.base);
		vmcs_write32(VMCS_GUEST_IDTR_LIMIT, regs->idtr.limit);
		break;
	default:
		HV_ASSERT(reg >= REG_SEGMENTS && reg < REG_SEGMENTS + SEGMENT_COUNT);
		store_segment(vcpu, reg - REG_SEGMENTS);
		break;
	}
}

void vmx_regs_store_rest(struct vcpu *vcpu, uint64_t dirty)
{
	const uint64_t debug = REG_BIT(REG_RFLAGS) | REG_BIT(REG_INTERRUPT_SHADOW);
	uint64_t pending;

	regs_check(&vcpu->regs);
	for (uint64_t left = dirty; left != 0; left &= left - 1)
		store_one(vcpu, (unsigned)__builtin_ctzll(left));
	if ((dirty & debug) == 0)
		return;
	pending = vmcs_read(VMCS_GUEST_PENDING_DEBUG);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG,
		   vmx_pending_debug(pending, vmcs_read(VMCS_GUEST_RFLAGS),
				     vmcs_read64(VMCS_GUEST_DEBUGCTL),
				     vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY)));
}

/* MSRs that have a field; some only with the control that loads them at entry. */
static const struct {
	uint32_t msr;
	uint32_t field;
	uint32_t needs;
} msr_fields[] = {
	{ MSR_SYSENTER_CS, VMCS_GUEST_SYSENTER_CS, 0 },
	{ MSR_SYSENTER_ESP, VMCS_GUEST_SYSENTER_ESP, 0 },
	{ MSR_SYSENTER_EIP, VMCS_GUEST_SYSENTER_EIP, 0 },
	{ MSR_DEBUGCTL, VMCS_GUEST_DEBUGCTL, 0 },
	{ MSR_PAT, VMCS_GUEST_PAT, 0 },
	{ MSR_BNDCFGS, VMCS_GUEST_BNDCFGS, ENTRY_LOAD_BNDCFGS },
	{ MSR_LBR_CTL, VMCS_GUEST_LBR_CTL, ENTRY_LOAD_LBR_CTL },
	{ MSR_S_CET, VMCS_GUEST_S_CET, ENTRY_LOAD_CET },
	{ MSR_INTERRUPT_SSP_TABLE, VMCS_GUEST_INTERRUPT_SSP_TABLE, ENTRY_LOAD_CET },
};

/* False: this MSR has no field on this CPU. */
static bool find_field(const struct vcpu *vcpu, uint32_t msr, unsigned *field)
{
	uint32_t entry = vmx_of(vcpu)->controls.word[VMX_WORD_ENTRY];

	for (unsigned i = 0; i < ARRAY_COUNT(msr_fields); i++) {
		if (msr_fields[i].msr != msr)
			continue;
		*field = msr_fields[i].field;
		return msr_fields[i].needs == 0 || (entry & msr_fields[i].needs) != 0;
	}
	return false;
}

bool vmx_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	unsigned field;

	switch (msr) {
	case MSR_EFER:
		*value = efer_read(vcpu);
		return true;
	case MSR_FS_BASE:
		*value = segment_read(vcpu, SEGMENT_FS)->base;
		return true;
	case MSR_GS_BASE:
		*value = segment_read(vcpu, SEGMENT_GS)->base;
		return true;
	default:
		if (!find_field(vcpu, msr, &field))
			return false;
		*value = vmcs_read_checked(field);
		return true;
	}
}

static void write_base(struct vcpu *vcpu, enum segment_index index, uint64_t base)
{
	struct segment segment = *segment_read(vcpu, index);

	segment.base = base;
	segment_write(vcpu, index, &segment);
}

/*
 * The caller has checked the value: a VMCS takes what would be #GP in WRMSR, and the entry fails.
 */
bool vmx_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	unsigned field;

	switch (msr) {
	case MSR_EFER:
		efer_write(vcpu, value);
		return true;
	case MSR_FS_BASE:
		write_base(vcpu, SEGMENT_FS, value);
		return true;
	case MSR_PEBS_ENABLE:
		return vmx_pebs_write(vcpu, value);
	case MSR_GS_BASE:
		write_base(vcpu, SEGMENT_GS, value);
		return true;
	default:
		if (!find_field(vcpu, msr, &field))
			return false;
		vmcs_write_checked(field, value);
		return true;
	}
}
