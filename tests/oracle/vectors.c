/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loops for compilers to vectorize: never run, only compiled for many CPUs, so that the decoder meets the SSE, AVX,
 * AVX-512 and XOP instructions that compilers really emit.
 */
#include <stddef.h>
#include <stdint.h>

#define COUNT 1000

/* clang-format off */

#define EACH  for (int i = 0; i < COUNT; i++)

#define ARITHMETIC(type)                                                   \
	void add_##type(type *a, const type *b, const type *c)             \
	{                                                                  \
		EACH a[i] = (type)(b[i] + c[i]);                           \
	}                                                                  \
	void multiply_##type(type *a, const type *b, const type *c)        \
	{                                                                  \
		EACH a[i] = (type)(b[i] * c[i]);                           \
	}                                                                  \
	void strided_##type(type *a, const type *b)                        \
	{                                                                  \
		EACH a[i] = (type)(b[2 * i] - b[2 * i + 1]);               \
	}                                                                  \
	void reverse_##type(type *a, const type *b)                        \
	{                                                                  \
		EACH a[i] = b[COUNT - i];                                  \
	}                                                                  \
	void greater_##type(type *a, const type *b, const type *c)         \
	{                                                                  \
		EACH a[i] = b[i] > c[i] ? b[i] : c[i];                     \
	}                                                                  \
	void choose_##type(type *a, const type *b, const type *c)          \
	{                                                                  \
		EACH a[i] = b[i] > 5 ? c[i] : a[i];                        \
	}                                                                  \
	void masked_##type(type *a, const type *b, const int *on)          \
	{                                                                  \
		EACH if (on[i] != 0) a[i] = b[i];                          \
	}                                                                  \
	void gather_##type(type *a, const type *b, const int *at)          \
	{                                                                  \
		EACH a[i] = b[at[i]];                                      \
	}                                                                  \
	void scatter_##type(type *a, const type *b, const int *at)         \
	{                                                                  \
		EACH a[at[i]] = b[i];                                      \
	}                                                                  \
	void gather_long_##type(type *a, const type *b, const int64_t *at) \
	{                                                                  \
		EACH a[i] = b[at[i]];                                      \
	}                                                                  \
	void constant_##type(type *a)                                      \
	{                                                                  \
		EACH a[i] = (type)(a[i] * 3 + 7);                          \
	}                                                                  \
	type sum_##type(const type *a)                                     \
	{                                                                  \
		type s = 0;                                                \
		EACH s = (type)(s + a[i]);                                 \
		return s;                                                  \
	}                                                                  \
	type dot_##type(const type *a, const type *b)                      \
	{                                                                  \
		type s = 0;                                                \
		EACH s = (type)(s + a[i] * b[i]);                          \
		return s;                                                  \
	}                                                                  \
	int compress_##type(type *a, const type *b)                        \
	{                                                                  \
		int n = 0;                                                 \
		EACH if (b[i] > 3) a[n++] = b[i];                          \
		return n;                                                  \
	}

#define BITS(type)                                                      \
	void and_##type(type *a, const type *b, const type *c)          \
	{                                                               \
		EACH a[i] = (type)(b[i] & ~c[i]);                       \
	}                                                               \
	void ternary_##type(type *a, const type *b, const type *c)      \
	{                                                               \
		EACH a[i] = (type)((a[i] & b[i]) | (~a[i] & c[i]));     \
	}                                                               \
	void shift_##type(type *a, const type *b)                       \
	{                                                               \
		EACH a[i] = (type)(b[i] >> 3);                          \
	}                                                               \
	void shift_by_##type(type *a, const type *b, const type *c)     \
	{                                                               \
		EACH a[i] = (type)(b[i] << (c[i] & 7));                 \
	}                                                               \
	void rotate_##type(type *a, const type *b)                      \
	{                                                               \
		EACH a[i] = (type)((b[i] << 5) | (b[i] >> 3));          \
	}                                                               \
	void count_##type(type *a, const type *b)                       \
	{                                                               \
		EACH a[i] = (type)__builtin_popcountll((uint64_t)b[i]); \
	}                                                               \
	void absolute_##type(type *a, const type *b)                    \
	{                                                               \
		EACH a[i] = (type)(b[i] < 0 ? 0 - b[i] : b[i]);         \
	}                                                               \
	void test_##type(type *a, const type *b, const type *c)         \
	{                                                               \
		EACH a[i] = (b[i] & c[i]) != 0;                         \
	}

#define REALS(type)                                                   \
	void divide_##type(type *a, const type *b, const type *c)     \
	{                                                             \
		EACH a[i] = b[i] / c[i];                              \
	}                                                             \
	void fused_##type(type *a, const type *b, const type *c)      \
	{                                                             \
		EACH a[i] = a[i] * b[i] + c[i];                       \
	}                                                             \
	void fused_less_##type(type *a, const type *b, const type *c) \
	{                                                             \
		EACH a[i] = c[i] - a[i] * b[i];                       \
	}                                                             \
	void negate_##type(type *a, const type *b)                    \
	{                                                             \
		EACH a[i] = -b[i];                                    \
	}                                                             \
	type poly_##type(type x)                                      \
	{                                                             \
		return ((x * 3 + 2) * x + 1) / (x + 4);               \
	}

#define CONVERT(from, to)                         \
	void from##_to_##to(to *a, const from *b) \
	{                                         \
		EACH a[i] = (to)b[i];             \
	}                                         \
	to from##_one_##to(const from *b)         \
	{                                         \
		return (to)*b;                    \
	}

#define CONVERT_ALL(from)                                                              \
	CONVERT(from, int8_t)                                                          \
	CONVERT(from, uint8_t)                                                         \
	CONVERT(from, int16_t) CONVERT(from, uint16_t) CONVERT(from, int32_t)          \
		CONVERT(from, uint32_t) CONVERT(from, int64_t) CONVERT(from, uint64_t) \
			CONVERT(from, float) CONVERT(from, double)

ARITHMETIC(int8_t) ARITHMETIC(uint8_t) ARITHMETIC(int16_t) ARITHMETIC(uint16_t) ARITHMETIC(int32_t)
ARITHMETIC(uint32_t) ARITHMETIC(int64_t) ARITHMETIC(uint64_t) ARITHMETIC(float) ARITHMETIC(double)
BITS(int8_t) BITS(uint8_t) BITS(int16_t) BITS(uint16_t) BITS(int32_t) BITS(uint32_t) BITS(int64_t) BITS(uint64_t)
REALS(float) REALS(double)
CONVERT_ALL(int8_t) CONVERT_ALL(uint8_t) CONVERT_ALL(int16_t) CONVERT_ALL(uint16_t) CONVERT_ALL(int32_t)
CONVERT_ALL(uint32_t) CONVERT_ALL(int64_t) CONVERT_ALL(uint64_t) CONVERT_ALL(float) CONVERT_ALL(double)

#ifdef __AVX512FP16__
typedef _Float16 half;
ARITHMETIC(half) REALS(half) CONVERT_ALL(half) CONVERT(float, half) CONVERT(double, half) CONVERT(int16_t, half)
CONVERT(uint32_t, half) CONVERT(int64_t, half)
#endif

double remainder_long(long double *a, long double b) { EACH a[i] = a[i] / b; return (double)a[3]; }
/* clang-format on */

/* Bit fields, jumps through tables, divisions and copies, for the general registers. */
struct fields {
	unsigned a : 3, b : 7, c : 22;
	uint16_t d;
	uint8_t e[13];
};

unsigned switched(unsigned which, struct fields *fields)
{
	switch (which) {
	case 0:
		return fields->a;
	case 1:
		return fields->b * 3u;
	case 2:
		fields->c ^= 0x1234;
		return fields->c;
	case 3:
		return fields->d / 7u;
	case 4:
		return (unsigned)__builtin_bswap32(fields->d);
	case 5:
		return (unsigned)__builtin_ctz(fields->d | 1u) +
		       (unsigned)__builtin_clz(fields->d | 1u);
	case 6:
		*fields = (struct fields){ .d = 1 };
		return 0;
	}
	return 99;
}

void copy_fields(struct fields *to, const struct fields *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = from[i];
}

int counters(volatile int *a, volatile short *b, volatile char *c)
{
	__atomic_fetch_add(a, 3, __ATOMIC_SEQ_CST);
	__atomic_fetch_or(b, 5, __ATOMIC_SEQ_CST);
	__atomic_fetch_xor(c, 9, __ATOMIC_SEQ_CST);
	(*a)++;
	*b = (short)(*b + 3);
	*c = (char)-*c;
	return __atomic_exchange_n(a, 7, __ATOMIC_SEQ_CST) +
	       __atomic_compare_exchange_n(b, &(short){ 3 }, 4, 0, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}
