; SPDX-License-Identifier: BSD-2-Clause
;
; Into an instruction with all of RFLAGS, by IRETQ, and back: what follows it jumps to R12.

default rel
bits 64

; struct steps_entry
%define ENTRY_RIP    0
%define ENTRY_CS     8
%define ENTRY_RFLAGS 16
%define ENTRY_RSP    24
%define ENTRY_SS     32
%define ENTRY_SAVED  40
%define ENTRY_AFTER  48
%define ENTRY_R11    56

section .text

; void steps_enter(struct steps_entry *entry)
global steps_enter:function hidden
steps_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov r13, rdi
	mov [r13 + ENTRY_SAVED], rsp
	lea r12, [steps_back]
	xor r11d, r11d
	push qword [r13 + ENTRY_SS]
	push qword [r13 + ENTRY_RSP]
	push qword [r13 + ENTRY_RFLAGS]
	push qword [r13 + ENTRY_CS]
	push qword [r13 + ENTRY_RIP]
	iretq

; SYSCALL comes here at once, with other selectors.
global steps_back:function hidden
steps_back:
	mov rsp, [r13 + ENTRY_SAVED]
	pushfq
	pop qword [r13 + ENTRY_AFTER]
	mov [r13 + ENTRY_R11], r11
	mov eax, [r13 + ENTRY_SS]
	mov ss, eax
	push qword [r13 + ENTRY_CS]
	lea rax, [.far]
	push rax
	o64 retf
.far:
	cld
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .note.GNU-stack noalloc noexec nowrite progbits
