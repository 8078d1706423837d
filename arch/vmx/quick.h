/* SPDX-License-Identifier: BSD-2-Clause */
/* What the entry stub calls after each exit: enum quick_next says what it is to do then. */
#ifndef ARCH_VMX_QUICK_H
#define ARCH_VMX_QUICK_H

#include <stdint.h>

struct vcpu;

/* Handle the exit if that is quickly done. */
uint32_t vmx_quick_exit(struct vcpu *vcpu);
/* The same for a caller of vmx_enter() who wants to see the exit whatever it is. */
uint32_t vmx_trial_exit(struct vcpu *vcpu);

#endif
