/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/format.c
/* Our vsnprintf against the C library's, and at the end of its buffer. */
#include "core/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SAME(...)                                                             \
	do {                                                                  \
		char ours[128], libc[128];                                    \
		size_t used = format_string(ours, sizeof(ours), __VA_ARGS__); \
		snprintf(libc, sizeof(libc), __VA_ARGS__);                    \
		assert_string_equal(ours, libc);                              \
		assert_int_equal(used, strlen(libc));                         \
	} while (0)

static void equals_the_library(void **state)
{
	(void)state;
	SAME("plain %% text");
	SAME("%d %d %d", 0, -1, 2147483647);
	SAME("%u %x %08x %-6x|%6x|", 42u, 0xbeefu, 0x1234u, 0xau, 0xbu);
	SAME("%llx %016llx %llu", 0xfedcba9876543210ull, 0x123ull, ~0ull);
	SAME("%lld %05d %-5d|", (long long)INT64_MIN, -42, 7);
	SAME("%s|%10s|%-10s|%c", "text", "right", "left", 'c');
	SAME("%zu", (size_t)12345);
}

static void never_writes_past_the_end(void **state)
{
	char buffer[8];
	const char *volatile nothing = NULL; /* the compiler must not see it */

	(void)state;
	memset(buffer, '!', sizeof(buffer));
	assert_int_equal(format_string(buffer, 4, "%s", "abcdefgh"), 3);
	assert_string_equal(buffer, "abc");
	assert_int_equal(buffer[4], '!');
	assert_int_equal(format_string(buffer, 0, "%s", "x"), 0);
	assert_int_equal(format_string(buffer, sizeof(buffer), "%s", nothing), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_library),
		cmocka_unit_test(never_writes_past_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
