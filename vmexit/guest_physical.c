/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/guest_physical.h"

#include "arch/x86/insn.h"
#include "core/lock.h"
#include "mm/guest_copy.h"
#include "vmexit/track.h"

/* Between two looks whether the frame is free. The other CPU needs the lock as well, to be done with it. */
#define TURN_PAUSES 100u

/*
 * Two CPUs must not wait for each other's frames: those of a step, whose instruction is done, are given up first. Those
 * that this file claims are never held while it waits.
 */
static void wait_a_little(struct vcpu *vcpu)
{
	if (vcpu->step_kind != 0)
		track_close(vcpu, true);
	for (unsigned i = 0; i < TURN_PAUSES; i++)
		cpu_pause();
}

/* Whether it is claimed, and to be told; otherwise the lock is held, so that nobody begins to track it before the write. */
static bool begin(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	enum page_track_result result;

	for (;;) {
		lock_acquire(&vm->lock);
		result = page_track_claim(&vm->track, &vcpu->track_writer, gpa);
		if (result == PAGE_TRACK_UNTRACKED)
			return false;
		lock_release(&vm->lock);
		if (result == PAGE_TRACK_OPEN)
			return true;
		wait_a_little(vcpu);
	}
}

static void end(struct vcpu *vcpu, bool is_claimed)
{
	struct vm *vm = vcpu->vm;

	if (is_claimed) {
		lock_acquire(&vm->lock);
		page_track_release(&vm->track, &vcpu->track_writer, &vm->tdp);
	}
	lock_release(&vm->lock);
}

static void write_part(struct vcpu *vcpu, gpa_t to, const uint8_t *from, unsigned bytes)
{
	bool is_claimed = begin(vcpu, to);

	(void)!guest_copy_out(to, from, bytes); /* it is RAM */
	if (is_claimed)
		page_track_tell(&vcpu->vm->track, &vcpu->track_writer, to, from, bytes);
	end(vcpu, is_claimed);
}

bool guest_physical_write(struct vcpu *vcpu, gpa_t to, const void *from, unsigned bytes)
{
	const uint8_t *rest = from;

	if (!guest_copy_is_ram(to, bytes))
		return false;
	while (bytes > 0) {
		unsigned part = (unsigned)(PAGE_BYTES - to.v % PAGE_BYTES);

		if (part > bytes)
			part = bytes;
		write_part(vcpu, to, rest, part);
		to.v += part;
		rest += part;
		bytes -= part;
	}
	return true;
}

/* An entry does not cross a frame. One that has changed meanwhile is not written. */
static bool exchange(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
		     bool *same)
{
	struct vcpu *vcpu = context;
	bool is_claimed = begin(vcpu, gpa), ok;

	ok = guest_copy_exchange(gpa, bytes, old, new, same);
	if (is_claimed && ok && *same)
		page_track_tell(&vcpu->vm->track, &vcpu->track_writer, gpa,
				(const uint8_t *)(const void *)&new, bytes);
	end(vcpu, is_claimed);
	return ok;
}

struct gva_reader guest_physical_reader(struct vcpu *vcpu)
{
	struct gva_reader reader = guest_copy_reader;

	reader.context = vcpu;
	reader.exchange = exchange;
	return reader;
}
