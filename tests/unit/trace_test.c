/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/trace.c core/exit_watch.c
#include "core/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/exit_watch.h"

#define CPUS 3u
#define RING (TRACE_RECORDS / CPUS)

static void add(unsigned cpu, uint64_t tsc)
{
	struct trace_record *record = trace_add(cpu);

	record->tsc = tsc;
	record->kind = (uint8_t)(cpu + 1);
	record->rip = 0x1000 + tsc;
}

static void it_is_switched_by_the_word_of_exits(void **state)
{
	(void)state;
	trace_init(CPUS);
	exit_watch_set(EXIT_WATCH_LOG, true);
	assert_false(trace_is_on());
	trace_set(true);
	assert_true(trace_is_on());
	assert_int_equal(exit_watchers(), EXIT_WATCH_LOG | EXIT_WATCH_TRACE);
	trace_set(false);
	assert_int_equal(exit_watchers(), EXIT_WATCH_LOG);
	exit_watch_set(EXIT_WATCH_LOG, false);
}

static void all_cpus_come_in_the_order_of_time(void **state)
{
	static const unsigned order[] = { 2, 0, 1, 1, 0, 2 };
	struct trace_walk walk;
	const struct trace_record *record;
	unsigned cpu = 99;

	(void)state;
	trace_init(CPUS);
	assert_null(trace_last(1));
	add(0, 20), add(0, 50), add(1, 30), add(1, 40), add(2, 10), add(2, 60);
	trace_walk_begin(&walk, UINT64_MAX);
	for (unsigned i = 0; i < 6; i++) {
		record = trace_walk_next(&walk, &cpu);
		assert_non_null(record);
		assert_int_equal(cpu, order[i]);
		assert_int_equal(record->tsc, 10 * (i + 1));
		assert_int_equal(record->kind, cpu + 1);
	}
	assert_null(trace_walk_next(&walk, &cpu));
	trace_walk_begin(&walk, 2);
	assert_int_equal(trace_walk_next(&walk, &cpu)->tsc, 50);
	assert_int_equal(trace_walk_next(&walk, &cpu)->tsc, 60);
	assert_null(trace_walk_next(&walk, &cpu));
	trace_clear();
	trace_walk_begin(&walk, UINT64_MAX);
	assert_null(trace_walk_next(&walk, &cpu));
}

static void the_oldest_give_way(void **state)
{
	struct trace_walk walk;
	struct trace_count count;
	unsigned cpu, seen = 0;
	const struct trace_record *record;

	(void)state;
	trace_init(CPUS);
	for (uint64_t i = 0; i < RING + 10; i++)
		add(1, i);
	add(2, 5);
	count = trace_count();
	assert_int_equal(count.kept, RING + 1);
	assert_int_equal(count.gone, 10);
	trace_walk_begin(&walk, UINT64_MAX);
	assert_int_equal(trace_walk_next(&walk, &cpu)->tsc, 5);
	for (; (record = trace_walk_next(&walk, &cpu)) != NULL; seen++)
		assert_int_equal(record->tsc, 10 + seen);
	assert_int_equal(seen, RING);
	/* A record that is used again has nothing of the old one. */
	assert_int_equal(trace_add(1)->rip, 0);
}

static void cycles_are_those_since_the_record(void **state)
{
	(void)state;
	trace_init(CPUS);
	trace_finish(0, 100);
	add(0, 1000);
	trace_finish(0, 1234);
	assert_int_equal(trace_last(0)->cycles, 234);
	trace_finish(0, 1000);
	assert_int_equal(trace_last(0)->cycles, 1);
	trace_finish(0, UINT64_C(1) << 40);
	assert_int_equal(trace_last(0)->cycles, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_switched_by_the_word_of_exits),
		cmocka_unit_test(all_cpus_come_in_the_order_of_time),
		cmocka_unit_test(the_oldest_give_way),
		cmocka_unit_test(cycles_are_those_since_the_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
