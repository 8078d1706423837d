/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/step.h"

#include "arch/x86/apic.h"
#include "core/lock.h"
#include "core/vendor.h"
#include "mm/layout.h"
#include "vmexit/apic_access.h"

#define APIC_REG_STRIDE 16u
#define APIC_REG_COUNT	(PAGE_BYTES / APIC_REG_STRIDE)

/* Registers that a copy must not read: reading has no meaning there (EOI), or pops (none today). */
static uint32_t read_for_copy(const struct vcpu *vcpu, uint32_t reg)
{
	return reg == APIC_EOI ? 0 : apic_read(vcpu->cpu->apic_page, reg);
}

/* What stands in for the frame during the step. */
static void fill_scratch(struct vcpu *vcpu, enum step_kind kind)
{
	uint8_t *scratch = vcpu->vm->step_scratch;
	uint32_t value;

	__builtin_memset(scratch, kind == STEP_HIDDEN_WRITE ? 0xff : 0, PAGE_BYTES);
	if (kind != STEP_APIC_WRITE)
		return;
	for (uint32_t i = 0; i < APIC_REG_COUNT; i++) {
		value = read_for_copy(vcpu, i * APIC_REG_STRIDE);
		__builtin_memcpy(scratch + i * APIC_REG_STRIDE, &value, sizeof(value));
	}
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

void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	if (vcpu->step_kind != STEP_NONE) {
		open_frame(vcpu, kind, gpa, true);
		return;
	}
	if (kind != STEP_IRET) {
		/* One view for all: if another CPU steps just now, this instruction faults again. */
		if (!lock_try(&vcpu->vm->step_lock))
			return;
		fill_scratch(vcpu, kind);
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
	vendor->set_single_step(vcpu, false);
	if (vcpu->step_kind == STEP_IRET) {
		/* Also an IRET that faults unblocks NMIs. SDM: "Handling Multiple NMIs". */
		vcpu->events.nmi_blocked = false;
	} else {
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
