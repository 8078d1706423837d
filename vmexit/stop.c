/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/stop.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/kick.h"
#include "core/log.h"
#include "core/panic.h"
#include "vmexit/console.h"
#include "vmexit/debug_slot.h"
#include "vmexit/debug_step.h"
#include "vmexit/step.h"
#include "vmexit/suspend.h"

/* How long to wait for the others, and when to call them again. */
#define GATHER_MS	 1000u
#define GATHER_RESEND_MS 20u

void stop_want(struct vcpu *vcpu, const struct stop_event *event)
{
	if (vcpu->stop_event.reason == STOP_NONE)
		vcpu->stop_event = *event;
	atomic_fetch_or(&vcpu->kick.reasons, KICK_DEBUG);
}

void stop_look_around(struct vcpu *vcpu)
{
	uint32_t reasons = atomic_load(&vcpu->kick.reasons);

	if ((reasons & KICK_STOP) != 0)
		hv_stop_cpu();
	if ((reasons & KICK_SLEEP) != 0) {
		atomic_fetch_and(&vcpu->kick.reasons, ~KICK_SLEEP);
		suspend_take_part(vcpu);
	}
	log_drain(0);
	cpu_pause();
}

/*
 * What has met a breakpoint meets it again if it is still there when it goes on; a write that was watched is not made
 * twice, nor an instruction that was stepped, unless the debugger has asked for another step meanwhile (debug_step_set).
 */
static void forget_what_comes_again(struct vcpu *vcpu)
{
	vcpu->loan.is_met = false;
	if (vcpu->stop_event.reason != STOP_WATCH && vcpu->stop_event.reason != STOP_STEP)
		vcpu->stop_event.reason = STOP_NONE;
}

static void park(struct vcpu *vcpu)
{
	/* Before it is said that it stands still: others may wait for what a step has open. */
	step_cancel(vcpu);
	while (stop_stay(&vcpu->vm->stop, &vcpu->seat)) {
		stop_serve(&vcpu->seat, vcpu);
		stop_look_around(vcpu);
	}
	forget_what_comes_again(vcpu);
}

static bool must_park(const struct vcpu *vcpu)
{
	return vcpu->activity != ACTIVITY_WAIT_SIPI &&
	       (stop_is_on(&vcpu->vm->stop) || atomic_load(&vcpu->seat.held) != 0);
}

/* --- the leader ------------------------------------------------------------------------------ */

static bool waits_for_sipi(const struct vcpu *vcpu)
{
	return *(const volatile enum activity *)&vcpu->activity == ACTIVITY_WAIT_SIPI;
}

static bool stands_still(const struct vcpu *leader, const struct vcpu *other)
{
	return other == leader || atomic_load(&other->online) == 0 || waits_for_sipi(other) ||
	       stop_is_parked(&leader->vm->stop, &other->seat);
}

static uint32_t call_missing(struct vcpu *leader)
{
	struct vm *vm = leader->vm;
	uint32_t missing = 0;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (stands_still(leader, vm->vcpus[i]))
			continue;
		kick_send(vm->vcpus[i], KICK_DEBUG);
		missing++;
	}
	return missing;
}

/* The one who waits for its SIPI is told as well: it may have been started since. */
static void tell_waiting(struct vcpu *leader)
{
	struct vm *vm = leader->vm;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i] != leader)
			atomic_fetch_or(&vm->vcpus[i]->kick.reasons, KICK_DEBUG);
	}
}

static bool are_all_still(const struct vcpu *leader)
{
	const struct vm *vm = leader->vm;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (!stands_still(leader, vm->vcpus[i]))
			return false;
	}
	return true;
}

static uint64_t deadline_in(uint32_t ms)
{
	return rdtsc() + (uint64_t)ms * host_values.tsc_khz;
}

static bool is_over(uint64_t deadline)
{
	return (int64_t)(rdtsc() - deadline) >= 0;
}

static void gather(struct vcpu *leader)
{
	uint64_t deadline = deadline_in(GATHER_MS), resend = deadline_in(GATHER_RESEND_MS);

	tell_waiting(leader);
	call_missing(leader);
	while (!are_all_still(leader)) {
		stop_look_around(leader);
		if (is_over(deadline)) {
			log_warn("cpu %u: %u CPUs do not stop for the debugger", leader->index,
				 call_missing(leader));
			return;
		}
		if (is_over(resend)) {
			call_missing(leader);
			resend = deadline_in(GATHER_RESEND_MS);
		}
	}
}

static void lead(struct vcpu *leader)
{
	step_cancel(leader);
	gather(leader);
	console_session(leader);
	stop_end(&leader->vm->stop);
}

void stop_act(struct vcpu *vcpu)
{
	for (;;) {
		if (must_park(vcpu))
			park(vcpu);
		debug_slot_look(vcpu);
		debug_step_look(vcpu);
		if (vcpu->stop_event.reason == STOP_NONE)
			break;
		if (stop_begin(&vcpu->vm->stop, vcpu->index))
			lead(vcpu);
	}
}

bool stop_has_state(const struct vcpu *leader, const struct vcpu *target)
{
	return target == leader || (atomic_load(&target->online) != 0 && !waits_for_sipi(target) &&
				    stop_is_parked(&leader->vm->stop, &target->seat));
}

bool stop_run_on(struct vcpu *leader, struct vcpu *target,
		 void (*function)(struct vcpu *vcpu, void *context), void *context)
{
	const struct stop_request request = { function, context };

	if (!stop_has_state(leader, target))
		return false;
	if (target == leader) {
		function(leader, context);
		return true;
	}
	stop_ask(&target->seat, &request);
	while (!stop_is_done(&target->seat))
		stop_look_around(leader);
	return true;
}

void stop_forget_all(struct vm *vm)
{
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i]->seat = (struct stop_seat){ 0 };
		vm->vcpus[i]->stop_event = (struct stop_event){ 0 };
		vm->vcpus[i]->debug_step = 0;
	}
	stop_forget(&vm->stop);
}
