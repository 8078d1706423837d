/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest: the VM-entry interruption field, NMI-window exiting, and deliveries that
 * an exit interrupted. SDM: "Event Injection", "Information for VM Exits That Occur During Event
 * Delivery".
 */
#ifndef ARCH_VMX_EVENTS_H
#define ARCH_VMX_EVENTS_H

#include "arch/vmx/state.h"

/* At an exit whose IDT-vectoring information is valid: deliver it again. */
void vmx_events_requeue(struct vcpu *vcpu, uint32_t idt_vectoring);

/* Fill the interruption field, ask for a window or no longer. */
void vmx_events_fill(struct vcpu *vcpu);

/* Before an entry, after the register cache was stored. */
static inline void vmx_events_prepare(struct vcpu *vcpu)
{
	const uint32_t primary = vmx_of(vcpu)->controls.word[VMX_WORD_PRIMARY];

	if (UNLIKELY(vcpu->events.pending.valid || vcpu->events.nmi_pending ||
		     (primary & PRIMARY_NMI_WINDOW_EXITING) != 0))
		vmx_events_fill(vcpu);
}

/* The entry did not happen: what was in the field goes back to the queue. */
void vmx_events_cancel(struct vcpu *vcpu);

#endif
