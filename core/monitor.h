/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor: one line in, what it prints out. All CPUs of the guest stand still while a line is handled; what comes
 * after it stands in the struct: whether the guest stays stopped, and what is to be stepped. What is asked of the machine
 * is in core/monitor_target.h.
 */
#ifndef CORE_MONITOR_H
#define CORE_MONITOR_H

#include "core/monitor_args.h"
#include "core/monitor_target.h"

struct gdb_stop;

#define MONITOR_BREAKS	   32u
#define MONITOR_WORDS	   4u
#define MONITOR_RATED_CPUS 64u /* of more the exits are counted, but no rate is known */

struct monitor_break {
	bool is_set;
	enum gdb_break kind;
	unsigned cpu; /* whose page tables the address is meant by */
	uint64_t address, bytes;
};

struct monitor {
	const struct monitor_target *target;
	void (*say)(void *context, const char *text);
	void *context;
	bool in_gdb; /* GDB alone runs the guest */

	unsigned cpu;	/* that commands without a CPU mean */
	bool stopped;	/* the guest stays stopped behind the line */
	uint32_t steps; /* instructions that `cpu` is to do alone before that */
	bool live;	/* statistics are drawn again and again: monitor_tick() */

	struct monitor_break breaks[MONITOR_BREAKS];
	/* By `stats`, the last time: low halves. */
	uint32_t shown_exits[MONITOR_RATED_CPUS][VCPU_EXIT_KINDS];
	uint64_t shown_at;
};

struct monitor_command {
	const char *name, *usage;
	const char *summary;		  /* one line */
	const char *more;		  /* lines of explanation, or NULL */
	const char *words[MONITOR_WORDS]; /* that may come behind it, the rest NULL */
	/* NULL, or in one line why nothing was done. */
	const char *(*run)(struct monitor *monitor, struct monitor_args *args);
};

void monitor_init(struct monitor *monitor, const struct monitor_target *target);

/* The line ends with a 0. */
void monitor_line_run(struct monitor *monitor, const char *line);

/*
 * A line of GDB's `monitor`: where it names no CPU it means `*cpu`, which `cpu N` changes. Which one the monitor's own lines
 * mean stays as it was.
 */
void monitor_line_run_in_gdb(struct monitor *monitor, unsigned *cpu, const char *line);

/* For the line editor: the words that may stand there (core/monitor_line.h). */
const char *monitor_word(void *context, const char *text, size_t word, unsigned number);

/* Say why the guest has stopped. */
void monitor_report_stop(struct monitor *monitor, const struct gdb_stop *stop);

/* While `live`: whether it is time to draw again; and draw if it is. The guest may run. */
bool monitor_is_due(const struct monitor *monitor);
void monitor_tick(struct monitor *monitor);

/* Formatted, any number of lines, at most 240 characters. */
void monitor_say(const struct monitor *monitor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The state of `cpu`, or NULL. */
struct regs_sync *monitor_state(const struct monitor *monitor, unsigned cpu);
/* A CPU as an argument, or the one that is chosen where there is no more. */
unsigned monitor_args_cpu(const struct monitor *monitor, struct monitor_args *args);

extern const char monitor_waits_for_sipi[];

#endif
