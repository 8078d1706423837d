; SPDX-License-Identifier: BSD-2-Clause
;
; One instruction in protected mode or in virtual-8086 mode, and what comes of it until an exception other than #DB: each
; #DB is written down and returned from. Copied to BASE + 0x8000, where switches.c has the rest; called in protected mode
; with paging, and returns there.

%define BASE		0x3000000
%define CODE		(BASE + 0x8000)
%define AT(label)	(CODE + (label - switch_start))
%define STACK		(BASE + 0x7000)
%define DATA		(BASE + 0x7800)

; struct switch_data
%define IN_CR3		(DATA + 0x00)
%define IN_DR7		(DATA + 0x04)
%define IN_DR0		(DATA + 0x08)
%define IN_EIP		(DATA + 0x0c)
%define IN_CS		(DATA + 0x10)
%define IN_EFLAGS	(DATA + 0x14)
%define IN_ESP		(DATA + 0x18)
%define IN_SS		(DATA + 0x1c)
%define IN_TR		(DATA + 0x20)
%define SAVED_ESP	(DATA + 0x24)
%define SAVED_SS	(DATA + 0x28)
%define SAVED_CR3	(DATA + 0x2c)
%define SAVED_CS	(DATA + 0x30)
%define SAVED_GDTR	(DATA + 0x38)
%define SAVED_IDTR	(DATA + 0x40)
%define GDTR		(DATA + 0x48)
%define IDTR		(DATA + 0x50)
%define VECTOR		(DATA + 0x58)
%define PUSHED		(DATA + 0x5c)
%define TR		(DATA + 0x6c)
%define FLAGS		(DATA + 0x70)
%define COUNT		(DATA + 0x74)
%define LOG		(DATA + 0x78)
%define LOG_MAX		8

; the GDT, as cases.h has it
%define CODE32		0x08
%define DATA32		0x10
%define SEL_LAST	0x50

%define VECTORS		0x60
%define VECTOR_ENDLESS	0xff
%define DR6_QUIET	0xffff0ff0
%define DR7_QUIET	0x400
%define EFLAGS_RF	0x10000
%define STACK_IS_32	0x400000

section .text

global switch_start:data hidden
global switch_end:data hidden
global switch_vectors:data hidden
global switch_debug:data hidden
global switch_task:data hidden

align 16
switch_start:
bits 32
	pushad
	mov [SAVED_ESP], esp
	mov [SAVED_SS], ss
	mov [SAVED_CS], cs
	mov eax, cr3
	mov [SAVED_CR3], eax
	sgdt [SAVED_GDTR]
	sidt [SAVED_IDTR]
	lgdt [GDTR]
	lidt [IDTR]
	mov eax, DATA32
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, STACK
	xor eax, eax
	mov fs, eax
	mov gs, eax
	lldt ax
	mov eax, [IN_CR3]
	mov cr3, eax
	mov eax, [IN_TR]
	ltr ax
	mov eax, DR6_QUIET
	mov dr6, eax
	mov eax, [IN_DR0]
	mov dr0, eax
	mov eax, [IN_DR7]
	mov dr7, eax
	push byte 0		; the segments of virtual-8086 mode
	push byte 0
	push byte 0
	push byte 0
	push dword [IN_SS]
	push dword [IN_ESP]
	push dword [IN_EFLAGS]
	push dword [IN_CS]
	push dword [IN_EIP]
	jmp CODE32:AT(.loaded)
.loaded:
	iretd

; EBX = the stack's pointer, 16 bits of it where the stack segment has no more.
%macro stack_pointer 0
	mov eax, ss
	lar eax, eax
	movzx ebx, sp
	test eax, STACK_IS_32
	jz %%small
	mov ebx, esp
%%small:
%endmacro

switch_debug:
	push eax
	push ebx
	push ecx
	push ds
	mov eax, DATA32
	mov ds, eax
	stack_pointer
	mov ecx, [COUNT]
	inc dword [COUNT]
	cmp ecx, LOG_MAX
	jae .endless
	shl ecx, 4
	mov eax, [ss:ebx + 16]
	mov [LOG + ecx], eax
	mov eax, [ss:ebx + 24]
	mov [LOG + 4 + ecx], eax
	str eax
	mov [LOG + 12 + ecx], eax
	mov eax, dr6
	mov [LOG + 8 + ecx], eax
	test al, 0xf
	jz .no_breakpoint
	or dword [ss:ebx + 24], EFLAGS_RF
.no_breakpoint:
	mov eax, DR6_QUIET
	mov dr6, eax
	pop ds
	pop ecx
	pop ebx
	pop eax
	iretd
.endless:
	push dword VECTOR_ENDLESS
	jmp last

align 8
switch_vectors:
%assign i 0
%rep VECTORS
	push byte i
	jmp near last
	align 8
%assign i i + 1
%endrep

last:
	mov eax, DATA32
	mov ds, eax
	mov es, eax
	stack_pointer
	mov eax, [ss:ebx]
	mov [VECTOR], eax
%assign i 0
%rep 4
	mov eax, [ss:ebx + 4 + 4 * i]
	mov [PUSHED + 4 * i], eax
%assign i i + 1
%endrep
	str eax
	mov [TR], eax
	mov eax, SEL_LAST
	ltr ax
	clts
	mov eax, DR7_QUIET
	mov dr7, eax
	mov eax, DR6_QUIET
	mov dr6, eax
	mov eax, [SAVED_CR3]
	mov cr3, eax
	lgdt [SAVED_GDTR]
	lidt [SAVED_IDTR]
	mov eax, [SAVED_SS]
	mov ss, eax
	mov esp, [SAVED_ESP]
	mov ds, eax
	mov es, eax
	push dword [SAVED_CS]
	push dword AT(.home)
	retf
.home:
	popad
	ret

; The incoming task, also from a segment that begins at CODE.
switch_task:
	pushfd
	pop dword [FLAGS]
	int3
switch_end:

section .note.GNU-stack noalloc noexec nowrite progbits
