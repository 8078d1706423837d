/* SPDX-License-Identifier: BSD-2-Clause */
/* The VMCS in readable form, and the end when it cannot be accessed. */
#ifndef ARCH_VMX_DUMP_H
#define ARCH_VMX_DUMP_H

struct vcpu;

/* All fields of the current VMCS that this CPU has. */
void vmx_dump(struct vcpu *vcpu);

#endif
