// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads at random addresses far above the RAM, where nothing is: a hypervisor that maps on first
 * touch must not run out of anything, however many there are.
 *
 *   far.efi [touches N]
 */
#include "tests/guests/lib/probe.h"

enum { ENTRIES = 512, PAGE = 4096, TABLES_MAX = 512 };
#define GIB	  (UINT64_C(1) << 30)
#define ROOT_SPAN (UINT64_C(512) << 30)
#define FLAGS	  UINT64_C(3)
#define HUGE	  UINT64_C(0x83)

static uint64_t *root;
static uint32_t table_count;

static uint32_t physical_bits(void)
{
	uint32_t regs[4];

	probe_cpuid(0x80000008, 0, regs);
	return regs[0] & 0xff;
}

static bool has_1g_pages(void)
{
	uint32_t regs[4];

	probe_cpuid(0x80000001, 0, regs);
	return (regs[3] >> 26) & 1;
}

/* The firmware's tables for what it maps, and 1 GiB pages one to one for the rest, up to `top`. */
static bool build_tables(uint64_t top)
{
	uint64_t cr3;
	EFI_PHYSICAL_ADDRESS pages;

	table_count = (uint32_t)((top + ROOT_SPAN - 1) / ROOT_SPAN);
	table_count = table_count > TABLES_MAX / 2 ? TABLES_MAX / 2 : table_count;
	if (EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderData, table_count + 1, &pages)))
		return false;
	root = (uint64_t *)pages;
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	CopyMem(root, (void *)(cr3 & ~UINT64_C(0xfff)), PAGE);
	for (uint32_t i = 1; i < table_count; i++) {
		uint64_t *table = root + (uint64_t)i * ENTRIES;

		for (uint32_t j = 0; j < ENTRIES; j++)
			table[j] = ((uint64_t)i * ENTRIES + j) * GIB | HUGE;
		root[i] = (uint64_t)table | FLAGS;
	}
	return true;
}

static void touch(void *argument)
{
	*(volatile uint64_t *)argument;
}

static void check_touches(uint64_t from, uint64_t to, uint64_t touches)
{
	uint64_t state = 0x9e3779b97f4a7c15, faults = 0, old;

	__asm__ volatile("mov %%cr3, %0" : "=r"(old));
	__asm__ volatile("mov %0, %%cr3" : : "r"(root) : "memory");
	for (uint64_t i = 0; i < touches; i++) {
		const uint64_t address = from + probe_random(&state) % (to - from);

		faults += !probe_try(touch, (void *)(address & ~UINT64_C(7)), NULL);
		if (i % 20000 == 0)
			probe_print("PROBE: touched %lu, last 0x%lx\n", i, address);
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"(old) : "memory");
	probe_check(!faults, "touches", "%lu faults", faults);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const uint64_t touches = probe_number(options, "touches", 100000);
	const uint32_t bits = physical_bits() > 46 ? 46 : physical_bits();
	const uint64_t top = UINT64_C(1) << bits;

	probe_print("PROBE: physical addresses have %u bits\n", physical_bits());
	if (probe_check(has_1g_pages() && top > ROOT_SPAN, "far-addresses", "%u bits", bits) &&
	    probe_check(build_tables(top), "tables", ""))
		check_touches(ROOT_SPAN, table_count * ROOT_SPAN, touches);
	return probe_end();
}
