/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/emulate/cases.h"

/* --- the forms ----------------------------------------------------------------------------- */

enum kind {
	PLAIN,
	SHIFT,	/* by an immediate, CL or one */
	DOUBLE, /* SHLD, SHRD */
	BIT,	/* bit number in a register */
	OFFSET, /* MOV with an absolute address */
	EXCHANGE,
	PAIR,
	PUSH,
	POP,
	STRING,
};

/* Of operands in memory: a byte, the operand size, or as the name says. */
enum width { BYTE, FULL, WORD, DWORD };
enum immediate { NONE, IMM8, IMMZ };

enum {
	LOGICAL = FLAG_AF,
	BITS = FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF,
};

struct form {
	const char *name;
	uint8_t map, opcode;
	int8_t digit; /* /digit, or -1: a register */
	enum width width;
	enum immediate immediate;
	enum kind kind;
	bool lockable, modifies;
	uint16_t undefined;
};

#define ALU(name, base, digit, lock, undefined)                                        \
	{ name, 0, base, -1, BYTE, NONE, PLAIN, lock, lock, undefined },               \
		{ name, 0, base + 1, -1, FULL, NONE, PLAIN, lock, lock, undefined },   \
		{ name, 0, base + 2, -1, BYTE, NONE, PLAIN, false, false, undefined }, \
		{ name, 0, base + 3, -1, FULL, NONE, PLAIN, false, false, undefined }, \
		{ name, 0, 0x80, digit, BYTE, IMM8, PLAIN, lock, lock, undefined },    \
		{ name, 0, 0x81, digit, FULL, IMMZ, PLAIN, lock, lock, undefined },    \
	{                                                                              \
		name, 0, 0x83, digit, FULL, IMM8, PLAIN, lock, lock, undefined         \
	}

#define SHIFTS(name, digit)                                                  \
	{ name, 0, 0xc0, digit, BYTE, IMM8, SHIFT, false, true, 0 },         \
		{ name, 0, 0xc1, digit, FULL, IMM8, SHIFT, false, true, 0 }, \
		{ name, 0, 0xd0, digit, BYTE, NONE, SHIFT, false, true, 0 }, \
		{ name, 0, 0xd1, digit, FULL, NONE, SHIFT, false, true, 0 }, \
		{ name, 0, 0xd2, digit, BYTE, NONE, SHIFT, false, true, 0 }, \
	{                                                                    \
		name, 0, 0xd3, digit, FULL, NONE, SHIFT, false, true, 0      \
	}

#define BITTEST(name, opcode, digit, lock)                                   \
	{ name, 0x0f, opcode, -1, FULL, NONE, BIT, lock, lock, BITS },       \
	{                                                                    \
		name, 0x0f, 0xba, digit, FULL, IMM8, PLAIN, lock, lock, BITS \
	}

#define STRINGS(name, opcode)                                                \
	{ name, 0, opcode, -1, BYTE, NONE, STRING, false, false, 0 },        \
	{                                                                    \
		name, 0, opcode + 1, -1, FULL, NONE, STRING, false, false, 0 \
	}

#define PAIR_OF(name, map, opcode, digit, immediate, kind, lock, modifies, undefined)            \
	{ name, map, opcode, digit, BYTE, immediate, kind, lock, modifies, undefined },          \
	{                                                                                        \
		name, map, opcode + 1, digit, FULL, immediate == NONE ? NONE : IMMZ, kind, lock, \
			modifies, undefined                                                      \
	}

static const struct form forms[] = {
	ALU("add", 0x00, 0, true, 0),
	ALU("or", 0x08, 1, true, LOGICAL),
	ALU("adc", 0x10, 2, true, 0),
	ALU("sbb", 0x18, 3, true, 0),
	ALU("and", 0x20, 4, true, LOGICAL),
	ALU("sub", 0x28, 5, true, 0),
	ALU("xor", 0x30, 6, true, LOGICAL),
	ALU("cmp", 0x38, 7, false, 0),
	PAIR_OF("test", 0, 0x84, -1, NONE, PLAIN, false, false, LOGICAL),
	PAIR_OF("xchg", 0, 0x86, -1, NONE, PLAIN, true, true, 0),
	PAIR_OF("mov-store", 0, 0x88, -1, NONE, PLAIN, false, false, 0),
	PAIR_OF("mov-load", 0, 0x8a, -1, NONE, PLAIN, false, false, 0),
	PAIR_OF("mov-offset-load", 0, 0xa0, -1, NONE, OFFSET, false, false, 0),
	PAIR_OF("mov-offset-store", 0, 0xa2, -1, NONE, OFFSET, false, false, 0),
	PAIR_OF("mov-immediate", 0, 0xc6, 0, IMM8, PLAIN, false, false, 0),
	{ "mov-selector", 0, 0x8c, -1, WORD, NONE, PLAIN, false, false, 0 },
	PAIR_OF("test-immediate", 0, 0xf6, 0, IMM8, PLAIN, false, false, LOGICAL),
	PAIR_OF("not", 0, 0xf6, 2, NONE, PLAIN, true, true, 0),
	PAIR_OF("neg", 0, 0xf6, 3, NONE, PLAIN, true, true, 0),
	PAIR_OF("inc", 0, 0xfe, 0, NONE, PLAIN, true, true, 0),
	PAIR_OF("dec", 0, 0xfe, 1, NONE, PLAIN, true, true, 0),
	SHIFTS("rol", 0),
	SHIFTS("ror", 1),
	SHIFTS("rcl", 2),
	SHIFTS("rcr", 3),
	SHIFTS("shl", 4),
	SHIFTS("shr", 5),
	SHIFTS("sal", 6),
	SHIFTS("sar", 7),
	{ "shld", 0x0f, 0xa4, -1, FULL, IMM8, DOUBLE, false, true, 0 },
	{ "shld", 0x0f, 0xa5, -1, FULL, NONE, DOUBLE, false, true, 0 },
	{ "shrd", 0x0f, 0xac, -1, FULL, IMM8, DOUBLE, false, true, 0 },
	{ "shrd", 0x0f, 0xad, -1, FULL, NONE, DOUBLE, false, true, 0 },
	BITTEST("bt", 0xa3, 4, false),
	BITTEST("bts", 0xab, 5, true),
	BITTEST("btr", 0xb3, 6, true),
	BITTEST("btc", 0xbb, 7, true),
	PAIR_OF("cmpxchg", 0x0f, 0xb0, -1, NONE, EXCHANGE, true, true, 0),
	PAIR_OF("xadd", 0x0f, 0xc0, -1, NONE, PLAIN, true, true, 0),
	{ "cmpxchg-pair", 0x0f, 0xc7, 1, FULL, NONE, PAIR, true, true, 0 },
	{ "movzx", 0x0f, 0xb6, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "movzx", 0x0f, 0xb7, -1, WORD, NONE, PLAIN, false, false, 0 },
	{ "movsx", 0x0f, 0xbe, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "movsx", 0x0f, 0xbf, -1, WORD, NONE, PLAIN, false, false, 0 },
	{ "movsxd", 0, 0x63, -1, DWORD, NONE, PLAIN, false, false, 0 },
	{ "cmovo", 0x0f, 0x40, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "cmovae", 0x0f, 0x43, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "cmovbe", 0x0f, 0x46, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "cmovg", 0x0f, 0x4f, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "setz", 0x0f, 0x94, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "sets", 0x0f, 0x98, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "setp", 0x0f, 0x9a, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "setl", 0x0f, 0x9c, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "push", 0, 0xff, 6, FULL, NONE, PUSH, false, false, 0 },
	{ "pop", 0, 0x8f, 0, FULL, NONE, POP, false, false, 0 },
	STRINGS("movs", 0xa4),
	STRINGS("movs", 0xa4),
	STRINGS("cmps", 0xa6),
	STRINGS("cmps", 0xa6),
	STRINGS("stos", 0xaa),
	STRINGS("stos", 0xaa),
	STRINGS("lods", 0xac),
	STRINGS("scas", 0xae),
	STRINGS("scas", 0xae),
	STRINGS("ins", 0x6c),
	STRINGS("outs", 0x6e),
};

enum { FORM_COUNT = sizeof(forms) / sizeof(forms[0]) };

_Static_assert((int)FORM_COUNT <= (int)CASE_FORMS_MAX, "emulate.c counts them");

/* --- random numbers ------------------------------------------------------------------------- */

/* The instruction as it grows, and the registers that have a meaning already. */
struct maker {
	uint64_t *random;
	const struct case_limits *limits;
	const struct form *form;
	struct test_case *out;
	uint8_t operand_bytes; /* of the operand size */
	uint8_t bytes;	       /* of the operand in memory */
	uint8_t address_bytes, code_bytes;
	uint8_t rex;
	bool lock, repeats;
	int segment; /* of the override, -1: none */
	uint32_t pinned;
	int rip_at; /* where a displacement from RIP is to be patched in, or -1 */
	uint64_t rip_target;
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

static uint64_t any(struct maker *make)
{
	return probe_random(make->random);
}

static uint32_t below(struct maker *make, uint32_t limit)
{
	return (uint32_t)((any(make) >> 16) % limit);
}

static bool one_in(struct maker *make, uint32_t count)
{
	return below(make, count) == 0;
}

/* Often a value at an edge. */
static uint64_t any_value(struct maker *make)
{
	static const uint64_t edges[] = { 0,
					  1,
					  0x7f,
					  0x80,
					  0x7fff,
					  0x8000,
					  0x7fffffff,
					  0x80000000,
					  0x7fffffffffffffff,
					  0x8000000000000000,
					  0xffffffffffffffff };

	if (one_in(make, 4))
		return edges[below(make, sizeof(edges) / sizeof(edges[0]))];
	return any(make);
}

static uint64_t cut(uint64_t value, uint32_t bytes)
{
	return bytes >= 8 ? value : value & ((UINT64_C(1) << (8 * bytes)) - 1);
}

static bool is_64bit(const struct maker *make)
{
	return make->code_bytes == 8;
}

static void put(struct maker *make, uint64_t value, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		make->out->bytes[make->out->count++] = (uint8_t)(value >> (8 * i));
}

/* --- segments ------------------------------------------------------------------------------- */

static uint64_t base_of_selector(uint16_t selector)
{
	switch (selector) {
	case SELECTOR_DATA16_3:
	case SELECTOR_CODE16_3:
	case SELECTOR_SHORT_3:
	case SELECTOR_DOWN_3:
	case SELECTOR_SHORT16_3:
	case SELECTOR_DOWN16_3:
		return WINDOW;
	}
	return 0;
}

/* DS, ES, FS and GS may be segments that end or begin in the middle of the target page. */
static uint16_t data_selector(struct maker *make)
{
	const bool is_16 = make->out->mode == MODE_16_3;

	if (make->limits->qemu || !one_in(make, 8))
		return is_16 ? SELECTOR_DATA16_3 : SELECTOR_DATA_3;
	switch (below(make, 4)) {
	case 0:
		return is_16 ? SELECTOR_SHORT16_3 : SELECTOR_SHORT_3;
	case 1:
		return is_16 ? SELECTOR_DOWN16_3 : SELECTOR_DOWN_3;
	case 2:
		return is_16 ? SELECTOR_DATA16_3 : SELECTOR_READ_3;
	}
	return is_16 ? SELECTOR_CODE16_3 : SELECTOR_CODE32_3;
}

static void make_segments(struct maker *make)
{
	struct cpu_state *in = &make->out->in;

	switch (make->out->mode) {
	case MODE_64_0:
		in->cs = SELECTOR_CODE64_0;
		in->ss = in->ds = in->es = in->fs = in->gs = SELECTOR_DATA_0;
		return;
	case MODE_64_3:
		in->cs = SELECTOR_CODE64_3;
		in->ss = in->ds = in->es = in->fs = in->gs = SELECTOR_DATA_3;
		return;
	case MODE_32_3:
		in->cs = SELECTOR_CODE32_3;
		in->ss = SELECTOR_DATA_3;
		break;
	case MODE_16_3:
		in->cs = SELECTOR_CODE16_3;
		in->ss = SELECTOR_DATA16_3;
		break;
	}
	in->ds = data_selector(make);
	in->es = data_selector(make);
	in->fs = data_selector(make);
	in->gs = data_selector(make);
}

static uint64_t segment_base(const struct maker *make, int segment)
{
	const struct cpu_state *in = &make->out->in;

	if (is_64bit(make))
		return segment == SEG_FS ? in->fs_base : segment == SEG_GS ? in->gs_base : 0;
	switch (segment) {
	case SEG_ES:
		return base_of_selector(in->es);
	case SEG_CS:
		return base_of_selector((uint16_t)in->cs);
	case SEG_SS:
		return base_of_selector((uint16_t)in->ss);
	case SEG_FS:
		return base_of_selector(in->fs);
	case SEG_GS:
		return base_of_selector(in->gs);
	}
	return base_of_selector(in->ds);
}

/* Bases with which an offset of the address size reaches the window. */
static void make_bases(struct maker *make)
{
	const uint64_t offset = any(make);
	struct cpu_state *in = &make->out->in;

	if (make->address_bytes == 8) {
		in->fs_base = (uint64_t)((int64_t)(any(make) << 17) >> 17);
		in->gs_base = (uint64_t)((int64_t)(any(make) << 17) >> 17);
	} else {
		in->fs_base = TARGET_PAGE - (uint32_t)(offset | 0x10000);
		in->gs_base = TARGET_PAGE - (uint32_t)(offset >> 32 | 0x10000);
	}
}

/* The segment that an operand is reached through, of the one that its base register or the instruction implies. */
static int effective_segment(const struct maker *make, int implied)
{
	if (make->segment < 0 || (is_64bit(make) && make->segment < SEG_FS))
		return implied;
	return make->segment;
}

static uint64_t offset_of(const struct maker *make, int segment, uint64_t address)
{
	return cut(address - segment_base(make, segment), make->address_bytes);
}

/* --- registers ------------------------------------------------------------------------------ */

/* What lies above the address size is garbage. */
static void pin_pointer(struct maker *make, uint32_t reg, uint64_t value)
{
	uint64_t *gpr = &make->out->in.gpr[reg];

	if (make->address_bytes == 8)
		*gpr = value;
	else
		*gpr = (*gpr & ~cut(~UINT64_C(0), make->address_bytes)) |
		       cut(value, make->address_bytes);
	make->pinned |= 1u << reg;
}

static void make_registers(struct maker *make)
{
	for (uint32_t i = 0; i < 16; i++)
		make->out->in.gpr[i] = cut(any_value(make), is_64bit(make) ? 8 : 4);
}

static bool is_pinned(const struct maker *make, uint32_t reg)
{
	return (make->pinned >> reg & 1) != 0;
}

/* --- ModRM ---------------------------------------------------------------------------------- */

/* 16-bit forms: [BX+SI], [BX+DI], [BP+SI], [BP+DI], [SI], [DI], [BP], [BX]. */
static bool put_modrm16(struct maker *make, uint32_t reg, uint64_t address)
{
	static const uint8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const uint8_t indices[4] = { RSI, RDI, RSI, RDI };
	const uint32_t mod = below(make, 3), rm = below(make, 8), base = bases[rm];
	const bool direct = mod == 0 && rm == 6;
	const int segment = effective_segment(make, base == RBP && !direct ? SEG_SS : SEG_DS);
	uint64_t offset = offset_of(make, segment, address), displacement = any(make);

	put(make, mod << 6 | (reg & 7) << 3 | rm, 1);
	if (direct) {
		put(make, offset, 2);
		return true;
	}
	if (is_pinned(make, base) || (rm < 4 && is_pinned(make, indices[rm])))
		return false;
	displacement = mod == 0	  ? 0
		       : mod == 1 ? (uint64_t)(int8_t)displacement
				  : (uint64_t)(int16_t)displacement;
	put(make, displacement, mod);
	offset -= displacement;
	if (rm < 4) {
		offset -= make->out->in.gpr[indices[rm]];
		make->pinned |= 1u << indices[rm];
	}
	pin_pointer(make, base, offset);
	return true;
}

struct sib {
	bool has_base, has_index;
	uint32_t base, index, scale;
};

/* mod = 0 and base 5 mean a displacement alone: from RIP in 64-bit mode without SIB, else absolute. */
static bool put_displacement_only(struct maker *make, const struct sib *sib, bool from_rip,
				  uint64_t offset)
{
	uint64_t displacement = offset;

	if (from_rip) {
		make->rip_at = (int)make->out->count;
		make->rip_target = offset;
		put(make, 0, 4);
		return true;
	}
	if (sib->has_index) {
		displacement = (uint64_t)(int32_t)any(make);
		if (sib->scale != 0 || is_pinned(make, sib->index))
			return false;
		pin_pointer(make, sib->index, offset - displacement);
	}
	put(make, displacement, 4);
	/* Sign extended in 64-bit addressing. */
	return make->address_bytes == 4 || displacement == (uint64_t)(int32_t)displacement;
}

static bool put_base_and_displacement(struct maker *make, const struct sib *sib, uint32_t mod,
				      uint64_t offset)
{
	uint64_t displacement = any(make);

	if (is_pinned(make, sib->base) || (sib->has_index && is_pinned(make, sib->index)) ||
	    (sib->has_index && sib->index == sib->base))
		return false;
	displacement = mod == 0	  ? 0
		       : mod == 1 ? (uint64_t)(int8_t)displacement
				  : (uint64_t)(int32_t)displacement;
	put(make, displacement, mod == 2 ? 4 : mod);
	offset -= displacement;
	if (sib->has_index) {
		offset -= make->out->in.gpr[sib->index] << sib->scale;
		make->pinned |= 1u << sib->index;
	}
	pin_pointer(make, sib->base, offset);
	return true;
}

/* PUSH and POP relative to RSP, which points to the stack already. */
static bool put_from_rsp(struct maker *make, uint32_t reg, uint64_t address)
{
	const int segment = effective_segment(make, SEG_SS);
	uint64_t rsp = make->out->in.gpr[RSP] + (make->form->kind == POP ? make->bytes : 0);

	put(make, 0x84 | (reg & 7) << 3, 1);
	put(make, 0x24, 1);
	put(make, offset_of(make, segment, address) - rsp, 4);
	return make->address_bytes == 4 ||
	       (int64_t)(offset_of(make, segment, address) - rsp) ==
		       (int32_t)(offset_of(make, segment, address) - rsp);
}

static bool put_modrm(struct maker *make, uint32_t reg, uint64_t address)
{
	const uint32_t mod = below(make, 3), rm = below(make, 8);
	const uint32_t sib_byte = below(make, 256), b = make->rex & 1 ? 8 : 0;
	struct sib sib = { .has_base = true, .base = rm + b };
	bool displacement_only;
	uint64_t offset;

	if (make->address_bytes == 2)
		return put_modrm16(make, reg, address);
	/* With REX.X or B the same bytes name R12. */
	if ((make->form->kind == PUSH || make->form->kind == POP) && (make->rex & 3) == 0 &&
	    one_in(make, 4))
		return put_from_rsp(make, reg, address);
	put(make, mod << 6 | (reg & 7) << 3 | rm, 1);
	if (rm == 4) {
		put(make, sib_byte, 1);
		sib.base = (sib_byte & 7) + b;
		sib.index = (sib_byte >> 3 & 7) + (make->rex & 2 ? 8 : 0);
		sib.has_index = sib.index != 4;
		sib.scale = sib_byte >> 6;
	}
	displacement_only = mod == 0 && (sib.base & 7) == 5;
	offset = offset_of(
		make,
		effective_segment(make, !displacement_only && (sib.base == RSP || sib.base == RBP)
						? SEG_SS
						: SEG_DS),
		address);
	if (displacement_only)
		return put_displacement_only(make, &sib, rm == 5 && is_64bit(make), offset);
	return put_base_and_displacement(make, &sib, mod, offset);
}

/* --- prefixes and sizes ---------------------------------------------------------------------- */

static void make_sizes(struct maker *make)
{
	const bool small = one_in(make, 4), other_address = one_in(make, 6);
	static const uint8_t prefixes[6] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };

	if (small)
		put(make, 0x66, 1);
	if (other_address)
		put(make, 0x67, 1);
	make->segment = one_in(make, 5) ? (int)below(make, 6) : -1;
	if (make->segment == SEG_CS && !is_64bit(make) && make->limits->qemu)
		make->segment = -1;
	if (make->segment >= 0)
		put(make, prefixes[make->segment], 1);
	make->rex = is_64bit(make) && one_in(make, 2) ? (uint8_t)(0x40 | below(make, 16)) : 0;
	if (make->code_bytes == 2)
		make->operand_bytes = small ? 4 : 2;
	else
		make->operand_bytes = make->rex & 8 ? 8 : small ? 2 : 4;
	if (is_64bit(make))
		make->address_bytes = other_address ? 4 : 8;
	else
		make->address_bytes = (make->code_bytes == 2) == other_address ? 4 : 2;
}

static uint8_t memory_bytes(const struct maker *make)
{
	switch (make->form->width) {
	case BYTE:
		return 1;
	case WORD:
		return 2;
	case DWORD:
		return 4;
	case FULL:
		break;
	}
	switch (make->form->kind) {
	case PUSH:
	case POP:
		return is_64bit(make) ? (make->operand_bytes == 2 ? 2 : 8) : make->operand_bytes;
	case PAIR:
		return make->operand_bytes == 8 ? 16 : 8;
	default:
		return make->operand_bytes;
	}
}

static void make_prefixes(struct maker *make)
{
	make->lock = make->form->lockable ? one_in(make, 4) : one_in(make, 50);
	if (make->lock)
		put(make, 0xf0, 1);
	make->repeats = make->form->kind == STRING && !one_in(make, 3);
	if (is_64bit(make) && make->address_bytes == 4 && make->limits->bochs)
		make->repeats = false;
	if (make->repeats)
		put(make, 0xf2 + below(make, 2), 1);
	if (make->rex)
		put(make, make->rex, 1);
}

/* --- where operands lie ---------------------------------------------------------------------- */

/* In the target page, or across one of its ends. */
static uint64_t any_target(struct maker *make)
{
	const uint32_t bytes = make->bytes;

	if (make->form->kind == PAIR && bytes == 16 && !one_in(make, 8))
		return TARGET_PAGE + below(make, PAGE / 16) * 16;
	if (bytes == 1 || one_in(make, 2))
		return TARGET_PAGE + below(make, PAGE - bytes + 1);
	if (one_in(make, 2))
		return TARGET_PAGE - 1 - below(make, bytes - 1);
	return TARGET_PAGE + PAGE - 1 - below(make, bytes - 1);
}

static uint64_t any_other(struct maker *make)
{
	if (one_in(make, 3))
		return OTHER_PAGES + PAGE * (1 + below(make, 2)) - 24 + below(make, 48);
	return OTHER_PAGES + PAGE + 64 + below(make, PAGE - 128);
}

/* Where a string begins that runs in or into the target page. */
static uint64_t any_string(struct maker *make)
{
	switch (below(make, 4)) {
	case 0:
		return TARGET_PAGE - 64 + below(make, 128);
	case 1:
		return TARGET_PAGE + PAGE - 64 + below(make, 128);
	}
	return TARGET_PAGE + 170 + below(make, PAGE - 340);
}

static uint8_t *byte_at(const struct world *world, uint64_t address)
{
	const uint64_t page = address / PAGE;

	if (page >= DATA_PAGES / PAGE && page < DATA_PAGES / PAGE + DATA_COUNT)
		return &world->frames[page - DATA_PAGES / PAGE][address % PAGE];
	if (page >= OTHER_PAGES / PAGE && page < OTHER_PAGES / PAGE + DATA_COUNT)
		return &world->frames[DATA_COUNT + page - OTHER_PAGES / PAGE][address % PAGE];
	return NULL;
}

static void fill(uint64_t address, uint64_t value, bool repeat, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		for (uint32_t world = 0; world < 2; world++) {
			uint8_t *at = byte_at(&worlds[world], address + i);

			if (at)
				*at = (uint8_t)(value >> (repeat ? 0 : i % 8 * 8));
		}
	}
}

static uint64_t memory_value(uint64_t address, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < bytes; i++) {
		const uint8_t *at = byte_at(&worlds[0], address + i);

		value |= (uint64_t)(at ? *at : 0) << (8 * i);
	}
	return value;
}

/* --- instructions ---------------------------------------------------------------------------- */

static void put_opcode(struct maker *make)
{
	if (make->form->map)
		put(make, make->form->map, 1);
	put(make, make->form->opcode, 1);
}

static void put_immediate(struct maker *make)
{
	if (make->form->immediate == IMM8)
		put(make, any_value(make), 1);
	else if (make->form->immediate == IMMZ)
		put(make, any_value(make), make->operand_bytes == 2 ? 2 : 4);
}

/* How often a shift shifts: what follows the operand, CL, or one. */
static uint32_t shift_count(const struct maker *make)
{
	uint32_t count = 1;

	if (make->form->immediate == IMM8)
		count = make->out->bytes[make->out->count - 1];
	else if (make->form->kind == DOUBLE || (make->form->opcode & 0xfe) == 0xd2)
		count = make->out->in.gpr[RCX] & 0xff;
	return count & (make->operand_bytes == 8 && make->bytes == 8 ? 63 : 31);
}

/*
 * SDM, "Flags Affected": OF is defined for shifts and rotates by one only; AF is undefined after a shift, and CF after SHL and
 * SHR by the width or more. SHLD and SHRD by more than the width have no defined result: no such case.
 */
static bool shift_undefined(struct maker *make)
{
	const uint32_t count = shift_count(make), bits = 8u * make->bytes;
	const bool rotates = make->form->kind == SHIFT && make->form->digit < 4;
	uint64_t undefined = 0;

	if (count == 0)
		return true;
	if (make->form->kind == DOUBLE && count > bits)
		return false;
	if (!rotates)
		undefined |= FLAG_AF;
	if (count != 1)
		undefined |= FLAG_OF;
	if (!rotates && make->form->digit != 7 && count >= bits)
		undefined |= FLAG_CF;
	if (make->form->kind == DOUBLE && count == bits)
		undefined |= FLAG_CF | FLAG_OF;
	make->out->undefined = undefined;
	return true;
}

/* A bit number that moves the address by whole operands, mostly not far. Returns by how much. */
static uint64_t make_bit_number(struct maker *make, uint32_t reg)
{
	const uint32_t bytes = make->bytes, shift = bytes == 8 ? 6 : bytes == 4 ? 5 : 4;
	uint64_t *gpr = &make->out->in.gpr[reg];
	int64_t number;

	if (!one_in(make, 4)) {
		number = (int64_t)below(make, 4096) - 2048;
		*gpr = (*gpr & ~cut(~UINT64_C(0), bytes)) | cut((uint64_t)number, bytes);
	}
	make->pinned |= 1u << reg;
	number = (int64_t)(*gpr << (64 - 8 * bytes)) >> (64 - 8 * bytes);
	return (uint64_t)(number >> shift) * bytes;
}

static void make_equal(struct maker *make, uint64_t target)
{
	struct cpu_state *in = &make->out->in;
	const uint32_t half = make->bytes / 2;

	if (one_in(make, 2))
		return;
	if (make->form->kind == PAIR) {
		in->gpr[RAX] = memory_value(target, half);
		in->gpr[RDX] = memory_value(target + half, half);
		make->pinned |= 1u << RAX | 1u << RDX;
	} else {
		in->gpr[RAX] = (in->gpr[RAX] & ~cut(~UINT64_C(0), make->bytes)) |
			       memory_value(target, make->bytes);
		make->pinned |= 1u << RAX;
	}
}

/* The stack lies beside the operand; sometimes it is the target, and the operand lies beside. */
static void make_stack(struct maker *make, uint64_t *target)
{
	const bool on_target = one_in(make, 3);
	const uint64_t base = segment_base(make, SEG_SS);
	uint64_t rsp = on_target ? *target : any_other(make);

	if (on_target)
		*target = any_other(make);
	make->out->places[1] = on_target ? *target : rsp;
	if (make->form->kind == PUSH)
		rsp += make->bytes;
	make->out->in.gpr[RSP] = rsp - base;
	if (is_64bit(make) && one_in(make, 40) && !make->limits->qemu)
		make->out->in.gpr[RSP] = UINT64_C(0x1234567800000000);
	make->pinned |= 1u << RSP;
}

static bool make_memory_form(struct maker *make)
{
	const uint32_t r = make->rex & 4 ? 8 : 0;
	const uint32_t reg =
		make->form->digit >= 0 ? (uint32_t)make->form->digit : below(make, 8) + r;
	uint64_t target = any_target(make), moved = 0;

	if (make->form->opcode == 0x8c && !make->form->map && (reg & 7) > SEG_GS)
		return false;
	fill(target, any_value(make), false, make->bytes);
	make->out->places[0] = target;
	if (make->form->kind == BIT)
		moved = make_bit_number(make, reg);
	if (make->form->kind == EXCHANGE || make->form->kind == PAIR)
		make_equal(make, target);
	if (make->form->kind == PUSH || make->form->kind == POP)
		make_stack(make, &target);
	put_opcode(make);
	if (make->form->kind == OFFSET)
		put(make, offset_of(make, effective_segment(make, SEG_DS), target),
		    make->address_bytes);
	else if (!put_modrm(make, reg, target - moved))
		return false;
	put_immediate(make);
	if (make->form->kind == SHIFT || make->form->kind == DOUBLE)
		return shift_undefined(make);
	return true;
}

static bool has_source(uint8_t opcode)
{
	return opcode == 0xa4 || opcode == 0xa6 || opcode == 0xac || opcode == 0x6e;
}

static bool has_destination(uint8_t opcode)
{
	return opcode != 0xac && opcode != 0x6e;
}

static bool compares(uint8_t opcode)
{
	return opcode == 0xa6 || opcode == 0xae;
}

/* Bytes that compare equal for a while. */
static void make_comparable(struct maker *make, uint64_t source, uint64_t destination)
{
	const uint8_t value = (uint8_t)any(make);

	fill(source - 160, value, true, 320);
	fill(destination - 160, value, true, 320);
	if (one_in(make, 2))
		fill(destination + below(make, 160), any(make), true, 1);
	if (one_in(make, 2))
		fill(destination - below(make, 160), any(make), true, 1);
	if (one_in(make, 2))
		make->out->in.gpr[RAX] = value * UINT64_C(0x0101010101010101);
}

enum { SCRATCH_PORT = 0x3ff, CONFIG_PORT = 0xcf8 };

static bool make_string(struct maker *make)
{
	const uint8_t opcode = make->form->opcode & 0xfe;
	const bool is_io = opcode == 0x6c || opcode == 0x6e;
	uint64_t source = any_string(make), destination = any_string(make);

	if (is_io && make->bytes == 8)
		make->bytes = 4;
	/* The serial line's scratch register, and the one that names a place in PCI configuration space. */
	if (is_io && (make->out->mode != MODE_64_0 || make->bytes == 2))
		return false;
	if (has_source(opcode) && has_destination(opcode)) {
		if (one_in(make, 3))
			source = any_other(make);
		else if (one_in(make, 2))
			destination = any_other(make);
	}
	if (make->limits->bochs && make->repeats && opcode == 0xa4 &&
	    source - destination + make->bytes < 2u * make->bytes)
		destination = any_other(make);
	if (compares(opcode) && !one_in(make, 4))
		make_comparable(make, source, destination);
	pin_pointer(make, RSI, offset_of(make, effective_segment(make, SEG_DS), source));
	pin_pointer(make, RDI, offset_of(make, SEG_ES, destination));
	if (is_64bit(make) && make->address_bytes == 8 && one_in(make, 40))
		make->out->in.gpr[one_in(make, 2) ? RSI : RDI] ^= UINT64_C(1) << 60;
	if (make->repeats)
		pin_pointer(make, RCX, below(make, 21));
	if (is_io)
		make->out->in.gpr[RDX] = make->bytes == 1 ? SCRATCH_PORT : CONFIG_PORT;
	make->out->places[0] = source;
	make->out->places[1] = destination;
	put_opcode(make);
	return true;
}

/* --- the rest of the state ------------------------------------------------------------------- */

static bool is_last_iteration(const struct maker *make)
{
	return make->repeats && cut(make->out->in.gpr[RCX], make->address_bytes) == 1;
}

static void make_flags(struct maker *make)
{
	uint64_t flags = 2;

	flags |= any(make) & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF);
	if (one_in(make, 4))
		flags |= FLAG_DF;
	if (one_in(make, 16) && !(make->limits->qemu && is_last_iteration(make)))
		flags |= FLAG_TF;
	if (one_in(make, 16) && !make->limits->qemu)
		flags |= FLAG_RF;
	if (one_in(make, 4) && (make->out->mode == MODE_64_0 || !make->limits->qemu))
		flags |= FLAG_AC;
	make->out->in.rflags = flags;
}

/* Seldom, a page beside the target is absent, read-only or the kernel's, and more seldom the target itself. */
static void make_rights(struct maker *make)
{
	static const uint8_t choice[] = { 0, PAGE_PRESENT | PAGE_USER,
					  PAGE_PRESENT | PAGE_WRITABLE };

	for (uint32_t i = 0; i < WORLD_PAGES; i++)
		make->out->rights[i] = PAGE_ALL;
	if (one_in(make, 6))
		make->out->rights[below(make, WORLD_PAGES)] = choice[below(make, sizeof(choice))];
}

static void make_mode(struct maker *make)
{
	static const uint8_t code_bytes[] = { 8, 8, 4, 2 };
	const uint32_t number = below(make, 16);

	make->out->mode = number < 10	? MODE_64_0
			  : number < 13 ? MODE_64_3
			  : number < 15 ? MODE_32_3
					: MODE_16_3;
	make->code_bytes = code_bytes[make->out->mode];
}

/* The displacement counts from the next instruction. */
static bool patch_rip(struct maker *make)
{
	struct test_case *out = make->out;
	uint64_t displacement;

	out->in.rip = CODE_PAGE + out->code_offset - base_of_selector((uint16_t)out->in.cs);
	if (make->rip_at < 0)
		return true;
	displacement = make->rip_target - (out->in.rip + out->count);
	for (uint32_t i = 0; i < 4; i++)
		out->bytes[make->rip_at + (int)i] = (uint8_t)(displacement >> (8 * i));
	return make->address_bytes == 4 || displacement == (uint64_t)(int32_t)displacement;
}

uint32_t case_form_count(void)
{
	return FORM_COUNT;
}

const char *case_form_name(uint32_t form)
{
	return forms[form].name;
}

bool case_make(uint64_t *random, const struct case_limits *limits, struct test_case *out)
{
	struct maker make = { .random = random, .limits = limits, .out = out, .rip_at = -1 };

	*out = (struct test_case){ .count = 0 };
	out->form = below(&make, FORM_COUNT);
	make.form = &forms[out->form];
	out->name = make.form->name;
	out->undefined = make.form->undefined;
	out->modifies = make.form->modifies;
	make_mode(&make);
	if (make.form->opcode == 0x63 && !is_64bit(&make))
		return false;
	make_registers(&make);
	make_segments(&make);
	make_sizes(&make);
	make_bases(&make);
	make.bytes = memory_bytes(&make);
	make_prefixes(&make);
	if (!(make.form->kind == STRING ? make_string(&make) : make_memory_form(&make)))
		return false;
	if (make.form->opcode == 0x63 && make.operand_bytes == 2)
		return false;
	out->code_offset = below(&make, PAGE - 2 * INSN_MAX);
	make_flags(&make);
	make_rights(&make);
	return out->count <= INSN_MAX && patch_rip(&make);
}
