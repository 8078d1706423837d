/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/cpuid.h"

#include "arch/x86/insn.h"
#include "core/caps.h"

#define LEAF_HYPERVISOR	     0x40000000u
#define LEAF_SVM	     0x8000000au

#define LEAF1_ECX_VMX	     BIT32(5)
#define LEAF1_ECX_SMX	     BIT32(6)
#define LEAF1_ECX_OSXSAVE    BIT32(27)
#define LEAF1_ECX_HYPERVISOR BIT32(31)
#define LEAF7_ECX_OSPKE	     BIT32(4)
#define LEAF80000001_ECX_SVM BIT32(2)

static uint32_t follow(uint32_t word, uint32_t bit, bool on)
{
	return on ? word | bit : word & ~bit;
}

/* The bits that show the guest's CR4, which is not in CR4 now. SDM: "CPUID—CPU Identification". */
static void fix_leaf1(struct vcpu *vcpu, struct cpuid_result *r)
{
	r->ecx = follow(r->ecx, LEAF1_ECX_OSXSAVE, (cr4_read(vcpu) & CR4_OSXSAVE) != 0);
	if (hv_caps.vmx)
		r->ecx &= ~(LEAF1_ECX_VMX | LEAF1_ECX_SMX);
	if (hv_caps.cpuid_named)
		r->ecx |= LEAF1_ECX_HYPERVISOR;
}

static void name_leaf(uint32_t leaf, struct cpuid_result *r)
{
	*r = (struct cpuid_result){ 0 };
	if (leaf == LEAF_HYPERVISOR) {
		r->eax = LEAF_HYPERVISOR;
		r->ebx = 0x6f6c6f53; /* "Solo" */
		r->ecx = 0x6f736976; /* "viso" */
		r->edx = 0x00564872; /* "rHV" */
	}
}

enum exit_verdict cpuid_exit(struct vcpu *vcpu)
{
	uint32_t leaf = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RAX);
	struct cpuid_result r = cpuid(leaf, (uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX));

	if (leaf == 1) {
		fix_leaf1(vcpu, &r);
	} else if (leaf == 7) {
		if ((uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX) == 0)
			r.ecx = follow(r.ecx, LEAF7_ECX_OSPKE, (cr4_read(vcpu) & CR4_PKE) != 0);
	} else if (leaf == 0x80000001) {
		r.ecx &= ~LEAF80000001_ECX_SVM;
	} else if (leaf == LEAF_SVM) {
		r = (struct cpuid_result){ 0 };
	} else if ((leaf & 0xffffff00) == LEAF_HYPERVISOR && hv_caps.cpuid_named) {
		name_leaf(leaf, &r);
	}
	regs_fixed_write(&vcpu->regs, REG_RAX, r.eax);
	regs_fixed_write(&vcpu->regs, REG_RBX, r.ebx);
	regs_fixed_write(&vcpu->regs, REG_RCX, r.ecx);
	regs_fixed_write(&vcpu->regs, REG_RDX, r.edx);
	return VERDICT_NEXT_INSN;
}
