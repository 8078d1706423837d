// sources: mm/tdp_mmu.c mm/flush_model.c mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c mm/layout.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/mm_test.h"

#include "mm/tdp_mmu.h"

#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)
#define VALID  0x800u

struct fixture {
	struct pool pool;
	struct tdp_mmu tdp;
};

static void add(struct mtrr_state *m, unsigned i, uint64_t base, uint64_t bytes, enum memtype type)
{
	uint64_t reach = (UINT64_C(1) << m->maxphyaddr) - 1;

	m->base[i] = base | type;
	m->mask[i] = (~(bytes - 1) & reach & ~UINT64_C(0xfff)) | VALID;
}

static struct mtrr_state state_of(unsigned maxphyaddr, enum memtype def)
{
	struct mtrr_state m;

	memset(&m, 0, sizeof(m));
	m.cap = 0x100 | 10;
	m.variable_count = 10;
	m.maxphyaddr = maxphyaddr;
	m.def_type = 0xc00u | def;
	return m;
}

static struct mtrr_state ovmf_state(unsigned maxphyaddr)
{
	struct mtrr_state m = state_of(maxphyaddr, MEMTYPE_WB);

	m.fixed[0] = m.fixed[1] = UINT64_C(0x0606060606060606);
	add(&m, 0, GIB(2), GIB(2), MEMTYPE_UC);
	return m;
}

static struct mtrr_state desktop_state(unsigned maxphyaddr)
{
	struct mtrr_state m = state_of(maxphyaddr, MEMTYPE_UC);

	for (unsigned i = 0; i < 11; i++)
		m.fixed[i] = i == 2 ? 0 : UINT64_C(0x0606060606060606);
	m.fixed[5] = UINT64_C(0x0506050605060506);
	add(&m, 0, 0, GIB(4), MEMTYPE_WB);
	add(&m, 1, 0xcf000000, MIB(16), MEMTYPE_UC);
	add(&m, 2, 0xd0000000, MIB(256), MEMTYPE_UC);
	add(&m, 3, 0xe0000000, MIB(512), MEMTYPE_UC);
	add(&m, 4, GIB(4), GIB(2), MEMTYPE_WB);
	add(&m, 5, GIB(6) + 0x5000, 0x1000, MEMTYPE_WC);
	m.smrr_base = 0xce800000 | MEMTYPE_WB;
	m.smrr_mask = 0xff800000 | VALID;
	return m;
}

static void setup(struct fixture *f, enum page_format_kind kind, unsigned levels, unsigned max_leaf,
		  const struct mtrr_state *mtrr, uint64_t eager_end, unsigned maxphyaddr,
		  uint64_t pages)
{
	struct page_format format;

	arena_make(&f->pool, pages);
	page_format_init(&format, kind, levels, max_leaf, maxphyaddr);
	assert_true(tdp_mmu_init(&f->tdp, &format, &f->pool, mtrr, eager_end,
				 UINT64_C(1) << maxphyaddr));
}

static struct page_mapping mapping_at(const struct fixture *f, uint64_t gpa)
{
	struct page_mapping mapping;

	assert_true(page_table_lookup(&f->tdp.table, gpa, &mapping));
	return mapping;
}

/* Identity, all rights, and for EPT the type that the MTRRs say, for each page of the range. */
static void check_identity(const struct fixture *f, const struct mtrr_state *mtrr, uint64_t start,
			   uint64_t end)
{
	for (uint64_t gpa = start; gpa < end; gpa += PAGE_BYTES) {
		struct page_mapping mapping = mapping_at(f, gpa);

		assert_int_equal(mapping.hpa.v, gpa);
		assert_int_equal(mapping.rights, RIGHT_ALL);
		assert_int_equal(mapping.type, mtrr != NULL ? mtrr_type(mtrr, gpa) : MEMTYPE_WB);
	}
}

static void npt_is_the_identity(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, PAGE_FORMAT_NPT, 4, 2, NULL, GIB(6), 40, 64);
	assert_int_equal(f.tdp.eager_end, GIB(512));
	check_identity(&f, NULL, 0, GIB(2));
	assert_int_equal(mapping_at(&f, 0).level, 2);
	assert_int_equal(mapping_at(&f, GIB(512) - 1).hpa.v, GIB(512) - 1);
	/* root, one PDPT, hidden table, page of ones, and 17 + 8 for the high part */
	assert_int_equal(f.pool.free_pages, 64 - 4 - 17 - 8);
	setup(&f, PAGE_FORMAT_NPT, 4, 1, NULL, GIB(6) + 1, 36, 100);
	assert_int_equal(f.tdp.eager_end, GIB(7));
	check_identity(&f, NULL, 0, GIB(7));
	assert_int_equal(mapping_at(&f, GIB(6)).level, 1);
	/* all of a small MAXPHYADDR at once: no high part, nothing to touch */
	setup(&f, PAGE_FORMAT_NPT, 4, 2, NULL, GIB(4), 36, 8);
	assert_int_equal(f.tdp.eager_end, GIB(64));
	assert_int_equal(tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(64) }), TDP_TOUCH_REFUSED);
}

static void ept_follows_the_mtrrs(void **state)
{
	struct mtrr_state states[] = { ovmf_state(39), desktop_state(39),
				       state_of(39, MEMTYPE_WB) };
	struct fixture f;

	(void)state;
	states[2].def_type &= ~UINT64_C(0x800); /* off: UC */
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned max_leaf = 1; max_leaf <= 2; max_leaf++) {
			setup(&f, PAGE_FORMAT_EPT, 4, max_leaf, &states[i], GIB(8), 39, 100);
			check_identity(&f, &states[i], 0, GIB(8));
		}
	}
	setup(&f, PAGE_FORMAT_EPT, 4, 2, &states[0], GIB(8), 39, 100);
	assert_int_equal(mapping_at(&f, 0).level, 0);
	assert_int_equal(mapping_at(&f, MIB(2)).level, 1);
	assert_int_equal(mapping_at(&f, GIB(1)).level, 2);
}

static void too_small_a_pool_is_refused(void **state)
{
	struct mtrr_state mtrr = desktop_state(39);
	struct page_format format;
	struct tdp_mmu tdp;
	struct pool pool;
	uint64_t pages = 1;

	(void)state;
	page_format_init(&format, PAGE_FORMAT_EPT, 4, 1, 39);
	for (;; pages++) {
		arena_make(&pool, pages);
		if (tdp_mmu_init(&tdp, &format, &pool, &mtrr, GIB(8), GIB(512)))
			break;
	}
	assert_true(pages > 17 * 2 && pages < 100);
}

static void hidden_ranges_read_as_ones(void **state)
{
	struct mtrr_state mtrr = ovmf_state(40);
	struct fixture f;
	uint64_t free_pages, copy[512];
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, &mtrr, GIB(8), 40, 100);
	memcpy(copy, f.tdp.hidden_table, sizeof(copy));
	assert_true(tdp_mmu_hide(&f.tdp, (gpa_t){ MIB(1020) }, MIB(8)));
	for (uint64_t gpa = MIB(1020); gpa < MIB(1028); gpa += PAGE_BYTES) {
		struct page_mapping mapping = mapping_at(&f, gpa + 0x10);

		assert_int_equal(mapping.hpa.v, ptr_to_hpa(f.tdp.ones_page).v + 0x10);
		assert_int_equal(mapping.rights, RIGHT_READ | RIGHT_EXEC);
		assert_int_equal(mapping.type, MEMTYPE_WB);
		assert_true(tdp_mmu_is_hidden(&f.tdp, (gpa_t){ gpa + 5 }));
	}
	assert_int_equal(*(uint64_t *)(void *)hpa_to_ptr(ptr_to_hpa(f.tdp.ones_page)),
			 ~UINT64_C(0));
	assert_int_equal(f.tdp.ones_page[4095], 0xff);
	check_identity(&f, &mtrr, 0, MIB(1020));
	check_identity(&f, &mtrr, MIB(1028), GIB(3));
	assert_false(tdp_mmu_is_hidden(&f.tdp, (gpa_t){ MIB(1020) - 1 }));
	assert_false(tdp_mmu_is_hidden(&f.tdp, (gpa_t){ MIB(1028) }));
	/* it cannot be opened again, not even in part */
	free_pages = f.pool.free_pages;
	assert_false(
		tdp_mmu_protect(&f.tdp, (gpa_t){ MIB(1024) }, PAGE_BYTES, RIGHT_ALL, &changed));
	assert_false(tdp_mmu_protect(&f.tdp, (gpa_t){ MIB(1018) }, MIB(4), RIGHT_ALL, &changed));
	assert_false(tdp_mmu_map(&f.tdp, (gpa_t){ MIB(1020) }, (hpa_t){ 0 }, PAGE_BYTES, RIGHT_ALL,
				 &changed));
	assert_false(tdp_mmu_unmap(&f.tdp, (gpa_t){ 0 }, GIB(2), &changed));
	assert_false(changed);
	assert_int_equal(f.pool.free_pages, free_pages);
	/* nor by other MTRRs */
	mtrr = desktop_state(40);
	assert_true(tdp_mmu_set_types(&f.tdp, &mtrr));
	assert_int_equal(mapping_at(&f, MIB(1024)).hpa.v, ptr_to_hpa(f.tdp.ones_page).v);
	assert_memory_equal(copy, f.tdp.hidden_table, sizeof(copy));
	/* beyond the eager part, and more ranges than fit */
	assert_false(tdp_mmu_hide(&f.tdp, (gpa_t){ GIB(512) }, MIB(2)));
	assert_false(tdp_mmu_hide(&f.tdp, (gpa_t){ GIB(512) - MIB(2) }, MIB(4)));
	for (unsigned i = 1; i < TDP_HIDDEN_RANGES; i++)
		assert_true(tdp_mmu_hide(&f.tdp, (gpa_t){ MIB(1030) + i * MIB(2) }, MIB(2)));
	assert_false(tdp_mmu_hide(&f.tdp, (gpa_t){ MIB(1100) }, MIB(2)));
}

static void single_frames(void **state)
{
	struct mtrr_state mtrr = ovmf_state(40);
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, &mtrr, GIB(8), 40, 60);
	assert_true(
		tdp_mmu_protect(&f.tdp, (gpa_t){ 0xfee00000 }, PAGE_BYTES, RIGHT_READ, &changed));
	assert_true(changed);
	assert_int_equal(mapping_at(&f, 0xfee00000).rights, RIGHT_READ);
	assert_int_equal(mapping_at(&f, 0xfee00000).type, MEMTYPE_UC);
	check_identity(&f, &mtrr, 0xfee01000, GIB(4));
	assert_true(tdp_mmu_map(&f.tdp, (gpa_t){ 0x5000 }, (hpa_t){ ARENA_HPA }, PAGE_BYTES,
				RIGHT_READ | RIGHT_EXEC, &changed));
	assert_int_equal(mapping_at(&f, 0x5abc).hpa.v, ARENA_HPA + 0xabc);
	assert_int_equal(mapping_at(&f, 0x5abc).type, MEMTYPE_WB);
	/* protecting again keeps the frame, also through a time without any rights */
	assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ 0x4000 }, 3 * PAGE_BYTES, 0, &changed));
	assert_false(page_table_lookup(&f.tdp.table, 0x5000, &(struct page_mapping){ .level = 0 }));
	assert_int_equal(tdp_mmu_touch(&f.tdp, (gpa_t){ 0x5000 }), TDP_TOUCH_REFUSED);
	assert_true(
		tdp_mmu_protect(&f.tdp, (gpa_t){ 0x4000 }, 3 * PAGE_BYTES, RIGHT_ALL, &changed));
	assert_int_equal(mapping_at(&f, 0x5abc).hpa.v, ARENA_HPA + 0xabc);
	assert_true(tdp_mmu_map(&f.tdp, (gpa_t){ 0x5000 }, (hpa_t){ 0x5000 }, PAGE_BYTES, RIGHT_ALL,
				&changed));
	check_identity(&f, &mtrr, 0, MIB(4));
	/* the pool is the limit, and then nothing changes */
	for (unsigned i = 0;; i++) {
		uint64_t digest = arena_digest();
		uint64_t gpa = GIB(4) + i * MIB(2);

		changed = false;
		if (!tdp_mmu_protect(&f.tdp, (gpa_t){ gpa }, PAGE_BYTES, RIGHT_READ, &changed)) {
			assert_false(changed);
			assert_int_equal(arena_digest(), digest);
			assert_true(i > 5);
			break;
		}
	}
}

/* --- first touches --------------------------------------------------------------------------------------- */

/* The table that holds the largest leaves of a slot, read from the raw entries. */
static const uint64_t *slot_table(const struct fixture *f, uint64_t slot)
{
	const struct page_format *format = &f->tdp.table.format;
	const uint64_t *page = f->tdp.table.root;

	for (unsigned level = format->levels - 1u; level > format->max_leaf_level; level--) {
		uint64_t entry = page[page_format_index(slot, level)];

		if (entry == 0)
			return NULL;
		page = hpa_to_ptr((hpa_t){ entry & format->address });
	}
	return page;
}

static void check_touches(enum page_format_kind kind, unsigned levels, unsigned max_leaf,
			  unsigned maxphyaddr)
{
	struct mtrr_state mtrr = ovmf_state(maxphyaddr);
	uint64_t slot_bytes = max_leaf == 2 ? GIB(512) : GIB(1), end;
	uint64_t fifo[TDP_HIGH_TABLES];
	unsigned count = 0, oldest = 0;
	struct fixture f;

	add(&mtrr, 1, UINT64_C(1) << (maxphyaddr - 1), GIB(1024), MEMTYPE_UC);
	/* types that change inside the large pages of some slots */
	for (unsigned i = 0; i < 6; i++)
		add(&mtrr, 2 + i, (UINT64_C(1) << (maxphyaddr - 2)) + i * slot_bytes + MIB(6),
		    MIB(2), MEMTYPE_WC);
	setup(&f, kind, levels, max_leaf, kind == PAGE_FORMAT_EPT ? &mtrr : NULL, GIB(8),
	      maxphyaddr, 160);
	end = f.tdp.end;
	assert_int_equal(end, UINT64_C(1) << (levels == 4 && maxphyaddr > 48 ? 48 : maxphyaddr));
	for (unsigned i = 0; i < test_rounds(3000); i++) {
		uint64_t gpa = f.tdp.eager_end + random_below(end - f.tdp.eager_end);
		const uint64_t *victim = NULL;
		struct page_mapping mapping;
		enum tdp_touch touch;
		uint64_t slot;
		bool known = false;

		if (random_below(2)) /* near the odd types, and each other */
			gpa = end / 4 + random_below(24) * slot_bytes + MIB(5) +
			      random_below(MIB(4));
		slot = gpa / slot_bytes * slot_bytes;
		for (unsigned k = 0; k < count; k++)
			known = known || fifo[k] == slot;
		assert_int_equal(page_table_lookup(&f.tdp.table, gpa, &mapping), known);
		if (count == TDP_HIGH_TABLES)
			victim = slot_table(&f, fifo[oldest]);
		touch = tdp_mmu_touch(&f.tdp, (gpa_t){ gpa });
		assert_true(touch == TDP_TOUCH_MAPPED || touch == TDP_TOUCH_RECYCLED);
		mapping = mapping_at(&f, gpa);
		assert_int_equal(mapping.hpa.v, gpa);
		assert_int_equal(mapping.rights, RIGHT_ALL);
		if (kind == PAGE_FORMAT_EPT && mapping.type != mtrr_type(&mtrr, gpa))
			assert_int_equal(mapping.type, MEMTYPE_UC);
		if (known) {
			assert_int_equal(touch, TDP_TOUCH_MAPPED);
		} else if (count < TDP_HIGH_TABLES) {
			fifo[count++] = slot;
		} else {
			/* the oldest is gone, and its table is not yet in use again */
			assert_int_equal(touch, TDP_TOUCH_RECYCLED);
			assert_false(page_table_lookup(&f.tdp.table, fifo[oldest], &mapping));
			fifo[oldest] = slot;
			oldest = (oldest + 1) % TDP_HIGH_TABLES;
			for (unsigned k = 0; k < count; k++)
				assert_ptr_not_equal(slot_table(&f, fifo[k]), victim);
		}
		if (touch == TDP_TOUCH_RECYCLED || random_below(3) == 0)
			tdp_mmu_flushed(&f.tdp);
	}
	assert_int_equal(count, TDP_HIGH_TABLES);
	for (unsigned k = 0; k < count; k++)
		assert_int_equal(mapping_at(&f, fifo[k]).hpa.v, fifo[k]);
	assert_int_equal(tdp_mmu_touch(&f.tdp, (gpa_t){ end }), TDP_TOUCH_REFUSED);
	assert_int_equal(tdp_mmu_touch(&f.tdp, (gpa_t){ 0x1000 }), TDP_TOUCH_REFUSED);
	/* the main pool gave nothing to the high part */
	check_identity(&f, kind == PAGE_FORMAT_EPT ? &mtrr : NULL, 0, GIB(1));
}

static void touches_npt(void **state)
{
	(void)state;
	check_touches(PAGE_FORMAT_NPT, 4, 2, 48);
	check_touches(PAGE_FORMAT_NPT, 4, 1, 43);
	check_touches(PAGE_FORMAT_NPT, 5, 2, 52);
	check_touches(PAGE_FORMAT_NPT, 5, 1, 52);
	check_touches(PAGE_FORMAT_NPT, 4, 2, 52);
}

static void touches_ept(void **state)
{
	(void)state;
	check_touches(PAGE_FORMAT_EPT, 4, 2, 46);
	check_touches(PAGE_FORMAT_EPT, 4, 1, 46);
	check_touches(PAGE_FORMAT_EPT, 5, 2, 52);
	check_touches(PAGE_FORMAT_EPT, 5, 1, 52);
	check_touches(PAGE_FORMAT_EPT, 4, 1, 52);
}

/* --- types ---------------------------------------------------------------------------------------------- */

static void other_types_in_place(void **state)
{
	struct mtrr_state from = ovmf_state(40), to = desktop_state(40);
	struct fixture f;
	uint64_t free_pages;
	bool changed = false;

	(void)state;
	for (unsigned max_leaf = 1; max_leaf <= 2; max_leaf++) {
		setup(&f, PAGE_FORMAT_EPT, 4, max_leaf, &from, GIB(8), 40, 200);
		assert_int_equal(tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(700) }), TDP_TOUCH_MAPPED);
		free_pages = f.pool.free_pages;
		assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ 0xd0001000 }, PAGE_BYTES, RIGHT_READ,
					    &changed));
		assert_true(
			tdp_mmu_protect(&f.tdp, (gpa_t){ 0xd0002000 }, PAGE_BYTES, 0, &changed));
		/* leads from RAM to device memory: has the type of where it leads */
		assert_true(tdp_mmu_map(&f.tdp, (gpa_t){ 0x7000 }, (hpa_t){ 0xd0005000 },
					PAGE_BYTES, RIGHT_READ, &changed));
		assert_true(tdp_mmu_set_types(&f.tdp, &to));
		assert_int_equal(mapping_at(&f, 0xd0001000).rights, RIGHT_READ);
		assert_int_equal(mapping_at(&f, 0x7123).hpa.v, 0xd0005123);
		assert_int_equal(mapping_at(&f, 0x7123).type, MEMTYPE_UC);
		assert_int_equal(mapping_at(&f, GIB(700)).type, MEMTYPE_UC);
		assert_false(tdp_mmu_set_types(&f.tdp, &to)); /* nothing left to do */
		assert_true(tdp_mmu_map(&f.tdp, (gpa_t){ 0x7000 }, (hpa_t){ 0x7000 }, PAGE_BYTES,
					RIGHT_ALL, &changed));
		assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ 0xd0000000 }, MIB(2), RIGHT_ALL,
					    &changed));
		check_identity(&f, &to, 0, GIB(8));
		/* and back: the types are right, and what was split is whole again */
		assert_true(tdp_mmu_set_types(&f.tdp, &from));
		tdp_mmu_flushed(&f.tdp);
		assert_int_equal(f.pool.free_pages, free_pages);
		check_identity(&f, &from, 0, GIB(8));
		assert_int_equal(mapping_at(&f, GIB(700)).type, MEMTYPE_WB);
	}
	setup(&f, PAGE_FORMAT_NPT, 4, 2, NULL, GIB(8), 40, 200);
	assert_false(tdp_mmu_set_types(&f.tdp, &to));
}

/* Without pages to split, a page with several types is UC; everything else is as it should be. */
static void types_without_pages(void **state)
{
	struct mtrr_state from = state_of(40, MEMTYPE_WB), to = desktop_state(40);
	struct fixture f;
	unsigned wrong = 0;

	(void)state;
	from.def_type = 0x800u | MEMTYPE_WB;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, &from, GIB(8), 40, 4 + 17 + 8 + 3);
	assert_int_equal(f.pool.free_pages, 3);
	assert_true(tdp_mmu_set_types(&f.tdp, &to));
	for (uint64_t gpa = 0; gpa < GIB(8); gpa += PAGE_BYTES) {
		struct page_mapping mapping = mapping_at(&f, gpa);

		assert_int_equal(mapping.hpa.v, gpa);
		assert_int_equal(mapping.rights, RIGHT_ALL);
		if (mapping.type != mtrr_type(&to, gpa)) {
			assert_int_equal(mapping.type, MEMTYPE_UC);
			assert_true(mapping.level > 0);
			wrong++;
		}
	}
	assert_true(wrong > 0);
	assert_int_equal(f.pool.free_pages, 0);
	/* back to one type everywhere */
	assert_true(tdp_mmu_set_types(&f.tdp, &from));
	check_identity(&f, &from, 0, GIB(8));
}

/* A guest may write any nonsense into its MTRRs: it costs pages and time, but both have a limit. */
static void hostile_masks(void **state)
{
	struct mtrr_state from = ovmf_state(46), to = from;
	struct fixture f;

	(void)state;
	to.base[1] = 0x1000 | MEMTYPE_WC;
	to.mask[1] = 0x1000 | VALID; /* every second page of everything */
	setup(&f, PAGE_FORMAT_EPT, 4, 2, &from, GIB(8), 46, 60);
	assert_int_equal(tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(700) }), TDP_TOUCH_MAPPED);
	assert_true(tdp_mmu_set_types(&f.tdp, &to));
	assert_int_equal(f.pool.free_pages, 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(512) * (2 + random_below(120)) }) !=
			    TDP_TOUCH_REFUSED);
		tdp_mmu_flushed(&f.tdp);
	}
	to.base[1] = 0x1000 | MEMTYPE_WB; /* and one that changes nothing */
	(void)tdp_mmu_set_types(&f.tdp, &to);
	assert_true(tdp_mmu_set_types(&f.tdp, &from));
	check_identity(&f, &from, 0, GIB(4));
}

/* --- changes against a shadow -------------------------------------------------------------------------- */

/* What the map should be: the identity, then each change on top of it. */
struct change {
	enum { CHANGE_PROTECT, CHANGE_MAP, CHANGE_UNMAP } kind;
	uint64_t start, end, frame;
	unsigned rights;
};

#define CHANGES_MAX 24u

struct shadow {
	struct change changes[2 * CHANGES_MAX]; /* and each undone */
	unsigned count;
	const struct mtrr_state *mtrr; /* NULL: NPT */
	uint64_t edges[512];	       /* where anything may change */
	unsigned edge_count;
};

struct expected {
	bool mapped;
	uint64_t hpa;
	unsigned rights;
};

static struct expected shadow_at(const struct shadow *shadow, uint64_t gpa)
{
	struct expected expected = { true, gpa, RIGHT_ALL };

	for (unsigned i = 0; i < shadow->count; i++) {
		const struct change *change = &shadow->changes[i];

		if (gpa < change->start || gpa >= change->end)
			continue;
		if (change->kind == CHANGE_UNMAP)
			expected.mapped = false;
		else if (change->kind == CHANGE_MAP)
			expected = (struct expected){ true, change->frame + (gpa - change->start),
						      change->rights };
		else
			expected.rights = change->rights;
	}
	return expected;
}

static void add_edge(struct shadow *shadow, uint64_t gpa)
{
	shadow->edges[shadow->edge_count++] = gpa;
}

static void find_edges(struct shadow *shadow)
{
	static const uint64_t mtrr[] = { 0, 0xa0000, MIB(1), GIB(2), GIB(4) };

	shadow->edge_count = 0;
	for (unsigned i = 0; i < ARRAY_COUNT(mtrr); i++)
		add_edge(shadow, mtrr[i]);
	for (unsigned i = 0; i < shadow->count; i++) {
		const struct change *change = &shadow->changes[i];

		add_edge(shadow, change->start);
		add_edge(shadow, change->end);
		for (unsigned k = 0; k < ARRAY_COUNT(mtrr); k++)
			add_edge(shadow, mtrr[k] - change->frame + change->start);
	}
}

static void check_leaf_at(const struct fixture *f, const struct shadow *shadow, uint64_t entry,
			  unsigned level, uint64_t start, uint64_t gpa)
{
	struct expected want = shadow_at(shadow, gpa);
	uint64_t hpa = (entry & UINT64_C(0x000ffffffffff000)) + (gpa - start);
	const struct page_format *format = &f->tdp.table.format;

	if (gpa >= f->tdp.eager_end && entry == 0)
		return; /* not touched yet, or unmapped */
	assert_int_equal(entry != 0, want.mapped);
	if (entry == 0)
		return;
	assert_int_equal(hpa, want.hpa);
	assert_int_equal(page_format_rights(format, entry), want.rights);
	if (shadow->mtrr == NULL ||
	    page_format_memtype(format, entry) == mtrr_type(shadow->mtrr, hpa))
		return;
	/* where the few pages for that have run out */
	assert_true(gpa >= f->tdp.eager_end && level > 0);
	assert_int_equal(page_format_memtype(format, entry), MEMTYPE_UC);
}

static void check_shadow_tables(const struct fixture *f, const struct shadow *shadow,
				const uint64_t *page, unsigned level, uint64_t start)
{
	const struct page_format *format = &f->tdp.table.format;
	uint64_t bytes = page_format_entry_bytes(level);

	for (unsigned i = 0; i < 512; i++, start += bytes) {
		if (start >= f->tdp.end) {
			assert_int_equal(page[i], 0);
		} else if (page[i] != 0 && level > 0 && !(page[i] & format->leaf)) {
			check_shadow_tables(f, shadow,
					    hpa_to_ptr((hpa_t){ page[i] & format->address }),
					    level - 1, start);
		} else {
			check_leaf_at(f, shadow, page[i], level, start, start);
			for (unsigned k = 0; level > 0 && k < shadow->edge_count; k++) {
				uint64_t edge = shadow->edges[k];

				if (edge > start && edge < start + bytes) {
					check_leaf_at(f, shadow, page[i], level, start, edge);
					check_leaf_at(f, shadow, page[i], level, start,
						      edge - PAGE_BYTES);
				}
			}
		}
	}
}

static void check_shadow(const struct fixture *f, struct shadow *shadow)
{
	find_edges(shadow);
	check_shadow_tables(f, shadow, f->tdp.table.root, f->tdp.table.format.levels - 1u, 0);
}

static struct change random_change(const struct fixture *f)
{
	static const uint64_t units[] = { PAGE_BYTES, MIB(2), GIB(1) };
	static const unsigned rights[] = { RIGHT_ALL, RIGHT_READ, RIGHT_READ | RIGHT_EXEC,
					   RIGHT_READ | RIGHT_WRITE };
	uint64_t unit = units[random_below(3)];
	struct change change = { .kind = (int)random_below(3), .rights = rights[random_below(4)] };
	uint64_t slot = f->tdp.eager_end * (1 + random_below(f->tdp.end / f->tdp.eager_end - 1));

	change.start = random_below(GIB(6) / unit) * unit;
	if (random_below(4) == 0)
		change.start += slot;
	else if (random_below(8) == 0)
		change.start += GIB(300);
	unit = units[random_below(3)];
	change.end = change.start + unit * (1 + random_below(unit == GIB(1) ? 3 : 600));
	if (f->tdp.table.format.mode_based_exec && random_below(3) == 0)
		change.rights =
			RIGHT_READ | (random_below(2) ? RIGHT_EXEC_USER : RIGHT_EXEC_SUPERVISOR);
	change.frame = random_below(2) ? change.start + random_below(3) * GIB(1)
				       : random_below(GIB(8) / PAGE_BYTES) * PAGE_BYTES;
	return change;
}

static bool make(struct fixture *f, const struct change *change, bool *changed)
{
	gpa_t gpa = { change->start };
	uint64_t bytes = change->end - change->start;

	if (change->kind == CHANGE_PROTECT)
		return tdp_mmu_protect(&f->tdp, gpa, bytes, change->rights, changed);
	if (change->kind == CHANGE_UNMAP)
		return tdp_mmu_unmap(&f->tdp, gpa, bytes, changed);
	return tdp_mmu_map(&f->tdp, gpa, (hpa_t){ change->frame }, bytes, change->rights, changed);
}

/* One that needs a table more than there is waits until others have given theirs back. */
static void undo_all(struct fixture *f, struct shadow *shadow, unsigned round)
{
	bool undone[CHANGES_MAX] = { false };
	unsigned left = CHANGES_MAX, before = 0;

	while (left != 0) {
		assert_int_not_equal(left, before);
		before = left;
		for (unsigned i = 0; i < CHANGES_MAX; i++) {
			unsigned which = (i * 7 + round) % CHANGES_MAX;
			struct change back = shadow->changes[which];
			bool changed = false;

			back.kind = CHANGE_MAP;
			back.frame = back.start;
			back.rights = RIGHT_ALL;
			if (undone[which] || !make(f, &back, &changed))
				continue;
			undone[which] = true;
			left--;
			shadow->changes[shadow->count++] = back;
			check_shadow(f, shadow);
			tdp_mmu_flushed(&f->tdp);
		}
	}
}

static void random_changes_of(enum page_format_kind kind, unsigned max_leaf)
{
	struct mtrr_state mtrr = ovmf_state(41);
	struct shadow shadow = { .mtrr = kind == PAGE_FORMAT_EPT ? &mtrr : NULL };
	struct page_format format;
	struct fixture f;
	uint64_t start_pages;
	unsigned done = 0;
	bool changed = false;

	arena_make(&f.pool, 900);
	page_format_init(&format, kind, 4, max_leaf, 41);
	format.mode_based_exec = kind == PAGE_FORMAT_EPT;
	assert_true(tdp_mmu_init(&f.tdp, &format, &f.pool, shadow.mtrr, GIB(8), GIB(2048)));
	start_pages = f.pool.free_pages;
	check_shadow(&f, &shadow);
	for (unsigned round = 0; round < test_rounds(2); round++) {
		while (shadow.count < CHANGES_MAX) {
			struct change change = random_change(&f);

			changed = false;
			if (make(&f, &change, &changed)) {
				shadow.changes[shadow.count++] = change;
				done++;
			} else if (change.start < f.tdp.eager_end) {
				assert_false(changed);
			}
			check_shadow(&f, &shadow);
			tdp_mmu_flushed(&f.tdp);
		}
		undo_all(&f, &shadow, round);
		shadow.count = 0;
		check_shadow(&f, &shadow);
		assert_int_equal(f.pool.free_pages, start_pages);
		for (unsigned i = 0; i < TDP_HIGH_TABLES; i++)
			assert_false(f.tdp.high_pinned[i]);
	}
	assert_true(done >= CHANGES_MAX);
}

static void random_changes(void **state)
{
	(void)state;
	random_changes_of(PAGE_FORMAT_EPT, 2);
	random_changes_of(PAGE_FORMAT_EPT, 1);
	random_changes_of(PAGE_FORMAT_NPT, 2);
}

/* What was changed above the eager part stays when others come and go, and goes again when it is undone. */
static void changed_slots_stay(void **state)
{
	struct fixture f;
	bool changed = false;
	uint64_t high_pages;

	(void)state;
	setup(&f, PAGE_FORMAT_NPT, 4, 2, NULL, GIB(8), 48, 100);
	high_pages = f.tdp.high.free_pages;
	for (unsigned i = 0; i < TDP_HIGH_PINNED; i++)
		assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ GIB(512) * (2 + i) + GIB(i) }, GIB(1),
					    RIGHT_READ, &changed));
	/* one more would have to stay, or two at once */
	assert_false(
		tdp_mmu_protect(&f.tdp, (gpa_t){ GIB(512) * 20 }, GIB(1), RIGHT_READ, &changed));
	assert_false(tdp_mmu_protect(&f.tdp, (gpa_t){ GIB(512) * 3 - GIB(1) }, GIB(2), RIGHT_READ,
				     &changed));
	for (unsigned i = 0; i < 100; i++) {
		assert_true(tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(512) * (30 + i) }) !=
			    TDP_TOUCH_REFUSED);
		tdp_mmu_flushed(&f.tdp);
	}
	for (unsigned i = 0; i < TDP_HIGH_PINNED; i++) {
		uint64_t gpa = GIB(512) * (2 + i) + GIB(i);

		assert_int_equal(mapping_at(&f, gpa).rights, RIGHT_READ);
		assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ gpa }, GIB(1), RIGHT_ALL, &changed));
	}
	tdp_mmu_flushed(&f.tdp);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(512) * (30 + i) }) !=
			    TDP_TOUCH_REFUSED);
		tdp_mmu_flushed(&f.tdp);
	}
	assert_false(page_table_lookup(&f.tdp.table, GIB(512) * 2,
				       &(struct page_mapping){ .level = 0 }));
	assert_int_equal(f.tdp.high.free_pages, high_pages - TDP_HIGH_TABLES);
}

/* A CPU may have faulted on an entry that is no longer there. */
static void what_is_allowed_now(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4, 2, NULL, GIB(8), 40, 100);
	assert_true(tdp_mmu_allows(&f.tdp, (gpa_t){ 0x5123 }, RIGHT_ALL));
	assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ 0x5000 }, PAGE_BYTES, RIGHT_READ, &changed));
	assert_true(tdp_mmu_allows(&f.tdp, (gpa_t){ 0x5123 }, RIGHT_READ));
	assert_false(tdp_mmu_allows(&f.tdp, (gpa_t){ 0x5123 }, RIGHT_READ | RIGHT_WRITE));
	assert_true(tdp_mmu_unmap(&f.tdp, (gpa_t){ 0x5000 }, PAGE_BYTES, &changed));
	assert_false(tdp_mmu_allows(&f.tdp, (gpa_t){ 0x5123 }, RIGHT_READ));
	assert_false(tdp_mmu_protect(&f.tdp, (gpa_t){ 0x5001 }, PAGE_BYTES, RIGHT_READ, &changed));
	assert_false(tdp_mmu_unmap(&f.tdp, (gpa_t){ GIB(1024) }, PAGE_BYTES, &changed));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(npt_is_the_identity),
		cmocka_unit_test(ept_follows_the_mtrrs),
		cmocka_unit_test(too_small_a_pool_is_refused),
		cmocka_unit_test(hidden_ranges_read_as_ones),
		cmocka_unit_test(single_frames),
		cmocka_unit_test(touches_npt),
		cmocka_unit_test(touches_ept),
		cmocka_unit_test(other_types_in_place),
		cmocka_unit_test(types_without_pages),
		cmocka_unit_test(hostile_masks),
		cmocka_unit_test(random_changes),
		cmocka_unit_test(changed_slots_stay),
		cmocka_unit_test(what_is_allowed_now),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	free(arena);
	return failures;
}
