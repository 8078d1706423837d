; SPDX-License-Identifier: BSD-2-Clause
;
; Into a state of the CPU and, by whatever exception ends it, back with the state that it has then.

default rel
bits 64

%define VECTOR_COUNT 32
; struct cpu_state of run.h
%define GPR(n)	 (8 * (n))
%define RIP	 128
%define CS	 136
%define RFLAGS	 144
%define SS	 152
%define DS	 160
%define ES	 162
%define FS	 164
%define GS	 166
%define VECTOR	 168
%define ERROR	 176
%define CR2	 184
%define DR6	 192

section .data

align 16
run_out:
	times 200 db 0
saved_rsp:
	dq 0
saved_ss:
	dq 0

section .text

; void run_enter(const struct cpu_state *in, struct cpu_state *out)
global run_enter:function hidden
run_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push rsi
	mov [saved_rsp], rsp
	mov eax, ss
	mov [saved_ss], rax
	mov ax, [rdi + DS]
	mov ds, ax
	mov ax, [rdi + ES]
	mov es, ax
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

global run_entries:data hidden
align 16
run_entries:
%assign vector 0
%rep VECTOR_COUNT
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17 || vector = 21 || vector = 30
	nop
	nop
%else
	push byte 0
%endif
	push byte vector
	jmp near run_leave
	align 16
%assign vector vector + 1
%endrep

run_leave:
	mov [run_out + GPR(0)], rax
	mov [run_out + GPR(1)], rcx
	mov [run_out + GPR(2)], rdx
	mov [run_out + GPR(3)], rbx
	mov [run_out + GPR(5)], rbp
	mov [run_out + GPR(6)], rsi
	mov [run_out + GPR(7)], rdi
	mov [run_out + GPR(8)], r8
	mov [run_out + GPR(9)], r9
	mov [run_out + GPR(10)], r10
	mov [run_out + GPR(11)], r11
	mov [run_out + GPR(12)], r12
	mov [run_out + GPR(13)], r13
	mov [run_out + GPR(14)], r14
	mov [run_out + GPR(15)], r15
	pop qword [run_out + VECTOR]
	pop qword [run_out + ERROR]
	pop qword [run_out + RIP]
	pop qword [run_out + CS]
	pop qword [run_out + RFLAGS]
	pop qword [run_out + GPR(4)]
	pop qword [run_out + SS]
	mov rax, cr2
	mov [run_out + CR2], rax
	mov rax, dr6
	mov [run_out + DR6], rax
	mov rax, [saved_ss]
	mov ss, ax
	mov ds, ax
	mov es, ax
	mov rsp, [saved_rsp]
	push qword 2
	popfq
	pop rdi
	lea rsi, [run_out]
	mov ecx, 200 / 8
	rep movsq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .note.GNU-stack noalloc noexec nowrite progbits
