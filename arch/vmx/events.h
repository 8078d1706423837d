/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Events into the guest: the VM-entry interruption field, NMI-window exiting, and deliveries that an exit
 * interrupted. SDM: "Event Injection", "Information for VM Exits That Occur During Event Delivery".
 */
#ifndef ARCH_VMX_EVENTS_H
#define ARCH_VMX_EVENTS_H

#include "core/vcpu.h"

/* At an exit whose IDT-vectoring information is valid: deliver it again. */
void vmx_events_requeue(struct vcpu *vcpu, uint32_t idt_vectoring);

/* Before an entry, after the register cache was stored: fill the interruption field, ask for a window. */
void vmx_events_prepare(struct vcpu *vcpu);
/* The entry did not happen: what was in the field goes back to the queue. */
void vmx_events_cancel(struct vcpu *vcpu);

#endif
