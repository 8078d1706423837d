/* SPDX-License-Identifier: BSD-2-Clause */
/* The AMD-V side of the vendor seam (core/vendor.h). */
#include "arch/svm/enable.h"

#include "arch/svm/svm.h"
#include "arch/x86/msr.h"
#include "vmexit/wake.h"

/* The MSRs that VMLOAD, VMSAVE and VMRUN switch. */
static uint64_t *msr_field(struct vmcb *vmcb, uint32_t msr)
{
	switch (msr) {
	case MSR_PAT:
		return &vmcb->g_pat;
	case MSR_FS_BASE:
		return &vmcb->fs.base;
	case MSR_GS_BASE:
		return &vmcb->gs.base;
	case MSR_KERNEL_GS_BASE:
		return &vmcb->kernel_gs_base;
	case MSR_STAR:
		return &vmcb->star;
	case MSR_LSTAR:
		return &vmcb->lstar;
	case MSR_CSTAR:
		return &vmcb->cstar;
	case MSR_SFMASK:
		return &vmcb->sfmask;
	case MSR_SYSENTER_CS:
		return &vmcb->sysenter_cs;
	case MSR_SYSENTER_ESP:
		return &vmcb->sysenter_esp;
	case MSR_SYSENTER_EIP:
		return &vmcb->sysenter_eip;
	case MSR_S_CET:
		return &vmcb->s_cet;
	case MSR_INTERRUPT_SSP_TABLE:
		return &vmcb->isst_addr;
	default:
		return NULL;
	}
}

static bool svm_msr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	const uint64_t *field = msr_field(svm_of(vcpu)->vmcb, msr);

	if (field == NULL)
		return false;
	*value = *field;
	return true;
}

static bool svm_msr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t *field = msr_field(vmcb, msr);

	if (field == NULL)
		return false;
	*field = value;
	vmcb->clean = 0;
	vcpu->regs.available &= ~REGS_SEGMENT_BITS;
	return true;
}

/* The run loop looks at vcpu->activity before each entry: nothing to do. */
static void svm_activity_changed(struct vcpu *vcpu)
{
	(void)vcpu;
}

const struct vendor_ops svm_ops = {
	.name = "AMD-V",
	.probe = svm_probe,
	.vm_init = svm_vm_init,
	.vcpu_alloc = svm_vcpu_alloc,
	.cpu_enable = svm_cpu_enable,
	.cpu_disable = svm_cpu_disable,
	.vcpu_reload = svm_vcpu_reload,
	.vcpu_init = svm_vcpu_init,
	.run = svm_run,
	.wake = wake_cpu,
	.regs_fetch = svm_regs_fetch,
	.msr_read = svm_msr_read,
	.msr_write = svm_msr_write,
	.vcpu_reset = svm_vcpu_reset,
	.activity_changed = svm_activity_changed,
	.take_interrupts = svm_take_interrupts,
	.flush_tdp = svm_flush,
	.flush_linear = svm_flush_linear,
	.set_tdp_root = svm_set_tdp_root,
	.set_single_step = svm_set_single_step,
	.debug_lent = svm_debug_lent,
	.dump = svm_dump,
};
