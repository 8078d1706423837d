/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_form.h"

#include "vmexit/emulate_alu.h"

#define RAX 0u

/* The lowest bit of most opcodes: a byte, or the operand size. */
static uint8_t width(const struct insn *insn)
{
	return (insn->opcode & 1) != 0 ? insn->operand_bytes : 1;
}

static uint8_t group(const struct insn *insn)
{
	return insn->reg & 7;
}

/* A form that reads and writes memory and takes LOCK. */
static void modify(struct emulate_form *form, enum emulate_kind kind, uint8_t operation)
{
	form->kind = kind;
	form->operation = operation;
	form->reads = form->writes = form->lockable = true;
}

static bool binary(uint8_t operation, bool to_register, struct emulate_form *form)
{
	modify(form, EMULATE_BINARY, operation);
	form->to_register = to_register;
	if (to_register || operation == ALU_CMP || operation == ALU_TEST)
		form->writes = form->lockable = false;
	return true;
}

static bool load_or_store(bool load, struct emulate_form *form)
{
	form->kind = EMULATE_MOV;
	form->reads = form->to_register = load;
	form->writes = !load;
	return true;
}

static bool shift(const struct insn *insn, enum emulate_source source, struct emulate_form *form)
{
	modify(form, EMULATE_SHIFT, group(insn));
	form->lockable = false;
	form->source = source;
	return true;
}

/* SDM: "String Operations". Operands are found by the executor, as only some of them are in insn->memory. */
static bool string(const struct insn *insn, enum emulate_string operation,
		   struct emulate_form *form)
{
	form->kind = EMULATE_STRING;
	form->operation = (uint8_t)operation;
	if ((operation == EMULATE_INS || operation == EMULATE_OUTS) && form->bytes == 8)
		form->bytes = 4;
	return insn->encoding == INSN_LEGACY;
}

/* F6 and F7; multiplications and divisions are the CPU's. */
static bool group3(const struct insn *insn, struct emulate_form *form)
{
	static const uint8_t operation[2] = { ALU_NOT, ALU_NEG };

	if (group(insn) < 2) {
		form->source = EMULATE_IMMEDIATE;
		return binary(ALU_TEST, false, form);
	}
	if (group(insn) > 3)
		return false;
	modify(form, EMULATE_UNARY, operation[group(insn) - 2]);
	return true;
}

/* PUSH and POP are 8 bytes wide in 64-bit mode, or 2. */
static bool stack(const struct insn *insn, enum emulate_kind kind, struct emulate_form *form)
{
	form->kind = kind;
	form->reads = kind == EMULATE_PUSH;
	form->writes = kind == EMULATE_POP;
	if (insn->code_bytes == 8)
		form->bytes = insn->operand_bytes == 2 ? 2 : 8;
	return true;
}

/* FE and FF. */
static bool group5(const struct insn *insn, struct emulate_form *form)
{
	switch (group(insn)) {
	case 0:
	case 1:
		modify(form, EMULATE_UNARY, group(insn) == 0 ? ALU_INC : ALU_DEC);
		return true;
	case 6:
		return insn->opcode == 0xff && stack(insn, EMULATE_PUSH, form);
	}
	return false;
}

static bool string_form(const struct insn *insn, struct emulate_form *form)
{
	switch (insn->opcode & 0xfe) {
	case 0x6c:
		return string(insn, EMULATE_INS, form);
	case 0x6e:
		return string(insn, EMULATE_OUTS, form);
	case 0xa4:
		return string(insn, EMULATE_MOVS, form);
	case 0xa6:
		return string(insn, EMULATE_CMPS, form);
	case 0xaa:
		return string(insn, EMULATE_STOS, form);
	case 0xac:
		return string(insn, EMULATE_LODS, form);
	case 0xae:
		return string(insn, EMULATE_SCAS, form);
	}
	return false;
}

static bool mov_selector(const struct insn *insn, struct emulate_form *form)
{
	form->kind = EMULATE_MOV_SELECTOR;
	form->writes = true;
	form->bytes = 2;
	return group(insn) <= SEGMENT_GS;
}

static bool extend(bool sign, uint8_t bytes, const struct insn *insn, struct emulate_form *form)
{
	form->kind = EMULATE_EXTEND;
	form->operation = sign;
	form->bytes = bytes;
	form->reg_bytes = insn->operand_bytes;
	form->reads = form->to_register = true;
	return true;
}

static bool primary_form(const struct insn *insn, struct emulate_form *form)
{
	uint8_t opcode = insn->opcode;

	form->bytes = form->reg_bytes = width(insn);
	if (string_form(insn, form))
		return true;
	if (!insn->memory.present)
		return false;
	if (opcode < 0x40 && (opcode & 7) < 4)
		return binary(opcode >> 3, (opcode & 2) != 0, form);
	switch (opcode) {
	case 0x63: /* how much a 16-bit MOVSXD reads, the vendors do not agree on */
		return insn->code_bytes == 8 && insn->operand_bytes != 2 &&
		       extend(true, 4, insn, form);
	case 0x80 ... 0x83:
		form->source = EMULATE_IMMEDIATE;
		return binary(group(insn), false, form);
	case 0x84 ... 0x85:
		return binary(ALU_TEST, false, form);
	case 0x86 ... 0x87:
		modify(form, EMULATE_XCHG, 0);
		return true;
	case 0x88 ... 0x8b:
		return load_or_store((opcode & 2) != 0, form);
	case 0x8c:
		return mov_selector(insn, form);
	case 0x8f:
		form->bytes = insn->operand_bytes;
		return group(insn) == 0 && stack(insn, EMULATE_POP, form);
	case 0xa0 ... 0xa3:
		form->reg = RAX;
		return load_or_store((opcode & 2) == 0, form);
	case 0xc0 ... 0xc1:
		return shift(insn, EMULATE_IMMEDIATE, form);
	case 0xc6 ... 0xc7:
		form->source = EMULATE_IMMEDIATE;
		return group(insn) == 0 && load_or_store(false, form);
	case 0xd0 ... 0xd1:
		return shift(insn, EMULATE_ONE, form);
	case 0xd2 ... 0xd3:
		return shift(insn, EMULATE_CL, form);
	case 0xf6 ... 0xf7:
		return group3(insn, form);
	case 0xfe ... 0xff:
		return group5(insn, form);
	}
	return false;
}

static bool bit(enum alu_bit operation, enum emulate_source source, struct emulate_form *form)
{
	modify(form, EMULATE_BIT, (uint8_t)operation);
	form->source = source;
	if (operation == ALU_BT)
		form->writes = form->lockable = false;
	return true;
}

static bool shift_double(bool left, enum emulate_source source, struct emulate_form *form)
{
	modify(form, EMULATE_SHLD, left);
	form->lockable = false;
	form->source = source;
	return true;
}

/* 0F C7 /1; the others of the group are about keys, random numbers and state. */
static bool group9(const struct insn *insn, struct emulate_form *form)
{
	if (group(insn) != 1 || insn->simd != INSN_SIMD_NONE)
		return false;
	modify(form, EMULATE_CMPXCHG_PAIR, 0);
	form->bytes = insn->operand_bytes == 8 ? 16 : 8;
	return true;
}

static bool secondary_form(const struct insn *insn, struct emulate_form *form)
{
	uint8_t opcode = insn->opcode;

	form->bytes = form->reg_bytes = insn->operand_bytes;
	if (!insn->memory.present)
		return false;
	switch (opcode) {
	case 0x40 ... 0x4f:
		form->kind = EMULATE_CMOV;
		form->operation = opcode & 0xf;
		form->reads = form->to_register = true;
		return true;
	case 0x90 ... 0x9f:
		form->kind = EMULATE_SET;
		form->operation = opcode & 0xf;
		form->bytes = 1;
		form->writes = true;
		return true;
	case 0xa3:
	case 0xab:
	case 0xb3:
	case 0xbb:
		return bit((enum alu_bit)(opcode >> 3 & 3), EMULATE_REGISTER, form);
	case 0xba:
		return group(insn) >= 4 &&
		       bit((enum alu_bit)(group(insn) & 3), EMULATE_IMMEDIATE, form);
	case 0xa4 ... 0xa5:
	case 0xac ... 0xad:
		return shift_double(opcode < 0xa8,
				    (opcode & 1) != 0 ? EMULATE_CL : EMULATE_IMMEDIATE, form);
	case 0xb0 ... 0xb1:
		form->bytes = form->reg_bytes = width(insn);
		modify(form, EMULATE_CMPXCHG, 0);
		return true;
	case 0xb6 ... 0xb7:
		return extend(false, (opcode & 1) != 0 ? 2 : 1, insn, form);
	case 0xbe ... 0xbf:
		return extend(true, (opcode & 1) != 0 ? 2 : 1, insn, form);
	case 0xc0 ... 0xc1:
		form->bytes = form->reg_bytes = width(insn);
		modify(form, EMULATE_XADD, 0);
		return true;
	case 0xc3: /* MOVNTI: 4 or 8 bytes, also in 16-bit code */
		form->bytes = form->reg_bytes = insn->operand_bytes == 8 ? 8 : 4;
		return insn->simd == INSN_SIMD_NONE && !insn->operand_override &&
		       load_or_store(false, form);
	case 0xc7:
		return group9(insn, form);
	}
	return false;
}

bool emulate_form(const struct insn *insn, struct emulate_form *out)
{
	*out = (struct emulate_form){ .reg = insn->reg };
	if (insn->encoding != INSN_LEGACY)
		return false;
	switch (insn->map) {
	case INSN_MAP_PRIMARY:
		return primary_form(insn, out);
	case INSN_MAP_0F:
		return secondary_form(insn, out);
	default:
		return false;
	}
}
