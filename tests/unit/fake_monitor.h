/* SPDX-License-Identifier: BSD-2-Clause */
/* A machine for the monitor: that of fake_target.h, and what the monitor asks beyond it. For one program's main file. */
#ifndef TESTS_UNIT_FAKE_MONITOR_H
#define TESTS_UNIT_FAKE_MONITOR_H

#include "core/monitor.h"

#include "fake_target.h"

#define FAKE_KINDS 3u

static struct fake_monitor {
	uint64_t now, exits[FAKE_CPUS][FAKE_KINDS];
	uint64_t msr;
	struct monitor_track track;
	unsigned resets, power_offs;
} machine;

static const char *fake_name(void)
{
	return "a table";
}

static uint32_t fake_apic_id(unsigned cpu)
{
	return cpu * 2;
}

static uint64_t fake_now(void)
{
	return machine.now;
}

static uint32_t fake_tsc_khz(void)
{
	return 1000;
}

static bool fake_msr(unsigned cpu, uint32_t msr, bool write, uint64_t *value)
{
	if (msr != 0x10 || cpu >= FAKE_RUNS)
		return false;
	if (write)
		machine.msr = *value;
	else
		*value = machine.msr;
	return true;
}

static size_t fake_read_hpa(uint64_t hpa, void *to, size_t bytes)
{
	return fake_read(0, true, hpa - 0x100000, to, bytes);
}

static void fake_walk(unsigned cpu, bool nested, uint64_t address, struct monitor_walk *walk)
{
	*walk = (struct monitor_walk){ .kind = nested ? "EPT" : "paging", .is_ept = nested };
	walk->entries[walk->count++] =
		(struct monitor_walk_entry){ .level = 1, .at = 0x5000, .entry = 0x6007 };
	if (address == 0xbad) {
		walk->failure = "not present";
		return;
	}
	walk->entries[walk->count++] = (struct monitor_walk_entry){
		.is_leaf = true, .at = 0x6008, .entry = nested ? 0x7037 : 0x8000000000007063
	};
	walk->address = address + (nested ? 0 : 0x10000000 * (uint64_t)cpu);
	walk->page_bytes = 0x1000;
}

static bool fake_map(uint64_t address, struct monitor_map *map)
{
	static const struct monitor_map maps[] = {
		{ 0, 0x100000, 0, 0x1000, RIGHT_ALL, MEMTYPE_WB, true, false },
		{ 0x200000, 0x200000, 0x777000, 0x1000, RIGHT_READ, MEMTYPE_WB, true, true },
		{ 0x40000000, ~UINT64_C(0x40000000) + 1, 0x40000000, 0x40000000, RIGHT_ALL,
		  MEMTYPE_UC, false, false },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(maps); i++) {
		if (maps[i].address < address)
			continue;
		*map = maps[i];
		return true;
	}
	return false;
}

static uint64_t fake_exits(unsigned cpu, unsigned kind)
{
	return machine.exits[cpu][kind];
}

static const char *fake_exit_name(unsigned kind)
{
	static const char *const names[FAKE_KINDS] = { "CPUID", "I/O port", "NMI" };

	return kind < FAKE_KINDS ? names[kind] : NULL;
}

static void fake_describe_exit(const struct trace_record *record, char *text, size_t bytes)
{
	snprintf(text, bytes, "detail=%lx", (unsigned long)record->detail);
}

static const char *fake_track(uint64_t gpa, uint64_t bytes)
{
	if (machine.track.bytes != 0)
		return "no more";
	machine.track = (struct monitor_track){ .gpa = gpa, .bytes = bytes };
	return NULL;
}

static void fake_untrack_all(void)
{
	machine.track.bytes = 0;
}

static bool fake_tracked(unsigned number, struct monitor_track *track)
{
	*track = machine.track;
	return number == 0 && machine.track.bytes != 0;
}

static size_t fake_log(uint32_t *at, char *text, size_t bytes)
{
	static const char log[] = "one\ntwo\n";
	size_t left = sizeof(log) - 1 - *at;

	bytes = bytes < left ? bytes : left;
	memcpy(text, log + *at, bytes);
	*at += (uint32_t)bytes;
	return bytes;
}

static const char *fake_reset(void)
{
	machine.resets++;
	return NULL;
}

static const char *fake_power_off(void)
{
	machine.power_offs++;
	return "the machine does not say how";
}

static const struct monitor_target fake_machine = {
	.gdb = &fake_ops,
	.machine = fake_name,
	.apic_id = fake_apic_id,
	.now = fake_now,
	.tsc_khz = fake_tsc_khz,
	.msr = fake_msr,
	.read_hpa = fake_read_hpa,
	.walk = fake_walk,
	.map = fake_map,
	.exits = fake_exits,
	.exit_name = fake_exit_name,
	.describe_exit = fake_describe_exit,
	.track = fake_track,
	.untrack_all = fake_untrack_all,
	.tracked = fake_tracked,
	.log = fake_log,
	.reset = fake_reset,
	.power_off = fake_power_off,
};

static void fake_monitor_reset(void)
{
	fake_target_reset();
	memset(&machine, 0, sizeof(machine));
	trace_init(FAKE_CPUS);
	trace_set(false);
}

#endif
