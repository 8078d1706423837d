/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/monitor_walk.c mm/guest_copy.c mm/table_walk.c mm/page_role.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c mm/layout.c
/* The monitor's walks against tables made by hand, and the map against each of its frames. */
#include "tests/unit/mm_test.h"

#include "arch/x86/cr.h"
#include "core/caps.h"
#include "mm/guest_copy.h"
#include "mm/page_entry.h"
#include "vmexit/monitor_walk.h"

#define MIB(n)	     ((uint64_t)(n) << 20)
#define GIB(n)	     ((uint64_t)(n) << 30)
#define MEMORY_BYTES 0x8000u

struct hv_caps hv_caps = { .maxphyaddr = 40, .host_huge_pages = true };

static uint8_t memory[MEMORY_BYTES];

static void put(uint64_t gpa, uint64_t entry, unsigned bytes)
{
	memcpy(memory + gpa, &entry, bytes);
}

static int clear(void **state)
{
	struct pool pool;

	(void)state;
	memset(memory, 0, sizeof(memory));
	arena_make(&pool, 1);
	guest_copy_reset();
	guest_copy_window = memory;
	assert_true(guest_copy_add_ram(0, MEMORY_BYTES));
	return 0;
}

static void is_entry(const struct monitor_walk *walk, unsigned index, unsigned level, uint64_t at,
		     uint64_t entry, bool is_leaf)
{
	assert_true(index < walk->count);
	assert_int_equal(walk->entries[index].level, level);
	assert_int_equal(walk->entries[index].at, at);
	assert_int_equal(walk->entries[index].entry, entry);
	assert_int_equal(walk->entries[index].is_leaf, is_leaf);
}

static void long_mode(void **state)
{
	const struct regs_sync_sregs sregs = {
		.cr0 = CR0_PG | CR0_PE, .cr4 = CR4_PAE, .cr3 = 0x1000, .efer = EFER_LMA | EFER_LME
	};
	struct monitor_walk walk;

	(void)state;
	put(0x1ff8, 0x2007, 8);
	put(0x2000, 0x3003, 8);
	put(0x3008, 0x4063, 8);
	put(0x4010, 0x12345163, 8);
	put(0x3010, 0x40000083, 8);
	put(0x3018, 0x10000003, 8); /* a table where no memory is */
	put(0x3020, BIT64(45) | 3, 8);
	monitor_walk_guest(&sregs, 0xffffff8000202abc, &walk);
	assert_string_equal(walk.kind, "4-level paging");
	assert_false(walk.is_ept);
	assert_int_equal(walk.count, 4);
	is_entry(&walk, 0, 3, 0x1ff8, 0x2007, false);
	is_entry(&walk, 1, 2, 0x2000, 0x3003, false);
	is_entry(&walk, 2, 1, 0x3008, 0x4063, false);
	is_entry(&walk, 3, 0, 0x4010, 0x12345163, true);
	assert_null(walk.failure);
	assert_int_equal(walk.address, 0x12345abc);
	assert_int_equal(walk.page_bytes, 0x1000);
	monitor_walk_guest(&sregs, 0xffffff8000412345, &walk);
	assert_int_equal(walk.count, 3);
	is_entry(&walk, 2, 1, 0x3010, 0x40000083, true);
	assert_int_equal(walk.address, 0x40012345);
	assert_int_equal(walk.page_bytes, MIB(2));
	monitor_walk_guest(&sregs, 0xffffff8000000000, &walk);
	assert_string_equal(walk.failure, "not present");
	assert_int_equal(walk.count, 3);
	is_entry(&walk, 2, 1, 0x3000, 0, false);
	monitor_walk_guest(&sregs, 0xffffff8000600000, &walk);
	assert_string_equal(walk.failure, "a table lies where no memory is");
	assert_int_equal(walk.count, 3);
	monitor_walk_guest(&sregs, 0xffffff8000800000, &walk);
	assert_string_equal(walk.failure, "a reserved bit is set");
	monitor_walk_guest(&sregs, 0x800000000000, &walk);
	assert_string_equal(walk.failure, "there is no such linear address");
	assert_int_equal(walk.count, 0);
}

static void other_modes(void **state)
{
	struct regs_sync_sregs sregs = { .cr0 = CR0_PE };
	struct monitor_walk walk;

	(void)state;
	monitor_walk_guest(&sregs, 0x5678, &walk);
	assert_string_equal(walk.kind, "paging is off");
	assert_int_equal(walk.count, 0);
	assert_int_equal(walk.address, 0x5678);
	assert_null(walk.failure);
	sregs.cr0 |= CR0_PG;
	sregs.cr3 = 0x1000;
	put(0x1008, 0x3007, 4);
	put(0x3004, 0x7007, 4);
	monitor_walk_guest(&sregs, 0x801234, &walk);
	assert_string_equal(walk.kind, "32-bit paging");
	assert_int_equal(walk.count, 2);
	is_entry(&walk, 0, 1, 0x1008, 0x3007, false);
	is_entry(&walk, 1, 0, 0x3004, 0x7007, true);
	assert_int_equal(walk.address, 0x7234);
	monitor_walk_guest(&sregs, 0x100000000, &walk);
	assert_string_equal(walk.failure, "there is no such linear address");
	/* The CPU goes by its register, whatever is in memory. */
	sregs.cr4 = CR4_PAE;
	sregs.cr3 = 0x1020;
	sregs.pdptr[1] = 0x2001;
	put(0x2008, 0x5000083, 8);
	monitor_walk_guest(&sregs, 0x40212345, &walk);
	assert_string_equal(walk.kind, "PAE paging");
	assert_int_equal(walk.count, 2);
	is_entry(&walk, 0, 2, 0x1028, 0x2001, false);
	is_entry(&walk, 1, 1, 0x2008, 0x5000083, true);
	assert_int_equal(walk.address, 0x5012345);
	monitor_walk_guest(&sregs, 0x80000000, &walk);
	assert_string_equal(walk.failure, "not present");
	assert_int_equal(walk.count, 1);
}

static struct tdp_mmu *make_map(struct pool *pool, enum page_format_kind kind)
{
	static struct tdp_mmu tdp;
	struct page_format format;
	struct mtrr_state mtrr = { .cap = 0x100, .maxphyaddr = 36, .def_type = 0xc06 };

	arena_make(pool, 512);
	page_format_init(&format, kind, 4, 1, 36);
	memset(mtrr.fixed, 6, sizeof(mtrr.fixed));
	mtrr.fixed[2] = 0;
	assert_true(tdp_mmu_init(&tdp, &format, pool, kind == PAGE_FORMAT_EPT ? &mtrr : NULL,
				 GIB(1), UINT64_C(1) << 36));
	return &tdp;
}

static void each_entry_of_the_map(void **state)
{
	struct pool pool;
	struct tdp_mmu *tdp = make_map(&pool, PAGE_FORMAT_EPT);
	struct monitor_walk walk;

	(void)state;
	monitor_walk_map(tdp, 0x234567, &walk);
	assert_true(walk.is_ept);
	assert_int_equal(walk.count, 3);
	assert_int_equal(walk.entries[0].at, ptr_to_hpa(tdp->table.root).v);
	assert_int_equal(walk.entries[2].level, 1);
	assert_true(walk.entries[2].is_leaf);
	assert_int_equal(walk.entries[2].entry & EPT_TYPE, 6 << 3);
	assert_int_equal(walk.address, 0x234567);
	assert_int_equal(walk.page_bytes, MIB(2));
	monitor_walk_map(tdp, 0xa1234, &walk);
	assert_int_equal(walk.count, 4);
	assert_int_equal(walk.entries[3].entry & EPT_TYPE, 0);
	assert_int_equal(walk.page_bytes, 0x1000);
	monitor_walk_map(tdp, GIB(8), &walk);
	assert_non_null(walk.failure);
	assert_int_equal(walk.entries[walk.count - 1].entry, 0);
	monitor_walk_map(tdp, UINT64_C(1) << 36, &walk);
	assert_string_equal(walk.failure, "beyond the end of the map");
	assert_int_equal(walk.count, 0);
}

/* Every frame is in exactly the part that has its rights and its frame, and no two neighbours are alike. */
static void check_parts(const struct tdp_mmu *tdp)
{
	struct monitor_map map, last = { .bytes = 0 };
	uint64_t address = 0;

	for (; monitor_walk_next(tdp, address, &map); last = map) {
		struct page_mapping mapping;

		for (; address < map.address; address += PAGE_BYTES)
			assert_false(page_table_lookup(&tdp->table, address, &mapping));
		for (; address < map.address + map.bytes; address += PAGE_BYTES) {
			assert_true(page_table_lookup(&tdp->table, address, &mapping));
			assert_int_equal(mapping.rights, map.rights);
			assert_int_equal(mapping.type, map.type);
			assert_int_equal(page_format_entry_bytes(mapping.level), map.page_bytes);
			assert_int_equal(mapping.hpa.v,
					 map.is_hidden ? map.frame
						       : map.frame + address - map.address);
		}
		assert_false(last.bytes != 0 && last.address + last.bytes == map.address &&
			     last.rights == map.rights && last.type == map.type &&
			     last.page_bytes == map.page_bytes && last.is_hidden == map.is_hidden &&
			     map.frame - map.address == last.frame - last.address);
	}
	assert_true(last.bytes != 0);
}

static void parts_of_the_map(void **state)
{
	struct pool pool;
	struct tdp_mmu *tdp = make_map(&pool, PAGE_FORMAT_EPT);
	struct monitor_map map;
	bool changed;

	(void)state;
	assert_true(monitor_walk_next(tdp, 0, &map));
	assert_int_equal(map.address, 0);
	assert_int_equal(map.bytes, 0xa0000);
	assert_int_equal(map.rights, RIGHT_ALL);
	assert_true(map.is_typed);
	assert_true(monitor_walk_next(tdp, 0xa0000, &map));
	assert_int_equal(map.bytes, 0x20000);
	assert_int_equal(map.type, MEMTYPE_UC);
	check_parts(tdp);
	assert_true(tdp_mmu_hide(tdp, (gpa_t){ MIB(64) }, MIB(4)));
	assert_true(tdp_mmu_protect(tdp, (gpa_t){ 0x345000 }, 0x2000, RIGHT_READ, &changed));
	assert_true(tdp_mmu_map(tdp, (gpa_t){ 0x400000 }, (hpa_t){ 0x12000 }, 0x1000, RIGHT_ALL,
				&changed));
	assert_int_equal(tdp_mmu_touch(tdp, (gpa_t){ GIB(40) }), TDP_TOUCH_MAPPED);
	check_parts(tdp);
	assert_true(monitor_walk_next(tdp, MIB(64), &map));
	assert_true(map.is_hidden);
	assert_int_equal(map.bytes, MIB(4));
	assert_int_equal(map.rights & RIGHT_WRITE, 0);
	tdp = make_map(&pool, PAGE_FORMAT_NPT);
	check_parts(tdp);
	assert_true(monitor_walk_next(tdp, 0, &map));
	assert_false(map.is_typed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(long_mode, clear),
		cmocka_unit_test_setup(other_modes, clear),
		cmocka_unit_test(each_entry_of_the_map),
		cmocka_unit_test(parts_of_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
