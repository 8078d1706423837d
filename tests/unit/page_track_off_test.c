/* SPDX-License-Identifier: BSD-2-Clause */
// sources: mm/layout.c
/* Compiled out, write tracking takes no memory and links without its source; who uses it still compiles. */
#define CONFIG_PAGE_TRACK  0
#define CONFIG_FLUSH_MODEL 0

#include "tests/unit/mm_test.h"

#include "mm/page_track.h"

struct user {
	uint64_t before;
	struct page_track_notifier notifier;
	struct page_track_writer writer;
	struct page_track track;
	struct flush_model model;
	uint64_t after;
};

static void empty_structs(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct page_track), 0);
	assert_int_equal(sizeof(struct page_track_writer), 0);
	assert_int_equal(sizeof(struct page_track_notifier), 0);
	assert_int_equal(sizeof(struct flush_model), 0);
	assert_int_equal(sizeof(struct user), 2 * sizeof(uint64_t));
	assert_int_equal(PAGE_TRACK_PAGES, 0);
}

static void nothing_can_be_tracked(void **state)
{
	struct user user = { 0 };
	struct pool pool = { 0 };
	bool changed = false;

	(void)state;
	assert_true(page_track_init(&user.track, &pool));
	assert_true(page_track_writer_init(&user.writer, &pool, 0));
	page_track_register(&user.track, &user.notifier);
	assert_false(page_track_add(&user.track, NULL, (gpa_t){ 0x1000 }, &changed));
	assert_false(changed);
	assert_false(page_track_remove(&user.track, NULL, (gpa_t){ 0x1000 }));
	assert_int_equal(page_track_remove_region(&user.track, NULL, (gpa_t){ 0 }, 4096), 0);
	assert_int_equal(page_track_count(&user.track, (gpa_t){ 0x1000 }), 0);
	assert_false(page_track_is_closed(&user.track, (gpa_t){ 0x1000 }));
	assert_int_equal(page_track_open(&user.track, &user.writer, (gpa_t){ 0x1000 }, true),
			 PAGE_TRACK_UNTRACKED);
	page_track_report(&user.track, &user.writer, true);
	page_track_close(&user.track, &user.writer, NULL);
	flush_model_changed(&user.model, 0, 4095);
	flush_model_rely(&user.model, 0, 4095);
	assert_int_equal(pool.total_pages, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_structs),
		cmocka_unit_test(nothing_can_be_tracked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
