; SPDX-License-Identifier: BSD-2-Clause
;
; uint64_t core_call(uint64_t request, struct boot_info *info, struct boot_cpu_context *context)
;
; Call the core on the transition page tables. With a context, the CPU's state is stored there first,
; so that the guest can begin where this function returns: it looks to the caller as if the core had
; returned CORE_OK. System V calling convention. The code runs where the firmware loaded it, which
; both sets of page tables map alike.

%define INFO_CORE_ENTRY		0x28
%define INFO_TRANSITION_CR3	0x30

%define CONTEXT_RBX	0x00
%define CONTEXT_RBP	0x08
%define CONTEXT_R12	0x10
%define CONTEXT_R13	0x18
%define CONTEXT_R14	0x20
%define CONTEXT_R15	0x28
%define CONTEXT_RSP	0x30
%define CONTEXT_RIP	0x38
%define CONTEXT_RFLAGS	0x40
%define CONTEXT_TRIAL	0x48
%define CONTEXT_CR0	0x50
%define CONTEXT_CR3	0x58
%define CONTEXT_CR4	0x60
%define CONTEXT_ES	0x68
%define CONTEXT_CS	0x6a
%define CONTEXT_SS	0x6c
%define CONTEXT_DS	0x6e
%define CONTEXT_FS	0x70
%define CONTEXT_GS	0x72
%define CONTEXT_LDTR	0x74
%define CONTEXT_TR	0x76
%define CONTEXT_GDTR	0x78
%define CONTEXT_IDTR	0x82
%define CONTEXT_SSP	0x90

%define CR4_CET_BIT	23

default rel
bits 64

section .text

global core_call:function hidden
core_call:
	push rbp
	push rbx
	push r12
	push r13
	push r14
	push r15
	pushfq
	cli
	cld
	mov r12, cr3
	mov r13, rsp

	test rdx, rdx
	jz .switch
	mov [rdx + CONTEXT_RBX], rbx
	mov [rdx + CONTEXT_RBP], rbp
	mov [rdx + CONTEXT_R12], r12
	mov [rdx + CONTEXT_R13], r13
	mov [rdx + CONTEXT_R14], r14
	mov [rdx + CONTEXT_R15], r15
	mov [rdx + CONTEXT_RSP], rsp
	lea rax, [.resumed]
	mov [rdx + CONTEXT_RIP], rax
	; Interrupts are off in the stored flags: POPFQ below turns them on again, as the caller had them.
	pushfq
	pop rax
	mov [rdx + CONTEXT_RFLAGS], rax
	lea rax, [trial]
	mov [rdx + CONTEXT_TRIAL], rax
	mov rax, cr0
	mov [rdx + CONTEXT_CR0], rax
	mov [rdx + CONTEXT_CR3], r12
	mov rax, cr4
	mov [rdx + CONTEXT_CR4], rax
	mov [rdx + CONTEXT_ES], es
	mov [rdx + CONTEXT_CS], cs
	mov [rdx + CONTEXT_SS], ss
	mov [rdx + CONTEXT_DS], ds
	mov [rdx + CONTEXT_FS], fs
	mov [rdx + CONTEXT_GS], gs
	sldt [rdx + CONTEXT_LDTR]
	str [rdx + CONTEXT_TR]
	sgdt [rdx + CONTEXT_GDTR]
	sidt [rdx + CONTEXT_IDTR]
	xor eax, eax
	rdsspq rax		; no operation without shadow stacks
	mov [rdx + CONTEXT_SSP], rax

.switch:
	; The core has no shadow stack. It comes back as deep as it is called, so that SSP is right again then.
	mov rbx, cr4
	mov rax, rbx
	btr rax, CR4_CET_BIT
	jnc .no_cet
	mov cr4, rax
.no_cet:
	mov rax, [rsi + INFO_CORE_ENTRY]
	mov rcx, [rsi + INFO_TRANSITION_CR3]
	and rsp, -16
	; Only the root moves. Under CR4.PCIDE the core runs in PCID 0 and both moves flush the PCID that
	; they load; bit 63 reads as zero, so the firmware's value goes back as it was.
	mov cr3, rcx
	call rax
	mov cr3, r12
	mov rsp, r13
	bt rbx, CR4_CET_BIT
	jnc .resumed
	mov rcx, cr4
	bts rcx, CR4_CET_BIT
	mov cr4, rcx

.resumed:
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbx
	pop rbp
	ret

; What the trial entry executes. It never gets past the first instruction.
align 16
trial:
	cpuid
	ud2
