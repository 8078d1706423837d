/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/track/stores.h"

#include "tests/guests/lib/probe.h"

const char *const store_names[STORES] = { "mov1",  "mov2",  "mov4",    "mov8",
					  "stosb", "stosq", "cmpxchg", "lock-cmpxchg",
					  "xchg",  "push",  "sse",     "avx" };

static bool has_avx;

void stores_enable_avx(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	if (!(regs[2] & 1u << 26) || !(regs[2] & 1u << 28))
		return;
	probe_set_cr4(probe_cr4() | 1u << 18);
	__asm__ volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
	has_avx = true;
}

bool stores_have_avx(void)
{
	return has_avx;
}

void store_copy(uint8_t *to, const uint8_t *from, unsigned count)
{
	while (count-- > 0)
		*to++ = *from++;
}

unsigned store_bytes(enum store store, uint64_t *state)
{
	switch (store) {
	case MOV1:
		return 1;
	case MOV2:
		return 2;
	case MOV4:
		return 4;
	case STOSB:
		return 1 + (unsigned)(probe_random(state) % STORE_BYTES_MAX);
	case STOSQ:
		return 8 * (1 + (unsigned)(probe_random(state) % (STORE_BYTES_MAX / 8)));
	case SSE:
		return 16;
	case AVX:
		return 32;
	default:
		return 8;
	}
}

static uint64_t word(const uint8_t *bytes)
{
	uint64_t value;

	store_copy((uint8_t *)&value, bytes, 8);
	return value;
}

/* A string store writes one value over and over: one that differs from all that is there. */
static void fill_string(enum store store, const uint8_t *old, uint8_t *new, unsigned bytes)
{
	const unsigned step = store == STOSB ? 1 : 8;

	for (unsigned i = 0; i < step; i++) {
		uint8_t value = new[i];

		for (unsigned k = i; k < bytes; k += step) {
			if (old[k] == value) {
				value++;
				k = i - step;
			}
		}
		for (unsigned k = i; k < bytes; k += step)
			new[k] = value;
	}
}

void store_choose(enum store store, uint64_t *random, const uint8_t *old, uint8_t *new,
		  unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		new[i] = (uint8_t)(old[i] ^ (1 + probe_random(random) % 255));
	if (store == STOSB || store == STOSQ)
		fill_string(store, old, new, bytes);
}

static void push(uint8_t *at, uint64_t value)
{
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; push %1; mov %%rbx, %%rsp"
			 :
			 : "r"(at + 8), "r"(value)
			 : "rbx", "memory");
}

bool store_make(enum store store, uint8_t *at, const uint8_t *old, const uint8_t *new,
		unsigned bytes)
{
	uint64_t value = word(new), expected = word(old), count = bytes;
	uint8_t *to = at;
	uint8_t equal = 1;

	switch (store) {
	case MOV1:
		*(volatile uint8_t *)at = new[0];
		break;
	case MOV2:
		__asm__ volatile("movw %w1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case MOV4:
		__asm__ volatile("movl %k1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case MOV8:
		__asm__ volatile("movq %1, (%0)" : : "r"(at), "r"(value) : "memory");
		break;
	case STOSB:
		__asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
		return count == 0 && to == at + bytes;
	case STOSQ:
		count /= 8;
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
		return count == 0 && to == at + bytes;
	case CMPXCHG:
		__asm__ volatile("cmpxchg %3, (%2); sete %1"
				 : "+a"(expected), "=q"(equal)
				 : "r"(at), "r"(value)
				 : "memory", "cc");
		break;
	case LOCK_CMPXCHG:
		__asm__ volatile("lock cmpxchg %3, (%2); sete %1"
				 : "+a"(expected), "=q"(equal)
				 : "r"(at), "r"(value)
				 : "memory", "cc");
		break;
	case XCHG:
		__asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(at) : "memory");
		return value == expected;
	case PUSH:
		push(at, value);
		break;
	case SSE:
		__asm__ volatile("movups (%1), %%xmm0; movups %%xmm0, (%0)"
				 :
				 : "r"(at), "r"(new)
				 : "xmm0", "memory");
		break;
	case AVX:
		__asm__ volatile("vmovups (%1), %%ymm0; vmovups %%ymm0, (%0); vzeroupper"
				 :
				 : "r"(at), "r"(new)
				 : "xmm0", "memory");
		break;
	case STORES:
		break;
	}
	return equal;
}

uint64_t store_flags(uint8_t *at)
{
	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; pushfq; mov %%rbx, %%rsp"
			 :
			 : "r"(at + 8)
			 : "rbx", "memory");
	return word(at);
}
