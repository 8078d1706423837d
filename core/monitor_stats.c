/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_stats.h"

#include "boot/version.h"
#include "core/format.h"

#define BAR_COLUMNS    40u
#define LIVE_ROWS      16u
#define LIVE_MS	       1000u
#define HOME_AND_CLEAR "\x1b[H\x1b[J"
#define TEXT_BYTES     100u
#define LOG_BYTES      200u
#define KEPT_ALL       UINT64_MAX

/* A kind of exit over all CPUs, or over one. */
struct row {
	uint64_t count, since;	 /* since the numbers were shown the last time */
	uint64_t cycles, traced; /* of those in the trace */
};

/* One CPU at a time has the monitor, and its stack is small. */
static struct row rows[VCPU_EXIT_KINDS];
static struct trace_walk walk;

static unsigned cpu_count(const struct monitor *monitor)
{
	return monitor->target->gdb->cpus();
}

/* Never 0: it divides. */
static uint32_t tsc_khz(const struct monitor *monitor)
{
	uint32_t khz = monitor->target->tsc_khz();

	return khz == 0 ? 1 : khz;
}

static bool is_meant(unsigned cpu, unsigned wanted)
{
	return wanted == UINT32_MAX || wanted == cpu;
}

static void add_traced(unsigned wanted)
{
	const struct trace_record *record;
	unsigned cpu = 0;

	trace_walk_begin(&walk, KEPT_ALL);
	while ((record = trace_walk_next(&walk, &cpu)) != NULL) {
		if (record->cycles == 0 || !is_meant(cpu, wanted) ||
		    record->kind >= VCPU_EXIT_KINDS)
			continue;
		rows[record->kind].cycles += record->cycles;
		rows[record->kind].traced++;
	}
}

/* How many since the last time; and that is now. */
static uint32_t since_last(struct monitor *monitor, unsigned cpu, unsigned kind, uint64_t exits)
{
	uint32_t *shown = &monitor->shown_exits[cpu % MONITOR_RATED_CPUS][kind];
	uint32_t since = (uint32_t)exits - *shown;

	if (cpu >= MONITOR_RATED_CPUS)
		return 0;
	*shown = (uint32_t)exits;
	return since;
}

/* Fill the rows of one CPU or (UINT32_MAX) all. */
static void gather(struct monitor *monitor, unsigned wanted)
{
	const struct monitor_target *target = monitor->target;

	for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
		rows[kind] = (struct row){ 0 };
		if (target->exit_name(kind) == NULL)
			break;
		for (unsigned cpu = 0; cpu < cpu_count(monitor); cpu++) {
			uint64_t exits = target->exits(cpu, kind);
			uint32_t since = since_last(monitor, cpu, kind, exits);

			if (!is_meant(cpu, wanted))
				continue;
			rows[kind].count += exits;
			rows[kind].since += since;
		}
	}
}

/* Milliseconds since the last time, at least 1. */
static uint64_t since_last_ms(struct monitor *monitor)
{
	uint64_t now = monitor->target->now();
	uint64_t ms = (now - monitor->shown_at) / tsc_khz(monitor);

	monitor->shown_at = now;
	return ms == 0 ? 1 : ms;
}

static uint64_t per_second(uint64_t count, uint64_t ms)
{
	return count / ms * 1000 + count % ms * 1000 / ms;
}

static void say_row(const struct monitor *monitor, const char *name, const struct row *row,
		    uint64_t ms)
{
	monitor_say(monitor, "%-20s %14lu %12lu", name, (unsigned long)row->count,
		    (unsigned long)per_second(row->since, ms));
	if (row->traced != 0)
		monitor_say(monitor, " %12lu", (unsigned long)(row->cycles / row->traced));
	monitor_say(monitor, "\n");
}

static void say_table(struct monitor *monitor, unsigned wanted)
{
	struct row sum = { 0 };
	uint64_t ms = since_last_ms(monitor);

	gather(monitor, wanted);
	add_traced(wanted);
	monitor_say(monitor, "%-20s %14s %12s %12s\n", "exit", "count", "per second", "cycles");
	for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
		const char *name = monitor->target->exit_name(kind);

		if (name == NULL)
			break;
		if (rows[kind].count == 0)
			continue;
		say_row(monitor, name, &rows[kind], ms);
		sum.count += rows[kind].count;
		sum.since += rows[kind].since;
	}
	say_row(monitor, "all", &sum, ms);
}

/* --- live ------------------------------------------------------------------------------------ */

static unsigned most_frequent(const struct monitor *monitor, const bool *done)
{
	unsigned best = UINT32_MAX;

	for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
		if (monitor->target->exit_name(kind) == NULL)
			break;
		if (!done[kind] && rows[kind].since != 0 &&
		    (best == UINT32_MAX || rows[kind].since > rows[best].since))
			best = kind;
	}
	return best;
}

static void say_bar(const struct monitor *monitor, const char *name, const struct row *row,
		    uint64_t most, uint64_t ms)
{
	char bar[BAR_COLUMNS + 1];
	uint64_t columns = row->since >= most ? BAR_COLUMNS : row->since * BAR_COLUMNS / most;
	unsigned i;

	for (i = 0; i < BAR_COLUMNS; i++)
		bar[i] = i < columns || i == 0 ? '#' : ' ';
	bar[i] = '\0';
	monitor_say(monitor, "%-20s %s %10lu/s\n", name, bar,
		    (unsigned long)per_second(row->since, ms));
}

static void draw_live(struct monitor *monitor)
{
	bool done[VCPU_EXIT_KINDS] = { false };
	uint64_t ms = since_last_ms(monitor), all = 0, most = 0;

	gather(monitor, UINT32_MAX);
	for (unsigned kind = 0; kind < VCPU_EXIT_KINDS; kind++) {
		if (monitor->target->exit_name(kind) == NULL)
			break;
		all += rows[kind].since;
	}
	monitor_say(monitor, HOME_AND_CLEAR "exits: %lu/s on %u CPUs; a key ends this\n",
		    (unsigned long)per_second(all, ms), cpu_count(monitor));
	for (unsigned i = 0; i < LIVE_ROWS; i++) {
		unsigned kind = most_frequent(monitor, done);

		if (kind == UINT32_MAX)
			break;
		if (i == 0)
			most = rows[kind].since;
		say_bar(monitor, monitor->target->exit_name(kind), &rows[kind], most, ms);
		done[kind] = true;
	}
}

bool monitor_is_due(const struct monitor *monitor)
{
	return monitor->live &&
	       (monitor->target->now() - monitor->shown_at) / tsc_khz(monitor) >= LIVE_MS;
}

void monitor_tick(struct monitor *monitor)
{
	if (monitor_is_due(monitor))
		draw_live(monitor);
}

const char *monitor_command_stats(struct monitor *monitor, struct monitor_args *args)
{
	bool live = monitor_args_word(args, "live");
	unsigned cpu = UINT32_MAX;
	const char *why;

	if (!live && monitor_args_more(args))
		cpu = monitor_args_cpu(monitor, args);
	why = monitor_args_end(args);
	if (why == NULL && live && (monitor->in_gdb || monitor->stopped))
		why = "nothing changes while the guest is stopped";
	if (why != NULL)
		return why;
	if (live) {
		draw_live(monitor);
		monitor->live = true;
	} else {
		say_table(monitor, cpu);
	}
	return NULL;
}

/* --- trace ----------------------------------------------------------------------------------- */

/* Nanoseconds of TSC cycles, without the product running over. */
static uint64_t nanoseconds(uint64_t cycles, uint32_t khz)
{
	return cycles / khz * 1000000 + cycles % khz * 1000000 / khz;
}

/* scripts/trace-report reads this: change both. */
static void dump(const struct monitor *monitor, uint64_t wanted)
{
	uint32_t khz = tsc_khz(monitor);
	struct trace_count count = trace_count();
	const struct trace_record *record;
	uint64_t begin = 0;
	unsigned cpu = 0;
	char text[TEXT_BYTES];

	monitor_say(monitor, "trace: begin cpus=%u tsc-khz=%u exits=%lu older=%lu\n",
		    cpu_count(monitor), khz,
		    (unsigned long)(count.kept < wanted ? count.kept : wanted),
		    (unsigned long)(count.gone + (count.kept > wanted ? count.kept - wanted : 0)));
	trace_walk_begin(&walk, wanted);
	while ((record = trace_walk_next(&walk, &cpu)) != NULL) {
		uint64_t ns;

		if (begin == 0)
			begin = record->tsc;
		ns = nanoseconds(record->tsc - begin, khz);
		monitor->target->describe_exit(record, text, sizeof(text));
		monitor_say(monitor, "trace: %lu.%09lu cpu%u rip=%lx cycles=%u [%s] %s\n",
			    (unsigned long)(ns / 1000000000), (unsigned long)(ns % 1000000000), cpu,
			    (unsigned long)record->rip, record->cycles,
			    monitor->target->exit_name(record->kind), text);
	}
	monitor_say(monitor, "trace: end\n");
}

static const char *turn(const struct monitor *monitor, struct monitor_args *args, bool on)
{
	const char *why = monitor_args_end(args);

	if (why != NULL)
		return why;
	if (on && !trace_is_on())
		trace_clear();
	trace_set(on);
	monitor_say(monitor, "the trace is %s\n", on ? "on" : "off");
	return NULL;
}

static const char *say_state(const struct monitor *monitor)
{
	struct trace_count count = trace_count();

	monitor_say(monitor, "the trace is %s: %lu exits kept, %lu older ones gone\n",
		    trace_is_on() ? "on" : "off", (unsigned long)count.kept,
		    (unsigned long)count.gone);
	return NULL;
}

const char *monitor_command_trace(struct monitor *monitor, struct monitor_args *args)
{
	uint64_t wanted = KEPT_ALL;
	const char *why;

	if (!monitor_args_more(args))
		return say_state(monitor);
	if (monitor_args_word(args, "on"))
		return turn(monitor, args, true);
	if (monitor_args_word(args, "off"))
		return turn(monitor, args, false);
	if (!monitor_args_word(args, "dump"))
		return "on, off, or dump";
	if (monitor_args_more(args))
		wanted = monitor_args_number(args);
	why = monitor_args_end(args);
	if (why == NULL)
		dump(monitor, wanted);
	return why;
}

/* --- log, version ---------------------------------------------------------------------------- */

const char *monitor_command_log(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);
	char text[LOG_BYTES + 1];
	uint32_t at = 0;
	size_t got;

	if (why != NULL)
		return why;
	while ((got = monitor->target->log(&at, text, LOG_BYTES)) != 0) {
		text[got] = '\0';
		monitor_say(monitor, "%s", text);
	}
	return NULL;
}

const char *monitor_command_version(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);

	if (why == NULL)
		monitor_say(monitor, "Solovisor %s on %s, %u CPUs\n", SOLOVISOR_VERSION,
			    monitor->target->machine(), cpu_count(monitor));
	return why;
}
