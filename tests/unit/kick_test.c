/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/kick.c
/* Kicks and the guest's NMIs share one wire, on which they coalesce. */
#include "core/kick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t reasons;

static void a_kick_is_no_guest_nmi(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	kick_record(&box, KICK_TLB_FLUSH, 1);
	assert_false(kick_take(&box, 1, 2, &reasons));
	assert_int_equal(reasons, KICK_TLB_FLUSH);
}

static void an_unexplained_nmi_is_the_guests(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	assert_true(kick_take(&box, 1, 5, &reasons));
	assert_int_equal(reasons, 0);
}

/* The target looks before the NMI is there: the late arrival belongs to the kick all the same. */
static void reasons_taken_early_still_explain_the_nmi(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	kick_record(&box, KICK_TLB_FLUSH, 1);
	assert_false(kick_take(&box, 0, 2, &reasons));
	assert_int_equal(reasons, KICK_TLB_FLUSH);
	assert_false(kick_take(&box, 1, 3, &reasons));
	assert_true(kick_take(&box, 1, 4, &reasons));
}

static void a_guest_nmi_inside_a_kick_is_not_lost(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	kick_record(&box, KICK_TLB_FLUSH, 1);
	kick_record(&box, KICK_GUEST_NMI, 1);
	assert_true(kick_take(&box, 1, 2, &reasons));
	/* The other one, had it not coalesced, adds no second NMI. */
	assert_false(kick_take(&box, 1, 3, &reasons));
}

static void what_coalescing_left_over_expires(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	kick_record(&box, KICK_TLB_FLUSH, 1);
	kick_record(&box, KICK_RECHECK, 1);
	assert_false(kick_take(&box, 1, 2, &reasons));
	assert_true(kick_take(&box, 1, 2 + KICK_EXPIRY_CYCLES, &reasons));
}

/* Both NMIs are ours although the second was sent after the target had looked at its clock. */
static void what_was_sent_after_the_clock_was_read_is_not_old(void **state)
{
	struct kick_box box = { 0 };

	(void)state;
	kick_record(&box, KICK_ACTIVITY, 10);
	kick_record(&box, KICK_ACTIVITY, 100);
	assert_false(kick_take(&box, 1, 50, &reasons));
	assert_false(kick_take(&box, 1, 101, &reasons));
}

/* Random senders and arrivals, no coalescing: exactly the NMIs that nobody of us sent are the guest's. */
static void without_coalescing_the_count_is_exact(void **state)
{
	struct kick_box box = { 0 };
	unsigned in_flight = 0, guest_sent = 0, guest_got = 0;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 100000; i++) {
		switch (rand() % 3) {
		case 0:
			kick_record(&box, KICK_TLB_FLUSH, i);
			in_flight++;
			break;
		case 1:
			if (in_flight != 0)
				break; /* a device's NMI while ours are under way cannot be told apart */
			guest_sent++;
			guest_got += kick_take(&box, 1, i, &reasons);
			break;
		default:
			if (in_flight == 0)
				break;
			in_flight--;
			guest_got += kick_take(&box, 1, i, &reasons);
			break;
		}
	}
	assert_int_equal(guest_got, guest_sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kick_is_no_guest_nmi),
		cmocka_unit_test(an_unexplained_nmi_is_the_guests),
		cmocka_unit_test(reasons_taken_early_still_explain_the_nmi),
		cmocka_unit_test(a_guest_nmi_inside_a_kick_is_not_lost),
		cmocka_unit_test(what_coalescing_left_over_expires),
		cmocka_unit_test(what_was_sent_after_the_clock_was_read_is_not_old),
		cmocka_unit_test(without_coalescing_the_count_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
