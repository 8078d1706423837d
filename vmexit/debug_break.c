/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_break.h"

#include <stddef.h>

#include "core/lock.h"
#include "mm/guest_copy.h"
#include "vmexit/debug_slot.h"
#include "vmexit/debug_target.h"
#include "vmexit/debug_watch.h"
#include "vmexit/emulate_exit.h"
#include "vmexit/guest_memory.h"
#include "vmexit/nested_fault.h"
#include "vmexit/stop.h"

#define BREAKS_MAX 64u
/* No byte of a frame: its address is not mapped yet. */
#define UNMAPPED   (~UINT64_C(0))

/* Written by the leader of a stop, read by CPUs in the guest. */
static struct debug_break {
	uint64_t address;      /* as the debugger gave it */
	_Atomic(uint64_t) gpa; /* or UNMAPPED; with `lock` while the guest runs */
	enum gdb_break kind;
} breaks[BREAKS_MAX];
static uint32_t break_count;
static _Atomic(uint32_t) unmapped_count, lock;

static uint64_t frame_of(gpa_t gpa)
{
	return ALIGN_DOWN(gpa.v, PAGE_BYTES);
}

bool debug_break_is_page(gpa_t gpa)
{
	for (uint32_t i = 0; i < break_count; i++) {
		uint64_t at = atomic_load(&breaks[i].gpa);

		if (at != UNMAPPED && frame_of((gpa_t){ at }) == frame_of(gpa))
			return true;
	}
	return false;
}

bool debug_break_is_any(void)
{
	return break_count != 0;
}

static const struct debug_break *break_at(gpa_t gpa)
{
	for (uint32_t i = 0; i < break_count; i++) {
		if (atomic_load(&breaks[i].gpa) == gpa.v)
			return &breaks[i];
	}
	return NULL;
}

/* --- in the guest ---------------------------------------------------------------------------- */

/*
 * A repeated string instruction is emulated, many iterations at once: one with two exits for each would take a kernel minutes
 * that clears its memory from the page with the breakpoint. The CPU does the others, and what the emulator leaves to it.
 */
static enum exit_verdict execute(struct vcpu *vcpu, gpa_t gpa)
{
	static const struct emulate_target strings = { .traps_strings = true };
	enum emulate_result result = EMULATE_NATIVE;
	struct insn insn;

	if (vcpu->step_kind == STEP_NONE && guest_fetch_insn(vcpu, &insn) &&
	    (insn.rep || insn.repne))
		result = emulate_insn(vcpu, &insn, &strings);
	return emulate_exit_or_step(vcpu, result, STEP_CODE, gpa);
}

enum exit_verdict debug_break_exit(struct vcpu *vcpu, gpa_t gpa)
{
	const struct debug_break *met = NULL;
	gpa_t insn;

	/* Where the instruction begins; it may reach into the frame from the one before. */
	if (guest_peek(vcpu, guest_linear_rip(vcpu), &insn))
		met = break_at(insn);
	if (met != NULL) {
		const struct stop_event event = { .reason = met->kind == GDB_BREAK_SOFTWARE
								    ? STOP_SOFTWARE
								    : STOP_HARDWARE };

		stop_want(vcpu, &event);
		return VERDICT_RESUME;
	}
	return execute(vcpu, gpa);
}

/* --- the debugger ---------------------------------------------------------------------------- */

/* Other rights of the frame are somebody else's. */
static bool change_rights(struct vcpu *leader, gpa_t gpa, unsigned remove, unsigned add)
{
	struct tdp_mmu *tdp = &leader->vm->tdp;
	const gpa_t frame = { frame_of(gpa) };
	struct page_mapping mapping;
	bool changed = false, ok;

	lock_acquire(&leader->vm->lock);
	ok = page_table_lookup(&tdp->table, frame.v, &mapping) &&
	     tdp_mmu_protect(tdp, frame, PAGE_BYTES, (mapping.rights & ~remove) | add, &changed);
	if (changed) {
		tdp_flush_all(leader);
		tdp_mmu_flushed(tdp);
	}
	lock_release(&leader->vm->lock);
	return ok;
}

static struct debug_break *find(enum gdb_break kind, uint64_t address)
{
	for (uint32_t i = 0; i < break_count; i++) {
		if (breaks[i].kind == kind && breaks[i].address == address)
			return &breaks[i];
	}
	return NULL;
}

/* NULL, or why the frame cannot be closed. */
static const char *close_frame(struct vcpu *vcpu, gpa_t gpa)
{
	if (!guest_copy_is_ram(gpa, 1))
		return "the address is not in RAM";
	if (!debug_break_is_page(gpa) && !change_rights(vcpu, gpa, RIGHT_EXEC, 0))
		return "the page cannot be closed to instruction fetches";
	return NULL;
}

static const char *insert(struct vcpu *leader, unsigned cpu, enum gdb_break kind, uint64_t address)
{
	const char *why = NULL;
	gpa_t gpa = { UNMAPPED };

	if (find(kind, address) != NULL)
		return NULL;
	if (break_count == BREAKS_MAX)
		return "there are too many breakpoints";
	if (debug_translate(cpu, address, &gpa))
		why = close_frame(leader, gpa);
	else if (kind == GDB_BREAK_HARDWARE)
		atomic_fetch_add(&unmapped_count, 1);
	else
		why = "the address is not mapped";
	if (why == NULL)
		breaks[break_count++] =
			(struct debug_break){ .address = address, .gpa = gpa.v, .kind = kind };
	return why;
}

static void remove(struct vcpu *leader, struct debug_break *old)
{
	gpa_t gpa = { atomic_load(&old->gpa) };

	*old = breaks[--break_count];
	/* The large page that it is part of again was split for it: there is nothing to run out of. */
	if (gpa.v == UNMAPPED)
		atomic_fetch_sub(&unmapped_count, 1);
	else if (!debug_break_is_page(gpa))
		(void)!change_rights(leader, gpa, 0, RIGHT_EXEC);
}

/* By this CPU's page tables as they are. First it is there, and then CPUs come to it. */
static void resolve(struct vcpu *vcpu, struct debug_break *pending)
{
	bool is_closed;
	gpa_t gpa;

	if (!guest_peek(vcpu, (gva_t){ pending->address }, &gpa) || !guest_copy_is_ram(gpa, 1))
		return;
	is_closed = debug_break_is_page(gpa);
	atomic_store(&pending->gpa, gpa.v);
	if (!is_closed && !change_rights(vcpu, gpa, RIGHT_EXEC, 0)) {
		atomic_store(&pending->gpa, UNMAPPED);
		return;
	}
	atomic_fetch_sub(&unmapped_count, 1);
}

void debug_break_resolve(struct vcpu *vcpu)
{
	if (atomic_load(&unmapped_count) == 0 || !lock_try(&lock))
		return;
	for (uint32_t i = 0; i < break_count; i++) {
		if (atomic_load(&breaks[i].gpa) == UNMAPPED)
			resolve(vcpu, &breaks[i]);
	}
	lock_release(&lock);
}

const char *debug_break_insert(struct vcpu *leader, unsigned cpu, enum gdb_break kind,
			       uint64_t address, uint64_t bytes)
{
	switch (kind) {
	case GDB_BREAK_HARDWARE:
		if (find(kind, address) == NULL &&
		    debug_slot_insert(leader->vm, kind, address, 1) == NULL)
			return NULL;
		return insert(leader, cpu, kind, address);
	case GDB_BREAK_SOFTWARE:
		return insert(leader, cpu, kind, address);
	case GDB_WATCH_WRITE:
		return debug_watch_insert(leader, cpu, address, bytes);
	case GDB_WATCH_ACCESS:
		return debug_slot_insert(leader->vm, kind, address, bytes);
	case GDB_WATCH_READ:
	case GDB_BREAK_KINDS:
		break;
	}
	return "reads alone cannot be watched: watch accesses";
}

const char *debug_break_remove(struct vcpu *leader, enum gdb_break kind, uint64_t address,
			       uint64_t bytes)
{
	struct debug_break *old = find(kind, address);

	if (kind == GDB_WATCH_WRITE)
		debug_watch_remove(leader, address, bytes);
	else if (kind == GDB_WATCH_ACCESS)
		(void)debug_slot_remove(leader->vm, kind, address, bytes);
	else if (kind == GDB_BREAK_HARDWARE && debug_slot_remove(leader->vm, kind, address, 1))
		return NULL;
	else if (old != NULL)
		remove(leader, old);
	return NULL;
}

void debug_break_clear(struct vcpu *leader)
{
	while (break_count > 0)
		remove(leader, &breaks[0]);
	debug_watch_clear(leader);
	debug_slot_clear(leader->vm);
}
