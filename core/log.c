/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/log.h"

#include "arch/x86/insn.h"
#include "core/exit_watch.h"
#include "core/format.h"
#include "core/lock.h"

#define DEBUGCON_PORT	       0xe9u
#define RING_BYTES	       16384u /* a power of two */
#define LINE_BYTES	       256u
#define NOTE_BYTES	       64u
#define POLLS_PER_LINE	       256u
#define POLLS_SYNCHRONOUS      10000000u
#define LOCK_TRIES_SYNCHRONOUS 100000u

static const char prefix[] = "solovisor: ";

static struct {
	_Atomic(uint32_t) lock;
	struct line *line; /* NULL: none, or nothing answers there */
	enum boot_log_level level;
	bool synchronous;
	bool debugcon;
	bool in_line;	   /* a line has begun to go out */
	bool has_returned; /* on its way to a new line: the first of two bytes */
	uint32_t head;	   /* next byte to send; both count on, the index is their low bits */
	uint32_t tail;	   /* next free byte */
	uint32_t lost;	   /* lines that found the ring full */
	char ring[RING_BYTES];
} log_state;

void log_init(struct line *line, enum boot_log_level level, bool debugcon)
{
	log_state.debugcon = debugcon;
	log_state.level = level;
	log_state.line = line != NULL && line->is_open ? line : NULL;
}

/* In a panic another CPU may hold the lock for ever: then go on without it. */
static void log_lock(void)
{
	if (!log_state.synchronous) {
		lock_acquire(&log_state.lock);
		return;
	}
	for (uint32_t tries = 0; tries < LOCK_TRIES_SYNCHRONOUS; tries++) {
		if (lock_try(&log_state.lock))
			return;
		cpu_pause();
	}
}

/* A line of ours begins on a new one, whatever the monitor has just said there. */
static uint8_t next_byte(void)
{
	uint8_t byte;

	if (!log_state.in_line && line_is_begun(log_state.line)) {
		log_state.has_returned = !log_state.has_returned;
		return log_state.has_returned ? '\r' : '\n';
	}
	byte = (uint8_t)log_state.ring[log_state.head++ % RING_BYTES];
	log_state.in_line = byte != '\n';
	return byte;
}

static void drain_locked(uint32_t polls)
{
	while (log_state.head != log_state.tail) {
		if (line_can_put(log_state.line))
			line_put(log_state.line, next_byte());
		else if (polls-- == 0)
			break;
	}
	exit_watch_set(EXIT_WATCH_LOG, log_state.head != log_state.tail);
}

static void append(const char *text, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		log_state.ring[log_state.tail++ % RING_BYTES] = text[i];
}

/* Where lines are missing, their number stands for them. */
static void append_line(const char *line, uint32_t bytes)
{
	char note[NOTE_BYTES];
	uint32_t note_bytes = 0, room;

	if (log_state.lost != 0)
		note_bytes = (uint32_t)format_string(note, sizeof(note), "%s%u lines lost\r\n",
						     prefix, log_state.lost);
	if (log_state.line == NULL) /* nobody reads: the newest lines stay */
		log_state.head = log_state.tail + bytes > RING_BYTES
					 ? log_state.tail + bytes - RING_BYTES
					 : 0;
	room = RING_BYTES - (log_state.tail - log_state.head);
	if (note_bytes + bytes > room) {
		log_state.lost++;
		return;
	}
	append(note, note_bytes);
	append(line, bytes);
	log_state.lost = 0;
}

void log_drain(uint32_t polls)
{
	if (log_state.line == NULL || !lock_try(&log_state.lock))
		return;
	drain_locked(polls);
	lock_release(&log_state.lock);
}

void log_write(enum boot_log_level level, const char *format, ...)
{
	char line[LINE_BYTES];
	struct format_arguments arguments;
	uint32_t used;

	if (level > log_state.level)
		return;
	used = (uint32_t)format_string(line, sizeof(line), "%s", prefix);
	va_start(arguments.list, format);
	used += (uint32_t)format_string_v(line + used, sizeof(line) - 2 - used, format, &arguments);
	va_end(arguments.list);
	line[used++] = '\r';
	line[used++] = '\n';
	log_lock();
	for (uint32_t i = 0; i < used && log_state.debugcon; i++)
		outb(DEBUGCON_PORT, (uint8_t)line[i]);
	append_line(line, used);
	if (log_state.line != NULL)
		drain_locked(log_state.synchronous ? POLLS_SYNCHRONOUS : POLLS_PER_LINE);
	lock_release(&log_state.lock);
}

/* Bytes are counted on; those before the last RING_BYTES are gone, and with them the beginning of a line. */
static uint32_t first_whole_line(void)
{
	uint32_t at = log_state.tail - RING_BYTES;

	if (log_state.tail < RING_BYTES)
		return 0;
	while (at != log_state.tail && log_state.ring[at++ % RING_BYTES] != '\n')
		;
	return at;
}

size_t log_copy(uint32_t *at, char *text, size_t bytes)
{
	size_t done = 0;

	log_lock();
	if (*at == 0 || log_state.tail - *at > RING_BYTES)
		*at = first_whole_line();
	while (done < bytes && *at != log_state.tail)
		text[done++] = log_state.ring[(*at)++ % RING_BYTES];
	lock_release(&log_state.lock);
	return done;
}

void log_wake(void)
{
	if (log_state.line != NULL)
		line_wake(log_state.line);
	lock_release(&log_state.lock);
}

void log_set_synchronous(void)
{
	log_state.synchronous = true;
	log_drain(POLLS_SYNCHRONOUS);
}
