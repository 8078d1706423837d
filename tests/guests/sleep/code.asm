; SPDX-License-Identifier: BSD-2-Clause
;
; Two pages below 1 MiB: where this machine wakes up, and where its other CPUs start. All of it in real mode; the first CPU
; reaches all of memory through FS. After each wake-up it prints one line and goes to sleep again.

global sleep_code
global sleep_words
global sleep_code_end

UART		equ 0x3f8
APIC_ICR	equ 0xfee00300
APIC_ID		equ 0xfee00020

section .rodata

%define AT(label) (label - sleep_code)

bits 16
align 4096
sleep_code:
	cli
	cld
	mov ax, cs
	mov ds, ax
	mov ss, ax
	mov sp, 0x1000
	xor ebp, ebp
	mov bp, ax
	shl ebp, 4
	lea eax, [ebp + AT(gdt)]
	mov [AT(gdtr) + 2], eax
	o32 lgdt [AT(gdtr)]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov cx, 8
	mov fs, cx
	and al, 0xfe
	mov cr0, eax

	; The UART as after a reset; 8 data bits, no interrupts.
	mov dx, UART + 3
	mov al, 3
	out dx, al
	mov dx, UART + 1
	xor al, al
	out dx, al

	inc dword [AT(round)]
	mov si, AT(text_awake)
	call text
	mov eax, [AT(round)]
	call hex
	mov si, AT(text_cpu)
	call text
	mov eax, [fs:dword APIC_ID]
	shr eax, 24
	call hex
	mov si, AT(text_name)
	call text
	mov eax, 0x40000000
	cpuid
	mov eax, ebx
	call hex

	; Every other CPU: INIT, SIPI, SIPI to the second page.
	mov dword [AT(started)], 0
	mov dword [fs:dword APIC_ICR], 0x000c4500
	mov ecx, 20000
	call wait_ports
	lea ebx, [ebp + 0x1000]
	shr ebx, 12
	or ebx, 0x000c4600
	mov [fs:dword APIC_ICR], ebx
	mov ecx, 2000
	call wait_ports
	mov [fs:dword APIC_ICR], ebx
	mov ecx, 100000
.starting:
	mov eax, [AT(started)]
	cmp eax, [AT(others)]
	je .all
	push ecx
	mov ecx, 1
	call wait_ports
	pop ecx
	dec ecx
	jnz .starting
.all:
	mov si, AT(text_others)
	call text
	mov eax, [AT(started)]
	call hex
	mov si, AT(text_name)
	call text
	mov eax, [AT(other_name)]
	call hex
	mov si, AT(text_line)
	call text

	mov eax, [AT(round)]
	cmp eax, [AT(rounds)]
	jb again
	mov si, AT(text_end)
	call text
halted:
	cli
	hlt
	jmp halted

again:
	mov edx, [AT(facs)]
	mov [fs:edx + 12], ebp
	mov eax, [AT(event)]
	mov dx, ax
	mov ax, 0xffff		; all that has happened so far
	out dx, ax
	add dx, 2
	mov ax, 0x0400		; the clock's alarm, each second
	out dx, ax
	; A reset of the machine has taken the alarm's enable bit away. The old one is acknowledged.
	mov al, 0x0b
	out 0x70, al
	in al, 0x71
	or al, 0x20
	out 0x71, al
	mov al, 0x0c
	out 0x70, al
	in al, 0x71
	mov dx, [AT(control)]
	in ax, dx
	and ax, 0xc3ff
	or ax, [AT(sleep)]
	out dx, ax
	mov si, AT(text_still)
	call text
	jmp halted

; ECX accesses to a port: a microsecond each, or less.
wait_ports:
	in al, 0x80
	dec ecx
	jnz wait_ports
	ret

putc:
	push dx
	push ax
	mov dx, UART + 5
.busy:
	in al, dx
	test al, 0x20
	jz .busy
	mov dx, UART
	pop ax
	out dx, al
	pop dx
	ret

text:
	lodsb
	test al, al
	jz .end
	call putc
	jmp text
.end:
	ret

hex:
	mov edx, eax
	mov cx, 8
.digit:
	rol edx, 4
	mov al, dl
	and al, 15
	add al, '0'
	cmp al, '9'
	jbe .put
	add al, 'a' - '9' - 1
.put:
	call putc
	dec cx
	jnz .digit
	ret

text_awake:	db "SLEEP: awake ", 0
text_cpu:	db " cpu ", 0
text_name:	db " name ", 0
text_others:	db " others ", 0
text_line:	db 13, 10, 0
text_end:	db "SLEEP: end", 13, 10, "SLEEP: end", 13, 10, 0
text_still:	db "SLEEP: still awake", 13, 10, 0

align 8
gdt:
	dq 0
	dq 0x00cf93000000ffff
gdtr:
	dw 15
	dd 0

; struct sleep_words in tests/guests/sleep.c
align 4
sleep_words:
round:		dd 0
rounds:		dd 0
others:		dd 0
facs:		dd 0
event:		dd 0
control:	dd 0
sleep:		dd 0
started:	dd 0
other_name:	dd 0

	times 4096 - ($ - sleep_code) db 0

; The other page, for a SIPI.
other_cpu:
	cli
	mov ax, cs
	sub ax, 0x100
	mov ds, ax
	mov eax, 0x40000000
	cpuid
	mov [AT(other_name)], ebx
	lock inc dword [AT(started)]
.end:
	hlt
	jmp .end
sleep_code_end:

section .note.GNU-stack noalloc noexec nowrite progbits
