// sources: core/stop.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* All CPUs stand still: the steps one by one, and with threads in the order in which they come. */
#include "core/stop.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void one_leads(void **state)
{
	struct stop stop = { 0 };

	(void)state;
	assert_false(stop_is_on(&stop));
	assert_true(stop_begin(&stop, 3));
	assert_int_equal(atomic_load(&stop.leader), 3);
	assert_true(stop_is_on(&stop));
	assert_false(stop_begin(&stop, 1));
	assert_int_equal(atomic_load(&stop.leader), 3);
	stop_end(&stop);
	assert_false(stop_is_on(&stop));
	assert_true(stop_begin(&stop, 1));
}

static void parked_in_this_stop(void **state)
{
	struct stop stop = { 0 };
	struct stop_seat seat = { 0 };

	(void)state;
	assert_false(stop_stay(&stop, &seat));
	assert_true(stop_begin(&stop, 0));
	assert_false(stop_is_parked(&stop, &seat));
	assert_true(stop_stay(&stop, &seat));
	assert_true(stop_is_parked(&stop, &seat));
	stop_end(&stop);
	/* It has not looked since, and another stop begins: it is not in that one yet. */
	assert_true(stop_begin(&stop, 1));
	assert_false(stop_is_parked(&stop, &seat));
	assert_true(stop_stay(&stop, &seat));
	assert_true(stop_is_parked(&stop, &seat));
	stop_end(&stop);
	assert_false(stop_stay(&stop, &seat));
	assert_int_equal(atomic_load(&seat.parked), 0);
}

static void held_beyond_the_end(void **state)
{
	struct stop stop = { 0 };
	struct stop_seat seat = { 0 };

	(void)state;
	assert_true(stop_begin(&stop, 0));
	assert_true(stop_stay(&stop, &seat));
	stop_hold(&seat, true);
	stop_end(&stop);
	assert_true(stop_stay(&stop, &seat));
	assert_true(stop_begin(&stop, 0));
	assert_false(stop_is_parked(&stop, &seat));
	assert_true(stop_stay(&stop, &seat));
	assert_true(stop_is_parked(&stop, &seat));
	stop_hold(&seat, false);
	assert_true(stop_stay(&stop, &seat));
	stop_end(&stop);
	assert_false(stop_stay(&stop, &seat));
}

static void count(struct vcpu *vcpu, void *context)
{
	(void)vcpu;
	++*(unsigned *)context;
}

static void asked_once(void **state)
{
	struct stop_seat seat = { 0 };
	unsigned times = 0;
	const struct stop_request request = { count, &times };

	(void)state;
	stop_serve(&seat, NULL);
	stop_ask(&seat, &request);
	assert_false(stop_is_done(&seat));
	stop_serve(&seat, NULL);
	stop_serve(&seat, NULL);
	assert_true(stop_is_done(&seat));
	assert_int_equal(times, 1);
}

static void forgotten(void **state)
{
	struct stop stop = { 0 };

	(void)state;
	stop_forget(&stop);
	assert_false(stop_is_on(&stop));
	assert_true(stop_begin(&stop, 0));
	stop_forget(&stop);
	assert_false(stop_is_on(&stop));
	assert_true(stop_begin(&stop, 0));
	stop_end(&stop);
}

/* --- threads: what vmexit/stop.c does --------------------------------------------------------- */

#define CPUS  4u
#define STOPS 2000u

static struct stop shared;
static struct stop_seat seats[CPUS];
static _Atomic(uint32_t) told[CPUS], in_guest[CPUS], wrong, stops, finished;
static uint32_t served[CPUS]; /* by their own thread only */
static unsigned names[CPUS];

struct question {
	unsigned expected;
	uint32_t answers;
};

/* As a state that is nobody else's: only its own thread touches it. */
static void answer(struct vcpu *vcpu, void *context)
{
	const unsigned *name = (const unsigned *)(const void *)vcpu;
	struct question *question = context;

	served[*name]++;
	question->answers++;
	if (*name != question->expected)
		atomic_fetch_add(&wrong, 1);
}

static void park(unsigned self)
{
	while (stop_stay(&shared, &seats[self])) {
		stop_serve(&seats[self], (struct vcpu *)(void *)&names[self]);
		sched_yield();
	}
}

static void lead(unsigned self, uint32_t random)
{
	struct question question = { 0 };
	const struct stop_request request = { answer, &question };

	if (!stop_begin(&shared, self))
		return;
	for (unsigned i = 0; i < CPUS; i++)
		atomic_store(&told[i], i != self);
	for (unsigned i = 0; i < CPUS; i++) {
		while (i != self && !stop_is_parked(&shared, &seats[i]))
			sched_yield();
	}
	for (unsigned i = 0; i < CPUS; i++) {
		atomic_fetch_add(&wrong, atomic_load(&in_guest[i]));
		if (i == self)
			continue;
		question.expected = i;
		stop_ask(&seats[i], &request);
		while (!stop_is_done(&seats[i]))
			sched_yield();
	}
	if (question.answers != CPUS - 1)
		atomic_fetch_add(&wrong, 1);
	/* Now and then one stays behind until the next stop. */
	for (unsigned i = 0; i < CPUS; i++)
		stop_hold(&seats[i], i != self && (random >> i & 15) == 0);
	atomic_fetch_add(&stops, 1);
	stop_end(&shared);
}

static void *cpu_main(void *argument)
{
	unsigned self = *(unsigned *)argument;
	uint32_t random = self + 1;

	while (atomic_load(&stops) < STOPS) {
		random = random * 1664525u + 1013904223u;
		if (atomic_exchange(&told[self], 0) != 0)
			park(self);
		if (random >> 30 == 0)
			lead(self, random >> 8);
		atomic_store(&in_guest[self], 1);
		/* The last look is behind that, as in nmi_before_entry(). */
		if (atomic_load(&told[self]) == 0)
			sched_yield();
		atomic_store(&in_guest[self], 0);
	}
	/* The last leader lets everybody go. */
	atomic_fetch_add(&finished, 1);
	while (atomic_load(&finished) < CPUS) {
		for (unsigned i = 0; i < CPUS; i++)
			stop_hold(&seats[i], false);
		park(self);
		sched_yield();
	}
	return NULL;
}

static void nobody_runs_in_a_stop(void **state)
{
	pthread_t threads[CPUS];

	(void)state;
	for (unsigned i = 0; i < CPUS; i++) {
		names[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, cpu_main, &names[i]), 0);
	}
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&stops) >= STOPS);
	for (unsigned i = 0; i < CPUS; i++)
		assert_true(served[i] > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_leads),	       cmocka_unit_test(parked_in_this_stop),
		cmocka_unit_test(held_beyond_the_end), cmocka_unit_test(asked_once),
		cmocka_unit_test(forgotten),	       cmocka_unit_test(nobody_runs_in_a_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
