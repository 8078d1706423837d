/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pool of 4 KiB pages, all reserved at start: nothing can be allocated after ExitBootServices. Each feature
 * has a pool of its own with a rule for when it is full. Not locked: the owner serializes.
 */
#ifndef MM_POOL_H
#define MM_POOL_H

#include <stdint.h>

#include "arch/x86/bits.h"
#include "mm/addr.h"

struct pool {
	const char *name;
	uint8_t *start; /* first page that belongs here */
	uint8_t *next;	/* never handed out from here to `end` */
	uint8_t *end;
	void *free;	     /* list of returned pages, linked through their first word */
	uint64_t free_pages; /* on the list and never handed out */
	uint64_t total_pages;
};

/* Takes `page_count` pages of RAM at `pages` (page aligned, mapped). */
void pool_init(struct pool *pool, const char *name, void *pages, uint64_t page_count);

/* Returns one zeroed page, or NULL if the pool is empty. */
MUST_CHECK void *pool_alloc(struct pool *pool);

/* Returns `page_count` zeroed pages in one piece, only from memory never handed out, or NULL. */
MUST_CHECK void *pool_alloc_contiguous(struct pool *pool, uint64_t page_count);

/* Give one page back. */
void pool_free(struct pool *pool, void *page);

/* Move `page_count` never used pages out of `from` and make them the new pool `pool`; false if there are too few. */
MUST_CHECK bool pool_carve(struct pool *pool, const char *name, struct pool *from,
			   uint64_t page_count);

#endif
