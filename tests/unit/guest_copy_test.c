// sources: mm/guest_copy.c mm/layout.c mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/mm_test.h"

#include "arch/x86/cr.h"
#include "mm/guest_copy.h"

#define GUEST_BYTES 0x400000u

static uint8_t *guest;

static int setup(void **state)
{
	(void)state;
	guest = calloc(1, GUEST_BYTES);
	guest_copy_window = guest;
	layout_init_at(guest + 0x200000, (hpa_t){ 0x200000 }, 0x100000);
	guest_copy_reset();
	return guest == NULL;
}

static int teardown(void **state)
{
	(void)state;
	free(guest);
	return 0;
}

static void expect_ranges(const uint64_t (*ranges)[2], unsigned count)
{
	uint64_t base, end;

	for (unsigned i = 0; i < count; i++) {
		assert_true(guest_copy_range(i, &base, &end));
		assert_int_equal(base, ranges[i][0]);
		assert_int_equal(end, ranges[i][1]);
	}
	assert_false(guest_copy_range(count, &base, &end));
}

static void ranges_are_sorted_merged_and_cut(void **state)
{
	static const uint64_t apart[][2] = { { 0, 0x9f000 },
					     { 0x100000, 0x200000 },
					     { 0x300000, 0x400000 } };
	static const uint64_t joined[][2] = { { 0, 0x200000 }, { 0x300000, 0x400000 } };

	(void)state;
	assert_true(guest_copy_add_ram(0x180000, 0x280000)); /* around the reservation */
	assert_true(guest_copy_add_ram(0x200000, 0x1000));   /* in it */
	assert_true(guest_copy_add_ram(0, 0x9f000));
	assert_true(guest_copy_add_ram(0x100000, 0x40000));
	assert_true(guest_copy_add_ram(0x140000, 0x40000)); /* fills the gap */
	expect_ranges(apart, 3);
	assert_true(guest_copy_add_ram(0x9f000, 0x61000));
	expect_ranges(joined, 2);
	assert_true(guest_copy_add_ram(0x1000, 0)); /* nothing */
	expect_ranges(joined, 2);
	assert_true(guest_copy_add_ram(LAYOUT_GUEST_MAX,
				       0x1000)); /* the window does not reach that far */
	expect_ranges(joined, 2);
}

static void too_many_ranges(void **state)
{
	(void)state;
	layout_init_at(guest, (hpa_t){ 0x3ff000 }, 0x1000);
	for (unsigned i = 0; i < GUEST_COPY_RANGES; i++)
		assert_true(guest_copy_add_ram((GUEST_COPY_RANGES - i) * 0x4000, 0x1000));
	assert_false(guest_copy_add_ram(0x300000, 0x1000));
	assert_true(guest_copy_add_ram(0x5000, 0x3000)); /* joins two */
	assert_true(guest_copy_add_ram(0x300000, 0x1000));
}

static void random_ranges_against_a_bitmap(void **state)
{
	(void)state;
	for (unsigned round = 0; round < test_rounds(200); round++) {
		uint8_t ram[GUEST_BYTES >> 12] = { 0 };

		guest_copy_reset();
		for (unsigned i = 0; i < 40; i++) {
			uint64_t first = random_below(sizeof(ram)), count = random_below(40);

			count = count < sizeof(ram) - first ? count : sizeof(ram) - first;
			assert_true(guest_copy_add_ram(first << 12, count << 12));
			memset(ram + first, 1, count);
		}
		memset(ram + 0x200, 0, 0x100); /* the reservation */
		for (unsigned i = 0; i < 2000; i++) {
			uint64_t gpa = random_below(GUEST_BYTES), bytes = 1 + random_below(0x3000);
			bool want = gpa + bytes <= GUEST_BYTES;

			for (uint64_t page = gpa >> 12; want && page <= (gpa + bytes - 1) >> 12;
			     page++)
				want = ram[page];
			assert_int_equal(guest_copy_is_ram((gpa_t){ gpa }, bytes), want);
		}
	}
}

static void copies_stay_in_ram(void **state)
{
	uint8_t buffer[32], zeros[32] = { 0 };

	(void)state;
	assert_true(guest_copy_add_ram(0x1000, 0x2000));
	for (unsigned i = 0; i < GUEST_BYTES; i++)
		guest[i] = (uint8_t)(i * 7);
	assert_true(guest_copy_in(buffer, (gpa_t){ 0x1ff0 }, 32));
	assert_memory_equal(buffer, guest + 0x1ff0, 32);
	assert_true(guest_copy_out((gpa_t){ 0x2fe0 }, zeros, 32));
	assert_memory_equal(guest + 0x2fe0, zeros, 32);
	assert_false(guest_copy_in(buffer, (gpa_t){ 0x2ff0 }, 17));
	assert_false(guest_copy_in(buffer, (gpa_t){ 0xfff }, 2));
	assert_false(guest_copy_in(buffer, (gpa_t){ 0 }, 1));
	assert_false(guest_copy_in(buffer, (gpa_t){ 0x3000 }, 0));
	assert_false(guest_copy_in(buffer, (gpa_t){ ~UINT64_C(0) }, 2));
	assert_false(guest_copy_in(buffer, (gpa_t){ 0x1000 }, ~UINT64_C(0)));
	memset(guest + 0x3000, 0x55, 16);
	assert_false(guest_copy_out((gpa_t){ 0x2ff8 }, zeros, 16));
	assert_int_equal(guest[0x3000], 0x55);
	assert_false(guest_copy_in(buffer, (gpa_t){ 0x200000 }, 8));
}

static void entries_are_read_and_exchanged(void **state)
{
	const struct gva_reader *r = &guest_copy_reader;
	uint64_t value = UINT64_C(0x1122334455667788);
	bool same;

	(void)state;
	assert_true(guest_copy_add_ram(0x1000, 0x1000));
	memcpy(guest + 0x1008, &value, 8);
	assert_true(r->read(r->context, (gpa_t){ 0x1008 }, 8, &value));
	assert_int_equal(value, UINT64_C(0x1122334455667788));
	assert_true(r->read(r->context, (gpa_t){ 0x1008 }, 4, &value));
	assert_int_equal(value, 0x55667788);
	assert_true(guest_copy_exchange((gpa_t){ 0x1008 }, 4, 0x55667788, 0xaabbccdd, &same));
	assert_true(same);
	assert_true(guest_copy_exchange((gpa_t){ 0x1008 }, 8, 0, 1, &same));
	assert_false(same);
	assert_true(
		guest_copy_exchange((gpa_t){ 0x1008 }, 8, UINT64_C(0x11223344aabbccdd), 5, &same));
	assert_true(same);
	assert_true(r->read(r->context, (gpa_t){ 0x1008 }, 8, &value));
	assert_int_equal(value, 5);
	assert_false(r->read(r->context, (gpa_t){ 0x2000 }, 8, &value));
	assert_false(r->read(r->context, (gpa_t){ 0x1ffc }, 8, &value));
	assert_false(guest_copy_exchange((gpa_t){ 0x2000 }, 8, 0, 1, &same));
	/* the reader's own leaves the entry as it is */
	assert_true(r->exchange(r->context, (gpa_t){ 0x1008 }, 8, 5, 6, &same));
	assert_true(same);
	assert_true(r->read(r->context, (gpa_t){ 0x1008 }, 8, &value));
	assert_int_equal(value, 5);
	assert_false(r->exchange(r->context, (gpa_t){ 0x2000 }, 8, 0, 1, &same));
}

static void a_walk_through_the_window(void **state)
{
	struct paging_role role = { .cr0 = CR0_PE | CR0_PG,
				    .cr3 = 0x1000,
				    .cr4 = CR4_PAE,
				    .efer = EFER_LMA,
				    .maxphyaddr = 40 };
	static const uint64_t entries[] = { 0x2003, 0x3003, 0x4003, 0x5003 };
	struct gva_result result;

	(void)state;
	assert_true(guest_copy_add_ram(0x1000, 0x4000));
	for (unsigned i = 0; i < 4; i++)
		memcpy(guest + 0x1000 * (i + 1), &entries[i], 8);
	assert_true(gva_walk(&role, &guest_copy_reader, (gva_t){ 0x345 }, ACCESS_WRITE, &result));
	assert_int_equal(result.gpa.v, 0x5345);
	assert_int_equal(guest[0x4000], 0x03); /* marks nothing */
	assert_int_equal(guest[0x1000], 0x03);
	role.cr3 = 0x200000; /* tables in the hypervisor's memory */
	assert_false(gva_walk(&role, &guest_copy_reader, (gva_t){ 0x345 }, 0, &result));
	assert_true(result.no_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ranges_are_sorted_merged_and_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_ranges, setup, teardown),
		cmocka_unit_test_setup_teardown(random_ranges_against_a_bitmap, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_stay_in_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_are_read_and_exchanged, setup, teardown),
		cmocka_unit_test_setup_teardown(a_walk_through_the_window, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
