/* SPDX-License-Identifier: BSD-2-Clause */
/* What the VT-x back end keeps for each vCPU, beside the VMCS itself. */
#ifndef ARCH_VMX_STATE_H
#define ARCH_VMX_STATE_H

#include "arch/vmx/capability.h"
#include "core/vcpu.h"

/* SDM: "VM-Entry Controls for MSRs". */
struct vmx_msr_entry {
	uint32_t msr, zero;
	uint64_t value;
} __attribute__((aligned(16)));

/*
 * (a) written at allocation, then constant; (e) by enable, on the vCPU's own CPU; (c) this CPU only
 */
struct vmx_vcpu {
	uint64_t vmcs;		      /* (a) physical */
	uint64_t vmxon_region;	      /* (a) physical */
	struct vmx_controls controls; /* (c) the VMCS's; entry without "IA-32e mode guest" */
	uint64_t eptp;		      /* (c) */
	uint64_t host_rsp;	      /* (c) what HOST_RSP holds */
	uint64_t cr0_mask; /* (e) bits of CR0 and CR4 that the guest sees through the shadows */
	uint64_t cr4_mask;
	uint64_t cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1; /* (e) */
	uint64_t ept_vpid;					 /* (e) IA32_VMX_EPT_VPID_CAP */
	uint64_t firmware_cr0, firmware_cr4;			 /* (e) before enable */
	struct vmx_msr_entry pebs_enter, pebs_exit; /* (c) IA32_PEBS_ENABLE in the MSR areas */
	struct event injected; /* (c) in the VM-entry interruption field, not delivered yet */
	uint16_t vpid;	       /* (c) 0 where the CPU has none */
	bool launched;	       /* (c) VMRESUME from now on */
	bool stepping;	       /* (c) */
};

static inline struct vmx_vcpu *vmx_of(const struct vcpu *vcpu)
{
	return vcpu->backend;
}

#endif
