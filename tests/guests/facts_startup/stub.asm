; SPDX-License-Identifier: BSD-2-Clause
;
; Where a SIPI leads to in tests/guests/facts_startup.c: notes every register before it changes
; anything, counts the entry, and halts or goes on to the probes' own way into 64-bit mode. Copied
; to a page below 1 MiB; the data at its end are struct stub_data.

%define AT(label)	(label - startup_stub_start)
%define EFER		0xc0000080

section .rodata
bits 16

global startup_stub_start:data hidden
global startup_stub_end:data hidden
global startup_stub_data:data hidden

; the offset of one byte behind 64 KiB in a segment: whether it faults, in bit %2
%macro try_limit 2
	mov word [cs:AT(landing)], AT(%%landed)
	mov word [cs:AT(bit)], 1 << %2
	mov al, [%1:edi]
%%landed:
%endmacro

align 16
startup_stub_start:
	mov [cs:AT(gpr)], eax
	mov [cs:AT(gpr) + 4], ecx
	mov [cs:AT(gpr) + 8], edx
	mov [cs:AT(gpr) + 12], ebx
	mov [cs:AT(gpr) + 16], esp
	mov [cs:AT(gpr) + 20], ebp
	mov [cs:AT(gpr) + 24], esi
	mov [cs:AT(gpr) + 28], edi
	mov [cs:AT(selectors)], cs
	mov [cs:AT(selectors) + 2], ds
	mov [cs:AT(selectors) + 4], es
	mov [cs:AT(selectors) + 6], fs
	mov [cs:AT(selectors) + 8], gs
	mov [cs:AT(selectors) + 10], ss
	o32 sgdt [cs:AT(tables)]
	o32 sidt [cs:AT(tables) + 8]
	mov ax, cs
	mov ss, ax
	mov esp, 0xff0
	pushfd
	pop eax
	mov [cs:AT(flags)], eax
	mov eax, cr0
	mov [cs:AT(control)], eax
	mov eax, cr2
	mov [cs:AT(control) + 4], eax
	mov eax, cr3
	mov [cs:AT(control) + 8], eax
	mov eax, cr4
	mov [cs:AT(control) + 12], eax
	mov eax, dr0
	mov [cs:AT(debug)], eax
	mov eax, dr1
	mov [cs:AT(debug) + 4], eax
	mov eax, dr2
	mov [cs:AT(debug) + 8], eax
	mov eax, dr3
	mov [cs:AT(debug) + 12], eax
	mov eax, dr6
	mov [cs:AT(debug) + 16], eax
	mov eax, dr7
	mov [cs:AT(debug) + 20], eax
	mov ecx, EFER
	rdmsr
	mov [cs:AT(efer)], eax
	mov [cs:AT(efer) + 4], edx
	cmp word [cs:AT(tries_limits)], 0
	je .counted

	; #SS and #GP lead here as long as the limits are tried; DS is at 0
	push dword [0x30]
	push dword [0x34]
	mov ax, cs
	shl eax, 16
	mov ax, AT(fault)
	mov [0x30], eax
	mov [0x34], eax
	mov edi, 0x10000
	try_limit cs, 0
	try_limit ds, 1
	try_limit es, 2
	try_limit fs, 3
	try_limit gs, 4
	mov edi, 0xffff
	try_limit ds, 8
	try_limit cs, 9
	pop dword [0x34]
	pop dword [0x30]

.counted:
	lock inc dword [cs:AT(count)]
	cmp dword [cs:AT(go_on)], 0
	je .halt
	jmp far [cs:AT(go_on)]
.halt:
	cli
	hlt
	jmp .halt

fault:
	add sp, 6
	mov ax, [cs:AT(bit)]
	or [cs:AT(faults)], ax
	jmp [cs:AT(landing)]

align 8
startup_stub_data:
gpr:		times 8 dd 0
selectors:	times 6 dw 0
bit:		dw 0
landing:	dw 0
tables:		times 16 db 0
flags:		dd 0
control:	times 4 dd 0
debug:		times 6 dd 0
efer:		dq 0
count:		dd 0
go_on:		dd 0
faults:		dw 0
tries_limits:	dw 0
startup_stub_end:

section .note.GNU-stack noalloc noexec nowrite progbits
