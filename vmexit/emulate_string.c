/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_string.h"

#include <stddef.h>

#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/vendor.h"
#include "mm/gva_walk.h"
#include "vmexit/emulate_alu.h"

/* --- operands ------------------------------------------------------------------------------ */

static bool has_source(enum emulate_string operation)
{
	return operation == EMULATE_MOVS || operation == EMULATE_CMPS ||
	       operation == EMULATE_LODS || operation == EMULATE_OUTS;
}

static bool has_destination(enum emulate_string operation)
{
	return operation != EMULATE_LODS && operation != EMULATE_OUTS;
}

static bool compares(enum emulate_string operation)
{
	return operation == EMULATE_CMPS || operation == EMULATE_SCAS;
}

/* rSI through DS, which an override replaces. */
static bool open_source(struct emulation *em, struct emulate_operand *out)
{
	const struct insn *insn = em->insn;

	return operand_open(em, insn->has_segment ? insn->segment : SEGMENT_DS,
			    operand_pointer_read(em, REG_RSI, insn->address_bytes), em->form.bytes,
			    0, out);
}

/* rDI through ES, which nothing replaces. */
static bool open_destination(struct emulation *em, struct emulate_operand *out)
{
	bool writes = !compares((enum emulate_string)em->form.operation);

	return operand_open(em, SEGMENT_ES,
			    operand_pointer_read(em, REG_RDI, em->insn->address_bytes),
			    em->form.bytes, writes ? ACCESS_WRITE : 0, out);
}

static void advance(struct emulation *em, unsigned reg)
{
	unsigned bytes = em->insn->address_bytes;
	uint64_t value = operand_pointer_read(em, reg, bytes);
	bool down = (rflags_read(em->vcpu) & RFLAGS_DF) != 0;

	operand_pointer_write(em, reg, bytes,
			      down ? value - em->form.bytes : value + em->form.bytes);
}

/* --- one iteration ------------------------------------------------------------------------- */

struct iteration {
	struct emulate_operand source, destination;
	uint64_t value, other;
};

static bool is_io(const struct emulation *em)
{
	return em->form.operation == EMULATE_INS || em->form.operation == EMULATE_OUTS;
}

static bool is_trapped(const struct emulation *em)
{
	return is_io(em) ? em->target->traps_ports : em->target->traps_strings;
}

static bool open_operands(struct emulation *em, struct iteration *it)
{
	enum emulate_string operation = (enum emulate_string)em->form.operation;

	if (has_source(operation) && !open_source(em, &it->source))
		return false;
	if (has_destination(operation) && !open_destination(em, &it->destination))
		return false;
	return em->on_target || is_trapped(em) || emulate_native(em);
}

/* Everything that may still refuse; a read from a device or a port happens last of all. */
static bool read_operands(struct emulation *em, struct iteration *it)
{
	enum emulate_string operation = (enum emulate_string)em->form.operation;
	unsigned bytes = em->form.bytes;

	it->value = operand_reg_read(em, REG_RAX, bytes);
	if (has_source(operation) && !operand_read(em, &it->source, &it->value))
		return false;
	if (compares(operation) && !operand_read(em, &it->destination, &it->other))
		return false;
	if (operation == EMULATE_INS)
		it->value = em->target->port_read(em->target->context,
						  (uint16_t)gpr_read(em->vcpu, REG_RDX), bytes);
	return true;
}

static void finish(struct emulation *em, struct iteration *it)
{
	uint64_t flags = rflags_read(em->vcpu);

	switch ((enum emulate_string)em->form.operation) {
	case EMULATE_MOVS:
	case EMULATE_STOS:
	case EMULATE_INS:
		operand_write(em, &it->destination, &it->value);
		break;
	case EMULATE_CMPS:
	case EMULATE_SCAS:
		(void)alu_binary(ALU_CMP, em->form.bytes, it->value, it->other, &flags);
		rflags_write(em->vcpu, flags);
		break;
	case EMULATE_LODS:
		operand_reg_write(em, REG_RAX, em->form.bytes, it->value);
		break;
	case EMULATE_OUTS:
		em->target->port_write(em->target->context, (uint16_t)gpr_read(em->vcpu, REG_RDX),
				       (uint32_t)it->value, em->form.bytes);
		break;
	}
}

static void tell_access(struct emulation *em, const struct iteration *it)
{
	bool is_ins = em->form.operation == EMULATE_INS;

	if (is_io(em) && em->target->accessed != NULL)
		em->is_met =
			em->target->accessed(em->target->context,
					     is_ins ? it->destination.address : it->source.address,
					     em->form.bytes, is_ins);
}

static bool iterate(struct emulation *em)
{
	enum emulate_string operation = (enum emulate_string)em->form.operation;
	struct iteration it = { 0 };

	em->on_target = false;
	if (!open_operands(em, &it) || !read_operands(em, &it))
		return false;
	finish(em, &it);
	tell_access(em, &it);
	if (has_source(operation))
		advance(em, REG_RSI);
	if (has_destination(operation))
		advance(em, REG_RDI);
	return true;
}

/* --- repetition ---------------------------------------------------------------------------- */

/* Count one iteration; true: it was the last. */
static bool count_down(struct emulation *em)
{
	const struct insn *insn = em->insn;
	uint64_t left = operand_pointer_read(em, REG_RCX, insn->address_bytes) - 1;
	bool equal;

	operand_pointer_write(em, REG_RCX, insn->address_bytes, left);
	if (alu_cut(left, insn->address_bytes) == 0)
		return true;
	if (!compares((enum emulate_string)em->form.operation))
		return false;
	equal = (rflags_read(em->vcpu) & RFLAGS_ZF) != 0;
	return insn->repne ? equal : !equal;
}

/* With BTF the trap is for branches only. */
static bool traps_each_step(struct vcpu *vcpu)
{
	uint64_t debugctl;

	if ((rflags_read(vcpu) & RFLAGS_TF) == 0)
		return false;
	if (!vendor->msr_read(vcpu, MSR_DEBUGCTL, &debugctl) &&
	    !rdmsr_safe(MSR_DEBUGCTL, &debugctl))
		return true;
	return (debugctl & DEBUGCTL_BTF) == 0;
}

/*
 * Leave the instruction between two iterations: RF, since its own breakpoint has been met. The trap of a single step is due
 * after each iteration, and ends the interrupt shadow.
 */
static enum emulate_result pause(struct vcpu *vcpu, bool trap)
{
	rflags_write(vcpu, rflags_read(vcpu) | RFLAGS_RF);
	if (trap) {
		if (interrupt_shadow_read(vcpu) != 0)
			interrupt_shadow_write(vcpu, 0);
		events_raise_db(vcpu, DR6_BS);
	}
	return EMULATE_RESUME;
}

static enum emulate_result repeat(struct emulation *em)
{
	struct vcpu *vcpu = em->vcpu;
	bool trap = traps_each_step(vcpu);
	unsigned limit = trap ? 1 : EMULATE_ITERATIONS;

	/* No memory is touched then, so this is not what has exited. */
	if (operand_pointer_read(em, REG_RCX, em->insn->address_bytes) == 0)
		return EMULATE_NATIVE;
	for (unsigned i = 0; i < limit; i++) {
		if (!iterate(em)) {
			if (i == 0 || em->result != EMULATE_NATIVE)
				return em->result;
			return pause(vcpu, false);
		}
		if (count_down(em))
			return EMULATE_DONE;
		if (em->is_met)
			break;
	}
	return pause(vcpu, trap);
}

/* SDM: "I/O Privilege Level"; the permission bitmap is left to the CPU. */
static bool may_do_io(struct emulation *em)
{
	uint64_t flags = rflags_read(em->vcpu);

	return em->target->port_read != NULL && (flags & RFLAGS_VM) == 0 &&
	       cpl_read(em->vcpu) <= field_get(RFLAGS_IOPL, flags);
}

enum emulate_result emulate_string_insn(struct emulation *em)
{
	if (is_io(em) && !may_do_io(em))
		return EMULATE_NATIVE;
	if (em->insn->rep || em->insn->repne)
		return repeat(em);
	return iterate(em) ? EMULATE_DONE : em->result;
}
