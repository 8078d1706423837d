/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/cpuid.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "vmexit/apic_base.h"

#define LEAF_HYPERVISOR		    0x40000000u
#define LEAF_SVM		    0x8000000au

#define LEAF1_ECX_VMX		    BIT32(5)
#define LEAF1_ECX_SMX		    BIT32(6)
#define LEAF1_ECX_OSXSAVE	    BIT32(27)
#define LEAF1_ECX_HYPERVISOR	    BIT32(31)
#define LEAF1_EDX_APIC		    BIT32(9) /* also of leaf 0x80000001, where the vendor is AMD */
#define LEAF7_EBX_TRACE		    BIT32(25)
#define LEAF7_ECX_OSPKE		    BIT32(4)
/*
 * They need support in the control structures, or register numbers, that are not there: FRED, MSRLIST; RDMSR and WRMSRNS
 * with an immediate; USER_MSR, APX.
 */
#define LEAF7_1_EAX_HIDDEN	    (BIT32(17) | BIT32(27))
#define LEAF7_1_ECX_HIDDEN	    BIT32(5)
#define LEAF7_1_EDX_HIDDEN	    (BIT32(15) | BIT32(21))
#define LEAF_XSAVE		    0xdu
#define LEAF_TRACE		    0x14u
#define LEAF_KEY_LOCKER		    0x19u
#define LEAF19_EBX_AESKLE	    BIT32(0)
#define LEAF_APX		    0x29u
#define XSAVE_APX		    19u /* the state component */
#define LEAF80000001_ECX_SVM	    BIT32(2)
#define LEAF80000001_ECX_SKINIT	    BIT32(12)
#define LEAF80000008_EBX_INVLPGB    BIT32(3) /* #UD in a guest unless the VMCB allows it */
#define LEAF80000008_EAX_MAXPHYADDR UINT32_C(0xff)
#define LEAF_MEMORY_ENCRYPTION	    0x8000001fu

static uint32_t follow(uint32_t word, uint32_t bit, bool on)
{
	return on ? word | bit : word & ~bit;
}

/* The bits that show the guest's CR4, which is not in CR4 now. SDM: "CPUID—CPU Identification". */
static void fix_leaf1(struct vcpu *vcpu, struct cpuid_result *r)
{
	r->ecx = follow(r->ecx, LEAF1_ECX_OSXSAVE, (cr4_read(vcpu) & CR4_OSXSAVE) != 0);
	r->ecx &= ~(LEAF1_ECX_VMX | LEAF1_ECX_SMX);
	if (apic_is_borrowed(vcpu))
		r->edx &= ~LEAF1_EDX_APIC;
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

static void fix_leaf7(struct vcpu *vcpu, uint32_t subleaf, struct cpuid_result *r)
{
	if (subleaf == 0) {
		r->ecx = follow(r->ecx, LEAF7_ECX_OSPKE, (cr4_read(vcpu) & CR4_PKE) != 0);
		if (hv_caps.hides_trace)
			r->ebx &= ~LEAF7_EBX_TRACE;
	} else if (subleaf == 1) {
		r->eax &= ~LEAF7_1_EAX_HIDDEN;
		r->ecx &= ~LEAF7_1_ECX_HIDDEN;
		r->edx &= ~LEAF7_1_EDX_HIDDEN;
	}
}

/* The state of APX is not offered: XSETBV refuses it. Intel APX specification: "CPUID Enumeration". */
static void fix_xsave_leaf(uint32_t subleaf, struct cpuid_result *r)
{
	if (subleaf == 0)
		r->eax &= ~BIT32(XSAVE_APX);
	else if (subleaf == XSAVE_APX)
		*r = (struct cpuid_result){ 0 };
}

/* AESKLE says what CR4.KL and the firmware allow together: with the guest's CR4.KL, the CPU knows it alone. */
static void fix_key_locker(struct vcpu *vcpu, struct cpuid_result *r)
{
	uint64_t rax = LEAF_KEY_LOCKER, rbx, rcx = 0, rdx, cr4;

	if ((cr4_read(vcpu) & CR4_KL) == 0) {
		r->ebx &= ~LEAF19_EBX_AESKLE;
		return;
	}
	cr4 = read_cr4();
	write_cr4(cr4 | CR4_KL);
	cpuid_registers(&rax, &rbx, &rcx, &rdx);
	write_cr4(cr4);
	r->ebx = (uint32_t)rbx;
}

static void fix_extended_leaf(struct vcpu *vcpu, uint32_t leaf, struct cpuid_result *r)
{
	switch (leaf) {
	case 0x80000001:
		r->ecx &= ~(LEAF80000001_ECX_SVM | LEAF80000001_ECX_SKINIT);
		if (apic_is_borrowed(vcpu))
			r->edx &= ~LEAF1_EDX_APIC;
		break;
	case 0x80000008:
		r->ebx &= ~LEAF80000008_EBX_INVLPGB;
		/* No more than the guest-physical map can reach. */
		r->eax = (r->eax & ~LEAF80000008_EAX_MAXPHYADDR) | hv_caps.guest_maxphyaddr;
		break;
	case LEAF_SVM:
	case LEAF_MEMORY_ENCRYPTION: /* the C-bit would be a second address of hidden memory */
		*r = (struct cpuid_result){ 0 };
		break;
	default:
		break;
	}
}

/*
 * Of which leaf this is the answer: past the highest ones CPUs show zeros, or else the highest basic one. SDM: "CPUID—CPU
 * Identification".
 */
static uint32_t shown_leaf(uint32_t leaf, const struct cpuid_result *r)
{
	if (leaf <= hv_caps.cpuid_basic_max || (leaf & 0xffffff00) == LEAF_HYPERVISOR)
		return leaf;
	if (leaf >= 0x80000000 && leaf <= hv_caps.cpuid_extended_max)
		return leaf;
	return (r->eax | r->ebx | r->ecx | r->edx) != 0 ? hv_caps.cpuid_basic_max : 0;
}

static __attribute__((noinline)) void fix_leaf(struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
	struct regs *regs = &vcpu->regs;
	struct cpuid_result r = { .eax = (uint32_t)regs_fixed_read(regs, REG_RAX),
				  .ebx = (uint32_t)regs_fixed_read(regs, REG_RBX),
				  .ecx = (uint32_t)regs_fixed_read(regs, REG_RCX),
				  .edx = (uint32_t)regs_fixed_read(regs, REG_RDX) };

	leaf = shown_leaf(leaf, &r);
	if (leaf == 1)
		fix_leaf1(vcpu, &r);
	else if (leaf == 7)
		fix_leaf7(vcpu, subleaf, &r);
	else if (leaf == LEAF_XSAVE)
		fix_xsave_leaf(subleaf, &r);
	else if (leaf == LEAF_KEY_LOCKER)
		fix_key_locker(vcpu, &r);
	else if (leaf == LEAF_APX || (leaf == LEAF_TRACE && hv_caps.hides_trace))
		r = (struct cpuid_result){ 0 };
	else if (leaf >= 0x80000000)
		fix_extended_leaf(vcpu, leaf, &r);
	else if ((leaf & 0xffffff00) == LEAF_HYPERVISOR && hv_caps.cpuid_named)
		name_leaf(leaf, &r);
	regs_fixed_write(regs, REG_RAX, r.eax);
	regs_fixed_write(regs, REG_RBX, r.ebx);
	regs_fixed_write(regs, REG_RCX, r.ecx);
	regs_fixed_write(regs, REG_RDX, r.edx);
}

/* The leaves that fix_leaf() may change and, as this is on the hottest path, some more. */
static inline bool may_need_fixing(uint32_t leaf)
{
	const uint32_t low_bits = BIT32(1) | BIT32(7) | BIT32(LEAF_XSAVE) | BIT32(LEAF_TRACE) |
				  BIT32(LEAF_KEY_LOCKER) | BIT32(LEAF_APX % 32);

	return ((low_bits >> (leaf % 32)) & 1) != 0 || leaf > hv_caps.cpuid_basic_max;
}

void cpuid_execute(struct vcpu *vcpu)
{
	struct regs *regs = &vcpu->regs;
	uint64_t rax = regs_fixed_read(regs, REG_RAX), rcx = regs_fixed_read(regs, REG_RCX);
	uint32_t leaf = (uint32_t)rax, subleaf = (uint32_t)rcx;
	uint64_t rbx, rdx;

	cpuid_registers(&rax, &rbx, &rcx, &rdx);
	regs_fixed_write(regs, REG_RAX, rax);
	regs_fixed_write(regs, REG_RBX, rbx);
	regs_fixed_write(regs, REG_RCX, rcx);
	regs_fixed_write(regs, REG_RDX, rdx);
	if (UNLIKELY(may_need_fixing(leaf)))
		fix_leaf(vcpu, leaf, subleaf);
}
