// sources: mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/page_format.h"

#define BIT(n) (UINT64_C(1) << (n))

static const enum memtype all_types[] = { MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_WT, MEMTYPE_WP,
					  MEMTYPE_WB };
static const uint64_t level_hpa[] = { 0x123456789000, 0x123456600000, 0x123440000000 };

static void host_entries(void **state)
{
	struct page_format f;
	hpa_t hpa = { 0x345678000 };

	(void)state;
	page_format_init(&f, PAGE_FORMAT_HOST, 4, 2, 46);
	assert_int_equal(f.address, 0x00003ffffffff000);
	/* text, rodata, data, guest window, device registers; A and D always */
	assert_int_equal(page_format_leaf(&f, hpa, 0, RIGHT_READ | RIGHT_EXEC, MEMTYPE_WB),
			 0x345678061);
	assert_int_equal(page_format_leaf(&f, hpa, 0, RIGHT_READ, MEMTYPE_WB),
			 0x345678061 | BIT(63));
	assert_int_equal(page_format_leaf(&f, hpa, 0, RIGHT_READ | RIGHT_WRITE, MEMTYPE_WB),
			 0x345678063 | BIT(63));
	assert_int_equal(page_format_leaf(&f, (hpa_t){ 0x40000000 }, 1,
					  RIGHT_READ | RIGHT_WRITE | RIGHT_USER, MEMTYPE_WB),
			 0x400000e7 | BIT(63));
	assert_int_equal(page_format_leaf(&f, (hpa_t){ 0xfee00000 }, 0, RIGHT_READ | RIGHT_WRITE,
					  MEMTYPE_UC),
			 0xfee0007b | BIT(63));
	assert_int_equal(page_format_table(&f, hpa), 0x345678027);
	for (unsigned rights = 0; rights < 0x20; rights++) {
		uint64_t entry = page_format_leaf(&f, hpa, 0, rights, MEMTYPE_WB);

		assert_int_equal(!!(entry & f.present), !!(rights & RIGHT_READ));
		assert_int_equal(!!(entry & BIT(63)), !(rights & RIGHT_EXEC));
		assert_int_not_equal(entry, 0);
	}
}

static void npt_entries(void **state)
{
	struct page_format f;

	(void)state;
	page_format_init(&f, PAGE_FORMAT_NPT, 4, 2, 48);
	for (unsigned level = 0; level < 3; level++) {
		for (unsigned rights = 0; rights < 0x10; rights++) {
			hpa_t hpa = { level_hpa[level] };
			uint64_t entry = page_format_leaf(&f, hpa, level, rights, MEMTYPE_UC);

			assert_true(entry & BIT(2)); /* nested walks count as user accesses */
			assert_int_equal(entry & (BIT(5) | BIT(6)), BIT(5) | BIT(6));
			assert_int_equal(entry & (BIT(3) | BIT(4)),
					 0); /* the type is not NPT's business */
			assert_int_equal(!!(entry & BIT(7)), level > 0);
			assert_int_equal(entry & BIT(0), rights & RIGHT_READ);
			assert_int_equal(!!(entry & BIT(1)), !!(rights & RIGHT_WRITE));
			assert_int_equal(!(entry & BIT(63)), (rights & RIGHT_EXEC) == RIGHT_EXEC);
			assert_int_equal(entry & f.address, hpa.v);
			assert_int_equal(page_format_memtype(&f, entry), MEMTYPE_WB);
			assert_int_equal(page_format_with_type(&f, entry, MEMTYPE_UC), entry);
		}
	}
	assert_int_equal(page_format_table(&f, (hpa_t){ 0x5000 }), 0x5027);
}

/* SDM: "EPT Misconfigurations". */
static void check_ept_leaf(const struct page_format *f, unsigned rights, unsigned level,
			   enum memtype type)
{
	hpa_t hpa = { level_hpa[level] };
	uint64_t entry = page_format_leaf(f, hpa, level, rights, type);
	bool read = entry & BIT(0), write = entry & BIT(1), exec = entry & BIT(2);
	bool user = f->mode_based_exec ? entry & BIT(10) : exec;

	assert_int_equal(entry & f->address, hpa.v);
	assert_false(write && !read);
	assert_false((exec || user) && !read && !f->exec_only);
	assert_int_equal((entry >> 3) & 7, type);
	assert_false(entry & BIT(6)); /* IPAT */
	assert_int_equal(!!(entry & BIT(7)), level > 0);
	assert_int_equal(page_format_memtype(f, entry), type);
	/* never more than was asked for */
	assert_int_equal(page_format_rights(f, entry) & ~rights, 0);
	assert_int_equal(!!(entry & f->present), page_format_rights(f, entry) != 0);
	assert_int_not_equal(entry, 0);
	if ((rights & RIGHT_READ) &&
	    (f->mode_based_exec || (rights & RIGHT_EXEC) == RIGHT_EXEC || !(rights & RIGHT_EXEC)))
		assert_int_equal(page_format_rights(f, entry), rights);
	if (f->exec_only && rights == RIGHT_EXEC)
		assert_int_equal(page_format_rights(f, entry), rights);
}

static void ept_entries(void **state)
{
	struct page_format f;

	(void)state;
	for (unsigned features = 0; features < 4; features++) {
		page_format_init(&f, PAGE_FORMAT_EPT, 4, 2, 48);
		f.exec_only = features & 1;
		f.mode_based_exec = features & 2;
		for (unsigned level = 0; level < 3; level++) {
			for (unsigned rights = 0; rights < 0x10; rights++) {
				for (unsigned type = 0; type < 5; type++)
					check_ept_leaf(&f, rights, level, all_types[type]);
			}
		}
	}
	assert_int_equal(page_format_table(&f, (hpa_t){ 0x5000 }) & ~BIT(10), 0x5007);
	assert_int_equal(page_format_leaf(&f, (hpa_t){ 0 }, 1, RIGHT_ALL, MEMTYPE_WB) & 0x4ff,
			 0x4b7);
}

static void types_change_alone(void **state)
{
	struct page_format f;

	(void)state;
	page_format_init(&f, PAGE_FORMAT_EPT, 5, 1, 52);
	assert_int_equal(f.address, 0x000ffffffffff000);
	for (unsigned from = 0; from < 5; from++) {
		for (unsigned to = 0; to < 5; to++) {
			uint64_t a = page_format_leaf(&f, (hpa_t){ 0x200000 }, 1, RIGHT_READ,
						      all_types[from]);
			uint64_t b = page_format_leaf(&f, (hpa_t){ 0x200000 }, 1, RIGHT_READ,
						      all_types[to]);

			assert_int_equal(page_format_with_type(&f, a, all_types[to]), b);
		}
	}
}

static void geometry(void **state)
{
	(void)state;
	assert_int_equal(page_format_entry_bytes(0), 0x1000);
	assert_int_equal(page_format_entry_bytes(1), 0x200000);
	assert_int_equal(page_format_entry_bytes(2), 0x40000000);
	assert_int_equal(page_format_entry_bytes(4), UINT64_C(1) << 48);
	assert_int_equal(page_format_index(UINT64_C(0xffffffff80000000), 3), 511);
	assert_int_equal(page_format_index(UINT64_C(0xffffffff80000000), 2), 510);
	assert_int_equal(page_format_index(UINT64_C(0xffff800000000000), 3), 256);
}

/* PAT, PCD, PWT; a large page has PAT where the address begins. */
static void numbers_of_pat_entries(void **state)
{
	(void)state;
	for (unsigned index = 0; index < 8; index++) {
		uint64_t low = (uint64_t)(index & 3) << 3;

		assert_int_equal(page_format_pat_index(low | (index & 4 ? BIT(7) : 0), false),
				 index);
		assert_int_equal(page_format_pat_index(low | BIT(7) | (index & 4 ? BIT(12) : 0),
						       true),
				 index);
		assert_int_equal(page_format_pat_index(low | BIT(12), false), index & 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_entries), cmocka_unit_test(npt_entries),
		cmocka_unit_test(ept_entries),	cmocka_unit_test(types_change_alone),
		cmocka_unit_test(geometry),	cmocka_unit_test(numbers_of_pat_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
