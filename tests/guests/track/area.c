/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/track/area.h"

uint8_t *area;
uint8_t *area_shadow;
struct track_log *area_logs[PROBE_CPUS_MAX];
static bool is_amd;

bool area_init(void)
{
	EFI_PHYSICAL_ADDRESS large, pages;
	uint32_t regs[4];
	const UINTN count = PROBE_CPUS_MAX + PAGES;

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	if (EFI_ERROR(
		    BS->AllocatePages(AllocateAnyPages, EfiLoaderData, 3 * LARGE / PAGE, &large)) ||
	    EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderData, count, &pages)))
		return false;
	area = (uint8_t *)((large + LARGE) & ~(uint64_t)(LARGE - 1));
	area_shadow = (uint8_t *)pages;
	for (uint32_t i = 0; i < PROBE_CPUS_MAX; i++)
		area_logs[i] = (struct track_log *)(pages + (PAGES + i) * PAGE);
	/* The firmware has allowed interrupts again, and one would push onto what is a stack just now. */
	__asm__ volatile("cli" : : : "memory");
	return true;
}

uint64_t area_ask(uint64_t operation, uint64_t address, uint64_t bytes)
{
	return track_ask(is_amd, operation, address, bytes);
}

uint64_t area_add(const void *at)
{
	return area_ask(TRACK_CALL_ADD, (uint64_t)at, 0);
}

uint64_t area_take(const void *at)
{
	return area_ask(TRACK_CALL_REMOVE, (uint64_t)at, 0);
}

uint64_t area_lookup(const void *at)
{
	return area_ask(TRACK_CALL_LOOKUP, (uint64_t)at, 0);
}

uint64_t area_written(uint32_t cpu)
{
	return *(volatile uint64_t *)&area_logs[cpu]->written;
}
