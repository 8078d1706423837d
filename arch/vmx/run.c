/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/run.h"

#include "arch/vmx/dump.h"
#include "arch/vmx/entry.h"
#include "arch/vmx/events.h"
#include "arch/vmx/exit.h"
#include "arch/vmx/quick.h"
#include "arch/vmx/regs.h"
#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "core/format.h"
#include "core/panic.h"
#include "vmexit/apic_base.h"
#include "vmexit/nmi.h"

/* Written by the NMI handler between any two instructions. */
static uint64_t nmi_count(const struct cpu *cpu)
{
	return *(const volatile uint64_t *)&cpu->nmi_count;
}

/* One try, with what is stored so far. An NMI since its count was `seen` makes it fail. */
static inline enum vmx_entry_result enter(struct vcpu *vcpu, uint64_t seen)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	uint32_t result;

	vmx_regs_store(vcpu);
	vmx_events_prepare(vcpu);
	/* The first one is to be seen here: then it can be said that VMRESUME is next. */
	result = vmx_enter(vcpu->regs.gpr, vmx->launched, &vcpu->cpu->nmi_count, seen,
			   &vmx->host_rsp,
			   vcpu->trial || !vmx->launched ? vmx_trial_exit : vmx_quick_exit);
	if (UNLIKELY(result > VMX_ENTRY_EXITED)) {
		regs_forget_lazy(&vcpu->regs);
		vmx_events_cancel(vcpu);
	}
	return (enum vmx_entry_result)result;
}

/* No exit to be handled: the entry may not even have happened. False: it may be tried again. */
static bool explain(enum vmx_entry_result result, struct exit_info *exit)
{
	if (result == VMX_ENTRY_ABORTED || result == VMX_ENTRY_HANDLED)
		return false;
	*exit = (struct exit_info){ .kind = EXIT_ENTRY_FAILED };
	if (result == VMX_ENTRY_FAIL_VALID)
		exit->raw_info[0] = vmcs_read32(VMCS_INSTRUCTION_ERROR);
	return true;
}

/* What became of an entry, as an exit; false: nothing, try again. */
static inline bool next_exit(struct vcpu *vcpu, uint64_t seen, struct exit_info *exit)
{
	enum vmx_entry_result result = enter(vcpu, seen);

	if (UNLIKELY(result != VMX_ENTRY_EXITED))
		return explain(result, exit);
	/* Not after a late failure, but that one is the end. */
	vmx_of(vcpu)->launched = true;
	vmx_exit_decode(vcpu, exit);
	return true;
}

/* Its own exception's delivery failed for good: the same as if the CPU had found that. */
__attribute__((noinline)) static void shut_down(struct vcpu *vcpu)
{
	const struct exit_info shutdown = { .kind = EXIT_TRIPLE_FAULT,
					    .raw_reason = REASON_TRIPLE_FAULT };

	vcpu->events.triple_fault = false;
	if (vmexit_handle(vcpu, &shutdown) != VERDICT_RESUME)
		hv_dump_and_stop(vcpu, "triple fault", shutdown.raw_reason, shutdown.raw_info);
}

static void apply(struct vcpu *vcpu, const struct exit_info *exit, enum exit_verdict verdict)
{
	if (LIKELY(verdict == VERDICT_NEXT_INSN))
		vmx_skip_instruction(vcpu);
	else if (UNLIKELY(verdict != VERDICT_RESUME))
		hv_dump_and_stop(vcpu, exit_kind_name(exit->kind), exit->raw_reason,
				 exit->raw_info);
	if (UNLIKELY(vcpu->events.triple_fault))
		shut_down(vcpu);
}

/* A guest that executes CPUID and nothing else. Its NMIs wait for the real start. */
__attribute__((noinline)) static bool run_trial(struct vcpu *vcpu, struct failure *failure)
{
	struct exit_info exit;

	for (;;) {
		if (!next_exit(vcpu, nmi_count(vcpu->cpu), &exit))
			continue;
		if (exit.kind == EXIT_CPUID)
			return true;
		if (exit.kind == EXIT_NMI)
			vcpu->events.nmi_pending = true;
		else if (exit.kind != EXIT_ATTENTION)
			break;
	}
	vmx_dump(vcpu);
	format_string(failure->text, sizeof(failure->text),
		      "VT-x: no entry into the guest: %s, reason 0x%x, information 0x%lx",
		      vmx_exit_reason_name((uint32_t)exit.raw_reason), (unsigned)exit.raw_reason,
		      (unsigned long)exit.raw_info[0]);
	return false;
}

bool vmx_run(struct vcpu *vcpu, struct failure *failure)
{
	struct exit_info exit;

	if (vcpu->trial)
		return run_trial(vcpu, failure);
	apic_base_begin(vcpu);
	for (;;) {
		/*
		 * Read before the look at the reasons: an NMI after this makes the entry fail, and
		 * we look again.
		 */
		uint64_t seen = nmi_count(vcpu->cpu);

		nmi_before_entry(vcpu);
		/*
		 * No NMI ends wait-for-SIPI, but no guest instruction runs there: nobody need wait
		 * for us.
		 */
		if (UNLIKELY(vcpu->activity == ACTIVITY_WAIT_SIPI))
			nmi_after_exit(vcpu);
		if (LIKELY(next_exit(vcpu, seen, &exit)))
			apply(vcpu, &exit, vmexit_handle(vcpu, &exit));
	}
}
