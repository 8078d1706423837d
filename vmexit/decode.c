/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode.h"

/* --- opcode tables ------------------------------------------------------------------------- */

/* What follows an opcode: bits 0-3 the kind of immediate, then flags. */
enum immediate {
	IMM_NONE,
	IMM_8,
	IMM_16,
	IMM_Z,	    /* 2 or 4 bytes by operand size */
	IMM_V,	    /* 2, 4 or 8 */
	IMM_BRANCH, /* as IMM_Z, but 4 in 64-bit mode (so Intel; AMD takes 2 after a 66 prefix) */
	IMM_OFFSET, /* an address, by address size */
	IMM_FAR,    /* IMM_Z and a selector */
	IMM_ENTER,  /* 2 + 1 */
	IMM_GROUP3, /* TEST is /0 and /1 of the group: 1 or IMM_Z; the others have none */
	IMM_SSE4A,  /* EXTRQ and INSERTQ (66 and F2): 1 + 1; VMREAD has none */
	IMM_32,
	IMM_64,
};

#define ATTR_IMMEDIATE 0x0fu
#define ATTR_MODRM     0x10u
#define ATTR_REGISTER  0x20u /* ModRM names registers whatever its mod field says */
#define ATTR_NOT_64    0x40u
#define ATTR_UNDEFINED 0x80u

/*
 * The tables' alphabet: M ModRM, then the immediate; x undefined, n not in 64-bit mode, p a prefix.
 */
#define o	       IMM_NONE
#define b	       IMM_8
#define w	       IMM_16
#define z	       IMM_Z
#define v	       IMM_V
#define r	       IMM_BRANCH
#define a	       IMM_OFFSET
#define e	       IMM_ENTER
#define M	       ATTR_MODRM
#define Mb	       (ATTR_MODRM | IMM_8)
#define Mz	       (ATTR_MODRM | IMM_Z)
#define M3	       (ATTR_MODRM | IMM_GROUP3)
#define Ms	       (ATTR_MODRM | IMM_SSE4A)
#define Mr	       (ATTR_MODRM | ATTR_REGISTER)
#define n	       ATTR_NOT_64
#define nb	       (ATTR_NOT_64 | IMM_8)
#define nf	       (ATTR_NOT_64 | IMM_FAR)
#define Mn	       (ATTR_NOT_64 | ATTR_MODRM | IMM_8)
#define x	       ATTR_UNDEFINED
#define p	       ATTR_UNDEFINED

/* clang-format off */

/* SDM: "One-Byte Opcode Map"; C4, C5 and 62 are here as LES, LDS and BOUND. */
static const uint8_t primary_attributes[256] = {
/*        0   1   2   3   4   5   6   7   8   9   a   b   c   d   e   f */
/* 00 */  M,  M,  M,  M,  b,  z,  n,  n,  M,  M,  M,  M,  b,  z,  n,  p,
/* 10 */  M,  M,  M,  M,  b,  z,  n,  n,  M,  M,  M,  M,  b,  z,  n,  n,
/* 20 */  M,  M,  M,  M,  b,  z,  p,  n,  M,  M,  M,  M,  b,  z,  p,  n,
/* 30 */  M,  M,  M,  M,  b,  z,  p,  n,  M,  M,  M,  M,  b,  z,  p,  n,
/* 40 */  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,  n,
/* 50 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* 60 */  n,  n,  M,  M,  p,  p,  p,  p,  z,  Mz, b,  Mb, o,  o,  o,  o,
/* 70 */  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,  b,
/* 80 */  Mb, Mz, Mn, Mb, M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* 90 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  nf, o,  o,  o,  o,  o,
/* a0 */  a,  a,  a,  a,  o,  o,  o,  o,  b,  z,  o,  o,  o,  o,  o,  o,
/* b0 */  b,  b,  b,  b,  b,  b,  b,  b,  v,  v,  v,  v,  v,  v,  v,  v,
/* c0 */  Mb, Mb, w,  o,  M,  M,  Mb, Mz, e,  o,  w,  o,  o,  b,  n,  o,
/* d0 */  M,  M,  M,  M,  nb, nb, n,  o,  M,  M,  M,  M,  M,  M,  M,  M,
/* e0 */  b,  b,  b,  b,  b,  b,  b,  b,  r,  r,  nf, b,  o,  o,  o,  o,
/* f0 */  p,  o,  p,  p,  o,  o,  M3, M3, o,  o,  o,  o,  o,  o,  M,  M,
};

/* SDM: "Two-Byte Opcode Map"; 0E and 0F are 3DNow! (its opcode comes last, like an immediate). */
static const uint8_t secondary_attributes[256] = {
/*        0   1   2   3   4   5   6   7   8   9   a   b   c   d   e   f */
/* 00 */  M,  M,  M,  M,  x,  o,  o,  o,  o,  o,  x,  o,  x,  M,  o,  Mb,
/* 10 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* 20 */  Mr, Mr, Mr, Mr, x,  x,  x,  x,  M,  M,  M,  M,  M,  M,  M,  M,
/* 30 */  o,  o,  o,  o,  o,  o,  x,  o,  p,  x,  p,  x,  x,  x,  x,  x,
/* 40 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* 50 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* 60 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* 70 */  Mb, Mb, Mb, Mb, M,  M,  M,  o,  Ms, M,  x,  x,  M,  M,  M,  M,
/* 80 */  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,  r,
/* 90 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* a0 */  o,  o,  o,  M,  Mb, M,  M,  M,  o,  o,  o,  M,  Mb, M,  M,  M,
/* b0 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  Mb, M,  M,  M,  M,  M,
/* c0 */  M,  M,  Mb, M,  Mb, Mb, Mb, M,  o,  o,  o,  o,  o,  o,  o,  o,
/* d0 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* e0 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
/* f0 */  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,  M,
};

/* clang-format on */

#undef o
#undef b
#undef w
#undef z
#undef v
#undef r
#undef a
#undef e
#undef M
#undef Mb
#undef Mz
#undef M3
#undef Ms
#undef Mr
#undef n
#undef nb
#undef nf
#undef Mn
#undef x
#undef p

/* --- reading bytes ------------------------------------------------------------------------- */

/* An overrun sticks, so that only the end of the decoder has to ask. */
struct cursor {
	const uint8_t *bytes;
	unsigned count;
	unsigned at;
	bool overrun;
};

static uint8_t next(struct cursor *cursor)
{
	if (cursor->at < cursor->count)
		return cursor->bytes[cursor->at++];
	cursor->overrun = true;
	return 0;
}

static uint8_t peek(const struct cursor *cursor)
{
	return cursor->at < cursor->count ? cursor->bytes[cursor->at] : 0;
}

/* Little-endian, sign extended. */
static int64_t next_number(struct cursor *cursor, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;
	uint64_t value = 0;
	unsigned i;

	if (bytes == 0)
		return 0;
	for (i = 0; i < bytes; i++)
		value |= (uint64_t)next(cursor) << (8 * i);
	return (int64_t)(value << unused) >> unused;
}

/* --- prefixes ------------------------------------------------------------------------------ */

/* What the prefixes leave for the rest; r, x and b are ready to be added to register numbers. */
struct prefixes {
	bool address_override;
	uint8_t r, x, b;
};

static void override_segment(struct insn *insn, enum segment_index segment)
{
	/* SDM: "Legacy Prefixes": in 64-bit mode CS, DS, ES and SS overrides are ignored. */
	if (insn->code_bytes == 8 && segment < SEGMENT_FS)
		return;
	insn->has_segment = true;
	insn->segment = segment;
}

/* Take one legacy prefix. False: the byte is none. */
static bool legacy_prefix(uint8_t byte, struct prefixes *prefixes, struct insn *insn)
{
	switch (byte) {
	case 0x26:
		override_segment(insn, SEGMENT_ES);
		return true;
	case 0x2e:
		override_segment(insn, SEGMENT_CS);
		return true;
	case 0x36:
		override_segment(insn, SEGMENT_SS);
		return true;
	case 0x3e:
		override_segment(insn, SEGMENT_DS);
		return true;
	case 0x64:
		override_segment(insn, SEGMENT_FS);
		return true;
	case 0x65:
		override_segment(insn, SEGMENT_GS);
		return true;
	case 0x66:
		insn->operand_override = true;
		return true;
	case 0x67:
		prefixes->address_override = true;
		return true;
	case 0xf0:
		insn->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		insn->repne = byte == 0xf2;
		insn->rep = byte == 0xf3;
		return true;
	}
	return false;
}

static void take_rex(uint8_t rex, struct prefixes *prefixes, struct insn *insn)
{
	insn->w = (rex & 8) != 0;
	prefixes->r = (uint8_t)((rex & 4) << 1);
	prefixes->x = (uint8_t)((rex & 2) << 2);
	prefixes->b = (uint8_t)((rex & 1) << 3);
}

/* All prefixes up to the first byte of the opcode. A REX counts only directly before it. */
static void take_prefixes(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	uint8_t byte, rex = 0;

	for (;; (void)next(cursor)) {
		byte = peek(cursor);
		if (legacy_prefix(byte, prefixes, insn))
			rex = 0;
		else if (insn->code_bytes == 8 && (byte & 0xf0) == 0x40)
			rex = byte;
		else
			break;
	}
	insn->rex = rex != 0;
	take_rex(rex, prefixes, insn);
	insn->simd = insn->rep		      ? INSN_SIMD_F3
		     : insn->repne	      ? INSN_SIMD_F2
		     : insn->operand_override ? INSN_SIMD_66
					      : INSN_SIMD_NONE;
}

/* --- opcodes ------------------------------------------------------------------------------- */

/* Attributes of an instruction of maps 1-7 behind VEX or EVEX. */
static uint8_t vector_attributes(const struct insn *insn)
{
	switch (insn->map) {
	case INSN_MAP_0F:
		if (insn->opcode == 0x77 && insn->encoding == INSN_VEX)
			return IMM_NONE; /* VZEROUPPER */
		if ((insn->opcode & 0xfc) == 0x70 || insn->opcode == 0xc2 ||
		    (insn->opcode >= 0xc4 && insn->opcode <= 0xc6))
			return ATTR_MODRM | IMM_8;
		return ATTR_MODRM;
	case INSN_MAP_0F3A:
		return ATTR_MODRM | IMM_8;
	case INSN_MAP_7:
		return ATTR_MODRM | IMM_32;
	default:
		return ATTR_MODRM;
	}
}

/* Map 4 holds what APX promoted from the first two maps, mostly at the old places. */
static uint8_t promoted_attributes(uint8_t opcode)
{
	switch (opcode) {
	case 0x24: /* SHLD */
	case 0x2c: /* SHRD */
		return ATTR_MODRM | IMM_8;
	case 0x69:
	case 0x6b:
	case 0x80:
	case 0x81:
	case 0x83:
	case 0xc0:
	case 0xc1:
	case 0xf6:
	case 0xf7:
		return primary_attributes[opcode];
	default:
		return ATTR_MODRM;
	}
}

/* SDM: "Intel AVX ... VEX prefix": a legacy SIMD prefix, LOCK or REX before it is #UD. */
static bool vector_prefix_is_legal(const struct insn *insn)
{
	return !insn->lock && !insn->rep && !insn->repne && !insn->operand_override && !insn->rex;
}

/* The bits are stored inverted; outside 64-bit mode there are no registers to extend to. */
static void take_inverted_rxb(uint8_t rxb, struct prefixes *prefixes, const struct insn *insn)
{
	if (insn->code_bytes != 8)
		return;
	prefixes->r = (rxb & 0x80) != 0 ? 0 : 8;
	prefixes->x = (rxb & 0x40) != 0 ? 0 : 8;
	prefixes->b = (rxb & 0x20) != 0 ? 0 : 8;
}

/* W, vvvv (inverted) and pp, in one place of VEX, EVEX and XOP. */
static void take_w_vvvv_pp(uint8_t byte, struct insn *insn)
{
	insn->w = (byte & 0x80) != 0;
	insn->vvvv = (uint8_t)((~byte >> 3) & (insn->code_bytes == 8 ? 0xf : 7));
	insn->simd = (enum insn_simd_prefix)(byte & 3);
}

static uint8_t take_vex2(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	uint8_t byte = next(cursor);

	insn->encoding = INSN_VEX;
	insn->map = INSN_MAP_0F;
	take_inverted_rxb(byte | 0x60, prefixes, insn);
	take_w_vvvv_pp(byte & 0x7f, insn);
	insn->vector_bytes = (byte & 4) != 0 ? 32 : 16;
	insn->opcode = next(cursor);
	return vector_attributes(insn);
}

/* VEX of three bytes, and XOP. */
static void take_rxb_map(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	uint8_t rxb_map = next(cursor), byte = next(cursor);

	insn->map = (enum insn_map)(rxb_map & 0x1f);
	take_inverted_rxb(rxb_map, prefixes, insn);
	take_w_vvvv_pp(byte, insn);
	insn->vector_bytes = (byte & 4) != 0 ? 32 : 16;
	insn->opcode = next(cursor);
}

static uint8_t take_vex3(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	insn->encoding = INSN_VEX;
	take_rxb_map(cursor, prefixes, insn);
	switch (insn->map) {
	case INSN_MAP_0F:
	case INSN_MAP_0F38:
	case INSN_MAP_0F3A:
	case INSN_MAP_5:
	case INSN_MAP_7:
		return vector_attributes(insn);
	default:
		return ATTR_UNDEFINED;
	}
}

static uint8_t take_xop(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	insn->encoding = INSN_XOP;
	take_rxb_map(cursor, prefixes, insn);
	switch (insn->map) {
	case INSN_MAP_XOP8:
		return ATTR_MODRM | IMM_8;
	case INSN_MAP_XOP9:
		return ATTR_MODRM;
	case INSN_MAP_XOPA:
		return ATTR_MODRM | IMM_32;
	default:
		return ATTR_UNDEFINED;
	}
}

/* The fifth bits: R4 and X4 stored inverted, B4 as it is, V4 inverted. SDM: "EVEX Prefix"; APX: "Extended EVEX". */
static void take_evex_high_bits(uint8_t p0, uint8_t p1, uint8_t p2, struct prefixes *prefixes,
				struct insn *insn)
{
	if (insn->code_bytes != 8)
		return;
	prefixes->r |= (p0 & 0x10) != 0 ? 0 : 16;
	prefixes->b |= (p0 & 0x08) != 0 ? 16 : 0;
	prefixes->x |= (p1 & 0x04) != 0 ? 0 : 16;
	insn->vvvv |= (p2 & 0x08) != 0 ? 0 : 16;
}

static uint8_t take_evex(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	static const uint8_t vector_bytes[4] = { 16, 32, 64, 0 };
	uint8_t p0 = next(cursor), p1 = next(cursor), p2 = next(cursor);

	insn->encoding = INSN_EVEX;
	insn->map = (enum insn_map)(p0 & 7);
	insn->opcode = next(cursor);
	take_inverted_rxb(p0, prefixes, insn);
	take_w_vvvv_pp(p1, insn);
	take_evex_high_bits(p0, p1, p2, prefixes, insn);
	insn->vector_bytes = vector_bytes[(p2 >> 5) & 3];
	insn->evex_b = (p2 & 0x10) != 0;
	insn->opmask = p2 & 7;
	if (insn->map == INSN_MAP_PRIMARY)
		return ATTR_UNDEFINED;
	if (insn->map != INSN_MAP_4)
		return vector_attributes(insn);
	insn->operand_override = insn->simd == INSN_SIMD_66;
	return promoted_attributes(insn->opcode);
}

static uint8_t take_0f(struct cursor *cursor, struct insn *insn)
{
	insn->map = INSN_MAP_0F;
	insn->opcode = next(cursor);
	if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
		insn->map = insn->opcode == 0x38 ? INSN_MAP_0F38 : INSN_MAP_0F3A;
		insn->opcode = next(cursor);
		return insn->map == INSN_MAP_0F38 ? ATTR_MODRM : ATTR_MODRM | IMM_8;
	}
	return secondary_attributes[insn->opcode];
}

/*
 * Rows that REX2 refuses, and what is a prefix or an escape there. JMPABS has the place of a MOV offset. Intel APX
 * specification: "REX2 Prefix".
 */
static uint8_t rex2_primary_attributes(const struct insn *insn)
{
	bool has_prefix = insn->lock || insn->rep || insn->repne || insn->operand_override;

	switch (insn->opcode) {
	case 0x40 ... 0x4f:
	case 0x62:
	case 0x70 ... 0x7f:
	case 0xa0:
	case 0xa2 ... 0xaf:
	case 0xc4:
	case 0xc5:
	case 0xe0 ... 0xef:
		return ATTR_UNDEFINED;
	case 0xa1:
		return has_prefix || insn->w ? ATTR_UNDEFINED : IMM_64;
	}
	return primary_attributes[insn->opcode];
}

static uint8_t rex2_secondary_attributes(uint8_t opcode)
{
	if ((opcode & 0xf0) == 0x30 || (opcode & 0xf0) == 0x80 || opcode == 0x38 || opcode == 0x3a)
		return ATTR_UNDEFINED;
	return secondary_attributes[opcode];
}

/* Payload: M0 R4 X4 B4 W R3 X3 B3, then an opcode of map 0 or 1. */
static uint8_t take_rex2(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	uint8_t payload = next(cursor);

	if (insn->rex)
		return ATTR_UNDEFINED;
	insn->encoding = INSN_REX2;
	insn->rex = true;
	take_rex(payload & 0x0f, prefixes, insn);
	prefixes->r |= (payload & 0x40) != 0 ? 16 : 0;
	prefixes->x |= (payload & 0x20) != 0 ? 16 : 0;
	prefixes->b |= (payload & 0x10) != 0 ? 16 : 0;
	insn->opcode = next(cursor);
	if ((payload & 0x80) == 0)
		return rex2_primary_attributes(insn);
	insn->map = INSN_MAP_0F;
	return rex2_secondary_attributes(insn->opcode);
}

/* Take the opcode, with what stands before it in the newer encodings, and return its attributes. */
static uint8_t take_opcode(struct cursor *cursor, struct prefixes *prefixes, struct insn *insn)
{
	uint8_t opcode = next(cursor), follows = peek(cursor);
	/*
	 * Outside 64-bit mode the old instructions keep their places: they have no register
	 * operand.
	 */
	bool is_vector = insn->code_bytes == 8 || follows >= 0xc0;

	insn->opcode = opcode;
	if (opcode == 0x0f)
		return take_0f(cursor, insn);
	if (opcode == 0xd5 && insn->code_bytes == 8)
		return take_rex2(cursor, prefixes, insn);
	if (opcode == 0x8f && (follows & 0x1f) >= 8)
		return vector_prefix_is_legal(insn) ? take_xop(cursor, prefixes, insn)
						    : ATTR_UNDEFINED;
	if ((opcode != 0xc4 && opcode != 0xc5 && opcode != 0x62) || !is_vector)
		return primary_attributes[opcode];
	if (!vector_prefix_is_legal(insn))
		return ATTR_UNDEFINED;
	if (opcode == 0xc5)
		return take_vex2(cursor, prefixes, insn);
	return opcode == 0xc4 ? take_vex3(cursor, prefixes, insn)
			      : take_evex(cursor, prefixes, insn);
}

/* --- operands ------------------------------------------------------------------------------ */

#define RAX 0
#define RBX 3
#define RSP 4
#define RBP 5
#define RSI 6
#define RDI 7

static void set_sizes(const struct prefixes *prefixes, struct insn *insn)
{
	if (insn->code_bytes == 8) {
		insn->operand_bytes = insn->w ? 8 : insn->operand_override ? 2 : 4;
		insn->address_bytes = prefixes->address_override ? 4 : 8;
		return;
	}
	insn->operand_bytes = (insn->code_bytes == 2) != insn->operand_override ? 2 : 4;
	insn->address_bytes = (insn->code_bytes == 2) != prefixes->address_override ? 2 : 4;
}

/* SDM: "16-Bit Addressing Forms with the ModR/M Byte". */
static void take_address16(struct cursor *cursor, uint8_t mod, uint8_t rm,
			   struct insn_memory *memory)
{
	static const uint8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const uint8_t indices[4] = { RSI, RDI, RSI, RDI };

	memory->base = bases[rm];
	if (rm < 4)
		memory->index = indices[rm];
	if (mod == 0 && rm == 6) {
		memory->base = INSN_NO_REGISTER;
		/* An offset: its sign extension disappears in the 16-bit sum. */
		memory->displacement = next_number(cursor, 2);
		return;
	}
	memory->displacement = next_number(cursor, mod);
}

/* SDM: "32-Bit Addressing Forms with the ModR/M Byte", and with the SIB byte. */
static void take_address32(struct cursor *cursor, uint8_t mod, uint8_t rm,
			   const struct prefixes *prefixes, bool is_64bit,
			   struct insn_memory *memory)
{
	static const uint8_t displacement_bytes[3] = { 0, 1, 4 };
	uint8_t base = rm, sib;

	if (rm == 4) {
		sib = next(cursor);
		base = sib & 7;
		memory->scale = sib >> 6;
		memory->index = (uint8_t)(((sib >> 3) & 7) + prefixes->x);
		if (memory->index == RSP)
			memory->index = INSN_NO_REGISTER;
	}
	if (mod == 0 && base == 5) {
		memory->rip_relative = is_64bit && rm == 5;
		memory->displacement = next_number(cursor, 4);
		return;
	}
	memory->base = (uint8_t)(base + prefixes->b);
	memory->displacement = next_number(cursor, displacement_bytes[mod]);
}

static void default_segment(const struct insn *insn, struct insn_memory *memory)
{
	if (insn->has_segment)
		memory->segment = insn->segment;
	else if (memory->base == RSP || memory->base == RBP)
		memory->segment = SEGMENT_SS;
	else
		memory->segment = SEGMENT_DS;
}

static void take_modrm(struct cursor *cursor, const struct prefixes *prefixes, unsigned attributes,
		       struct insn *insn)
{
	uint8_t modrm = next(cursor);
	uint8_t rm = modrm & 7;

	insn->has_modrm = true;
	insn->mod = modrm >> 6;
	insn->reg = (uint8_t)(((modrm >> 3) & 7) + prefixes->r);
	insn->rm = (uint8_t)(rm + prefixes->b);
	if (insn->mod == 3 || (attributes & ATTR_REGISTER) != 0)
		return;
	insn->memory.present = true;
	if (insn->address_bytes == 2)
		take_address16(cursor, insn->mod, rm, &insn->memory);
	else
		take_address32(cursor, insn->mod, rm, prefixes, insn->code_bytes == 8,
			       &insn->memory);
	default_segment(insn, &insn->memory);
}

static unsigned immediate_bytes(const struct insn *insn, enum immediate kind)
{
	unsigned z = insn->operand_bytes == 2 ? 2 : 4;

	switch (kind) {
	case IMM_NONE:
		return 0;
	case IMM_8:
		return 1;
	case IMM_16:
		return 2;
	case IMM_Z:
		return z;
	case IMM_V:
		return insn->operand_bytes;
	case IMM_BRANCH:
		return insn->code_bytes == 8 ? 4 : z;
	case IMM_OFFSET:
		return insn->address_bytes;
	case IMM_FAR:
		return z + 2;
	case IMM_ENTER:
		return 3;
	case IMM_GROUP3:
		if ((insn->reg & 7) > 1)
			return 0;
		return (insn->opcode & 1) == 0 ? 1 : z;
	case IMM_SSE4A:
		return insn->operand_override || insn->repne ? 2 : 0;
	case IMM_32:
		return 4;
	case IMM_64:
		return 8;
	}
	return 0;
}

/* Operands that the opcode implies and that decode_store() understands. */
static void implied_memory(enum immediate kind, struct insn *insn)
{
	if (kind == IMM_OFFSET) {
		insn->memory.present = true;
		insn->memory.displacement = insn->immediate;
		default_segment(insn, &insn->memory);
	} else if (insn->map == INSN_MAP_PRIMARY && (insn->opcode & 0xfe) == 0xaa) {
		insn->memory.present = true;
		insn->memory.base = RDI;
		insn->memory.segment = SEGMENT_ES; /* STOS: cannot be overridden */
	}
}

/* Near branches, whose operand size the vendors read differently behind 66. */
static bool is_near_branch(const struct insn *insn)
{
	if (insn->encoding > INSN_REX2)
		return false;
	if (insn->map == INSN_MAP_0F)
		return (insn->opcode & 0xf0) == 0x80;
	if (insn->map != INSN_MAP_PRIMARY)
		return false;
	switch (insn->opcode) {
	case 0x70 ... 0x7f:
	case 0xc2:
	case 0xc3:
	case 0xe0 ... 0xe3:
	case 0xe8:
	case 0xe9:
	case 0xeb:
		return true;
	case 0xff:
		return (insn->reg & 7) == 2 || (insn->reg & 7) == 4;
	}
	return false;
}

static enum insn_fault undefined_or_cut(const struct cursor *cursor)
{
	if (!cursor->overrun)
		return INSN_FAULT_UNDEFINED;
	return cursor->count < INSN_MAX_BYTES ? INSN_FAULT_TRUNCATED : INSN_FAULT_TOO_LONG;
}

bool decode_insn(const uint8_t *bytes, unsigned count, unsigned code_bytes, struct insn *out)
{
	struct cursor cursor = {
		.bytes = bytes,
		.count = count < INSN_MAX_BYTES ? count : INSN_MAX_BYTES,
	};
	struct prefixes prefixes = { 0 };
	unsigned attributes;
	enum immediate kind;

	*out = (struct insn){
		.code_bytes = (uint8_t)code_bytes,
		.memory = { .base = INSN_NO_REGISTER, .index = INSN_NO_REGISTER },
	};
	take_prefixes(&cursor, &prefixes, out);
	attributes = take_opcode(&cursor, &prefixes, out);
	if ((attributes & ATTR_UNDEFINED) != 0 ||
	    ((attributes & ATTR_NOT_64) != 0 && code_bytes == 8)) {
		out->fault = undefined_or_cut(&cursor);
		return false;
	}
	set_sizes(&prefixes, out);
	if ((attributes & ATTR_MODRM) != 0)
		take_modrm(&cursor, &prefixes, attributes, out);
	kind = (enum immediate)(attributes & ATTR_IMMEDIATE);
	out->immediate_bytes = (uint8_t)immediate_bytes(out, kind);
	out->immediate = next_number(&cursor, out->immediate_bytes);
	implied_memory(kind, out);
	out->bytes = (uint8_t)cursor.at;
	if (UNLIKELY(out->operand_override) && code_bytes == 8)
		out->differs_on_amd = is_near_branch(out);
	if (LIKELY(!cursor.overrun))
		return true;
	out->fault = undefined_or_cut(&cursor);
	return false;
}
