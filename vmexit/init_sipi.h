/* SPDX-License-Identifier: BSD-2-Clause */
/* INIT and SIPI: the state of a CPU after them, and who gets them. */
#ifndef VMEXIT_INIT_SIPI_H
#define VMEXIT_INIT_SIPI_H

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
 * A write to the interrupt command register, trapped (AMD-V): destination in bits 63:32 as x2APIC has it. INIT, SIPI
 * and NMI are carried in software. True: it is none of these, execute the write on the hardware.
 */
MUST_CHECK bool icr_write_trapped(struct vcpu *vcpu, uint64_t icr);

#endif
