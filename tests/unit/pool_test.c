// sources: mm/pool.c mm/layout.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/mm_test.h"

static bool is_zero(const uint8_t *page, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++) {
		if (page[i] != 0)
			return false;
	}
	return true;
}

static void pages_are_zeroed_and_distinct(void **state)
{
	struct pool pool;
	uint8_t *pages[8];

	(void)state;
	arena_make(&pool, 8);
	for (unsigned i = 0; i < 8; i++) {
		pages[i] = pool_alloc(&pool);
		assert_non_null(pages[i]);
		assert_true(is_zero(pages[i], PAGE_BYTES));
		assert_int_equal(pool.free_pages, 7 - i);
		memset(pages[i], (int)i + 1, PAGE_BYTES);
	}
	assert_null(pool_alloc(&pool));
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(pages[i][PAGE_BYTES - 1], i + 1);
	for (unsigned i = 0; i < 8; i++)
		pool_free(&pool, pages[i]);
	assert_int_equal(pool.free_pages, 8);
	assert_true(is_zero(pool_alloc(&pool), PAGE_BYTES));
}

static void contiguous_only_from_never_used(void **state)
{
	struct pool pool;
	uint8_t *first, *piece;

	(void)state;
	arena_make(&pool, 8);
	first = pool_alloc(&pool);
	pool_free(&pool, first);
	assert_int_equal(pool.free_pages, 8);
	assert_null(pool_alloc_contiguous(&pool, 8));
	piece = pool_alloc_contiguous(&pool, 7);
	assert_ptr_equal(piece, arena + PAGE_BYTES);
	assert_true(is_zero(piece, 7 * PAGE_BYTES));
	assert_int_equal(pool.free_pages, 1);
	assert_ptr_equal(pool_alloc(&pool), first);
	assert_int_equal(pool.free_pages, 0);
}

static void carving_moves_pages(void **state)
{
	struct pool pool, carved, rest;

	(void)state;
	arena_make(&pool, 10);
	assert_non_null(pool_alloc(&pool));
	assert_false(pool_carve(&carved, "carved", &pool, 10));
	assert_true(pool_carve(&carved, "carved", &pool, 4));
	assert_int_equal(pool.free_pages, 5);
	assert_int_equal(pool.total_pages, 6);
	assert_int_equal(carved.free_pages, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_true((uint8_t *)pool_alloc(&carved) >= arena + 6 * PAGE_BYTES);
	assert_null(pool_alloc(&carved));
	for (unsigned i = 0; i < 5; i++)
		assert_true((uint8_t *)pool_alloc(&pool) < arena + 6 * PAGE_BYTES);
	assert_null(pool_alloc(&pool));
	assert_true(pool_carve(&rest, "none", &pool, 0));
	assert_null(pool_alloc(&rest));
}

static void misuse_panics(void **state)
{
	struct pool pool, carved;
	uint8_t *page;

	(void)state;
	arena_make(&pool, 4);
	assert_true(pool_carve(&carved, "carved", &pool, 2));
	page = pool_alloc(&pool);
	expect_assert_failure(pool_free(&carved, page));
	expect_assert_failure(pool_free(&pool, page + 8));
	expect_assert_failure(pool_free(&pool, page + PAGE_BYTES)); /* never handed out */
	pool_free(&pool, page);
	expect_assert_failure(pool_free(&pool, page)); /* more than there are */
	expect_assert_failure(pool_init(&pool, "odd", arena + 1, 1));
}

static void layout_translates_the_reservation_only(void **state)
{
	struct pool pool;

	(void)state;
	arena_make(&pool, 4);
	assert_ptr_equal(hpa_to_ptr((hpa_t){ ARENA_HPA + 0x1234 }), arena + 0x1234);
	assert_int_equal(ptr_to_hpa(arena + 0x3fff).v, ARENA_HPA + 0x3fff);
	assert_int_equal(layout_reservation().v, ARENA_HPA);
	assert_int_equal(layout_reservation_bytes(), 0x4000);
	expect_assert_failure(hpa_to_ptr((hpa_t){ ARENA_HPA - 1 }));
	expect_assert_failure(hpa_to_ptr((hpa_t){ ARENA_HPA + 0x4000 }));
	expect_assert_failure(ptr_to_hpa(arena - 1));
	expect_assert_failure(ptr_to_hpa(arena + 0x4000));
	layout_init((hpa_t){ ARENA_HPA }, 0x200000);
	assert_int_equal((uint64_t)hpa_to_ptr((hpa_t){ ARENA_HPA + 5 }), LAYOUT_IMAGE + 5);
}

static void random_use_keeps_count(void **state)
{
	struct pool pool;
	void *taken[64];
	unsigned count = 0;

	(void)state;
	arena_make(&pool, 64);
	for (unsigned i = 0; i < test_rounds(100000); i++) {
		if (random64() & 1) {
			void *page = pool_alloc(&pool);

			assert_int_equal(page == NULL, count == 64);
			if (page != NULL)
				taken[count++] = page;
		} else if (count > 0) {
			unsigned victim = (unsigned)random_below(count);

			pool_free(&pool, taken[victim]);
			taken[victim] = taken[--count];
		}
		assert_int_equal(pool.free_pages, 64 - count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_zeroed_and_distinct),
		cmocka_unit_test(contiguous_only_from_never_used),
		cmocka_unit_test(carving_moves_pages),
		cmocka_unit_test(misuse_panics),
		cmocka_unit_test(layout_translates_the_reservation_only),
		cmocka_unit_test(random_use_keeps_count),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	free(arena);
	return failures;
}
