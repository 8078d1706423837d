/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest instruction alone: RFLAGS.TF with #DB intercepted, and interrupts held back by V_INTR_MASKING with the
 * host's IF = 0. Every other exception is intercepted as well, so that no frame with our TF in it is ever pushed.
 */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "vmexit/step.h"

#define DR6_BREAKPOINTS UINT64_C(0xf)

void svm_set_single_step(struct vcpu *vcpu, bool on)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	if (on == svm->step)
		return;
	if (on) {
		svm->step_guest_tf = (rflags_read(vcpu) & RFLAGS_TF) != 0;
		svm->step_dr6 = vmcb->dr6;
		svm->step = true;
		vmcb->virtual_interrupt |= V_INTR_MASKING;
		rflags_write(vcpu, rflags_read(vcpu)); /* dirty: TF is added when it is stored */
	} else {
		svm->step = false;
		vmcb->virtual_interrupt &= ~V_INTR_MASKING;
	}
	vmcb_touch(vmcb, CLEAN_TPR);
	svm_set_intercepts(vcpu);
}

/* The step is over: flags and DR6 as if nobody had stepped, and the guest's own trap if it is due. */
static void finish(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t hit = svm->vmcb->dr6 & ~svm->step_dr6 & DR6_BREAKPOINTS;

	svm->vmcb->dr6 = svm->step_dr6;
	vmcb_touch(svm->vmcb, CLEAN_DR);
	if (svm->step_guest_tf || hit != 0)
		events_raise_db(vcpu, hit | (svm->step_guest_tf ? DR6_BS : 0));
}

static void restore_tf(struct vcpu *vcpu, bool flags_loaded)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rflags = svm->vmcb->rflags;

	if (!flags_loaded)
		rflags = (rflags & ~RFLAGS_TF) | (svm->step_guest_tf ? RFLAGS_TF : 0);
	svm->step = false; /* so that the cache takes the value as it is */
	rflags_write(vcpu, rflags);
	svm->step = true;
}

void svm_step_exception(struct vcpu *vcpu, struct exit_info *exit)
{
	if (exit->exception.vector == VECTOR_DB) {
		/* IRET has loaded the flags, TF among them; other instructions leave ours there. */
		restore_tf(vcpu, vcpu->step_kind == STEP_IRET);
		finish(vcpu);
		exit->kind = EXIT_STEP;
		return;
	}
	/* The instruction has not been executed; the guest's handler may bring it back later. */
	restore_tf(vcpu, false);
}
