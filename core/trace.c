/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/trace.h"

#include <stddef.h>

#include "core/exit_watch.h"

static struct trace_record records[TRACE_RECORDS];
/* How many each CPU has ever written; the index is what remains of it. */
static uint64_t written[VM_MAX_CPUS];
static unsigned cpu_count = 1;

static unsigned ring_records(void)
{
	return TRACE_RECORDS / cpu_count;
}

static struct trace_record *at(unsigned cpu, uint64_t number)
{
	return &records[cpu * ring_records() + number % ring_records()];
}

static uint64_t oldest(unsigned cpu)
{
	return written[cpu] > ring_records() ? written[cpu] - ring_records() : 0;
}

void trace_init(unsigned cpus)
{
	cpu_count = cpus;
	trace_clear();
}

void trace_set(bool on)
{
	exit_watch_set(EXIT_WATCH_TRACE, on);
}

bool trace_is_on(void)
{
	return (exit_watchers() & EXIT_WATCH_TRACE) != 0;
}

void trace_clear(void)
{
	for (unsigned cpu = 0; cpu < cpu_count; cpu++)
		written[cpu] = 0;
}

struct trace_record *trace_add(unsigned cpu)
{
	struct trace_record *record = at(cpu, written[cpu]);

	*record = (struct trace_record){ 0 };
	written[cpu]++;
	return record;
}

struct trace_record *trace_last(unsigned cpu)
{
	return written[cpu] == 0 ? NULL : at(cpu, written[cpu] - 1);
}

void trace_finish(unsigned cpu, uint64_t tsc)
{
	struct trace_record *record = trace_last(cpu);
	uint64_t cycles;

	if (record == NULL)
		return;
	cycles = tsc > record->tsc ? tsc - record->tsc : 1;
	record->cycles = cycles > UINT32_MAX ? UINT32_MAX : (uint32_t)cycles;
}

struct trace_count trace_count(void)
{
	struct trace_count count = { 0 };

	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		count.gone += oldest(cpu);
		count.kept += written[cpu] - oldest(cpu);
	}
	return count;
}

void trace_walk_begin(struct trace_walk *walk, uint64_t wanted)
{
	struct trace_count count = trace_count();
	unsigned cpu;

	for (cpu = 0; cpu < cpu_count; cpu++)
		walk->next[cpu] = oldest(cpu);
	for (; count.kept > wanted; count.kept--)
		(void)trace_walk_next(walk, &cpu);
}

const struct trace_record *trace_walk_next(struct trace_walk *walk, unsigned *cpu)
{
	const struct trace_record *first = NULL;

	for (unsigned i = 0; i < cpu_count; i++) {
		const struct trace_record *record;

		if (walk->next[i] == written[i])
			continue;
		record = at(i, walk->next[i]);
		if (first != NULL && first->tsc <= record->tsc)
			continue;
		first = record;
		*cpu = i;
	}
	if (first != NULL)
		walk->next[*cpu]++;
	return first;
}
