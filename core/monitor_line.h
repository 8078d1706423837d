/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line of text as it is typed on a terminal (VT100): cursor and control keys, history, completion. Fed byte by byte,
 * never waits. A line that is longer than the terminal is scrolled sideways; one that is longer than the buffer takes no
 * more characters.
 *
 *   left, right, ^B, ^F      move                 ^U, ^K, ^W    kill to the begin, the end, the word before
 *   home, end, ^A, ^E        to begin and end     ^L            draw the line again
 *   up, down, ^P, ^N         history              Tab           complete
 *   backspace, delete, ^D    take away            ^C            give the line up
 */
#ifndef CORE_MONITOR_LINE_H
#define CORE_MONITOR_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONITOR_LINE_BYTES    160u /* with the 0 at the end */
#define MONITOR_HISTORY_LINES 16u
#define MONITOR_LINE_COLUMNS  79u

enum monitor_line_event {
	MONITOR_LINE_NOTHING,
	MONITOR_LINE_ENTERED, /* line->text is the line, until the next byte */
	MONITOR_LINE_GIVEN_UP,
};

/* What the line belongs to. */
struct monitor_line_owner {
	const char *prompt;
	void (*put)(void *context, const char *text, size_t bytes);
	/* The words that may stand at text[word]: the word of this `number`, NULL at the end. */
	const char *(*word)(void *context, const char *text, size_t word, unsigned number);
	void *context;
};

struct monitor_line {
	struct monitor_line_owner owner;
	char text[MONITOR_LINE_BYTES];
	size_t bytes, cursor;
	size_t first; /* the character that is shown first */
	char history[MONITOR_HISTORY_LINES][MONITOR_LINE_BYTES];
	unsigned history_count; /* lines ever entered; the index is what remains of it */
	unsigned history_back;	/* so many lines back is what is shown, 0: what is typed */
	char typed[MONITOR_LINE_BYTES];
	uint8_t escape; /* how much of an escape sequence has come */
	uint8_t escape_number;
	bool after_return; /* a line feed belongs to it */
};

void monitor_line_init(struct monitor_line *line, const struct monitor_line_owner *owner);

/* Show the prompt and what has been typed so far, on a line of its own. */
void monitor_line_show(struct monitor_line *line);

/* After MONITOR_LINE_ENTERED and MONITOR_LINE_GIVEN_UP an empty line is begun; who wants it shown says so. */
enum monitor_line_event monitor_line_byte(struct monitor_line *line, uint8_t byte);

#endif
