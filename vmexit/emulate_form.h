/* SPDX-License-Identifier: BSD-2-Clause */
/* Which instructions the emulator knows, and what each of them does: a pure function over struct insn. */
#ifndef VMEXIT_EMULATE_FORM_H
#define VMEXIT_EMULATE_FORM_H

#include "vmexit/decode.h"

enum emulate_kind {
	EMULATE_MOV,	      /* between memory and a register, or an immediate to memory */
	EMULATE_MOV_SELECTOR, /* segment register to memory */
	EMULATE_EXTEND,	      /* MOVZX, MOVSX, MOVSXD */
	EMULATE_CMOV,
	EMULATE_SET,	/* SETcc */
	EMULATE_BINARY, /* enum alu_binary */
	EMULATE_UNARY,	/* enum alu_unary */
	EMULATE_SHIFT,	/* enum alu_shift */
	EMULATE_SHLD,	/* and SHRD */
	EMULATE_BIT,	/* enum alu_bit */
	EMULATE_XCHG,
	EMULATE_XADD,
	EMULATE_CMPXCHG,
	EMULATE_CMPXCHG_PAIR, /* CMPXCHG8B, CMPXCHG16B */
	EMULATE_PUSH,
	EMULATE_POP,
	EMULATE_STRING, /* enum emulate_string */
};

enum emulate_string {
	EMULATE_MOVS,
	EMULATE_CMPS,
	EMULATE_STOS,
	EMULATE_LODS,
	EMULATE_SCAS,
	EMULATE_INS,
	EMULATE_OUTS,
};

/* The operand that is not in memory. */
enum emulate_source {
	EMULATE_REGISTER, /* insn->reg; RAX for MOV with an offset */
	EMULATE_IMMEDIATE,
	EMULATE_CL,
	EMULATE_ONE,
};

struct emulate_form {
	enum emulate_kind kind;
	uint8_t operation; /* by kind; a condition for CMOVcc and SETcc; 1: sign (EXTEND), left (SHLD) */
	uint8_t bytes;	    /* in memory */
	uint8_t reg_bytes;  /* of the register, where that differs */
	uint8_t reg;	    /* insn->reg, or the one that the opcode means */
	bool reads, writes; /* memory */
	bool to_register;   /* the register is the destination */
	bool lockable;	    /* LOCK is legal */
	enum emulate_source source;
};

/*
 * False: not one of those, or without an operand in memory: the CPU executes it itself. Nothing is said about LOCK:
 * with the prefix, a form that is not `lockable` is #UD.
 */
MUST_CHECK bool emulate_form(const struct insn *insn, struct emulate_form *out);

#endif
