// sources: mm/table_each.c mm/page_table.c mm/page_format.c mm/pool.c mm/layout.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* What is visited is what was mapped: all of it, once, in order, and every table on the way. */
#include "tests/unit/mm_test.h"

#include "mm/table_each.h"

#define PAGES	   64u
#define ROUNDS	   200u
#define RANGE_SIZE (UINT64_C(1) << 32)

struct visits {
	const struct page_table *table;
	uint64_t last, bytes;
	unsigned tables, leaves;
	uint64_t open[PAGE_LEVELS]; /* up to where the upper entry of each level reaches */
};

static void note(void *context, uint64_t address, unsigned level, uint64_t entry)
{
	struct visits *visits = context;
	struct page_mapping mapping;

	if (level + 1u < visits->table->format.levels)
		assert_true(address < visits->open[level + 1u]);
	if (!table_each_is_leaf(visits->table, level, entry)) {
		visits->open[level] = address + page_format_entry_bytes(level);
		visits->tables++;
		return;
	}
	assert_true(visits->leaves == 0 || address >= visits->last);
	visits->leaves++;
	visits->last = address + page_format_entry_bytes(level);
	visits->bytes += page_format_entry_bytes(level);
	assert_true(page_table_lookup(visits->table, address, &mapping));
	assert_int_equal(mapping.level, level);
	assert_int_equal(*mapping.entry, entry);
}

static void check_format(enum page_format_kind kind, unsigned levels)
{
	struct page_format format;
	struct page_table table;
	struct pool pool;
	struct visits visits = { .table = &table };
	uint64_t mapped = 0;
	bool changed;

	arena_make(&pool, PAGES);
	page_format_init(&format, kind, levels, 2, 46);
	assert_true(page_table_init(&table, &format, &pool));
	table_each(&table, note, &visits);
	assert_int_equal(visits.leaves + visits.tables, 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t address = random_below(RANGE_SIZE) & ~(PAGE_BYTES - 1);
		uint64_t bytes = PAGE_BYTES << random_below(10);

		/* Where the pool is empty, nothing is mapped, and that is what is to be seen. */
		(void)!page_table_map(&table, address, (hpa_t){ address }, bytes, RIGHT_READ,
				      MEMTYPE_WB, &changed);
	}
	table_each(&table, note, &visits);
	for (uint64_t at = 0; at < RANGE_SIZE + (UINT64_C(2) << 20); at += PAGE_BYTES) {
		struct page_mapping mapping;

		mapped += page_table_lookup(&table, at, &mapping) ? PAGE_BYTES : 0;
	}
	assert_true(mapped > 0);
	assert_int_equal(visits.bytes, mapped);
	assert_true(visits.tables < PAGES);
}

static void test_host(void **unused)
{
	(void)unused;
	check_format(PAGE_FORMAT_HOST, 4);
	check_format(PAGE_FORMAT_HOST, 5);
}

static void test_nested(void **unused)
{
	(void)unused;
	check_format(PAGE_FORMAT_EPT, 4);
	check_format(PAGE_FORMAT_NPT, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_nested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
