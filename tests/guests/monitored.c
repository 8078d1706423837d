// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the monitor is tried on: a program that spins with interrupts off, counts, and exits; an NMI sends it on, to a second
 * loop with interrupts on, and an interrupt to its end. tests/boot/test_monitor.py types what brings these.
 */
#include "tests/guests/lib/probe.h"

static const char text[] = "what the monitor is to find";
static volatile uint64_t count;

void monitored_outer(uint32_t vector);
void monitored_work(void);

/* The time between two exits is mostly the program's: VT-x's preemption timer counts no other, and typed keys wait for it. */
enum { TURNS = 2000 };

/* One write to the counter and one exit. */
__attribute__((noinline)) void monitored_work(void)
{
	uint32_t regs[4];
	uint64_t turns = TURNS;

	count++;
	probe_cpuid(0, 0, regs);
	__asm__ volatile("1:\n\t"
			 "dec %0\n\t"
			 "jnz 1b"
			 : "+r"(turns)
			 :
			 : "cc");
}

/* Until an event has come. */
__attribute__((noinline)) void monitored_outer(uint32_t vector)
{
	const volatile uint64_t *events = &probe_this_cpu()->counts[vector];

	while (*events == 0)
		monitored_work();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	(void)probe_begin(image, table);
	probe_print("MONITORED: count=0x%lx work=0x%lx text=0x%lx\n", (uint64_t)&count,
		    (uint64_t)monitored_work, (uint64_t)text);
	monitored_outer(VECTOR_NMI);
	probe_print("MONITORED: NMI\n");
	__asm__ volatile("sti");
	monitored_outer(VECTOR_PROBE);
	__asm__ volatile("cli");
	probe_print("MONITORED: interrupt\n");
	probe_check(probe_this_cpu()->counts[VECTOR_NMI] == 1, "nmis", "%lu",
		    probe_this_cpu()->counts[VECTOR_NMI]);
	probe_check(probe_this_cpu()->counts[VECTOR_PROBE] == 1, "interrupts", "%lu",
		    probe_this_cpu()->counts[VECTOR_PROBE]);
	return probe_end();
}
