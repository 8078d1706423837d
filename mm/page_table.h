/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one engine that builds tables in any page_format: host, EPT, NPT. Every operation first takes the pages
 * it may need from its pool (may fail, nothing changed), then changes entries one atomic store at a time (cannot
 * fail). Flushing is the caller's: each call says whether an entry that was present has changed.
 */
#ifndef MM_PAGE_TABLE_H
#define MM_PAGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"
#include "mm/page_format.h"
#include "mm/pool.h"

struct page_table {
	struct page_format format;
	struct pool *pool;
	uint64_t *root; /* virtual; its hpa is what CR3, EPTP or N_CR3 take */
	void *retired; /* tables unlinked, but perhaps still cached by a CPU: page_table_release() */
	uint64_t reserve; /* pages of the pool that no change may take */
	bool merges; /* a table that says no more than one large leaf would is replaced by it */
};

/* What one translation looks like. */
struct page_mapping {
	hpa_t hpa;	/* of the address asked for, offset included */
	unsigned level; /* 0: 4 KiB, 1: 2 MiB, 2: 1 GiB */
	unsigned rights;
	enum memtype type;
	uint64_t *entry;
};

MUST_CHECK bool page_table_init(struct page_table *table, const struct page_format *format,
				struct pool *pool);

/*
 * Map [address, address + bytes) to hpa and on, with the largest pages that fit; existing mappings in the range are
 * replaced (larger ones split at its edges, tables that become unused are given back). False: the pool is empty (or
 * down to its reserve), and nothing has changed. `*changed` becomes true if an entry that was present was changed (then
 * flush before relying on it).
 */
MUST_CHECK bool page_table_map(struct page_table *table, uint64_t address, hpa_t hpa,
			       uint64_t bytes, unsigned rights, enum memtype type, bool *changed);
MUST_CHECK bool page_table_unmap(struct page_table *table, uint64_t address, uint64_t bytes,
				 bool *changed);

/* Give what is mapped in the range other rights; frames and types stay, and what is not mapped stays so. */
MUST_CHECK bool page_table_protect(struct page_table *table, uint64_t address, uint64_t bytes,
				   unsigned rights, bool *changed);

/*
 * Unlinked tables are kept aside until the CPUs have forgotten them (a walk may still be in one): call this after
 * every CPU that uses the table has flushed. Only then do they go back to the pool.
 */
void page_table_release(struct page_table *table);

/* Look an address up. False if nothing is mapped there. */
bool page_table_lookup(const struct page_table *table, uint64_t address,
		       struct page_mapping *mapping);

/* The lowest entry on the way to an address, a leaf or an empty one, and its level. */
uint64_t *page_table_entry(const struct page_table *table, uint64_t address, unsigned *level);

/* Split the large leaf at `address`, if it is one, into 512 of the next level. False: the pool is empty. */
MUST_CHECK bool page_table_split(struct page_table *table, uint64_t address, bool *changed);

/*
 * Put large leaves back wherever the tables of a range say no more than one would: same rights and types, frames in a
 * row. Takes no page and changes no translation, but retires tables.
 */
void page_table_merge(struct page_table *table, uint64_t address, uint64_t bytes, bool *changed);

/* Change a leaf entry to another value of the same level, in one store. */
void page_table_store(const struct page_table *table, uint64_t *entry, uint64_t value,
		      bool *changed);

/*
 * Put an existing table page (full of leaf entries made by the caller) below the level-1 entry of a 2 MiB-aligned
 * address: how all hidden 2 MiB ranges share one table. Such a table is never freed or changed by the engine: a
 * later change of a part of the range is made in a copy.
 */
MUST_CHECK bool page_table_link_shared(struct page_table *table, uint64_t address,
				       const uint64_t *shared, bool *changed);

/* The same for each 2 MiB of a range: all of them or, if the pool is empty, none. */
MUST_CHECK bool page_table_link_shared_range(struct page_table *table, uint64_t address,
					     uint64_t bytes, const uint64_t *shared, bool *changed);

#endif
