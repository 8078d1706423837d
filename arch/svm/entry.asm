; SPDX-License-Identifier: BSD-2-Clause
; The world switch. Called and left with GIF = 0; VMRUN sets it in the guest and an exit clears it again.

bits 64
default rel
section .text

global svm_enter

%include "arch/x86/gprs.inc"

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
	GPRS_LOAD rdi
	mov rdi, [rdi + GPR_RDI]
	vmload
	vmrun
	vmsave
	mov rax, [rsp + SAVED_GPR]
	GPRS_STORE rax
	mov [rax + GPR_RDI], rdi
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
