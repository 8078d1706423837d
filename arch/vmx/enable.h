/* SPDX-License-Identifier: BSD-2-Clause */
/* Is this CPU able to, and the way into VMX operation and out of it. */
#ifndef ARCH_VMX_ENABLE_H
#define ARCH_VMX_ENABLE_H

#include "core/vendor.h"

enum core_status vmx_probe(struct hv_caps *caps, struct failure *failure);
enum core_status vmx_cpu_enable(struct cpu *cpu, struct failure *failure);
void vmx_cpu_disable(struct cpu *cpu);

/* What the boot CPU chose, for all of them. */
const struct vmx_controls *vmx_chosen_controls(void);
/* How the lines get attention, with the VMX-preemption timer among the controls if that is how. */
void vmx_prepare_attention(struct vm *vm);
/* What it counts down from in ATTENTION_MS. */
uint32_t vmx_timer_period(void);
/* IA32_VMX_BASIC's revision identifier, the first word of each VMX region. */
uint32_t vmx_revision(void);

#endif
