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

	if (kind == STEP_HIDDEN_WRITE) {
		__builtin_memset(scratch, 0xff, PAGE_BYTES);
		return;
	}
	__builtin_memset(scratch, 0, PAGE_BYTES);
	for (uint32_t i = 0; i < APIC_REG_COUNT; i++) {
		value = read_for_copy(vcpu, i * APIC_REG_STRIDE);
		__builtin_memcpy(scratch + i * APIC_REG_STRIDE, &value, sizeof(value));
	}
}

void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	hpa_t root;

	if (kind != STEP_IRET) {
		/* One view for all: if another CPU steps just now, this guest instruction simply faults again. */
		if (!lock_try(&vm->step_lock))
			return;
		fill_scratch(vcpu, kind);
		lock_acquire(&vm->lock);
		root = tdp_view_build(&vm->step_view, &vm->tdp, gpa, ptr_to_hpa(vm->step_scratch),
				      RIGHT_READ | RIGHT_WRITE, MEMTYPE_WB);
		lock_release(&vm->lock);
		vendor->set_tdp_root(vcpu, root);
	}
	vcpu->step_kind = (uint8_t)kind;
	vcpu->step_gpa = gpa;
	vendor->set_single_step(vcpu, true);
}

static void step_end(struct vcpu *vcpu)
{
	vendor->set_single_step(vcpu, false);
	if (vcpu->step_kind != STEP_IRET) {
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
		vcpu->events.nmi_blocked = false;
		break;
	}
	step_end(vcpu);
	return VERDICT_RESUME;
}

enum exit_verdict step_interrupted_exit(struct vcpu *vcpu)
{
	if (vcpu->step_kind == STEP_NONE)
		return VERDICT_FATAL;
	step_end(vcpu);
	return VERDICT_RESUME;
}
