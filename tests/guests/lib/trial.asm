; SPDX-License-Identifier: BSD-2-Clause
;
; Into a state of the CPU, exceptions there, and back: lib/trial.h.

default rel
bits 64

; struct trial_state
%define GPR(n)	 (8 * (n))
%define RIP	 128
%define CS	 136
%define RFLAGS	 144
%define SS	 152
%define DS	 160
%define ES	 162
%define FS	 164
%define GS	 166

; in the same 64 KiB as ARENA_STACK_TOP
%define ENTRY_STACK 0x302f000

section .data

align 8
saved_rsp:
	dq 0
saved_ss:
	dq 0

section .text

extern trial_exception

; void trial_enter(const struct trial_state *in): returns when trial_return() is called
global trial_enter:function hidden
trial_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [saved_rsp], rsp
	mov eax, ss
	mov [saved_ss], rax
	mov ax, [rdi + DS]
	mov ds, ax
	mov ax, [rdi + ES]
	mov es, ax
	mov ax, [rdi + FS]
	mov fs, ax
	mov ax, [rdi + GS]
	mov gs, ax
	mov rsp, ENTRY_STACK	; IRET to a stack of 16 bits may leave the rest of RSP as it is
	push qword [rdi + SS]
	push qword [rdi + GPR(4)]
	push qword [rdi + RFLAGS]
	push qword [rdi + CS]
	push qword [rdi + RIP]
	mov rax, [rdi + GPR(0)]
	mov rcx, [rdi + GPR(1)]
	mov rdx, [rdi + GPR(2)]
	mov rbx, [rdi + GPR(3)]
	mov rbp, [rdi + GPR(5)]
	mov rsi, [rdi + GPR(6)]
	mov r8, [rdi + GPR(8)]
	mov r9, [rdi + GPR(9)]
	mov r10, [rdi + GPR(10)]
	mov r11, [rdi + GPR(11)]
	mov r12, [rdi + GPR(12)]
	mov r13, [rdi + GPR(13)]
	mov r14, [rdi + GPR(14)]
	mov r15, [rdi + GPR(15)]
	mov rdi, [rdi + GPR(7)]
	iretq

; From a handler, on whatever stack.
global trial_return:function hidden
trial_return:
	mov rax, [saved_ss]
	mov ss, ax
	mov rsp, [saved_rsp]
	mov ds, ax
	mov es, ax
	mov rdx, rsp
	push rax
	push rdx
	push qword 2
	mov ecx, cs
	push rcx
	lea rcx, [.unblocked]
	push rcx
	iretq			; NMIs are no longer blocked, if one was the last
.unblocked:
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

global trial_entries:data hidden
align 16
trial_entries:
%assign vector 0
%rep 256
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17 || vector = 21 || vector = 30
	nop
	nop
%else
	push byte 0
%endif
	push qword vector
	jmp near trial_common
	align 16
%assign vector vector + 1
%endrep

trial_common:
	push r15
	push r14
	push r13
	push r12
	push r11
	push r10
	push r9
	push r8
	push rdi
	push rsi
	push rbp
	push rsp
	push rbx
	push rdx
	push rcx
	push rax
	mov rdi, rsp
	mov rbx, rsp
	and rsp, -16
	cld
	call trial_exception
	mov rsp, rbx
	pop rax
	pop rcx
	pop rdx
	pop rbx
	add rsp, 8
	pop rbp
	pop rsi
	pop rdi
	pop r8
	pop r9
	pop r10
	pop r11
	pop r12
	pop r13
	pop r14
	pop r15
	add rsp, 16
	iretq

section .note.GNU-stack noalloc noexec nowrite progbits
