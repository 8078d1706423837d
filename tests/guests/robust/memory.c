/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/robust/memory.h"

#include "tests/guests/lib/probe.h"

#define HYPERCALL_CHECK UINT64_C(0x534f4c4f5643484b) /* "SOLOVCHK" */
enum { CHECK_IMAGE, CHECK_HOST, CHECK_LEAKS };
enum { PAGE_BYTES = 4096 };

static bool is_all_ones(uint64_t base)
{
	const volatile uint64_t *at = (const volatile uint64_t *)base;

	for (uint32_t i = 0; i < PAGE_BYTES / 8; i++) {
		if (at[i] != ~UINT64_C(0))
			return false;
	}
	return true;
}

uint64_t memory_find_hidden(void)
{
	const uint64_t block = 2 << 20;
	UINTN count, key, entry_bytes;
	UINT32 version;
	const uint8_t *map = (void *)LibMemoryMap(&count, &key, &entry_bytes, &version);
	uint64_t found = 0;

	for (UINTN i = 0; i < count; i++) {
		const EFI_MEMORY_DESCRIPTOR *entry = (const void *)(map + i * entry_bytes);
		uint64_t base = (entry->PhysicalStart + block - 1) & ~(block - 1);

		if (entry->Type != EfiReservedMemoryType || base + block > UINT32_MAX ||
		    base + block > entry->PhysicalStart + entry->NumberOfPages * PAGE_BYTES)
			continue;
		if (is_all_ones(base) && is_all_ones(base + block / 2))
			found = base;
	}
	return found;
}

struct check {
	uint64_t rax, rcx;
	bool is_amd;
};

static void call_check(void *argument)
{
	struct check *check = argument;

	check->rax = HYPERCALL_CHECK;
	if (check->is_amd)
		__asm__ volatile("vmmcall" : "+a"(check->rax) : "c"(check->rcx) : "memory");
	else
		__asm__ volatile("vmcall" : "+a"(check->rax) : "c"(check->rcx) : "memory");
}

void memory_read_checks(uint64_t values[MEMORY_CHECKS])
{
	struct check check;
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	check.is_amd = regs[1] == 0x68747541;
	for (uint32_t i = 0; i < MEMORY_CHECKS; i++) {
		check.rcx = i;
		if (!probe_check(probe_try(call_check, &check, NULL), "check-call", "%u", i))
			check.rax = i;
		values[i] = check.rax;
	}
}

static bool is_hidden_still(uint64_t base)
{
	/* As far as the steps have had it in their tables. */
	for (uint64_t at = base; base && at < base + (1 << 20); at += PAGE_BYTES) {
		if (!is_all_ones(at))
			return false;
	}
	return base != 0;
}

void memory_compare_checks(const uint64_t before[MEMORY_CHECKS], uint64_t hidden)
{
	uint64_t after[MEMORY_CHECKS];

	memory_read_checks(after);
	probe_check(after[CHECK_IMAGE] == before[CHECK_IMAGE], "image-unchanged", "0x%lx 0x%lx",
		    before[CHECK_IMAGE], after[CHECK_IMAGE]);
	probe_check(after[CHECK_HOST] == before[CHECK_HOST], "host-tables-unchanged", "0x%lx 0x%lx",
		    before[CHECK_HOST], after[CHECK_HOST]);
	probe_check(!before[CHECK_LEAKS] && !after[CHECK_LEAKS], "no-leaks", "%lu %lu",
		    before[CHECK_LEAKS], after[CHECK_LEAKS]);
	probe_check(is_hidden_still(hidden), "hidden", "");
}
