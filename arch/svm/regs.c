/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the register cache and the VMCB. */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "core/caps.h"
#include "core/panic.h"
#include "core/pdptr.h"

/* The VMCB packs the two groups of attribute bits; see arch/x86/segment.h for the common form. */
static uint32_t rights_from_attributes(uint16_t attributes)
{
	uint32_t rights = (attributes & 0xffu) | (attributes & 0xf00u) << 4;

	return (rights & SEGMENT_P) != 0 ? rights : SEGMENT_UNUSABLE;
}

static uint16_t attributes_from_rights(uint32_t rights)
{
	if ((rights & SEGMENT_UNUSABLE) != 0)
		return 0;
	return (uint16_t)((rights & 0xff) | (rights >> 4 & 0xf00));
}

static struct vmcb_segment *vmcb_segment(struct vmcb *vmcb, enum segment_index index)
{
	switch (index) {
	case SEGMENT_ES:
		return &vmcb->es;
	case SEGMENT_CS:
		return &vmcb->cs;
	case SEGMENT_SS:
		return &vmcb->ss;
	case SEGMENT_DS:
		return &vmcb->ds;
	case SEGMENT_FS:
		return &vmcb->fs;
	case SEGMENT_GS:
		return &vmcb->gs;
	case SEGMENT_LDTR:
		return &vmcb->ldtr;
	case SEGMENT_TR:
	case SEGMENT_COUNT:
		break;
	}
	return &vmcb->tr;
}

static void fetch_segment(struct vcpu *vcpu, enum segment_index index)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	const struct vmcb_segment *from = vmcb_segment(vmcb, index);
	struct segment *to = &vcpu->regs.segments[index];

	to->selector = from->selector;
	to->base = from->base;
	to->limit = from->limit;
	to->rights = rights_from_attributes(from->attributes);
	/* The CPL is a field of its own, and SS.DPL need not agree with it (APM: "VMCB Layout"). */
	if (index == SEGMENT_SS)
		to->rights = (to->rights & ~SEGMENT_DPL) | (uint32_t)vmcb->cpl << SEGMENT_DPL_SHIFT;
}

static void store_segment(struct vcpu *vcpu, enum segment_index index)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct vmcb_segment *to = vmcb_segment(vmcb, index);
	const struct segment *from = &vcpu->regs.segments[index];

	to->selector = from->selector;
	to->base = from->base;
	to->limit = from->limit;
	to->attributes = attributes_from_rights(from->rights);
	if (index == SEGMENT_SS)
		vmcb->cpl = (uint8_t)segment_dpl(from);
	vmcb_touch(vmcb, CLEAN_SEG);
}

static void store_table(struct vmcb *vmcb, struct vmcb_segment *to, struct table_register from)
{
	to->base = from.base;
	to->limit = from.limit;
	vmcb_touch(vmcb, CLEAN_DT);
}

void svm_regs_fetch(struct vcpu *vcpu, enum reg reg)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct regs *regs = &vcpu->regs;

	switch ((unsigned)reg) {
	case REG_RSP:
		regs->gpr[REG_RSP] = vmcb->rsp;
		break;
	case REG_RIP:
		regs->rip = vmcb->rip;
		break;
	case REG_RFLAGS:
		regs->rflags = vmcb->rflags;
		if (svm_has_own_tf(vcpu) && !svm_of(vcpu)->step_guest_tf)
			regs->rflags &= ~RFLAGS_TF;
		break;
	case REG_CR0:
		regs->cr0 = vmcb->cr0;
		break;
	case REG_CR2:
		regs->cr2 = vmcb->cr2;
		break;
	case REG_CR3:
		regs->cr3 = vmcb->cr3;
		break;
	case REG_CR4:
		regs->cr4 = vmcb->cr4;
		break;
	case REG_EFER:
		regs->efer = vmcb->efer & ~EFER_SVME;
		break;
	case REG_DR6:
		regs->dr6 = vcpu->loan.is_lent ? vcpu->loan.dr6 : vmcb->dr6;
		break;
	case REG_DR7:
		regs->dr7 = vcpu->loan.is_lent ? vcpu->loan.dr7 : vmcb->dr7;
		break;
	case REG_PDPTR:
		/* Under nested paging the CPU reads them when it needs them (APM: "Legacy PAE Mode"). */
		pdptr_from_memory(cr3_read(vcpu), regs->pdptr);
		break;
	case REG_SSP:
		regs->ssp = vmcb->ssp;
		break;
	case REG_INTERRUPT_SHADOW:
		regs->interrupt_shadow =
			(vmcb->interrupt_shadow & INTERRUPT_SHADOW) != 0 ? SHADOW_STI : 0;
		break;
	case REG_NMI_BLOCKED:
		regs->nmi_blocked = svm_of(vcpu)->nmi_blocked;
		break;
	case REG_EXIT_INFO_1:
		regs->exit_info[0] = vmcb->exit_info1;
		break;
	case REG_EXIT_INFO_2:
		regs->exit_info[1] = vmcb->exit_info2;
		break;
	case REG_GDTR:
		regs->gdtr = (struct table_register){ vmcb->gdtr.base, (uint16_t)vmcb->gdtr.limit };
		break;
	case REG_IDTR:
		regs->idtr = (struct table_register){ vmcb->idtr.base, (uint16_t)vmcb->idtr.limit };
		break;
	default:
		HV_ASSERT(reg >= REG_SEGMENTS && reg < REG_SEGMENTS + SEGMENT_COUNT);
		fetch_segment(vcpu, (enum segment_index)(reg - REG_SEGMENTS));
		break;
	}
}

void svm_regs_fetch_for_insn(struct vcpu *vcpu)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	struct regs *regs = &vcpu->regs;
	uint64_t registers = REG_BIT(REG_CR0) | REG_BIT(REG_CR3) | REG_BIT(REG_CR4) |
			     REG_BIT(REG_EFER) | REG_BIT(REG_SEGMENTS + SEGMENT_CS);

	if (UNLIKELY((regs->dirty & registers) != 0))
		return; /* the VMCB is not what counts: one by one */
	regs->cr0 = vmcb->cr0;
	regs->cr3 = vmcb->cr3;
	regs->cr4 = vmcb->cr4;
	regs->efer = vmcb->efer & ~EFER_SVME;
	regs->segments[SEGMENT_CS].selector = vmcb->cs.selector;
	regs->segments[SEGMENT_CS].base = vmcb->cs.base;
	regs->segments[SEGMENT_CS].limit = vmcb->cs.limit;
	regs->segments[SEGMENT_CS].rights = rights_from_attributes(vmcb->cs.attributes);
	regs->available |= registers;
}

/* The CPU is to find nothing there while it is lent: what it adds is news. */
static void store_dr6(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t dr6 = vcpu->regs.dr6;

	vmcb->dr6 = vcpu->loan.is_lent ? DR6_INIT : dr6;
	vcpu->loan.dr6 = dr6;
	vmcb_touch(vmcb, CLEAN_DR);
}

static void store_one(struct vcpu *vcpu, unsigned reg)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	const struct regs *regs = &vcpu->regs;

	switch (reg) {
	case REG_RSP:
		vmcb->rsp = regs->gpr[REG_RSP];
		break;
	case REG_RIP:
		vmcb->rip = regs->rip;
		break;
	case REG_RFLAGS:
		vmcb->rflags = regs->rflags;
		if (svm_has_own_tf(vcpu))
			vmcb->rflags |= RFLAGS_TF;
		break;
	case REG_CR0:
		vmcb->cr0 = regs->cr0;
		vmcb_touch(vmcb, CLEAN_CR);
		break;
	case REG_CR2:
		vmcb->cr2 = regs->cr2;
		vmcb_touch(vmcb, CLEAN_CR2);
		break;
	case REG_CR3:
		vmcb->cr3 =
			regs->cr3; /* REG_ERAPS: a write by the guest itself clears the predictor, this one must, too */
		vmcb_touch(vmcb, CLEAN_CR);
		if (hv_caps.eraps)
			vmcb->tlb_control |= TLB_CONTROL_CLEAR_RAP;
		break;
	case REG_CR4:
		vmcb->cr4 = regs->cr4;
		vmcb_touch(vmcb, CLEAN_CR);
		break;
	case REG_EFER:
		vmcb->efer = regs->efer | EFER_SVME;
		vmcb_touch(vmcb, CLEAN_CR);
		break;
	case REG_DR6:
		store_dr6(vcpu);
		break;
	case REG_DR7:
		vmcb->dr7 = vcpu->loan.is_lent ? debug_loan_store(vcpu, regs->dr7) : regs->dr7;
		vmcb_touch(vmcb, CLEAN_DR);
		break;
	case REG_SSP:
		vmcb->ssp = regs->ssp;
		vmcb_touch(vmcb, CLEAN_CET);
		break;
	case REG_INTERRUPT_SHADOW:
		vmcb->interrupt_shadow = regs->interrupt_shadow != 0 ? INTERRUPT_SHADOW : 0;
		break;
	case REG_NMI_BLOCKED:
		svm_of(vcpu)->nmi_blocked = regs->nmi_blocked;
		svm_set_intercepts(vcpu);
		break;
	case REG_GDTR:
		store_table(vmcb, &vmcb->gdtr, regs->gdtr);
		break;
	case REG_IDTR:
		store_table(vmcb, &vmcb->idtr, regs->idtr);
		break;
	default: /* GPRs are loaded by the entry stub, PDPTRs by the CPU itself */
		if (reg >= REG_SEGMENTS && reg < REG_SEGMENTS + SEGMENT_COUNT)
			store_segment(vcpu, (enum segment_index)(reg - REG_SEGMENTS));
		break;
	}
}

void svm_regs_store(struct vcpu *vcpu)
{
	uint64_t dirty = vcpu->regs.dirty & REGS_LAZY;

	regs_check(&vcpu->regs);
	for (; dirty != 0; dirty &= dirty - 1)
		store_one(vcpu, (unsigned)__builtin_ctzll(dirty));
}
