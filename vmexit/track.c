/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/track.h"

#include <stddef.h>

#include "arch/x86/insn.h"
#include "core/lock.h"
#include "vmexit/emulate_call.h"
#include "vmexit/nested_fault.h"

#define WRITER_PAUSES 100u

/* With the lock. Every CPU has seen the change when this returns, and what waited for that is free again. */
static void flush_and_release(struct vcpu *vcpu)
{
	tdp_flush_all(vcpu);
	tdp_mmu_flushed(&vcpu->vm->tdp);
}

/*
 * Somebody else's restriction (an APIC was there, or is emulated) comes with writes that are his to execute, and goes
 * without asking us.
 */
static bool may_track(struct vcpu *vcpu, gpa_t gpa)
{
	return page_track_is_closed(&vcpu->vm->track, gpa) ||
	       (tdp_mmu_allows(&vcpu->vm->tdp, gpa, RIGHT_READ | RIGHT_WRITE) &&
		!emulate_call_is_page(gpa));
}

/* Tables that were merged may be waiting for a flush. */
static bool add(struct vcpu *vcpu, gpa_t gpa, bool *changed)
{
	struct vm *vm = vcpu->vm;

	if (!may_track(vcpu, gpa))
		return false;
	if (page_track_add(&vm->track, &vm->tdp, gpa, changed))
		return true;
	if (vm->tdp.table.retired == NULL)
		return false;
	flush_and_release(vcpu);
	return page_track_add(&vm->track, &vm->tdp, gpa, changed);
}

bool track_add(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	uint64_t frame = ALIGN_DOWN(gpa.v, PAGE_BYTES);
	bool changed = false, ok;

	lock_acquire(&vm->lock);
	ok = add(vcpu, gpa, &changed);
	if (changed)
		flush_and_release(vcpu);
	if (ok && changed) /* otherwise it has been closed, and relied upon, for long */
		flush_model_rely(&vm->tdp.model, frame, frame + PAGE_BYTES - 1);
	lock_release(&vm->lock);
	if (ok)
		page_track_added(&vm->track, vcpu->index, gpa);
	return ok;
}

static bool has_writer(struct vm *vm, gpa_t start, uint64_t bytes)
{
	bool is_open;

	lock_acquire(&vm->lock);
	is_open = page_track_has_writer(&vm->track, start, bytes);
	lock_release(&vm->lock);
	return is_open;
}

/* They are executing one instruction each, and nothing that they may wait for meanwhile is ours. */
static void wait_for_writers(struct vcpu *vcpu, gpa_t start, uint64_t bytes)
{
	while (!page_track_is_writing(&vcpu->track_writer) && has_writer(vcpu->vm, start, bytes)) {
		/* The other one needs the lock as well, to be done with it. */
		for (unsigned i = 0; i < WRITER_PAUSES; i++)
			cpu_pause();
	}
}

bool track_remove(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	bool was_last;

	lock_acquire(&vm->lock);
	was_last = page_track_remove(&vm->track, &vm->tdp, gpa);
	lock_release(&vm->lock);
	if (!was_last)
		return false;
	wait_for_writers(vcpu, gpa, 1);
	page_track_removed(&vm->track, vcpu->index, gpa);
	return true;
}

uint64_t track_remove_region(struct vcpu *vcpu, gpa_t start, uint64_t bytes)
{
	struct vm *vm = vcpu->vm;
	uint64_t removed;

	lock_acquire(&vm->lock);
	removed = page_track_remove_region(&vm->track, &vm->tdp, start, bytes);
	lock_release(&vm->lock);
	if (removed == 0)
		return 0;
	wait_for_writers(vcpu, start, bytes);
	page_track_region_removed(&vm->track, vcpu->index, start, bytes);
	return removed;
}

void track_close(struct vcpu *vcpu, bool complete)
{
	struct vm *vm = vcpu->vm;

	page_track_report(&vm->track, &vcpu->track_writer, complete);
	lock_acquire(&vm->lock);
	page_track_close(&vm->track, &vcpu->track_writer, &vm->tdp);
	lock_release(&vm->lock);
}
