/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/monitor_args.c core/monitor_regs.c
#include "core/monitor_args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/monitor_regs.h"

static struct regs_sync registers;

static struct monitor_args begin(const char *text)
{
	return (struct monitor_args){ .at = text, .state = &registers };
}

static void is(const char *text, uint64_t value)
{
	struct monitor_args args = begin(text);

	assert_int_equal(monitor_args_number(&args), value);
	if (monitor_args_end(&args) != NULL)
		fail_msg("\"%s\": %s", text, args.why);
}

static void is_refused(const char *text, const char *why)
{
	struct monitor_args args = begin(text);

	assert_int_equal(monitor_args_number(&args), 0);
	assert_non_null(args.why);
	assert_string_equal(args.why, why);
	/* It stays so. */
	args.at = "1";
	assert_int_equal(monitor_args_number(&args), 0);
	assert_string_equal(monitor_args_end(&args), why);
}

static void numbers(void **state)
{
	(void)state;
	is("0", 0);
	is("  42 ", 42);
	is("0x1F", 31);
	is("18446744073709551615", UINT64_MAX);
	is("0xffffffffffffffff", UINT64_MAX);
	is("4k", 4096);
	is("2M", 2 << 20);
	is("0x3g", UINT64_C(3) << 30);
	is_refused("", "a number is missing");
	is_refused("0x", "0x is no number");
	is_refused("0xg", "0x is no number");
	is_refused("18446744073709551616", "the number has more than 64 bits");
	is_refused("0x10000000000000000", "the number has more than 64 bits");
	is_refused("17179869184g", "the number has more than 64 bits");
	is_refused("12ab", "hexadecimal numbers begin with 0x");
	is_refused("5z", "that is no number");
	is_refused("1,2", "that is no number");
	is_refused("?", "that is no number");
	is_refused("1..2", "that is no number");
}

static void expressions(void **state)
{
	(void)state;
	is("1+2*3", 7);
	is("(1+2)*3", 9);
	is("10-3-2", 5);
	is("-1", UINT64_MAX);
	is("0-(2-3)", 1);
	is("--5", 5);
	is("((((((((8))))))))", 8);
	is_refused("(((((((((8)))))))))", "too many signs and parentheses");
	is_refused("---------8", "too many signs and parentheses");
	is_refused("(1", "a ) is missing");
	is_refused("1+", "a number is missing");
}

static void registers_have_names(void **state)
{
	unsigned number;

	(void)state;
	memset(&registers, 0, sizeof(registers));
	registers.regs.gpr[4] = 0x7000;
	registers.regs.gpr[8] = 3;
	registers.regs.rip = 0xffffffff81000000;
	registers.sregs.segments[SEGMENT_CS].selector = 0x10;
	registers.sregs.segments[SEGMENT_DS] =
		(struct segment){ .base = ~0ull, .limit = ~0u, .rights = ~0u, .selector = 0x18 };
	registers.sregs.segments[SEGMENT_GS].base = 0x123456789abcdef0;
	is("rsp+8", 0x7008);
	is("$r8*2", 6);
	is("rip", 0xffffffff81000000);
	is("cs", 0x10);
	is("ds", 0x18);
	is("gs_base", 0x123456789abcdef0);
	is_refused("rsq", "there is no register of that name");
	is_refused("rsp2", "there is no register of that name");
	is_refused("$", "there is no register of that name");
	for (number = 0; monitor_reg_name(number) != NULL; number++) {
		unsigned found = 99;

		assert_true(monitor_reg_find(monitor_reg_name(number),
					     strlen(monitor_reg_name(number)), &found));
		assert_int_equal(found, number);
	}
	assert_in_range(number, 40, 50);
}

static void without_a_state(void **state)
{
	struct monitor_args args = { .at = "1+rax" };

	(void)state;
	assert_int_equal(monitor_args_number(&args), 0);
	assert_non_null(args.why);
}

static void ranges(void **state)
{
	static const struct {
		const char *text;
		uint64_t start, bytes;
	} good[] = {
		{ "0x1000 16", 0x1000, 16 },
		{ "0x1000..0x2000", 0x1000, 0x1000 },
		{ "4k 1", 4096, 1 },
		{ "0xfffffffffffff000 0x1000", 0xfffffffffffff000, 0x1000 },
		{ "0xfffffffffffff000..0", 0xfffffffffffff000, 0x1000 },
	};
	static const char *const bad[] = { "1",	  "1 0",  "5..5",  "5..4",
					   "1..", "1. 2", "1 2 3", "0xfffffffffffff000 0x1001" };
	uint64_t start, bytes;

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
		struct monitor_args args = begin(good[i].text);

		monitor_args_range(&args, &start, &bytes);
		assert_null(monitor_args_end(&args));
		assert_int_equal(start, good[i].start);
		assert_int_equal(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
		struct monitor_args args = begin(bad[i]);

		monitor_args_range(&args, &start, &bytes);
		if (monitor_args_end(&args) == NULL)
			fail_msg("\"%s\" is taken for a range", bad[i]);
	}
}

static void words(void **state)
{
	struct monitor_args args = begin(" on\tdump 5");

	(void)state;
	assert_false(monitor_args_word(&args, "o"));
	assert_false(monitor_args_word(&args, "one"));
	assert_true(monitor_args_word(&args, "on"));
	assert_true(monitor_args_more(&args));
	assert_true(monitor_args_word(&args, "dump"));
	assert_int_equal(monitor_args_number_up_to(&args, 4, "too many"), 0);
	assert_string_equal(monitor_args_end(&args), "too many");
	args = begin("1 2");
	assert_int_equal(monitor_args_number(&args), 1);
	assert_string_equal(monitor_args_end(&args), "there are more words than that");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(expressions),
		cmocka_unit_test(registers_have_names),
		cmocka_unit_test(without_a_state),
		cmocka_unit_test(ranges),
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
