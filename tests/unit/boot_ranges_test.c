// sources: boot/ranges.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/ranges.h"

#include "boot/boot_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RAM	 BOOT_RANGE_RAM
#define MMIO	 BOOT_RANGE_MMIO
#define RESERVED BOOT_RANGE_RESERVED
#define MAX	 64u
#define SPACE	 64u

static struct boot_range raw_list[MAX], out_list[2 * MAX];
static struct ranges raw, out;

static void begin(void)
{
	raw = (struct ranges){ .list = raw_list, .max = MAX };
	out = (struct ranges){ .list = out_list, .max = 2 * MAX };
}

static void assert_range(size_t index, uint64_t base, uint64_t end, uint32_t kind)
{
	assert_true(index < out.count);
	assert_int_equal(out.list[index].base, base);
	assert_int_equal(out.list[index].base + out.list[index].bytes, end);
	assert_int_equal(out.list[index].kind, kind);
}

static void sorts_and_merges(void **state)
{
	(void)state;
	begin();
	ranges_add(&raw, 0x3000, 0x1000, RAM);
	ranges_add(&raw, 0x1000, 0x1000, RAM);
	ranges_add(&raw, 0x2000, 0x1000, RAM);
	ranges_add(&raw, 0x5000, 0x1000, RESERVED);
	ranges_add(&raw, 0x9000, 0, MMIO);
	ranges_normalize(&raw, &out, MAX);
	assert_int_equal(out.count, 2);
	assert_range(0, 0x1000, 0x4000, RAM);
	assert_range(1, 0x5000, 0x6000, RESERVED);
}

static void precedence_where_they_overlap(void **state)
{
	(void)state;
	begin();
	ranges_add(&raw, 0, 0x10000, RESERVED);
	ranges_add(&raw, 0x4000, 0x8000, MMIO);
	ranges_add(&raw, 0x6000, 0x2000, RAM);
	ranges_normalize(&raw, &out, MAX);
	assert_int_equal(out.count, 5);
	assert_range(0, 0, 0x4000, RESERVED);
	assert_range(1, 0x4000, 0x6000, MMIO);
	assert_range(2, 0x6000, 0x8000, RAM);
	assert_range(3, 0x8000, 0xc000, MMIO);
	assert_range(4, 0xc000, 0x10000, RESERVED);
}

static void end_of_address_space(void **state)
{
	(void)state;
	begin();
	ranges_add(&raw, 0xfffffffffffff000, 0x2000, MMIO);
	ranges_add(&raw, 0x1000, UINT64_MAX, RESERVED);
	ranges_normalize(&raw, &out, MAX);
	assert_int_equal(out.count, 2);
	assert_range(0, 0x1000, 0xfffffffffffff000, RESERVED);
	assert_range(1, 0xfffffffffffff000, UINT64_MAX, MMIO);
}

static void too_many_leave_ram_whole(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 0; i < 20; i++) {
		ranges_add(&raw, i * 0x10000, 0x1000, RAM);
		ranges_add(&raw, i * 0x10000 + 0x8000, 0x1000 + i * 0x100, MMIO);
	}
	ranges_normalize(&raw, &out, 25);
	assert_int_equal(out.count, 25);
	/* The five largest others are left. */
	for (size_t i = 0, others = 0; i < out.count; i++) {
		others += out.list[i].kind == MMIO;
		if (out.list[i].kind == MMIO)
			assert_true(out.list[i].bytes >= 0x1000 + 15 * 0x100);
		if (i + 1 == out.count)
			assert_int_equal(others, 5);
	}
	/* Then RAM: only the smallest holes close. */
	begin();
	ranges_add(&raw, 0x0000, 0x1000, RAM);
	ranges_add(&raw, 0x8000, 0x1000, RAM);
	ranges_add(&raw, 0xa000, 0x1000, RAM);
	ranges_add(&raw, 0xf000, 0x1000, RAM);
	ranges_normalize(&raw, &out, 2);
	assert_int_equal(out.count, 2);
	assert_range(0, 0x0000, 0x1000, RAM);
	assert_range(1, 0x8000, 0x10000, RAM);
}

static void full_list_is_remembered(void **state)
{
	(void)state;
	begin();
	for (uint64_t i = 0; i < MAX + 5; i++)
		ranges_add(&raw, i * 0x2000, 0x1000, RAM);
	assert_int_equal(raw.count, MAX);
	assert_true(raw.is_full);
}

/* Against a model that paints each unit of a small address space. */
static void random_against_a_model(void **state)
{
	uint32_t seed = 5;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t model[SPACE] = { 0 };

		begin();
		for (unsigned i = 0; i < round % 12; i++) {
			uint32_t base, bytes, kind;

			seed = seed * 1664525u + 1013904223u;
			base = (seed >> 8) % SPACE;
			bytes = (seed >> 16) % (SPACE - base + 1);
			kind = 1 + (seed >> 24) % 3;
			ranges_add(&raw, base, bytes, kind);
			for (uint32_t at = base; at < base + bytes; at++)
				if (model[at] == 0 || kind < model[at])
					model[at] = kind;
		}
		ranges_normalize(&raw, &out, MAX);
		for (size_t i = 0; i < out.count; i++) {
			const struct boot_range *range = &out.list[i];

			if (i > 0 && out.list[i - 1].base + out.list[i - 1].bytes == range->base)
				assert_int_not_equal(out.list[i - 1].kind, range->kind);
			for (uint64_t at = range->base; at < range->base + range->bytes; at++) {
				assert_int_equal(model[at], range->kind);
				model[at] = 0;
			}
		}
		for (uint32_t at = 0; at < SPACE; at++)
			assert_int_equal(model[at], 0);
	}
}

static void finds_the_highest_block(void **state)
{
	uint64_t base = 0, largest = 0;

	(void)state;
	begin();
	ranges_add(&raw, 0x100000, 0x500000, RAM);   /* 1 MiB to 6 MiB */
	ranges_add(&raw, 0x10000000, 0x480000, RAM); /* 4.5 MiB at 256 MiB */
	ranges_add(&raw, 0x20100000, 0x3ff000, RAM); /* not 4 MiB when aligned */
	ranges_add(&raw, 0x30000000, 0x10000000, RESERVED);
	ranges_add(&raw, 0x100000000, 0x10000000, RAM);

	assert_true(ranges_find_block(&raw, RAM, 0x400000, 0x200000, 0x100000000, &base, &largest));
	assert_int_equal(base, 0x10000000);
	assert_true(ranges_find_block(&raw, RAM, 0x400000, 0x200000, UINT64_MAX, &base, &largest));
	assert_int_equal(base, 0x10fc00000 & ~0x1fffffull);
	assert_true(ranges_find_block(&raw, RAM, 0x200000, 0x200000, 0x20000000, &base, &largest));
	assert_int_equal(base, 0x10200000);
	assert_true(ranges_find_block(&raw, RAM, 0x400000, 0x200000, 0x8000000, &base, &largest));
	assert_int_equal(base, 0x200000);
	assert_false(
		ranges_find_block(&raw, RAM, 0x600000, 0x200000, 0x100000000, &base, &largest));
	assert_int_equal(largest, 0x400000);
	/* Limits inside a block. */
	assert_true(ranges_find_block(&raw, RAM, 0x200000, 0x200000, 0x10300000, &base, &largest));
	assert_int_equal(base, 0x10000000);
	begin();
	assert_false(ranges_find_block(&raw, RAM, 0x200000, 0x200000, UINT64_MAX, &base, &largest));
	assert_int_equal(largest, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_and_merges),
		cmocka_unit_test(precedence_where_they_overlap),
		cmocka_unit_test(end_of_address_space),
		cmocka_unit_test(too_many_leave_ram_whole),
		cmocka_unit_test(full_list_is_remembered),
		cmocka_unit_test(random_against_a_model),
		cmocka_unit_test(finds_the_highest_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
