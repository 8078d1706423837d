/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's serial lines: a UART each, received and sent by looking, with no interrupt of the guest's. */
#ifndef CORE_LINE_H
#define CORE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86/uart.h"
#include "boot/boot_info.h"
#include "core/uart_share.h"

/* Written by the boot CPU before any other runs, then constant. */
struct line {
	struct uart uart;
	uint32_t baud; /* 0: as fast as can be */
	uint32_t pin;  /* of the I/O APIC at which its interrupts arrive, or BOOT_NO_PIN */
	uint64_t io_apic;
	bool is_open;
	enum boot_serial_mode mode; /* of line_serial */
	bool is_hidden;		    /* the guest finds no UART at its registers */
	struct uart_share *share;   /* the guest's UART, too; else NULL */

	/* Of line_put_patiently(), one CPU at a time. */
	bool is_stuck;	  /* it was waited for in vain */
	uint32_t dropped; /* bytes that it did not take */
};

/* The line of the key `serial` (log, monitor), and that of the key `gdb`. */
extern struct line line_serial, line_gdb;

/* False, and the line stays shut: nothing answers there. Else the UART is set to 8N1 and its baud rate. */
bool line_open(struct line *line, const struct uart *uart, uint32_t baud);
bool line_open_boot(struct line *line, const struct boot_line *from);
/* The UART is ours from now on. */
void line_hide(struct line *line);
/* Or ours and the guest's; `interrupt` interrupts the guest (core/uart_share.h). Only one line. */
void line_share(struct line *line, void (*interrupt)(void));
/* Whether we read it: what the guest does at its registers exits. */
static inline bool line_is_trapped(const struct line *line)
{
	return line->is_hidden || line->share != NULL;
}
/* Pure. Two words for the same UART. */
bool line_is_same(const struct line *line, const struct line *other);

/* All these may be called on a line that is shut: it has no byte and takes none. */

bool line_has_byte(const struct line *line);
/* Only after line_has_byte() was true. */
uint8_t line_get(const struct line *line);
/* Whether it takes another byte now; then line_put() does not wait. */
bool line_can_put(const struct line *line);
void line_put(const struct line *line, uint8_t byte);
/*
 * Wait until the line takes the byte, but not for ever: one that has taken none for three seconds more than a working UART needs is
 * absent, broken, or held by its other end. Then this byte and the following ones are dropped at once and counted, until it
 * takes bytes again. One CPU at a time.
 */
void line_put_patiently(struct line *line, uint8_t byte);
/* How many were dropped since the last call. */
uint32_t line_take_dropped(struct line *line);
/* Whether the last byte that was put on line_serial did not end a line: a prompt, or what was typed behind it. */
bool line_is_begun(const struct line *line);

/* Let the UART's interrupt out when a byte has come, and while one is there; or no longer. Only for a line that is trapped. */
void line_listen(const struct line *line, bool on);

/* After S3 the UART is as after a reset. */
void line_wake(const struct line *line);

#endif
