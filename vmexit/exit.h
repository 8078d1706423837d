/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An exit, decoded by the back end into vendor-neutral form, and the verdict that comes back. The verdict, not
 * the handler, moves RIP, clears the interrupt shadow and traps a single step.
 */
#ifndef VMEXIT_EXIT_H
#define VMEXIT_EXIT_H

#include "core/vcpu.h"

enum exit_kind {
	EXIT_CPUID,
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_XSETBV,
	EXIT_CR_ACCESS,
	EXIT_DR_ACCESS, /* while its debug registers are lent (core/debug_loan.h) */
	EXIT_INVD,
	EXIT_VIRTUALIZATION_INSN, /* VMX and SVM instructions, GETSEC: not offered, #UD */
	EXIT_HYPERCALL,		  /* VMCALL or VMMCALL */
	EXIT_NMI,
	EXIT_NMI_WINDOW, /* NMIs are no longer blocked */
	EXIT_IRET,	 /* SVM without vNMI: about to execute IRET */
	EXIT_INIT,
	EXIT_SIPI,
	EXIT_KICKED, /* an NMI that was ours alone */
	EXIT_TASK_SWITCH,
	EXIT_NESTED_PAGE_FAULT,
	EXIT_EXCEPTION,
	EXIT_STEP, /* monitor trap flag, or the #DB of our own single step */
	EXIT_TRIPLE_FAULT,
	EXIT_EXTERNAL_INTERRUPT,
	EXIT_MACHINE_CHECK,
	EXIT_ENTRY_FAILED, /* the CPU refused the guest state */
	EXIT_IO,	   /* an access to a port that is trapped */
	EXIT_ATTENTION,	   /* it is time to look at the lines (vmexit/attention.h) */
	EXIT_OTHER,
	EXIT_KIND_COUNT,
};

_Static_assert(EXIT_KIND_COUNT <= VCPU_EXIT_KINDS, "each kind has a counter");

enum cr_access_kind { CR_ACCESS_WRITE, CR_ACCESS_READ, CR_ACCESS_CLTS, CR_ACCESS_LMSW };

enum task_switch_source { TASK_SWITCH_CALL, TASK_SWITCH_IRET, TASK_SWITCH_JMP, TASK_SWITCH_GATE };

struct exit_info {
	enum exit_kind kind;
	uint64_t raw_reason;  /* VMX exit reason, SVM EXITCODE */
	uint64_t raw_info[2]; /* exit qualification and guest-linear address; EXITINFO1 and 2 */
	union {
		struct {
			enum cr_access_kind kind;
			uint8_t cr;  /* 0, 3, 4, 8 */
			uint8_t gpr; /* CR_ACCESS_WRITE and READ */
			uint16_t lmsw_source;
		} cr;
		struct {
			uint8_t dr;
			bool write;
			bool has_gpr; /* else it is in the instruction */
			uint8_t gpr;
		} dr;
		struct {
			gpa_t gpa;
			bool write, fetch, user;
			bool during_walk; /* the CPU was reading or updating the guest's page tables */
			bool present;	  /* the entry was there, the right was not */
		} fault;
		struct {
			uint8_t vector;
		} sipi;
		struct {
			uint16_t port;
			uint8_t bytes; /* 1, 2, 4 */
			bool in;
			bool string; /* INS, OUTS */
		} io;
		struct {
			uint16_t selector;
			enum task_switch_source source;
			bool has_error; /* by a gate: an exception with an error code */
			uint32_t error_code;
			uint8_t insn_bytes; /* to advance the old task's RIP by */
		} task;
		struct {
			uint8_t vector;
			bool has_error;
			uint8_t insn_bytes; /* of an INT1 that has raised it; else 0 */
			uint32_t error_code;
			uint64_t payload; /* CR2 or DR6 bits */
		} exception;
	};
};

enum exit_verdict {
	VERDICT_RESUME,	   /* run on at the RIP that is in the register cache */
	VERDICT_NEXT_INSN, /* the instruction is done: step over it */
	VERDICT_FATAL,	   /* nobody knows what this is: dump and stop all CPUs */
};

enum exit_verdict vmexit_handle(struct vcpu *vcpu, const struct exit_info *exit);

/* A name for dumps and statistics. */
const char *exit_kind_name(enum exit_kind kind);

#endif
