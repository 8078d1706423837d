/* SPDX-License-Identifier: BSD-2-Clause */
/* Which family an exit belongs to. A case is one call. */
#include "vmexit/exit.h"

#include "vmexit/cpuid.h"
#include "vmexit/cr.h"
#include "vmexit/debug_register.h"
#include "vmexit/hypercall.h"
#include "vmexit/init_sipi.h"
#include "vmexit/io.h"
#include "vmexit/msr.h"
#include "vmexit/nested_fault.h"
#include "vmexit/nmi.h"
#include "vmexit/simple.h"
#include "vmexit/step.h"
#include "vmexit/task_switch.h"
#include "vmexit/triple_fault.h"
#include "vmexit/watched.h"

static inline enum exit_verdict handle(struct vcpu *vcpu, const struct exit_info *exit)
{
	switch (exit->kind) {
	case EXIT_CPUID:
		return cpuid_exit(vcpu);
	case EXIT_RDMSR:
		return msr_read_exit(vcpu);
	case EXIT_WRMSR:
		return msr_write_exit(vcpu);
	case EXIT_XSETBV:
		return xsetbv_exit(vcpu);
	case EXIT_CR_ACCESS:
		return cr_access_exit(vcpu, exit);
	case EXIT_DR_ACCESS:
		return dr_access_exit(vcpu, exit);
	case EXIT_INVD:
		return invd_exit(vcpu);
	case EXIT_VIRTUALIZATION_INSN:
		return virtualization_insn_exit(vcpu);
	case EXIT_HYPERCALL:
		return hypercall_exit(vcpu);
	case EXIT_NMI:
		return nmi_exit(vcpu);
	case EXIT_IRET:
		return iret_exit(vcpu);
	case EXIT_INIT:
		return init_exit(vcpu);
	case EXIT_SIPI:
		return sipi_exit(vcpu, exit->sipi.vector);
	case EXIT_TASK_SWITCH:
		return task_switch_exit(vcpu, exit);
	case EXIT_NESTED_PAGE_FAULT:
		return nested_fault_exit(vcpu, exit);
	case EXIT_EXCEPTION:
		return exception_exit(vcpu, exit);
	case EXIT_STEP:
		return step_exit(vcpu);
	case EXIT_EXTERNAL_INTERRUPT:
		return step_interrupted_exit(vcpu);
	case EXIT_TRIPLE_FAULT:
		return triple_fault_exit(vcpu);
	case EXIT_NMI_WINDOW:
	case EXIT_KICKED:
		return VERDICT_RESUME; /* what is pending is looked at before each entry */
	case EXIT_IO:
		return io_exit(vcpu, exit);
	case EXIT_ATTENTION:
		return attention_exit(vcpu);
	case EXIT_MACHINE_CHECK:
	case EXIT_ENTRY_FAILED:
	case EXIT_OTHER:
	case EXIT_KIND_COUNT:
		break;
	}
	return VERDICT_FATAL;
}

/* With somebody who wants to see the exits (core/exit_watch.h). */
static __attribute__((noinline)) enum exit_verdict handle_watched(struct vcpu *vcpu,
								  const struct exit_info *exit)
{
	enum exit_verdict verdict;

	watched_before(vcpu, exit);
	verdict = handle(vcpu, exit);
	watched_after(vcpu);
	return verdict;
}

enum exit_verdict vmexit_handle(struct vcpu *vcpu, const struct exit_info *exit)
{
	nmi_after_exit(vcpu);
	vcpu->exit_counts[exit->kind]++;
	vcpu->decoded_bytes = 0;
	if (UNLIKELY(exit_watchers() != 0))
		return handle_watched(vcpu, exit);
	return handle(vcpu, exit);
}

const char *exit_kind_name(enum exit_kind kind)
{
	static const char *const names[EXIT_KIND_COUNT] = {
		[EXIT_CPUID] = "CPUID",
		[EXIT_RDMSR] = "RDMSR",
		[EXIT_WRMSR] = "WRMSR",
		[EXIT_XSETBV] = "XSETBV",
		[EXIT_CR_ACCESS] = "CR access",
		[EXIT_DR_ACCESS] = "DR access",
		[EXIT_INVD] = "INVD",
		[EXIT_VIRTUALIZATION_INSN] = "VMX/SVM instruction",
		[EXIT_HYPERCALL] = "hypercall",
		[EXIT_NMI] = "NMI",
		[EXIT_NMI_WINDOW] = "NMI window",
		[EXIT_IRET] = "IRET",
		[EXIT_INIT] = "INIT",
		[EXIT_SIPI] = "SIPI",
		[EXIT_KICKED] = "kick",
		[EXIT_TASK_SWITCH] = "task switch",
		[EXIT_NESTED_PAGE_FAULT] = "nested page fault",
		[EXIT_EXCEPTION] = "exception",
		[EXIT_STEP] = "step",
		[EXIT_TRIPLE_FAULT] = "triple fault",
		[EXIT_EXTERNAL_INTERRUPT] = "external interrupt",
		[EXIT_MACHINE_CHECK] = "machine check",
		[EXIT_ENTRY_FAILED] = "entry failed",
		[EXIT_IO] = "I/O port",
		[EXIT_ATTENTION] = "attention",
		[EXIT_OTHER] = "unexpected",
	};

	return kind < EXIT_KIND_COUNT ? names[kind] : "?";
}
