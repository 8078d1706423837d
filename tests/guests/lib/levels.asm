; SPDX-License-Identifier: BSD-2-Clause
;
; Firmware that runs with 5-level paging, made of one that does not: out of long mode, CR4.LA57,
; and back. SDM, APM: CR4.LA57 cannot be changed in long mode.

default rel
bits 64
section .text

%define CR0_PG		0x80000000
%define CR4_LA57	0x1000
%define AT(label)	(label - probe_levels_start)

; --- copied to a page below 4 GiB: called with its address in RDI and the new CR3 in RSI ---

global probe_levels_start:data hidden
global probe_levels_end:data hidden

align 16
probe_levels_start:
	push rbx
	push rbp
	mov ebx, edi			; stays in 32-bit mode, as RSP's and RBP's low halves do
	mov r8d, ss
	mov r9d, cs
	mov r10, rsp
	sgdt [rbx + AT(saved_gdt)]
	mov [rbx + AT(saved_rsp)], r10
	mov [rbx + AT(saved_cs)], r9
	mov [rbx + AT(saved_ss)], r8
	lea eax, [rbx + AT(own_gdt)]
	mov [rbx + AT(own_gdt_register) + 2], rax
	lgdt [rbx + AT(own_gdt_register)]
	lea eax, [rbx + AT(in_32)]
	push 8
	push rax
	o64 retf

bits 32
in_32:
	mov eax, 16
	mov ss, eax
	mov ds, eax
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov ecx, cr4
	or ecx, CR4_LA57
	mov cr4, ecx
	mov cr3, esi
	or eax, CR0_PG
	mov cr0, eax
	lea eax, [ebx + AT(in_64)]
	mov [ebx + AT(far_pointer)], eax
	jmp far [ebx + AT(far_pointer)]

bits 64
in_64:
	mov ebx, ebx
	lgdt [rbx + AT(saved_gdt)]
	mov rsp, [rbx + AT(saved_rsp)]
	mov rax, [rbx + AT(saved_ss)]
	mov ss, eax
	mov ds, eax
	mov es, eax
	mov rax, [rbx + AT(saved_cs)]
	push rax
	lea rax, [rbx + AT(.reloaded)]
	push rax
	o64 retf
.reloaded:
	pop rbp
	pop rbx
	ret

align 8
saved_rsp:	dq 0
saved_cs:	dq 0
saved_ss:	dq 0
far_pointer:		dd 0
		dw 24, 0
saved_gdt:	dw 0
		dq 0
own_gdt_register: dw 31
		dq 0
align 8
own_gdt:	dq 0
		dq 0x00cf9b000000ffff	; 8: 32-bit code
		dq 0x00cf93000000ffff	; 16: data
		dq 0x00af9b000000ffff	; 24: 64-bit code
probe_levels_end:

section .note.GNU-stack noalloc noexec nowrite progbits
