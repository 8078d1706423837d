/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which memory an instruction touches, beyond what its ModRM byte says: sizes, reads and writes, the operands that
 * the opcode implies, the stack, and whether the instruction is one at all. A pure function over struct insn, kept
 * apart from decode_insn() so that exits which need none of it do not pay for it.
 */
#ifndef VMEXIT_DECODE_OPERANDS_H
#define VMEXIT_DECODE_OPERANDS_H

#include "vmexit/decode.h"

/*
 * One operand in memory. Conditional accesses count: CMPXCHG and a masked store write, CMOVcc reads, whatever the
 * condition says. An instruction that only computes an address or names a line (LEA, NOP, INVLPG, PREFETCH) neither reads
 * nor writes.
 */
struct insn_operand {
	bool reads, writes;
	/* Of one access (one element with VSIB); 0: the instruction alone does not say (XSAVE). */
	uint16_t bytes;
	bool partial; /* an opmask, a mask register or a count may leave out bytes of it */
	/*
	 * BT, BTS, BTR, BTC with a register (insn->reg): its signed bit number moves the address by whole operands. SDM:
	 * "Bit(BitBase, BitOffset)".
	 */
	bool bit_offset;
	/* With EVEX, a one-byte displacement is multiplied here, unlike in struct insn. */
	struct insn_memory memory;
};

/* Accesses to SS:rSP. The first push writes below rSP, the first pop reads at rSP. */
struct insn_stack {
	bool reads, writes;
	/* Of one item; 0: no stack use, or one that depends on descriptors (IRET, INT, far transfers). */
	uint8_t bytes;
	uint8_t count; /* of items */
	bool frame;    /* also reads at SS:rBP: LEAVE, and ENTER with a level above 1 */
};

struct insn_operands {
	/*
	 * Every CPU raises #UD: LOCK where it is not allowed, a register form of what must have memory, a reserved member
	 * of a group. (decode_insn() has refused the rest.) What needs a feature or a mode is not looked at.
	 */
	bool undefined;
	bool repeat; /* REP acts: rCX counts, or REPE and REPNE end it too (CMPS, SCAS) */
	/*
	 * The operand that ModRM addresses, the MOV offset, or the one that the opcode implies: ES:rDI of STOS, MOVS, SCAS,
	 * CMPS and INS, DS:rSI of LODS and OUTS, DS:rBX + AL of XLAT, DS:rDI of MASKMOVQ, DS:rAX of MONITOR and CLZERO.
	 */
	struct insn_operand memory;
	/* The second one: DS:rSI of MOVS and CMPS; ES:reg, written, of MOVDIR64B and ENQCMD. */
	struct insn_operand other;
	struct insn_stack stack;
};

/*
 * False: this file does not know the opcode, so nothing is said about its memory. Callers let the CPU execute it.
 * True with a length from decode_insn(): everything that the instruction reads and writes is in `out`, except
 * descriptor tables, task states, page tables and the stack as said above.
 */
MUST_CHECK bool decode_operands(const struct insn *insn, struct insn_operands *out);

/* A general register as an operand of `bytes`. */
struct insn_gpr {
	uint8_t number;
	bool high_byte; /* bits 8-15: AH, CH, DH, BH, which exist without REX only */
};

/* `reg` is insn->reg, insn->rm or 3 bits of the opcode, with its extension bits. SDM: "Byte Register Operands". */
static inline struct insn_gpr insn_gpr(const struct insn *insn, uint8_t reg, unsigned bytes)
{
	bool high =
		bytes == 1 && !insn->rex && reg >= 4 && reg < 8 && insn->encoding == INSN_LEGACY;

	return (struct insn_gpr){ .number = high ? (uint8_t)(reg - 4) : reg, .high_byte = high };
}

#endif
