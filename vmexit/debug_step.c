/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_step.h"

#include "arch/x86/cr.h"
#include "core/kick.h"
#include "core/vendor.h"
#include "vmexit/step.h"
#include "vmexit/stop.h"

void debug_step_set(struct vcpu *vcpu, bool wanted, uint64_t from, uint64_t to)
{
	if (vcpu->stop_event.reason == STOP_STEP)
		vcpu->stop_event.reason = STOP_NONE;
	vcpu->debug_step = wanted ? DEBUG_STEP_WANTED : DEBUG_STEP_NONE;
	vcpu->debug_step_from = from;
	vcpu->debug_step_to = to;
}

/* Handlers do whole instructions, and move RIP; one that branches to itself is never one of them. */
static bool was_done_here(struct vcpu *vcpu)
{
	return rip_read(vcpu) != vcpu->debug_step_rip && !vcpu->events.pending.valid;
}

static bool is_done(struct vcpu *vcpu)
{
	return vcpu->debug_step == DEBUG_STEP_DONE ||
	       (vcpu->debug_step == DEBUG_STEP_BEGUN && was_done_here(vcpu));
}

static bool goes_on(struct vcpu *vcpu)
{
	uint64_t rip = rip_read(vcpu);

	return rip >= vcpu->debug_step_from && rip < vcpu->debug_step_to;
}

static void finish(struct vcpu *vcpu)
{
	const struct stop_event event = { .reason = STOP_STEP };

	vcpu->debug_step = DEBUG_STEP_NONE;
	if (vcpu->step_kind == STEP_DEBUG)
		step_abandon(vcpu);
	/* It does not sleep behind a HLT. */
	vendor->activity_changed(vcpu);
	if (goes_on(vcpu))
		vcpu->debug_step = DEBUG_STEP_WANTED;
	else
		stop_want(vcpu, &event);
}

/*
 * It gives way to nothing: the shadow of an STI holds interrupts back for one instruction. Not with an event to be delivered
 * first, nor with TF, whose trap would have to be pending then (SDM: "Checks on Guest Non-Register State").
 */
static void hold_interrupts(struct vcpu *vcpu)
{
	if ((rflags_read(vcpu) & (RFLAGS_IF | RFLAGS_TF)) == RFLAGS_IF &&
	    interrupt_shadow_read(vcpu) == 0 && !vcpu->events.pending.valid)
		interrupt_shadow_write(vcpu, SHADOW_STI);
}

static void begin(struct vcpu *vcpu)
{
	hold_interrupts(vcpu);
	step_begin(vcpu, STEP_DEBUG, (gpa_t){ 0 });
}

void debug_step_look(struct vcpu *vcpu)
{
	/* The debugger is to hear of something else, and may let the step go on behind that. */
	if (vcpu->stop_event.reason != STOP_NONE)
		return;
	if (is_done(vcpu))
		finish(vcpu);
	if (vcpu->debug_step == DEBUG_STEP_NONE)
		return;
	if (vcpu->debug_step == DEBUG_STEP_WANTED) {
		vcpu->debug_step = DEBUG_STEP_BEGUN;
		vcpu->debug_step_rip = rip_read(vcpu);
	}
	if (vcpu->step_kind == STEP_NONE)
		begin(vcpu);
}

void debug_step_ended(struct vcpu *vcpu, bool complete)
{
	if (complete && vcpu->debug_step == DEBUG_STEP_BEGUN)
		vcpu->debug_step = DEBUG_STEP_DONE;
	atomic_fetch_or(&vcpu->kick.reasons, KICK_DEBUG);
}

void debug_step_exited(struct vcpu *vcpu)
{
	atomic_fetch_or(&vcpu->kick.reasons, KICK_DEBUG);
}
