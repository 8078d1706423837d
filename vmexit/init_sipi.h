/* SPDX-License-Identifier: BSD-2-Clause */
/* INIT and SIPI: the state of a CPU after them, and who gets them. */
#ifndef VMEXIT_INIT_SIPI_H
#define VMEXIT_INIT_SIPI_H

#include "arch/x86/apic.h"
#include "vmexit/exit.h"

/* VT-x: the CPU has received them while in the guest. */
enum exit_verdict init_exit(struct vcpu *vcpu);
enum exit_verdict sipi_exit(struct vcpu *vcpu, uint8_t vector);

/* A CPU that has gone through a reset or an INIT in hardware: the rest of its state, as the guest is to find it. */
void vcpu_reset_but_apic(struct vcpu *vcpu);
void vcpu_set_activity(struct vcpu *vcpu, enum activity activity);

/* Take what vcpu->startup holds (AMD-V). */
void startup_apply(struct vcpu *vcpu);

/*
 * A write to the interrupt command register, trapped (AMD-V): INIT, SIPI and NMI are carried in software, the rest is
 * executed on the hardware. The destination is in bits 63:32 as x2APIC has it.
 */
static inline bool icr_is_for_hardware(uint32_t low)
{
	uint32_t mode = low & ICR_MODE;

	return mode != ICR_MODE_INIT && mode != ICR_MODE_STARTUP && mode != ICR_MODE_NMI;
}
void icr_carry(struct vcpu *vcpu, uint64_t icr);

#endif
