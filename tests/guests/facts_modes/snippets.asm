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
%define PDPT		0x69000
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

; --- real mode and virtual-8086 mode ---

%macro real_ones 1
snippet 'registers', %1, 16
	mov ax, 0x1234
	mov es, ax
	mov fs, ax
	mov ax, [bx + 2]
	smsw cx
done
snippet 'limit-ds', %1, 16
	mov esi, 0x10000
	mov al, [esi]
done
snippet 'limit-word', %1, 16
	mov si, 0xffff
	mov ax, [si]
done
snippet 'limit-ss', %1, 16
	mov si, 0xffff
	mov ax, [ss:si]
done
snippet 'pushf', %1, 16
	pushf
	pop ax
done
snippet 'pushfd', %1, 16
	pushfd
	pop eax
done
snippet 'popf-all', %1, 16
	push word 0x7ed5		; not TF
	popf
	pushf
	pop ax
done
snippet 'popfd-all', %1, 16
	push dword 0x003f7ed5 & ~0x20000
	popfd
	pushfd
	pop eax
done
snippet 'cli', %1, 16
	sti
	nop
	pushf
	pop cx
	cli
	pushf
	pop ax
done
snippet 'int-31', %1, 16
	int 0x31
done
snippet 'int-21', %1, 16
	int 0x21
done
snippet 'int3', %1, 16
	int3
done
snippet 'into', %1, 16
	mov al, 0x7f
	add al, 1
	into
done
snippet 'div0', %1, 16
	xor cx, cx
	div cx
done
snippet 'bound', %1, 16
	mov ax, 0x4000
	bound ax, [bx]
done
snippet 'ud2', %1, 16
	ud2
done
snippet 'iret', %1, 16
	pushf
	push cs
	call near %$next
%$next:
	pop ax
	add ax, %$target - %$next
	push ax
	iret
	ud2
%$target:
	mov cx, 0x4444
done
snippet 'iretd', %1, 16
	pushfd
	push word 0
	push cs
	push dword %$target - %$from
%$from:
	o32 iret
	ud2
%$target:
	mov cx, 0x4444
done
snippet 'far', %1, 16
	push cs
	call near %$next
%$next:
	pop ax
	add ax, %$target - %$next
	push ax
	retf
	ud2
%$target:
	mov cx, 0x5555
done
snippet 'hlt', ALL_VM86, 16
	hlt
done
snippet 'lar', %1, 16
	mov ax, 8
	lar cx, ax
done
snippet 'sldt', %1, 16
	sldt ax
done
snippet 'str', %1, 16
	str ax
done
snippet 'ltr', %1, 16
	ltr ax
done
snippet 'arpl', %1, 16
	arpl ax, cx
done
snippet 'lgdt', ALL_VM86, 16
	lgdt [bx]
done
snippet 'mov-cr0', %1, 16
	mov eax, cr0
	mov cr0, eax
done
snippet 'mov-cr3', %1, 16
	mov eax, cr3
done
snippet 'clts', %1, 16
	clts
done
snippet 'lmsw', ALL_VM86, 16
	mov ax, 0x000b
	lmsw ax
	smsw cx
done
snippet 'mov-dr', %1, 16
	mov eax, dr7
done
snippet 'rdmsr', %1, 16
	mov ecx, EFER
	rdmsr
done
snippet 'wrmsr-bad', %1, 16
	mov ecx, EFER
	mov eax, 0xffffffff
	mov edx, eax
	wrmsr
done
snippet 'invlpg', %1, 16
	invlpg [bx]
done
snippet 'wbinvd', %1, 16
	wbinvd
done
snippet 'cpuid', %1, 16
	xor eax, eax
	cpuid
done
snippet 'in-80', %1, 16
	in al, 0x80
	mov al, 1
done
snippet 'in-180', %1, 16
	mov dx, 0x180
	in al, dx
	mov al, 1
done
snippet 'in-word-ff', %1, 16
	mov dx, 0xff
	in ax, dx
	mov ax, 1
done
snippet 'trap', %1, 16
	pushf
	pop ax
	or ax, 0x100
	push ax
	popf
	nop
	nop
done
snippet 'trap-cpuid', %1, 16
	xor eax, eax
	pushf
	pop cx
	or cx, 0x100
	push cx
	popf
	cpuid
	nop
done
snippet 'trap-mov-ss', %1, 16
	mov dx, ss
	pushf
	pop cx
	or cx, 0x100
	push cx
	popf
	mov ss, dx
	nop
	nop
done
snippet 'sysenter', %1, 16
	sysenter
done
snippet 'vmcall', %1, 16
	xor eax, eax
	db 0x0f, 0x01, 0xc1
done
snippet 'vmmcall', %1, 16
	xor eax, eax
	db 0x0f, 0x01, 0xd9
done
snippet 'movsb', %1, 16
	mov ax, ds
	mov es, ax
	mov si, 0x10
	mov di, 0x200
	mov cx, 8
	cld
	rep movsb
	mov ax, [0x206]
done
snippet 'wrap', %1, 16
	mov di, 0xfffe
	mov cx, 2
	cld
	mov ax, 0x1111
	mov dx, ss
	mov es, dx
	mov dx, [es:di]
done
%endmacro

; --- only in one of them ---

snippet 'read-far', UNREAL, 16
	mov esi, 0x100000
	mov al, [esi]
	mov al, 1
done
snippet 'reload', UNREAL, 16
	mov ax, ds
	mov ds, ax
	mov es, ax
	mov esi, 0x100000
	mov al, [esi]
	mov al, [es:esi]
	mov al, 2
done
snippet 'after-cpuid', UNREAL, 16
	xor eax, eax
	cpuid
	mov esi, 0x200000
	mov al, [fs:esi]
	mov al, [gs:esi]
	mov al, 3
done
snippet 'after-rdmsr', UNREAL, 16
	mov ecx, EFER
	rdmsr
	mov esi, 0x200000
	mov al, [es:esi]
	mov al, 4
done
snippet 'ss-is-not', UNREAL, 16
	mov esi, 0x10000
	mov al, [ss:esi]
done
snippet 'end', UNREAL, 16
	mov esi, 0xffffffff
	mov ax, [esi]
done
snippet 'pg-alone', REAL, 16
	mov eax, cr0
	or eax, 0x80000000
	mov cr0, eax
done
snippet 'nw-alone', REAL, 16
	mov eax, cr0
	or eax, 0x20000000
	and eax, ~0x40000000
	mov cr0, eax
done
snippet 'cr4-bad', REAL, 16
	mov eax, 0x80000000
	mov cr4, eax
done
snippet 'cr4-pcide', REAL, 16
	mov eax, 0x20000
	mov cr4, eax
done
snippet 'cr4-vmxe', REAL, 16
	mov eax, cr4
	or eax, 0x2000
	mov cr4, eax
done
snippet 'to-protected', REAL, 16
	mov eax, cr0
	or al, 1
	mov cr0, eax
	mov cx, 0x7777
	and al, 0xfe
	mov cr0, eax
done
snippet 'lmsw-pe', REAL, 16
	smsw ax
	or al, 1
	lmsw ax
	smsw cx
	and al, 0xfe
	lmsw ax
	smsw dx
	mov eax, cr0
	and al, 0xfe
	mov cr0, eax
done
snippet 'em', REAL, 16
	mov eax, cr0
	or al, 4
	mov cr0, eax
	fninit
done
snippet 'ts', REAL, 16
	mov eax, cr0
	or al, 8
	mov cr0, eax
	fninit
done
snippet 'idt-limit', REAL, 16
	int 0x40
done
snippet 'efer-lme', REAL, 16
	mov ecx, EFER
	rdmsr
	or eax, 0x100
	wrmsr
	rdmsr
	and eax, 0x500
	mov esi, eax
done
snippet 'efer-lma', REAL, 16
	mov ecx, EFER
	rdmsr
	or eax, 0x400
	wrmsr
	rdmsr
	and eax, 0x500
	mov esi, eax
done
snippet 'efer-svme', REAL, 16
	mov ecx, EFER
	rdmsr
	or eax, 0x8
	wrmsr
done
snippet 'vip-sti', VME, 16
	push dword 0x120002 & ~0x20000
	popfd
	sti
done
snippet 'tf-popf', VME, 16
	push word 0x102
	popf
	nop
done

; --- protected mode of 32 bits ---

%macro load_ds 2
snippet %1, ALL_32, 32
	mov eax, %2
	mov ds, eax
	mov al, [0]
done
%endmacro

load_ds 'ds-null', 0
load_ds 'ds-null-rpl', 3
load_ds 'ds-data', 0x5b
load_ds 'ds-data-dpl0', 0x13
load_ds 'ds-readonly', 0x63
load_ds 'ds-execute-only', 0x70
load_ds 'ds-conforming', 0x78
load_ds 'ds-absent', 0x80
load_ds 'ds-gate', 0x88
load_ds 'ds-task', 0x48
load_ds 'ds-beyond', 0x200
load_ds 'ds-ldt', 0x0c

%macro load_ss 2
snippet %1, ALL_32, 32
	mov eax, %2
	mov ss, eax
	mov eax, 0x6666
done
%endmacro

load_ss 'ss-null', 0
load_ss 'ss-readonly', 0x60
load_ss 'ss-rpl', 0x13
load_ss 'ss-dpl3', 0x3b
load_ss 'ss-absent', 0x80
load_ss 'ss-code', 0x08
load_ss 'ss-beyond', 0x200

snippet 'limit-byte', ALL_32, 32
	mov eax, 0x5b
	mov ds, eax
	mov al, [0xff]
	mov al, [0x100]
done
snippet 'limit-dword', ALL_32, 32
	mov eax, 0x5b
	mov es, eax
	mov ecx, [es:0xfc]
	mov ecx, [es:0xfd]
done
snippet 'write-readonly', ALL_32, 32
	mov eax, 0x63
	mov ds, eax
	mov [0x10], al
done
snippet 'expand-down', ALL_32, 32
	mov eax, 0x6b
	mov ds, eax
	mov cl, [0x100]
	mov dl, [0xff]
done
snippet 'expand-down-end', ALL_32, 32
	mov eax, 0x6b
	mov ds, eax
	mov cl, [0xffff]
	mov dl, [0x10000]
done
snippet 'write-code', ALL_32, 32
	mov [cs:ebx], al
done
snippet 'jmp-data', ALL_32, 32
	jmp 0x10:0
done
snippet 'jmp-absent', ALL_32, 32
	jmp 0x98:0
done
snippet 'jmp-null', ALL_32, 32
	jmp 0:0
done
snippet 'jmp-beyond', ALL_32, 32
	jmp 0x200:0
done
snippet 'jmp-dpl3', ALL_32, 32
	jmp 0x30:0
done
snippet 'call-gate', ALL_32, 32
	push dword 0x12345678
	call 0x88:0
done
snippet 'call-gate-16', ALL_32, 32
	push dword 0x12345678
	call 0x90:0
done
snippet 'retf-outer', ALL_32, 32
	mov ecx, esp
	push dword 0x3b
	push ecx
	push dword 0x33
	mov eax, 0x64000 + %$target - %$start
	push eax
	retf
%$target:
	mov eax, ds
	mov edx, cs
done
snippet 'iret-outer', ALL_32, 32
	mov ecx, esp
	push dword 0x3b
	push ecx
	push dword 0x3202
	push dword 0x33
	mov eax, 0x64000 + %$target - %$start
	push eax
	iretd
%$target:
	pushfd
	pop eax
	mov edx, cs
done
snippet 'iret-nt', ALL_32, 32
	pushfd
	or dword [esp], 0x4000
	popfd
	iretd
done
snippet 'iret-vm', ALL_32, 32
	push dword 0x6e00
	push dword 0x6e00
	push dword 0x6e00
	push dword 0x6e00
	push dword 0x6500
	push dword 0xff0
	push dword 0x20002
	push dword 0x6400
	push dword %$target - %$start
	iretd
%$target:
	db 0xb8, 0x34, 0x12		; of 16 bits: MOV AX, 0x1234
	hlt
done
snippet 'int-31', ALL_32, 32
	int 0x31
done
snippet 'int-trap-gate', ALL_32, 32
	int 0x32
done
snippet 'int-16', ALL_32, 32
	int 0x33
done
snippet 'int-absent', ALL_32, 32
	int 0x34
done
snippet 'int-bad-gate', ALL_32, 32
	int 0x36
done
snippet 'int-beyond', ALL_32, 32
	int 0x80
done
snippet 'int3', ALL_32, 32
	int3
done
snippet 'into', ALL_32, 32
	mov al, 0x7f
	add al, 1
	into
done
snippet 'icebp', ALL_32, 32
	db 0xf1
done
snippet 'ud2', ALL_32, 32
	ud2
done
snippet 'lar', ALL_32, 32
	mov edx, 0x08
	lar eax, edx
	mov edx, 0x5b
	lsl ecx, edx
	mov edx, 0x200
	lar esi, edx
	mov edx, 0x88
	lar edi, edx
done
snippet 'verr', ALL_32, 32
	mov edx, 0x63
	verr dx
	setz al
	verw dx
	setz cl
	mov edx, 0x70
	verr dx
	setz ch
done
snippet 'arpl', ALL_32, 32
	mov eax, 0x10
	mov ecx, 3
	arpl ax, cx
	setz cl
done
snippet 'str', ALL_32, 32
	str eax
	sldt ecx
	smsw edx
	and edx, 0xffff
done
snippet 'ltr-busy', ALL_32, 32
	mov eax, 0xb0
	ltr ax
done
snippet 'ltr-16', ALL_32, 32
	mov eax, 0xa8
	ltr ax
	str ecx
done
snippet 'lldt', ALL_32, 32
	mov eax, 0x50
	lldt ax
	sldt ecx
	mov eax, 0x0c
	mov es, eax
done
snippet 'lldt-bad', ALL_32, 32
	mov eax, 0x10
	lldt ax
done
snippet 'cli', ALL_32, 32
	cli
	pushfd
	pop eax
done
snippet 'popfd-all', ALL_32, 32
	push dword 0x001f7ed5
	popfd
	pushfd
	pop eax
done
snippet 'in-80', ALL_32, 32
	in al, 0x80
	mov al, 1
done
snippet 'in-180', ALL_32, 32
	mov edx, 0x180
	in al, dx
	mov al, 1
done
snippet 'cpuid', ALL_32, 32
	xor eax, eax
	cpuid
done
snippet 'rdmsr', ALL_32, 32
	mov ecx, 0x277
	rdmsr
done
snippet 'mov-cr0', ALL_32, 32
	mov eax, cr0
done
snippet 'trap', ALL_32, 32
	pushfd
	or dword [esp], 0x100
	popfd
	nop
	nop
done
snippet 'trap-cpuid', ALL_32, 32
	xor eax, eax
	pushfd
	or dword [esp], 0x100
	popfd
	cpuid
	nop
done
snippet 'sysenter', ALL_32, 32
	sysenter
done
snippet 'vmcall', ALL_32, 32
	xor eax, eax
	db 0x0f, 0x01, 0xc1
done
snippet 'vmmcall', ALL_32, 32
	xor eax, eax
	db 0x0f, 0x01, 0xd9
done
snippet 'xgetbv', ALL_32, 32
	xor ecx, ecx
	xgetbv
done

; --- between the modes ---

snippet 'lme-without-pae', P32, 32
	mov ecx, EFER
	rdmsr
	or eax, 0x100
	wrmsr
	mov eax, cr0
	or eax, 0x80000000
	mov cr0, eax
done
snippet 'lme-while-paged', P32_PAE, 32
	mov ecx, EFER
	rdmsr
	or eax, 0x100
	wrmsr
done
snippet 'lma-while-paged', P32_PAE, 32
	mov ecx, EFER
	rdmsr
	or eax, 0x400
	wrmsr
	rdmsr
	and eax, 0x500
	mov esi, eax
done
snippet 'pcide', P32_PAE, 32
	mov eax, cr4
	or eax, 0x20000
	mov cr4, eax
done
snippet 'la57', P32_PAE, 32
	mov eax, cr4
	or eax, 0x1000
	mov cr4, eax
	mov ecx, cr4
	and ecx, 0x1000
done
snippet 'pae-off', P32_PAE, 32
	mov eax, 0x68000
	mov edx, cr4
	or edx, 0x10
	mov cr4, edx
	mov cr3, eax
	mov edx, cr4
	and edx, ~0x20
	mov cr4, edx
	mov ecx, cr4
done
snippet 'paging-off', P32_PAE, 32
	mov eax, cr0
	and eax, ~0x80000000
	mov cr0, eax
	mov ecx, cr0
done
snippet 'pge', P32_PAE, 32
	mov eax, cr4
	or eax, 0x80
	mov cr4, eax
	mov ecx, cr4
done
snippet 'pdpte-not-used', P32_PAE, 32
	or dword [PDPT + 0x18], 0x1e0
	mov eax, [0x100]
	mov eax, 0x1111
done
snippet 'pdpte-cd', P32_PAE, 32
	or dword [PDPT + 0x18], 0x1e0
	mov eax, cr0
	or eax, 0x40000000
	mov cr0, eax
done

%assign bit 0
%rep 64
%if bit < 10 || bit > 38
%defstr bit_text bit
%strcat bit_name 'pdpte-bit-', bit_text
snippet bit_name, P32_PAE, 32
	mov eax, PDPT + 0x200 + 32 * bit
	mov cr3, eax
	mov ecx, [0x40000000]
	mov ecx, 0x9999
done
%endif
%assign bit bit + 1
%endrep

snippet 'page-fault', P32_PAGED, 32
	mov dword [0x68000 + 0x400], 0
	mov eax, cr3
	mov cr3, eax
	mov al, [0x40000123]
done
snippet 'page-fault-write', P32_PAE, 32
	and dword [0x6b000], ~2
	mov eax, cr0
	or eax, 0x10000
	mov cr0, eax
	mov eax, cr3
	mov cr3, eax
	mov [0x40000123], al
done
snippet 'gs-base', P32, 32
	mov eax, 0x5b
	mov gs, eax
	mov al, [gs:0x22]
	mov fs, eax
	mov ah, [fs:0x33]
done
snippet 'jmp-16', P32, 32
	jmp 0x20:0x4000 + %$target - %$start
%$target:
	db 0xb8, 0x34, 0x12		; of 16 bits: MOV AX, 0x1234
	db 0x66, 0xbb, 0x78, 0x56, 0x34, 0x12 ; MOV EBX
done
snippet 'jmp-16-user', P32_USER, 32
	jmp 0x43:0x4000 + %$target - %$start
%$target:
	db 0xb8, 0x34, 0x12
done

; --- 16 bits ---

%macro protected_16 1
snippet 'stack', %1, 16
	push ax
	pushad
	mov cx, sp
	pop eax
done
snippet 'limit', %1, 16
	mov ax, 0x5b
	mov es, ax
	mov al, [es:0x100]
done
snippet 'addresses', %1, 16
	mov si, 0x10
	lea edi, [esi + ebx]
	mov ax, 0x5b
	mov ds, ax
	mov al, [si]
	mov cl, [word 0x20]
done
snippet 'operand-32', %1, 16
	mov eax, 0x12345678
	push eax
	pop cx
	pop dx
done
snippet 'int-32', %1, 16
	int 0x32
done
snippet 'hlt-or-gate', %1, 16
	push word 0x1234
	push word 0x5678
	call 0x88:0
done
snippet 'lar', %1, 16
	mov dx, 0x08
	lar eax, dx
	lsl cx, dx
done
%endmacro

protected_16 P16
protected_16 P16_USER

; --- the macro of many: in each real and virtual-8086 mode; what halts or spoils REAL is not in it ---

real_ones ALL_REAL

section .rodata
modes_snippets_end:

section .note.GNU-stack noalloc noexec nowrite progbits
