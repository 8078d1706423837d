/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The CPU as the hypervisor runs it: its slot in the address space (stacks between guard pages), its own GDT, TSS
 * and IDT, and the switch from the firmware's state to ours and back.
 */
#ifndef CORE_CPU_H
#define CORE_CPU_H

#include "boot/boot_info.h"
#include "core/vcpu.h"

#define HOST_CS		0x08u
#define HOST_DS		0x10u
/*
 * The firmware may run with TR = 0, which no instruction can bring back. If we undo everything, TR keeps this selector:
 * beyond the end of any firmware's GDT, so that firmware which saves and reloads TR (EDK2's MP library) leaves it alone.
 */
#define HOST_TR		0xf0u

/* Interrupt stack table entries. */
#define IST_NMI		1u
#define IST_DF		2u
#define IST_MC		3u

#define CPU_SLOT_BYTES	UINT64_C(0x20000)
#define CPU_STACK_BYTES UINT64_C(0x4000)
/* Pages of a slot that are backed by memory: stack, three IST stacks, struct cpu and struct vcpu. */
#define CPU_SLOT_PAGES	(CPU_STACK_BYTES / PAGE_BYTES + 3 + 2)

/* Boot CPU, once: what all CPUs share (the IDT). */
void cpu_init_shared(void);
/* Boot CPU: take memory for the slot of CPU `index` and fill it. NULL: the pool is empty. */
MUST_CHECK struct cpu *cpu_create(struct pool *pool, uint32_t index);
/* The vCPU beside it, through the same of the two addresses. */
struct vcpu *cpu_page_vcpu(struct cpu *cpu);
/* Where this CPU's local APIC registers are mapped. */
uint64_t cpu_device_address(uint32_t index);
/* Its address on the host's tables. */
struct cpu *cpu_at(uint32_t index);

/*
 * The switch, in two halves. On the loader's transition tables: remember what the firmware had and make the host's
 * tables loadable (EFER.NXE). On the host's tables: GDT, IDT, TSS, GS base, CR0, CR4, PAT. `cpu` may be either of its
 * addresses in the first half.
 */
void cpu_save_firmware(struct cpu *cpu, const struct boot_cpu_context *context);
void cpu_load_host(struct cpu *cpu);

/* The way back, in the same two halves; VMX or SVM stay on if they are. */
void cpu_unload_host(struct cpu *cpu);
void cpu_restore_firmware(struct cpu *cpu);

/* On the host's tables, after a reset: what the firmware has left stays in `saved` as far as the guest is to have it. */
void cpu_load_after_reset(struct cpu *cpu);

/* On the host's tables: the guest's state is the firmware's at the loader's call. Into the register cache, all dirty. */
void cpu_capture_guest(struct cpu *cpu);

/* Run `function(cpu)` on the host's tables and the CPU's own stack (core/entry.asm). */
uint64_t cpu_call_on_host(struct cpu *cpu, uint64_t (*function)(struct cpu *), uint64_t cr3,
			  uint64_t stack_top);

#endif
