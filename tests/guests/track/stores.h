/* SPDX-License-Identifier: BSD-2-Clause */
/* The kinds of stores. */
#ifndef TESTS_GUESTS_TRACK_STORES_H
#define TESTS_GUESTS_TRACK_STORES_H

#include <stdbool.h>
#include <stdint.h>

#define STORE_BYTES_MAX 32u

enum store {
	MOV1,
	MOV2,
	MOV4,
	MOV8,
	STOSB,
	STOSQ,
	CMPXCHG,
	LOCK_CMPXCHG,
	XCHG,
	PUSH,
	SSE,
	AVX,
	STORES
};

extern const char *const store_names[STORES];

/* On each CPU that is to use it, if there is AVX. */
void stores_enable_avx(void);
bool stores_have_avx(void);

/* How many bytes one such store writes. */
unsigned store_bytes(enum store store, uint64_t *random);
/* What it is to write: something else than `old` in each byte. */
void store_choose(enum store store, uint64_t *random, const uint8_t *old, uint8_t *new,
		  unsigned bytes);
/* Whether it did what such a store does besides. */
bool store_make(enum store store, uint8_t *at, const uint8_t *old, const uint8_t *new,
		unsigned bytes);
/* PUSHF to that place, and what is there then. */
uint64_t store_flags(uint8_t *at);
void store_copy(uint8_t *to, const uint8_t *from, unsigned count);

#endif
