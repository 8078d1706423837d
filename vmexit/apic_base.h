/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IA32_APIC_BASE: the guest's word of it and the hardware's. A CPU whose APIC is off gets no NMI, and whoever changes the
 * guest-physical map waits for it. So while the guest's APIC is off, the hardware's is on, in xAPIC mode, on a frame of
 * our own, where the guest does not meet it: what it does at its APIC's address goes to memory or the bus as on the bare
 * machine. It is switched off for moments only, where nothing else does what that does to it. LINT0 and LINT1 are wired through as they are without an APIC. SDM: "Enabling or Disabling the Local APIC",
 * "Relocating the Local APIC Registers", "Local APIC State After It Has Been Software Disabled"; virtual wire mode is in
 * the MultiProcessor Specification.
 */
#ifndef VMEXIT_APIC_BASE_H
#define VMEXIT_APIC_BASE_H

#include "arch/x86/apic.h"
#include "core/vcpu.h"

enum apic_base_result {
	APIC_BASE_WRITTEN,
	APIC_BASE_REFUSED, /* #GP: the hardware says so, or it cannot be followed there; nothing has changed */
	APIC_BASE_AGAIN, /* a kick is on its way to this CPU and would be lost: the guest tries again */
};

/* This CPU starts to run the guest: map and protect the page where its APIC is. */
void apic_base_begin(struct vcpu *vcpu);
/* The guest writes IA32_APIC_BASE. */
MUST_CHECK enum apic_base_result apic_base_write(struct vcpu *vcpu, uint64_t value);

/* Whether it is on behind the guest's back: CPUID must not show it. SDM: "Enabling or Disabling the Local APIC". */
static inline bool apic_is_borrowed(const struct vcpu *vcpu)
{
	return apic_mode(vcpu->apic_base) == APIC_DISABLED &&
	       apic_mode(vcpu->apic_base_hardware) != APIC_DISABLED;
}

#endif
