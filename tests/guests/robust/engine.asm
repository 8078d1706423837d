; SPDX-License-Identifier: BSD-2-Clause
;
; Out of the firmware's long mode into any state of the CPU, and back from whatever exception ends it. This is copied
; into a control block below 1 MiB (struct control of engine.h), whose address the segments CONTROL_CODE and
; CONTROL_DATA have as their base: outside 64-bit mode all offsets here count from there.

default rel

%define CODE	   0x1000	; where engine_start lies in the control block
%define DATA	   0x3000	; struct engine_data
%define AT(label)  (CODE + label - engine_start)

; struct robust_state
%define GPR(n)	   (8 * (n))
%define RIP	   0x80
%define RFLAGS	   0x88
%define CS_	   0x90
%define SS_	   0x94
%define DS_	   0x98
%define ES_	   0x9c
%define FS_	   0xa0
%define GS_	   0xa4
%define VECTOR	   0xa8
%define ERROR	   0xb0
%define CR2_	   0xb8
%define DR6_	   0xc0
%define CR0_	   0xc8
%define CR4_	   0xd0

; struct engine_data
%define IN	   (DATA + 0x000)
%define OUT	   (DATA + 0x100)
%define TO_CR0	   (DATA + 0x200)
%define TO_CR3	   (DATA + 0x208)
%define TO_CR4	   (DATA + 0x210)
%define TO_EFER	   (DATA + 0x218)
%define KIND	   (DATA + 0x220)
%define TASK	   (DATA + 0x224)
%define LDT	   (DATA + 0x228)
%define TO_32	   (DATA + 0x230)
%define TO_HOME	   (DATA + 0x238)
%define TO_16	   (DATA + 0x240)
%define TO_REAL	   (DATA + 0x248)
%define FROM_REAL  (DATA + 0x250)
%define GDTR	   (DATA + 0x258)
%define IDTR	   (DATA + 0x268)
%define HOME_GDTR  (DATA + 0x278)
%define HOME_IDTR  (DATA + 0x288)
%define HOME_CR0   (DATA + 0x298)
%define HOME_CR3   (DATA + 0x2a0)
%define HOME_CR4   (DATA + 0x2a8)
%define HOME_EFER  (DATA + 0x2b0)
%define HOME_RSP   (DATA + 0x2b8)
%define HOME_CS	   (DATA + 0x2c0)
%define HOME_SS	   (DATA + 0x2c8)
%define HOME_DS	   (DATA + 0x2cc)
%define HOME_ES	   (DATA + 0x2d0)
%define HOME_FS	   (DATA + 0x2d4)
%define HOME_GS	   (DATA + 0x2d8)
%define MXCSR	   (DATA + 0x2dc)
%define STACK_TOP  0xaff0

%define KIND_REAL  2

%define SELECTOR_CONTROL_DATA 0x10
%define SELECTOR_DATA_16      0x58

%define MSR_EFER   0xc0000080
%define MSR_FSBASE 0xc0000100
%define MSR_GSBASE 0xc0000101
%define EFER_LMA   0x400
%define CR0_PE	   0x1
%define CR0_PG	   0x80000000
%define FLAG_VM	   0x20000
%define DR7_NONE   0x400
%define RIGHTS_B   0x400000
%define VECTORS	   64

section .text

global engine_start:data hidden
global engine_end:data hidden
global engine_code:data hidden

; --- the way there: void engine_start(void), as copied ---

align 4096
engine_start:
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
	lea rbp, [engine_start - CODE]
	mov [rbp + HOME_RSP], rsp
	sgdt [rbp + HOME_GDTR]
	sidt [rbp + HOME_IDTR]
	stmxcsr [rbp + MXCSR]
	mov rax, cr0
	mov [rbp + HOME_CR0], rax
	mov rax, cr3
	mov [rbp + HOME_CR3], rax
	mov rax, cr4
	mov [rbp + HOME_CR4], rax
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LMA	; follows from LME and PG
	mov [rbp + HOME_EFER], eax
	mov [rbp + HOME_EFER + 4], edx
	mov eax, cs
	mov [rbp + HOME_CS], rax
	mov eax, ss
	mov [rbp + HOME_SS], eax
	mov eax, ds
	mov [rbp + HOME_DS], eax
	mov eax, es
	mov [rbp + HOME_ES], eax
	mov eax, fs
	mov [rbp + HOME_FS], eax
	mov eax, gs
	mov [rbp + HOME_GS], eax
	; What a fault before the first instruction would show.
	xor ebx, ebx
	xor esi, esi
	xor edi, edi
	xor r8d, r8d
	xor r9d, r9d
	xor r10d, r10d
	xor r11d, r11d
	xor r12d, r12d
	xor r13d, r13d
	xor r14d, r14d
	xor r15d, r15d
	mov cr2, rbx
	lgdt [rbp + GDTR]
	cmp dword [rbp + KIND], 0
	jne .legacy
	lidt [rbp + IDTR]
	mov ecx, MSR_EFER
	mov eax, [rbp + TO_EFER]
	mov edx, [rbp + TO_EFER + 4]
	wrmsr
	mov rax, [rbp + TO_CR4]
	mov cr4, rax
	mov rax, [rbp + TO_CR3]
	mov cr3, rax
	mov rax, [rbp + TO_CR0]
	mov cr0, rax
	lea rsp, [rbp + STACK_TOP]
	mov eax, [rbp + TASK]
	ltr ax
	mov eax, [rbp + LDT]
	lldt ax
	mov ds, [rbp + IN + DS_]
	mov es, [rbp + IN + ES_]
	mov fs, [rbp + IN + FS_]
	mov gs, [rbp + IN + GS_]
	mov eax, [rbp + IN + SS_]
	push rax
	push qword [rbp + IN + GPR(4)]
	push qword [rbp + IN + RFLAGS]
	mov eax, [rbp + IN + CS_]
	push rax
	push qword [rbp + IN + RIP]
	mov rax, [rbp + IN + GPR(0)]
	mov rcx, [rbp + IN + GPR(1)]
	mov rdx, [rbp + IN + GPR(2)]
	mov rbx, [rbp + IN + GPR(3)]
	mov rsi, [rbp + IN + GPR(6)]
	mov rdi, [rbp + IN + GPR(7)]
	mov r8, [rbp + IN + GPR(8)]
	mov r9, [rbp + IN + GPR(9)]
	mov r10, [rbp + IN + GPR(10)]
	mov r11, [rbp + IN + GPR(11)]
	mov r12, [rbp + IN + GPR(12)]
	mov r13, [rbp + IN + GPR(13)]
	mov r14, [rbp + IN + GPR(14)]
	mov r15, [rbp + IN + GPR(15)]
	mov rbp, [rbp + IN + GPR(5)]
	iretq
.legacy:
	jmp far dword [rbp + TO_32]

bits 32
enter_32:
	mov eax, SELECTOR_CONTROL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, STACK_TOP
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	lidt [IDTR]
	mov ecx, MSR_EFER
	mov eax, [TO_EFER]
	mov edx, [TO_EFER + 4]
	wrmsr
	mov eax, [TO_CR4]
	mov cr4, eax
	mov eax, [TO_CR3]
	mov cr3, eax
	cmp dword [KIND], KIND_REAL
	je .real
	mov eax, [TO_CR0]
	mov cr0, eax
	mov eax, [TASK]
	ltr ax
	mov eax, [LDT]
	lldt ax
	test dword [IN + RFLAGS], FLAG_VM
	jnz .virtual
	test dword [IN + CS_], 3
	jnz .outer
	mov ss, [IN + SS_]
	mov esp, [IN + GPR(4)]
	jmp .flags
.virtual:
	push dword [IN + GS_]
	push dword [IN + FS_]
	push dword [IN + DS_]
	push dword [IN + ES_]
	push dword [IN + SS_]
	push dword [IN + GPR(4)]
	push dword [IN + RFLAGS]
	push dword [IN + CS_]
	push dword [IN + RIP]
	jmp .registers
.outer:
	push dword [IN + SS_]
	push dword [IN + GPR(4)]
.flags:
	push dword [IN + RFLAGS]
	push dword [IN + CS_]
	push dword [IN + RIP]
	mov es, [IN + ES_]
	mov fs, [IN + FS_]
	mov gs, [IN + GS_]
.registers:
	mov eax, [IN + GPR(0)]
	mov ecx, [IN + GPR(1)]
	mov edx, [IN + GPR(2)]
	mov ebx, [IN + GPR(3)]
	mov ebp, [IN + GPR(5)]
	mov esi, [IN + GPR(6)]
	mov edi, [IN + GPR(7)]
	test dword [IN + RFLAGS], FLAG_VM
	jnz .enter
	mov ds, [IN + DS_]
.enter:
	iretd
.real:
	mov eax, SELECTOR_DATA_16
	mov ds, eax
	mov es, eax
	mov fs, eax
	mov gs, eax
	mov ss, eax
	jmp far [cs:TO_16]

bits 16
enter_16:
	mov eax, [cs:TO_CR0]
	mov cr0, eax
	jmp far [cs:TO_REAL]
enter_real:
	mov ss, [cs:IN + SS_]
	mov esp, [cs:IN + GPR(4)]
	push word [cs:IN + RFLAGS]
	push word [cs:IN + CS_]
	push word [cs:IN + RIP]
	mov es, [cs:IN + ES_]
	mov fs, [cs:IN + FS_]
	mov gs, [cs:IN + GS_]
	mov ds, [cs:IN + DS_]
	mov eax, [cs:IN + GPR(0)]
	mov ecx, [cs:IN + GPR(1)]
	mov edx, [cs:IN + GPR(2)]
	mov ebx, [cs:IN + GPR(3)]
	mov ebp, [cs:IN + GPR(5)]
	mov esi, [cs:IN + GPR(6)]
	mov edi, [cs:IN + GPR(7)]
	iret

; --- the way back: each vector pushes its number, behind the error code or 0 ---

%macro stub_bytes 1
%assign vector 0
%rep VECTORS
align 8
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17 || vector = 21 || vector = 29 || vector = 30
	nop
	nop
%else
	db 0x6a, 0		; PUSH imm8
%endif
	db 0x6a, vector
	jmp near %1
	align 16
%assign vector vector + 1
%endrep
%endmacro

bits 64
align 16
stubs_64:
	stub_bytes leave_64
bits 32
align 16
stubs_32:
	stub_bytes leave_32
bits 16
align 16
stubs_16:
%assign vector 0
%rep VECTORS
	db 0x6a, vector
	jmp near leave_16
	align 8
%assign vector vector + 1
%endrep

bits 64
leave_64:
	cld
	push rbp
	lea rbp, [engine_start - CODE]
	mov [rbp + OUT + GPR(0)], rax
	mov [rbp + OUT + GPR(1)], rcx
	mov [rbp + OUT + GPR(2)], rdx
	mov [rbp + OUT + GPR(3)], rbx
	mov [rbp + OUT + GPR(6)], rsi
	mov [rbp + OUT + GPR(7)], rdi
	mov [rbp + OUT + GPR(8)], r8
	mov [rbp + OUT + GPR(9)], r9
	mov [rbp + OUT + GPR(10)], r10
	mov [rbp + OUT + GPR(11)], r11
	mov [rbp + OUT + GPR(12)], r12
	mov [rbp + OUT + GPR(13)], r13
	mov [rbp + OUT + GPR(14)], r14
	mov [rbp + OUT + GPR(15)], r15
	pop qword [rbp + OUT + GPR(5)]
	pop qword [rbp + OUT + VECTOR]
	pop qword [rbp + OUT + ERROR]
	pop qword [rbp + OUT + RIP]
	pop rax
	mov [rbp + OUT + CS_], eax
	pop qword [rbp + OUT + RFLAGS]
	pop qword [rbp + OUT + GPR(4)]
	pop rax
	mov [rbp + OUT + SS_], eax
	mov eax, ds
	mov [rbp + OUT + DS_], eax
	mov eax, es
	mov [rbp + OUT + ES_], eax
	mov eax, fs
	mov [rbp + OUT + FS_], eax
	mov eax, gs
	mov [rbp + OUT + GS_], eax
	mov rax, cr2
	mov [rbp + OUT + CR2_], rax
	mov rax, dr6
	mov [rbp + OUT + DR6_], rax
	mov rax, cr0
	mov [rbp + OUT + CR0_], rax
	mov rax, cr4
	mov [rbp + OUT + CR4_], rax
	mov eax, DR7_NONE
	mov dr7, rax
	mov rax, [rbp + HOME_CR4]
	mov cr4, rax
	mov rax, [rbp + HOME_CR3]
	mov cr3, rax
	mov ecx, MSR_EFER
	mov eax, [rbp + HOME_EFER]
	mov edx, [rbp + HOME_EFER + 4]
	wrmsr
	mov rax, [rbp + HOME_CR0]
	mov cr0, rax
	jmp home

bits 32
leave_32:
	cld
	pushad
	push ds
	push es
	push fs
	push gs
	mov eax, SELECTOR_CONTROL_DATA
	mov ds, eax
	mov ebx, esp
	mov eax, ss
	lar ecx, eax
	jnz .wide
	test ecx, RIGHTS_B
	jnz .wide
	movzx ebx, bx
.wide:
%macro take 2
	mov eax, [ss:ebx + %1]
	mov [OUT + %2], eax
%endmacro
	take 0, GS_
	take 4, FS_
	take 8, ES_
	take 12, DS_
	take 16, GPR(7)
	take 20, GPR(6)
	take 24, GPR(5)
	take 32, GPR(3)
	take 36, GPR(2)
	take 40, GPR(1)
	take 44, GPR(0)
	take 48, VECTOR
	take 52, ERROR
	take 56, RIP
	take 60, CS_
	take 64, RFLAGS
	test eax, FLAG_VM
	jnz .virtual
	test dword [OUT + CS_], 3
	jnz .outer
	take 28, GPR(4)
	add dword [OUT + GPR(4)], 20
	mov eax, ss
	mov [OUT + SS_], eax
	jmp leave_common
.virtual:
	take 76, ES_
	take 80, DS_
	take 84, FS_
	take 88, GS_
.outer:
	take 68, GPR(4)
	take 72, SS_
	jmp leave_common

; A task of its own: whatever stack there was is no good.
double_fault:
	mov dword [OUT + VECTOR], 8

leave_common:
	mov eax, dr6
	mov [OUT + DR6_], eax
	mov eax, DR7_NONE
	mov dr7, eax
	mov eax, cr2
	mov [OUT + CR2_], eax
	mov eax, cr0
	mov [OUT + CR0_], eax
leave_from_real:
	mov eax, cr4
	mov [OUT + CR4_], eax
	mov eax, SELECTOR_CONTROL_DATA
	mov ss, eax
	mov es, eax
	mov esp, STACK_TOP
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov eax, [HOME_CR4]
	mov cr4, eax
	mov eax, [HOME_CR3]
	mov cr3, eax
	mov ecx, MSR_EFER
	mov eax, [HOME_EFER]
	mov edx, [HOME_EFER + 4]
	wrmsr
	mov eax, [HOME_CR0]
	mov cr0, eax
	jmp far [TO_HOME]

bits 16
leave_16:
	cld
	push ds
	push cs
	pop ds
	mov [OUT + GPR(0)], eax
	mov [OUT + GPR(1)], ecx
	mov [OUT + GPR(2)], edx
	mov [OUT + GPR(3)], ebx
	mov [OUT + GPR(5)], ebp
	mov [OUT + GPR(6)], esi
	mov [OUT + GPR(7)], edi
	pop word [OUT + DS_]
	pop word [OUT + VECTOR]
	pop word [OUT + RIP]
	pop word [OUT + CS_]
	pop word [OUT + RFLAGS]
	mov [OUT + GPR(4)], esp
	mov [OUT + SS_], ss
	mov [OUT + ES_], es
	mov [OUT + FS_], fs
	mov [OUT + GS_], gs
	mov eax, dr6
	mov [OUT + DR6_], eax
	mov eax, DR7_NONE
	mov dr7, eax
	mov eax, cr0
	mov [OUT + CR0_], eax
	o32 lgdt [GDTR]
	or al, CR0_PE
	mov cr0, eax
	jmp far dword [FROM_REAL]

bits 32
from_real:
	mov eax, SELECTOR_CONTROL_DATA
	mov ds, eax
	jmp leave_from_real

bits 64
home:
	lea rbp, [engine_start - CODE]
	xor eax, eax
	lldt ax
	lgdt [rbp + HOME_GDTR]
	lidt [rbp + HOME_IDTR]
	mov eax, [rbp + HOME_SS]
	mov ss, eax
	mov rsp, [rbp + HOME_RSP]
	push qword [rbp + HOME_CS]
	lea rax, [.far]
	push rax
	o64 retf
.far:
	mov eax, [rbp + HOME_DS]
	mov ds, eax
	mov eax, [rbp + HOME_ES]
	mov es, eax
	mov eax, [rbp + HOME_FS]
	mov fs, eax
	mov eax, [rbp + HOME_GS]
	mov gs, eax
	mov ecx, MSR_GSBASE
	pop rdx
	pop rax
	wrmsr
	mov ecx, MSR_FSBASE
	pop rdx
	pop rax
	wrmsr
	fninit
	ldmxcsr [rbp + MXCSR]
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret
engine_end:

; What engine.c has to know of the copy: struct engine_code.
section .rodata
align 4
engine_code:
	dd AT(enter_32), AT(enter_16), AT(enter_real), AT(from_real), AT(home), AT(double_fault)
	dd AT(stubs_64), AT(stubs_32), AT(stubs_16)

section .note.GNU-stack noalloc noexec nowrite progbits
