/* SPDX-License-Identifier: BSD-2-Clause */
/* Simple stores to memory, for whoever emulates no more than these. */
#ifndef VMEXIT_DECODE_STORE_H
#define VMEXIT_DECODE_STORE_H

#include "vmexit/decode.h"

enum store_kind {
	STORE_REGISTER,	 /* MOV r/m, reg and MOV moffs, accumulator */
	STORE_IMMEDIATE, /* MOV r/m, imm */
	STORE_EXCHANGE,	 /* XCHG: `reg` also receives the old value */
	STORE_STRING,	 /* STOS: RDI moves by `bytes`, with `repeat` also RCX */
};

struct store {
	enum store_kind kind;
	uint8_t bytes;	/* 1, 2, 4 or 8 */
	uint8_t reg;	/* GPR number */
	bool high_byte; /* bits 8-15 of reg (AH, CH, DH, BH) */
	bool repeat;
	uint64_t immediate; /* STORE_IMMEDIATE: sign extended */
};

/*
 * The simple stores to insn->memory. False: something else, which the caller steps over natively.
 */
MUST_CHECK bool decode_store(const struct insn *insn, struct store *out);

#endif
