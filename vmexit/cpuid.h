/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID: the machine's own answer, minus virtualization, plus our name. */
#ifndef VMEXIT_CPUID_H
#define VMEXIT_CPUID_H

#include "vmexit/exit.h"

/* CPUID as the guest is to see it, from and to the registers. */
void cpuid_execute(struct vcpu *vcpu);

static inline enum exit_verdict cpuid_exit(struct vcpu *vcpu)
{
	cpuid_execute(vcpu);
	return VERDICT_NEXT_INSN;
}

#endif
