// sources: core/log.c core/exit_watch.c core/format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The log's ring, with a UART that takes what the test lets it take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/exit_watch.h"
#include "core/log.h"

#define SENT_MAX  (1u << 20)
#define LINES_MAX 2000u /* more than the ring holds */

static uint64_t takes; /* bytes that the UART takes from now on */
static uint64_t polls;
static char sent[SENT_MAX];
static unsigned sent_bytes;

static struct line line;

bool line_can_put(const struct line *to)
{
	assert_ptr_equal(to, &line);
	polls++;
	return takes != 0;
}

static bool is_begun;

bool line_is_begun(const struct line *of)
{
	assert_ptr_equal(of, &line);
	return is_begun;
}

void line_put(const struct line *to, uint8_t byte)
{
	assert_ptr_equal(to, &line);
	assert_true(takes != 0);
	takes--;
	sent[sent_bytes++] = (char)byte;
	is_begun = byte != '\n';
}

void line_wake(const struct line *woken)
{
	assert_ptr_equal(woken, &line);
}

/* What is left from the test before goes away. */
static void begin(bool there, uint64_t taking)
{
	takes = UINT64_MAX;
	log_drain(0);
	memset(sent, 0, sizeof(sent));
	sent_bytes = 0;
	polls = 0;
	line.is_open = there;
	takes = taking;
	log_init(&line, BOOT_LOG_INFO, false);
}

static void lines_go_out(void **state)
{
	(void)state;
	begin(true, UINT64_MAX);
	log_info("one %u", 1);
	log_debug("not this one");
	log_error("two");
	assert_string_equal(sent, "solovisor: one 1\r\nsolovisor: two\r\n");
	assert_int_equal(exit_watchers(), 0);
}

/* Somebody else has left the line unfinished. */
static void a_line_begins_anew(void **state)
{
	(void)state;
	begin(true, UINT64_MAX);
	is_begun = true; /* a prompt */
	log_info("one");
	log_info("two");
	assert_string_equal(sent, "\r\nsolovisor: one\r\nsolovisor: two\r\n");
	/* In the middle of its own line nothing comes in between. */
	takes = 5;
	log_info("three");
	takes = UINT64_MAX;
	log_drain(0);
	assert_string_equal(sent + 34, "solovisor: three\r\n");
}

/* A UART that takes nothing costs a bounded number of looks, and what waits goes out later. */
static void waiting_is_bounded(void **state)
{
	(void)state;
	begin(true, 5);
	log_info("hello");
	assert_in_range(polls, 6, 1000);
	assert_string_equal(sent, "solov");
	assert_true(exit_watchers() == EXIT_WATCH_LOG);
	polls = 0;
	log_drain(0);
	assert_int_equal(polls, 1);
	takes = UINT64_MAX;
	log_drain(0);
	assert_string_equal(sent, "solovisor: hello\r\n");
	assert_int_equal(exit_watchers(), 0);
}

/* A full ring drops whole lines, and says how many where they are missing. */
static void lost_lines_are_counted(void **state)
{
	unsigned lines = 0, lost = 0;
	char *at;

	(void)state;
	begin(true, 0);
	for (unsigned i = 0; i < LINES_MAX; i++)
		log_info("line %u", i);
	takes = UINT64_MAX;
	log_drain(0);
	log_info("after");
	for (at = sent; sscanf(at, "solovisor: line %u\r\n", &lost) == 1; lines++) {
		assert_int_equal(lost, lines);
		at = strchr(at, '\n') + 1;
	}
	assert_in_range(lines, 500, LINES_MAX - 1);
	assert_int_equal(sscanf(at, "solovisor: %u lines lost\r\n", &lost), 1);
	assert_int_equal(lines + lost, LINES_MAX);
	assert_string_equal(strchr(at, '\n') + 1, "solovisor: after\r\n");
	sent_bytes = 0;
	log_info("only once");
	sent[sent_bytes] = '\0';
	assert_string_equal(sent, "solovisor: only once\r\n");
}

/* Without a port nothing is sent, waited for or lost. */
static void without_a_port(void **state)
{
	(void)state;
	begin(false, 0);
	for (unsigned i = 0; i < LINES_MAX; i++)
		log_info("line %u", i);
	assert_int_equal(polls, 0);
	assert_int_equal(sent_bytes, 0);
	assert_int_equal(exit_watchers(), 0);
}

static void what_was_logged_can_be_read(void **state)
{
	char text[40], all[20000];
	uint32_t at = 0;
	size_t used = 0, got;
	unsigned first, number;

	(void)state;
	begin(true, UINT64_MAX);
	while (log_copy(&at, text, sizeof(text)) != 0)
		;
	got = at; /* what the tests before have logged */
	log_info("one");
	assert_int_equal(log_copy(&at, text, sizeof(text)), strlen("solovisor: one\r\n"));
	assert_true(strncmp(text, "solovisor: one\r\n", 16) == 0);
	assert_int_equal(at, got + strlen("solovisor: one\r\n"));
	for (unsigned i = 0; i < LINES_MAX; i++)
		log_info("line %u", i);
	/* The oldest are gone: it begins with a whole line, and ends with the newest. */
	for (at = 0; (got = log_copy(&at, all + used, sizeof(text))) != 0; used += got)
		assert_true(used + got < sizeof(all));
	all[used] = 0;
	assert_in_range(used, 16300, 16384);
	assert_int_equal(sscanf(all, "solovisor: line %u\r\n", &first), 1);
	for (char *row = all; *row != 0; row = strchr(row, '\n') + 1, first++) {
		assert_int_equal(sscanf(row, "solovisor: line %u\r\n", &number), 1);
		assert_int_equal(number, first);
	}
	assert_int_equal(first, LINES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_go_out),
		cmocka_unit_test(a_line_begins_anew),
		cmocka_unit_test(waiting_is_bounded),
		cmocka_unit_test(lost_lines_are_counted),
		cmocka_unit_test(what_was_logged_can_be_read),
		cmocka_unit_test(without_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
