/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUID: the machine's own answer, minus virtualization, plus our name. */
#ifndef VMEXIT_CPUID_H
#define VMEXIT_CPUID_H

#include "vmexit/exit.h"

enum exit_verdict cpuid_exit(struct vcpu *vcpu);

#endif
