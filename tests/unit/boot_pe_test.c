// sources: boot/pe.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* Where an EFI program begins, by its headers; and headers that are none. */
#include "boot/pe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_BYTES = 0x400, PE_AT = 0x80, ENTRY = 0x250 };

static uint8_t bytes[FILE_BYTES];

static void put(unsigned at, unsigned count, uint32_t value)
{
	for (unsigned i = 0; i < count; i++)
		bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static int make(void **state)
{
	(void)state;
	memset(bytes, 0, sizeof(bytes));
	put(0, 2, 'M' | 'Z' << 8);
	put(0x3c, 4, PE_AT);
	put(PE_AT, 4, 'P' | 'E' << 8);
	put(PE_AT + 4, 2, 0x8664);
	put(PE_AT + 24, 2, 0x20b);
	put(PE_AT + 24 + 16, 4, ENTRY);
	return 0;
}

/* In memory of just that size: what lies behind it is not looked at. */
static uint32_t entry_of(size_t size)
{
	uint8_t *copy = malloc(size != 0 ? size : 1);
	uint32_t entry;

	memcpy(copy, bytes, size);
	entry = pe_entry_offset(copy, size);
	free(copy);
	return entry;
}

static void a_program_begins_somewhere(void **state)
{
	(void)state;
	assert_int_equal(entry_of(FILE_BYTES), ENTRY);
	put(PE_AT + 24 + 16, 4, FILE_BYTES - 1);
	assert_int_equal(entry_of(FILE_BYTES), FILE_BYTES - 1);
}

static void what_is_no_program_has_no_beginning(void **state)
{
	static const unsigned looked_at[] = { 0,	 1,	    PE_AT,	PE_AT + 1,
					      PE_AT + 2, PE_AT + 3, PE_AT + 24, PE_AT + 25 };

	for (unsigned i = 0; i < sizeof(looked_at) / sizeof(looked_at[0]); i++) {
		make(state);
		bytes[looked_at[i]] ^= 0x10;
		assert_int_equal(entry_of(FILE_BYTES), 0);
	}
	make(state);
	put(PE_AT + 24, 2, 0x10b); /* 32 bits */
	assert_int_equal(entry_of(FILE_BYTES), 0);
}

static void nothing_behind_its_end_is_read(void **state)
{
	static const uint32_t far[] = { FILE_BYTES - 43, FILE_BYTES, 0x7fffffff, 0xffffffff,
					0xffffffd4 };

	(void)state;
	for (size_t size = 0; size <= ENTRY; size++)
		assert_int_equal(entry_of(size), 0);
	put(PE_AT + 24 + 16, 4, FILE_BYTES);
	assert_int_equal(entry_of(FILE_BYTES), 0);
	for (unsigned i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		make(state);
		put(0x3c, 4, far[i]);
		assert_int_equal(entry_of(FILE_BYTES), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_program_begins_somewhere, make),
		cmocka_unit_test_setup(what_is_no_program_has_no_beginning, make),
		cmocka_unit_test_setup(nothing_behind_its_end_is_read, make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
