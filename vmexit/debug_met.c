/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_met.h"

#include "arch/x86/cr.h"
#include "core/gdb_target.h"
#include "mm/guest_copy.h"
#include "vmexit/guest_memory.h"
#include "vmexit/step.h"
#include "vmexit/stop.h"

#define OPCODE_INT1 0xf1

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

/* INT1 has no reason in DR6 either, and is a trap. */
static bool is_behind_int1(struct vcpu *vcpu)
{
	gva_t last = { guest_linear_rip(vcpu).v - 1 };
	uint8_t opcode;
	gpa_t gpa;

	return guest_peek(vcpu, last, &gpa) && guest_copy_in(&opcode, gpa, sizeof(opcode)) &&
	       opcode == OPCODE_INT1;
}

static uint64_t reasons(struct vcpu *vcpu, uint64_t told)
{
	if (told != 0 || is_behind_int1(vcpu))
		return told;
	return debug_guess(&vcpu->loan.merged, guest_linear_rip(vcpu).v,
			   (rflags_read(vcpu) & RFLAGS_TF) != 0);
}

bool debug_met_exception(struct vcpu *vcpu, struct event *event)
{
	uint64_t happened = reasons(vcpu, event->payload);
	struct debug_hits hits;

	debug_classify(dr7_read(vcpu), &vcpu->loan.merged, happened, &hits);
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
