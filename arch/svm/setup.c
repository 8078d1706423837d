/* SPDX-License-Identifier: BSD-2-Clause */
/* The control block as it is at the start: what is intercepted, and why, is here and in vmexit/msr.c's table. */
#include "arch/svm/svm.h"

#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/caps.h"
#include "mm/layout.h"
#include "vmexit/attention.h"
#include "vmexit/io.h"
#include "vmexit/msr.h"

#define MSRPM_PAGES 2u
#define ASID_GUEST  1u

/* APM volume 2: "MSR Intercepts": three ranges of 8,192 MSRs, two bits each. */
static void trap_msrs(uint8_t *msrpm, uint32_t first, unsigned offset)
{
	for (uint32_t i = 0; i < 8192; i++) {
		unsigned bit = (i & 3) * 2;
		uint8_t *byte = &msrpm[offset + i / 4];

		if (msr_traps_read(first + i))
			*byte = (uint8_t)(*byte | 1u << bit);
		if (msr_traps_write(first + i))
			*byte = (uint8_t)(*byte | 2u << bit);
	}
}

/* APM volume 2: "I/O Permissions Map": one bit a port, and three beyond the last one. */
#define IOPM_PAGES 3u
#define IO_PORTS   0x10000u
static bool trap_ports(struct vm *vm, struct pool *pool)
{
	vm->io_bitmap = pool_alloc_contiguous(pool, IOPM_PAGES);
	if (vm->io_bitmap == NULL)
		return false;
	for (uint32_t port = 0; port < IO_PORTS; port++) {
		if (io_traps_port(vm, (uint16_t)port))
			vm->io_bitmap[port / 8] =
				(uint8_t)(vm->io_bitmap[port / 8] | 1u << port % 8);
	}
	return true;
}

bool svm_vm_init(struct vm *vm, struct pool *pool)
{
	vm->msr_bitmap = pool_alloc_contiguous(pool, MSRPM_PAGES);
	attention_prepare(vm);
	if (vm->msr_bitmap == NULL || !trap_ports(vm, pool))
		return false;
	trap_msrs(vm->msr_bitmap, 0, 0);
	trap_msrs(vm->msr_bitmap, 0xc0000000, 0x800);
	trap_msrs(vm->msr_bitmap, 0xc0010000, 0x1000);
	return svm_stub_build(vm, pool);
}

bool svm_vcpu_alloc(struct vcpu *vcpu, struct pool *pool)
{
	struct svm_vcpu *svm = pool_alloc(pool);

	vcpu->backend = svm;
	if (svm == NULL)
		return false;
	svm->vmcb = pool_alloc(pool);
	svm->host_vmcb = pool_alloc(pool);
	svm->stub_vmcb = pool_alloc(pool);
	svm->host_save_area = pool_alloc(pool);
	if (svm->vmcb == NULL || svm->host_vmcb == NULL || svm->stub_vmcb == NULL ||
	    svm->host_save_area == NULL)
		return false;
	svm->vmcb_hpa = ptr_to_hpa(svm->vmcb);
	svm->host_vmcb_hpa = ptr_to_hpa(svm->host_vmcb);
	svm->stub_vmcb_hpa = ptr_to_hpa(svm->stub_vmcb);
	return true;
}

void svm_set_intercepts(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	vmcb->intercept_exceptions = svm->step ? UINT32_MAX & ~BIT32(VECTOR_NMI) : BIT32(VECTOR_SX);
	vmcb->intercept_dr = 0;
	if (UNLIKELY(vcpu->loan.is_lent)) {
		vmcb->intercept_exceptions |= BIT32(VECTOR_DB);
		vmcb->intercept_dr = UINT32_MAX;
	}
	vmcb->intercept[0] = INTERCEPT_NMI | INTERCEPT_INIT | INTERCEPT_CPUID | INTERCEPT_INVD |
			     INTERCEPT_INVLPGA | INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
	if (io_traps_any(vcpu->vm))
		vmcb->intercept[0] |= INTERCEPT_IOIO;
	if (svm->nmi_blocked && !svm->step)
		vmcb->intercept[0] |= INTERCEPT_IRET;
	vmcb->intercept[1] = INTERCEPT_VMRUN | INTERCEPT_VMMCALL | INTERCEPT_VMLOAD |
			     INTERCEPT_VMSAVE | INTERCEPT_STGI | INTERCEPT_CLGI | INTERCEPT_SKINIT;
	/* No interrupt would wake it. */
	if (svm->step) {
		vmcb->intercept[0] |= INTERCEPT_HLT;
		vmcb->intercept[1] |= INTERCEPT_MWAIT;
	}
	/* It would save our TF. A task gate's, in a delivery, finds the guest's. */
	if (svm->step && !svm->step_delivery)
		vmcb->intercept[0] |= INTERCEPT_TASK_SWITCH;
	vmcb_touch(vmcb, CLEAN_INTERCEPTS);
}

void svm_debug_lent(struct vcpu *vcpu, uint64_t dr7)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	svm_set_intercepts(vcpu);
	svm_stub_load_dr7(vcpu, vmcb->dr7, dr7);
	vmcb->dr7 = dr7;
	vmcb_touch(vmcb, CLEAN_DR);
}

void svm_vcpu_init(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;

	vmcb->msrpm_base = ptr_to_hpa(vcpu->vm->msr_bitmap).v;
	vmcb->iopm_base = ptr_to_hpa(vcpu->vm->io_bitmap).v;
	vmcb->asid = ASID_GUEST;
	/* CPUID tells the guest of all the predictor's entries. */
	vmcb->tlb_control =
		TLB_CONTROL_FLUSH_ALL | (hv_caps.eraps ? TLB_CONTROL_ALLOW_LARGER_RAP : 0);
	vmcb->nested_control = NESTED_CONTROL_NP;
	vmcb->nested_cr3 = ptr_to_hpa(vcpu->vm->tdp.table.root).v;
	vmcb->g_pat = vcpu->cpu->saved.pat;
	dr6_write(vcpu, read_dr6());
	vmcb->debugctl = 0;
	vmcb->clean = 0;
	svm->clean = hv_caps.vmcb_clean ? CLEAN_ALL : 0;
	/* No control register is trapped. */
	vcpu->regs.cr0_guest_owned = vcpu->regs.cr4_guest_owned = ~UINT64_C(0);
	svm_set_intercepts(vcpu);
	/* VMRUN loads them where a CPU has them. */
	if (!rdmsr_safe(MSR_S_CET, &vmcb->s_cet))
		vmcb->s_cet = 0;
	if (!rdmsr_safe(MSR_INTERRUPT_SSP_TABLE, &vmcb->isst_addr))
		vmcb->isst_addr = 0;
	/* STAR, SYSENTER and KernelGSBase are still the firmware's; segments come from the register cache. */
	svm_vmsave(svm->vmcb_hpa);
	svm_vmsave(svm->host_vmcb_hpa);
	svm_stub_init(vcpu);
}

/* Nothing that the CPU has kept of the control block counts any more. */
void svm_vcpu_reload(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	svm_clgi();
	svm->vmcb->clean = 0;
	svm->stub_vmcb->clean = 0;
	svm->stub_vmcb->tlb_control = TLB_CONTROL_FLUSH_ALL;
	svm_flush_linear(vcpu);
}

/* What INIT does to the rest. PAT, MTRRs, SYSENTER and STAR keep their values. */
void svm_vcpu_reset(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	svm_set_single_step(vcpu, false);
	svm_of(vcpu)->nmi_blocked = false;
	vmcb->s_cet = vmcb->isst_addr = 0;
	/* Without LBR virtualization the guest's is the CPU's own. */
	(void)!wrmsr_safe(MSR_DEBUGCTL, 0);
	vmcb->clean = 0;
	svm_set_intercepts(vcpu);
	svm_flush(vcpu);
}

void svm_take_interrupts(void)
{
	svm_stgi();
	interrupts_take();
	svm_clgi();
}

void svm_flush(struct vcpu *vcpu)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	vmcb->tlb_control =
		(vmcb->tlb_control & ~TLB_CONTROL_FLUSH) |
		(hv_caps.flush_by_asid ? TLB_CONTROL_FLUSH_ASID : TLB_CONTROL_FLUSH_ALL);
}

/* What the guest asked for (INVPCID and its like) clears the return predictor, too. */
void svm_flush_linear(struct vcpu *vcpu)
{
	svm_flush(vcpu);
	if (hv_caps.eraps)
		svm_of(vcpu)->vmcb->tlb_control |= TLB_CONTROL_CLEAR_RAP;
}

void svm_set_tdp_root(struct vcpu *vcpu, hpa_t root)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	vmcb->nested_cr3 = root.v;
	vmcb_touch(vmcb, CLEAN_NP);
	svm_flush(vcpu);
}
