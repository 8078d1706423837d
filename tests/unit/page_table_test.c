// sources: mm/page_table.c mm/page_format.c mm/pool.c mm/layout.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine against a shadow map: an array that says for every 4 KiB page of a small address range what should be
 * there. The tables are read back by a walker of the test's own.
 */
#include "tests/unit/mm_test.h"

#include "mm/page_table.h"

#define GIB	     (UINT64_C(1) << 30)
#define SHADOW_BYTES (3 * GIB)
#define SHADOW_PAGES (SHADOW_BYTES / PAGE_BYTES)

struct shadow_page {
	uint64_t hpa; /* page number + 1, 0: nothing mapped */
	uint8_t rights;
	uint8_t type;
};

struct fixture {
	struct pool pool;
	struct page_table table;
	uint64_t base; /* virtual address of the first shadow page */
	struct shadow_page *shadow;
};

struct seen {
	bool mapped;
	uint64_t hpa;
	unsigned level;
	uint64_t entry;
};

/* As the CPU would: no function of mm/page_table.c or mm/page_format.c. */
static struct seen raw_walk(const struct page_table *table, uint64_t address)
{
	bool ept = table->format.kind == PAGE_FORMAT_EPT;
	const uint64_t *page = table->root;

	for (unsigned level = table->format.levels - 1u;; level--) {
		uint64_t entry = page[address >> (12 + 9 * level) & 511];
		uint64_t frame = entry & UINT64_C(0x000ffffffffff000);

		if (!(entry & (ept ? 7u : 1u)))
			return (struct seen){ .mapped = false };
		if (level == 0 || (entry & 0x80)) {
			uint64_t bytes = UINT64_C(1) << (12 + 9 * level);

			assert_int_equal(frame & (bytes - 1), 0);
			assert_true(level <= table->format.max_leaf_level);
			return (struct seen){ true, frame + (address & (bytes - 1)), level, entry };
		}
		assert_int_equal(entry & (ept ? 0xf8u : 0x98u), 0); /* reserved, PCD, PWT */
		page = (const uint64_t *)(void *)(arena + (frame - ARENA_HPA));
	}
}

static void check_page(const struct fixture *f, uint64_t page)
{
	uint64_t address = f->base + page * PAGE_BYTES + 0x123;
	struct shadow_page want = f->shadow[page];
	struct seen seen = raw_walk(&f->table, address);
	struct page_mapping mapping;

	assert_int_equal(page_table_lookup(&f->table, address, &mapping), seen.mapped);
	assert_int_equal(seen.mapped, want.hpa != 0 && (want.rights & RIGHT_READ));
	if (!seen.mapped)
		return;
	assert_int_equal(seen.hpa, (want.hpa - 1) * PAGE_BYTES + 0x123);
	assert_int_equal(mapping.hpa.v, seen.hpa);
	assert_int_equal(mapping.level, seen.level);
	assert_int_equal(mapping.rights, want.rights);
	if (f->table.format.kind == PAGE_FORMAT_EPT)
		assert_int_equal(mapping.type, want.type);
	assert_int_equal(*mapping.entry, seen.entry);
}

static void check_all(const struct fixture *f)
{
	for (uint64_t page = 0; page < SHADOW_PAGES; page++)
		check_page(f, page);
}

/* One entry that is no table against all shadow pages that it covers; outside the shadow there must be nothing. */
static void check_entry(const struct fixture *f, uint64_t entry, unsigned level, uint64_t address)
{
	uint64_t first = (address - f->base) / PAGE_BYTES, count = UINT64_C(1) << (9 * level);
	uint64_t frame = (entry & UINT64_C(0x000ffffffffff000)) / PAGE_BYTES;
	struct shadow_page want = { 0 };

	if (address - f->base >= SHADOW_BYTES) {
		/* a large empty entry may begin before the shadow does */
		assert_int_equal(entry, 0);
		return;
	}
	if (entry != 0) {
		want.rights = (uint8_t)page_format_rights(&f->table.format, entry);
		want.type = (uint8_t)page_format_memtype(&f->table.format, entry);
	}
	for (uint64_t i = 0; i < count && first + i < SHADOW_PAGES; i++) {
		const struct shadow_page *page = &f->shadow[first + i];

		want.hpa = entry != 0 ? frame + i + 1 : 0;
		if (page->hpa != want.hpa || page->rights != want.rights ||
		    (f->table.format.kind == PAGE_FORMAT_EPT && page->type != want.type))
			fail_msg("page 0x%llx", (unsigned long long)(first + i));
	}
}

/* Whether a table could be a leaf: what page_table.merges promises never to leave behind. */
static bool could_be_leaf(const struct fixture *f, const uint64_t *page, unsigned level)
{
	uint64_t bytes = UINT64_C(1) << (12 + 9 * level);

	if (level + 1u > f->table.format.max_leaf_level || page[0] == 0 ||
	    (level > 0 && (page[0] & 0x80) == 0) ||
	    (page[0] & UINT64_C(0x000ffffffffff000) & (512 * bytes - 1)) != 0)
		return false;
	for (unsigned i = 1; i < 512; i++) {
		if (page[i] != page[0] + i * bytes)
			return false;
	}
	return true;
}

static uint64_t address_of(const struct fixture *f, uint64_t address)
{
	unsigned bits = 12 + 9 * f->table.format.levels;

	if (f->table.format.kind != PAGE_FORMAT_HOST || !(address >> (bits - 1) & 1))
		return address;
	return address | ~UINT64_C(0) << bits;
}

static unsigned check_tables(const struct fixture *f, const uint64_t *page, unsigned level,
			     uint64_t address)
{
	uint64_t bytes = UINT64_C(1) << (12 + 9 * level);
	unsigned tables = 1;

	for (unsigned i = 0; i < 512; i++, address += bytes) {
		uint64_t frame = page[i] & UINT64_C(0x000ffffffffff000);
		const uint64_t *next = (const uint64_t *)(void *)(arena + (frame - ARENA_HPA));

		if (page[i] == 0 || level == 0 || (page[i] & 0x80) != 0) {
			check_entry(f, page[i], level, address_of(f, address));
			continue;
		}
		if (f->table.merges)
			assert_false(could_be_leaf(f, next, level - 1));
		tables += check_tables(f, next, level - 1, address);
	}
	return tables;
}

/* The whole of what the tables reach, and each page of the pool: in a table, retired or free. */
static void check_everything(const struct fixture *f)
{
	unsigned tables = check_tables(f, f->table.root, f->table.format.levels - 1u, 0);

	for (const uint64_t *page = f->table.retired; page != NULL;
	     page = (const uint64_t *)(uintptr_t)page[0])
		tables++;
	assert_int_equal(tables + f->pool.free_pages, f->pool.total_pages);
}

static void check_around(const struct fixture *f, uint64_t first, uint64_t count)
{
	uint64_t last = first + count;

	for (uint64_t page = first > 2 ? first - 2 : 0; page < first + 2 && page < SHADOW_PAGES;
	     page++)
		check_page(f, page);
	for (uint64_t page = last > 2 ? last - 2 : 0; page < last + 2 && page < SHADOW_PAGES;
	     page++)
		check_page(f, page);
	for (unsigned i = 0; i < 50; i++)
		check_page(f, random_below(SHADOW_PAGES));
}

static void setup(struct fixture *f, enum page_format_kind kind, unsigned levels, unsigned max_leaf,
		  uint64_t base, uint64_t pages)
{
	struct page_format format;

	arena_make(&f->pool, pages);
	page_format_init(&format, kind, levels, max_leaf, 46);
	assert_true(page_table_init(&f->table, &format, &f->pool));
	f->base = base;
	f->shadow = calloc(SHADOW_PAGES, sizeof(*f->shadow));
	assert_non_null(f->shadow);
}

/* Ranges of all sizes, often with large-page edges, so that leaves of each level come and go. */
static void random_range(uint64_t *first, uint64_t *count)
{
	static const uint64_t units[] = { 1, 512, 512 * 512 };
	uint64_t unit = units[random_below(3)];

	*first = random_below(SHADOW_PAGES / unit) * unit;
	unit = units[random_below(3)];
	*count = unit * (1 + random_below(unit == 512 * 512 ? 2 : 700));
	if (*count > SHADOW_PAGES - *first)
		*count = SHADOW_PAGES - *first;
}

enum operation { MAP, UNMAP, PROTECT };

struct request {
	enum operation operation;
	uint64_t first, count, frame;
	unsigned rights;
	enum memtype type;
};

static struct request random_request(const struct fixture *f)
{
	static const unsigned rights[] = { RIGHT_ALL, RIGHT_READ, RIGHT_READ | RIGHT_WRITE,
					   RIGHT_READ | RIGHT_EXEC };
	static const enum memtype types[] = { MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_WT, MEMTYPE_WP,
					      MEMTYPE_WB };
	struct request request = { .operation = (enum operation)random_below(3),
				   .rights = rights[random_below(4)],
				   .type = types[random_below(5)] };

	random_range(&request.first, &request.count);
	/* Mostly congruent, so that large leaves are possible. */
	request.frame = random_below(4) ? request.first + random_below(4) * 512 * 512
					: random_below(1u << 24);
	if (random_below(8) == 0 && f->table.format.kind != PAGE_FORMAT_HOST)
		request.rights = 0;
	return request;
}

static bool issue(struct fixture *f, const struct request *r, bool *changed)
{
	uint64_t address = f->base + r->first * PAGE_BYTES, bytes = r->count * PAGE_BYTES;

	switch (r->operation) {
	case MAP:
		return page_table_map(&f->table, address, (hpa_t){ r->frame * PAGE_BYTES }, bytes,
				      r->rights, r->type, changed);
	case UNMAP:
		return page_table_unmap(&f->table, address, bytes, changed);
	default:
		return page_table_protect(&f->table, address, bytes, r->rights, changed);
	}
}

/* Returns whether a page that was there looks different now. */
static bool update_shadow(struct fixture *f, const struct request *r)
{
	bool changed = false;

	for (uint64_t i = 0; i < r->count; i++) {
		struct shadow_page *page = &f->shadow[r->first + i];
		struct shadow_page new = *page;

		if (r->operation == MAP)
			new = (struct shadow_page){ r->frame + i + 1, (uint8_t)r->rights,
						    (uint8_t)r->type };
		else if (r->operation == UNMAP)
			new = (struct shadow_page){ 0 };
		else if (page->hpa != 0)
			new.rights = (uint8_t)r->rights;
		if (page->hpa != 0 && page->rights != 0 &&
		    (new.hpa != page->hpa || new.rights != page->rights ||
		     (f->table.format.kind == PAGE_FORMAT_EPT && new.type != page->type)))
			changed = true;
		*page = new;
	}
	return changed;
}

static void random_operations(enum page_format_kind kind, unsigned levels, unsigned max_leaf,
			      uint64_t base, uint64_t pages, unsigned rounds)
{
	struct fixture f;
	unsigned refused = 0, done = 0;
	bool changed = false;

	setup(&f, kind, levels, max_leaf, base, pages);
	f.table.merges = rounds % 2 == 0;
	for (unsigned i = 0; i < rounds; i++) {
		struct request request = random_request(&f);
		uint64_t digest = arena_digest();
		struct pool before = f.pool;
		void *retired = f.table.retired;

		changed = false;
		if (!issue(&f, &request, &changed)) {
			/* nothing has happened at all */
			assert_int_equal(arena_digest(), digest);
			assert_memory_equal(&f.pool, &before, sizeof(before));
			assert_false(changed);
			refused++;
		} else {
			bool differs = update_shadow(&f, &request);

			assert_true(changed || !differs);
			assert_true(changed || f.table.retired == retired);
			done++;
		}
		check_around(&f, request.first, request.count);
		check_everything(&f);
		if (random_below(4) == 0 || f.pool.free_pages == 0)
			page_table_release(&f.table);
		if (i % 64 == 0)
			check_all(&f);
	}
	check_all(&f);
	assert_true(done > 0);
	if (pages < 300)
		assert_true(refused > 0);
	/* One unmapping of everything needs no page, and all tables but the root come back. */
	assert_true(page_table_unmap(&f.table, base, SHADOW_BYTES, &changed));
	page_table_release(&f.table);
	assert_int_equal(f.pool.free_pages, f.pool.total_pages - 1);
	free(f.shadow);
}

static void random_ept(void **state)
{
	(void)state;
	random_operations(PAGE_FORMAT_EPT, 4, 2, 0, 4000, test_rounds(80));
	random_operations(PAGE_FORMAT_EPT, 4, 2, 0, 4000, test_rounds(50) + 1);
	random_operations(PAGE_FORMAT_EPT, 4, 1, 509 * GIB, 4000, test_rounds(50));
	random_operations(PAGE_FORMAT_EPT, 5, 2, UINT64_C(1) << 48, 4000, test_rounds(50));
}

static void random_npt(void **state)
{
	(void)state;
	random_operations(PAGE_FORMAT_NPT, 4, 2, (UINT64_C(1) << 48) - SHADOW_BYTES, 4000,
			  test_rounds(50));
}

static void random_host(void **state)
{
	(void)state;
	random_operations(PAGE_FORMAT_HOST, 4, 2, UINT64_C(0) - SHADOW_BYTES, 4000,
			  test_rounds(50));
	random_operations(PAGE_FORMAT_HOST, 5, 1, UINT64_C(0xffff800000000000), 4000,
			  test_rounds(50));
}

static void random_with_an_empty_pool(void **state)
{
	(void)state;
	random_operations(PAGE_FORMAT_EPT, 4, 2, 0, 20, test_rounds(100));
	random_operations(PAGE_FORMAT_HOST, 5, 2, UINT64_C(0xffff800000000000), 90,
			  test_rounds(100));
	random_operations(PAGE_FORMAT_NPT, 4, 1, 511 * GIB, 250, test_rounds(50));
}

static void largest_pages_are_used(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_NPT, 4, 2, 0, 64);
	assert_true(page_table_map(&f.table, 0, (hpa_t){ 0 }, 512 * GIB, RIGHT_ALL, MEMTYPE_WB,
				   &changed));
	assert_int_equal(f.pool.free_pages, 62);
	assert_int_equal(raw_walk(&f.table, 511 * GIB).level, 2);
	/* replacing 4 KiB inside takes two tables; replacing the whole gives them back */
	assert_true(page_table_map(&f.table, 5 * GIB, (hpa_t){ 0 }, PAGE_BYTES, RIGHT_READ,
				   MEMTYPE_WB, &changed));
	assert_true(changed);
	assert_int_equal(f.pool.free_pages, 60);
	assert_int_equal(raw_walk(&f.table, 5 * GIB + PAGE_BYTES).hpa, 5 * GIB + PAGE_BYTES);
	assert_int_equal(raw_walk(&f.table, 5 * GIB + LARGE_PAGE_BYTES).level, 1);
	changed = false;
	assert_true(page_table_map(&f.table, 5 * GIB, (hpa_t){ 5 * GIB }, GIB, RIGHT_ALL,
				   MEMTYPE_WB, &changed));
	assert_true(changed);
	/* not before the release: a CPU may still be in them */
	assert_int_equal(f.pool.free_pages, 60);
	page_table_release(&f.table);
	assert_int_equal(f.pool.free_pages, 62);
	/* the same once more changes nothing */
	changed = false;
	assert_true(page_table_map(&f.table, 5 * GIB, (hpa_t){ 5 * GIB }, GIB, RIGHT_ALL,
				   MEMTYPE_WB, &changed));
	assert_false(changed);
	/* 2 MiB off: no 1 GiB pages */
	assert_true(page_table_map(&f.table, 6 * GIB, (hpa_t){ LARGE_PAGE_BYTES }, GIB, RIGHT_ALL,
				   MEMTYPE_WB, &changed));
	assert_int_equal(raw_walk(&f.table, 6 * GIB).level, 1);
	free(f.shadow);
}

/* Map all, change pieces, undo them in another order: the tables and the pool are what they were. */
static void undoing_brings_all_pages_back(void **state)
{
	static const struct {
		enum page_format_kind kind;
		unsigned max_leaf;
	} cases[] = { { PAGE_FORMAT_EPT, 2 }, { PAGE_FORMAT_EPT, 1 }, { PAGE_FORMAT_NPT, 2 } };

	(void)state;
	for (unsigned c = 0; c < 3; c++) {
		struct request done[24];
		struct fixture f;
		uint64_t start_pages;
		bool changed = false;

		setup(&f, cases[c].kind, 4, cases[c].max_leaf, 0, 4000);
		f.table.merges = true;
		assert_true(page_table_map(&f.table, 0, (hpa_t){ 0 }, SHADOW_BYTES, RIGHT_ALL,
					   MEMTYPE_WB, &changed));
		for (uint64_t page = 0; page < SHADOW_PAGES; page++)
			f.shadow[page] = (struct shadow_page){ page + 1, RIGHT_ALL, MEMTYPE_WB };
		start_pages = f.pool.free_pages;
		for (unsigned round = 0; round < test_rounds(6); round++) {
			for (unsigned i = 0; i < 24; i++) {
				done[i] = random_request(&f);
				if (!issue(&f, &done[i], &changed))
					done[i].count = 0;
				update_shadow(&f, &done[i]);
				check_everything(&f);
			}
			for (unsigned left = 24; left > 0; left--) {
				unsigned i = (unsigned)random_below(left);
				struct request undo = { MAP,	       done[i].first, done[i].count,
							done[i].first, RIGHT_ALL,     MEMTYPE_WB };

				assert_true(issue(&f, &undo, &changed));
				update_shadow(&f, &undo);
				done[i] = done[left - 1];
				check_everything(&f);
				page_table_release(&f.table);
			}
			assert_int_equal(f.pool.free_pages, start_pages);
			assert_int_equal(raw_walk(&f.table, 0).level, cases[c].max_leaf);
		}
		free(f.shadow);
	}
}

/* What was split by hand, or became uniform one store at a time, is merged when it is asked for. */
static void merging_on_request(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, 0, 40);
	f.table.merges = true;
	assert_true(page_table_map(&f.table, 0, (hpa_t){ 0 }, SHADOW_BYTES, RIGHT_ALL, MEMTYPE_WB,
				   &changed));
	for (uint64_t page = 0; page < SHADOW_PAGES; page++)
		f.shadow[page] = (struct shadow_page){ page + 1, RIGHT_ALL, MEMTYPE_WB };
	for (unsigned i = 0; i < 9; i++)
		assert_true(page_table_split(&f.table, i * (GIB / 4), &changed));
	assert_true(page_table_split(&f.table, GIB, &changed));
	assert_int_equal(raw_walk(&f.table, GIB).level, 0);
	assert_int_equal(raw_walk(&f.table, GIB / 4).level, 0);
	/* only what lies in the range */
	page_table_merge(&f.table, GIB, PAGE_BYTES, &changed);
	assert_int_equal(raw_walk(&f.table, GIB).level, 1);
	assert_int_equal(raw_walk(&f.table, GIB / 4).level, 0);
	changed = false;
	page_table_merge(&f.table, 0, SHADOW_BYTES, &changed);
	assert_true(changed);
	page_table_release(&f.table);
	check_everything(&f);
	assert_int_equal(f.pool.free_pages, 38);
	changed = false;
	page_table_merge(&f.table, 0, SHADOW_BYTES, &changed);
	assert_false(changed);
	/* another type, another right, a frame out of the row: no leaf says the same */
	assert_true(page_table_map(&f.table, GIB, (hpa_t){ GIB }, PAGE_BYTES, RIGHT_ALL, MEMTYPE_WC,
				   &changed));
	assert_int_equal(raw_walk(&f.table, GIB + 8 * PAGE_BYTES).level, 0);
	assert_true(page_table_protect(&f.table, 0, LARGE_PAGE_BYTES - PAGE_BYTES, RIGHT_READ,
				       &changed));
	assert_int_equal(raw_walk(&f.table, 0).level, 0);
	assert_true(page_table_protect(&f.table, LARGE_PAGE_BYTES - PAGE_BYTES, PAGE_BYTES,
				       RIGHT_READ, &changed));
	assert_int_equal(raw_walk(&f.table, 0).level, 1);
	free(f.shadow);
}

/* The reserve of a pool is for others. */
static void the_reserve_stays(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, 0, 7);
	assert_true(page_table_map(&f.table, 0, (hpa_t){ 0 }, SHADOW_BYTES, RIGHT_ALL, MEMTYPE_WB,
				   &changed));
	f.table.reserve = 4;
	assert_false(page_table_protect(&f.table, 0, PAGE_BYTES, RIGHT_READ, &changed));
	assert_true(page_table_split(&f.table, 0, &changed));
	assert_false(page_table_split(&f.table, 0, &changed));
	f.table.reserve = 3;
	assert_true(page_table_protect(&f.table, 0, PAGE_BYTES, RIGHT_READ, &changed));
	free(f.shadow);
}

static void splitting_changes_no_translation(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, 0, 5);
	assert_true(page_table_map(&f.table, 0, (hpa_t){ 0x80000000 }, 3 * GIB, RIGHT_READ,
				   MEMTYPE_WP, &changed));
	for (uint64_t page = 0; page < SHADOW_PAGES; page++)
		f.shadow[page] = (struct shadow_page){ 0x80000 + page + 1, RIGHT_READ, MEMTYPE_WP };
	assert_false(changed);
	assert_true(page_table_split(&f.table, GIB + 0x12345, &changed));
	assert_true(changed);
	assert_true(page_table_split(&f.table, GIB + 0x12345, &changed));
	assert_true(
		page_table_split(&f.table, GIB + 0x12345, &changed)); /* nothing left to split */
	assert_int_equal(raw_walk(&f.table, GIB + 0x12345).level, 0);
	assert_int_equal(raw_walk(&f.table, 0).level, 2);
	check_all(&f);
	assert_true(page_table_split(&f.table, 0, &changed));
	assert_int_equal(f.pool.free_pages, 0);
	assert_false(page_table_split(&f.table, 0, &changed));
	check_all(&f);
	free(f.shadow);
}

static void shared_tables_are_never_touched(void **state)
{
	struct fixture f;
	uint64_t *shared, copy[512];
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, 0, 16);
	shared = pool_alloc(&f.pool);
	for (unsigned i = 0; i < 512; i++)
		shared[i] = page_format_leaf(&f.table.format, (hpa_t){ 0x999000 }, 0, RIGHT_READ,
					     MEMTYPE_WB);
	memcpy(copy, shared, sizeof(copy));
	assert_true(page_table_map(&f.table, 0, (hpa_t){ 0 }, 3 * GIB, RIGHT_ALL, MEMTYPE_WB,
				   &changed));
	assert_false(changed);
	assert_true(page_table_link_shared(&f.table, GIB + LARGE_PAGE_BYTES, shared, &changed));
	assert_true(changed);
	assert_true(page_table_link_shared_range(&f.table, 2 * GIB, 2 * LARGE_PAGE_BYTES, shared,
						 &changed));
	assert_int_equal(raw_walk(&f.table, GIB + LARGE_PAGE_BYTES + 0x5678).hpa, 0x999678);
	assert_int_equal(raw_walk(&f.table, GIB + 2 * LARGE_PAGE_BYTES).hpa,
			 GIB + 2 * LARGE_PAGE_BYTES);
	assert_int_equal(raw_walk(&f.table, 2 * GIB + LARGE_PAGE_BYTES).hpa, 0x999000);
	/* a change of one page inside is made in a copy */
	assert_true(page_table_map(&f.table, 2 * GIB, (hpa_t){ 2 * GIB }, PAGE_BYTES, RIGHT_ALL,
				   MEMTYPE_UC, &changed));
	assert_int_equal(raw_walk(&f.table, 2 * GIB).hpa, 2 * GIB);
	assert_int_equal(raw_walk(&f.table, 2 * GIB + PAGE_BYTES).hpa, 0x999000);
	assert_int_equal(raw_walk(&f.table, 2 * GIB + LARGE_PAGE_BYTES).hpa, 0x999000);
	assert_memory_equal(shared, copy, sizeof(copy));
	/* all gone, and the shared page is not in the pool */
	assert_true(page_table_unmap(&f.table, 0, 3 * GIB, &changed));
	page_table_release(&f.table);
	assert_int_equal(f.pool.free_pages, 14);
	assert_memory_equal(shared, copy, sizeof(copy));
	free(f.shadow);
}

static void misuse_panics(void **state)
{
	struct fixture f;
	volatile bool ok = true; /* set between setjmp and longjmp */
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, 0, 16);
	expect_assert_failure(ok = page_table_map(&f.table, 1, (hpa_t){ 0 }, PAGE_BYTES, RIGHT_ALL,
						  MEMTYPE_WB, &changed));
	expect_assert_failure(ok = page_table_map(&f.table, 0, (hpa_t){ 8 }, PAGE_BYTES, RIGHT_ALL,
						  MEMTYPE_WB, &changed));
	expect_assert_failure(ok = page_table_unmap(&f.table, 0, 100, &changed));
	expect_assert_failure(
		ok = page_table_unmap(&f.table, UINT64_C(1) << 48, PAGE_BYTES, &changed));
	expect_assert_failure(
		ok = page_table_unmap(&f.table, 0, (UINT64_C(1) << 48) + PAGE_BYTES, &changed));
	expect_assert_failure(
		ok = page_table_link_shared(&f.table, PAGE_BYTES, f.table.root, &changed));
	assert_true(ok && page_table_unmap(&f.table, 0, 0, &changed));
	free(f.shadow);
	setup(&f, PAGE_FORMAT_HOST, 4, 2, 0, 16);
	expect_assert_failure(
		ok = page_table_unmap(&f.table, UINT64_C(1) << 47, PAGE_BYTES, &changed));
	expect_assert_failure(
		ok = page_table_unmap(&f.table, ~UINT64_C(0xfff), 2 * PAGE_BYTES, &changed));
	free(f.shadow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(largest_pages_are_used),
		cmocka_unit_test(splitting_changes_no_translation),
		cmocka_unit_test(undoing_brings_all_pages_back),
		cmocka_unit_test(merging_on_request),
		cmocka_unit_test(the_reserve_stays),
		cmocka_unit_test(shared_tables_are_never_touched),
		cmocka_unit_test(misuse_panics),
		cmocka_unit_test(random_ept),
		cmocka_unit_test(random_npt),
		cmocka_unit_test(random_host),
		cmocka_unit_test(random_with_an_empty_pool),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	free(arena);
	return failures;
}
