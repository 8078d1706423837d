/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode_operands.h"

#include "vmexit/decode_implied.h"
#include "vmexit/decode_vector.h"

/* --- what ModRM addresses: tables ------------------------------------------------------------ */

/* Bits 0-4 of a table entry: the size. */
enum operand_size {
	SIZE_0, /* an address only */
	SIZE_1,
	SIZE_2,
	SIZE_4,
	SIZE_8,
	SIZE_10,
	SIZE_16,
	SIZE_64,
	SIZE_V,	  /* the operand size */
	SIZE_BV,  /* 1 with an even opcode, else the operand size */
	SIZE_Y,	  /* 8 with W in 64-bit mode, else 4 */
	SIZE_P,	  /* 8 in 64-bit mode, else 4 */
	SIZE_N,	  /* of the stack: 64-bit mode has no 4 */
	SIZE_F,	  /* a far pointer */
	SIZE_2V,  /* BOUND */
	SIZE_T,	  /* limit and base of a descriptor table */
	SIZE_ENV, /* FLDENV, FNSTENV */
	SIZE_FPU, /* FRSTOR, FNSAVE */
	SIZE_FX,  /* FXSAVE */
	SIZE_2P,  /* CMPXCHG8B, CMPXCHG16B */
};

#define SIZE	  0x1fu
#define READ	  0x20u
#define WRITE	  0x40u
#define LOCK	  0x80u /* LOCK is allowed, if it is memory */
#define UNKNOWN	  0x1fu
#define UNDEFINED 0x1eu

/* The tables' alphabet, for one access: r read, w write, m both, l both with LOCK allowed; then the size. */
#define o	  SIZE_0
#define rB	  (READ | SIZE_BV)
#define wB	  (WRITE | SIZE_BV)
#define mB	  (READ | WRITE | SIZE_BV)
#define lB	  (READ | WRITE | LOCK | SIZE_BV)
#define rV	  (READ | SIZE_V)
#define wV	  (WRITE | SIZE_V)
#define mV	  (READ | WRITE | SIZE_V)
#define lV	  (READ | WRITE | LOCK | SIZE_V)
#define r1	  (READ | SIZE_1)
#define w1	  (WRITE | SIZE_1)
#define r2	  (READ | SIZE_2)
#define w2	  (WRITE | SIZE_2)
#define r4	  (READ | SIZE_4)
#define w4	  (WRITE | SIZE_4)
#define r8	  (READ | SIZE_8)
#define w8	  (WRITE | SIZE_8)
#define rT	  (READ | SIZE_10)
#define wT	  (WRITE | SIZE_10)
#define rF	  (READ | SIZE_F)
#define rP	  (READ | SIZE_P)
#define wP	  (WRITE | SIZE_P)
#define rN	  (READ | SIZE_N)
#define wN	  (WRITE | SIZE_N)
#define wY	  (WRITE | SIZE_Y)
#define rD	  (READ | SIZE_T)
#define wD	  (WRITE | SIZE_T)
#define rE	  (READ | SIZE_ENV)
#define wE	  (WRITE | SIZE_ENV)
#define rS	  (READ | SIZE_FPU)
#define wS	  (WRITE | SIZE_FPU)
#define x	  UNDEFINED
#define u	  UNKNOWN

/* clang-format off */

/* Opcodes with a member of their own for each reg field are in group_of(); their entries here do not count. */
static const uint8_t primary_operands[256] = {
/*        0   1   2   3   4   5   6   7   8   9   a   b   c   d   e   f */
/* 00 */ lB, lB, rB, rB,  o,  o,  o,  o, lB, lB, rB, rB,  o,  o,  o,  o,
/* 10 */ lB, lB, rB, rB,  o,  o,  o,  o, lB, lB, rB, rB,  o,  o,  o,  o,
/* 20 */ lB, lB, rB, rB,  o,  o,  o,  o, lB, lB, rB, rB,  o,  o,  o,  o,
/* 30 */ lB, lB, rB, rB,  o,  o,  o,  o, rB, rB, rB, rB,  o,  o,  o,  o,
/* 40 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* 50 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* 60 */  o,  o,  o,  o,  o,  o,  o,  o,  o, rV,  o, rV,  o,  o,  o,  o,
/* 70 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* 80 */  o,  o,  o,  o, rB, rB, lB, lB, wB, wB, rB, rB, w2,  o, r2,  o,
/* 90 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* a0 */ rB, rB, wB, wB,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* b0 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* c0 */ mB, mB,  o,  o, rF, rF,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* d0 */ mB, mB, mB, mB,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* e0 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* f0 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
};

/* What is not here (u) is in decode_vector.c, if anywhere. */
static const uint8_t secondary_operands[256] = {
/*        0   1   2   3   4   5   6   7   8   9   a   b   c   d   e   f */
/* 00 */  o,  o, r2, r2,  x,  o,  o,  o,  o,  o,  x,  x,  x,  o,  o, r8,
/* 10 */  u,  u,  u,  u,  u,  u,  u,  u,  o,  o,  u,  u,  o,  o,  o,  o,
/* 20 */  o,  o,  o,  o,  x,  x,  x,  x,  u,  u,  u,  u,  u,  u,  u,  u,
/* 30 */  o,  o,  o,  o,  o,  o,  x,  o,  x,  x,  x,  x,  x,  x,  x,  x,
/* 40 */ rV, rV, rV, rV, rV, rV, rV, rV, rV, rV, rV, rV, rV, rV, rV, rV,
/* 50 */  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,
/* 60 */  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,
/* 70 */  u,  u,  u,  u,  u,  u,  u,  o, wP, rP,  x,  x,  u,  u,  u,  u,
/* 80 */  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* 90 */ w1, w1, w1, w1, w1, w1, w1, w1, w1, w1, w1, w1, w1, w1, w1, w1,
/* a0 */  o,  o,  o, rV, mV, mV,  u,  u,  o,  o,  o, lV, mV, mV,  o, rV,
/* b0 */ lB, lB, rF, lV, rF, rF, r1, r2, rV,  x,  o, lV, rV, rV, r1, r2,
/* c0 */ lB, lB,  u, wY,  u,  u,  u,  o,  o,  o,  o,  o,  o,  o,  o,  o,
/* d0 */  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,
/* e0 */  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,
/* f0 */  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  u,  x,
};

/* SDM: "Opcode Extensions for One-Byte and Two-Byte Opcodes", memory forms, by the reg field. */
static const uint8_t group1[8] =     { lB, lB, lB, lB, lB, lB, lB, rB };
static const uint8_t group1a[8] =    { wN,  x,  x,  x,  x,  x,  x,  x };
static const uint8_t group3[8] =     { rB, rB, lB, lB, rB, rB, rB, rB };
static const uint8_t group4[8] =     { lB, lB,  x,  x,  x,  x,  x,  x };
static const uint8_t group5[8] =     { lV, lV, rN, rF, rN, rF, rN,  x };
static const uint8_t group6[8] =     { w2, w2, r2, r2, r2, r2,  x,  x };
static const uint8_t group7[8] =     { wD, wD, rD, rD, w2,  x, r2,  o };
static const uint8_t group8[8] =     {  x,  x,  x,  x, rV, lV, lV, lV };
static const uint8_t group11[8] =    { wB,  x,  x,  x,  x,  x,  x,  x };
static const uint8_t x87[8][8] = {
	{ r4, r4, r4, r4, r4, r4, r4, r4 },
	{ r4,  x, w4, w4, rE, r2, wE, w2 },
	{ r4, r4, r4, r4, r4, r4, r4, r4 },
	{ r4, w4, w4, w4,  x, rT,  x, wT },
	{ r8, r8, r8, r8, r8, r8, r8, r8 },
	{ r8, w8, w8, w8, rS,  x, wS, w2 },
	{ r2, r2, r2, r2, r2, r2, r2, r2 },
	{ r2, w2, w2, w2, rT, r8, wT, w8 },
};

/* clang-format on */

/* XSAVE and its like have a size that XCR0 tells: SIZE_0 with an access. */
static uint8_t group9(const struct insn *insn)
{
	switch (insn->reg & 7) {
	case 1:
		return READ | WRITE | LOCK | SIZE_2P;
	case 3: /* XRSTORS */
		return READ;
	case 4: /* XSAVEC */
	case 5: /* XSAVES */
		return READ | WRITE;
	case 6: /* VMPTRLD, VMCLEAR, VMXON */
		return r8;
	case 7: /* VMPTRST */
		return insn->simd == INSN_SIMD_NONE ? w8 : x;
	}
	return x;
}

static uint8_t group15_plain(unsigned member)
{
	static const uint8_t members[8] = {
		WRITE | SIZE_FX, READ | SIZE_FX, r4, w4, READ | WRITE, READ, READ | WRITE, o,
	};

	return members[member];
}

static uint8_t group15(const struct insn *insn)
{
	unsigned member = insn->reg & 7;

	switch (insn->simd) {
	case INSN_SIMD_NONE:
		return group15_plain(member);
	case INSN_SIMD_66: /* CLWB, CLFLUSHOPT */
		return member >= 6 ? o : x;
	case INSN_SIMD_F3: /* PTWRITE, CLRSSBSY */
		return member == 4 ? READ | SIZE_Y : member == 6 ? READ | WRITE | SIZE_8 : x;
	case INSN_SIMD_F2:
		return x;
	}
	return x;
}

static uint8_t primary_entry(const struct insn *insn)
{
	unsigned member = insn->reg & 7;

	switch (insn->opcode) {
	case 0x62:
		return READ | SIZE_2V;
	case 0x63: /* MOVSXD; ARPL elsewhere */
		if (insn->code_bytes == 8)
			return insn->operand_bytes == 2 ? r2 : r4;
		return READ | WRITE | SIZE_2;
	case 0x80 ... 0x83:
		/* 82 is 80, 83 has operands of full size. */
		return group1[member];
	case 0x8f:
		return group1a[member];
	case 0xc6:
	case 0xc7:
		return group11[member];
	case 0xd8 ... 0xdf:
		return x87[insn->opcode & 7][member];
	case 0xf6:
	case 0xf7:
		return group3[member];
	case 0xfe:
		return group4[member];
	case 0xff:
		return group5[member];
	}
	return primary_operands[insn->opcode];
}

static uint8_t secondary_entry(const struct insn *insn)
{
	unsigned member = insn->reg & 7;

	switch (insn->opcode) {
	case 0x00:
		return insn->simd == INSN_SIMD_F2 && member == 6 ? r2 : group6[member];
	case 0x01:
		/* RSTORSSP */
		return insn->simd == INSN_SIMD_F3 && member == 5 ? READ | WRITE | SIZE_8
								 : group7[member];
	case 0x78:
	case 0x79: /* VMREAD, VMWRITE; SSE4A has no memory */
		return insn->simd == INSN_SIMD_NONE ? secondary_operands[insn->opcode] : x;
	case 0xae:
		return group15(insn);
	case 0xb8: /* POPCNT */
		return insn->simd == INSN_SIMD_F3 ? rV : x;
	case 0xba:
		return group8[member];
	case 0xc3:
		return insn->simd == INSN_SIMD_NONE ? wY : x;
	case 0xc7:
		return group9(insn);
	}
	return secondary_operands[insn->opcode];
}

/* SDM: "Three-Byte Opcode Map: 08H-FFH (First Two Bytes are 0F 38H)", what works on general registers. */
static uint8_t entry_0f38(const struct insn *insn)
{
	bool f2 = insn->repne, f3 = insn->rep, p66 = insn->operand_override;

	switch (insn->opcode) {
	case 0x80 ... 0x82: /* INVEPT, INVVPID, INVPCID */
		return insn->simd == INSN_SIMD_66 ? READ | SIZE_16 : x;
	case 0x8a:
	case 0x8b: /* MOVRS */
		return rB;
	case 0xf0:
		return f2 ? r1 : f3 ? x : rV; /* CRC32, MOVBE */
	case 0xf1:
		return f2 ? rV : f3 ? x : wV;
	case 0xf5: /* WRUSS */
		return insn->simd == INSN_SIMD_66 ? wY : x;
	case 0xf6: /* ADCX, ADOX; WRSS */
		return f2 ? x : p66 || f3 ? READ | SIZE_Y : wY;
	case 0xf8: /* MOVDIR64B, ENQCMD, ENQCMDS */
		return insn->simd == INSN_SIMD_NONE ? x : READ | SIZE_64;
	case 0xf9: /* MOVDIRI */
		return insn->simd == INSN_SIMD_NONE ? wY : x;
	case 0xfc: /* AADD, AAND, AOR, AXOR */
		return READ | WRITE | SIZE_Y;
	}
	return u;
}

#undef o
#undef rB
#undef wB
#undef mB
#undef lB
#undef rV
#undef wV
#undef mV
#undef lV
#undef r1
#undef w1
#undef r2
#undef w2
#undef r4
#undef w4
#undef r8
#undef w8
#undef rT
#undef wT
#undef rF
#undef rP
#undef wP
#undef rN
#undef wN
#undef wY
#undef rD
#undef wD
#undef rE
#undef wE
#undef rS
#undef wS
#undef x
#undef u
/* --- what ModRM addresses: sizes and accesses ------------------------------------------------ */

static bool is_64bit(const struct insn *insn)
{
	return insn->code_bytes == 8;
}

static unsigned operand_size_bytes(const struct insn *insn, enum operand_size size)
{
	bool w = insn->w && is_64bit(insn), is_short = insn->operand_bytes == 2;

	switch (size) {
	case SIZE_0:
		return 0;
	case SIZE_1:
		return 1;
	case SIZE_2:
		return 2;
	case SIZE_4:
		return 4;
	case SIZE_8:
		return 8;
	case SIZE_10:
		return 10;
	case SIZE_16:
		return 16;
	case SIZE_64:
		return 64;
	case SIZE_V:
		return insn->operand_bytes;
	case SIZE_BV:
		return (insn->opcode & 1) != 0 ? insn->operand_bytes : 1;
	case SIZE_Y:
		return w ? 8 : 4;
	case SIZE_P:
		return is_64bit(insn) ? 8 : 4;
	case SIZE_N:
		return decode_stack_bytes(insn);
	case SIZE_F:
		return insn->operand_bytes + 2u;
	case SIZE_2V:
		return insn->operand_bytes * 2u;
	case SIZE_T:
		return is_64bit(insn) ? 10 : 6;
	case SIZE_ENV:
		return is_short ? 14 : 28;
	case SIZE_FPU:
		return is_short ? 94 : 108;
	case SIZE_FX:
		return 512;
	case SIZE_2P:
		return w ? 16 : 8;
	}
	return 0;
}

static bool is_near_branch_through_memory(const struct insn *insn)
{
	return insn->map == INSN_MAP_PRIMARY && insn->opcode == 0xff &&
	       ((insn->reg & 7) == 2 || (insn->reg & 7) == 4);
}

static void apply_entry(const struct insn *insn, uint8_t entry, struct insn_operand *operand)
{
	operand->reads = (entry & READ) != 0;
	operand->writes = (entry & WRITE) != 0;
	operand->bytes = (uint16_t)operand_size_bytes(insn, (enum operand_size)(entry & SIZE));
	if (is_near_branch_through_memory(insn))
		operand->bytes = (uint16_t)decode_branch_bytes(insn);
}

/* BT, BTS, BTR and BTC of a register's bit number. */
static bool has_bit_offset(const struct insn *insn)
{
	return insn->map == INSN_MAP_0F && (insn->opcode & 0xe7) == 0xa3;
}

/* --- #UD ------------------------------------------------------------------------------------- */

/* Instructions without a register form. The groups' other members have some meaning or belong to a feature. */
static bool primary_needs_memory(const struct insn *insn)
{
	unsigned member = insn->reg & 7;

	switch (insn->opcode) {
	case 0x8d:
		return true;
	case 0x8f:
		return member != 0;
	case 0xc6:
	case 0xc7: /* XABORT and XBEGIN have all of rm zero */
		return member != 0 && (member != 7 || (insn->rm & 7) != 0);
	case 0xfe:
		return member > 1;
	case 0xff:
		return member == 3 || member == 5 || member == 7;
	}
	return false;
}

static bool secondary_needs_memory(const struct insn *insn)
{
	unsigned member = insn->reg & 7;

	switch (insn->opcode) {
	case 0xb2:
	case 0xb4:
	case 0xb5:
	case 0xc3:
		return true;
	case 0xba:
		return member < 4;
	case 0xc7:
		return member < 6;
	}
	return false;
}

static bool needs_memory(const struct insn *insn)
{
	switch (insn->map) {
	case INSN_MAP_PRIMARY:
		return primary_needs_memory(insn);
	case INSN_MAP_0F:
		return secondary_needs_memory(insn);
	case INSN_MAP_0F38:
		return insn->opcode == 0xf9 || (insn->opcode >= 0x80 && insn->opcode <= 0x82);
	default:
		return false;
	}
}

/* Registers that do not exist: MOV to or from segment 6 and 7, to CS, and control registers. SDM: "MOV". */
static bool names_no_register(const struct insn *insn)
{
	unsigned member = insn->reg & 7;

	if (insn->map == INSN_MAP_PRIMARY)
		return (insn->opcode == 0x8c && member > 5) ||
		       (insn->opcode == 0x8e && (member > 5 || member == 1));
	if (insn->map == INSN_MAP_0F && (insn->opcode == 0x20 || insn->opcode == 0x22))
		return BIT32(insn->reg & 31) & ~UINT32_C(0x11d);
	return false;
}

/* APM: LOCK MOV CR0 is CR8. */
static bool lock_is_allowed(const struct insn *insn, uint8_t entry)
{
	if (insn->map == INSN_MAP_0F && (insn->opcode == 0x20 || insn->opcode == 0x22))
		return true;
	return insn->memory.present && (entry & LOCK) != 0;
}

static bool is_undefined(const struct insn *insn, uint8_t entry)
{
	/* SDM: "LOCK": without a memory operand that it may lock, #UD. */
	if (insn->lock && !lock_is_allowed(insn, entry))
		return true;
	if (names_no_register(insn))
		return true;
	if (insn->memory.present || !insn->has_modrm)
		return (entry & SIZE) == UNDEFINED;
	return needs_memory(insn);
}

/* --- all together ---------------------------------------------------------------------------- */

static uint8_t legacy_entry(const struct insn *insn)
{
	switch (insn->map) {
	case INSN_MAP_PRIMARY:
		return primary_entry(insn);
	case INSN_MAP_0F:
		return secondary_entry(insn);
	case INSN_MAP_0F38:
		return entry_0f38(insn);
	default:
		return UNKNOWN;
	}
}

/* Map 4, what has another place or another meaning than in the legacy maps. */
static uint8_t moved_entry(const struct insn *insn)
{
	bool no_flags = (insn->opmask & 4) != 0;

	switch (insn->opcode) {
	case 0x24: /* SHLD, SHRD */
	case 0x2c:
	case 0xa5:
	case 0xad:
		return READ | WRITE | SIZE_V;
	case 0x40 ... 0x4f:
		if (insn->simd == INSN_SIMD_F2) /* SETcc */
			return WRITE | SIZE_1;
		/* CFCMOVcc stores with NF, and does not access memory if the condition is false. */
		return (no_flags && !insn->evex_b ? WRITE : READ) | SIZE_V;
	case 0x60: /* MOVBE, POPCNT, IMUL, TZCNT, LZCNT */
	case 0x88:
	case 0xaf:
	case 0xf4:
	case 0xf5:
		return READ | SIZE_V;
	case 0x61:
		return WRITE | SIZE_V;
	case 0x65: /* WRUSS */
		return WRITE | SIZE_Y;
	case 0x66: /* WRSS; ADCX, ADOX */
		return insn->simd == INSN_SIMD_NONE ? WRITE | SIZE_Y : READ | SIZE_Y;
	case 0xf0: /* INVEPT, INVVPID, INVPCID; CRC32 */
	case 0xf1:
	case 0xf2:
		return insn->simd == INSN_SIMD_F3 ? READ | SIZE_16 : READ | SIZE_BV;
	}
	return UNKNOWN;
}

/*
 * Map 4: the instructions of the legacy maps, mostly at their places. With a new data destination the operand in memory
 * is only read. Intel APX specification: "Extended EVEX".
 */
static uint8_t promoted_entry(const struct insn *insn)
{
	uint8_t entry = moved_entry(insn);

	switch (insn->opcode) {
	case 0x00 ... 0x23:
	case 0x28 ... 0x2b:
	case 0x30 ... 0x33:
	case 0x38 ... 0x3b:
	case 0x69:
	case 0x6b:
	case 0x80 ... 0x85:
	case 0xc0:
	case 0xc1:
	case 0xd0 ... 0xd3:
	case 0xf6:
	case 0xf7:
	case 0xfe:
	case 0xff:
		entry = primary_entry(insn);
		break;
	case 0x8a:
	case 0x8b:
	case 0xf8:
	case 0xf9:
	case 0xfc:
		return entry_0f38(insn);
	}
	if (insn->evex_b && (entry & (READ | WRITE)) == (READ | WRITE))
		entry &= (uint8_t)~WRITE;
	return entry;
}

/* VEX, EVEX and XOP: one operand at most, and #UD is left to the CPU. */
static bool vector_operands(const struct insn *insn, struct insn_operands *out)
{
	bool is_lwp = insn->encoding == INSN_XOP && insn->opcode == 0x12;
	uint8_t entry;

	if (!insn->memory.present)
		return !is_lwp;
	if (insn->map != INSN_MAP_4)
		return decode_vector_operand(insn, &out->memory);
	entry = promoted_entry(insn);
	if ((entry & SIZE) >= UNDEFINED)
		return false;
	apply_entry(insn, entry, &out->memory);
	/* PUSH2 and POP2 have registers only. */
	out->undefined = insn->opcode == 0x8f || (insn->opcode == 0xff && (insn->reg & 7) == 6);
	out->memory.partial =
		insn->opcode >= 0x40 && insn->opcode <= 0x4f && insn->simd != INSN_SIMD_F2;
	return true;
}

static bool legacy_operands(const struct insn *insn, struct insn_operands *out)
{
	uint8_t entry = legacy_entry(insn);

	if ((entry & SIZE) == UNKNOWN) {
		out->undefined = insn->lock;
		return insn->memory.present ? decode_vector_operand(insn, &out->memory)
					    : insn->opcode != 0x1a && insn->opcode != 0x1b;
	}
	out->undefined = is_undefined(insn, entry);
	if (!insn->memory.present || out->undefined)
		return true;
	apply_entry(insn, entry, &out->memory);
	out->memory.bit_offset = has_bit_offset(insn);
	return true;
}

bool decode_operands(const struct insn *insn, struct insn_operands *out)
{
	bool known;

	*out = (struct insn_operands){ .memory.memory = insn->memory };
	known = insn->encoding <= INSN_REX2 ? legacy_operands(insn, out)
					    : vector_operands(insn, out);
	/* SDM: "Vector SIB (VSIB) Memory Addressing": without a SIB byte, #UD. */
	if (out->memory.memory.index_kind == INSN_INDEX_VECTOR &&
	    ((insn->rm & 7) != 4 || insn->address_bytes == 2))
		out->undefined = true;
	if (!known || out->undefined)
		return known;
	decode_implied_operands(insn, out);
	return true;
}
