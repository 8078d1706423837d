/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Let the guest execute one instruction natively with one frame (or a few, for an access across their boundary) opened
 * on this CPU alone, then close it again.
 */
#ifndef VMEXIT_STEP_H
#define VMEXIT_STEP_H

#include "vmexit/exit.h"

enum step_kind {
	STEP_NONE,
	STEP_HIDDEN_WRITE, /* the frame is the hypervisor's: a scratch page of 0xff stands in for it */
	STEP_APIC_WRITE, /* the frame is the local APIC's: a copy of its registers stands in for it */
	STEP_PLAIN,	 /* the frame itself, with all rights */
	STEP_TRACKED,	 /* the same, and what is written there is reported (mm/page_track.h) */
	STEP_TRACKED_WALK, /* the same for a walk of the guest's tables, which may write nothing at all */
	STEP_CODE,	   /* the frame is closed to instruction fetches (vmexit/debug_break.h) */
	STEP_IRET,	   /* no frame: the IRET that unblocks NMIs */
	STEP_SHADOW, /* no frame: the instruction in an interrupt shadow that an NMI waits for */
	STEP_DEBUG,  /* no frame: the debugger's (vmexit/debug_step.h) */
};

/* Also during a step of the same kind, for the second frame that its instruction touches. */
void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa);
enum exit_verdict step_exit(struct vcpu *vcpu);

/* The instruction has faulted instead, or an INIT came: end the step without its effect. */
void step_abandon(struct vcpu *vcpu);

/* The instruction has not been executed, and something else comes first; what the step was for has not happened. */
void step_cancel(struct vcpu *vcpu);

/*
 * A step with frames open, if there is one, is given up; the instruction may begin again. The guest-physical map has changed,
 * so that this CPU's view of it is old; or the instruction has exited, and what it does is done for it here.
 */
void step_drop_frames(struct vcpu *vcpu);

/* VT-x: an interrupt is pending; give the step up, the guest will come again. */
enum exit_verdict step_interrupted_exit(struct vcpu *vcpu);

#endif
