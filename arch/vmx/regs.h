/* SPDX-License-Identifier: BSD-2-Clause */
/* The register cache's other side: the guest-state area of the VMCS, and MSRs that live in it. */
#ifndef ARCH_VMX_REGS_H
#define ARCH_VMX_REGS_H

#include "arch/vmx/vmcs.h"
#include "core/vcpu.h"

/* MSRs that only this back end knows, as the VMCS has fields for them. */
#define MSR_BNDCFGS 0xd90u
#define MSR_LBR_CTL 0x14ceu

void vmx_regs_fetch(struct vcpu *vcpu, enum reg reg);
/* The registers in `dirty`, RIP not among them. */
void vmx_regs_store_rest(struct vcpu *vcpu, uint64_t dirty);

/* Before an entry: what handlers have changed. Most often that is RIP alone. */
static inline void vmx_regs_store(struct vcpu *vcpu)
{
	struct regs *regs = &vcpu->regs;
	uint64_t dirty = regs->dirty & REGS_LAZY;

	if (LIKELY((dirty & REG_BIT(REG_RIP)) != 0))
		vmcs_write(VMCS_GUEST_RIP, regs->rip);
	dirty &= ~REG_BIT(REG_RIP);
	if (UNLIKELY(dirty != 0))
		vmx_regs_store_rest(vcpu, dirty);
	regs->dirty = 0;
}

bool vmx_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
bool vmx_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

#endif
