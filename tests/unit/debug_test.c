/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/x86/debug.c
/* Which values of DR7 watch data or ports. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_enabled_watches_nothing),
		cmocka_unit_test(instructions_are_no_data),
		cmocka_unit_test(each_one_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
