/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/step.h"

#include "arch/x86/apic.h"
#include "core/lock.h"
#include "core/vendor.h"
#include "mm/layout.h"
#include "vmexit/apic_access.h"

#define APIC_REG_STRIDE 16u
#define APIC_REG_COUNT	(PAGE_BYTES / APIC_REG_STRIDE)

/* What stands in for the frame during the step: of an APIC, the one register that the instruction names. */
static void fill_scratch(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	uint32_t reg = (uint32_t)(gpa.v & (PAGE_BYTES - 1)) & ~(APIC_REG_STRIDE - 1), value;
	uint8_t *scratch = vcpu->vm->step_scratch;

	__builtin_memset(scratch, kind == STEP_HIDDEN_WRITE ? 0xff : 0, PAGE_BYTES);
	if (kind != STEP_APIC_WRITE || reg == APIC_EOI) /* EOI cannot be read */
		return;
	value = apic_read(vcpu->cpu->apic_page, reg);
	__builtin_memcpy(scratch + reg, &value, sizeof(value));
}

static void open_frame(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa, bool second)
{
	struct vm *vm = vcpu->vm;
	gpa_t frame = { gpa.v & ~(PAGE_BYTES - 1) };
	hpa_t to = kind == STEP_PLAIN ? gpa_to_hpa(frame) : ptr_to_hpa(vm->step_scratch);
	enum memtype type = kind == STEP_PLAIN ? MEMTYPE_UC : MEMTYPE_WB;
	hpa_t root = { 0 };

	lock_acquire(&vm->lock);
	if (second)
		tdp_view_add(&vm->step_view, &vm->tdp, frame, to, RIGHT_READ | RIGHT_WRITE, type);
	else
		root = tdp_view_build(&vm->step_view, &vm->tdp, frame, to, RIGHT_READ | RIGHT_WRITE,
				      type);
	lock_release(&vm->lock);
	if (second)
		vendor->flush_tdp(vcpu);
	else
		vendor->set_tdp_root(vcpu, root);
}

static bool has_frame(const struct vcpu *vcpu)
{
	return vcpu->step_kind != STEP_IRET && vcpu->step_kind != STEP_SHADOW;
}

void step_cancel(struct vcpu *vcpu)
{
	bool blocked = vcpu->step_kind == STEP_IRET;

	step_abandon(vcpu);
	if (blocked)
		nmi_blocked_write(vcpu, true); /* until the next IRET */
}

void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	if (vcpu->step_kind != STEP_NONE && !has_frame(vcpu))
		step_cancel(vcpu); /* what it works on is such a frame: that step comes first */
	if (vcpu->step_kind != STEP_NONE) {
		open_frame(vcpu, kind, gpa, true);
		return;
	}
	if (kind != STEP_IRET && kind != STEP_SHADOW) {
		/* One view for all: if another CPU steps just now, this instruction faults again. */
		if (!lock_try(&vcpu->vm->step_lock))
			return;
		fill_scratch(vcpu, kind, gpa);
		open_frame(vcpu, kind, gpa, false);
	}
	vcpu->step_kind = (uint8_t)kind;
	vcpu->step_gpa = gpa;
	vendor->set_single_step(vcpu, true);
}

void step_abandon(struct vcpu *vcpu)
{
	if (vcpu->step_kind == STEP_NONE)
		return;
	/* Also an IRET that faults unblocks NMIs. SDM: "Handling Multiple NMIs". */
	if (vcpu->step_kind == STEP_IRET)
		nmi_blocked_write(vcpu, false);
	vendor->set_single_step(vcpu, false);
	if (has_frame(vcpu)) {
		vendor->set_tdp_root(vcpu, ptr_to_hpa(vcpu->vm->tdp.table.root));
		lock_release(&vcpu->vm->step_lock);
	}
	vcpu->step_kind = STEP_NONE;
}

enum exit_verdict step_exit(struct vcpu *vcpu)
{
	uint32_t reg = (uint32_t)(vcpu->step_gpa.v & (PAGE_BYTES - 1)) & ~(APIC_REG_STRIDE - 1),
		 value;

	switch (vcpu->step_kind) {
	case STEP_NONE:
		return VERDICT_FATAL;
	case STEP_HIDDEN_WRITE:
		vcpu->hidden_writes++;
		break;
	case STEP_APIC_WRITE:
		/* Read it out before the scratch page is given up. */
		__builtin_memcpy(&value, vcpu->vm->step_scratch + reg, sizeof(value));
		apic_register_write(vcpu, reg, value);
		break;
	default:
		break;
	}
	step_abandon(vcpu);
	return VERDICT_RESUME;
}

enum exit_verdict step_interrupted_exit(struct vcpu *vcpu)
{
	if (vcpu->step_kind == STEP_NONE)
		return VERDICT_FATAL;
	step_abandon(vcpu);
	return VERDICT_RESUME;
}
