/* SPDX-License-Identifier: BSD-2-Clause */
/* Let the guest execute one instruction natively with one frame opened, then close it again. */
#ifndef VMEXIT_STEP_H
#define VMEXIT_STEP_H

#include "vmexit/exit.h"

enum step_kind {
	STEP_NONE,
	STEP_HIDDEN_WRITE, /* the frame is the hypervisor's: a scratch page stands in for it */
	STEP_APIC_WRITE, /* the frame is the local APIC's: a copy of its registers stands in for it */
	STEP_IRET,	 /* no frame: the IRET that unblocks NMIs */
};

void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa);
enum exit_verdict step_exit(struct vcpu *vcpu);
/* VT-x: an interrupt is pending; give the step up, the guest will come again. */
enum exit_verdict step_interrupted_exit(struct vcpu *vcpu);

#endif
