/* SPDX-License-Identifier: BSD-2-Clause */
/* Masks instead of bitfields: single bits, ranges, and the pair of helpers that move a value in and out. */
#ifndef ARCH_X86_BITS_H
#define ARCH_X86_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define BITS32(hi, lo)		 (UINT32_MAX >> (31 - (hi)) & UINT32_MAX << (lo))
#define BIT32(n)		 (UINT32_C(1) << (n))
#define BIT64(n)		 (UINT64_C(1) << (n))
#define BITS64(hi, lo)		 ((~UINT64_C(0) >> (63 - (hi))) & (~UINT64_C(0) << (lo)))

#define ALIGN_DOWN(value, bytes) ((value) & ~((bytes)-1))
#define ALIGN_UP(value, bytes)	 ALIGN_DOWN((value) + ((bytes)-1), (bytes))
#define ARRAY_COUNT(array)	 (sizeof(array) / sizeof((array)[0]))
#define MUST_CHECK		 __attribute__((warn_unused_result))
#define LIKELY(condition)	 __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition)	 __builtin_expect(!!(condition), 0)

/* Place `value` into the bits of a contiguous, non-zero `mask`; too large a value is cut. */
static inline uint64_t field_put(uint64_t mask, uint64_t value)
{
	return (value << __builtin_ctzll(mask)) & mask;
}

static inline uint64_t field_get(uint64_t mask, uint64_t reg)
{
	return (reg & mask) >> __builtin_ctzll(mask);
}

/* Whether an address is the sign extension of its low `bits` (48 or 57) bits. SDM: "Canonical Addressing". */
static inline bool is_canonical(uint64_t address, unsigned bits)
{
	unsigned unused = 64 - bits;

	return (uint64_t)((int64_t)(address << unused) >> unused) == address;
}

#endif
