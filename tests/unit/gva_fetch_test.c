/* SPDX-License-Identifier: BSD-2-Clause */
// sources: mm/gva_fetch.c mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/guest_copy.c mm/layout.c
/* The quick way to an instruction's bytes finds what the walker finds, in random tables, or says that it cannot. */
#include "mm/gva_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "arch/x86/cr.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"

#define MEMORY_BYTES (UINT64_C(1) << 22)
/* A 1 GiB page reaches further: that much is mapped, and never touched. */
#define MAPPED_BYTES (UINT64_C(1) << 31)
#define MAXPHYADDR   22u /* every address that an entry can hold is in the array */
#define CASES	     300000u

static uint8_t *memory;

void mm_panic(const char *what)
{
	fail_msg("%s", what);
	abort();
}

static uint64_t random64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

static void fill_memory(void)
{
	uint64_t *words = (uint64_t *)(void *)memory;

	for (uint64_t i = 0; i < MEMORY_BYTES / 8; i++) {
		words[i] = (random64() & (MEMORY_BYTES - 1) & ~UINT64_C(0xfff)) | 0x27;
		if (rand() % 16 == 0)
			words[i] |= 0x80;
		if (rand() % 16 == 0)
			words[i] &= ~UINT64_C(1);
	}
}

static int setup(void **state)
{
	(void)state;
	srand(7);
	memory = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -1;
	layout_init_at(memory, (hpa_t){ UINT64_C(1) << 40 }, LARGE_PAGE_BYTES);
	guest_copy_reset();
	guest_copy_window = memory;
	gva_fetch_init(MAXPHYADDR, false);
	fill_memory();
	return guest_copy_add_ram(0, MAPPED_BYTES) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return munmap(memory, MAPPED_BYTES);
}

static void compare(unsigned levels, uint64_t cr3, uint64_t gva, unsigned *found)
{
	struct paging_role role = { .cr0 = CR0_PG | CR0_PE,
				    .cr3 = cr3,
				    .cr4 = CR4_PAE | (levels == 5 ? CR4_LA57 : 0),
				    .efer = EFER_LMA | EFER_LME | EFER_NXE,
				    .maxphyaddr = MAXPHYADDR,
				    .huge_pages = true };
	uint64_t words[GVA_FETCH_WORDS];
	struct gva_result result;

	if (!gva_fetch(cr3, levels, (gva_t){ gva }, words))
		return;
	/* Reserved bits and an odd large page are the walker's to refuse; the CPU would not have fetched there. */
	if (!gva_walk(&role, &guest_copy_reader, (gva_t){ gva }, ACCESS_PEEK, &result))
		return;
	(*found)++;
	assert_memory_equal(words, memory + result.gpa.v, GVA_FETCH_BYTES);
}

static void finds_what_the_walker_finds(void **state)
{
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < CASES; i++)
		compare(i % 2 == 0 ? 4 : 5, random64() & (MEMORY_BYTES - 1) & ~UINT64_C(0xfff),
			random64() & BITS64(46, 0), &found);
	assert_true(found > CASES / 10);
}

static void leaves_the_end_of_a_page_to_others(void **state)
{
	uint64_t words[GVA_FETCH_WORDS];

	(void)state;
	assert_false(gva_fetch(0, 4, (gva_t){ 0xff1 }, words));
	assert_false(gva_fetch(0, 4, (gva_t){ 0xfff }, words));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_the_walker_finds),
		cmocka_unit_test(leaves_the_end_of_a_page_to_others),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
