/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_run.h"

#include "core/gdb_stub.h"

#define STEPS_MAX 1000000u

static const char gdb_runs_it[] = "GDB runs the guest: use its own commands";
static const char not_stopped[] = "the guest is not stopped";

const char *monitor_command_stop(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);

	if (why == NULL && monitor->in_gdb)
		why = gdb_runs_it;
	if (why != NULL)
		return why;
	monitor_say(monitor, monitor->stopped ? "the guest is stopped already\n"
					      : "the guest is stopped; `cont` lets it go on\n");
	monitor->stopped = true;
	return NULL;
}

const char *monitor_command_cont(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);

	if (why == NULL && monitor->in_gdb)
		why = gdb_runs_it;
	if (why == NULL && !monitor->stopped)
		why = not_stopped;
	if (why == NULL)
		monitor->stopped = false;
	return why;
}

const char *monitor_command_step(struct monitor *monitor, struct monitor_args *args)
{
	uint64_t steps = 1;
	const char *why;

	if (monitor_args_more(args))
		steps = monitor_args_number_up_to(args, STEPS_MAX, "at most 1000000 steps");
	why = monitor_args_end(args);
	if (why == NULL && monitor->in_gdb)
		why = gdb_runs_it;
	if (why == NULL && !monitor->stopped)
		why = not_stopped;
	if (why == NULL && monitor_state(monitor, monitor->cpu) == NULL)
		why = monitor_waits_for_sipi;
	if (why == NULL)
		monitor->steps = (uint32_t)steps;
	return why;
}

/* --- breakpoints ----------------------------------------------------------------------------- */

static const char *kind_name(enum gdb_break kind)
{
	switch (kind) {
	case GDB_WATCH_WRITE:
		return "writes to";
	case GDB_WATCH_READ:
		return "reads of";
	case GDB_WATCH_ACCESS:
		return "accesses to";
	default:
		return "execution of";
	}
}

static void say_break(const struct monitor *monitor, unsigned number)
{
	const struct monitor_break *at = &monitor->breaks[number];

	monitor_say(monitor, "%2u: %s %016lx", number, kind_name(at->kind),
		    (unsigned long)at->address);
	if (at->kind != GDB_BREAK_HARDWARE)
		monitor_say(monitor, ", %lu bytes", (unsigned long)at->bytes);
	monitor_say(monitor, "\n");
}

static const char *list(const struct monitor *monitor)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MONITOR_BREAKS; i++) {
		if (!monitor->breaks[i].is_set)
			continue;
		say_break(monitor, i);
		count++;
	}
	if (count == 0)
		monitor_say(monitor, "no breakpoints and no watchpoints\n");
	return NULL;
}

static const char *change(const struct monitor *monitor, const struct monitor_break *at,
			  bool insert)
{
	return monitor->target->gdb->change_break(at->cpu, at->kind, at->address, at->bytes,
						  insert);
}

static const char *add(struct monitor *monitor, enum gdb_break kind, uint64_t address,
		       uint64_t bytes)
{
	const struct monitor_break wanted = { true, kind, monitor->cpu, address, bytes };
	unsigned free = 0;
	const char *why;

	if (monitor_state(monitor, monitor->cpu) == NULL)
		return monitor_waits_for_sipi;
	for (; free < MONITOR_BREAKS && monitor->breaks[free].is_set; free++)
		;
	if (free == MONITOR_BREAKS)
		return "there are 32 already";
	why = change(monitor, &wanted, true);
	if (why != NULL)
		return why;
	monitor->breaks[free] = wanted;
	say_break(monitor, free);
	return NULL;
}

const char *monitor_command_break(struct monitor *monitor, struct monitor_args *args)
{
	uint64_t address;
	const char *why;

	if (!monitor_args_more(args))
		return list(monitor);
	address = monitor_args_number(args);
	why = monitor_args_end(args);
	return why != NULL ? why : add(monitor, GDB_BREAK_HARDWARE, address, 1);
}

const char *monitor_command_watch(struct monitor *monitor, struct monitor_args *args)
{
	enum gdb_break kind = GDB_WATCH_WRITE;
	uint64_t address, bytes;
	const char *why;

	if (!monitor_args_more(args))
		return list(monitor);
	if (monitor_args_word(args, "r"))
		kind = GDB_WATCH_READ;
	else if (monitor_args_word(args, "rw"))
		kind = GDB_WATCH_ACCESS;
	else
		(void)monitor_args_word(args, "w");
	monitor_args_range(args, &address, &bytes);
	why = monitor_args_end(args);
	return why != NULL ? why : add(monitor, kind, address, bytes);
}

static const char *take_away(struct monitor *monitor, unsigned number)
{
	const char *why = change(monitor, &monitor->breaks[number], false);

	if (why == NULL)
		monitor->breaks[number].is_set = false;
	return why;
}

const char *monitor_command_delete(struct monitor *monitor, struct monitor_args *args)
{
	bool all = monitor_args_word(args, "all");
	unsigned number = all ? 0
			      : (unsigned)monitor_args_number_up_to(args, MONITOR_BREAKS - 1,
								    "there is none of that number");
	const char *why = monitor_args_end(args);

	if (why != NULL)
		return why;
	if (!all)
		return monitor->breaks[number].is_set ? take_away(monitor, number)
						      : "there is none of that number";
	for (unsigned i = 0; i < MONITOR_BREAKS && why == NULL; i++) {
		if (monitor->breaks[i].is_set)
			why = take_away(monitor, i);
	}
	return why;
}

void monitor_report_stop(struct monitor *monitor, const struct gdb_stop *stop)
{
	const struct regs_sync *state = monitor_state(monitor, stop->cpu);

	monitor->cpu = stop->cpu;
	monitor->stopped = true;
	monitor_say(monitor, "cpu %u", stop->cpu);
	if (stop->kind == GDB_STOP_WATCH)
		monitor_say(monitor, ": one of the %s %016lx", kind_name(stop->watch),
			    (unsigned long)stop->address);
	else if (stop->kind != GDB_STOP_PLAIN)
		monitor_say(monitor, ": breakpoint");
	if (state != NULL)
		monitor_say(monitor, ": RIP %04x:%016lx",
			    state->sregs.segments[SEGMENT_CS].selector,
			    (unsigned long)state->regs.rip);
	monitor_say(monitor, "\n");
}

/* --- track ----------------------------------------------------------------------------------- */

static const char *list_tracked(const struct monitor *monitor)
{
	struct monitor_track track;
	unsigned count = 0;

	for (; monitor->target->tracked(count, &track); count++) {
		monitor_say(monitor, "%016lx-%016lx: %lu writes", (unsigned long)track.gpa,
			    (unsigned long)(track.gpa + track.bytes - 1),
			    (unsigned long)track.writes);
		if (track.writes != 0)
			monitor_say(monitor, ", the last one by cpu %u at %016lx: %u bytes,",
				    track.cpu, (unsigned long)track.written_gpa,
				    track.written_bytes);
		for (unsigned i = 0;
		     track.writes != 0 && i < track.written_bytes && i < sizeof(track.first); i++)
			monitor_say(monitor, " %02x", track.first[i]);
		monitor_say(monitor, "\n");
	}
	if (count == 0)
		monitor_say(monitor, "nothing is tracked\n");
	return NULL;
}

const char *monitor_command_track(struct monitor *monitor, struct monitor_args *args)
{
	uint64_t gpa, bytes;
	const char *why;

	if (!monitor_args_more(args))
		return list_tracked(monitor);
	if (monitor_args_word(args, "off")) {
		why = monitor_args_end(args);
		if (why == NULL)
			monitor->target->untrack_all();
		return why;
	}
	monitor_args_range(args, &gpa, &bytes);
	why = monitor_args_end(args);
	return why != NULL ? why : monitor->target->track(gpa, bytes);
}

/* --- the machine ----------------------------------------------------------------------------- */

const char *monitor_command_reset(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);

	return why != NULL ? why : monitor->target->reset();
}

const char *monitor_command_poweroff(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);

	return why != NULL ? why : monitor->target->power_off();
}
