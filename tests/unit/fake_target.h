/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for the GDB stub: three CPUs, the last of which waits for its SIPI, and 8 KiB of memory at 0x1000, which CPU 1
 * sees at 0x10001000 and everybody at 0x1000 by physical addresses. For one program's main file.
 */
#ifndef TESTS_UNIT_FAKE_TARGET_H
#define TESTS_UNIT_FAKE_TARGET_H

#include <stdio.h>
#include <string.h>

#include "arch/x86/cr.h"
#include "arch/x86/xsave.h"
#include "core/gdb_stub.h"

#define FAKE_CPUS   3u
#define FAKE_RUNS   2u
#define FAKE_BASE   UINT64_C(0x1000)
#define FAKE_BYTES  UINT64_C(0x2000)
#define FAKE_OFFSET UINT64_C(0x10000000)

static struct fake_target {
	struct regs_sync state[FAKE_CPUS], stored[FAKE_CPUS];
	uint8_t memory[FAKE_BYTES];
	unsigned breakpoints[GDB_BREAK_KINDS];
	char command[300];
	unsigned command_cpu;
} target;

static void fake_target_reset(void)
{
	memset(&target, 0, sizeof(target));
	for (unsigned i = 0; i < FAKE_RUNS; i++) {
		target.state[i].valid = REGS_SYNC_ALL;
		target.state[i].regs.rip = 0x1000 + i;
		target.state[i].regs.gpr[REG_RSP] = 0x2000 + i;
		target.state[i].regs.gpr[REG_RBP] = 0x3000 + i;
		target.state[i].xsave.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX;
		target.state[i].xsave.area[XSAVE_XSTATE_BV] = 7;
		target.stored[i] = target.state[i];
	}
	for (unsigned i = 0; i < FAKE_BYTES; i++)
		target.memory[i] = (uint8_t)(i * 7);
}

static unsigned fake_cpus(void)
{
	return FAKE_CPUS;
}

static struct regs_sync *fake_state(unsigned cpu)
{
	return cpu < FAKE_RUNS ? &target.state[cpu] : NULL;
}

/* RIP 0xbad is refused. */
static const char *fake_store(unsigned cpu)
{
	target.state[cpu].dirty = 0;
	if (target.state[cpu].regs.rip == 0xbad) {
		target.state[cpu] = target.stored[cpu];
		return "RIP is bad";
	}
	target.stored[cpu] = target.state[cpu];
	return NULL;
}

static void fake_forget(unsigned cpu)
{
	target.state[cpu] = target.stored[cpu];
}

/* Bytes of [address, address + bytes) from the first one on that are there, at *index. */
static size_t fake_span(unsigned cpu, bool physical, uint64_t address, size_t bytes, size_t *index)
{
	uint64_t base = FAKE_BASE + (!physical && cpu == 1 ? FAKE_OFFSET : 0);

	if (address < base || address >= base + FAKE_BYTES)
		return 0;
	*index = address - base;
	return bytes < FAKE_BYTES - *index ? bytes : FAKE_BYTES - *index;
}

static size_t fake_read(unsigned cpu, bool physical, uint64_t address, void *to, size_t bytes)
{
	size_t index = 0, there = fake_span(cpu, physical, address, bytes, &index);

	memcpy(to, target.memory + index, there);
	return there;
}

static size_t fake_write(unsigned cpu, bool physical, uint64_t address, const void *from,
			 size_t bytes)
{
	size_t index = 0, there = fake_span(cpu, physical, address, bytes, &index);

	memcpy(target.memory + index, from, there);
	return there;
}

static const char *fake_break(unsigned cpu, enum gdb_break kind, uint64_t address, uint64_t bytes,
			      bool insert)
{
	if (cpu >= FAKE_RUNS || address == 0 || bytes == 0)
		return "not there";
	target.breakpoints[kind] += insert ? 1u : -1u;
	return NULL;
}

static size_t fake_memory_map(size_t offset, char *buffer, size_t bytes)
{
	static const char map[] = "<memory-map/>";
	size_t left = offset < sizeof(map) - 1 ? sizeof(map) - 1 - offset : 0;

	bytes = bytes < left ? bytes : left;
	memcpy(buffer, map + (left == 0 ? 0 : offset), bytes);
	return bytes;
}

/* "fill N" prints N times "x"; "cpu N" chooses one. */
static void fake_command(unsigned *cpu, const char *line,
			 void (*say)(void *context, const char *text), void *context)
{
	static char text[10000];
	unsigned count = 0;

	snprintf(target.command, sizeof(target.command), "%s", line);
	target.command_cpu = *cpu;
	(void)sscanf(line, "cpu %u", cpu);
	if (sscanf(line, "fill %u", &count) == 1 && count < sizeof(text)) {
		memset(text, 'x', count);
		text[count] = 0;
		say(context, text);
	}
}

static const struct gdb_target fake_ops = { .cpus = fake_cpus,
					    .state = fake_state,
					    .store = fake_store,
					    .forget = fake_forget,
					    .read = fake_read,
					    .write = fake_write,
					    .change_break = fake_break,
					    .memory_map = fake_memory_map,
					    .command = fake_command };

#endif
