/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/exit_decode.h"

#include <stddef.h>

#include "arch/vmx/event_info.h"

static const struct {
	const char *name;
	enum exit_kind kind;
} reasons[REASON_COUNT] = {
	[REASON_EXCEPTION_OR_NMI] = { "exception or NMI", EXIT_EXCEPTION },
	[REASON_EXTERNAL_INTERRUPT] = { "external interrupt", EXIT_EXTERNAL_INTERRUPT },
	[REASON_TRIPLE_FAULT] = { "triple fault", EXIT_TRIPLE_FAULT },
	[REASON_INIT] = { "INIT", EXIT_INIT },
	[REASON_SIPI] = { "SIPI", EXIT_SIPI },
	[REASON_INTERRUPT_WINDOW] = { "interrupt window", EXIT_OTHER },
	[REASON_NMI_WINDOW] = { "NMI window", EXIT_NMI_WINDOW },
	[REASON_TASK_SWITCH] = { "task switch", EXIT_TASK_SWITCH },
	[REASON_CPUID] = { "CPUID", EXIT_CPUID },
	[REASON_GETSEC] = { "GETSEC", EXIT_VIRTUALIZATION_INSN },
	[REASON_HLT] = { "HLT", EXIT_OTHER },
	[REASON_INVD] = { "INVD", EXIT_INVD },
	[REASON_RSM] = { "RSM", EXIT_OTHER },
	[REASON_VMCALL] = { "VMCALL", EXIT_HYPERCALL },
	[REASON_VMCLEAR] = { "VMCLEAR", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMLAUNCH] = { "VMLAUNCH", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMPTRLD] = { "VMPTRLD", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMPTRST] = { "VMPTRST", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMREAD] = { "VMREAD", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMRESUME] = { "VMRESUME", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMWRITE] = { "VMWRITE", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMXOFF] = { "VMXOFF", EXIT_VIRTUALIZATION_INSN },
	[REASON_VMXON] = { "VMXON", EXIT_VIRTUALIZATION_INSN },
	[REASON_CR_ACCESS] = { "CR access", EXIT_CR_ACCESS },
	[REASON_DR_ACCESS] = { "DR access", EXIT_DR_ACCESS },
	[REASON_IO] = { "I/O instruction", EXIT_IO },
	[REASON_RDMSR] = { "RDMSR", EXIT_RDMSR },
	[REASON_WRMSR] = { "WRMSR", EXIT_WRMSR },
	[REASON_ENTRY_GUEST_STATE] = { "entry failed: invalid guest state", EXIT_ENTRY_FAILED },
	[REASON_ENTRY_MSR_LOAD] = { "entry failed: MSR loading", EXIT_ENTRY_FAILED },
	[REASON_MONITOR_TRAP_FLAG] = { "monitor trap flag", EXIT_STEP },
	[REASON_ENTRY_MACHINE_CHECK] = { "entry failed: machine check", EXIT_ENTRY_FAILED },
	[REASON_EPT_VIOLATION] = { "EPT violation", EXIT_NESTED_PAGE_FAULT },
	[REASON_EPT_MISCONFIGURATION] = { "EPT misconfiguration", EXIT_OTHER },
	[REASON_INVEPT] = { "INVEPT", EXIT_VIRTUALIZATION_INSN },
	[REASON_PREEMPTION_TIMER] = { "preemption timer", EXIT_ATTENTION },
	[REASON_INVVPID] = { "INVVPID", EXIT_VIRTUALIZATION_INSN },
	[REASON_XSETBV] = { "XSETBV", EXIT_XSETBV },
	[REASON_ENCLS] = { "ENCLS", EXIT_VIRTUALIZATION_INSN },
	[REASON_PCONFIG] = { "PCONFIG", EXIT_VIRTUALIZATION_INSN },
	[REASON_ENCLV] = { "ENCLV", EXIT_VIRTUALIZATION_INSN },
	[REASON_SEAMCALL] = { "SEAMCALL", EXIT_VIRTUALIZATION_INSN },
	[REASON_TDCALL] = { "TDCALL", EXIT_VIRTUALIZATION_INSN },
};

enum exit_kind vmx_exit_kind(uint32_t reason)
{
	uint32_t basic = reason & REASON_BASIC;

	if (UNLIKELY((reason & REASON_ENTRY_FAILURE) != 0))
		return EXIT_ENTRY_FAILED;
	if (UNLIKELY(basic >= REASON_COUNT || reasons[basic].name == NULL))
		return EXIT_OTHER;
	return reasons[basic].kind;
}

const char *vmx_exit_reason_name(uint32_t reason)
{
	uint32_t basic = reason & REASON_BASIC;

	if (basic >= REASON_COUNT || reasons[basic].name == NULL)
		return "unknown";
	return reasons[basic].name;
}

/* SDM: "Exit Qualification for Control-Register Accesses". */
void vmx_decode_cr(uint64_t qualification, struct exit_info *exit)
{
	static const enum cr_access_kind kinds[4] = { CR_ACCESS_WRITE, CR_ACCESS_READ,
						      CR_ACCESS_CLTS, CR_ACCESS_LMSW };

	exit->cr.kind = kinds[field_get(BITS64(5, 4), qualification)];
	exit->cr.cr = (uint8_t)field_get(BITS64(3, 0), qualification);
	exit->cr.gpr = (uint8_t)field_get(BITS64(11, 8), qualification);
	exit->cr.lmsw_source = (uint16_t)field_get(BITS64(31, 16), qualification);
	if (exit->cr.kind == CR_ACCESS_CLTS || exit->cr.kind == CR_ACCESS_LMSW)
		exit->cr.cr = 0;
}

/* SDM: "Exit Qualification for MOV DR". */
void vmx_decode_dr(uint64_t qualification, struct exit_info *exit)
{
	exit->dr.dr = (uint8_t)field_get(BITS64(2, 0), qualification);
	exit->dr.write = (qualification & BIT64(4)) == 0;
	exit->dr.has_gpr = true;
	exit->dr.gpr = (uint8_t)field_get(BITS64(11, 8), qualification);
}

/* SDM: "Exit Qualification for I/O Instructions". */
void vmx_decode_io(uint64_t qualification, struct exit_info *exit)
{
	exit->io.port = (uint16_t)field_get(BITS64(31, 16), qualification);
	exit->io.bytes = (uint8_t)(field_get(BITS64(2, 0), qualification) + 1);
	exit->io.in = (qualification & BIT64(3)) != 0;
	exit->io.string = (qualification & BIT64(4)) != 0;
}

/* SDM: "Exit Qualification for EPT Violations". */
void vmx_decode_ept_violation(uint64_t qualification, uint64_t gpa, bool user,
			      struct exit_info *exit)
{
	const uint64_t access = EPT_VIOLATION_LINEAR_VALID | EPT_VIOLATION_OF_TRANSLATION;

	exit->fault.gpa.v = gpa;
	exit->fault.write = (qualification & EPT_VIOLATION_WRITE) != 0;
	exit->fault.fetch = (qualification & EPT_VIOLATION_FETCH) != 0;
	exit->fault.user = user;
	/* Without a linear address it was MOV to CR loading the PDPTEs. */
	exit->fault.during_walk = (qualification & access) != access;
	exit->fault.present = (qualification & EPT_VIOLATION_ENTRY_RIGHTS) != 0;
}

/*
 * SDM: "Exit Qualification for Task Switches". Through a gate, the IDT-vectoring information says
 * what came; the old task's RIP moves on only if that was an instruction.
 */
void vmx_decode_task_switch(uint64_t qualification, uint32_t idt_vectoring, uint32_t error_code,
			    uint32_t insn_bytes, struct exit_info *exit)
{
	uint32_t type = (idt_vectoring & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;

	exit->task.selector = (uint16_t)qualification;
	exit->task.source = (enum task_switch_source)field_get(BITS64(31, 30), qualification);
	exit->task.has_error = false;
	exit->task.error_code = 0;
	exit->task.insn_bytes = (uint8_t)insn_bytes;
	if (exit->task.source != TASK_SWITCH_GATE || (idt_vectoring & INTR_INFO_VALID) == 0)
		return;
	if (type < EVENT_SOFT_INTERRUPT)
		exit->task.insn_bytes = 0;
	if ((idt_vectoring & INTR_INFO_ERROR_CODE) != 0) {
		exit->task.has_error = true;
		exit->task.error_code = error_code;
	}
}

void vmx_decode_exception(uint32_t intr_info, uint32_t error_code, uint64_t qualification,
			  uint32_t insn_bytes, struct exit_info *exit)
{
	uint32_t type = (intr_info & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT;

	exit->exception.vector = (uint8_t)(intr_info & INTR_INFO_VECTOR);
	exit->exception.has_error = (intr_info & INTR_INFO_ERROR_CODE) != 0;
	exit->exception.error_code = exit->exception.has_error ? error_code : 0;
	exit->exception.insn_bytes =
		type == EVENT_PRIVILEGED_SOFT_EXCEPTION ? (uint8_t)insn_bytes : 0;
	exit->exception.payload = qualification;
	if (type == EVENT_NMI)
		exit->kind = EXIT_NMI;
	else if (exit->exception.vector == VECTOR_MC)
		exit->kind = EXIT_MACHINE_CHECK;
	else
		exit->kind = EXIT_EXCEPTION;
}

/*
 * SDM: "NMI unblocking due to IRET" in the exit qualification. An exception goes on to the guest, and there an IRET that
 * faults has unblocked NMIs: "Resuming Guest Software after Handling an Exception".
 */
bool vmx_must_block_nmi(uint32_t reason, uint64_t qualification, uint32_t idt_vectoring)
{
	return (idt_vectoring & INTR_INFO_VALID) == 0 &&
	       (reason & REASON_BASIC) == REASON_EPT_VIOLATION &&
	       (qualification & EPT_VIOLATION_NMI_UNBLOCKING) != 0;
}
