/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's exceptions: its IDT, the table of instructions that may fault, NMI, and what else is the end. */
#ifndef CORE_EXCEPTION_H
#define CORE_EXCEPTION_H

#include <stdint.h>

/* As core/exception.asm pushes it. */
struct exception_frame {
	uint64_t rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t vector, error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Boot CPU, once. */
void exception_init(void);
void exception_load_idt(void);

/*
 * Instructions in [start, end) look at the kick flags and then enter the guest: an NMI there moves RIP to `abort`, so
 * that it is not forgotten until the next exit. Set once by the back end (0, 0, 0: none, as GIF closes the gap).
 */
void exception_set_nmi_window(uint64_t start, uint64_t end, uint64_t abort);

/* After an exit because of an NMI: NMIs are blocked until an IRET. */
void exception_return_from_nmi(void);

void exception_handle(struct exception_frame *frame);

#endif
