/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory in which the walkers and the model read the same tables: an arena from address 0 on, of which only the entries
 * that a test has put there are ever anything but zero. Both sides start from the same entries and leave theirs behind.
 */
#ifndef TESTS_UNIT_WALK_ARENA_H
#define TESTS_UNIT_WALK_ARENA_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mm/table_walk.h"
#include "tests/unit/walk_model.h"

#ifndef ARENA_BYTES
#define ARENA_BYTES 0x80000u
#endif

static uint8_t arena[ARENA_BYTES];
static uint8_t *arena_pointer = arena;

static inline bool arena_read(void *context, gpa_t gpa, unsigned bytes, uint64_t *value)
{
	(void)context;
	*value = 0;
	if (gpa.v % bytes != 0 || gpa.v > ARENA_BYTES - bytes)
		return false;
	memcpy(value, arena + gpa.v, bytes);
	return true;
}

static inline bool arena_exchange(void *context, gpa_t gpa, unsigned bytes, uint64_t old,
				  uint64_t new, bool *same)
{
	uint64_t now;

	if (!arena_read(context, gpa, bytes, &now))
		return false;
	*same = now == old;
	if (*same)
		memcpy(arena + gpa.v, &new, bytes);
	return true;
}

static inline bool arena_model_read(void *context, uint64_t at, unsigned bytes, uint64_t *value)
{
	return arena_read(context, (gpa_t){ at }, bytes, value);
}

static inline bool arena_model_set(void *context, uint64_t at, unsigned bytes, uint64_t value)
{
	(void)context;
	if (at > ARENA_BYTES - bytes)
		return false;
	memcpy(arena + at, &value, bytes);
	return true;
}

static const struct gva_window arena_window = { .virt = &arena_pointer, .bytes = { ARENA_BYTES } };
static const struct gva_reader arena_reader = { NULL, arena_read, arena_exchange, NULL };
static const struct gva_reader arena_fast_reader = { NULL, arena_read, arena_exchange,
						     &arena_window };
static const struct model_memory arena_memory = { NULL, arena_model_read, arena_model_set };

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

/* xorshift64*: the same sequence in every run. */
static inline uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static inline bool chance(unsigned one_in)
{
	return (random64() >> 20) % one_in == 0;
}

static inline bool is_full_run(void)
{
	const char *full = getenv("SV_FULL");

	return full != NULL && *full != '\0' && strcmp(full, "0") != 0;
}

#endif
