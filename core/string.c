/* SPDX-License-Identifier: BSD-2-Clause */
/* The four functions that a compiler calls on its own, also in freestanding code. */
#include "core/string.h"

#include <stdint.h>

/* By words, then the rest: a short copy by REP MOVSB alone costs more than its bytes are worth. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	void *result = to;
	size_t words = bytes / 8, rest = bytes % 8;

	asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
	return result;
}

void *memset(void *to, int value, size_t bytes)
{
	void *result = to;
	size_t words = bytes / 8, rest = bytes % 8;
	uint64_t pattern = (uint8_t)value * UINT64_C(0x0101010101010101);

	asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	asm volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
	return result;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	uint8_t *t = to;
	const uint8_t *f = from;

	if (t <= f || t >= f + bytes)
		return memcpy(to, from, bytes);
	while (bytes-- > 0) {
		t[bytes] = f[bytes];
		asm volatile(""
			     :
			     :
			     : "memory"); /* keep the compiler from making this a call of memmove */
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < bytes; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}
