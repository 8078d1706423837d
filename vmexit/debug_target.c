/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_target.h"

#include <stddef.h>

#include "core/caps.h"
#include "core/format.h"
#include "core/string.h"
#include "mm/guest_copy.h"
#include "mm/gva_walk.h"
#include "vmexit/debug_break.h"
#include "vmexit/guest_physical.h"
#include "vmexit/monitor_console.h"
#include "vmexit/stop.h"

#define NO_CPU UINT32_MAX

static struct {
	struct vcpu *leader;
	uint32_t cpu; /* whose state it is */
	struct regs_sync state;
} target = { .cpu = NO_CPU };

void debug_target_lead(struct vcpu *leader)
{
	target.leader = leader;
	target.cpu = NO_CPU;
}

void debug_target_forget(void)
{
	target.cpu = NO_CPU;
}

static unsigned cpus(void)
{
	return target.leader->vm->vcpu_count;
}

/* --- state: each CPU's is read and loaded by itself ------------------------------------------ */

static void fetch(struct vcpu *vcpu, void *context)
{
	struct regs_sync *state = context;

	state->dirty = 0;
	state->valid = REGS_SYNC_ALL;
	regs_sync_to_user(vcpu, state);
}

static struct regs_sync *state_of(unsigned cpu)
{
	struct vcpu *vcpu = target.leader->vm->vcpus[cpu];

	if (target.cpu == cpu)
		return &target.state;
	target.cpu = NO_CPU;
	if (!stop_run_on(target.leader, vcpu, fetch, &target.state))
		return NULL;
	target.cpu = cpu;
	return &target.state;
}

static void forget(unsigned cpu)
{
	if (target.cpu == cpu)
		target.cpu = NO_CPU;
}

struct load {
	struct regs_sync *state;
	enum regs_sync_reason reason;
};

static void load(struct vcpu *vcpu, void *context)
{
	struct load *what = context;

	what->reason = regs_sync_from_user(vcpu, what->state);
}

static const char *store(unsigned cpu)
{
	struct load what = { .state = &target.state, .reason = REGS_SYNC_CPU_WAITS };

	if (target.cpu != cpu)
		return "nothing of this CPU was changed";
	/* The PDPTEs are those of the CR3 that is loaded. */
	target.state.sregs.pdptr_valid = 0;
	if (!stop_run_on(target.leader, target.leader->vm->vcpus[cpu], load, &what))
		return "the CPU does not stand still";
	forget(cpu); /* as the CPU has it now, or as it was */
	return what.reason == REGS_SYNC_OK ? NULL : regs_sync_reason_text(what.reason);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void role_of(const struct regs_sync_sregs *sregs, struct paging_role *role)
{
	*role = (struct paging_role){ .cr0 = sregs->cr0,
				      .cr3 = sregs->cr3,
				      .cr4 = sregs->cr4,
				      .efer = sregs->efer,
				      .maxphyaddr = hv_caps.maxphyaddr,
				      .huge_pages = hv_caps.host_huge_pages,
				      .upper_bit8 = hv_caps.upper_bit8 };
	memcpy(role->pdptr, sregs->pdptr, sizeof(role->pdptr));
}

bool debug_translate(unsigned cpu, uint64_t address, gpa_t *gpa)
{
	const struct regs_sync *state = state_of(cpu);
	struct paging_role role;
	struct gva_result result;

	if (state == NULL)
		return false;
	role_of(&state->sregs, &role);
	if (!gva_walk(&role, &guest_copy_reader, (gva_t){ address }, ACCESS_PEEK, &result))
		return false;
	*gpa = result.gpa;
	return true;
}

/* Up to the end of the page. */
static bool find(unsigned cpu, bool physical, uint64_t address, size_t *bytes, gpa_t *gpa)
{
	uint64_t room = PAGE_BYTES - address % PAGE_BYTES;

	if (*bytes > room)
		*bytes = room;
	*gpa = (gpa_t){ address };
	return (physical || debug_translate(cpu, address, gpa)) && guest_copy_is_ram(*gpa, *bytes);
}

static size_t read_memory(unsigned cpu, bool physical, uint64_t address, void *to, size_t bytes)
{
	size_t done = 0, part;
	gpa_t gpa;

	for (; done < bytes; done += part) {
		part = bytes - done;
		if (!find(cpu, physical, address + done, &part, &gpa) ||
		    !guest_copy_in((uint8_t *)to + done, gpa, part))
			break;
	}
	return done;
}

/* As everything that is written in the guest's name: who tracks a frame is told, but for our own watchpoints. */
static size_t write_memory(unsigned cpu, bool physical, uint64_t address, const void *from,
			   size_t bytes)
{
	size_t done = 0, part;
	gpa_t gpa;

	for (; done < bytes; done += part) {
		part = bytes - done;
		if (!find(cpu, physical, address + done, &part, &gpa) ||
		    !guest_physical_write(target.leader, gpa, (const uint8_t *)from + done,
					  (unsigned)part))
			break;
	}
	target.leader->stop_event.reason = STOP_NONE;
	return done;
}

/*
 * Addresses of the memory map are those that GDB asks for: virtual ones, any of which may be memory. Without a map, or
 * with the physical one, it would refuse a kernel's.
 */
static size_t memory_map(size_t offset, char *buffer, size_t bytes)
{
	static const char map[] =
		"<?xml version=\"1.0\"?><!DOCTYPE memory-map PUBLIC \"+//IDN "
		"gnu.org//DTD GDB Memory Map V1.0//EN\" "
		"\"http://sourceware.org/gdb/gdb-memory-map.dtd\"><memory-map>"
		"<memory type=\"ram\" start=\"0x0\" length=\"0x100000000000000\"/>"
		"<memory type=\"ram\" start=\"0xff00000000000000\" "
		"length=\"0x100000000000000\"/></memory-map>";
	size_t used = 0;

	while (used < bytes && offset + used < sizeof(map) - 1) {
		buffer[used] = map[offset + used];
		used++;
	}
	return used;
}

/* --- breakpoints ----------------------------------------------------------------------------- */

static const char *change_break(unsigned cpu, enum gdb_break kind, uint64_t address, uint64_t bytes,
				bool insert)
{
	if (insert)
		return debug_break_insert(target.leader, cpu, kind, address, bytes);
	return debug_break_remove(target.leader, kind, address, bytes);
}

/* --- commands -------------------------------------------------------------------------------- */

static void command(unsigned *cpu, const char *line, void (*say)(void *context, const char *text),
		    void *context)
{
	monitor_console_command(cpu, line, say, context);
}

const struct gdb_target debug_target = {
	.cpus = cpus,
	.state = state_of,
	.store = store,
	.forget = forget,
	.read = read_memory,
	.write = write_memory,
	.change_break = change_break,
	.memory_map = memory_map,
	.command = command,
};
