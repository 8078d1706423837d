// sources: mm/host_map.c mm/guest_copy.c mm/page_table.c mm/page_format.c mm/pool.c mm/layout.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables are read back as the CPU reads them, from host_map_cr3() on. */
#include "tests/unit/mm_test.h"

#include "mm/guest_copy.h"
#include "mm/host_map.h"

#define MIB(n)	 ((uint64_t)(n) << 20)
#define GIB(n)	 ((uint64_t)(n) << 30)
#define HV_BASE	 ARENA_HPA
#define HV_BYTES MIB(4)

#define W	 2u
#define U	 4u
#define UNCACHED 0x18u
#define NX	 (UINT64_C(1) << 63)
#define NOTHING	 0u

static const struct host_map_image image = {
	LAYOUT_IMAGE,	       LAYOUT_IMAGE + 0x8000, LAYOUT_IMAGE + 0x8000,
	LAYOUT_IMAGE + 0xb000, LAYOUT_IMAGE + 0xb000, LAYOUT_IMAGE + 0x10000,
};

struct seen {
	uint64_t hpa, bytes;
	uint64_t flags; /* P, W, U, PCD|PWT, NX combined over the levels; 0: nothing there */
};

static struct seen cpu_walk(unsigned levels, uint64_t address)
{
	uint64_t table = host_map_cr3(), flags = 7;

	for (unsigned level = levels - 1;; level--) {
		uint64_t index = address >> (12 + 9 * level) & 511, entry;
		uint64_t bytes = UINT64_C(1) << (12 + 9 * level);

		memcpy(&entry, arena + (table - ARENA_HPA) + 8 * index, 8);
		if (!(entry & 1))
			return (struct seen){ .flags = NOTHING };
		flags = (flags & entry & 7) | ((flags | entry) & NX);
		table = entry & UINT64_C(0x000ffffffffff000);
		if (level == 0 || (entry & 0x80))
			return (struct seen){ table + (address & (bytes - 1)), bytes,
					      flags | (entry & UNCACHED) };
	}
}

static void expect(unsigned levels, uint64_t address, uint64_t hpa, uint64_t flags)
{
	struct seen seen = cpu_walk(levels, address);

	assert_int_equal(seen.flags, flags == NOTHING ? 0 : flags | 1);
	if (flags != NOTHING)
		assert_int_equal(seen.hpa, hpa);
}

static void make(struct pool *pool)
{
	arena_make(pool, HV_BYTES / PAGE_BYTES);
	guest_copy_reset();
}

static void image_is_w_xor_x(unsigned levels, bool huge)
{
	struct pool pool;

	make(&pool);
	assert_true(host_map_init(&pool, levels, huge, 40, &image));
	for (uint64_t offset = 0; offset < HV_BYTES; offset += PAGE_BYTES) {
		uint64_t flags = W | NX;

		if (offset < 0x8000)
			flags = 1; /* readable and executable */
		else if (offset < 0xb000)
			flags = NX;
		expect(levels, LAYOUT_IMAGE + offset, HV_BASE + offset, flags);
	}
	assert_int_equal(cpu_walk(levels, LAYOUT_IMAGE + 0x20000).bytes, PAGE_BYTES);
	assert_int_equal(cpu_walk(levels, LAYOUT_IMAGE + MIB(2)).bytes, MIB(2));
	expect(levels, LAYOUT_IMAGE - PAGE_BYTES, 0, NOTHING);
	expect(levels, LAYOUT_IMAGE + HV_BYTES, 0, NOTHING);
	expect(levels, 0, 0, NOTHING);
	expect(levels, LAYOUT_GUEST, 0, NOTHING);
}

static void image_and_pool(void **state)
{
	(void)state;
	image_is_w_xor_x(4, true);
	image_is_w_xor_x(4, false);
	image_is_w_xor_x(5, true);
}

static void extra_mappings(void **state)
{
	struct pool pool;

	(void)state;
	make(&pool);
	assert_true(host_map_init(&pool, 4, true, 40, &image));
	assert_true(host_map_pages(LAYOUT_CPU_SLOTS + 0x1000, (hpa_t){ HV_BASE + MIB(3) }, 0x4000));
	assert_true(host_map_device(LAYOUT_DEVICES, (hpa_t){ 0xfee00000 }, PAGE_BYTES));
	expect(4, LAYOUT_CPU_SLOTS, 0, NOTHING);
	expect(4, LAYOUT_CPU_SLOTS + 0x4010, HV_BASE + MIB(3) + 0x3010, W | NX);
	expect(4, LAYOUT_CPU_SLOTS + 0x5000, 0, NOTHING);
	expect(4, LAYOUT_DEVICES, 0xfee00000, W | NX | UNCACHED);
	expect(4, LAYOUT_DEVICES + PAGE_BYTES, 0, NOTHING);
}

static bool is_ram_nearby(uint64_t page)
{
	uint64_t base, end, large = page & ~(MIB(2) - 1);

	if (large >= HV_BASE && large < HV_BASE + HV_BYTES)
		return false;
	for (unsigned i = 0; guest_copy_range(i, &base, &end); i++) {
		if (base < large + MIB(2) && end > large)
			return true;
	}
	return false;
}

/* Each 2 MiB that has RAM in it is there, no other one is, and never the hypervisor. */
static void check_window(unsigned levels, uint64_t limit)
{
	for (uint64_t gpa = 0; gpa < limit; gpa += MIB(1))
		expect(levels, LAYOUT_GUEST + gpa, gpa, is_ram_nearby(gpa) ? W | U | NX : NOTHING);
}

static void window_over_usual_ram(void **state)
{
	struct pool pool;

	(void)state;
	for (unsigned huge = 0; huge < 2; huge++) {
		make(&pool);
		assert_true(guest_copy_add_ram(0, 0xa0000));
		assert_true(guest_copy_add_ram(MIB(1), 0x7bf3e000 - MIB(1)));
		assert_true(guest_copy_add_ram(
			0x7bf40000, 0x7f000000 - 0x7bf40000)); /* across the reservation */
		assert_true(guest_copy_add_ram(GIB(4), GIB(5) + MIB(512) + 0x1000));
		assert_true(host_map_init(&pool, 4, huge, 40, &image));
		check_window(4, GIB(11));
		assert_int_equal(cpu_walk(4, LAYOUT_GUEST + GIB(5)).bytes, huge ? GIB(1) : MIB(2));
		assert_int_equal(cpu_walk(4, LAYOUT_GUEST).bytes, MIB(2));
		assert_int_equal(cpu_walk(4, LAYOUT_GUEST + GIB(9)).bytes, MIB(2));
	}
}

/* Small holes vanish when ranges are rounded out to 2 MiB, but no 1 GiB page may cover one. */
static void holes_get_no_huge_page(void **state)
{
	struct pool pool;

	(void)state;
	make(&pool);
	assert_true(guest_copy_add_ram(GIB(4), MIB(100) + 0x5000));
	assert_true(guest_copy_add_ram(GIB(4) + MIB(100) + 0x6000, GIB(3)));
	assert_true(host_map_init(&pool, 4, true, 40, &image));
	check_window(4, GIB(8));
	assert_int_equal(cpu_walk(4, LAYOUT_GUEST + GIB(4)).bytes, MIB(2));
	assert_int_equal(cpu_walk(4, LAYOUT_GUEST + GIB(5)).bytes, GIB(1));
}

static void window_over_random_ram(void **state)
{
	struct pool pool;

	(void)state;
	for (unsigned round = 0; round < test_rounds(30); round++) {
		make(&pool);
		for (unsigned i = 0; i < 12; i++)
			assert_true(guest_copy_add_ram(
				random_below(GIB(5)) & ~UINT64_C(0xfff),
				(random_below(MIB(1200)) >> random_below(20)) & ~UINT64_C(0xfff)));
		assert_true(host_map_init(&pool, round & 1 ? 4 : 5, random_below(2), 46, &image));
		check_window(round & 1 ? 4 : 5, GIB(7));
	}
}

static void too_small_a_pool_is_refused(void **state)
{
	struct pool pool, small;

	(void)state;
	make(&pool);
	assert_true(guest_copy_add_ram(0, MIB(64)));
	assert_true(pool_carve(&small, "small", &pool, 5));
	assert_false(host_map_init(&small, 4, true, 40, &image));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_and_pool),
		cmocka_unit_test(extra_mappings),
		cmocka_unit_test(window_over_usual_ram),
		cmocka_unit_test(holes_get_no_huge_page),
		cmocka_unit_test(window_over_random_ram),
		cmocka_unit_test(too_small_a_pool_is_refused),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	free(arena);
	return failures;
}
