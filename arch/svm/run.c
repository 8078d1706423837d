/* SPDX-License-Identifier: BSD-2-Clause */
/* The run loop: enter, decode, decide, act, resume. The host runs with GIF = 0 from the first entry on. */
#include "arch/svm/svm.h"

#include "arch/svm/mend.h"
#include "arch/x86/cr.h"
#include "arch/x86/insn.h"
#include "arch/x86/limits.h"
#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/format.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "vmexit/apic_base.h"
#include "vmexit/guest_memory.h"
#include "vmexit/nmi.h"
#include "vmexit/quick.h"
#include "vmexit/triple_fault.h"

/* Kicks, NMIs and what is to be injected. */
static inline void prepare(struct vcpu *vcpu)
{
	nmi_before_entry(vcpu);
	while (UNLIKELY(vcpu->activity == ACTIVITY_WAIT_SIPI)) {
		svm_stub_wait(vcpu);
		nmi_before_entry(vcpu);
	}
	if (UNLIKELY(vcpu->events.pending.valid || vcpu->events.nmi_pending)) {
		if (vcpu->events.triple_fault)
			triple_fault_exit(vcpu);
		svm_events_inject(vcpu);
	}
}

/*
 * NW without CD, which QEMU lets the guest write: VMRUN refuses it there and saves the host's state as the guest's, so that
 * mending afterwards would be too late.
 */
static __attribute__((noinline)) void mend_caching(struct vcpu *vcpu)
{
	if (svm_mend(svm_of(vcpu)->vmcb, x86_cr4_allowed()))
		vcpu->regs.available &= ~REG_BIT(REG_CR0);
}

/* What the stub says: an exit for the general way, or nothing but to enter again. */
static inline enum quick_next enter(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	struct regs *regs = &vcpu->regs;
	enum quick_next next;

	/* The trial is left before the firmware could take an event: what came waits for the real start. */
	if (LIKELY(!vcpu->trial))
		prepare(vcpu);
	if (UNLIKELY((regs->dirty & REGS_LAZY) != 0))
		svm_regs_store(vcpu);
	regs->dirty = 0;
	if (UNLIKELY((vmcb->cr0 & CR0_NW) != 0))
		mend_caching(vcpu);
	vmcb->rax = regs->gpr[REG_RAX];
	next = (enum quick_next)svm_enter(regs->gpr, svm->vmcb_hpa, svm->host_vmcb_hpa,
					  vcpu->trial ? svm_trial_exit : svm_quick_exit);
	if (next != QUICK_GENERAL)
		return next;
	/* Nearly every exit needs these. */
	regs->rip = vmcb->rip;
	regs->efer = vmcb->efer & ~EFER_SVME;
	regs->available |= REG_BIT(REG_RIP) | REG_BIT(REG_EFER);
	if (UNLIKELY((vmcb->exit_int_info & EVENT_VALID) != 0))
		svm_events_requeue(vcpu);
	return next;
}

/* The trap of a single step is due after each instruction; RF covers one only. SDM: "Debug Exceptions". */
static __attribute__((noinline)) void trap_and_resume_flags(struct vcpu *vcpu)
{
	uint64_t debugctl;

	/* With BTF only branches trap, and nothing that is skipped is one. */
	if ((rflags_read(vcpu) & RFLAGS_TF) != 0 &&
	    (!rdmsr_safe(MSR_DEBUGCTL, &debugctl) || (debugctl & DEBUGCTL_BTF) == 0))
		events_raise_db(vcpu, DR6_BS);
	rflags_write(vcpu, rflags_read(vcpu) & ~RFLAGS_RF);
}

static inline void skip_insn(struct vcpu *vcpu, unsigned bytes)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t rip = vcpu->regs.rip + bytes; /* filled at the exit, and no handler moves it */

	if (UNLIKELY((vmcb->efer & EFER_LMA) == 0 || (vmcb->cs.attributes & (SEGMENT_L >> 4)) == 0))
		rip = (uint32_t)rip;
	vcpu->regs.rip = vmcb->rip = rip; /* also if it is dirty */
	vmcb->interrupt_shadow &= ~INTERRUPT_SHADOW;
	vcpu->regs.interrupt_shadow = 0; /* right whether it is available, dirty, or neither */
	if (UNLIKELY((vmcb->rflags & (RFLAGS_TF | RFLAGS_RF)) != 0))
		trap_and_resume_flags(vcpu);
}

static void apply(struct vcpu *vcpu, const struct exit_info *exit, enum exit_verdict verdict)
{
	unsigned bytes;

	switch (verdict) {
	case VERDICT_RESUME:
		return;
	case VERDICT_NEXT_INSN:
		bytes = svm_insn_bytes(vcpu, exit);
		if (bytes == 0 || bytes > 15)
			break; /* another CPU has changed the instruction under us: nobody can tell its end */
		if (UNLIKELY(svm_of(vcpu)->step))
			svm_step_skip(vcpu);
		skip_insn(vcpu, bytes);
		return;
	case VERDICT_FATAL:
		break;
	}
	hv_dump_and_stop(vcpu, exit_kind_name(exit->kind), exit->raw_reason, exit->raw_info);
}

static bool end_trial(struct vcpu *vcpu, const struct exit_info *exit, struct failure *failure)
{
	nmi_after_exit(vcpu);
	svm_stgi();
	if (exit->kind == EXIT_CPUID)
		return true;
	format_string(failure->text, sizeof(failure->text),
		      "CPU %u does not enter the guest: exit code 0x%llx, info 0x%llx 0x%llx",
		      vcpu->index, (unsigned long long)exit->raw_reason,
		      (unsigned long long)exit->raw_info[0], (unsigned long long)exit->raw_info[1]);
	return false;
}

/*
 * VMEXIT_INVALID that is the guest's doing, not ours. QEMU reports it also for a MOV to a control register with reserved
 * bits, in place of the #GP that it is.
 */
static bool is_answered(struct vcpu *vcpu)
{
	struct cr_operands operands;
	struct insn insn;

	if (svm_mend(svm_of(vcpu)->vmcb, x86_cr4_allowed()))
		return true;
	if (!guest_fetch_insn(vcpu, &insn) || !decode_cr_access(&insn, &operands) ||
	    operands.operation != CR_OPERATION_WRITE)
		return false;
	events_raise_gp(vcpu, 0);
	return true;
}

bool svm_run(struct vcpu *vcpu, struct failure *failure)
{
	struct exit_info exit;

	svm_clgi();
	if (!vcpu->trial)
		apic_base_begin(vcpu);
	for (;;) {
		if (enter(vcpu) != QUICK_GENERAL)
			continue;
		svm_exit_decode(vcpu, &exit);
		if (UNLIKELY(vcpu->trial) && exit.kind == EXIT_KICKED)
			continue; /* an NMI, which is counted */
		if (UNLIKELY(vcpu->trial))
			return end_trial(vcpu, &exit, failure);
		if (UNLIKELY(exit.kind == EXIT_ENTRY_FAILED) && is_answered(vcpu)) {
			/* Nobody knows what of it the CPU has done. */
			svm_flush_linear(vcpu);
			svm_of(vcpu)->vmcb->clean = 0;
			continue;
		}
		apply(vcpu, &exit, vmexit_handle(vcpu, &exit));
	}
}
