// sources: boot/barrier.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads are the CPUs; time is a counter that only the test moves. */
#include "boot/barrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sched.h>
#include <pthread.h>

#include <cmocka.h>

#define CPUS_MAX 8u
#define ROUNDS	 2000u

enum part { PART_ARRIVE, PART_FAIL, PART_ABSENT };

struct member {
	struct barrier *barrier;
	_Atomic uint64_t *now;
	uint32_t cpu;
	uint32_t delay;
	uint64_t deadline;
	enum part part;
	enum barrier_verdict verdict;
};

static uint64_t test_clock(void *context)
{
	struct member *member = context;

	sched_yield();
	return atomic_load(member->now);
}

static void *member_run(void *argument)
{
	struct member *member = argument;

	for (uint32_t i = 0; i < member->delay; i++)
		sched_yield();
	if (member->part == PART_FAIL)
		member->verdict = barrier_abort(member->barrier, member->cpu, BARRIER_FAILED);
	else
		member->verdict = barrier_arrive(member->barrier, member->cpu, member->deadline,
						 test_clock, member);
	return NULL;
}

struct round {
	struct barrier barrier;
	_Atomic uint64_t now;
	struct member members[CPUS_MAX];
	pthread_t threads[CPUS_MAX];
};

static void round_begin(struct round *round, uint32_t count)
{
	barrier_init(&round->barrier, count);
	atomic_store(&round->now, 0u);
	for (uint32_t i = 0; i < count; i++)
		round->members[i] = (struct member){ .barrier = &round->barrier,
						     .now = &round->now,
						     .cpu = i + 1,
						     .deadline = 1000,
						     .part = PART_ARRIVE };
}

static void round_start(struct round *round, uint32_t i)
{
	assert_int_equal(pthread_create(&round->threads[i], NULL, member_run, &round->members[i]),
			 0);
}

static void round_join(struct round *round, uint32_t i)
{
	assert_int_equal(pthread_join(round->threads[i], NULL), 0);
}

static void round_run(struct round *round, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (round->members[i].part != PART_ABSENT)
			round_start(round, i);
}

static void round_end(struct round *round, uint32_t count, enum barrier_verdict want)
{
	for (uint32_t i = 0; i < count; i++) {
		if (round->members[i].part == PART_ABSENT)
			continue;
		round_join(round, i);
		assert_int_equal(round->members[i].verdict, want);
	}
	assert_int_equal(barrier_verdict(&round->barrier), want);
}

static uint32_t random_below(uint32_t *seed, uint32_t bound)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % bound;
}

static void all_arrive_in_any_order(void **state)
{
	static struct round round;
	uint32_t seed = 1;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t count = 1 + random_below(&seed, CPUS_MAX);

		round_begin(&round, count);
		for (uint32_t j = 0; j < count; j++)
			round.members[j].delay = random_below(&seed, 8);
		round_run(&round, count);
		round_end(&round, count, BARRIER_COMMIT);
	}
}

static void one_failure_aborts_all(void **state)
{
	static struct round round;
	uint32_t seed = 2;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t count = 1 + random_below(&seed, CPUS_MAX);
		uint32_t failing = random_below(&seed, count);

		round_begin(&round, count);
		for (uint32_t j = 0; j < count; j++)
			round.members[j].delay = random_below(&seed, 8);
		round.members[failing].part = PART_FAIL;
		round_run(&round, count);
		round_end(&round, count, BARRIER_FAILED);
		assert_int_equal(barrier_decider(&round.barrier), failing + 1);
	}
}

static void two_failures_one_decider(void **state)
{
	static struct round round;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t decider;

		round_begin(&round, 4);
		round.members[1].part = PART_FAIL;
		round.members[3].part = PART_FAIL;
		round_run(&round, 4);
		round_end(&round, 4, BARRIER_FAILED);
		decider = barrier_decider(&round.barrier);
		assert_true(decider == 2 || decider == 4);
	}
}

static void an_absent_cpu_times_out(void **state)
{
	static struct round round;

	(void)state;
	for (uint32_t absent = 0; absent < 4; absent++) {
		round_begin(&round, 4);
		round.members[absent].part = PART_ABSENT;
		round_run(&round, 4);
		for (uint32_t i = 0; i < 100; i++) {
			assert_int_equal(barrier_verdict(&round.barrier), BARRIER_OPEN);
			sched_yield();
		}
		atomic_store(&round.now, 1000u);
		round_end(&round, 4, BARRIER_TIMEOUT);
		assert_int_not_equal(barrier_decider(&round.barrier), absent + 1);
	}
}

static void a_late_cpu_obeys(void **state)
{
	static struct round round;

	(void)state;
	/* After a time-out, even if its own time is not over. */
	round_begin(&round, 3);
	round.members[2].part = PART_ABSENT;
	round_run(&round, 3);
	atomic_store(&round.now, 1000u);
	round_end(&round, 3, BARRIER_TIMEOUT);
	round.members[2].part = PART_ARRIVE;
	round.members[2].deadline = 100000;
	round_start(&round, 2);
	round_join(&round, 2);
	assert_int_equal(round.members[2].verdict, BARRIER_TIMEOUT);

	/* After the boot CPU closed the door. */
	round_begin(&round, 1);
	assert_int_equal(barrier_abort(&round.barrier, 0, BARRIER_TIMEOUT), BARRIER_TIMEOUT);
	round_start(&round, 0);
	round_join(&round, 0);
	assert_int_equal(round.members[0].verdict, BARRIER_TIMEOUT);
}

static void a_cpu_past_its_deadline_does_not_commit(void **state)
{
	static struct round round;

	(void)state;
	round_begin(&round, 2);
	round_start(&round, 0);
	while (atomic_load(&round.barrier.arrived) == 0)
		sched_yield();
	/* CPU 2's time was over before it came; CPU 1 would have waited on. */
	round.members[1].deadline = 0;
	round_start(&round, 1);
	round_join(&round, 0);
	round_join(&round, 1);
	assert_int_equal(round.members[0].verdict, BARRIER_TIMEOUT);
	assert_int_equal(round.members[1].verdict, BARRIER_TIMEOUT);
	assert_int_equal(barrier_decider(&round.barrier), 2);
}

static void time_out_races_with_the_last_arrival(void **state)
{
	static struct round round;
	uint32_t seed = 3, committed = 0;

	(void)state;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		enum barrier_verdict verdict;

		round_begin(&round, 3);
		round.members[2].delay = random_below(&seed, 12);
		round_run(&round, 3);
		for (uint32_t j = random_below(&seed, 12); j > 0; j--)
			sched_yield();
		atomic_store(&round.now, 1000u);
		for (uint32_t j = 0; j < 3; j++)
			round_join(&round, j);
		verdict = barrier_verdict(&round.barrier);
		assert_true(verdict == BARRIER_COMMIT || verdict == BARRIER_TIMEOUT);
		committed += verdict == BARRIER_COMMIT;
		for (uint32_t j = 0; j < 3; j++)
			assert_int_equal(round.members[j].verdict, verdict);
	}
	print_message("%u of %u rounds committed\n", committed, ROUNDS);
}

static void a_commit_stands(void **state)
{
	static struct round round;

	(void)state;
	round_begin(&round, 2);
	round_run(&round, 2);
	round_end(&round, 2, BARRIER_COMMIT);
	assert_int_equal(barrier_abort(&round.barrier, 0, BARRIER_TIMEOUT), BARRIER_COMMIT);
	assert_int_equal(barrier_abort(&round.barrier, 1, BARRIER_FAILED), BARRIER_COMMIT);
	assert_int_equal(barrier_verdict(&round.barrier), BARRIER_COMMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_arrive_in_any_order),
		cmocka_unit_test(one_failure_aborts_all),
		cmocka_unit_test(two_failures_one_decider),
		cmocka_unit_test(an_absent_cpu_times_out),
		cmocka_unit_test(a_late_cpu_obeys),
		cmocka_unit_test(a_cpu_past_its_deadline_does_not_commit),
		cmocka_unit_test(time_out_races_with_the_last_arrival),
		cmocka_unit_test(a_commit_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
