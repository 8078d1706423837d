/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The log: whole lines into a ring, from there to the serial port as far as the UART takes bytes at once. An exit
 * never waits for the UART: what does not go out now goes out with the next line, or with log_drain() at one of the next exits
 * (core/exit_watch.h: EXIT_WATCH_LOG).
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot_info.h"
#include "core/line.h"

/*
 * Without a line, or one that is shut, there is no serial output; the ring is kept all the same. `debugcon`: lines go to port
 * 0xe9 as well, at once, where emulators have a console that takes each byte.
 */
void log_init(struct line *line, enum boot_log_level level, bool debugcon);

/* One line, without the newline; cut at 240 characters. */
void log_write(enum boot_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define log_error(...) log_write(BOOT_LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(BOOT_LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_write(BOOT_LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(BOOT_LOG_DEBUG, __VA_ARGS__)

/* Send what is waiting: for at most `polls` looks at a busy UART. */
void log_drain(uint32_t polls);

/*
 * What of the log is still in the ring, sent or not, from the byte *at on (0: the first whole line), which goes on. Returns
 * how many bytes are in `text`, 0 at the end.
 */
size_t log_copy(uint32_t *at, char *text, size_t bytes);

/* After S3 the UART is as after a reset, and whoever held the lock is gone. */
void log_wake(void);

/* From now on lines go out before log_write() returns, and locks are no longer waited for: for a panic. */
void log_set_synchronous(void);

#endif
