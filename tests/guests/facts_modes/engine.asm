; SPDX-License-Identifier: BSD-2-Clause
;
; Out of long mode into real mode, protected mode of 16 or 32 bits at CPL 0 or 3, with or without
; paging, or virtual-8086 mode; a piece of code there, until it ends by INT 0x30 or an exception;
; what was found is noted, and back. All of it lies at a fixed address below 1 MiB (engine.c).

%include "tests/guests/facts_modes/layout.inc"

%define AT(label)	(BASE + (label - modes_engine_start))
%define OFFSET(label)	(label - modes_engine_start) ; in the segment BASE >> 4

section .text
default abs

global modes_engine_start:data hidden
global modes_engine_end:data hidden
global modes_engine_labels:data hidden

align 16
modes_engine_start:
bits 64
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	pushfq
	cli
	mov ecx, MSR_FSBASE
	rdmsr
	push rax
	push rdx
	mov ecx, MSR_GSBASE
	rdmsr
	push rax
	push rdx
	mov [abs HOME_RSP], rsp
	sgdt [abs HOME_GDTR]
	sidt [abs HOME_IDTR]
	mov rax, cr0
	mov [abs HOME_CR0], rax
	mov rax, cr3
	mov [abs HOME_CR3], rax
	mov rax, cr4
	mov [abs HOME_CR4], rax
	mov eax, cs
	mov [abs HOME_CS], rax
	mov eax, ss
	mov [abs HOME_SS], eax
	mov eax, ds
	mov [abs HOME_DS], eax
	mov eax, es
	mov [abs HOME_ES], eax
	lgdt [abs GDTR]
	jmp far dword [abs TO_32]

bits 32
enter_32:
	mov eax, DATA_32
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov esp, HANDLER_STACK
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	lidt [dword IDTR]
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LME
	wrmsr
	mov eax, [dword JOB_CR4]
	mov cr4, eax
	mov eax, [dword JOB_CR3]
	mov cr3, eax
	mov eax, TASK
	ltr ax
	xor eax, eax
	lldt ax
	mov cr2, eax
	mov eax, [dword JOB_CR0]
	mov cr0, eax
	jmp short .fetched
.fetched:
	mov eax, [dword JOB_CLASS]
	cmp eax, CLASS_REAL
	je to_real
	cmp eax, CLASS_SAME
	je .same
	cmp eax, CLASS_OUTER
	je .outer
	push dword [dword JOB_GS]
	push dword [dword JOB_FS]
	push dword [dword JOB_DS]
	push dword [dword JOB_ES]
.outer:
	push dword [dword JOB_SS]
	push dword [dword JOB_ESP]
	jmp short .frame
.same:
	mov ss, [dword JOB_SS]
	mov esp, [dword JOB_ESP]
.frame:
	push dword [dword JOB_EFLAGS]
	push dword [dword JOB_CS]
	push dword [dword JOB_EIP]
	mov ecx, [dword JOB_GPR + 4]
	mov edx, [dword JOB_GPR + 8]
	mov ebx, [dword JOB_GPR + 12]
	mov ebp, [dword JOB_GPR + 20]
	mov esi, [dword JOB_GPR + 24]
	mov edi, [dword JOB_GPR + 28]
	mov eax, [dword JOB_GPR]
	cmp dword [dword JOB_CLASS], CLASS_VM86
	je .go
	mov es, [dword JOB_ES]
	mov ds, [dword JOB_DS]
.go:
	iretd

to_real:
	mov eax, DATA_16
	cmp dword [dword JOB_UNREAL], 0
	je .limits
	mov eax, DATA_32
.limits:
	mov es, eax
	mov fs, eax
	mov gs, eax
	mov edx, DATA_16
	mov ss, edx
	mov ds, eax
	jmp CODE_16:OFFSET(prot_16)

bits 16
prot_16:
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	jmp (BASE >> 4):OFFSET(real_16)

real_16:
	o32 lidt [cs:IVTR - BASE]
	mov ss, [cs:JOB_SS - BASE]
	mov esp, [cs:JOB_ESP - BASE]
	mov es, [cs:JOB_ES - BASE]
	mov ds, [cs:JOB_DS - BASE]
	mov fs, [cs:JOB_FS - BASE]
	mov gs, [cs:JOB_GS - BASE]
	push dword [cs:JOB_EFLAGS - BASE]
	push dword [cs:JOB_CS - BASE]
	push dword [cs:JOB_EIP - BASE]
	mov ecx, [cs:JOB_GPR + 4 - BASE]
	mov edx, [cs:JOB_GPR + 8 - BASE]
	mov ebx, [cs:JOB_GPR + 12 - BASE]
	mov ebp, [cs:JOB_GPR + 20 - BASE]
	mov esi, [cs:JOB_GPR + 24 - BASE]
	mov edi, [cs:JOB_GPR + 28 - BASE]
	mov eax, [cs:JOB_GPR - BASE]
	o32 iret

; --- the way back ---

; 8 bytes each
vectors_16:
%assign vector 0
%rep VECTORS
	db 0x6a, vector		; PUSH imm8
	db 0xe9			; JMP rel16
	dw caught_16 - ($ + 2)
	times 3 db 0x90
%assign vector vector + 1
%endrep

bits 32
vectors_32:
%assign vector 0
%rep VECTORS
	db 0x6a, vector		; PUSH imm8
	db 0xe9			; JMP rel32
	dd caught_32 - ($ + 4)
	db 0x90
%assign vector vector + 1
%endrep

bits 16
caught_16:
	push gs
	push fs
	push es
	push ds
	pushad
	mov [cs:OUT_SS - BASE], ss
	mov word [cs:OUT_KIND - BASE], 16
	mov ax, DATA_16_REAL
	mov ds, ax
	mov bp, sp
	xor di, di
.copy:
	mov eax, [bp + di]
	mov [di + (OUT_WORDS - BASE)], eax
	add di, 4
	cmp di, 4 * OUT_COUNT
	jb .copy
	mov eax, cr0
	mov [OUT_CR0 - BASE], eax
	o32 lgdt [GDTR - BASE]
	or al, 1
	mov cr0, eax
	jmp dword CODE_32:AT(leave_32)

bits 32
caught_32:
	push gs
	push fs
	push es
	push ds
	pushad
	mov eax, DATA_32
	mov ds, eax
	mov eax, ss
	mov [dword OUT_SS], eax
	mov dword [dword OUT_KIND], 32
	xor edi, edi
.copy:
	mov eax, [ss:esp + edi]
	mov [edi + OUT_WORDS], eax
	add edi, 4
	cmp edi, 4 * OUT_COUNT
	jb .copy
	mov eax, cr0
	mov [dword OUT_CR0], eax

leave_32:
	mov eax, DATA_32
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, HANDLER_STACK
	mov eax, cr2
	mov [dword OUT_CR2], eax
	mov eax, cr4
	mov [dword OUT_CR4], eax
	mov eax, dr6
	mov [dword OUT_DR6], eax
	mov ecx, MSR_EFER
	rdmsr
	mov [dword OUT_EFER], eax
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	lgdt [dword GDTR]
	mov byte [dword GDT + TASK + 5], 0x89 ; not busy: long mode does not begin with a TSS of 16 bits
	mov eax, TASK
	ltr ax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, [dword HOME_CR4]
	mov cr4, eax
	mov eax, [dword HOME_CR3]
	mov cr3, eax
	mov eax, [dword HOME_CR0]
	mov cr0, eax
	jmp CODE_64:AT(home)

bits 64
home:
	xor eax, eax
	lldt ax
	lgdt [abs HOME_GDTR]
	lidt [abs HOME_IDTR]
	mov eax, [abs HOME_SS]
	mov ss, eax
	mov rsp, [abs HOME_RSP]
	push qword [abs HOME_CS]
	mov eax, AT(.far)
	push rax
	o64 retf
.far:
	mov eax, [abs HOME_DS]
	mov ds, eax
	mov eax, [abs HOME_ES]
	mov es, eax
	mov ecx, MSR_GSBASE
	pop rdx
	pop rax
	wrmsr
	mov ecx, MSR_FSBASE
	pop rdx
	pop rax
	wrmsr
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret
modes_engine_end:

section .rodata
align 4
modes_engine_labels:			; struct engine_labels
	dd OFFSET(enter_32), OFFSET(vectors_16), OFFSET(vectors_32)

section .note.GNU-stack noalloc noexec nowrite progbits
