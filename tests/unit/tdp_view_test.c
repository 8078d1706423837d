/* SPDX-License-Identifier: BSD-2-Clause */
// sources: mm/tdp_view.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c
// sources: mm/layout.c
/* A view is the real map but for the frames that are open in it, also where it was used before. */
#include "tests/unit/mm_test.h"

#include "mm/tdp_view.h"

#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

struct open_frame {
	gpa_t gpa;
	hpa_t hpa;
	unsigned rights;
};

struct fixture {
	struct pool pool;
	struct tdp_mmu tdp;
	struct tdp_view view;
	hpa_t root;
	struct open_frame open[TDP_VIEW_FRAMES];
	unsigned count;
};

static void setup(struct fixture *f, enum page_format_kind kind, unsigned levels)
{
	struct page_format format;

	memset(f, 0, sizeof(*f));
	arena_make(&f->pool, 200);
	page_format_init(&format, kind, levels, 2, levels == 5 ? 52 : 40);
	assert_true(tdp_mmu_init(&f->tdp, &format, &f->pool, NULL, GIB(8),
				 levels == 5 ? UINT64_C(1) << 52 : GIB(1024)));
	assert_true(tdp_view_init(&f->view, &f->pool));
}

static void begin(struct fixture *f)
{
	f->root = tdp_view_begin(&f->view, &f->tdp);
	f->count = 0;
}

static bool open_frame(struct fixture *f, uint64_t gpa, uint64_t hpa, unsigned rights)
{
	if (!tdp_view_open(&f->view, &f->tdp, (gpa_t){ gpa }, (hpa_t){ hpa }, rights, MEMTYPE_WB))
		return false;
	f->open[f->count++] = (struct open_frame){ { gpa }, { hpa }, rights };
	return true;
}

static bool view_lookup(const struct fixture *f, uint64_t gpa, struct page_mapping *mapping)
{
	struct page_table table = f->tdp.table;

	table.root = hpa_to_ptr(f->root);
	return page_table_lookup(&table, gpa, mapping);
}

static void check_at(const struct fixture *f, uint64_t gpa)
{
	struct page_mapping real = { .level = 0 }, seen = { .level = 0 };
	bool mapped = page_table_lookup(&f->tdp.table, gpa, &real);

	for (unsigned i = 0; i < f->count; i++) {
		if (gpa / PAGE_BYTES != f->open[i].gpa.v / PAGE_BYTES)
			continue;
		mapped = true;
		real.hpa.v = f->open[i].hpa.v + gpa % PAGE_BYTES;
		real.rights = f->open[i].rights;
		real.type = MEMTYPE_WB;
	}
	assert_int_equal(view_lookup(f, gpa, &seen), mapped);
	if (!mapped)
		return;
	assert_int_equal(seen.hpa.v, real.hpa.v);
	assert_int_equal(seen.rights, real.rights);
	assert_int_equal(seen.type, real.type);
}

/* Everything near what is or was of interest, page by page, and the rest here and there. */
static void check(const struct fixture *f)
{
	for (uint64_t gpa = 0; gpa < MIB(12); gpa += PAGE_BYTES)
		check_at(f, gpa + 0x123);
	for (unsigned i = 0; i < f->count; i++) {
		for (int page = -3; page <= 3; page++)
			check_at(f,
				 f->open[i].gpa.v + (uint64_t)(page * (int)PAGE_BYTES) % GIB(1024));
	}
	for (unsigned i = 0; i < 2000; i++)
		check_at(f, random_below(f->tdp.end));
}

static void across_a_large_page_boundary(void **state)
{
	static const uint64_t edges[] = { MIB(2), MIB(8), GIB(1), GIB(5), GIB(512) };
	struct fixture f;

	(void)state;
	for (unsigned levels = 4; levels <= 5; levels++) {
		setup(&f, levels == 5 ? PAGE_FORMAT_EPT : PAGE_FORMAT_NPT, levels);
		(void)!tdp_mmu_touch(&f.tdp, (gpa_t){ GIB(512) });
		for (unsigned i = 0; i < ARRAY_COUNT(edges); i++) {
			begin(&f);
			assert_true(open_frame(&f, edges[i] - PAGE_BYTES, 0x7000, RIGHT_READ));
			check(&f);
			/* what earlier ones left behind may be in the way, but once only */
			if (!open_frame(&f, edges[i], 0x9000, RIGHT_ALL)) {
				begin(&f);
				assert_true(
					open_frame(&f, edges[i] - PAGE_BYTES, 0x7000, RIGHT_READ));
				assert_true(open_frame(&f, edges[i], 0x9000, RIGHT_ALL));
			}
			check(&f);
		}
	}
}

static void closed_again_with_the_next_one(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4);
	assert_true(
		tdp_mmu_protect(&f.tdp, (gpa_t){ MIB(4) }, 16 * PAGE_BYTES, RIGHT_READ, &changed));
	for (unsigned i = 0; i < 300; i++) {
		begin(&f);
		for (unsigned k = (unsigned)random_below(3); k > 0; k--) {
			uint64_t gpa = MIB(4) + random_below(16) * PAGE_BYTES;

			assert_true(open_frame(&f, gpa, gpa, RIGHT_READ | RIGHT_WRITE));
		}
		if (i % 10 == 0)
			check(&f);
		for (unsigned page = 0; page < 20; page++)
			check_at(&f, MIB(4) + page * PAGE_BYTES);
	}
	/* and no table was taken anew for that */
	assert_int_equal(f.view.used, 4);
}

static void a_change_of_the_map_makes_it_old(void **state)
{
	struct fixture f;
	bool changed = false;

	(void)state;
	setup(&f, PAGE_FORMAT_NPT, 4);
	begin(&f);
	assert_true(open_frame(&f, MIB(6), MIB(6), RIGHT_ALL));
	assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ MIB(6) + 0x5000 }, PAGE_BYTES, RIGHT_READ,
				    &changed));
	assert_false(open_frame(&f, MIB(6) + 0x1000, MIB(6), RIGHT_ALL));
	begin(&f);
	assert_true(open_frame(&f, MIB(6) + 0x1000, MIB(6), RIGHT_ALL));
	check(&f);
	assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ MIB(6) + 0x5000 }, PAGE_BYTES, RIGHT_ALL,
				    &changed));
	begin(&f);
	check(&f);
}

/* Too many frames, or too far apart, are refused; those that are open stay, and the next beginning is a new one. */
static void what_does_not_fit_is_refused(void **state)
{
	struct fixture f;
	unsigned fit = 0;

	(void)state;
	setup(&f, PAGE_FORMAT_EPT, 4);
	begin(&f);
	assert_true(open_frame(&f, MIB(4), 0, RIGHT_READ));
	begin(&f); /* with what the first one has left */
	while (fit < TDP_VIEW_FRAMES && open_frame(&f, GIB(fit) + MIB(2 * fit), 0, RIGHT_READ))
		fit++;
	assert_true(fit >= 2 && fit < TDP_VIEW_FRAMES);
	assert_false(tdp_view_is_exhausted(&f.view, &f.tdp));
	check(&f);
	begin(&f);
	for (unsigned i = 0; i <= fit; i++)
		(void)open_frame(&f, GIB(i) + MIB(2 * i), 0, RIGHT_READ);
	/* now it is its own need that is too large, unless the map has changed */
	assert_true(tdp_view_is_exhausted(&f.view, &f.tdp));
	f.tdp.generation++;
	assert_false(tdp_view_is_exhausted(&f.view, &f.tdp));
	begin(&f);
	for (unsigned i = 0; i < TDP_VIEW_FRAMES; i++)
		assert_true(open_frame(&f, MIB(4) + i * PAGE_BYTES, 0, RIGHT_READ));
	assert_false(open_frame(&f, MIB(4) + 20 * PAGE_BYTES, 0, RIGHT_READ));
	assert_true(tdp_view_is_exhausted(&f.view, &f.tdp));
	check(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(across_a_large_page_boundary),
		cmocka_unit_test(closed_again_with_the_next_one),
		cmocka_unit_test(a_change_of_the_map_makes_it_old),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	free(arena);
	return failures;
}
