/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor (core/monitor.h) at a line of its own, and for GDB's `monitor` commands. While the guest runs, what is typed
 * is only edited; a line that is entered stops the guest for the time that its command takes.
 */
#ifndef VMEXIT_MONITOR_CONSOLE_H
#define VMEXIT_MONITOR_CONSOLE_H

#include "core/gdb_stub.h"
#include "core/line.h"
#include "core/vcpu.h"

/* What becomes of the guest behind what the monitor was told. */
enum monitor_wish {
	MONITOR_WISH_STAY,
	MONITOR_WISH_CONTINUE,
	MONITOR_WISH_STEP, /* monitor_console_cpu() alone, one instruction */
};

/* Boot CPU, once: the line whose other end is a terminal. */
void monitor_console_open(struct line *line);

/* Whether the monitor has something to do while the guest runs. Cheap: on each look at the lines. */
bool monitor_console_wants(void);
/* Then, one CPU at a time: true if a line was entered, and the guest is to stop for it. */
bool monitor_console_attend(void);

/* A stop begins, and this CPU leads it: all that follows is called on it. */
void monitor_console_lead(struct vcpu *leader);
/* A line was entered, and waits to be run. */
bool monitor_console_has_line(void);
/* Where GDB does not run the guest: why it stands still, if not for such a line. */
void monitor_console_stopped(const struct gdb_stop *stop, bool for_command);
/* The same again and again: read the line, run what was entered. */
enum monitor_wish monitor_console_serve(bool gdb_runs_guest);
unsigned monitor_console_cpu(void);

/* GDB has taken the guest over, or let it go: what was stopped or set here is forgotten. */
void monitor_console_forget(void);

/* One line for GDB's `monitor`, with the CPU that it means where it names none; it may choose another. */
void monitor_console_command(unsigned *cpu, const char *line,
			     void (*say)(void *context, const char *text), void *context);

#endif
