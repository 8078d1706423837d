/* SPDX-License-Identifier: BSD-2-Clause */
/* An exit, from the VMCS into neutral form. */
#ifndef ARCH_VMX_EXIT_H
#define ARCH_VMX_EXIT_H

#include "vmexit/exit.h"

/*
 * After an exit: fill `exit`, queue again what was being delivered, restore NMI blocking where the exit hit an IRET,
 * and let NMIs come again in the host.
 */
void vmx_exit_decode(struct vcpu *vcpu, struct exit_info *exit);

/* The verdict's "next instruction". */
void vmx_skip_instruction(struct vcpu *vcpu);

#endif
