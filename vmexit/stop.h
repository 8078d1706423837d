/* SPDX-License-Identifier: BSD-2-Clause */
/* core/stop.h on the machine: who stops, parks, leads, and asks the others for what only they can do. */
#ifndef VMEXIT_STOP_H
#define VMEXIT_STOP_H

#include "vmexit/exit.h"

/* This CPU stops all others, and itself, before it enters the guest again. The first reason counts. */
void stop_want(struct vcpu *vcpu, const struct stop_event *event);

/* KICK_DEBUG, before the entry: park while others lead, lead if there is a reason, go on with a single step. */
void stop_act(struct vcpu *vcpu);

/*
 * The leader, on its own CPU: whatever waits. A panic elsewhere ends it here, and S3, which another CPU was at before it
 * parked, is gone through. To be called while it polls.
 */
void stop_look_around(struct vcpu *leader);

/* The leader: run a function on a CPU that stands still, its own included. False: that one waits for a SIPI, or is lost. */
MUST_CHECK bool stop_run_on(struct vcpu *leader, struct vcpu *target,
			    void (*function)(struct vcpu *vcpu, void *context), void *context);
/* Whether a CPU stands still, with a state to look at. */
MUST_CHECK bool stop_has_state(const struct vcpu *leader, const struct vcpu *target);

/* After S3: nobody stands anywhere. */
void stop_forget_all(struct vm *vm);

#endif
