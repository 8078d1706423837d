/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode_implied.h"

#define RAX 0
#define RBX 3
#define RSI 6
#define RDI 7

static bool is_64bit(const struct insn *insn)
{
	return insn->code_bytes == 8;
}

unsigned decode_stack_bytes(const struct insn *insn)
{
	if (is_64bit(insn))
		return insn->operand_bytes == 2 ? 2 : 8;
	return insn->operand_bytes;
}

/* Near calls, jumps and returns ignore 66 in 64-bit mode: insn->differs_on_amd. */
unsigned decode_branch_bytes(const struct insn *insn)
{
	return is_64bit(insn) ? 8 : insn->operand_bytes;
}

static void implied(const struct insn *insn, uint8_t base, bool is_es, struct insn_operand *operand)
{
	enum segment_index segment = insn->has_segment ? insn->segment : SEGMENT_DS;

	operand->memory = (struct insn_memory){
		.present = true,
		.base = base,
		.index = INSN_NO_REGISTER,
		/* SDM: "Segment Registers": ES:rDI of string instructions cannot be overridden. */
		.segment = is_es ? SEGMENT_ES : segment,
	};
}

static void string_source(const struct insn *insn, struct insn_operand *operand)
{
	implied(insn, RSI, false, operand);
	operand->reads = true;
}

static void string_destination(const struct insn *insn, bool writes, struct insn_operand *operand)
{
	implied(insn, RDI, true, operand);
	operand->writes = writes;
	operand->reads = !writes;
}

static void string_sizes(const struct insn *insn, unsigned limit, struct insn_operands *out)
{
	unsigned bytes = (insn->opcode & 1) == 0 ? 1u : insn->operand_bytes;

	if (bytes > limit)
		bytes = limit;
	out->memory.bytes = (uint16_t)bytes;
	if (out->other.memory.present)
		out->other.bytes = (uint16_t)bytes;
	out->repeat = insn->rep || insn->repne;
}

static void string_operands(const struct insn *insn, struct insn_operands *out)
{
	unsigned limit = 8;

	switch (insn->opcode) {
	case 0x6c: /* INS */
	case 0x6d:
		string_destination(insn, true, &out->memory);
		limit = 4; /* ports are no wider */
		break;
	case 0x6e: /* OUTS */
	case 0x6f:
		string_source(insn, &out->memory);
		limit = 4;
		break;
	case 0xa4: /* MOVS */
	case 0xa5:
	case 0xa6: /* CMPS */
	case 0xa7:
		string_destination(insn, insn->opcode < 0xa6, &out->memory);
		string_source(insn, &out->other);
		break;
	case 0xaa: /* STOS */
	case 0xab:
	case 0xae: /* SCAS */
	case 0xaf:
		string_destination(insn, insn->opcode < 0xae, &out->memory);
		break;
	case 0xac: /* LODS */
	case 0xad:
		string_source(insn, &out->memory);
		break;
	default:
		return;
	}
	string_sizes(insn, limit, out);
}

static void xlat_operand(const struct insn *insn, struct insn_operand *operand)
{
	implied(insn, RBX, false, operand);
	operand->memory.index = RAX;
	operand->memory.index_kind = INSN_INDEX_AL;
	operand->reads = true;
	operand->bytes = 1;
}

/* MASKMOVQ and MASKMOVDQU, also with VEX. */
static void masked_move_operand(const struct insn *insn, struct insn_operand *operand)
{
	implied(insn, RDI, false, operand);
	operand->writes = true;
	operand->bytes = insn->simd == INSN_SIMD_66 ? 16 : 8;
	operand->partial = true;
}

/* 0F 01 and 0F AE in their register forms: MONITOR, MONITORX, CLZERO; UMONITOR. */
static void addressed_by_register(const struct insn *insn, struct insn_operand *operand)
{
	uint8_t modrm = (uint8_t)(0xc0 | (insn->reg & 7) << 3 | (insn->rm & 7));

	if (insn->opcode == 0x01 && (modrm == 0xc8 || modrm == 0xfa || modrm == 0xfc)) {
		implied(insn, RAX, false, operand);
		operand->writes = modrm == 0xfc;
		operand->reads = !operand->writes;
		operand->bytes = operand->writes ? 64 : 1;
	} else if (insn->opcode == 0xae && insn->simd == INSN_SIMD_F3 && (modrm & 0x38) == 0x30) {
		implied(insn, insn->rm, false, operand);
		operand->reads = true;
		operand->bytes = 1;
	}
}

/* The destination of MOVDIR64B, ENQCMD and ENQCMDS. SDM: "MOVDIR64B": ES, which cannot be overridden. */
static void direct_store_operand(const struct insn *insn, struct insn_operand *operand)
{
	implied(insn, insn->reg, true, operand);
	operand->writes = true;
	operand->bytes = 64;
}

static bool is_direct_store(const struct insn *insn)
{
	bool is_map =
		insn->encoding == INSN_EVEX ? insn->map == INSN_MAP_4 : insn->map == INSN_MAP_0F38;

	return is_map && insn->encoding != INSN_VEX && insn->opcode == 0xf8 &&
	       insn->simd != INSN_SIMD_NONE && insn->memory.present;
}

static void implied_by_opcode(const struct insn *insn, struct insn_operands *out)
{
	if (insn->encoding > INSN_REX2) {
		if (insn->encoding == INSN_VEX && insn->map == INSN_MAP_0F &&
		    insn->opcode == 0xf7 && insn->mod == 3)
			masked_move_operand(insn, &out->memory);
	} else if (insn->map == INSN_MAP_PRIMARY) {
		if (insn->opcode == 0xd7)
			xlat_operand(insn, &out->memory);
		else
			string_operands(insn, out);
	} else if (insn->map == INSN_MAP_0F && insn->mod == 3) {
		if (insn->opcode == 0xf7)
			masked_move_operand(insn, &out->memory);
		else
			addressed_by_register(insn, &out->memory);
	}
	if (is_direct_store(insn))
		direct_store_operand(insn, &out->other);
}

/* --- stack ----------------------------------------------------------------------------------- */

static void stack_use(struct insn_stack *stack, bool writes, unsigned bytes, unsigned count)
{
	stack->writes = writes;
	stack->reads = !writes;
	stack->bytes = (uint8_t)bytes;
	stack->count = (uint8_t)count;
}

static void enter_or_leave(const struct insn *insn, struct insn_stack *stack)
{
	unsigned level = (unsigned)((uint64_t)insn->immediate >> 16) & 31;

	if (insn->opcode == 0xc9) {
		stack->bytes = (uint8_t)decode_stack_bytes(insn);
		stack->frame = true;
		return;
	}
	stack_use(stack, true, decode_stack_bytes(insn), 1 + level);
	stack->frame = level > 1;
}

static void group5_stack(const struct insn *insn, struct insn_stack *stack)
{
	switch (insn->reg & 7) {
	case 2:
		stack_use(stack, true, decode_branch_bytes(insn), 1);
		return;
	case 3:
		stack_use(stack, true, 0, 0);
		return;
	case 6:
		stack_use(stack, true, decode_stack_bytes(insn), 1);
		return;
	}
}

static void primary_stack(const struct insn *insn, struct insn_stack *stack)
{
	unsigned bytes = decode_stack_bytes(insn);

	switch (insn->opcode) {
	case 0x06:
	case 0x0e:
	case 0x16:
	case 0x1e:
	case 0x50 ... 0x57:
	case 0x68:
	case 0x6a:
	case 0x9c:
		stack_use(stack, true, bytes, 1);
		return;
	case 0x07:
	case 0x17:
	case 0x1f:
	case 0x58 ... 0x5f:
	case 0x8f:
	case 0x9d:
		stack_use(stack, false, bytes, 1);
		return;
	case 0x60:
	case 0x61:
		stack_use(stack, insn->opcode == 0x60, bytes, 8);
		return;
	case 0xc2:
	case 0xc3:
	case 0xe8:
		stack_use(stack, insn->opcode == 0xe8, decode_branch_bytes(insn), 1);
		return;
	case 0xc8:
	case 0xc9:
		enter_or_leave(insn, stack);
		return;
	case 0xca:
	case 0xcb:
	case 0xcf:
		stack_use(stack, false, 0, 0);
		return;
	case 0x9a:
	case 0xcc ... 0xce:
	case 0xf1:
		stack_use(stack, true, 0, 0);
		return;
	case 0xff:
		group5_stack(insn, stack);
		return;
	}
}

static void stack_operands(const struct insn *insn, struct insn_stack *stack)
{
	if (insn->encoding <= INSN_REX2 && insn->map == INSN_MAP_PRIMARY)
		primary_stack(insn, stack);
	else if (insn->encoding <= INSN_REX2 && insn->map == INSN_MAP_0F &&
		 (insn->opcode & 0xf6) == 0xa0) /* FS and GS */
		stack_use(stack, (insn->opcode & 1) == 0, decode_stack_bytes(insn), 1);
	/* PUSH2 and POP2. */
	else if (insn->encoding == INSN_EVEX && insn->map == INSN_MAP_4 && insn->mod == 3 &&
		 (insn->opcode == 0x8f || (insn->opcode == 0xff && (insn->reg & 7) == 6)))
		stack_use(stack, insn->opcode == 0xff, 8, 2);
}

void decode_implied_operands(const struct insn *insn, struct insn_operands *out)
{
	implied_by_opcode(insn, out);
	stack_operands(insn, &out->stack);
}
