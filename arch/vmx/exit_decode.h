/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the numbers of an exit mean: pure functions. SDM: "VM-Exit Information Fields", "VMX Basic
 * Exit Reasons".
 */
#ifndef ARCH_VMX_EXIT_DECODE_H
#define ARCH_VMX_EXIT_DECODE_H

#include "vmexit/exit.h"

enum vmx_exit_reason {
	REASON_EXCEPTION_OR_NMI = 0,
	REASON_EXTERNAL_INTERRUPT = 1,
	REASON_TRIPLE_FAULT = 2,
	REASON_INIT = 3,
	REASON_SIPI = 4,
	REASON_INTERRUPT_WINDOW = 7,
	REASON_NMI_WINDOW = 8,
	REASON_TASK_SWITCH = 9,
	REASON_CPUID = 10,
	REASON_GETSEC = 11,
	REASON_HLT = 12,
	REASON_INVD = 13,
	REASON_RSM = 17,
	REASON_VMCALL = 18,
	REASON_VMCLEAR = 19,
	REASON_VMLAUNCH = 20,
	REASON_VMPTRLD = 21,
	REASON_VMPTRST = 22,
	REASON_VMREAD = 23,
	REASON_VMRESUME = 24,
	REASON_VMWRITE = 25,
	REASON_VMXOFF = 26,
	REASON_VMXON = 27,
	REASON_CR_ACCESS = 28,
	REASON_DR_ACCESS = 29,
	REASON_IO = 30,
	REASON_RDMSR = 31,
	REASON_WRMSR = 32,
	REASON_ENTRY_GUEST_STATE = 33,
	REASON_ENTRY_MSR_LOAD = 34,
	REASON_MONITOR_TRAP_FLAG = 37,
	REASON_ENTRY_MACHINE_CHECK = 41,
	REASON_EPT_VIOLATION = 48,
	REASON_EPT_MISCONFIGURATION = 49,
	REASON_INVEPT = 50,
	REASON_PREEMPTION_TIMER = 52,
	REASON_INVVPID = 53,
	REASON_XSETBV = 55,
	REASON_ENCLS = 60,
	REASON_PCONFIG = 65,
	REASON_ENCLV = 70,
	REASON_SEAMCALL = 76,
	REASON_TDCALL = 77,
	REASON_COUNT = 80,
};

#define REASON_BASIC		     UINT32_C(0xffff)
#define REASON_ENTRY_FAILURE	     BIT32(31)

/* EPT violation, exit qualification. */
#define EPT_VIOLATION_READ	     BIT64(0)
#define EPT_VIOLATION_WRITE	     BIT64(1)
#define EPT_VIOLATION_FETCH	     BIT64(2)
#define EPT_VIOLATION_ENTRY_RIGHTS   BITS64(5, 3)
#define EPT_VIOLATION_LINEAR_VALID   BIT64(7)
#define EPT_VIOLATION_OF_TRANSLATION BIT64(8) /* else of the guest's page tables */
#define EPT_VIOLATION_NMI_UNBLOCKING BIT64(12)

/* EXIT_OTHER for what nobody asked for. */
enum exit_kind vmx_exit_kind(uint32_t reason);
const char *vmx_exit_reason_name(uint32_t reason);

void vmx_decode_cr(uint64_t qualification, struct exit_info *exit);
void vmx_decode_dr(uint64_t qualification, struct exit_info *exit);
void vmx_decode_io(uint64_t qualification, struct exit_info *exit);
void vmx_decode_ept_violation(uint64_t qualification, uint64_t gpa, bool user,
			      struct exit_info *exit);
void vmx_decode_task_switch(uint64_t qualification, uint32_t idt_vectoring, uint32_t error_code,
			    uint32_t insn_bytes, struct exit_info *exit);
/* Also says whether it is an NMI or a machine check. */
void vmx_decode_exception(uint32_t intr_info, uint32_t error_code, uint64_t qualification,
			  uint32_t insn_bytes, struct exit_info *exit);

/* Whether NMIs must be blocked again: the exit hit an IRET that had already unblocked them. */
bool vmx_must_block_nmi(uint32_t reason, uint64_t qualification, uint32_t idt_vectoring);

#endif
