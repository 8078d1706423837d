/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one kind of store that operating systems use for device registers, MOV of 32 bits to memory, in few
 * instructions: the xAPIC's EOI is on the hot path. Anything else is decode_insn()'s.
 */
#ifndef VMEXIT_STORE_QUICK_H
#define VMEXIT_STORE_QUICK_H

#include "arch/x86/bits.h"

struct store_quick {
	uint8_t bytes;	   /* length of the instruction */
	bool is_immediate; /* MOV r/m32, imm32; else MOV r/m32, r32 */
	uint8_t reg;	   /* GPR number */
	uint32_t immediate;
};

/* `count` bytes at `bytes`; code_bytes 4 or 8 (16-bit code: false). False: not such a store, or it does not end here. */
MUST_CHECK bool store_quick_decode(const uint8_t *bytes, unsigned count, unsigned code_bytes,
				   struct store_quick *store);

#endif
