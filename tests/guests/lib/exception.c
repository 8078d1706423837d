/* SPDX-License-Identifier: BSD-2-Clause */
/* An IDT whose exceptions are counted, ended, or turned into the result of probe_try(). */
#include "tests/guests/lib/probe.h"

#define GENERAL_REGS_ONLY __attribute__((target("general-regs-only")))

enum { ENTRY_BYTES = 16, GATE_INTERRUPT = 0x8e, MSR_GS_BASE = 0xc0000101 };

struct gate {
	uint16_t offset_0, selector;
	uint8_t ist, type;
	uint16_t offset_16;
	uint32_t offset_32, reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

extern const uint8_t probe_entries_start[] __attribute__((visibility("hidden")));
extern const uint8_t probe_try_landing[] __attribute__((visibility("hidden")));
bool probe_try_call(probe_function function, void *argument);
void probe_exception(struct probe_frame *frame);

struct probe_cpu probe_cpus[PROBE_CPUS_MAX];
void (*probe_nmi_hook)(struct probe_cpu *cpu);
static struct gate idt[256] __attribute__((aligned(16)));
static struct table_register firmware_idt;

static GENERAL_REGS_ONLY void count(struct probe_cpu *cpu, struct probe_frame *frame)
{
	uint64_t dr6;

	cpu->counts[frame->vector]++;
	cpu->last_rip[frame->vector] = frame->rip;
	if (frame->vector == VECTOR_DB) {
		__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
		cpu->dr6 = dr6;
		__asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffff0ff0)));
		frame->rflags &= ~UINT64_C(0x100);
		/* Go on at an instruction breakpoint: RF, also where the CPU has not set it. */
		if (dr6 & 0xf)
			frame->rflags |= UINT64_C(0x10000);
	}
	if (frame->vector >= VECTOR_DEVICE)
		probe_apic_write(0xb0, 0);
	if (frame->vector == VECTOR_NMI && probe_nmi_hook)
		probe_nmi_hook(cpu);
}

static GENERAL_REGS_ONLY void end_try(struct probe_cpu *cpu, struct probe_frame *frame)
{
	struct probe_fault *fault = cpu->fault;

	fault->happened = true;
	fault->vector = (uint32_t)frame->vector;
	fault->error = frame->error;
	fault->rip = frame->rip;
	__asm__ volatile("mov %%cr2, %0" : "=r"(fault->cr2));
	frame->rip = (uint64_t)probe_try_landing;
	frame->rsp = cpu->try_rsp;
	/* Neither a trap flag nor an alignment check outlives what was tried. */
	frame->rflags = 2;
}

GENERAL_REGS_ONLY void probe_exception(struct probe_frame *frame)
{
	struct probe_cpu *cpu = probe_this_cpu();

	if (frame->vector <= VECTOR_BP && frame->vector != VECTOR_DE) {
		count(cpu, frame);
	} else if (frame->vector >= VECTOR_DEVICE) {
		count(cpu, frame);
	} else if (cpu->try_rsp) {
		end_try(cpu, frame);
	} else {
		probe_print("PROBE: cpu %u: exception %lu error 0x%lx at 0x%lx\n", cpu->index,
			    frame->vector, frame->error, frame->rip);
		for (;;)
			__asm__ volatile("cli; hlt");
	}
}

bool probe_try(probe_function function, void *argument, struct probe_fault *fault)
{
	struct probe_cpu *cpu = probe_this_cpu();
	struct probe_fault *outer = cpu->fault, none = { .happened = false };
	bool good;

	fault = fault ? fault : &none;
	*fault = (struct probe_fault){ .happened = false };
	cpu->fault = fault;
	good = probe_try_call(function, argument);
	cpu->fault = outer;
	return good;
}

bool probe_faults(probe_function function, void *argument, uint32_t vector)
{
	struct probe_fault fault;

	return !probe_try(function, argument, &fault) && fault.vector == vector;
}

static void fill_idt(void)
{
	uint16_t cs;

	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	for (uint32_t i = 0; i < PROBE_VECTORS; i++) {
		const uint64_t entry = (uint64_t)probe_entries_start + i * ENTRY_BYTES;

		idt[i] = (struct gate){ .offset_0 = (uint16_t)entry,
					.selector = cs,
					.type = GATE_INTERRUPT,
					.offset_16 = (uint16_t)(entry >> 16),
					.offset_32 = (uint32_t)(entry >> 32) };
	}
}

void probe_exceptions_load(struct probe_cpu *cpu)
{
	const struct table_register table = { sizeof(idt) - 1, (uint64_t)idt };

	cpu->self = cpu;
	cpu->try_rsp = 0;
	probe_wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	if (!firmware_idt.base) {
		__asm__ volatile("sidt %0" : "=m"(firmware_idt));
		fill_idt();
	}
	__asm__ volatile("lidt %0" : : "m"(table));
}

void probe_exceptions_restore(void)
{
	__asm__ volatile("lidt %0" : : "m"(firmware_idt));
}
