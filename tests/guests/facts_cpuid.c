// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPUID on each CPU.
 *
 *   facts_cpuid.efi
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { SUBLEAVES = 4 };

static bool same(const uint32_t a[4], const uint32_t b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* A subleaf that shows the same as subleaf 0 is not mentioned. */
static void print_leaf(uint32_t leaf)
{
	uint32_t first[4], regs[4];

	probe_cpuid(leaf, 0, first);
	for (uint32_t subleaf = 0; subleaf < SUBLEAVES; subleaf++) {
		probe_cpuid(leaf, subleaf, regs);
		if (subleaf == 0 || !same(first, regs))
			fact_line("%scpuid.0x%x.%u = 0x%x 0x%x 0x%x 0x%x", fact_cpu(), leaf,
				  subleaf, regs[0], regs[1], regs[2], regs[3]);
	}
}

/* Also some leaves that are out of range, of which the answer depends on the vendor. */
static void print_range(uint32_t first, uint32_t count)
{
	for (uint32_t leaf = first; leaf < first + count; leaf++)
		print_leaf(leaf);
}

static void look(void *argument)
{
	(void)argument;
	print_range(0, 0x30);
	print_range(0x40000000, 4);
	print_range(0x80000000, 0x28);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	probe_begin(image, table);
	fact_begin("cpuid");
	look(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, look, NULL), "start", "CPU %u", i);
		probe_check(probe_join(i, 20000), "join", "CPU %u", i);
	}
	fact_end();
	return probe_end();
}
