; SPDX-License-Identifier: BSD-2-Clause
;
; The firmware's part of S3 for Bochs, whose OVMF has none: 256 bytes in front of OVMF's own reset code. Bochs answers
; SLP_TYP 1 with a reset of everything but RAM and 0xfe in CMOS register 0xf. Then this puts the power management ports
; back and goes to the waking vector in real mode; after any other reset OVMF begins. The FACS is where CMOS registers
; 0x60 to 0x63 say, written by tests/guests/acpi_tables.c.
;
; nasm -f bin; at 0xffff8000, CS = 0xf000 with base 0xffff0000.

OVMF_START	equ 0xff08	; where OVMF's reset vector jumps to in real mode
PM_BASE		equ 0xb000
PIIX4_PM	equ 0x80000b00	; PCI configuration address of the function with the ports
FACS_VECTOR	equ 12
FACS_SCRATCH	equ 44		; reserved bytes, for want of a stack

bits 16
org 0x8000

start:
	mov al, 0x0f
	out 0x70, al
	in al, 0x71
	cmp al, 0xfe
	je wake
	jmp OVMF_START

wake:
	cli
	mov al, 0x0f
	out 0x70, al
	xor al, al
	out 0x71, al

	mov eax, PIIX4_PM + 0x40
	mov dx, 0xcf8
	out dx, eax
	mov eax, PM_BASE + 1
	mov dx, 0xcfc
	out dx, eax
	mov eax, PIIX4_PM + 0x80
	mov dx, 0xcf8
	out dx, eax
	mov al, 1
	mov dx, 0xcfc
	out dx, al
	mov eax, PIIX4_PM + 0x04
	mov dx, 0xcf8
	out dx, eax
	mov ax, 1
	mov dx, 0xcfc
	out dx, ax

	xor ebx, ebx
	mov cx, 0x0463		; CH bytes, the highest first
.facs:
	shl ebx, 8
	mov al, cl
	out 0x70, al
	in al, 0x71
	mov bl, al
	dec cl
	dec ch
	jnz .facs

	; All of memory through DS, in real mode.
	o32 lgdt [cs:gdtr]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov cx, 8
	mov ds, cx
	and al, 0xfe
	mov cr0, eax
	mov eax, [ebx + FACS_VECTOR]
	mov ecx, eax
	and ax, 0x000f
	shr ecx, 4
	mov [ebx + FACS_SCRATCH], ax
	mov [ebx + FACS_SCRATCH + 2], cx
	jmp far [ebx + FACS_SCRATCH]

align 8
gdt:
	dq 0
	dq 0x00cf93000000ffff
gdtr:
	dw 15
	dd 0xffff0000 + gdt

	times 256 - ($ - start) db 0xff
