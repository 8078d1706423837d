/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/pebs.h"

#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/panic.h"
#include "mm/layout.h"

/* An empty list costs the entries and exits nothing: with a value of 0 there is nothing to switch. */
static void switch_to(struct vcpu *vcpu, uint64_t value)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);

	vmx->pebs_enter = (struct vmx_msr_entry){ .msr = MSR_PEBS_ENABLE, .value = value };
	vmx->pebs_exit = (struct vmx_msr_entry){ .msr = MSR_PEBS_ENABLE };
	vmcs_write64(VMCS_ENTRY_MSR_LOAD, ptr_to_hpa(&vmx->pebs_enter).v);
	vmcs_write64(VMCS_EXIT_MSR_LOAD, ptr_to_hpa(&vmx->pebs_exit).v);
	vmcs_write32(VMCS_ENTRY_MSR_LOAD_COUNT, value != 0);
	vmcs_write32(VMCS_EXIT_MSR_LOAD_COUNT, value != 0);
}

/* Counters that stand still write no record while the CPU is asked what it takes. */
bool vmx_pebs_write(struct vcpu *vcpu, uint64_t value)
{
	uint64_t counting;
	bool ok;

	if (!rdmsr_safe(MSR_PERF_GLOBAL_CTRL, &counting) || !wrmsr_safe(MSR_PERF_GLOBAL_CTRL, 0))
		return false;
	ok = wrmsr_safe(MSR_PEBS_ENABLE, value);
	HV_ASSERT(!ok || wrmsr_safe(MSR_PEBS_ENABLE, 0));
	HV_ASSERT(wrmsr_safe(MSR_PERF_GLOBAL_CTRL, counting));
	if (ok)
		switch_to(vcpu, value);
	return ok;
}

void vmx_pebs_init(struct vcpu *vcpu)
{
	uint64_t enabled;

	if (rdmsr_safe(MSR_PEBS_ENABLE, &enabled) && enabled != 0)
		HV_ASSERT(vmx_pebs_write(vcpu, enabled));
}

void vmx_pebs_end(const struct vcpu *vcpu)
{
	const struct vmx_vcpu *vmx = vmx_of(vcpu);

	if (vmx->pebs_enter.value != 0)
		HV_ASSERT(wrmsr_safe(MSR_PEBS_ENABLE, vmx->pebs_enter.value));
}
