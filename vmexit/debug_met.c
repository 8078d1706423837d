/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_met.h"

#include "core/gdb_target.h"
#include "vmexit/step.h"
#include "vmexit/stop.h"

static void want_watch(struct vcpu *vcpu, uint8_t met)
{
	const struct debug_slot *slot = &vcpu->vm->debug.slot[__builtin_ctz(met)];
	const struct stop_event event = { .reason = STOP_WATCH,
					  .watch = GDB_WATCH_ACCESS,
					  .address = slot->address };

	stop_want(vcpu, &event);
}

static void want_break(struct vcpu *vcpu, uint64_t again)
{
	const struct stop_event event = { .reason = STOP_HARDWARE };

	/* Its instruction has not been executed. */
	step_cancel(vcpu);
	vcpu->loan.is_met = true;
	vcpu->loan.met_rip = rip_read(vcpu);
	vcpu->loan.met_again = again;
	stop_want(vcpu, &event);
}

bool debug_met_exception(struct vcpu *vcpu, struct event *event)
{
	struct debug_hits hits;

	debug_classify(dr7_read(vcpu), &vcpu->loan.merged, event->payload, &hits);
	if (hits.met_behind != 0)
		want_watch(vcpu, hits.met_behind);
	else if (hits.met_before != 0)
		want_break(vcpu, hits.again);
	event->payload = hits.payload;
	return hits.is_guests;
}

/* One on the next instruction is met when that is executed. */
uint64_t debug_met_behind(struct vcpu *vcpu, uint64_t met)
{
	struct debug_hits hits;

	if (!vcpu->loan.is_lent || met == 0)
		return met;
	debug_classify(dr7_read(vcpu), &vcpu->loan.merged, met, &hits);
	if (hits.met_behind != 0)
		want_watch(vcpu, hits.met_behind);
	return hits.payload;
}
