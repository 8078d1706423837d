/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of mm/ share: an arena that plays the reservation, a panic that cmocka can expect, random numbers. */
#ifndef TESTS_UNIT_MM_TEST_H
#define TESTS_UNIT_MM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mm/layout.h"
#include "mm/pool.h"

#define ARENA_HPA UINT64_C(0x7c000000)

static uint8_t *arena;
static uint64_t arena_bytes;

void mm_panic(const char *what)
{
	mock_assert(0, what, "mm_panic", 0);
	abort();
}

/* `page_count` pages that the tables can live in, at a host-physical address that has nothing to do with theirs. */
static inline void arena_make(struct pool *pool, uint64_t page_count)
{
	free(arena);
	arena_bytes = page_count * PAGE_BYTES;
	arena = aligned_alloc(PAGE_BYTES, arena_bytes);
	assert_non_null(arena);
	memset(arena, 0xa5, arena_bytes);
	layout_init_at(arena, (hpa_t){ ARENA_HPA }, arena_bytes);
	pool_init(pool, "test", arena, page_count);
}

static inline uint64_t arena_digest(void)
{
	const uint64_t *words = (const uint64_t *)(void *)arena;
	uint64_t digest = UINT64_C(0xcbf29ce484222325);

	for (uint64_t i = 0; i < arena_bytes / sizeof(*words); i++)
		digest = (digest ^ words[i]) * UINT64_C(0x100000001b3);
	return digest;
}

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64*: the same sequence in every run. */
static inline uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t random_below(uint64_t limit)
{
	return (random64() >> 11) % limit;
}

/* How often the random tests go round: `base` in `make test`, ten times that in `make test-full`. */
static inline unsigned test_rounds(unsigned base)
{
	return getenv("SV_FULL") != NULL ? 10 * base : base;
}

#endif
