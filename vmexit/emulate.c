/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate.h"

#include <stddef.h>

#include "arch/x86/debug.h"
#include "mm/gva_walk.h"
#include "vmexit/emulate_alu.h"
#include "vmexit/emulate_form.h"
#include "vmexit/emulate_operand.h"
#include "vmexit/emulate_string.h"

/* --- one operand in memory, one in a register, an immediate or nothing ------------------------ */

/* What the instruction makes of its operands; nothing of it has been written yet. */
struct outcome {
	uint64_t memory, reg, flags;
	bool writes_reg;
	uint8_t reg_number;
};

static uint64_t source(struct emulation *em)
{
	switch (em->form.source) {
	case EMULATE_REGISTER:
		return operand_reg_read(em, em->form.reg, em->form.reg_bytes);
	case EMULATE_IMMEDIATE:
		return alu_cut((uint64_t)em->insn->immediate, em->form.bytes);
	case EMULATE_CL:
		return gpr_read(em->vcpu, REG_RCX) & 0xff;
	case EMULATE_ONE:
		break;
	}
	return 1;
}

static void to_register(struct outcome *out, uint64_t value)
{
	out->reg = value;
	out->writes_reg = true;
}

static void binary(struct emulation *em, uint64_t old, struct outcome *out)
{
	enum alu_binary operation = (enum alu_binary)em->form.operation;
	uint64_t other = source(em);
	bool to_reg = em->form.to_register;
	uint64_t result = alu_binary(operation, em->form.bytes, to_reg ? other : old,
				     to_reg ? old : other, &out->flags);

	out->memory = result;
	if (to_reg && operation != ALU_CMP)
		to_register(out, result);
}

/* A bit number from a register has already moved the address by the operands that it passes. */
static void bit(struct emulation *em, uint64_t old, struct outcome *out)
{
	unsigned number = (unsigned)source(em) & (8u * em->form.bytes - 1);

	out->memory = alu_bit((enum alu_bit)em->form.operation, old, number, &out->flags);
}

/* SDM: "CMPXCHG": memory is written in either case. */
static void compare_exchange(struct emulation *em, uint64_t old, struct outcome *out)
{
	uint64_t accumulator = operand_reg_read(em, REG_RAX, em->form.bytes);

	(void)alu_binary(ALU_CMP, em->form.bytes, accumulator, old, &out->flags);
	out->memory = accumulator == old ? source(em) : old;
	out->reg_number = REG_RAX;
	if (accumulator != old)
		to_register(out, old);
}

static void shift_double(struct emulation *em, uint64_t old, struct outcome *out)
{
	uint64_t filler = operand_reg_read(em, em->form.reg, em->form.bytes);

	out->memory = alu_shift_double(em->form.operation != 0, em->form.bytes, old, filler,
				       (unsigned)source(em) & 0xff, &out->flags);
}

static void compute(struct emulation *em, uint64_t old, struct outcome *out)
{
	const struct emulate_form *form = &em->form;

	switch (form->kind) {
	case EMULATE_MOV:
		out->memory = form->to_register ? old : source(em);
		if (form->to_register)
			to_register(out, old);
		break;
	case EMULATE_MOV_SELECTOR:
		out->memory = segment_read(em->vcpu, (enum segment_index)(form->reg & 7))->selector;
		break;
	case EMULATE_EXTEND:
		to_register(out, form->operation != 0 ? alu_sign_extend(old, form->bytes) : old);
		break;
	case EMULATE_CMOV:
		to_register(out, alu_condition(form->operation, out->flags) ? old : source(em));
		break;
	case EMULATE_SET:
		out->memory = alu_condition(form->operation, out->flags);
		break;
	case EMULATE_BINARY:
		binary(em, old, out);
		break;
	case EMULATE_UNARY:
		out->memory =
			alu_unary((enum alu_unary)form->operation, form->bytes, old, &out->flags);
		break;
	case EMULATE_SHIFT:
		out->memory = alu_shift((enum alu_shift)form->operation, form->bytes, old,
					(unsigned)source(em) & 0xff, &out->flags);
		break;
	case EMULATE_SHLD:
		shift_double(em, old, out);
		break;
	case EMULATE_BIT:
		bit(em, old, out);
		break;
	case EMULATE_XCHG:
		out->memory = source(em);
		to_register(out, old);
		break;
	case EMULATE_XADD:
		out->memory = alu_binary(ALU_ADD, form->bytes, source(em), old, &out->flags);
		to_register(out, old);
		break;
	case EMULATE_CMPXCHG:
		compare_exchange(em, old, out);
		break;
	case EMULATE_CMPXCHG_PAIR:
	case EMULATE_PUSH:
	case EMULATE_POP:
	case EMULATE_STRING:
		break; /* not here */
	}
}

/* How far a bit number from a register moves the address: whole operands, signed. */
static int64_t bit_distance(struct emulation *em)
{
	unsigned bytes = em->form.bytes;
	int64_t number;

	if (em->form.kind != EMULATE_BIT || em->form.source != EMULATE_REGISTER)
		return 0;
	number = (int64_t)alu_sign_extend(source(em), bytes);
	return (number >> (__builtin_ctz(bytes) + 3)) * (int64_t)bytes;
}

static void set_flags(struct emulation *em, uint64_t flags)
{
	if (flags != rflags_read(em->vcpu))
		rflags_write(em->vcpu, flags);
}

static bool is_locked(const struct emulation *em)
{
	return em->insn->lock || em->form.kind == EMULATE_XCHG;
}

static bool open_memory(struct emulation *em, struct emulate_operand *out)
{
	if (!operand_open(em, em->insn->memory.segment, operand_offset(em, bit_distance(em)),
			  em->form.bytes, em->form.writes ? ACCESS_WRITE : 0, out))
		return false;
	/* Over two frames only the CPU can do it in one. */
	if (!em->on_target || (is_locked(em) && out->span.bytes[1] != 0))
		return emulate_native(em);
	return true;
}

static bool execute_simple(struct emulation *em)
{
	struct outcome out = { .flags = rflags_read(em->vcpu), .reg_number = em->form.reg };
	struct emulate_operand memory;
	uint64_t old = 0;

	if (!open_memory(em, &memory))
		return false;
	if (em->form.reads && !operand_read(em, &memory, &old))
		return false;
	compute(em, old, &out);
	if (em->form.writes)
		operand_write(em, &memory, &out.memory);
	if (out.writes_reg)
		operand_reg_write(em, out.reg_number, em->form.reg_bytes, out.reg);
	set_flags(em, out.flags);
	return true;
}

/* --- the others ---------------------------------------------------------------------------- */

static bool execute_compare_exchange_pair(struct emulation *em)
{
	unsigned half = em->form.bytes / 2;
	uint64_t flags = rflags_read(em->vcpu);
	uint8_t old[EMULATE_OPERAND_BYTES] = { 0 }, new[EMULATE_OPERAND_BYTES];
	uint64_t low = 0, high = 0, store[2];
	struct emulate_operand memory;
	bool equal;

	if (!open_memory(em, &memory) || !operand_read(em, &memory, old))
		return false;
	__builtin_memcpy(&low, old, half);
	__builtin_memcpy(&high, old + half, half);
	equal = low == operand_reg_read(em, REG_RAX, half) &&
		high == operand_reg_read(em, REG_RDX, half);
	store[0] = equal ? operand_reg_read(em, REG_RBX, half) : low;
	store[1] = equal ? operand_reg_read(em, REG_RCX, half) : high;
	__builtin_memcpy(new, &store[0], half);
	__builtin_memcpy(new + half, &store[1], half);
	operand_write(em, &memory, new);
	if (!equal) {
		operand_reg_write(em, REG_RAX, half, low);
		operand_reg_write(em, REG_RDX, half, high);
	}
	set_flags(em, equal ? flags | RFLAGS_ZF : flags & ~RFLAGS_ZF);
	return true;
}

static unsigned stack_pointer_bytes(struct emulation *em)
{
	if (em->insn->code_bytes == 8)
		return 8;
	return (segment_read(em->vcpu, SEGMENT_SS)->rights & SEGMENT_DB) != 0 ? 4 : 2;
}

static bool execute_push(struct emulation *em)
{
	unsigned width = stack_pointer_bytes(em), bytes = em->form.bytes;
	uint64_t rsp = alu_cut(operand_pointer_read(em, REG_RSP, width) - bytes, width);
	struct emulate_operand from, to;
	uint64_t value = 0;

	if (!operand_open(em, em->insn->memory.segment, operand_offset(em, 0), bytes, 0, &from) ||
	    !operand_open(em, SEGMENT_SS, rsp, bytes, ACCESS_WRITE, &to))
		return false;
	if (!em->on_target)
		return emulate_native(em);
	if (!operand_read(em, &from, &value))
		return false;
	operand_write(em, &to, &value);
	operand_pointer_write(em, REG_RSP, width, rsp);
	return true;
}

/* With rSP as the base, the address is made with the value after the increment. */
static bool execute_pop(struct emulation *em)
{
	unsigned width = stack_pointer_bytes(em), bytes = em->form.bytes;
	uint64_t rsp = operand_pointer_read(em, REG_RSP, width);
	bool on_stack = em->insn->memory.base == REG_RSP;
	struct emulate_operand from, to;
	uint64_t value = 0;

	if (!operand_open(em, SEGMENT_SS, rsp, bytes, 0, &from) ||
	    !operand_open(em, em->insn->memory.segment, operand_offset(em, on_stack ? bytes : 0),
			  bytes, ACCESS_WRITE, &to))
		return false;
	if (!em->on_target)
		return emulate_native(em);
	if (!operand_read(em, &from, &value))
		return false;
	operand_write(em, &to, &value);
	operand_pointer_write(em, REG_RSP, width, rsp + bytes);
	return true;
}

/* --- all of them --------------------------------------------------------------------------- */

#define EFER_UAIE BIT64(20) /* APM: "Upper Address Ignore" */

/* Modes in which an address is not what it is here: upper bits ignored, limits in 64-bit mode. */
static bool is_foreign_mode(struct vcpu *vcpu)
{
	if ((efer_read(vcpu) & (EFER_LMSLE | EFER_UAIE)) != 0 ||
	    (cr4_read(vcpu) & CR4_LAM_SUP) != 0)
		return true;
	return (cr0_read(vcpu) & CR0_PG) != 0 && mode_is_64bit(vcpu) &&
	       (cr3_read(vcpu) & (CR3_LAM_U48 | CR3_LAM_U57)) != 0;
}

static enum emulate_result execute(struct emulation *em)
{
	bool done;

	switch (em->form.kind) {
	case EMULATE_STRING:
		return emulate_string_insn(em);
	case EMULATE_CMPXCHG_PAIR:
		done = execute_compare_exchange_pair(em);
		break;
	case EMULATE_PUSH:
		done = execute_push(em);
		break;
	case EMULATE_POP:
		done = execute_pop(em);
		break;
	default:
		done = execute_simple(em);
		break;
	}
	return done ? EMULATE_DONE : em->result;
}

enum emulate_result emulate_insn(struct vcpu *vcpu, const struct insn *insn,
				 const struct emulate_target *target)
{
	struct emulation em = { .vcpu = vcpu, .insn = insn, .target = target };
	enum emulate_result result;

	/* An access by the delivery of an event is not this instruction's. */
	if (vcpu->events.pending.valid || !emulate_form(insn, &em.form) || is_foreign_mode(vcpu) ||
	    (target->accessed == NULL && debug_has_data_breakpoint(debug_hardware_dr7(vcpu))))
		return EMULATE_NATIVE;
	if (insn->lock && !em.form.lockable) {
		(void)emulate_raise(&em, VECTOR_UD);
		return em.result;
	}
	result = execute(&em);
	if (result == EMULATE_DONE)
		vcpu->decoded_bytes = insn->bytes;
	return result;
}
