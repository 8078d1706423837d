; SPDX-License-Identifier: BSD-2-Clause
; The world switch. Called and left with GIF = 0; VMRUN sets it in the guest and an exit clears it again.

bits 64
default rel
section .text

global svm_enter

QUICK_AGAIN	equ 0		; vmexit/quick.h

; What is on the stack while the guest runs.
SAVED_GPR	equ 0 * 8
SAVED_VMCB	equ 1 * 8
SAVED_HOST_VMCB	equ 2 * 8
SAVED_AFTER	equ 3 * 8
SAVED_BYTES	equ 5 * 8	; one more to align the stack

; uint32_t svm_enter(gpr: rdi, vmcb: rsi, host_vmcb: rdx, after: rcx)
align 16
svm_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	sub rsp, SAVED_BYTES
	mov [rsp + SAVED_GPR], rdi
	mov [rsp + SAVED_VMCB], rsi
	mov [rsp + SAVED_HOST_VMCB], rdx
	mov [rsp + SAVED_AFTER], rcx
.again:
	mov rdi, [rsp + SAVED_GPR]
	mov rax, [rsp + SAVED_VMCB]
	mov rcx, [rdi + 1 * 8]
	mov rdx, [rdi + 2 * 8]
	mov rbx, [rdi + 3 * 8]
	mov rbp, [rdi + 5 * 8]
	mov rsi, [rdi + 6 * 8]
	mov r8, [rdi + 8 * 8]
	mov r9, [rdi + 9 * 8]
	mov r10, [rdi + 10 * 8]
	mov r11, [rdi + 11 * 8]
	mov r12, [rdi + 12 * 8]
	mov r13, [rdi + 13 * 8]
	mov r14, [rdi + 14 * 8]
	mov r15, [rdi + 15 * 8]
	mov rdi, [rdi + 7 * 8]
	vmload
	vmrun
	vmsave
	mov rax, [rsp + SAVED_GPR]
	mov [rax + 1 * 8], rcx
	mov [rax + 2 * 8], rdx
	mov [rax + 3 * 8], rbx
	mov [rax + 5 * 8], rbp
	mov [rax + 6 * 8], rsi
	mov [rax + 7 * 8], rdi
	mov [rax + 8 * 8], r8
	mov [rax + 9 * 8], r9
	mov [rax + 10 * 8], r10
	mov [rax + 11 * 8], r11
	mov [rax + 12 * 8], r12
	mov [rax + 13 * 8], r13
	mov [rax + 14 * 8], r14
	mov [rax + 15 * 8], r15
	mov rdi, rax		; struct vcpu begins with the registers
	; FS, GS and TR are still the guest's: C code and the IST need ours.
	mov rax, [rsp + SAVED_HOST_VMCB]
	vmload
	call [rsp + SAVED_AFTER]
	test eax, eax		; QUICK_AGAIN
	jz .again
	add rsp, SAVED_BYTES
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .note.GNU-stack noalloc noexec nowrite progbits
