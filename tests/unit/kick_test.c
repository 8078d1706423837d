/* SPDX-License-Identifier: BSD-2-Clause */
// sources:
/* Kicks and the guest's NMIs share one wire, on which they coalesce. */
#include "core/kick.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Between any two of its atomic steps another thread may run. */
static bool interleave(void)
{
	static _Thread_local uint32_t random = 1;

	random = random * 1664525 + 1013904223;
	return random >> 30 == 0 && sched_yield() == 0;
}

#undef atomic_exchange
#define atomic_exchange(object, value) \
	((void)interleave(), __atomic_exchange_n(object, value, __ATOMIC_SEQ_CST))
#include "core/kick.c"

static uint32_t reasons;

static void a_kick_is_no_guest_nmi(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_record(&box, KICK_TLB_FLUSH, 1));
	assert_false(kick_take(&box, 1, &reasons));
	assert_int_equal(reasons, KICK_TLB_FLUSH);
}

static void an_unexplained_nmi_is_the_guests(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_take(&box, 1, &reasons));
	assert_int_equal(reasons, 0);
}

/* The target looks before the NMI is there: the arrival belongs to the kick all the same, however late it is. */
static void reasons_taken_early_still_explain_the_nmi(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_record(&box, KICK_ACTIVITY, 1));
	assert_false(kick_take(&box, 0, &reasons));
	assert_int_equal(reasons, KICK_ACTIVITY);
	assert_false(kick_take(&box, 1, &reasons));
	assert_true(kick_take(&box, 1, &reasons));
}

static void one_nmi_at_a_time_is_under_way(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_record(&box, KICK_TLB_FLUSH, 1));
	assert_false(kick_record(&box, KICK_RECHECK, 2));
	assert_false(kick_take(&box, 1, &reasons));
	assert_int_equal(reasons, KICK_TLB_FLUSH | KICK_RECHECK);
	assert_true(kick_record(&box, KICK_RECHECK, 3));
}

static void a_device_nmi_behind_a_kick_is_the_guests(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_record(&box, KICK_TLB_FLUSH, 1));
	assert_true(kick_take(&box, 2, &reasons));
}

static void a_guest_nmi_inside_a_kick_is_not_lost(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_record(&box, KICK_TLB_FLUSH, 1));
	assert_false(kick_record(&box, KICK_GUEST_NMI, 1));
	assert_true(kick_take(&box, 1, &reasons));
	assert_int_equal(reasons, KICK_TLB_FLUSH | KICK_GUEST_NMI);
}

static void a_lost_nmi_is_sent_again(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_record(&box, KICK_TLB_FLUSH, 10));
	assert_false(kick_record(&box, KICK_TLB_FLUSH, 9));
	assert_false(kick_record(&box, KICK_TLB_FLUSH, 10 + KICK_LOST_CYCLES));
	assert_true(kick_record(&box, KICK_TLB_FLUSH, 11 + KICK_LOST_CYCLES));
	assert_false(kick_record(&box, KICK_TLB_FLUSH, 12 + KICK_LOST_CYCLES));
}

/* Random senders and late arrivals: exactly the NMIs that nobody of us sent are the guest's. */
static void the_guest_gets_its_own_and_no_other(void **state)
{
	struct kick_box box = { 0 };
	unsigned ours = 0, guest_sent = 0, guest_got = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 100000; i++) {
		switch (rand() % 4) {
		case 0:
			ours += kick_record(&box, KICK_TLB_FLUSH, i);
			break;
		case 1:
			guest_sent++;
			guest_got += kick_take(&box, ours + 1, &reasons);
			ours = 0;
			break;
		case 2:
			guest_got += kick_take(&box, 0, &reasons);
			break;
		default:
			guest_got += kick_take(&box, ours, &reasons);
			ours = 0;
			break;
		}
		assert_true(ours <= 1);
	}
	assert_int_equal(guest_got, guest_sent);
}

/* --- with real threads: no reason is left behind without an NMI that will come --- */

enum { SENDERS = 3, KICKS = 5000, PATIENCE = 1000000 };

static struct kick_box shared;
static _Atomic(uint64_t) wire, senders_done, forgotten;
static _Atomic(uint64_t) work[SENDERS], done[SENDERS];

static bool are_all_heard(uint64_t number)
{
	for (unsigned i = 0, heard = 0; i < PATIENCE; i++, heard = 0) {
		for (unsigned sender = 0; sender < SENDERS; sender++)
			heard += atomic_load(&done[sender]) >= number;
		if (heard == SENDERS)
			return true;
		sched_yield();
	}
	return false;
}

/* Nobody kicks again before all are heard: a later kick would cover up for a forgotten one. */
static void *send_kicks(void *argument)
{
	const unsigned self = (unsigned)(uintptr_t)argument;

	for (uint64_t number = 1; number <= KICKS && atomic_load(&forgotten) == 0; number++) {
		atomic_store(&work[self], number);
		if (kick_record(&shared, BIT32(self), 0))
			atomic_fetch_add(&wire, 1);
		if (!are_all_heard(number))
			atomic_fetch_add(&forgotten, 1);
	}
	atomic_fetch_add(&senders_done, 1);
	return NULL;
}

/* The target only ever looks when an NMI has come. */
static void no_kick_is_forgotten(void **state)
{
	pthread_t threads[SENDERS];
	uint64_t seen = 0;

	(void)state;
	for (uintptr_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, send_kicks, (void *)i), 0);
	while (atomic_load(&senders_done) != SENDERS) {
		uint64_t arrived = atomic_load(&wire);

		if (arrived == seen) {
			sched_yield();
			continue;
		}
		assert_false(kick_take(&shared, arrived - seen, &reasons));
		seen = arrived;
		for (unsigned i = 0; i < SENDERS; i++) {
			if ((reasons & BIT32(i)) != 0)
				atomic_store(&done[i], atomic_load(&work[i]));
		}
	}
	for (unsigned i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&forgotten), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kick_is_no_guest_nmi),
		cmocka_unit_test(an_unexplained_nmi_is_the_guests),
		cmocka_unit_test(reasons_taken_early_still_explain_the_nmi),
		cmocka_unit_test(one_nmi_at_a_time_is_under_way),
		cmocka_unit_test(a_device_nmi_behind_a_kick_is_the_guests),
		cmocka_unit_test(a_guest_nmi_inside_a_kick_is_not_lost),
		cmocka_unit_test(a_lost_nmi_is_sent_again),
		cmocka_unit_test(the_guest_gets_its_own_and_no_other),
		cmocka_unit_test(no_kick_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
