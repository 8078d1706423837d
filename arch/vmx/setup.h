/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory for the control structures, and what they hold at first. */
#ifndef ARCH_VMX_SETUP_H
#define ARCH_VMX_SETUP_H

#include "core/vcpu.h"

MUST_CHECK bool vmx_vm_init(struct vm *vm, struct pool *pool);
MUST_CHECK bool vmx_vcpu_alloc(struct vcpu *vcpu, struct pool *pool);
void vmx_vcpu_init(struct vcpu *vcpu);
void vmx_vcpu_reload(struct vcpu *vcpu);

/* What INIT does beyond the register cache. SDM: "Processor State After Reset". */
void vmx_vcpu_reset(struct vcpu *vcpu);
void vmx_activity_changed(struct vcpu *vcpu);
/* Let pending interrupts come in the host. */
void vmx_take_interrupts(void);

void vmx_flush_tdp(struct vcpu *vcpu);
void vmx_flush_linear(struct vcpu *vcpu);
void vmx_set_tdp_root(struct vcpu *vcpu, hpa_t root);
void vmx_set_single_step(struct vcpu *vcpu, bool on);
void vmx_debug_lent(struct vcpu *vcpu, uint64_t dr7);

#endif
