/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the CPU's integer unit computes, flags included: pure functions. Operands are `bytes` (1, 2, 4 or 8) wide and zero
 * extended, and so are the results. *flags is RFLAGS, of which only arithmetic flags change. Flags that the SDM calls
 * undefined get some value: AF is cleared by logical operations, OF of a shift follows the rule of the shift by one, all
 * others stay. SDM: the instructions' own pages, "Flags Affected".
 */
#ifndef VMEXIT_EMULATE_ALU_H
#define VMEXIT_EMULATE_ALU_H

#include "arch/x86/bits.h"

/* In the order of the opcodes 00-3F and of /reg in 80-83. */
enum alu_binary {
	ALU_ADD,
	ALU_OR,
	ALU_ADC,
	ALU_SBB,
	ALU_AND,
	ALU_SUB,
	ALU_XOR,
	ALU_CMP,  /* as ALU_SUB: the caller drops the result */
	ALU_TEST, /* as ALU_AND, the same */
};

enum alu_unary { ALU_INC, ALU_DEC, ALU_NOT, ALU_NEG };

/* In the order of /reg in C0, C1 and D0-D3. */
enum alu_shift { ALU_ROL, ALU_ROR, ALU_RCL, ALU_RCR, ALU_SHL, ALU_SHR, ALU_SAL, ALU_SAR };

/* In the order of /reg in 0F BA, from /4. */
enum alu_bit { ALU_BT, ALU_BTS, ALU_BTR, ALU_BTC };

uint64_t alu_binary(enum alu_binary operation, unsigned bytes, uint64_t a, uint64_t b,
		    uint64_t *flags);
uint64_t alu_unary(enum alu_unary operation, unsigned bytes, uint64_t a, uint64_t *flags);
/* `count` is as the instruction gives it, and masked here. */
uint64_t alu_shift(enum alu_shift operation, unsigned bytes, uint64_t a, unsigned count,
		   uint64_t *flags);
/* SHLD, or else SHRD; 16 bits by more than 16 give some value, as on a CPU. */
uint64_t alu_shift_double(bool left, unsigned bytes, uint64_t a, uint64_t filler, unsigned count,
			  uint64_t *flags);
/* `bit` is below the operand's width. */
uint64_t alu_bit(enum alu_bit operation, uint64_t a, unsigned bit, uint64_t *flags);
/* The condition of Jcc, SETcc and CMOVcc, numbered as in their opcodes. SDM: "EFLAGS Condition Codes". */
bool alu_condition(unsigned condition, uint64_t flags);

static inline uint64_t alu_cut(uint64_t value, unsigned bytes)
{
	return bytes >= 8 ? value : value & (BIT64(8 * bytes) - 1);
}

static inline uint64_t alu_sign_extend(uint64_t value, unsigned bytes)
{
	unsigned unused = 64 - 8 * bytes;

	return (uint64_t)((int64_t)(value << unused) >> unused);
}

#endif
