; SPDX-License-Identifier: BSD-2-Clause
;
; Out of the firmware's long mode into another mode, a few instructions there, and back by the exception that
; ends them. This is copied to four pages below 1 MiB: code, the instructions, data, stack. EBP points to the
; first of them all the time.

default rel

%define AT(label)  (label - trip_start)

; struct trip_data, on the third page
%define DATA	   0x2000
%define CR0	   (DATA + 0x00)
%define CR3	   (DATA + 0x08)
%define CR4	   (DATA + 0x10)
%define EFER	   (DATA + 0x18)
%define REGS	   (DATA + 0x20)	; in: RAX, RBX, RCX, RDX, RSI, RDI
%define OUT	   (DATA + 0x50)	; the same
%define OUT_RSP	   (DATA + 0x80)
%define OUT_CR2	   (DATA + 0x88)
%define RFLAGS	   (DATA + 0x90)
%define KIND	   (DATA + 0x94)
%define TO_32	   (DATA + 0x98)
%define TO_64	   (DATA + 0xa0)
%define TO_CODE	   (DATA + 0xa8)
%define TO_16	   (DATA + 0xb0)
%define TO_REAL	   (DATA + 0xb8)
%define TO_LEAVE   (DATA + 0xc0)
%define TO_HOME	   (DATA + 0xc8)
%define GDTR	   (DATA + 0xd0)
%define IDTR	   (DATA + 0xe0)
%define CODE	   0x1000
%define HOME	   (DATA + 0xf0)
%define STACK_TOP  0x4000

; enum trip_kind
%define KIND_CODE  0	; by far jump
%define KIND_64	   1
%define KIND_REAL  2
%define KIND_USER32 3
%define KIND_USER64 4

%include "tests/guests/lib/home.inc"

; as trip.c lays out the GDT
%define DATA_0	   0x10
%define USER_32	   0x23
%define USER_DATA  0x2b
%define USER_64	   0x33
%define DATA_16	   0x40
%define TASK	   0x48

section .text

global trip_start:data hidden
global trip_end_of_code:data hidden
global trip_code:data hidden

align 4096
trip_start:
bits 64
	home_save trip_start
	lgdt [rbp + GDTR]
	jmp far dword [rbp + TO_32]

bits 32
enter_32:
	mov eax, USER_DATA	; or the IRET to CPL 3 would clear them
	mov ds, eax
	mov es, eax
	mov eax, DATA_0
	mov ss, eax
	lea esp, [ebp + STACK_TOP]
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov ecx, MSR_EFER
	mov eax, [ebp + EFER]
	mov edx, [ebp + EFER + 4]
	wrmsr
	mov eax, [ebp + CR4]
	mov cr4, eax
	mov eax, [ebp + CR3]
	mov cr3, eax
	xor eax, eax
	mov cr2, eax
	mov eax, [ebp + CR0]
	mov cr0, eax
	lidt [ebp + IDTR]
	cmp dword [ebp + KIND], KIND_REAL
	je .real
	mov eax, TASK
	ltr ax
	cmp dword [ebp + KIND], KIND_64
	je .to_64
	cmp dword [ebp + KIND], KIND_USER64
	je .to_64
	cmp dword [ebp + KIND], KIND_USER32
	je .user
	push dword [ebp + RFLAGS]
	popfd
	call load_32
	jmp far [ebp + TO_CODE]
.user:
	push byte USER_DATA
	lea eax, [ebp + STACK_TOP - 0x800]
	push eax
	push dword [ebp + RFLAGS]
	push byte USER_32
	push dword [ebp + TO_CODE]
	call load_32
	iretd
.to_64:
	jmp far [ebp + TO_64]
.real:
	jmp far [ebp + TO_16]

load_32:
	mov eax, [ebp + REGS]
	mov ebx, [ebp + REGS + 8]
	mov ecx, [ebp + REGS + 16]
	mov edx, [ebp + REGS + 24]
	mov esi, [ebp + REGS + 32]
	mov edi, [ebp + REGS + 40]
	ret

bits 64
enter_64:
	mov ebp, ebp
	mov esp, esp
	mov eax, [rbp + RFLAGS]
	cmp dword [rbp + KIND], KIND_USER64
	je .user
	push rax
	popfq
	call load_64
	jmp far dword [rbp + TO_CODE]
.user:
	push USER_DATA
	lea rcx, [rbp + STACK_TOP - 0x800]
	push rcx
	push rax
	push USER_64
	mov eax, [rbp + TO_CODE]
	push rax
	call load_64
	iretq

load_64:
	mov rax, [rbp + REGS]
	mov rbx, [rbp + REGS + 8]
	mov rcx, [rbp + REGS + 16]
	mov rdx, [rbp + REGS + 24]
	mov rsi, [rbp + REGS + 32]
	mov rdi, [rbp + REGS + 40]
	ret

bits 16
enter_16:
	mov ax, DATA_16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov esp, STACK_TOP
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
	jmp far [TO_REAL]
in_real:
	mov ax, cs
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov fs, ax
	mov gs, ax
	push word [RFLAGS]
	popf
	mov eax, [REGS]
	mov ebx, [REGS + 8]
	mov ecx, [REGS + 16]
	mov edx, [REGS + 24]
	mov esi, [REGS + 32]
	mov edi, [REGS + 40]
	push word CODE
	ret

; --- the way back: each vector pushes its number, behind the error code if there is one ---

bits 16
	home_vectors vectors_16, caught_16
bits 32
	home_vectors vectors_32, caught_32
bits 64
	home_vectors vectors_64, caught_64

bits 64
caught_64:
	mov [rbp + OUT], rax
	mov [rbp + OUT + 8], rbx
	mov [rbp + OUT + 16], rcx
	mov [rbp + OUT + 24], rdx
	mov [rbp + OUT + 32], rsi
	mov [rbp + OUT + 40], rdi
	mov [rbp + OUT_RSP], rsp
	mov rax, cr2
	mov [rbp + OUT_CR2], rax
	jmp far dword [rbp + TO_LEAVE]

bits 16
caught_16:
	mov [cs:OUT], eax
	mov [cs:OUT + 8], ebx
	mov [cs:OUT + 16], ecx
	mov [cs:OUT + 24], edx
	mov [cs:OUT + 32], esi
	mov [cs:OUT + 40], edi
	xor ebp, ebp
	mov bp, cs
	shl ebp, 4
	movzx eax, sp
	add eax, ebp
	mov [cs:OUT_RSP], eax
	mov eax, cr2
	mov [cs:OUT_CR2], eax
	o32 lgdt [cs:GDTR]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	o32 jmp far [cs:TO_LEAVE]

bits 32
caught_32:
	mov [ebp + OUT], eax
	mov [ebp + OUT + 8], ebx
	mov [ebp + OUT + 16], ecx
	mov [ebp + OUT + 24], edx
	mov [ebp + OUT + 32], esi
	mov [ebp + OUT + 40], edi
	mov [ebp + OUT_RSP], esp
	mov eax, cr2
	mov [ebp + OUT_CR2], eax
leave_32:
	mov eax, DATA_0		; null after an interrupt of 64-bit code of CPL 3
	mov ss, eax
	mov eax, USER_DATA
	mov ds, eax
	mov es, eax
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	home_mode
	jmp far [ebp + TO_HOME]

bits 64
home:
	mov ebp, ebp
	home_return
	times 4096 - ($ - trip_start) db 0xcc
trip_end_of_code:

; What trip.c has to know of the copy: struct trip_code.
section .rodata
align 4
trip_code:
	dd AT(enter_32), AT(enter_64), AT(enter_16), AT(in_real), AT(leave_32), AT(home)
	dd AT(vectors_16), AT(vectors_32), AT(vectors_64)

section .note.GNU-stack noalloc noexec nowrite progbits
