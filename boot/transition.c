/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/transition.h"

#include "boot/boot_info.h"

#define PAGE_PRESENT	 0x001ull
#define PAGE_WRITE	 0x002ull
#define PAGE_LEAF	 0x080ull
#define PAGE_ADDRESS	 0x000ffffffffff000ull
#define LARGE_PAGE_BYTES 0x200000ull

static unsigned transition_index(unsigned level)
{
	return (unsigned)(CORE_VIRT_BASE >> (12 + 9 * (level - 1))) & 511u;
}

static uint64_t transition_address(const void *table)
{
	return (uint64_t)(uintptr_t)table;
}

static void transition_copy(uint64_t *to, const uint64_t *from)
{
	unsigned i;

	for (i = 0; i < 512; i++)
		to[i] = from[i];
}

/* What the firmware has below `entry` becomes the content of `to`; a leaf of 1 GiB is split. */
static void transition_descend(uint64_t *to, uint64_t entry, unsigned level)
{
	unsigned i;

	if ((entry & PAGE_PRESENT) == 0) {
		for (i = 0; i < 512; i++)
			to[i] = 0;
	} else if (level == 3 && (entry & PAGE_LEAF) != 0) {
		for (i = 0; i < 512; i++)
			to[i] = entry + i * LARGE_PAGE_BYTES;
	} else {
		transition_copy(to, (const uint64_t *)(uintptr_t)(entry & PAGE_ADDRESS));
	}
}

uint64_t transition_build(struct transition_page *pages, const uint64_t *firmware_top,
			  unsigned levels, uint64_t base, uint64_t bytes)
{
	uint64_t *table = pages[0].entries;
	uint64_t at;
	unsigned level;

	transition_copy(table, firmware_top);
	for (level = levels; level > 2; level--) {
		uint64_t *next = pages[levels - level + 1].entries;
		uint64_t *entry = &table[transition_index(level)];

		transition_descend(next, *entry, level);
		*entry = transition_address(next) | PAGE_PRESENT | PAGE_WRITE;
		table = next;
	}
	for (at = 0; at < bytes; at += LARGE_PAGE_BYTES)
		table[at / LARGE_PAGE_BYTES] = (base + at) | PAGE_PRESENT | PAGE_WRITE | PAGE_LEAF;
	return transition_address(pages);
}
