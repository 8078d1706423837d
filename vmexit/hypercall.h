/* SPDX-License-Identifier: BSD-2-Clause */
/* VMCALL and VMMCALL from the guest: is a Solovisor there, which one, and what has it done? */
#ifndef VMEXIT_HYPERCALL_H
#define VMEXIT_HYPERCALL_H

#include "vmexit/exit.h"

/* RAX on input. Anything else is #UD, as on a machine without us. */

/* CPL 0. On output RAX is HYPERCALL_VERSION. */
#define HYPERCALL_PRESENCE   UINT64_C(0x534f4c4f56495352) /* "SOLOVISR" */
#define HYPERCALL_VERSION    UINT64_C(0x00000001)

/*
 * Any CPL, but CPL 0 only where we hide (cpuid = hidden). RCX is an enum exit_kind, and on output RAX is how many such exits all
 * CPUs have had; #UD beyond the last kind.
 */
#define HYPERCALL_STATISTICS UINT64_C(0x534f4c4f56535441) /* "SOLOVSTA" */

enum exit_verdict hypercall_exit(struct vcpu *vcpu);

/* The quick way: whether it is HYPERCALL_PRESENCE, and its handler for a caller who has seen that, and CPL 0. */
static inline bool hypercall_is_presence(const struct vcpu *vcpu)
{
	return regs_fixed_read(&vcpu->regs, REG_RAX) == HYPERCALL_PRESENCE;
}

static inline enum exit_verdict hypercall_presence_exit(struct vcpu *vcpu)
{
	regs_fixed_write(&vcpu->regs, REG_RAX, HYPERCALL_VERSION);
	return VERDICT_NEXT_INSN;
}

#endif
