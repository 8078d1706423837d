/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debugger's single step: one instruction of the guest on one CPU, with interrupts and NMIs held back, however many exits
 * that takes. It ends behind the instruction, done natively, by a handler, or by another step for a frame that it touches;
 * or, where the instruction raises an exception, at the first one of its handler. A repeated string instruction ends after
 * each iteration; HLT and MWAIT do not wait. On AMD-V the instruction behind a load of SS goes with it, as there is no trap
 * between the two (APM: "Single Stepping").
 */
#ifndef VMEXIT_DEBUG_STEP_H
#define VMEXIT_DEBUG_STEP_H

#include "vmexit/exit.h"

enum debug_step {
	DEBUG_STEP_NONE,
	DEBUG_STEP_WANTED, /* when it goes on */
	DEBUG_STEP_BEGUN,
	DEBUG_STEP_DONE,
};

/*
 * The leader of a stop, for a CPU that stands still: one instruction when it goes on, and another as long as RIP is at least
 * `from` and less than `to`, unless there is another reason to stop; or none. A step that is done, and not yet told of, is
 * forgotten.
 */
void debug_step_set(struct vcpu *vcpu, bool wanted, uint64_t from, uint64_t to);

/* Before the entry, with KICK_DEBUG: begin, go on, or say that it is done. */
void debug_step_look(struct vcpu *vcpu);

/* A native step has ended (vmexit/step.h), with its instruction executed or not. */
void debug_step_ended(struct vcpu *vcpu, bool complete);

/* An exit in the middle of it has been handled: it may be done. */
void debug_step_exited(struct vcpu *vcpu);

#endif
