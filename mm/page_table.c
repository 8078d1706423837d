/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One change is described as data and walked twice over the same tables: pages_needed() counts the tables that it
 * will add, apply() makes it. Both ask replacement() what to do with an entry, so they cannot disagree.
 */
#include "mm/page_table.h"

#include <stddef.h>

#include "mm/layout.h"

#define TABLE_ENTRIES 512u

/* Software bit in an entry that leads to a table which is not ours; ignored by the CPU in all three formats. */
#define ENTRY_SHARED  BIT64(52)

enum change_kind {
	CHANGE_MAP,
	CHANGE_UNMAP,
	CHANGE_PROTECT,
	CHANGE_SHARED,
};

struct change {
	enum change_kind kind;
	uint64_t address; /* first byte of the whole range */
	uint64_t last;	  /* last byte: the end may not fit into 64 bits */
	uint64_t hpa;
	unsigned rights;
	enum memtype type;
	uint64_t shared_entry;
	bool *changed;
};

bool page_table_init(struct page_table *table, const struct page_format *format, struct pool *pool)
{
	*table = (struct page_table){
		.format = *format,
		.pool = pool,
		.root = pool_alloc(pool),
	};
	return table->root != NULL;
}

static bool is_table(const struct page_format *format, uint64_t entry, unsigned level)
{
	return level > 0 && entry != 0 && !(entry & format->leaf);
}

static bool is_own_table(const struct page_format *format, uint64_t entry, unsigned level)
{
	return is_table(format, entry, level) && !(entry & ENTRY_SHARED);
}

static uint64_t *next_table(const struct page_format *format, uint64_t entry)
{
	return hpa_to_ptr((hpa_t){ entry & format->address });
}

/* Entry `index` of the table that says the same as one large leaf of `level`. */
static uint64_t split_entry(const struct page_format *format, uint64_t leaf, unsigned level,
			    unsigned index)
{
	uint64_t entry = leaf + index * page_format_entry_bytes(level - 1);

	return level == 1 ? entry & ~format->leaf : entry;
}

/* Entry `index` below an entry of `level`, whether or not a table is there. */
static uint64_t child_entry(const struct page_format *format, uint64_t entry, unsigned level,
			    unsigned index)
{
	if (entry == 0)
		return 0;
	if (is_table(format, entry, level))
		return next_table(format, entry)[index];
	return split_entry(format, entry, level, index);
}

static uint64_t piece_last(uint64_t start, unsigned level, uint64_t last)
{
	uint64_t entry_last = start | (page_format_entry_bytes(level) - 1);

	return entry_last < last ? entry_last : last;
}

/* What `old`, an entry of `level`, becomes for the change of [start, last]; false: that needs a table below it. */
static bool replacement(const struct page_format *format, const struct change *change, uint64_t old,
			unsigned level, uint64_t start, uint64_t last, uint64_t *new)
{
	uint64_t entry_bytes = page_format_entry_bytes(level);
	bool whole = last - start == entry_bytes - 1;
	uint64_t hpa;

	switch (change->kind) {
	case CHANGE_UNMAP:
		*new = 0;
		return whole || old == 0;
	case CHANGE_SHARED:
		*new = change->shared_entry;
		return whole && level == 1;
	case CHANGE_PROTECT:
		*new = old;
		if (old == 0)
			return true;
		if (!whole || is_table(format, old, level))
			return false;
		hpa = old & format->address;
		*new = page_format_leaf(format, (hpa_t){ hpa }, level, change->rights,
					page_format_memtype(format, old));
		return true;
	case CHANGE_MAP:
		break;
	}
	hpa = change->hpa + (start - change->address);
	if (!whole || level > format->max_leaf_level || (hpa & (entry_bytes - 1)))
		return false;
	*new = page_format_leaf(format, (hpa_t){ hpa }, level, change->rights, change->type);
	return true;
}

/* How many new tables the change of [start, last] below (or in) an entry of `level` takes. */
static uint64_t pages_needed(const struct page_format *format, const struct change *change,
			     uint64_t entry, unsigned level, uint64_t start, uint64_t last)
{
	uint64_t pages = is_own_table(format, entry, level) ? 0 : 1;
	uint64_t new;

	if (replacement(format, change, entry, level, start, last, &new))
		return 0;
	for (;;) {
		uint64_t piece = piece_last(start, level - 1, last);
		unsigned index = page_format_index(start, level - 1);

		pages += pages_needed(format, change, child_entry(format, entry, level, index),
				      level - 1, start, piece);
		if (piece == last)
			return pages;
		start = piece + 1;
	}
}

/* The tables below stay readable for a CPU that is still in them: only the first entry, now no mapping, is lost. */
static void retire(struct page_table *table, uint64_t *page, unsigned level)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		if (is_own_table(&table->format, page[i], level))
			retire(table, next_table(&table->format, page[i]), level - 1);
	}
	page[0] = (uint64_t)table->retired;
	table->retired = page;
}

void page_table_release(struct page_table *table)
{
	while (table->retired != NULL) {
		uint64_t *page = table->retired;

		table->retired = (void *)page[0];
		pool_free(table->pool, page);
	}
}

static void store(const struct page_format *format, uint64_t *entry, uint64_t value, bool *changed)
{
	if (*entry == value)
		return;
	if (*entry & format->present)
		*changed = true;
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

void page_table_store(const struct page_table *table, uint64_t *entry, uint64_t value,
		      bool *changed)
{
	store(&table->format, entry, value, changed);
}

/* Make the entry lead to a table of its own that says the same. The pages were counted before. */
static uint64_t *own_table(struct page_table *table, uint64_t *entry, unsigned level, bool *changed)
{
	const struct page_format *format = &table->format;
	uint64_t *page;

	if (is_own_table(format, *entry, level))
		return next_table(format, *entry);
	page = pool_alloc(table->pool);
	if (page == NULL)
		mm_panic("page_table: fewer pages than were counted");
	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		page[i] = child_entry(format, *entry, level, i);
	store(format, entry, page_format_table(format, ptr_to_hpa(page)), changed);
	return page;
}

static bool is_empty(const uint64_t *page)
{
	for (unsigned i = 0; i < TABLE_ENTRIES; i++) {
		if (page[i] != 0)
			return false;
	}
	return true;
}

static void set_entry(struct page_table *table, const struct change *change, uint64_t *entry,
		      unsigned level, uint64_t value)
{
	uint64_t old = *entry;

	store(&table->format, entry, value, change->changed);
	if (old != value && is_own_table(&table->format, old, level))
		retire(table, next_table(&table->format, old), level - 1);
}

/* Whether a table below an entry of `level` says the same as one leaf there, and that leaf. */
static bool is_uniform(const struct page_format *format, const uint64_t *page, unsigned level,
		       uint64_t *leaf)
{
	uint64_t step = page_format_entry_bytes(level - 1), want = page[0];

	if (level > format->max_leaf_level || want == 0 || is_table(format, want, level - 1) ||
	    ((want & format->address) & (page_format_entry_bytes(level) - 1)) != 0)
		return false;
	*leaf = want | format->leaf;
	for (unsigned i = 1; i < TABLE_ENTRIES; i++) {
		want += step;
		if (page[i] != want)
			return false;
	}
	return true;
}

/* After what is below has changed, `page` is the entry's table. */
static void tidy(struct page_table *table, uint64_t *entry, unsigned level, uint64_t *page,
		 bool *changed)
{
	uint64_t leaf = 0;

	if (!is_empty(page) && (!table->merges || !is_uniform(&table->format, page, level, &leaf)))
		return;
	store(&table->format, entry, leaf, changed);
	retire(table, page, level - 1);
}

static void apply(struct page_table *table, const struct change *change, uint64_t *entry,
		  unsigned level, uint64_t start, uint64_t last)
{
	uint64_t *page;
	uint64_t new;

	if (replacement(&table->format, change, *entry, level, start, last, &new)) {
		set_entry(table, change, entry, level, new);
		return;
	}
	page = own_table(table, entry, level, change->changed);
	for (;;) {
		uint64_t piece = piece_last(start, level - 1, last);

		apply(table, change, &page[page_format_index(start, level - 1)], level - 1, start,
		      piece);
		if (piece == last)
			break;
		start = piece + 1;
	}
	tidy(table, entry, level, page, change->changed);
}

static void merge(struct page_table *table, uint64_t *entry, unsigned level, uint64_t start,
		  uint64_t last, bool *changed)
{
	uint64_t *page;

	if (!is_own_table(&table->format, *entry, level))
		return;
	page = next_table(&table->format, *entry);
	for (uint64_t piece; level > 1; start = piece + 1) {
		piece = piece_last(start, level - 1, last);
		merge(table, &page[page_format_index(start, level - 1)], level - 1, start, piece,
		      changed);
		if (piece == last)
			break;
	}
	tidy(table, entry, level, page, changed);
}

/* Whether the tables reach the range: a canonical address in the host's, a low one in the guest-physical map. */
static bool is_reached(const struct page_format *format, uint64_t first, uint64_t last)
{
	unsigned bits = PAGE_SHIFT + 9u * format->levels;

	if (last < first)
		return false;
	if (format->kind == PAGE_FORMAT_HOST)
		return is_canonical(first, bits) && is_canonical(last, bits) &&
		       (first ^ last) >> 63 == 0;
	return last >> bits == 0;
}

static void check_range(const struct page_table *table, const struct change *change, uint64_t bytes)
{
	if ((change->address | change->hpa | bytes) & (PAGE_BYTES - 1))
		mm_panic("page_table: the range is not made of whole pages");
	if (!is_reached(&table->format, change->address, change->last))
		mm_panic("page_table: the range is beyond what the tables reach");
}

static bool make_change(struct page_table *table, struct change *change, uint64_t bytes)
{
	unsigned top = table->format.levels - 1u;
	uint64_t pages = 0;

	if (bytes == 0)
		return true;
	change->last = change->address + (bytes - 1);
	check_range(table, change, bytes);
	for (uint64_t start = change->address, last;; start = last + 1) {
		last = piece_last(start, top, change->last);
		pages += pages_needed(&table->format, change,
				      table->root[page_format_index(start, top)], top, start, last);
		if (last == change->last)
			break;
	}
	if (pages + table->reserve > table->pool->free_pages)
		return false;
	for (uint64_t start = change->address, last;; start = last + 1) {
		last = piece_last(start, top, change->last);
		apply(table, change, &table->root[page_format_index(start, top)], top, start, last);
		if (last == change->last)
			return true;
	}
}

bool page_table_map(struct page_table *table, uint64_t address, hpa_t hpa, uint64_t bytes,
		    unsigned rights, enum memtype type, bool *changed)
{
	struct change change = {
		.kind = CHANGE_MAP,
		.address = address,
		.hpa = hpa.v,
		.rights = rights,
		.type = type,
		.changed = changed,
	};

	return make_change(table, &change, bytes);
}

bool page_table_unmap(struct page_table *table, uint64_t address, uint64_t bytes, bool *changed)
{
	struct change change = { .kind = CHANGE_UNMAP, .address = address, .changed = changed };

	return make_change(table, &change, bytes);
}

bool page_table_protect(struct page_table *table, uint64_t address, uint64_t bytes, unsigned rights,
			bool *changed)
{
	struct change change = {
		.kind = CHANGE_PROTECT,
		.address = address,
		.rights = rights,
		.changed = changed,
	};

	return make_change(table, &change, bytes);
}

void page_table_merge(struct page_table *table, uint64_t address, uint64_t bytes, bool *changed)
{
	unsigned top = table->format.levels - 1u;
	struct change range = { .address = address, .last = address + (bytes - 1) };

	if (bytes == 0 || !table->merges)
		return;
	check_range(table, &range, bytes);
	for (uint64_t start = address, last;; start = last + 1) {
		last = piece_last(start, top, range.last);
		merge(table, &table->root[page_format_index(start, top)], top, start, last,
		      changed);
		if (last == range.last)
			return;
	}
}

bool page_table_link_shared_range(struct page_table *table, uint64_t address, uint64_t bytes,
				  const uint64_t *shared, bool *changed)
{
	struct change change = {
		.kind = CHANGE_SHARED,
		.address = address,
		.shared_entry =
			page_format_table(&table->format, ptr_to_hpa(shared)) | ENTRY_SHARED,
		.changed = changed,
	};

	if ((address | bytes) & (LARGE_PAGE_BYTES - 1))
		mm_panic("page_table_link_shared: not a whole large page");
	return make_change(table, &change, bytes);
}

bool page_table_link_shared(struct page_table *table, uint64_t address, const uint64_t *shared,
			    bool *changed)
{
	return page_table_link_shared_range(table, address, LARGE_PAGE_BYTES, shared, changed);
}

uint64_t *page_table_entry(const struct page_table *table, uint64_t address, unsigned *level)
{
	unsigned at = table->format.levels - 1u;
	uint64_t *entry = &table->root[page_format_index(address, at)];

	while (is_table(&table->format, *entry, at)) {
		at--;
		entry = &next_table(&table->format, *entry)[page_format_index(address, at)];
	}
	*level = at;
	return entry;
}

bool page_table_split(struct page_table *table, uint64_t address, bool *changed)
{
	unsigned level;
	uint64_t *entry = page_table_entry(table, address, &level);

	if (level == 0 || *entry == 0)
		return true;
	if (table->pool->free_pages <= table->reserve)
		return false;
	own_table(table, entry, level, changed);
	return true;
}

bool page_table_lookup(const struct page_table *table, uint64_t address,
		       struct page_mapping *mapping)
{
	const struct page_format *format = &table->format;
	unsigned level;
	uint64_t *entry;

	if (!is_reached(format, address, address))
		return false;
	entry = page_table_entry(table, address, &level);
	if (!(*entry & format->present))
		return false;
	*mapping = (struct page_mapping){
		.hpa = { (*entry & format->address) +
			 (address & (page_format_entry_bytes(level) - 1)) },
		.level = level,
		.rights = page_format_rights(format, *entry),
		.type = page_format_memtype(format, *entry),
		.entry = entry,
	};
	return true;
}
