/* SPDX-License-Identifier: BSD-2-Clause */
/* The four functions that a compiler calls on its own, also in freestanding code. */
#include "core/string.h"

#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	void *result = to;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return result;
}

void *memset(void *to, int value, size_t bytes)
{
	void *result = to;

	asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
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
