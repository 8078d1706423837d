; SPDX-License-Identifier: BSD-2-Clause
; One stub a vector: makes the stack frame uniform (struct exception_frame in core/exception.h) and calls C.

bits 64
default rel
section .text

extern exception_handle
global exception_stubs
global exception_return_from_nmi

%macro STUB 1
align 16
	%if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17 || %1 == 21 || %1 == 29 || %1 == 30
	%else
	push qword 0
	%endif
	push qword %1
	jmp near exception_common
%endmacro

align 16
exception_stubs:
%assign vector 0
%rep 256
	STUB vector
%assign vector vector + 1
%endrep

exception_common:
	push r15
	push r14
	push r13
	push r12
	push r11
	push r10
	push r9
	push r8
	push rdi
	push rsi
	push rbp
	push rbx
	push rdx
	push rcx
	push rax
	cld
	mov rdi, rsp
	call exception_handle
	pop rax
	pop rcx
	pop rdx
	pop rbx
	pop rbp
	pop rsi
	pop rdi
	pop r8
	pop r9
	pop r10
	pop r11
	pop r12
	pop r13
	pop r14
	pop r15
	add rsp, 16
	iretq

; void exception_return_from_nmi(void): an IRET to the caller, which is what unblocks NMIs after an NMI exit.
exception_return_from_nmi:
	mov rax, rsp
	mov ecx, ss
	push rcx
	add rax, 8
	push rax
	pushfq
	mov ecx, cs
	push rcx
	mov rcx, [rax - 8]
	push rcx
	iretq

section .note.GNU-stack noalloc noexec nowrite progbits
