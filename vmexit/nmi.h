/* SPDX-License-Identifier: BSD-2-Clause */
/* NMIs, the guest's and our kicks, and other exits that only ask for a look before the next entry. */
#ifndef VMEXIT_NMI_H
#define VMEXIT_NMI_H

#include "vmexit/exit.h"

/* An NMI made the guest exit, or came while the host ran (the back end has taken it). */
enum exit_verdict nmi_exit(struct vcpu *vcpu);
/* SVM without vNMI: the guest is about to execute the IRET that ends its NMI handler. */
enum exit_verdict iret_exit(struct vcpu *vcpu);

/* It is time to look at the lines (vmexit/attention.h). */
enum exit_verdict attention_exit(struct vcpu *vcpu);

void nmi_act(struct vcpu *vcpu);

/*
 * Before each entry: act upon kicks and on NMIs that the host's handler has counted. First says that the guest runs,
 * then looks: whoever sets a reason and sees in_guest = 0 need not wait for us.
 */
static inline void nmi_before_entry(struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, 1);
	if (UNLIKELY(vcpu->cpu->nmi_count != vcpu->cpu->nmi_handled ||
		     atomic_load(&vcpu->kick.reasons) != 0))
		nmi_act(vcpu);
	flush_model_entered(&vcpu->vm->tdp.model, vcpu->index);
}

/* After each exit: whoever sets a reason from now on need not wait for us. */
static inline void nmi_after_exit(struct vcpu *vcpu)
{
	flush_model_left(&vcpu->vm->tdp.model, vcpu->index);
	atomic_store_explicit(&vcpu->in_guest, 0, memory_order_release);
}

#endif
