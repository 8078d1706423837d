; SPDX-License-Identifier: BSD-2-Clause
;
; What tests/guests/facts_modes.c runs in each mode: pieces of code, and a table of them. At the
; start EBX (in 32- and 16-bit protected mode) is the address of a page of data, as is DS:0 in real
; and virtual-8086 mode. Each ends by INT 0x30 or by an exception.

%define REAL		0
%define UNREAL		1
%define P16		2
%define P32		3
%define P16_USER	4
%define P32_USER	5
%define VM86		6
%define VM86_IOPL	7
%define VME		8
%define VME_IOPL	9
%define P32_PAGED	10
%define P32_PAE		11
%define VM86_PAGED	12
%define ALL_REAL	0x40	; REAL, VM86, VM86_IOPL, VME, VME_IOPL and VM86_PAGED
%define ALL_VM86	0x42	; the same without REAL
%define ALL_32		0x41	; P32, P32_USER, P32_PAGED and P32_PAE

%define DATA		0x6e000
%define DIRECTORY	0x68000
%define PDPT		0x69000
%define PML4		0x63000
%define PML5		0x6f000
%define EFER		0xc0000080

default abs

; snippet 'name', mode, bits
%macro snippet 3
%push snippet
%define %$name %1
%assign %$mode %2
section .text
bits %3
%$start:
%endmacro

%macro done 0
	int 0x30
%$end:
section .rodata
	dd %$start - modes_snippets_code, %$end - %$start, %$mode
%%name:	db %$name
	times 28 - ($ - %%name) db 0
section .text
%pop
%endmacro

section .text
global modes_snippets_code:data hidden
global modes_snippets:data hidden
global modes_snippets_end:data hidden
modes_snippets_code:
section .rodata
align 4
modes_snippets:				; struct snippet

%include "tests/guests/facts_modes/real.inc"
%include "tests/guests/facts_modes/protected.inc"
%include "tests/guests/facts_modes/switch.inc"

section .rodata
modes_snippets_end:

section .note.GNU-stack noalloc noexec nowrite progbits
