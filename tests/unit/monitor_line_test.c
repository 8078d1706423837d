/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/monitor_line.c core/format.c
/* Keys go in, a terminal of one row shows what comes out. */
#include "core/monitor_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 80

static struct {
	char row[COLUMNS + 1];
	unsigned column, bells, feeds;
	char above[COLUMNS + 1]; /* the row before the last line feed */
	char escape[16];
	unsigned escape_bytes;
} screen;

static struct monitor_line line;

static void end_escape(char letter)
{
	screen.escape[screen.escape_bytes] = 0;
	if (letter == 'K')
		memset(screen.row + screen.column, ' ', COLUMNS - screen.column);
	else if (letter == 'C')
		screen.column += (unsigned)atoi(screen.escape + 1);
	else
		fail_msg("an unknown sequence");
	screen.escape_bytes = 0;
}

static void show(char c)
{
	if (screen.escape_bytes > 0) {
		if (screen.escape_bytes > 1 && c >= 'A')
			end_escape(c);
		else
			screen.escape[screen.escape_bytes++ - 1] = c;
	} else if (c == '\x1b') {
		screen.escape_bytes = 1;
	} else if (c == '\r') {
		screen.column = 0;
	} else if (c == '\n') {
		memcpy(screen.above, screen.row, sizeof(screen.above));
		memset(screen.row, ' ', COLUMNS);
		screen.feeds++;
	} else if (c == '\a') {
		screen.bells++;
	} else {
		/* In the last column a terminal may wrap or not. */
		assert_true(screen.column < COLUMNS - 1);
		screen.row[screen.column++] = c;
	}
}

static void put(void *context, const char *text, size_t bytes)
{
	(void)context;
	for (size_t i = 0; i < bytes; i++)
		show(text[i]);
}

static const char *word(void *context, const char *text, size_t at, unsigned number)
{
	static const char *const first[] = { "stats", "stop", "step", "trace" };
	static const char *const second[] = { "live" };

	(void)context, (void)text;
	if (at == 0)
		return number < 4 ? first[number] : NULL;
	return number < 1 ? second[number] : NULL;
}

static int reset(void **state)
{
	static const struct monitor_line_owner owner = { "> ", put, word, NULL };

	(void)state;
	memset(&screen, 0, sizeof(screen));
	memset(screen.row, ' ', COLUMNS);
	monitor_line_init(&line, &owner);
	monitor_line_show(&line);
	return 0;
}

static enum monitor_line_event type(const char *keys)
{
	enum monitor_line_event event = MONITOR_LINE_NOTHING;

	for (; *keys != 0; keys++)
		event = monitor_line_byte(&line, (uint8_t)*keys);
	return event;
}

/* What is seen, with | where the cursor is. */
static void sees(const char *expected)
{
	char seen[COLUMNS + 2];
	unsigned end = COLUMNS;

	while (end > screen.column && screen.row[end - 1] == ' ')
		end--;
	snprintf(seen, sizeof(seen), "%.*s|%.*s", (int)screen.column, screen.row,
		 (int)(end - screen.column), screen.row + screen.column);
	assert_string_equal(seen, expected);
}

static void enters(const char *keys, const char *text)
{
	assert_int_equal(type(keys), MONITOR_LINE_NOTHING);
	assert_int_equal(type("\r"), MONITOR_LINE_ENTERED);
	assert_string_equal(line.text, text);
	monitor_line_show(&line);
}

static void a_line_is_typed_and_entered(void **state)
{
	(void)state;
	sees("> |");
	type("regs 1");
	sees("> regs 1|");
	enters("", "regs 1");
	sees("> |");
	assert_int_equal(type("\n"), MONITOR_LINE_NOTHING); /* belongs to the return */
	assert_int_equal(type("\n"), MONITOR_LINE_ENTERED); /* an empty line */
	assert_string_equal(line.text, "");
	assert_int_equal(type("abc\x03"), MONITOR_LINE_GIVEN_UP);
	enters("x", "x");
	assert_int_equal(screen.bells, 0);
}

static void the_cursor_moves(void **state)
{
	(void)state;
	type("ac\x1b[D");
	sees("> a|c");
	type("b");
	sees("> ab|c");
	type("\x01");
	sees("> |abc");
	type("\x1b[C\x06");
	sees("> ab|c");
	type("\x05\x1b[C");
	sees("> abc|");
	type("\x1b[H1\x1b[F2\x1b[1~3\x1b[4~4\x1bOH5\x1bOF6");
	sees("> 531abc246|");
	type("\x02\x02\x0c");
	sees("> 531abc2|46");
	type("\x01\x02");
	sees("> |531abc246");
	assert_int_equal(screen.bells, 0);
}

static void characters_are_taken_away(void **state)
{
	(void)state;
	type("one two three\x08");
	sees("> one two thre|");
	type("\x7f");
	sees("> one two thr|");
	type("\x17");
	sees("> one two |");
	type("\x17");
	sees("> one |");
	type("\x02\x02\x04");
	sees("> on|");
	type("\x01\x1b[3~");
	sees("> |n");
	type("ab\x0b");
	sees("> ab|");
	type("cd\x02\x15");
	sees("> |d");
	assert_int_equal(screen.bells, 0);
	type("\x08\x15\x17");
	assert_int_equal(screen.bells, 3);
	type("\x05\x04");
	assert_int_equal(screen.bells, 4);
	enters("", "d");
}

static void lines_come_back(void **state)
{
	(void)state;
	enters("one", "one");
	enters("two", "two");
	enters("two", "two");
	enters("", "");
	type("new\x1b[A");
	sees("> two|");
	type("\x10");
	sees("> one|");
	type("\x1b[A");
	sees("> one|");
	assert_int_equal(screen.bells, 1);
	type("\x1b[B\x0e");
	sees("> new|");
	type("\x1b[B");
	assert_int_equal(screen.bells, 2);
	enters("\x1b[A\x1b[As", "ones");
	enters("\x1b[A", "ones");
}

static void old_lines_give_way(void **state)
{
	char text[16];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "line %u", i);
		enters(text, text);
	}
	for (unsigned i = 0; i < 100; i++)
		type("\x10");
	assert_int_equal(screen.bells, 100 - MONITOR_HISTORY_LINES);
	sees("> line 24|");
}

static void words_are_completed(void **state)
{
	(void)state;
	type("t\t");
	sees("> trace |");
	type("l\t");
	sees("> trace live |");
	type("\x15s\t");
	sees("> st|");
	assert_int_equal(screen.feeds, 0);
	type("\t");
	sees("> st|");
	assert_int_equal(screen.feeds, 2);
	assert_true(strncmp(screen.above, "stats  stop  step  ", 19) == 0);
	type("o\t");
	sees("> stop |");
	assert_int_equal(screen.bells, 0);
	type("zz\t");
	sees("> stop zz|");
	assert_int_equal(screen.bells, 1);
	/* In the middle: only what is before the cursor counts. */
	type("\x15\x0btr x\x02\x02\t");
	sees("> trace| x");
}

static void long_lines_are_scrolled_and_end(void **state)
{
	char text[MONITOR_LINE_BYTES + 50];

	(void)state;
	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 26);
	text[sizeof(text) - 1] = 0;
	type(text);
	assert_int_equal(screen.bells, 50);
	assert_int_equal(screen.column, 79);
	assert_int_equal(screen.row[78], text[MONITOR_LINE_BYTES - 2]);
	type("\x01");
	assert_int_equal(screen.column, 2);
	assert_true(strncmp(screen.row + 2, text, 77) == 0);
	type("\x04");
	assert_true(strncmp(screen.row + 2, text + 1, 77) == 0);
	type("\x05!");
	assert_int_equal(type("\r"), MONITOR_LINE_ENTERED);
	assert_int_equal(strlen(line.text), MONITOR_LINE_BYTES - 1);
	assert_int_equal(line.text[MONITOR_LINE_BYTES - 2], '!');
}

static void what_is_no_key_changes_nothing(void **state)
{
	(void)state;
	type("ab\x1b[Z\x1b[15~\x1b[1;5Q\x1bx\x80\xff\x01\x1d\x05");
	sees("> ab|");
	assert_int_equal(screen.bells, 7);
	/* A sequence that was begun and another key. */
	type("\x1b[\rc");
	sees("c|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_line_is_typed_and_entered, reset),
		cmocka_unit_test_setup(the_cursor_moves, reset),
		cmocka_unit_test_setup(characters_are_taken_away, reset),
		cmocka_unit_test_setup(lines_come_back, reset),
		cmocka_unit_test_setup(old_lines_give_way, reset),
		cmocka_unit_test_setup(words_are_completed, reset),
		cmocka_unit_test_setup(long_lines_are_scrolled_and_end, reset),
		cmocka_unit_test_setup(what_is_no_key_changes_nothing, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
