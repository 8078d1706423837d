; SPDX-License-Identifier: BSD-2-Clause
;
; Out of the firmware's long mode into another paging mode, one access there, and back. This is copied to four
; pages below 4 GiB that are mapped one to one in every table: code, code for CPL 3, data, stack. EBP points to
; the first of them all the time.

default rel

%define AT(label)  (label - excursion_start)

; struct excursion_data, on the third page
%define DATA	   0x2000
%define CR0	   (DATA + 0x00)
%define CR3	   (DATA + 0x08)
%define CR4	   (DATA + 0x10)
%define EFER	   (DATA + 0x18)
%define LINEAR	   (DATA + 0x20)
%define VALUE	   (DATA + 0x28)
%define CODE	   (DATA + 0x30)
%define PKRU	   (DATA + 0x38)
%define RFLAGS	   (DATA + 0x3c)
%define IS_64	   (DATA + 0x40)
%define IS_USER	   (DATA + 0x44)
%define TASK	   (DATA + 0x48)
%define SELECTOR   (DATA + 0x4c)
%define OUT_RAX	   (DATA + 0x50)
%define OUT_RSP	   (DATA + 0x58)
%define OUT_CR2	   (DATA + 0x60)
%define TO_32	   (DATA + 0x68)
%define TO_64	   (DATA + 0x70)
%define TO_LEAVE   (DATA + 0x78)
%define TO_HOME	   (DATA + 0x80)
%define GDTR	   (DATA + 0x88)
%define IDTR	   (DATA + 0x98)
%define HOME	   (DATA + 0xa8)
%define STACK_TOP  0x4000

%define CR4_PKE	   0x400000

%include "tests/guests/lib/home.inc"

; as excursion.c lays out the GDT
%define DATA_0	   0x10
%define USER_32	   0x23
%define USER_DATA  0x2b
%define USER_64	   0x33
%define LDT	   0x50

section .text

global excursion_start:data hidden
global excursion_end:data hidden
global excursion_code:data hidden

; --- the way there: void excursion_start(void), as copied ---

align 4096
excursion_start:
bits 64
	home_save excursion_start
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
	lidt [ebp + IDTR]
	mov ecx, MSR_EFER
	mov eax, [ebp + EFER]
	mov edx, [ebp + EFER + 4]
	wrmsr
	mov eax, [ebp + CR4]
	mov cr4, eax
	test eax, CR4_PKE
	jz .no_keys
	mov eax, [ebp + PKRU]
	xor ecx, ecx
	xor edx, edx
	db 0x0f, 0x01, 0xef ; WRPKRU
.no_keys:
	mov eax, [ebp + CR3]
	mov cr3, eax
	xor eax, eax
	mov cr2, eax
	mov eax, [ebp + CR0]
	mov cr0, eax		; a bad PDPTE faults here, still unpaged
	cmp dword [ebp + IS_64], 0
	jne .to_64
	mov eax, [ebp + TASK]
	ltr ax
	mov eax, LDT
	lldt ax
	mov ebx, [ebp + LINEAR]
	mov eax, [ebp + VALUE]
	mov edx, [ebp + SELECTOR]
	cmp dword [ebp + IS_USER], 0
	jne .user
	push dword [ebp + RFLAGS]
	popfd
	jmp [ebp + CODE]
.user:
	push byte USER_DATA
	push byte 0
	push dword [ebp + RFLAGS]
	push byte USER_32
	push dword [ebp + CODE]
	iretd
.to_64:
	jmp far [ebp + TO_64]

bits 64
enter_64:
	lea rsp, [rbp + STACK_TOP]
	mov eax, [rbp + TASK]
	ltr ax
	mov eax, LDT
	lldt ax
	mov rbx, [rbp + LINEAR]
	mov rax, [rbp + VALUE]
	mov edx, [rbp + SELECTOR]
	cmp dword [rbp + IS_USER], 0
	mov ecx, [rbp + RFLAGS]
	jne .user
	push rcx
	popfq
	jmp [rbp + CODE]
.user:
	push USER_DATA
	push 0
	push rcx
	push USER_64
	push qword [rbp + CODE]
	iretq

; --- the way back: each vector pushes its number, behind the error code if there is one ---

	home_vectors vectors_32, caught_32
	home_vectors vectors_64, caught_64

bits 64
caught_64:
	mov [rbp + OUT_RAX], rax
	mov [rbp + OUT_RSP], rsp
	mov rax, cr2
	mov [rbp + OUT_CR2], rax
	jmp far dword [rbp + TO_LEAVE]

bits 32
caught_32:
	mov [ebp + OUT_RAX], eax
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
	xor eax, eax
	lldt ax
	home_return

; --- the accesses, for CPL 0 and again on the page for CPL 3: enum excursion_access ---

%macro accesses 2
bits %1
align 8
%2_read:
%if %1 = 64
	mov eax, [rbx]
%else
	mov eax, [ebx]
%endif
	int 0x30
align 8
%2_write:
%if %1 = 64
	mov [rbx], eax
%else
	mov [ebx], eax
%endif
	int 0x30
align 8
%2_exchange:
%if %1 = 64
	xchg [rbx], eax
%else
	xchg [ebx], eax
%endif
	int 0x30
align 8
%2_fetch:
%if %1 = 64
	jmp rbx
%else
	jmp ebx
%endif
	int 0x30
align 8
%2_implicit:
	lsl eax, edx
	int 0x30
align 8
%2_vmcall:
	vmcall
	int 0x30
align 8
%2_vmmcall:
	vmmcall
	int 0x30
%endmacro

	accesses 32, kernel_32
	accesses 64, kernel_64

	times 4096 - ($ - excursion_start) db 0xcc
	accesses 32, user_32
	accesses 64, user_64
	times 8192 - ($ - excursion_start) db 0xcc
excursion_end:

; What excursion.c has to know of the copy: struct excursion_code.
section .rodata
align 4
excursion_code:
	dd AT(enter_32), AT(enter_64), AT(leave_32), AT(home)
	dd AT(vectors_32), AT(vectors_64)
	dd AT(kernel_32_read), AT(kernel_64_read), AT(user_32_read), AT(user_64_read)

section .note.GNU-stack noalloc noexec nowrite progbits
