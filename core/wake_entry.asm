; SPDX-License-Identifier: BSD-2-Clause
;
; The way up after S3. The firmware jumps to the trampoline in real mode, and so does a SIPI: CS = its page >> 4, IP = 0.
; It is copied to its page before the machine goes to sleep (core/wake.c), which fills in the words at its end.

default rel

global wake_trampoline
global wake_trampoline_segment
global wake_trampoline_words
global wake_trampoline_end
global wake_entry

extern wake_arrive
extern wake_cpus
extern wake_cpu_count
extern wake_host_cr3

CR0_PE		equ 1 << 0
CR0_ET		equ 1 << 4
CR0_PG		equ 1 << 31
MSR_EFER	equ 0xc0000080
EFER_LME	equ 1 << 8
EFER_NXE	equ 1 << 11

SELECTOR_CODE32	equ 0x08
SELECTOR_CODE64	equ 0x10
SELECTOR_DATA	equ 0x18

; struct wake_slot (core/wake.h)
SLOT_APIC_ID	equ 0
SLOT_STACK	equ 8
SLOT_CPU	equ 16
SLOT_BYTES	equ 24

%define AT(label) (label - wake_trampoline)

section .rodata

bits 16
align 16
wake_trampoline:
	cli
	cld
	; Some firmware splits the address in another way.
	db 0xea
	dw AT(normalized)
wake_trampoline_segment:
	dw 0
normalized:
	mov ax, cs
	mov ds, ax
	xor ebx, ebx
	mov bx, ax
	shl ebx, 4
	o32 lgdt [AT(gdtr)]
	mov eax, CR0_PE | CR0_ET
	mov cr0, eax
	o32 jmp far [AT(to_protected)]

bits 32
protected:
	mov ax, SELECTOR_DATA
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, [ebx + AT(word_cr4)]
	mov cr4, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME | EFER_NXE
	wrmsr
	mov eax, [ebx + AT(word_cr3)]
	mov cr3, eax
	mov eax, CR0_PE | CR0_ET | CR0_PG
	mov cr0, eax
	jmp far [ebx + AT(to_long)]

bits 64
long_mode:
	mov rax, [rbx + AT(word_entry)]
	jmp rax

align 8
gdt:
	dq 0
	dq 0x00cf9b000000ffff
	dq 0x00af9b000000ffff
	dq 0x00cf93000000ffff
gdt_end:

; Filled in by core/wake.c: struct wake_words.
align 8
wake_trampoline_words:
word_entry:	dq wake_entry
word_cr3:	dd 0
word_cr4:	dd 0
to_protected:	dd AT(protected)	; the page's address is added to these three offsets
		dd SELECTOR_CODE32
to_long:	dd AT(long_mode)
		dd SELECTOR_CODE64
gdtr:		dw gdt_end - gdt - 1
		dd AT(gdt)
		dw 0
wake_trampoline_end:

section .text

; On a copy of the host's top table. Which CPU is this?
wake_entry:
	mov rax, [wake_host_cr3]
	mov cr3, rax
	xor eax, eax
	cpuid
	cmp eax, 0xb
	jb .short_id
	mov eax, 0xb
	xor ecx, ecx
	cpuid
	test ebx, ebx
	jnz .found_id
.short_id:
	mov eax, 1
	cpuid
	shr ebx, 24
	mov edx, ebx
.found_id:
	mov ecx, [wake_cpu_count]
	lea rsi, [wake_cpus]
.search:
	sub ecx, 1
	jc .nobody
	cmp [rsi + SLOT_APIC_ID], edx
	je .found
	add rsi, SLOT_BYTES
	jmp .search
.found:
	mov rsp, [rsi + SLOT_STACK]
	mov rdi, [rsi + SLOT_CPU]
	xor ebp, ebp
	call wake_arrive
.nobody:
	cli
	hlt
	jmp .nobody

section .note.GNU-stack noalloc noexec nowrite progbits
