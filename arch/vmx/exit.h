/* SPDX-License-Identifier: BSD-2-Clause */
/* An exit, from the VMCS into neutral form. */
#ifndef ARCH_VMX_EXIT_H
#define ARCH_VMX_EXIT_H

#include "arch/vmx/exit_decode.h"
#include "arch/vmx/vmcs.h"

/* The rest of vmx_exit_decode(). */
void vmx_exit_decode_rest(struct vcpu *vcpu, struct exit_info *exit);

/*
 * After an exit: fill `exit`, queue again what was being delivered, restore NMI blocking where the
 * exit hit an IRET, and let NMIs come again in the host.
 */
static inline void vmx_exit_decode(struct vcpu *vcpu, struct exit_info *exit)
{
	exit->raw_reason = vmcs_read32(VMCS_EXIT_REASON);
	exit->raw_info[0] = 0;
	exit->raw_info[1] = 0;
	exit->kind = EXIT_CPUID;
	if (UNLIKELY(exit->raw_reason != REASON_CPUID))
		vmx_exit_decode_rest(vcpu, exit);
}

/* The verdict's "next instruction". */
void vmx_skip_instruction(struct vcpu *vcpu);

#endif
