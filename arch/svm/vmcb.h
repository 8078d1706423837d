/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual machine control block. APM volume 2: "VMCB Layout", control area and state save area. Fields with a
 * clean bit have it cleared by whoever writes them: vmcb_touch().
 */
#ifndef ARCH_SVM_VMCB_H
#define ARCH_SVM_VMCB_H

#include <stddef.h>

#include "arch/x86/bits.h"

struct vmcb_segment {
	uint16_t selector;
	uint16_t attributes; /* descriptor bits 40-47 and 52-55 side by side */
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	uint32_t intercept_cr;
	uint32_t intercept_dr;
	uint32_t intercept_exceptions;
	uint32_t intercept[3]; /* INTERCEPT_* */
	uint8_t reserved0[0x03c - 0x018];
	uint16_t pause_threshold, pause_count;
	uint64_t iopm_base;
	uint64_t msrpm_base;
	uint64_t tsc_offset;
	uint32_t asid;
	uint32_t tlb_control;
	uint64_t virtual_interrupt;
	uint64_t interrupt_shadow; /* bit 1: the guest's IF where it is virtualized */
	uint64_t exit_code;
	uint64_t exit_info1, exit_info2;
	uint64_t exit_int_info;
	uint64_t nested_control;
	uint64_t avic_bar, ghcb;
	uint64_t event_injection;
	uint64_t nested_cr3;
	uint64_t lbr_control;
	uint32_t clean, reserved1;
	uint64_t next_rip;
	uint8_t fetched_count, fetched[15];
	uint8_t reserved2[0x400 - 0x0e0];

	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr; /* 0x400 */
	uint8_t reserved3[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t reserved4;
	uint64_t efer;
	uint8_t reserved5[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t reserved6[0x5d8 - 0x580];
	uint64_t rsp, s_cet, ssp, isst_addr, rax, star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	uint8_t reserved7[0x668 - 0x648];
	uint64_t g_pat, debugctl, br_from, br_to, last_excp_from, last_excp_to;
	uint8_t reserved8[0x1000 - 0x698];
};

#define VMCB_AT(field, offset) _Static_assert(offsetof(struct vmcb, field) == (offset), #field)
VMCB_AT(pause_threshold, 0x03c);
VMCB_AT(iopm_base, 0x040);
VMCB_AT(asid, 0x058);
VMCB_AT(virtual_interrupt, 0x060);
VMCB_AT(exit_code, 0x070);
VMCB_AT(exit_int_info, 0x088);
VMCB_AT(nested_control, 0x090);
VMCB_AT(event_injection, 0x0a8);
VMCB_AT(nested_cr3, 0x0b0);
VMCB_AT(clean, 0x0c0);
VMCB_AT(next_rip, 0x0c8);
VMCB_AT(fetched_count, 0x0d0);
VMCB_AT(es, 0x400);
VMCB_AT(tr, 0x490);
VMCB_AT(cpl, 0x4cb);
VMCB_AT(efer, 0x4d0);
VMCB_AT(cr4, 0x548);
VMCB_AT(rip, 0x578);
VMCB_AT(rsp, 0x5d8);
VMCB_AT(rax, 0x5f8);
VMCB_AT(kernel_gs_base, 0x620);
VMCB_AT(cr2, 0x640);
VMCB_AT(g_pat, 0x668);
_Static_assert(sizeof(struct vmcb) == 4096, "the VMCB is one page");

/* intercept[0] */
#define INTERCEPT_INTR		     BIT32(0)
#define INTERCEPT_NMI		     BIT32(1)
#define INTERCEPT_INIT		     BIT32(3)
#define INTERCEPT_CPUID		     BIT32(18)
#define INTERCEPT_IRET		     BIT32(20)
#define INTERCEPT_INVD		     BIT32(22)
#define INTERCEPT_HLT		     BIT32(24)
#define INTERCEPT_INVLPGA	     BIT32(26)
#define INTERCEPT_IOIO		     BIT32(27)
#define INTERCEPT_MSR		     BIT32(28)
#define INTERCEPT_TASK_SWITCH	     BIT32(29)
#define INTERCEPT_SHUTDOWN	     BIT32(31)
/* intercept[1] */
#define INTERCEPT_VMRUN		     BIT32(0)
#define INTERCEPT_VMMCALL	     BIT32(1)
#define INTERCEPT_VMLOAD	     BIT32(2)
#define INTERCEPT_VMSAVE	     BIT32(3)
#define INTERCEPT_STGI		     BIT32(4)
#define INTERCEPT_CLGI		     BIT32(5)
#define INTERCEPT_SKINIT	     BIT32(6)
#define INTERCEPT_MWAIT		     BIT32(11)

#define TLB_CONTROL_NOTHING	     0u
#define TLB_CONTROL_FLUSH_ALL	     1u
#define TLB_CONTROL_FLUSH_ASID	     3u
#define TLB_CONTROL_FLUSH	     UINT32_C(0xff) /* one of the above */
/* Return address predictor (ERAPS). The first one stays; the second is for one VMRUN. */
#define TLB_CONTROL_ALLOW_LARGER_RAP BIT32(8)
#define TLB_CONTROL_CLEAR_RAP	     BIT32(9)

#define V_TPR			     BITS64(7, 0)
#define V_INTR_MASKING		     BIT64(24)
#define NESTED_CONTROL_NP	     BIT64(0)
#define INTERRUPT_SHADOW	     BIT64(0)

/* Clean bits: what the CPU may keep from the last VMRUN. */
#define CLEAN_INTERCEPTS	     BIT32(0)
#define CLEAN_IOPM		     BIT32(1)
#define CLEAN_ASID		     BIT32(2)
#define CLEAN_TPR		     BIT32(3)
#define CLEAN_NP		     BIT32(4)
#define CLEAN_CR		     BIT32(5)
#define CLEAN_DR		     BIT32(6)
#define CLEAN_DT		     BIT32(7)
#define CLEAN_SEG		     BIT32(8)
#define CLEAN_CR2		     BIT32(9)
#define CLEAN_CET		     BIT32(12)
#define CLEAN_ALL		     UINT32_C(0x1fff)

/* EVENTINJ and EXITINTINFO. */
#define EVENT_VECTOR		     BITS64(7, 0)
#define EVENT_TYPE		     BITS64(10, 8)
#define EVENT_ERROR_VALID	     BIT64(11)
#define EVENT_VALID		     BIT64(31)
#define EVENT_ERROR		     BITS64(63, 32)

/* APM volume 2: "SVM Intercept Exit Codes". */
enum svm_exit_code {
	SVM_EXIT_READ_DR0 = 0x20,
	SVM_EXIT_WRITE_DR0 = 0x30,
	SVM_EXIT_WRITE_DR15 = 0x3f,
	SVM_EXIT_EXCEPTION_0 = 0x40,
	SVM_EXIT_EXCEPTION_31 = 0x5f,
	SVM_EXIT_INTR = 0x60,
	SVM_EXIT_NMI = 0x61,
	SVM_EXIT_SMI = 0x62,
	SVM_EXIT_INIT = 0x63,
	SVM_EXIT_VINTR = 0x64,
	SVM_EXIT_CPUID = 0x72,
	SVM_EXIT_IRET = 0x74,
	SVM_EXIT_INVD = 0x76,
	SVM_EXIT_HLT = 0x78,
	SVM_EXIT_INVLPGA = 0x7a,
	SVM_EXIT_IOIO = 0x7b,
	SVM_EXIT_MSR = 0x7c,
	SVM_EXIT_TASK_SWITCH = 0x7d,
	SVM_EXIT_SHUTDOWN = 0x7f,
	SVM_EXIT_VMRUN = 0x80,
	SVM_EXIT_VMMCALL = 0x81,
	SVM_EXIT_VMLOAD = 0x82,
	SVM_EXIT_VMSAVE = 0x83,
	SVM_EXIT_STGI = 0x84,
	SVM_EXIT_CLGI = 0x85,
	SVM_EXIT_SKINIT = 0x86,
	SVM_EXIT_MWAIT = 0x8b,
	SVM_EXIT_NPF = 0x400,
};
#define SVM_EXIT_INVALID    (~UINT64_C(0))

/* EXITINFO1 of an I/O instruction; EXITINFO2 is the next RIP. APM volume 2: "IOIO Intercept". */
#define IOIO_IN		    BIT64(0)
#define IOIO_STRING	    BIT64(2)
#define IOIO_BYTES	    BITS64(6, 4) /* one bit for 1, 2 or 4 */
#define IOIO_PORT	    BITS64(31, 16)

/* EXITINFO2 of a task switch; EXITINFO1 is the selector. APM volume 2: "Task Switch Intercept". */
#define TASK_SWITCH_BY_IRET BIT64(36)
#define TASK_SWITCH_BY_JMP  BIT64(38)
#define TASK_SWITCH_RF	    BIT64(48) /* RFLAGS.RF, as it is to be saved */

/* EXITINFO1 of a nested page fault, beyond the page-fault error code. */
#define NPF_FINAL	    BIT64(32)
#define NPF_WALK	    BIT64(33)

static inline void vmcb_touch(struct vmcb *vmcb, uint32_t groups)
{
	vmcb->clean &= ~groups;
}

#endif
