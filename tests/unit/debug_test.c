/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/x86/debug.c
/* Which values of DR7 watch data or ports, and what meets them. */
#include "arch/x86/debug.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void nothing_enabled_watches_nothing(void **state)
{
	(void)state;
	assert_false(debug_has_data_breakpoint(0x400));
	assert_false(debug_has_data_breakpoint(0xffff2700)); /* kinds, GD, LE and GE alone */
}

static void instructions_are_no_data(void **state)
{
	(void)state;
	assert_false(debug_has_data_breakpoint(0x4ff));
	/* Another one's kind does not count. */
	assert_false(debug_has_data_breakpoint(0x00100401));
	assert_false(debug_has_data_breakpoint(0x03000480));
}

static void each_one_is_found(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (uint64_t kind = 1; kind < 4; kind++) {
			for (uint64_t enable = 1; enable < 4; enable++)
				assert_true(debug_has_data_breakpoint(0x400 | kind << (16 + 4 * i) |
								      enable << 2 * i));
		}
		/* A length is no kind. */
		assert_false(debug_has_data_breakpoint(0x400 | UINT64_C(0xc) << (16 + 4 * i) |
						       UINT64_C(1) << 2 * i));
	}
}

#define KIND(index, kind)     ((uint64_t)(kind) << (16 + 4 * (index)))
#define LENGTH(index, length) ((uint64_t)(length) << (18 + 4 * (index)))

/* SDM: "Breakpoint Field Recognition". */
static void an_access_meets_what_it_overlaps(void **state)
{
	static const uint64_t address[] = { 0x1004, 0x1003, 0x1008, 0 };
	static const struct {
		uint64_t dr7, linear;
		unsigned bytes;
		bool write;
		uint64_t met;
	} cases[] = {
		/* four bytes on writes, as they begin and end */
		{ 0x401 | KIND(0, 1) | LENGTH(0, 3), 0x1003, 1, true, 0 },
		{ 0x401 | KIND(0, 1) | LENGTH(0, 3), 0x1003, 2, true, 1 },
		{ 0x401 | KIND(0, 1) | LENGTH(0, 3), 0x1007, 4, true, 1 },
		{ 0x401 | KIND(0, 1) | LENGTH(0, 3), 0x1008, 4, true, 0 },
		{ 0x401 | KIND(0, 1) | LENGTH(0, 3), 0x1004, 4, false, 0 },
		/* on accesses; aligned to their size */
		{ 0x408 | KIND(1, 3) | LENGTH(1, 1), 0x1002, 1, false, 2 },
		{ 0x408 | KIND(1, 3) | LENGTH(1, 1), 0x1004, 1, true, 0 },
		/* eight */
		{ 0x420 | KIND(2, 3) | LENGTH(2, 2), 0x100f, 1, true, 4 },
		{ 0x420 | KIND(2, 3) | LENGTH(2, 2), 0x1010, 1, true, 0 },
		/* several; none that is not enabled, on instructions or on ports */
		{ 0x429 | KIND(0, 1) | LENGTH(0, 3) | KIND(1, 3) | KIND(2, 1), 0x1003, 2, true, 3 },
		{ 0x400 | KIND(0, 3), 0x1004, 1, true, 0 },
		{ 0x405, 0x1003, 4, true, 0 },
		{ 0x401 | KIND(0, 2), 0x1004, 1, true, 0 },
		/* around the end of all addresses */
		{ 0x480 | KIND(3, 3), UINT64_MAX, 2, true, 8 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(debug_met(cases[i].dr7, address,
					   cases[i].write ? DEBUG_TOUCH_WRITE : DEBUG_TOUCH_READ,
					   cases[i].linear, cases[i].bytes),
				 cases[i].met);
}

#define ENABLE(index) (UINT64_C(1) << 2 * (index))

static void a_port_meets_its_own_kind(void **state)
{
	static const uint64_t address[] = { 0x604, 0x605, 0x608, 0x607 };
	static const uint64_t port = ENABLE(0) | KIND(0, 2);
	static const uint64_t wide = ENABLE(3) | KIND(3, 2) | LENGTH(3, 3);
	static const struct {
		uint64_t dr7;
		uint16_t first;
		unsigned bytes;
		uint64_t met;
	} cases[] = {
		{ port, 0x604, 1, 1 },
		{ port, 0x603, 2, 1 },
		{ port, 0x601, 4, 1 },
		{ port, 0x605, 2, 0 },
		{ port, 0x600, 4, 0 },
		/* the length widens it, and cuts the address */
		{ port | LENGTH(0, 1), 0x605, 1, 1 },
		{ wide, 0x604, 1, 8 },
		{ wide, 0x608, 1, 0 },
		/* not enabled, or of another kind; by the local enable and by the global */
		{ KIND(0, 2), 0x604, 1, 0 },
		{ ENABLE(0) | KIND(0, 0), 0x604, 1, 0 },
		{ ENABLE(0) | KIND(0, 1), 0x604, 1, 0 },
		{ ENABLE(0) | KIND(0, 3), 0x604, 1, 0 },
		{ ENABLE(1) << 1 | KIND(1, 2) | port, 0x604, 2, 3 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(debug_met(cases[i].dr7, address, DEBUG_TOUCH_PORT, cases[i].first,
					   cases[i].bytes),
				 cases[i].met);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_enabled_watches_nothing),
		cmocka_unit_test(instructions_are_no_data),
		cmocka_unit_test(each_one_is_found),
		cmocka_unit_test(an_access_meets_what_it_overlaps),
		cmocka_unit_test(a_port_meets_its_own_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
