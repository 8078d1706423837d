/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_alu.h"

#include "arch/x86/cr.h"

static void set_flag(uint64_t *flags, uint64_t flag, bool value)
{
	*flags = value ? *flags | flag : *flags & ~flag;
}

static bool top_bit(uint64_t value, unsigned bytes)
{
	return (value >> (8 * bytes - 1) & 1) != 0;
}

static void set_result_flags(uint64_t result, unsigned bytes, uint64_t *flags)
{
	set_flag(flags, RFLAGS_SF, top_bit(result, bytes));
	set_flag(flags, RFLAGS_ZF, result == 0);
	set_flag(flags, RFLAGS_PF, (__builtin_popcountll(result & 0xff) & 1) == 0);
}

/* --- sums ---------------------------------------------------------------------------------- */

static uint64_t add(unsigned bytes, uint64_t a, uint64_t b, bool carry, uint64_t *flags)
{
	uint64_t sum = alu_cut(a + b + carry, bytes);

	/* The carry out of a bit is the majority of both operands and the inverted sum. */
	set_flag(flags, RFLAGS_CF, top_bit((a & b) | ((a | b) & ~sum), bytes));
	set_flag(flags, RFLAGS_OF, top_bit((a ^ sum) & (b ^ sum), bytes));
	set_flag(flags, RFLAGS_AF, ((a ^ b ^ sum) & 0x10) != 0);
	set_result_flags(sum, bytes, flags);
	return sum;
}

static uint64_t subtract(unsigned bytes, uint64_t a, uint64_t b, bool borrow, uint64_t *flags)
{
	uint64_t difference = alu_cut(a - b - borrow, bytes);

	set_flag(flags, RFLAGS_CF, top_bit((~a & b) | ((~a | b) & difference), bytes));
	set_flag(flags, RFLAGS_OF, top_bit((a ^ b) & (a ^ difference), bytes));
	set_flag(flags, RFLAGS_AF, ((a ^ b ^ difference) & 0x10) != 0);
	set_result_flags(difference, bytes, flags);
	return difference;
}

static uint64_t logical(uint64_t result, unsigned bytes, uint64_t *flags)
{
	*flags &= ~(RFLAGS_CF | RFLAGS_OF | RFLAGS_AF);
	set_result_flags(result, bytes, flags);
	return result;
}

uint64_t alu_binary(enum alu_binary operation, unsigned bytes, uint64_t a, uint64_t b,
		    uint64_t *flags)
{
	bool carry = (*flags & RFLAGS_CF) != 0;

	switch (operation) {
	case ALU_ADD:
		return add(bytes, a, b, false, flags);
	case ALU_ADC:
		return add(bytes, a, b, carry, flags);
	case ALU_SUB:
	case ALU_CMP:
		return subtract(bytes, a, b, false, flags);
	case ALU_SBB:
		return subtract(bytes, a, b, carry, flags);
	case ALU_OR:
		return logical(a | b, bytes, flags);
	case ALU_AND:
	case ALU_TEST:
		return logical(a & b, bytes, flags);
	case ALU_XOR:
		return logical(a ^ b, bytes, flags);
	}
	return a;
}

uint64_t alu_unary(enum alu_unary operation, unsigned bytes, uint64_t a, uint64_t *flags)
{
	uint64_t carry = *flags & RFLAGS_CF, result;

	switch (operation) {
	case ALU_INC:
		result = add(bytes, a, 1, false, flags);
		break;
	case ALU_DEC:
		result = subtract(bytes, a, 1, false, flags);
		break;
	case ALU_NEG:
		return subtract(bytes, 0, a, false, flags);
	default:
		return alu_cut(~a, bytes);
	}
	*flags = (*flags & ~RFLAGS_CF) | carry;
	return result;
}

/* --- shifts -------------------------------------------------------------------------------- */

static bool bit_of(uint64_t value, unsigned bit)
{
	return bit < 64 && (value >> bit & 1) != 0;
}

static void set_shift_flags(uint64_t a, uint64_t result, unsigned bytes, bool carry,
			    uint64_t *flags)
{
	set_flag(flags, RFLAGS_CF, carry);
	set_flag(flags, RFLAGS_OF, top_bit(a ^ result, bytes));
	set_result_flags(result, bytes, flags);
}

static uint64_t shift_left(unsigned bytes, uint64_t a, unsigned count, uint64_t *flags)
{
	unsigned bits = 8 * bytes;
	uint64_t result = count >= bits ? 0 : alu_cut(a << count, bytes);

	set_shift_flags(a, result, bytes, count <= bits && bit_of(a, bits - count), flags);
	return result;
}

static uint64_t shift_right(unsigned bytes, uint64_t a, unsigned count, bool arithmetic,
			    uint64_t *flags)
{
	unsigned bits = 8 * bytes;
	uint64_t from = arithmetic ? alu_sign_extend(a, bytes) : a;
	/* An arithmetic shift by the width or more goes on with the sign. */
	unsigned last = arithmetic && count > bits ? bits - 1 : count - 1;
	uint64_t result;

	if (count >= bits)
		result = arithmetic && top_bit(a, bytes) ? ~UINT64_C(0) : 0;
	else
		result = arithmetic ? (uint64_t)((int64_t)from >> count) : from >> count;
	result = alu_cut(result, bytes);
	set_shift_flags(a, result, bytes, bit_of(a, last), flags);
	return result;
}

/* Only CF and OF change. */
static uint64_t rotate(enum alu_shift operation, unsigned bytes, uint64_t a, unsigned count,
		       uint64_t *flags)
{
	unsigned bits = 8 * bytes, distance = count & (bits - 1);
	bool left = operation == ALU_ROL;
	uint64_t result = a;

	if (distance != 0)
		result = left ? a << distance | a >> (bits - distance)
			      : a >> distance | a << (bits - distance);
	result = alu_cut(result, bytes);
	set_flag(flags, RFLAGS_CF, left ? bit_of(result, 0) : top_bit(result, bytes));
	set_flag(flags, RFLAGS_OF,
		 top_bit(result, bytes) ^ (left ? bit_of(result, 0) : bit_of(result, bits - 2)));
	return result;
}

/* CF is one bit more of the operand. */
static uint64_t rotate_through_carry(enum alu_shift operation, unsigned bytes, uint64_t a,
				     unsigned count, uint64_t *flags)
{
	unsigned bits = 8 * bytes;
	bool left = operation == ALU_RCL, carry = (*flags & RFLAGS_CF) != 0, out;

	for (count %= bits + 1; count != 0; count--) {
		out = left ? top_bit(a, bytes) : bit_of(a, 0);
		a = left ? alu_cut(a << 1 | carry, bytes) : a >> 1 | (uint64_t)carry << (bits - 1);
		carry = out;
	}
	set_flag(flags, RFLAGS_CF, carry);
	set_flag(flags, RFLAGS_OF, top_bit(a, bytes) ^ (left ? carry : bit_of(a, bits - 2)));
	return a;
}

static unsigned mask_count(unsigned count, unsigned bytes)
{
	return count & (bytes == 8 ? 63u : 31u);
}

uint64_t alu_shift(enum alu_shift operation, unsigned bytes, uint64_t a, unsigned count,
		   uint64_t *flags)
{
	count = mask_count(count, bytes);
	if (count == 0)
		return a;
	switch (operation) {
	case ALU_ROL:
	case ALU_ROR:
		return rotate(operation, bytes, a, count, flags);
	case ALU_RCL:
	case ALU_RCR:
		return rotate_through_carry(operation, bytes, a, count, flags);
	case ALU_SHL:
	case ALU_SAL:
		return shift_left(bytes, a, count, flags);
	case ALU_SHR:
		return shift_right(bytes, a, count, false, flags);
	case ALU_SAR:
		return shift_right(bytes, a, count, true, flags);
	}
	return a;
}

uint64_t alu_shift_double(bool left, unsigned bytes, uint64_t a, uint64_t filler, unsigned count,
			  uint64_t *flags)
{
	unsigned bits = 8 * bytes;
	uint64_t result;
	bool carry;

	count = mask_count(count, bytes);
	if (count == 0)
		return a;
	if (count > bits) { /* 16 bits only */
		count -= bits;
		a = filler;
	}
	carry = bit_of(a, left ? bits - count : count - 1);
	if (count == bits)
		result = filler;
	else
		result = left ? a << count | filler >> (bits - count)
			      : a >> count | filler << (bits - count);
	result = alu_cut(result, bytes);
	set_shift_flags(a, result, bytes, carry, flags);
	return result;
}

/* --- bits and conditions ------------------------------------------------------------------- */

uint64_t alu_bit(enum alu_bit operation, uint64_t a, unsigned bit, uint64_t *flags)
{
	set_flag(flags, RFLAGS_CF, bit_of(a, bit));
	switch (operation) {
	case ALU_BT:
		return a;
	case ALU_BTS:
		return a | BIT64(bit);
	case ALU_BTR:
		return a & ~BIT64(bit);
	case ALU_BTC:
		return a ^ BIT64(bit);
	}
	return a;
}

bool alu_condition(unsigned condition, uint64_t flags)
{
	bool less = ((flags & RFLAGS_SF) != 0) != ((flags & RFLAGS_OF) != 0);
	bool inverted = (condition & 1) != 0;

	switch (condition >> 1) {
	case 0:
		return inverted != ((flags & RFLAGS_OF) != 0);
	case 1:
		return inverted != ((flags & RFLAGS_CF) != 0);
	case 2:
		return inverted != ((flags & RFLAGS_ZF) != 0);
	case 3:
		return inverted != ((flags & (RFLAGS_CF | RFLAGS_ZF)) != 0);
	case 4:
		return inverted != ((flags & RFLAGS_SF) != 0);
	case 5:
		return inverted != ((flags & RFLAGS_PF) != 0);
	case 6:
		return inverted != less;
	default:
		return inverted != (less || (flags & RFLAGS_ZF) != 0);
	}
}
