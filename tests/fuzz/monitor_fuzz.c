// sources: core/monitor.c core/monitor_args.c core/monitor_cpu.c core/monitor_line.c core/monitor_memory.c core/monitor_regs.c core/monitor_run.c core/monitor_stats.c core/trace.c core/exit_watch.c core/format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys as they may come over a line; whatever they were, the next line is answered, and no CPU's state is left half changed. */
#include "core/monitor_line.h"

#include <stdlib.h>

#include "tests/unit/fake_monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct monitor monitor;
static struct monitor_line line;
static unsigned zeros;
static char last[64];

static void say(void *context, const char *text)
{
	(void)context;
	snprintf(last, sizeof(last), "%s", text);
}

static void put(void *context, const char *text, size_t count)
{
	(void)context;
	for (size_t i = 0; i < count; i++)
		zeros += text[i] == 0;
}

static void enter(const char *text)
{
	monitor_line_run(&monitor, text);
	monitor.steps = 0;
	for (unsigned i = 0; i < FAKE_RUNS; i++) {
		if (target.state[i].dirty != 0)
			abort();
	}
	if (monitor.cpu >= FAKE_CPUS)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const struct monitor_line_owner owner = { "solovisor> ", put, monitor_word, NULL };

	fake_monitor_reset();
	for (unsigned i = 0; i < 5; i++) {
		*trace_add(i % FAKE_CPUS) = (struct trace_record){ .tsc = i * 100 };
		trace_finish(i % FAKE_CPUS, i * 100 + 5);
	}
	monitor_init(&monitor, &fake_machine);
	monitor.say = say;
	monitor_line_init(&line, &owner);
	for (size_t i = 0; i < bytes; i++) {
		if (monitor_line_byte(&line, data[i]) == MONITOR_LINE_ENTERED)
			enter(line.text);
		if (line.bytes >= MONITOR_LINE_BYTES || line.cursor > line.bytes ||
		    line.first > line.cursor)
			abort();
		machine.now += 1000;
		monitor_tick(&monitor);
	}
	/* An escape sequence that is open ends here. */
	monitor_line_byte(&line, 3);
	monitor.live = false;
	for (const char *at = "version\r"; *at != 0; at++) {
		if (monitor_line_byte(&line, (uint8_t)*at) == MONITOR_LINE_ENTERED)
			enter(line.text);
	}
	if (zeros != 0 || strstr(last, " on a table, 3 CPUs\n") == NULL)
		abort();
	return 0;
}
