// sources: boot/text.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void formats(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(text_format(out, sizeof(out), "%s: %u of %lu, 0x%x 0x%lx %c%%", "a", 0u,
				     18446744073709551615ul, 0xbeefu, 0xdeadbeefcafe0123ul, 'z'),
			 strlen("a: 0 of 18446744073709551615, 0xbeef 0xdeadbeefcafe0123 z%"));
	assert_string_equal(out, "a: 0 of 18446744073709551615, 0xbeef 0xdeadbeefcafe0123 z%");
	text_format(out, sizeof(out), "[%.*s]", 2, "abc");
	assert_string_equal(out, "[ab]");
}

static void cuts_what_does_not_fit(void **state)
{
	char out[8];

	(void)state;
	for (size_t bytes = 1; bytes <= sizeof(out); bytes++) {
		memset(out, 'x', sizeof(out));
		assert_int_equal(text_format(out, bytes, "%s%u", "abcd", 123456u), bytes - 1);
		assert_memory_equal(out, "abcd1234", bytes - 1);
		assert_int_equal(out[bytes - 1], '\0');
	}
}

static void converts_both_ways(void **state)
{
	static const char text[] = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xa1";
	static const uint16_t units[] = { 'a', 0xfc, 0x20ac, 0xd83d, 0xdca1, 0 };
	uint16_t wide[8];
	char back[16];

	(void)state;
	assert_true(text_to_utf16(wide, 8, text));
	assert_memory_equal(wide, units, sizeof(units));
	assert_true(text_from_utf16(back, sizeof(back), units, 5));
	assert_string_equal(back, text);
	/* Exactly enough room, and one too few. */
	assert_true(text_to_utf16(wide, 6, text));
	assert_false(text_to_utf16(wide, 5, text));
	assert_int_equal(wide[0], 0);
	assert_true(text_from_utf16(back, sizeof(text), units, 5));
	assert_false(text_from_utf16(back, sizeof(text) - 1, units, 5));
	assert_string_equal(back, "");
}

static void refuses_malformed_text(void **state)
{
	static const uint16_t halves[][2] = { { 0xd83d, 'a' },
					      { 0xdca1, 0xd83d },
					      { 'a', 0xd83d } };
	uint16_t wide[8];
	char out[16];

	(void)state;
	assert_false(text_to_utf16(wide, 8, "\xc3"));
	assert_false(text_to_utf16(wide, 8, "a\xed\xa0\x80"));
	for (size_t i = 0; i < 3; i++)
		assert_false(text_from_utf16(out, sizeof(out), halves[i], 2));
	assert_true(text_is_utf8("", 0));
	assert_false(text_is_utf8("\xe2\x82\xac", 2));
	assert_true(text_is_equal("ab", "ab"));
	assert_false(text_is_equal("ab", "abc"));
	assert_false(text_is_equal("abc", "ab"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(cuts_what_does_not_fit),
		cmocka_unit_test(converts_both_ways),
		cmocka_unit_test(refuses_malformed_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
