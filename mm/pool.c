/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/pool.h"

#include <stddef.h>

#include "mm/layout.h"

void pool_init(struct pool *pool, const char *name, void *pages, uint64_t page_count)
{
	if ((uint64_t)pages & (PAGE_BYTES - 1))
		mm_panic("pool_init: pages are not aligned");
	*pool = (struct pool){
		.name = name,
		.start = pages,
		.next = pages,
		.end = (uint8_t *)pages + page_count * PAGE_BYTES,
		.free_pages = page_count,
		.total_pages = page_count,
	};
}

static uint64_t never_used_pages(const struct pool *pool)
{
	return (uint64_t)(pool->end - pool->next) / PAGE_BYTES;
}

void *pool_alloc(struct pool *pool)
{
	void *page = pool->free;

	if (page == NULL)
		return pool_alloc_contiguous(pool, 1);
	__builtin_memcpy(&pool->free, page, sizeof(pool->free));
	pool->free_pages--;
	return __builtin_memset(page, 0, PAGE_BYTES);
}

void *pool_alloc_contiguous(struct pool *pool, uint64_t page_count)
{
	uint8_t *pages = pool->next;

	if (never_used_pages(pool) < page_count)
		return NULL;
	pool->next += page_count * PAGE_BYTES;
	pool->free_pages -= page_count;
	return __builtin_memset(pages, 0, page_count * PAGE_BYTES);
}

void pool_free(struct pool *pool, void *page)
{
	uint8_t *byte = page;

	if (byte < pool->start || byte >= pool->next || ((uint64_t)page & (PAGE_BYTES - 1)))
		mm_panic("pool_free: not a page of this pool");
	if (pool->free_pages >= pool->total_pages)
		mm_panic("pool_free: more pages came back than were taken");
	__builtin_memcpy(page, &pool->free, sizeof(pool->free));
	pool->free = page;
	pool->free_pages++;
}

bool pool_carve(struct pool *pool, const char *name, struct pool *from, uint64_t page_count)
{
	if (never_used_pages(from) < page_count)
		return false;
	/* From the end, so that `from` stays in one piece. */
	from->end -= page_count * PAGE_BYTES;
	from->free_pages -= page_count;
	from->total_pages -= page_count;
	pool_init(pool, name, from->end, page_count);
	return true;
}
