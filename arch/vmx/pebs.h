/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's PEBS stands still while the host runs: its records go to linear addresses, which are others there. SDM:
 * "Processor Event Based Sampling (PEBS)", "VM-Exit Controls for MSRs".
 */
#ifndef ARCH_VMX_PEBS_H
#define ARCH_VMX_PEBS_H

#include "core/vcpu.h"

/* This CPU, with its VMCS current and the MSR areas empty: takes over what the firmware has enabled. */
void vmx_pebs_init(struct vcpu *vcpu);

/*
 * The guest's WRMSR of IA32_PEBS_ENABLE. False: this CPU has no such MSR or refuses the value, and nothing has
 * changed.
 */
MUST_CHECK bool vmx_pebs_write(struct vcpu *vcpu, uint64_t value);

/* This CPU goes back to the firmware: what was enabled is again. */
void vmx_pebs_end(const struct vcpu *vcpu);

#endif
