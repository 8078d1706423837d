; SPDX-License-Identifier: BSD-2-Clause
;
; The probes' exception entries, the frame of probe_try(), and the way of another CPU from its
; start-up interrupt to 64-bit code.

default rel
bits 64

%define CPU_TRY_RSP 8 ; struct probe_cpu

section .text

extern probe_exception

; --- exceptions ---

%macro entry_without_error 1
	push qword 0
	push qword %1
	jmp near entry_common
	align 16
%endmacro

%macro entry_with_error 1
	push qword %1
	jmp near entry_common
	align 16
%endmacro

global probe_entries_start:data hidden
align 16
probe_entries_start:
%assign vector 0
%rep 256
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17 || vector = 21 || vector = 30
	entry_with_error vector
%else
	entry_without_error vector
%endif
%assign vector vector + 1
%endrep

entry_common:
	push rax
	push rbx
	push rcx
	push rdx
	push rsi
	push rdi
	push rbp
	push r8
	push r9
	push r10
	push r11
	push r12
	push r13
	push r14
	push r15
	mov rdi, rsp
	mov rbx, rsp
	and rsp, -16
	cld
	call probe_exception
	mov rsp, rbx
	pop r15
	pop r14
	pop r13
	pop r12
	pop r11
	pop r10
	pop r9
	pop r8
	pop rbp
	pop rdi
	pop rsi
	pop rdx
	pop rcx
	pop rbx
	pop rax
	add rsp, 16
	iretq

; --- bool probe_try_call(probe_function function, void *argument): 1 if it came back ---

global probe_try_call:function hidden
probe_try_call:
	push rbp
	push rbx
	push r12
	push r13
	push r14
	push r15
	push qword [gs:CPU_TRY_RSP]
	mov [gs:CPU_TRY_RSP], rsp
	mov rax, rdi
	mov rdi, rsi
	call rax
	mov eax, 1
	jmp try_leave

; An exception inside continues here, with RSP as probe_try_call() left it.
global probe_try_landing:function hidden
probe_try_landing:
	xor eax, eax
try_leave:
	pop qword [gs:CPU_TRY_RSP]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbx
	pop rbp
	ret

; --- the other CPU: copied to a page below 1 MiB, started there in real mode ---

%define AT(label) (label - probe_trampoline_start)

global probe_trampoline_start:data hidden
global probe_trampoline_end:data hidden
global probe_trampoline_data:data hidden

align 16
bits 16
probe_trampoline_start:
	cli
	cld
	mov ax, cs
	mov ds, ax
	xor ebx, ebx
	mov bx, cs
	shl ebx, 4
	o32 lgdt [AT(trampoline_gdt_register)]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	o32 jmp far [AT(trampoline_to_32)]

bits 32
trampoline_32:
	mov ax, 16
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov eax, [ebx + AT(trampoline_cr4)]
	mov cr4, eax
	mov eax, [ebx + AT(trampoline_cr3)]
	mov cr3, eax
	mov ecx, 0xc0000080
	mov eax, [ebx + AT(trampoline_efer)]
	xor edx, edx
	wrmsr
	mov eax, [ebx + AT(trampoline_cr0)]
	mov cr0, eax
	jmp far [ebx + AT(trampoline_to_64)]

bits 64
trampoline_64:
	mov ebx, ebx
	mov rsp, [rbx + AT(trampoline_stack)]
	mov rdi, [rbx + AT(trampoline_argument)]
	lgdt [rbx + AT(trampoline_final_gdt)]
	mov eax, [rbx + AT(trampoline_ss)]
	mov ss, eax
	mov ds, eax
	mov es, eax
	mov eax, [rbx + AT(trampoline_cs)]
	push rax
	push qword [rbx + AT(trampoline_function)]
	o64 retf

align 8
probe_trampoline_data:			; struct trampoline_data in start.c
trampoline_cr0:		dq 0
trampoline_cr3:		dq 0
trampoline_cr4:		dq 0
trampoline_efer:	dq 0
trampoline_stack:	dq 0
trampoline_argument:	dq 0
trampoline_function:	dq 0
trampoline_cs:		dd 0
trampoline_ss:		dd 0
trampoline_to_32:	dd AT(trampoline_32) ; the page's address is added to these
			dw 24, 0
trampoline_to_64:	dd AT(trampoline_64)
			dw 8, 0
trampoline_gdt_register: dw 31
			dd AT(trampoline_gdt)
			dw 0
trampoline_final_gdt:	dw 0
			dq 0
			dw 0, 0, 0
trampoline_gdt:		dq 0
			dq 0x00af9b000000ffff	; 8: 64-bit code
			dq 0x00cf93000000ffff	; 16: data
			dq 0x00cf9b000000ffff	; 24: 32-bit code
probe_trampoline_end:

section .note.GNU-stack noalloc noexec nowrite progbits
