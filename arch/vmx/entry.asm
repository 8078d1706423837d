; SPDX-License-Identifier: BSD-2-Clause
;
; The world switch. struct vcpu begins with the general registers in encoding order
; (core/regs.h), RSP among them but kept by the VMCS.

default rel
bits 64

global vmx_enter
global vmx_exit_point
global vmx_entry_window_start
global vmx_entry_window_end
global vmx_entry_window_abort

%include "arch/x86/gprs.inc"

VMCS_HOST_RSP	equ 0x6c14

QUICK_AGAIN		equ 0	; vmexit/quick.h
ENTRY_FAIL_INVALID	equ 3
ENTRY_FAIL_VALID	equ 4
ENTRY_ABORTED		equ 5

; What is on the stack while the guest runs, from HOST_RSP on.
SAVED_GPR		equ 0 * 8
SAVED_NMI_COUNT		equ 1 * 8
SAVED_NMI_SEEN		equ 2 * 8
SAVED_AFTER		equ 3 * 8
SAVED_BYTES		equ 4 * 8

%macro LOAD_GPRS 0
	mov rax, [rdi + GPR_RAX]
	GPRS_LOAD rdi
	mov rdi, [rdi + GPR_RDI]
%endmacro

section .text

; uint32_t vmx_enter(uint64_t *gpr, bool launched, const uint64_t *nmi_count, uint64_t nmi_seen,
;		     uint64_t *host_rsp, uint32_t (*after)(struct vcpu *))
align 16
vmx_enter:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push r9
	push rcx
	push rdx
	push rdi
	cmp rsp, [r8]
	jne vmx_store_rsp
vmx_rsp_stored:
	test sil, sil
	jz vmx_launch

	; From here on an NMI goes to the abort label.
vmx_entry_window_start:
	cmp [rdx], rcx
	jne vmx_entry_window_abort
	LOAD_GPRS
	vmresume
	jmp short vmx_failed
vmx_launch:
	cmp [rdx], rcx
	jne vmx_entry_window_abort
	LOAD_GPRS
	vmlaunch
vmx_entry_window_end:
vmx_failed:
	mov eax, ENTRY_FAIL_INVALID
	jc vmx_exit_point.return
	mov eax, ENTRY_FAIL_VALID
	jmp vmx_exit_point.return

vmx_store_rsp:
	mov [r8], rsp
	mov eax, VMCS_HOST_RSP
	vmwrite rax, rsp
	jna vmx_failed		; CF or ZF
	jmp vmx_rsp_stored

vmx_entry_window_abort:
	mov eax, ENTRY_ABORTED
	jmp short vmx_exit_point.return

align 16
vmx_exit_point:
	push rdi
	mov rdi, [rsp + 8 + SAVED_GPR]
	mov [rdi + GPR_RAX], rax
	GPRS_STORE rdi
	pop qword [rdi + GPR_RDI]
	call [rsp + SAVED_AFTER]
	mov rdi, [rsp + SAVED_GPR]
	mov rdx, [rsp + SAVED_NMI_COUNT]
	mov rcx, [rsp + SAVED_NMI_SEEN]
	test eax, eax		; QUICK_AGAIN
	jz vmx_entry_window_start
.return:
	add rsp, SAVED_BYTES
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .note.GNU-stack noalloc noexec nowrite progbits
