// sources: boot/transition.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's memory plays physical memory: an address in a table is a pointer. */
#include "boot/transition.h"

#include "boot/boot_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PRESENT 0x01ull
#define WRITE	0x02ull
#define LEAF	0x80ull
#define NX	(1ull << 63)
#define ADDRESS 0x000ffffffffff000ull
#define BASE	0xdc00000ull
#define BYTES	0x400000ull

static struct transition_page pages[TRANSITION_PAGE_COUNT] __attribute__((aligned(4096)));
static struct transition_page firmware[4] __attribute__((aligned(4096)));

static uint64_t address_of(const struct transition_page *page)
{
	return (uint64_t)(uintptr_t)page;
}

/* Where a linear address leads, UINT64_MAX if nowhere. Rights are ANDed into `rights`. */
static uint64_t walk(uint64_t cr3, unsigned levels, uint64_t linear, uint64_t *rights)
{
	uint64_t entry = cr3;

	*rights = WRITE;
	for (unsigned level = levels; level > 0; level--) {
		const uint64_t *table = (const uint64_t *)(uintptr_t)(entry & ADDRESS);
		uint64_t page = 1ull << (12 + 9 * (level - 1));

		entry = table[(linear >> (12 + 9 * (level - 1))) & 511];
		if ((entry & PRESENT) == 0)
			return UINT64_MAX;
		*rights &= entry;
		*rights |= entry & NX;
		if (level == 1 || (entry & LEAF) != 0)
			return (entry & ADDRESS & ~(page - 1)) + (linear & (page - 1));
	}
	return UINT64_MAX;
}

static void assert_window(uint64_t cr3, unsigned levels)
{
	uint64_t rights, at;

	for (at = 0; at < BYTES; at += 0xff8) {
		assert_int_equal(walk(cr3, levels, CORE_VIRT_BASE + at, &rights), BASE + at);
		assert_int_equal(rights, WRITE);
	}
}

static void begin(void)
{
	memset(pages, 0xff, sizeof(pages));
	memset(firmware, 0, sizeof(firmware));
}

static void nothing_there_before(void **state)
{
	uint64_t cr3, rights;

	(void)state;
	for (unsigned levels = 4; levels <= 5; levels++) {
		begin();
		firmware[0].entries[0] = 0x1234000 | PRESENT;
		cr3 = transition_build(pages, firmware[0].entries, levels, BASE, BYTES);
		assert_int_equal(cr3, address_of(pages));
		assert_int_equal(pages[0].entries[0], 0x1234000 | PRESENT);
		assert_window(cr3, levels);
		assert_int_equal(walk(cr3, levels, CORE_VIRT_BASE + BYTES, &rights), UINT64_MAX);
		assert_int_equal(walk(cr3, levels, CORE_VIRT_BASE - 1, &rights), UINT64_MAX);
		/* The firmware's own table is untouched. */
		assert_int_equal(firmware[0].entries[511], 0);
	}
}

static void neighbours_stay(void **state)
{
	uint64_t cr3, rights;

	(void)state;
	begin();
	/* Down to a 4-KiB table beside our place, and a no-execute, read-only way to it. */
	firmware[0].entries[511] = address_of(&firmware[1]) | PRESENT | NX;
	firmware[1].entries[510] = address_of(&firmware[2]) | PRESENT;
	firmware[1].entries[509] = 0x40000000 | PRESENT | LEAF;
	firmware[2].entries[0] = address_of(&firmware[3]) | PRESENT;
	firmware[2].entries[2] = address_of(&firmware[3]) | PRESENT | WRITE;
	firmware[3].entries[5] = 0x7777000 | PRESENT | WRITE;
	cr3 = transition_build(pages, firmware[0].entries, 4, BASE, BYTES);
	assert_window(cr3, 4);
	assert_int_equal(walk(cr3, 4, CORE_VIRT_BASE + 0x405008, &rights), 0x7777008);
	assert_int_equal(walk(cr3, 4, CORE_VIRT_BASE - 0x40000000 + 7, &rights), 0x40000007);
	assert_int_equal(firmware[2].entries[0], address_of(&firmware[3]) | PRESENT);
}

static void a_gibibyte_leaf_is_split(void **state)
{
	uint64_t cr3, rights;

	(void)state;
	begin();
	firmware[0].entries[511] = address_of(&firmware[1]) | PRESENT | WRITE;
	firmware[1].entries[510] = 0x80000000 | PRESENT | WRITE | LEAF;
	cr3 = transition_build(pages, firmware[0].entries, 4, BASE, BYTES);
	assert_window(cr3, 4);
	assert_int_equal(walk(cr3, 4, CORE_VIRT_BASE + 0x612345, &rights), 0x80612345);
	assert_int_equal(walk(cr3, 4, CORE_VIRT_BASE + 0x3fffffff, &rights), 0xbfffffff);
}

static void five_levels_with_a_leaf(void **state)
{
	uint64_t cr3, rights;

	(void)state;
	begin();
	firmware[0].entries[511] = address_of(&firmware[1]) | PRESENT | WRITE;
	firmware[1].entries[511] = address_of(&firmware[2]) | PRESENT | WRITE;
	firmware[2].entries[511] = 0xc0000000 | PRESENT | WRITE | LEAF;
	cr3 = transition_build(pages, firmware[0].entries, 5, BASE, BYTES);
	assert_window(cr3, 5);
	assert_int_equal(walk(cr3, 5, CORE_VIRT_BASE + 0x40000000, &rights), 0xc0000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_there_before),
		cmocka_unit_test(neighbours_stay),
		cmocka_unit_test(a_gibibyte_leaf_is_split),
		cmocka_unit_test(five_levels_with_a_leaf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
