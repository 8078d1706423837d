; SPDX-License-Identifier: BSD-2-Clause
; The switch to the host's page tables and stack, and back. The code is mapped in both tables, neither stack is.

bits 64
default rel
section .text

global cpu_call_on_host

; uint64_t cpu_call_on_host(cpu: rdi, function: rsi, cr3: rdx, stack_top: rcx)
cpu_call_on_host:
	push rbp
	push rbx
	push r12
	mov rbx, rsp
	mov r12, cr3
	mov cr3, rdx
	mov rsp, rcx
	xor ebp, ebp
	call rsi
	mov cr3, r12
	mov rsp, rbx
	pop r12
	pop rbx
	pop rbp
	ret

section .note.GNU-stack noalloc noexec nowrite progbits
