/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the GDB stub asks of the machine below it while all CPUs of the guest stand still. CPUs are counted from 0; to GDB
 * CPU n is thread n + 1.
 */
#ifndef CORE_GDB_TARGET_H
#define CORE_GDB_TARGET_H

#include <stddef.h>

#include "core/regs_sync.h"

enum gdb_break {
	GDB_BREAK_SOFTWARE,
	GDB_BREAK_HARDWARE,
	GDB_WATCH_WRITE,
	GDB_WATCH_READ,
	GDB_WATCH_ACCESS,
	GDB_BREAK_KINDS,
};

/* What each CPU does when the guest goes on. */
enum gdb_action {
	GDB_HOLD,
	GDB_CONTINUE,
	GDB_STEP,
};

/* From the first address to before the last one. */
struct gdb_range {
	uint64_t from, to;
};

struct gdb_target {
	unsigned (*cpus)(void);

	/* A CPU's state as it was stopped, to look at and to change; NULL if it has none (it waits for its SIPI). */
	struct regs_sync *(*state)(unsigned cpu);
	/* Load what is dirty into the CPU: all of it or nothing, and then the state is as it was. NULL, or the reason. */
	const char *(*store)(unsigned cpu);
	/* The state as the CPU has it, without what was changed in it and not stored. */
	void (*forget)(unsigned cpu);

	/*
	 * Memory as this CPU sees it, by its own page tables or by physical addresses. Returns how many bytes were moved,
	 * from the first one on: fewer where the next is not mapped or is no memory.
	 */
	size_t (*read)(unsigned cpu, bool physical, uint64_t address, void *to, size_t bytes);
	size_t (*write)(unsigned cpu, bool physical, uint64_t address, const void *from,
			size_t bytes);

	/* A breakpoint of one byte or a watchpoint of `bytes`, for all CPUs. NULL, or why not. */
	const char *(*change_break)(unsigned cpu, enum gdb_break kind, uint64_t address,
				    uint64_t bytes, bool insert);

	/* GDB's memory map (XML) from `offset` on. Returns the bytes stored, fewer than asked for at its end. */
	size_t (*memory_map)(size_t offset, char *buffer, size_t bytes);

	/*
	 * A line for the monitor, which means this CPU where it names none, and may choose another; `say` gets what it
	 * prints, in pieces.
	 */
	void (*command)(unsigned *cpu, const char *line,
			void (*say)(void *context, const char *text), void *context);
};

#endif
