/* SPDX-License-Identifier: BSD-2-Clause */
/* Breakpoints in debug registers that a CPU has met while the guest lends them: whose they are (vmexit/debug_slot.h). */
#ifndef VMEXIT_DEBUG_MET_H
#define VMEXIT_DEBUG_MET_H

#include "vmexit/exit.h"

/*
 * #DB while the registers are lent, with news for DR6 as its payload. False: nothing of it is the guest's. Else the payload
 * is what is.
 */
MUST_CHECK bool debug_met_exception(struct vcpu *vcpu, struct event *event);

/* An instruction has been stepped or executed, and these breakpoints were met. Returns those that are the guest's. */
uint64_t debug_met_behind(struct vcpu *vcpu, uint64_t met);

#endif
