/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one kind of store that operating systems use for device registers, MOV of 32 bits to memory in 64-bit mode, in few
 * instructions: the xAPIC's EOI is on the hot path. Anything else is decode_insn()'s.
 */
#ifndef VMEXIT_STORE_QUICK_H
#define VMEXIT_STORE_QUICK_H

#include "arch/x86/bits.h"

struct store_quick {
	uint8_t bytes;	   /* length of the instruction, at most 12; 0: it is not such a store */
	uint8_t reg;	   /* GPR number */
	bool is_immediate; /* MOV r/m32, imm32; else MOV r/m32, r32 */
	uint32_t immediate;
};

/* The instruction's first 16 bytes as two words of memory. */
struct store_quick store_quick_decode(uint64_t low, uint64_t high);

#endif
