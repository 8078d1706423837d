; SPDX-License-Identifier: BSD-2-Clause
;
; Four tasks that switch to each other, for tests/guests/task.c: A is the main one, B and C are
; 32-bit ones, D has a 16-bit TSS. What they find is written into a list; what they should find is
; in a table beside it. The code runs at a fixed address below 4 GiB, in protected mode without or
; with 32-bit paging, and gets there from long mode and back.

%define BASE		0x3000000
%define AT(label)	(BASE + (label - probe_task_start))
%define RESULTS		(BASE + 0x3000) ; the layout is task.c's
%define GDT		(BASE + 0x4000)
%define GP_GATE		(BASE + 0x4800 + 13 * 8)
%define TASK_GATE	0x8500
%define TSS_A		(BASE + 0x5000)
%define TSS_B		(BASE + 0x5100)
%define TSS_C		(BASE + 0x5200)
%define TSS_D		(BASE + 0x5300)
%define STACK_A		(BASE + 0x7000)
%define STACK_B		(BASE + 0x8000)

%define CODE32		0x08
%define DATA		0x10
%define CODE64		0x18
%define SEL_A		0x28
%define SEL_B		0x30
%define SEL_C		0x38
%define SEL_D		0x40
%define SEL_GATE	0x48
%define SEL_ABSENT	0x50
%define SEL_SHORT	0x58

%define TSS32_CR3	0x1c
%define TSS32_EIP	0x20
%define TSS32_EFLAGS	0x24
%define TSS32_EAX	0x28
%define TSS16_IP	0x0e

%define FLAG_CF		0x0001
%define FLAG_NT		0x4000
%define CR0_TS		0x8
%define CR0_PG		0x80000000
%define CR4_PSE		0x10
%define CR4_PAE		0x20
%define MSR_EFER	0xc0000080
%define EFER_LME	0x100

%define AVAILABLE32	0x89
%define BUSY32		0x8b
%define AVAILABLE16	0x81
%define BUSY16		0x83

default rel

; found REGISTER, EXPECTED, 'name': no flag is changed
%assign found_count 0
%macro found 3
	mov [dword RESULTS + 4 * found_count], %1
%assign found_count found_count + 1
	section .rodata
	dd %2
%%name:	db %3
	times 44 - ($ - %%name) db 0
	section .text
%endmacro

%macro found_tr 2
	str ecx
	found ecx, %1, %2
%endmacro

; %1 a mask
%macro found_flags 3
	pushfd
	pop ecx
	and ecx, %1
	found ecx, %2, %3
%endmacro

%macro found_type 3
	movzx ecx, byte [dword GDT + %1 + 5]
	found ecx, %2, %3
%endmacro

%macro found_word 3
	movzx ecx, word [dword %1]
	found ecx, %2, %3
%endmacro

%macro found_dword 3
	mov ecx, [dword %1]
	found ecx, %2, %3
%endmacro

%macro found_ts 1
	mov ecx, cr0
	and ecx, CR0_TS
	found ecx, CR0_TS, %1
	clts
%endmacro

; Both far forms name a selector only: the offset is not looked at.
%macro call_task 1
	call %1:0x12345678
%endmacro

%macro jump_task 1
	jmp %1:0x12345678
%endmacro

section .rodata
align 4
global probe_task_expected:data hidden
probe_task_expected:

section .text

; --- void probe_task_run(void): in 64-bit mode; leaves interrupts disabled ---

bits 64
global probe_task_run:function hidden
probe_task_run:
	cli				; the firmware enables them again on its way out of some calls
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov ax, ss
	push rax
	mov ax, cs
	push rax
	sgdt [abs AT(saved_gdt)]
	sidt [abs AT(saved_idt)]
	mov [abs AT(saved_rsp)], rsp
	mov rax, cr0
	mov [abs AT(saved_cr0)], rax
	mov rax, cr3
	mov [abs AT(saved_cr3)], rax
	mov rax, cr4
	mov [abs AT(saved_cr4)], rax
	lea rax, [back_64]
	mov [abs AT(saved_back)], rax
	lgdt [abs AT(task_gdt)]
	lidt [abs AT(task_idt)]
	push CODE32
	push AT(task_32)
	o64 retf

back_64:
	mov rsp, [abs AT(saved_rsp)]
	lgdt [abs AT(saved_gdt)]
	lidt [abs AT(saved_idt)]
	pop rax
	pop rcx
	mov ss, ecx
	mov ds, ecx
	mov es, ecx
	push rax
	lea rax, [.reloaded]
	push rax
	o64 retf
.reloaded:
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

; --- what is copied to BASE ---

global probe_task_start:data hidden
global probe_task_end:data hidden
global probe_task_data:data hidden
global probe_task_entries:data hidden
global probe_task_b:data hidden
global probe_task_c:data hidden
global probe_task_d:data hidden

align 16
probe_task_start:

bits 32
task_32:
	mov eax, DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	lldt ax
	mov esp, STACK_A
	mov eax, cr0
	and eax, ~(CR0_PG | CR0_TS)
	mov cr0, eax
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LME
	wrmsr
	mov eax, cr4
	and eax, ~CR4_PAE
	or eax, CR4_PSE
	mov cr4, eax
	mov ecx, [AT(paging_cr3)]
	jecxz .unpaged
	mov cr3, ecx
	mov eax, cr0
	or eax, CR0_PG
	mov cr0, eax
.unpaged:
	mov eax, SEL_A
	ltr ax

; --- task A ---

	; A breakpoint that is nowhere: the switch takes its local enabling away.
	xor eax, eax
	mov dr0, eax
	mov eax, 0x401
	mov dr7, eax
	mov eax, 0x11111111
	mov esi, 0x66666666
	stc
	call_task SEL_B
after_call:
	found eax, 0x11111111, 'call-return eax'
	found esi, 0x66666666, 'call-return esi'
	found esp, STACK_A, 'call-return esp'
	found_flags FLAG_NT | FLAG_CF, FLAG_CF, 'call-return flags'
	found_tr SEL_A, 'call-return tr'
	found_ts 'call-return cr0.ts'
	found_type SEL_A, BUSY32, 'call-return type of a'
	found_type SEL_B, AVAILABLE32, 'call-return type of b'
	found_dword TSS_A + TSS32_EIP, AT(after_call), 'call-return saved eip'
	found_dword TSS_A + TSS32_EAX, 0x11111111, 'call-return saved eax'
	found_dword TSS_B + TSS32_EIP, AT(b_resumed), 'iret saved eip'
	found_dword TSS_B + TSS32_EAX, 0xb0b0b0b0, 'iret saved eax'
	mov ecx, [TSS_B + TSS32_EFLAGS]
	and ecx, FLAG_NT
	found ecx, 0, 'iret saved nt'

	jump_task SEL_B
after_jump:
	found_tr SEL_A, 'jump-back tr'
	found_flags FLAG_NT, 0, 'jump-back nt'
	found_ts 'jump-back cr0.ts'
	found_type SEL_A, BUSY32, 'jump-back type of a'
	found_type SEL_B, AVAILABLE32, 'jump-back type of b'
	found_dword TSS_A + TSS32_EIP, AT(after_jump), 'jump-back saved eip'

	call_task SEL_GATE
after_gate:
	found_tr SEL_A, 'gate-return tr'
	found_dword TSS_A + TSS32_EIP, AT(after_gate), 'gate-return saved eip'

	mov edx, 0x22222222
	int 0x40
after_int:
	found edx, 0x22222222, 'int-return edx'
	found esp, STACK_A, 'int-return esp'
	found_tr SEL_A, 'int-return tr'
	found_flags FLAG_NT, 0, 'int-return nt'
	found_type SEL_C, AVAILABLE32, 'int-return type of c'
	found_dword TSS_A + TSS32_EIP, AT(after_int), 'int-return saved eip'

	; A fault whose handler is a task: its error code is on that task's stack.
	push dword [GP_GATE]
	push dword [GP_GATE + 4]
	mov dword [GP_GATE], SEL_C << 16
	mov dword [GP_GATE + 4], TASK_GATE
	mov eax, 0x1230
fault_to_task:
	mov fs, eax
after_fault:
	pop dword [GP_GATE + 4]
	pop dword [GP_GATE]
	found_tr SEL_A, 'fault-return tr'
	found_flags FLAG_NT, 0, 'fault-return nt'

	call_task SEL_D
after_call_16:
	found_tr SEL_A, '16-bit call-return tr'
	found_flags FLAG_NT, 0, '16-bit call-return nt'
	found_type SEL_D, AVAILABLE16, '16-bit call-return type of d'
	found_dword TSS_A + TSS32_EIP, AT(after_call_16), '16-bit call-return saved eip'
	found_word TSS_D + TSS16_IP, d_resumed - probe_task_start, '16-bit iret saved ip'
	int 0x41
	found_tr SEL_A, '16-bit int-return tr'
	jump_task SEL_D
	found_tr SEL_A, '16-bit jump-back tr'
	found_flags FLAG_NT, 0, '16-bit jump-back nt'
	found_type SEL_D, AVAILABLE16, '16-bit jump-back type of d'

	mov dword [AT(landing)], AT(.absent)
	call_task SEL_ABSENT
.absent:
	found_dword AT(fault_vector), 11, 'absent tss vector'
	found_dword AT(fault_error), SEL_ABSENT, 'absent tss error code'
	mov dword [AT(landing)], AT(.busy)
	jump_task SEL_A
.busy:
	found_dword AT(fault_vector), 13, 'busy tss vector'
	found_dword AT(fault_error), SEL_A, 'busy tss error code'
	mov dword [AT(landing)], AT(.short)
	call_task SEL_SHORT
.short:
	found_dword AT(fault_vector), 10, 'short tss vector'
	found_dword AT(fault_error), SEL_SHORT, 'short tss error code'
	found_tr SEL_A, 'after faults tr'
	found_type SEL_SHORT, AVAILABLE32, 'after faults type of the short one'

task_end:
	mov esp, STACK_A
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov eax, [AT(saved_cr4)]
	mov cr4, eax
	mov eax, [AT(saved_cr3)]
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, [AT(saved_cr0)]
	mov cr0, eax
	jmp CODE64:AT(task_64)

; --- task B ---

probe_task_b:
	found eax, 0xb1b1b1b1, 'call eax'
	found edi, 0xb7b7b7b7, 'call edi'
	found esp, STACK_B, 'call esp'
	found_tr SEL_B, 'call tr'
	found_flags FLAG_NT | FLAG_CF, FLAG_NT, 'call flags'
	found_ts 'call cr0.ts'
	found_word TSS_B, SEL_A, 'call link'
	found_type SEL_A, BUSY32, 'call type of a'
	found_type SEL_B, BUSY32, 'call type of b'
	mov ecx, dr7
	and ecx, 0x55
	found ecx, 0, 'call dr7'
	xor ecx, ecx
	cmp dword [AT(paging_cr3)], 0
	je .unpaged
	mov ecx, cr3
	sub ecx, [TSS_B + TSS32_CR3]
.unpaged:
	found ecx, 0, 'call cr3'
	mov eax, 0xb0b0b0b0
	iretd
b_resumed:
	found eax, 0xb0b0b0b0, 'jump eax'
	found_tr SEL_B, 'jump tr'
	found_flags FLAG_NT, 0, 'jump nt'
	found_type SEL_A, AVAILABLE32, 'jump type of a'
	found_type SEL_B, BUSY32, 'jump type of b'
	jump_task SEL_A
	found_tr SEL_B, 'gate tr'
	found_flags FLAG_NT, FLAG_NT, 'gate nt'
	found_word TSS_B, SEL_A, 'gate link'
	iretd
	jmp task_end

; --- task C: behind interrupt 0x40, then behind #GP ---

probe_task_c:
	found_tr SEL_C, 'int tr'
	found_flags FLAG_NT, FLAG_NT, 'int nt'
	found_word TSS_C, SEL_A, 'int link'
	found_type SEL_A, BUSY32, 'int type of a'
	iretd
	pop eax
	found eax, 0x1230, 'fault error code'
	found_tr SEL_C, 'fault tr'
	found_dword TSS_A + TSS32_EIP, AT(fault_to_task), 'fault saved eip'
	mov dword [TSS_A + TSS32_EIP], AT(after_fault)
	iretd
	jmp task_end

; --- exceptions of task A ---

align 16
probe_task_entries:
%assign vector 0
%rep 32
	align 16
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17
%else
	push byte 0
%endif
	push byte vector
	jmp near fault
%assign vector vector + 1
%endrep

; Vector, error code, EIP, CS, EFLAGS: go on at the landing, or give up if there is none.
align 16
fault:
	pop dword [AT(fault_vector)]
	pop dword [AT(fault_error)]
	cmp dword [AT(landing)], 0
	je .unexpected
	push eax
	xor eax, eax
	xchg eax, [AT(landing)]
	mov [esp + 4], eax
	pop eax
	iretd
.unexpected:
	mov eax, [esp]
	mov [AT(unexpected_eip)], eax
	jmp task_end

; --- task D: called, behind interrupt 0x41, jumped to ---

bits 16
probe_task_d:
	movzx ecx, ax
	found ecx, 0xd0d0, '16-bit call ax'
	movzx ecx, sp
	found ecx, 0xff0, '16-bit call sp'
	found_tr SEL_D, '16-bit call tr'
	found_flags FLAG_NT, FLAG_NT, '16-bit call nt'
	found_ts '16-bit call cr0.ts'
	found_word TSS_D, SEL_A, '16-bit call link'
	found_type SEL_A, BUSY32, '16-bit call type of a'
	found_type SEL_D, BUSY16, '16-bit call type of d'
	iret
d_resumed:
	found_tr SEL_D, '16-bit int tr'
	found_flags FLAG_NT, FLAG_NT, '16-bit int nt'
	iret
	found_tr SEL_D, '16-bit jump tr'
	found_flags FLAG_NT, 0, '16-bit jump nt'
	found_type SEL_A, AVAILABLE32, '16-bit jump type of a'
	jmp SEL_A:0x1234
	jmp SEL_A:0x1234

; --- back in long mode ---

bits 64
task_64:
	jmp [abs AT(saved_back)]

align 8
probe_task_data:		; struct task_data in task.c
paging_cr3:	dd 0
landing:	dd 0
fault_vector:	dd 0
fault_error:	dd 0
unexpected_eip:	dd 0
task_gdt:	dw 0
		dq 0
task_idt:	dw 0
		dq 0
saved_gdt:	dw 0
		dq 0
saved_idt:	dw 0
		dq 0
saved_rsp:	dq 0
saved_cr0:	dq 0
saved_cr3:	dq 0
saved_cr4:	dq 0
saved_back:	dq 0
probe_task_end:

section .rodata
global probe_task_count:data hidden
align 4
probe_task_count: dd found_count

section .note.GNU-stack noalloc noexec nowrite progbits
