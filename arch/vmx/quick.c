/* SPDX-License-Identifier: BSD-2-Clause */
/* The quick way through the frequent exits (vmexit/quick.h): called by the entry stub with what the CPU has left. */
#include "arch/vmx/quick.h"

#include "arch/vmx/exit_decode.h"
#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/cr.h"
#include "vmexit/quick.h"

/*
 * Where the instruction ends, if it ends as nearly all do: not across 4 GiB, where the mode decides, not in an interrupt
 * shadow, and without a trap or a resume flag.
 */
static inline bool next_rip(uint64_t *next)
{
	uint64_t rip = vmcs_read(VMCS_GUEST_RIP);

	*next = rip + vmcs_read32(VMCS_EXIT_INSN_BYTES);
	return LIKELY((*next ^ rip) >> 32 == 0 &&
		      (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW) == 0 &&
		      (vmcs_read(VMCS_GUEST_RFLAGS) & (RFLAGS_TF | RFLAGS_RF)) == 0);
}

static inline __attribute__((always_inline)) enum quick_next handle(struct vcpu *vcpu,
								    enum exit_kind kind)
{
	uint64_t next;

	if (!next_rip(&next))
		return QUICK_GENERAL;
	if (UNLIKELY(quick_handle(vcpu, kind) != VERDICT_NEXT_INSN))
		return QUICK_PREPARE;
	vmcs_write(VMCS_GUEST_RIP, next);
	return quick_finish(vcpu);
}

static __attribute__((noinline)) enum quick_next handle_cpuid(struct vcpu *vcpu)
{
	return handle(vcpu, EXIT_CPUID);
}

static __attribute__((noinline)) enum quick_next handle_rdmsr(struct vcpu *vcpu)
{
	return handle(vcpu, EXIT_RDMSR);
}

static __attribute__((noinline)) enum quick_next handle_wrmsr(struct vcpu *vcpu)
{
	return handle(vcpu, EXIT_WRMSR);
}

static bool is_cpl0(void)
{
	return (vmcs_read32(VMCS_GUEST_SS_RIGHTS) & SEGMENT_DPL) == 0;
}

static __attribute__((noinline)) enum quick_next handle_xsetbv(struct vcpu *vcpu)
{
	if (!is_cpl0())
		return QUICK_GENERAL;
	return handle(vcpu, EXIT_XSETBV);
}

static __attribute__((noinline)) enum quick_next handle_vmcall(struct vcpu *vcpu)
{
	if (!is_cpl0() || !hypercall_is_presence(vcpu))
		return QUICK_GENERAL;
	return handle(vcpu, EXIT_HYPERCALL);
}

/* None of these interrupts the delivery of an event: nothing is to be delivered again. */
uint32_t vmx_quick_exit(struct vcpu *vcpu)
{
	uint32_t reason = vmcs_read32(VMCS_EXIT_REASON);

	vmx_of(vcpu)->injected.valid = false;
	regs_forget_lazy(&vcpu->regs);
	if (UNLIKELY(exit_watchers() != 0))
		return QUICK_GENERAL;
	if (LIKELY(reason == REASON_CPUID))
		return handle_cpuid(vcpu);
	if (reason == REASON_WRMSR)
		return handle_wrmsr(vcpu);
	if (reason == REASON_RDMSR)
		return handle_rdmsr(vcpu);
	if (reason == REASON_VMCALL)
		return handle_vmcall(vcpu);
	if (reason == REASON_XSETBV)
		return handle_xsetbv(vcpu);
	return QUICK_GENERAL;
}

uint32_t vmx_trial_exit(struct vcpu *vcpu)
{
	vmx_of(vcpu)->injected.valid = false;
	regs_forget_lazy(&vcpu->regs);
	return QUICK_GENERAL;
}
