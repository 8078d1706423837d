// sources: core/sleep.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Which writes ask for S3, and the agreement of all CPUs on it: with threads, and against every order of the steps. */
#include "core/sleep.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* PM1a at 0x604 with type 1, PM1b at 0xb004 with type 5, SLEEP_CONTROL at 0x900 with type 3. */
static const struct boot_sleep machine = {
	.register_count = 3,
	.registers = { { .control = 0x604, .status = 0x600, .bytes = 2, .type = 1 },
		       { .control = 0xb004, .status = 0xb000, .bytes = 2, .type = 5 },
		       { .control = 0x900, .status = 0x901, .bytes = 1, .type = 3 } },
};

#define PM1(type) (0x2000u | (uint32_t)(type) << 10)

static void whole_registers(void **state)
{
	(void)state;
	assert_true(sleep_is_request(&machine, 0x604, 2, PM1(1)));
	assert_true(sleep_is_request(&machine, 0x604, 2,
				     PM1(1) | 0xc3ff)); /* other bits do not matter */
	assert_true(sleep_is_request(&machine, 0xb004, 2, PM1(5)));
	assert_true(sleep_is_request(&machine, 0x900, 1, 0x20 | 3 << 2));
	/* S5, S4, S1; the type without the enable bit. */
	for (unsigned type = 0; type < 8; type++) {
		assert_int_equal(sleep_is_request(&machine, 0x604, 2, PM1(type)), type == 1);
		assert_int_equal(sleep_is_request(&machine, 0xb004, 2, PM1(type)), type == 5);
		assert_int_equal(sleep_is_request(&machine, 0x900, 1, 0x20 | type << 2), type == 3);
		assert_false(sleep_is_request(&machine, 0x604, 2, PM1(type) & ~0x2000u));
	}
	assert_false(sleep_is_request(&machine, 0x704, 2, PM1(1)));
}

static void parts_and_neighbours(void **state)
{
	(void)state;
	/* The upper byte alone decides; the lower one alone cannot. */
	assert_true(sleep_is_request(&machine, 0x605, 1, PM1(1) >> 8));
	assert_false(sleep_is_request(&machine, 0x604, 1, PM1(1)));
	assert_false(sleep_is_request(&machine, 0x606, 4, PM1(1)));
	/* Wider accesses, wherever the register lies in them. */
	assert_true(sleep_is_request(&machine, 0x604, 4, PM1(1)));
	assert_true(sleep_is_request(&machine, 0x603, 4, PM1(1) << 8));
	assert_true(sleep_is_request(&machine, 0x602, 4, PM1(1) << 16));
	assert_true(sleep_is_request(&machine, 0x605, 4, PM1(1) >> 8));
	assert_true(sleep_is_request(&machine, 0x8ff, 2, (0x20 | 3 << 2) << 8));
	assert_false(sleep_is_request(&machine, 0x601, 4, PM1(1) << 24));
}

static void ports_wrap(void **state)
{
	const struct boot_sleep high = { .register_count = 1,
					 .registers = { { .control = 0xfffe, .bytes = 2 } } };

	(void)state;
	assert_true(sleep_is_request(&high, 0xffff, 1, 0x20));
	assert_false(sleep_is_request(&high, 0, 1, 0x20));
	assert_true(sleep_has_port(&high, 0xffff));
	assert_false(sleep_has_port(&high, 0));
}

static void trapped_ports(void **state)
{
	const struct boot_sleep none = { 0 };
	unsigned count = 0;

	(void)state;
	for (uint32_t port = 0; port < 0x10000; port++) {
		count += sleep_has_port(&machine, (uint16_t)port);
		assert_false(sleep_has_port(&none, (uint16_t)port));
	}
	assert_int_equal(count, 3);
	assert_true(sleep_has_port(&machine, 0x605));
	assert_true(sleep_has_port(&machine, 0xb005));
	assert_true(sleep_has_port(&machine, 0x900));
}

static void one_begins(void **state)
{
	struct sleep sleep = { 0 };

	(void)state;
	assert_false(sleep_is_leaving(&sleep));
	assert_true(sleep_begin(&sleep));
	assert_false(sleep_begin(&sleep));
	assert_true(sleep_is_leaving(&sleep));
	sleep_give_up(&sleep);
	assert_false(sleep_is_leaving(&sleep));
	assert_true(sleep_begin(&sleep));
}

static void one_wakes_the_others(void **state)
{
	struct sleep sleep = { 0 };

	(void)state;
	for (unsigned round = 1; round <= 3; round++) {
		assert_true(sleep_begin(&sleep));
		sleep_park(&sleep);
		sleep_park(&sleep);
		assert_true(sleep_is_first(&sleep));
		assert_false(sleep_is_first(&sleep));
		assert_false(sleep_is_first(&sleep));
		/* Somebody whose power did not go is told the truth. */
		assert_false(sleep_is_leaving(&sleep));
		sleep_end(&sleep);
		assert_int_equal(sleep_parked(&sleep), 0);
		assert_int_equal(atomic_load(&sleep.count), round);
	}
	/* The power went after everybody had been told to go on. */
	assert_true(sleep_begin(&sleep));
	sleep_give_up(&sleep);
	assert_true(sleep_is_first(&sleep));
}

/* --- threads: what vmexit/suspend.c does ------------------------------------------------------ */

#define CPUS   4u
#define ROUNDS 3000u

static struct sleep shared;
static _Atomic(uint32_t) in_vmx[CPUS], told[CPUS], wrong, attempts, running;

static void take_part(unsigned self)
{
	if (!sleep_is_leaving(&shared))
		return;
	atomic_store(&in_vmx[self], 0);
	sleep_park(&shared);
	while (!sleep_unpark(&shared))
		sched_yield();
	atomic_store(&in_vmx[self], 1);
}

static void put_to_sleep(unsigned self)
{
	if (!sleep_begin(&shared))
		return;
	for (unsigned i = 0; i < CPUS; i++)
		atomic_store(&told[i], i != self);
	while (sleep_parked(&shared) < CPUS - 1)
		sched_yield();
	atomic_store(&in_vmx[self], 0);
	for (unsigned i = 0; i < CPUS; i++)
		atomic_fetch_add(&wrong, atomic_load(&in_vmx[i]));
	atomic_store(&in_vmx[self], 1);
	sleep_give_up(&shared);
	atomic_fetch_add(&attempts, 1);
}

static void *cpu_main(void *argument)
{
	unsigned self = (unsigned)(uintptr_t)argument;
	uint32_t random = self + 1;

	while (atomic_load(&attempts) < ROUNDS) {
		random = random * 1664525u + 1013904223u;
		if (atomic_exchange(&told[self], 0) != 0)
			take_part(self);
		else if (random >> 30 == 0)
			put_to_sleep(self);
		else
			sched_yield();
	}
	/* The last sleep may still want this one. */
	atomic_fetch_sub(&running, 1);
	while (atomic_load(&running) != 0) {
		if (atomic_exchange(&told[self], 0) != 0)
			take_part(self);
		sched_yield();
	}
	return NULL;
}

static void nobody_is_in_vmx_when_the_write_happens(void **state)
{
	pthread_t threads[CPUS];

	(void)state;
	memset(&shared, 0, sizeof(shared));
	atomic_store(&running, CPUS);
	for (unsigned i = 0; i < CPUS; i++)
		atomic_store(&in_vmx[i], 1);
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, cpu_main, (void *)(uintptr_t)i),
				 0);
	for (unsigned i = 0; i < CPUS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&attempts) >= ROUNDS);
	assert_int_equal(atomic_load(&shared.word), SLEEP_AWAKE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_registers),
		cmocka_unit_test(parts_and_neighbours),
		cmocka_unit_test(ports_wrap),
		cmocka_unit_test(trapped_ports),
		cmocka_unit_test(one_begins),
		cmocka_unit_test(one_wakes_the_others),
		cmocka_unit_test(nobody_is_in_vmx_when_the_write_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
