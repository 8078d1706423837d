// sources: core/facs.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/facs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define OURS 0x9e000u

static struct facs make(uint8_t version, uint32_t vector, uint64_t x_vector)
{
	return (struct facs){ .signature = { 'F', 'A', 'C', 'S' },
			      .length = 64,
			      .waking_vector = vector,
			      .version = version,
			      .x_waking_vector = x_vector };
}

static void offsets(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct facs, waking_vector), 12);
	assert_int_equal(offsetof(struct facs, x_waking_vector), 24);
	assert_int_equal(offsetof(struct facs, version), 32);
	assert_int_equal(offsetof(struct facs, os_flags), 36);
}

static void the_wider_vector_counts_where_there_is_one(void **state)
{
	struct facs facs = make(1, 0x98000, 0);
	struct facs_wake wake;

	(void)state;
	assert_true(facs_read(&facs, &wake));
	assert_int_equal(wake.address, 0x98000);
	assert_false(wake.is_protected);
	facs = make(1, 0x98000, 0x1234567);
	assert_true(facs_read(&facs, &wake));
	assert_int_equal(wake.address, 0x1234567);
	assert_true(wake.is_protected);
	facs = make(0, 0x98000, 0x1234567); /* ACPI 1.0: reserved there */
	assert_true(facs_read(&facs, &wake));
	assert_int_equal(wake.address, 0x98000);
	assert_false(wake.is_protected);
	facs = make(1, 0x98000, 0x1234567);
	facs.length = 32;
	assert_true(facs_read(&facs, &wake));
	assert_int_equal(wake.address, 0x98000);
	facs = make(2, 0, 0);
	assert_false(facs_read(&facs, &wake));
	assert_int_equal(wake.address, 0);
}

static void diverted_and_back(void **state)
{
	struct facs facs = make(1, 0x98000, 0x1234567), before = facs, old;
	struct facs_wake wake;

	(void)state;
	facs_divert(&facs, OURS, &old);
	assert_true(facs_read(&facs, &wake));
	assert_int_equal(wake.address, OURS);
	assert_false(wake.is_protected);
	facs_restore(&facs, OURS, &old);
	assert_memory_equal(&facs, &before, sizeof(facs));
	/* Version 0: the reserved bytes are nobody's. */
	facs = before = make(0, 0x98000, 0x1234567);
	facs_divert(&facs, OURS, &old);
	assert_int_equal(facs.x_waking_vector, 0x1234567);
	facs_restore(&facs, OURS, &old);
	assert_memory_equal(&facs, &before, sizeof(facs));
}

static void what_the_os_has_written_since_stays(void **state)
{
	struct facs facs = make(1, 0x98000, 0), old;

	(void)state;
	facs_divert(&facs, OURS, &old);
	facs.waking_vector = 0x97000;
	facs_restore(&facs, OURS, &old);
	assert_int_equal(facs.waking_vector, 0x97000);
	facs = make(1, 0x98000, 0x1234567);
	facs_divert(&facs, OURS, &old);
	facs.x_waking_vector = 0x7654321;
	facs_restore(&facs, OURS, &old);
	assert_int_equal(facs.x_waking_vector, 0x7654321);
	assert_int_equal(facs.waking_vector, 0x98000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets),
		cmocka_unit_test(the_wider_vector_counts_where_there_is_one),
		cmocka_unit_test(diverted_and_back),
		cmocka_unit_test(what_the_os_has_written_since_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
