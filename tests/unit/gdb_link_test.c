/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/gdb_link.c
/* Framing: what is sent comes back as it was, and after any noise the next whole packet arrives. */
#include "core/gdb_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct gdb_link ours;
static uint8_t line[4 * GDB_PACKET_BYTES];
static uint32_t line_bytes;

static void put_line(void *at, uint8_t byte)
{
	assert_ptr_equal(at, line);
	assert_true(line_bytes < sizeof(line));
	line[line_bytes++] = byte;
}

static int reset(void **state)
{
	(void)state;
	gdb_link_init(&ours, put_line, line);
	line_bytes = 0;
	return 0;
}

static enum gdb_link_event feed_bytes(const void *bytes, size_t count)
{
	enum gdb_link_event event = GDB_LINK_NOTHING;

	for (size_t i = 0; i < count; i++)
		event = gdb_link_byte(&ours, ((const uint8_t *)bytes)[i]);
	return event;
}

static enum gdb_link_event feed(const char *text)
{
	return feed_bytes(text, strlen(text));
}

static void sent_is(const char *text)
{
	assert_int_equal(line_bytes, strlen(text));
	assert_memory_equal(line, text, line_bytes);
	line_bytes = 0;
}

static void a_packet_comes_whole(void **state)
{
	(void)state;
	assert_int_equal(feed("$qC#b4"), GDB_LINK_PACKET);
	assert_string_equal(ours.in, "qC");
	sent_is("+");
	assert_int_equal(feed("$#00"), GDB_LINK_PACKET);
	assert_int_equal(ours.in_bytes, 0);
	sent_is("+");
	assert_int_equal(feed("$qC#B4"), GDB_LINK_PACKET);
}

static void an_answer_is_framed(void **state)
{
	(void)state;
	gdb_link_send(&ours, "OK", 2);
	sent_is("$OK#9a");
	gdb_link_send(&ours, "", 0);
	sent_is("$#00");
	gdb_link_send(&ours, "a}$#*b", 6);
	sent_is("$a}]}\x04}\x03}\nb#25");
}

static void ctrl_c_counts_between_packets_only(void **state)
{
	(void)state;
	assert_int_equal(feed("\x03"), GDB_LINK_INTERRUPT);
	assert_int_equal(feed("+\x03"), GDB_LINK_INTERRUPT);
	assert_int_equal(feed_bytes("$X\x03", 3), GDB_LINK_NOTHING);
	assert_int_equal(feed("#5b"), GDB_LINK_PACKET);
	assert_memory_equal(ours.in, "X\x03", 2);
}

static void a_broken_packet_is_asked_for_again(void **state)
{
	(void)state;
	assert_int_equal(feed("$qC#b5"), GDB_LINK_BROKEN);
	sent_is("-");
	assert_int_equal(feed("$qC#z"), GDB_LINK_BROKEN);
	sent_is("-");
	assert_int_equal(feed("$qC#bz"), GDB_LINK_BROKEN);
	sent_is("-");
	/* The end was lost: what follows is the next one, not a part of this. */
	assert_int_equal(feed("$qCg$qC#b4"), GDB_LINK_PACKET);
	assert_string_equal(ours.in, "qC");
	assert_int_equal(feed("$qC#b$qC#b4"), GDB_LINK_PACKET);
	assert_string_equal(ours.in, "qC");
}

static void the_last_answer_is_repeated_on_demand(void **state)
{
	(void)state;
	assert_int_equal(feed("-"), GDB_LINK_NOTHING);
	sent_is("");
	gdb_link_send(&ours, "OK", 2);
	sent_is("$OK#9a");
	assert_int_equal(feed("-"), GDB_LINK_REPEAT);
	sent_is("$OK#9a");
}

static void without_acknowledgments_there_are_none(void **state)
{
	(void)state;
	gdb_link_send(&ours, "OK", 2);
	line_bytes = 0;
	ours.no_ack = true;
	assert_int_equal(feed("$qC#b4"), GDB_LINK_PACKET);
	assert_int_equal(feed("$qC#b5"), GDB_LINK_BROKEN);
	assert_int_equal(feed("-"), GDB_LINK_NOTHING);
	sent_is("");
}

/* Whatever bytes there are, through our own sender and back. */
static void every_payload_survives(void **state)
{
	static struct gdb_link peer;
	static char payload[GDB_PACKET_BYTES];

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 200; round++) {
		size_t bytes = round == 0 ? sizeof(payload) : (size_t)random() % sizeof(payload);
		enum gdb_link_event event = GDB_LINK_NOTHING;

		for (size_t i = 0; i < bytes; i++)
			payload[i] = (char)(round % 2 == 0 ? random() : "$#}*\x03"[random() % 5]);
		reset(NULL);
		gdb_link_init(&peer, put_line, line);
		gdb_link_send(&peer, payload, bytes);
		for (uint32_t i = 0, all = line_bytes; i < all; i++) {
			assert_int_not_equal(event, GDB_LINK_PACKET);
			event = gdb_link_byte(&ours, line[i]);
		}
		assert_int_equal(event, GDB_LINK_PACKET);
		assert_int_equal(ours.in_bytes, bytes);
		assert_memory_equal(ours.in, payload, bytes);
	}
}

static void an_overlong_packet_is_no_packet(void **state)
{
	static char long_one[GDB_PACKET_BYTES + 2];
	char end[8];

	(void)state;
	memset(long_one, 'a', sizeof(long_one));
	long_one[0] = '$';
	snprintf(end, sizeof(end), "#%02x", (uint8_t)((sizeof(long_one) - 1) * 'a'));
	assert_int_equal(feed_bytes(long_one, sizeof(long_one)), GDB_LINK_NOTHING);
	assert_int_equal(feed(end), GDB_LINK_OVERLONG);
	sent_is("+");
	assert_int_equal(feed("$qC#b4"), GDB_LINK_PACKET);
	assert_string_equal(ours.in, "qC");
}

/* Noise may complete a broken packet; then a repetition is asked for, and the second one arrives. */
static void after_noise_a_packet_arrives_by_the_second_try(void **state)
{
	(void)state;
	srandom(2);
	for (unsigned round = 0; round < 20000; round++) {
		size_t bytes = (size_t)random() % 40;

		reset(NULL);
		for (size_t i = 0; i < bytes; i++)
			(void)gdb_link_byte(&ours, round % 2 == 0
							   ? (uint8_t)random()
							   : (uint8_t) "$#}+-0a\x03"[random() % 8]);
		if (feed("$qC#b4") != GDB_LINK_PACKET)
			assert_int_equal(feed("$qC#b4"), GDB_LINK_PACKET);
		assert_string_equal(ours.in, "qC");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_packet_comes_whole, reset),
		cmocka_unit_test_setup(an_answer_is_framed, reset),
		cmocka_unit_test_setup(ctrl_c_counts_between_packets_only, reset),
		cmocka_unit_test_setup(a_broken_packet_is_asked_for_again, reset),
		cmocka_unit_test_setup(the_last_answer_is_repeated_on_demand, reset),
		cmocka_unit_test_setup(without_acknowledgments_there_are_none, reset),
		cmocka_unit_test_setup(every_payload_survives, reset),
		cmocka_unit_test_setup(an_overlong_packet_is_no_packet, reset),
		cmocka_unit_test_setup(after_noise_a_packet_arrives_by_the_second_try, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
