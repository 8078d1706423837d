// sources: boot/sleep.c boot/acpi.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables are built in the test's own memory, whose addresses serve as physical ones. */
#include "boot/sleep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AML(...) ((const uint8_t[]){ __VA_ARGS__ }), sizeof((const uint8_t[]){ __VA_ARGS__ })

/* In memory of exactly that length, so that the sanitizer sees a read beyond. */
static bool find(const uint8_t *aml, size_t bytes, uint8_t types[2])
{
	uint8_t *copy = malloc(bytes != 0 ? bytes : 1);
	bool found;

	assert_non_null(copy);
	memcpy(copy, aml, bytes);
	types[0] = types[1] = 0xee;
	found = sleep_find_types(copy, (uint32_t)bytes, '3', types);
	free(copy);
	return found;
}

static void forms_of_the_package(void **state)
{
	uint8_t t[2];

	(void)state;
	/* Name (_S3_, Package (4) {1, 1, 0, 0}) as QEMU has it. */
	assert_true(find(AML(0x08, '_', 'S', '3', '_', 0x12, 6, 4, 0x01, 0x01, 0x00, 0x00), t));
	assert_int_equal(t[0], 1);
	assert_int_equal(t[1], 1);
	/* Name (\_S3_, Package () {5, 5, 0, 0}) with byte constants, behind other things. */
	assert_true(find(AML(0x5b, 0x80, 0x08, 0x5c, '_', 'S', '3', '_', 0x12, 8, 4, 0x0a, 5, 0x0a,
			     6, 0, 0),
			 t));
	assert_int_equal(t[0], 5);
	assert_int_equal(t[1], 6);
	/* Longer forms of the package's length, words, double words. */
	assert_true(find(AML(0x08, '_', 'S', '3', '_', 0x12, 0x48, 0x00, 2, 0x0b, 4, 0, 0x0c, 7, 0,
			     0, 0),
			 t));
	assert_int_equal(t[0], 4);
	assert_int_equal(t[1], 7);
	assert_true(find(AML(0x08, '_', 'S', '3', '_', 0x12, 0xc8, 0, 0, 0, 2, 0x01, 0x0e, 3, 0, 0,
			     0, 0, 0, 0, 0),
			 t));
	assert_int_equal(t[1], 3);
	/* One element with both in it. */
	assert_true(find(AML(0x08, '_', 'S', '3', '_', 0x12, 5, 1, 0x0b, 5, 6), t));
	assert_int_equal(t[0], 5);
	assert_int_equal(t[1], 6);
}

static void another_state_has_its_own(void **state)
{
	static const uint8_t aml[] = { 0x08, '_', 'S', '3', '_',  0x12, 4, 2,	 1, 1,	  0x08,
				       '_',  'S', '5', '_', 0x12, 6,	2, 0x0a, 5, 0x0a, 6 };
	uint8_t t[2];

	(void)state;
	assert_true(sleep_find_types(aml, sizeof(aml), '5', t));
	assert_int_equal(t[0], 5);
	assert_int_equal(t[1], 6);
	assert_true(sleep_find_types(aml, sizeof(aml), '3', t));
	assert_int_equal(t[0], 1);
	assert_false(sleep_find_types(aml, sizeof(aml), '4', t));
}

static void what_is_none(void **state)
{
	uint8_t t[2];

	(void)state;
	assert_false(find(AML(0x08, '_', 'S', '5', '_', 0x12, 6, 4, 1, 1, 0, 0), t));
	assert_false(find(AML(0x10, '_', 'S', '3', '_', 0x12, 6, 4, 1, 1, 0, 0), t)); /* a scope */
	assert_false(find(AML('_', 'S', '3', '_', 0x12, 6, 4, 1, 1, 0, 0), t));
	assert_false(find(AML(0x08, '_', 'S', '3', '_', 0x0a, 6, 4, 1, 1, 0, 0), t));
	assert_false(find(AML(0x08, '_', 'S', '3', '_', 0x12, 6, 0, 1, 1, 0, 0), t));
	assert_false(find(AML(0x08, '_', 'S', '3', '_', 0x12, 6, 4, 0x0a, 8, 0, 0), t)); /* > 7 */
	assert_false(find(AML(0x08, '_', 'S', '3', '_', 0x12, 6, 4, 0xff, 0, 0, 0), t));
	assert_false(find(AML(0x08, '_', 'S', '3', '_', 0x12, 6, 4, 'F', 'O', 'O', '_'), t));
	assert_false(find(AML(0x5c, '_', 'S', '3', '_', 0x12, 6, 4, 1, 1), t));
	/* The second one is right. */
	assert_true(
		find(AML(0x08, '_', 'S', '3', '_', 0x08, '_', 'S', '3', '_', 0x12, 4, 2, 0, 1), t));
	assert_int_equal(t[0], 0);
	assert_int_equal(t[1], 1);
}

static void ends_in_the_middle(void **state)
{
	static const uint8_t whole[] = { 0x08, 0x5c, '_',  'S', '3',  '_',  0x12, 0x4a,
					 0x00, 4,    0x0b, 5,	0x00, 0x0a, 5,	  0 };
	uint8_t t[2];

	(void)state;
	for (size_t bytes = 0; bytes < 15; bytes++)
		assert_false(find(whole, bytes, t));
	assert_true(find(whole, 15, t));
}

/* --- tables ---------------------------------------------------------------------------------- */

static struct {
	uint8_t *rsdp, *xsdt, *fadt, *dsdt, *ssdt[2], *facs[2];
} m;

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static uint64_t address(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

static void seal(uint8_t *table, uint32_t bytes, uint32_t sum_at)
{
	uint8_t sum = 0;

	table[sum_at] = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + table[i]);
	table[sum_at] = (uint8_t)-sum;
}

static void table_seal(uint8_t *table)
{
	uint32_t bytes;

	memcpy(&bytes, table + 4, 4);
	seal(table, bytes, 9);
}

static uint8_t *table_make(const char *signature, const uint8_t *body, uint32_t bytes)
{
	uint8_t *table = calloc(1, 36 + bytes);

	assert_non_null(table);
	memcpy(table, signature, 4);
	put(table + 4, 36 + bytes, 4);
	if (body != NULL)
		memcpy(table + 36, body, bytes);
	table_seal(table);
	return table;
}

static uint8_t *facs_make(void)
{
	uint8_t *facs = aligned_alloc(64, 64);

	assert_non_null(facs);
	memset(facs, 0, 64);
	memcpy(facs, "FACS", 4);
	facs[4] = 64;
	return facs;
}

static void gas(uint32_t at, uint8_t space, uint64_t port)
{
	m.fadt[at] = space;
	put(m.fadt + at + 4, port, 8);
}

static int make(void **state)
{
	static const uint8_t nothing[] = { 0x08, '_', 'S', '5', '_', 0x12, 4, 2, 0, 0 };
	static const uint8_t s3[] = { 0x08, '_', 'S', '3', '_', 0x12, 5, 2, 1, 0x0a, 5 };

	(void)state;
	m.dsdt = table_make("DSDT", nothing, sizeof(nothing));
	m.ssdt[0] = table_make("SSDT", nothing, sizeof(nothing));
	m.ssdt[1] = table_make("SSDT", s3, sizeof(s3));
	m.facs[0] = facs_make();
	m.facs[1] = facs_make();
	m.fadt = table_make("FACP", NULL, 276 - 36);
	put(m.fadt + 132, address(m.facs[0]), 8);
	put(m.fadt + 140, address(m.dsdt), 8);
	put(m.fadt + 56, 0x600, 4);
	put(m.fadt + 64, 0x604, 4);
	gas(148, 1, 0x600);
	gas(172, 1, 0x604);
	table_seal(m.fadt);
	m.xsdt = table_make("XSDT", NULL, 24);
	put(m.xsdt + 36, address(m.ssdt[0]), 8);
	put(m.xsdt + 44, address(m.fadt), 8);
	put(m.xsdt + 52, address(m.ssdt[1]), 8);
	table_seal(m.xsdt);
	m.rsdp = calloc(1, 36);
	assert_non_null(m.rsdp);
	memcpy(m.rsdp, "RSD PTR ", 8);
	m.rsdp[15] = 2;
	put(m.rsdp + 20, 36, 4);
	put(m.rsdp + 24, address(m.xsdt), 8);
	seal(m.rsdp, 20, 8);
	seal(m.rsdp, 36, 32);
	return 0;
}

static int discard(void **state)
{
	(void)state;
	free(m.rsdp);
	free(m.xsdt);
	free(m.fadt);
	free(m.dsdt);
	free(m.ssdt[0]);
	free(m.ssdt[1]);
	free(m.facs[0]);
	free(m.facs[1]);
	return 0;
}

static void usual_machine(void **state)
{
	struct boot_sleep sleep;

	(void)state;
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 1);
	assert_int_equal(sleep.registers[0].control, 0x604);
	assert_int_equal(sleep.registers[0].status, 0x600);
	assert_int_equal(sleep.registers[0].bytes, 2);
	assert_int_equal(sleep.registers[0].type, 1);
	assert_int_equal(sleep.facs_count, 1);
	assert_int_equal(sleep.facs[0], address(m.facs[0]));
	sleep_find(0, &sleep);
	assert_int_equal(sleep.register_count, 0);
}

static void all_registers(void **state)
{
	struct boot_sleep sleep;

	(void)state;
	gas(148, 1, 0x1800); /* the two descriptions differ: both are trapped */
	gas(172, 1, 0x1804);
	put(m.fadt + 60, 0xb000, 4);
	put(m.fadt + 68, 0xb004, 4);
	gas(244, 1, 0x900);
	gas(256, 1, 0x901);
	put(m.fadt + 36, 0, 4);
	table_seal(m.fadt);
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 4);
	assert_int_equal(sleep.registers[0].control, 0x1804);
	assert_int_equal(sleep.registers[0].status, 0x1800);
	assert_int_equal(sleep.registers[1].control, 0x604);
	assert_int_equal(sleep.registers[2].control, 0xb004);
	assert_int_equal(sleep.registers[2].status, 0xb000);
	assert_int_equal(sleep.registers[2].type, 5); /* PM1b has its own */
	assert_int_equal(sleep.registers[3].control, 0x900);
	assert_int_equal(sleep.registers[3].status, 0x901);
	assert_int_equal(sleep.registers[3].bytes, 1);
	assert_int_equal(sleep.registers[3].type, 1);
}

static void registers_in_other_spaces(void **state)
{
	struct boot_sleep sleep;

	(void)state;
	put(m.fadt + 64, 0, 4);
	gas(172, 0, 0x604);
	table_seal(m.fadt);
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 0);
	gas(172, 1, 0x10604);
	table_seal(m.fadt);
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 0);
}

static void older_tables(void **state)
{
	struct boot_sleep sleep;

	(void)state;
	/* ACPI 1.0: no generic addresses, and nothing is read from beyond the end. */
	memset(m.fadt + 116, 0xff, 276 - 116);
	put(m.fadt + 4, 116, 4);
	put(m.fadt + 36, 0, 4);
	table_seal(m.fadt);
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 0);
	assert_int_equal(sleep.facs_count, 0);
}

static void nothing_to_wake_up_from(void **state)
{
	struct boot_sleep sleep;

	(void)state;
	m.facs[0][0] = 'X';
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 0);
	m.facs[0][0] = 'F';
	m.ssdt[1][38] = 'X'; /* a wrong sum, and so no \_S3 */
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(sleep.register_count, 0);
}

static void claimed(void **state)
{
	struct boot_sleep sleep;

	(void)state;
	m.facs[0][20] = 0x03;
	sleep_find(address(m.rsdp), &sleep);
	assert_int_equal(m.facs[0][20], 0x03);
	sleep_claim(&sleep);
	assert_int_equal(m.facs[0][20], 0x01);
	m.facs[0][20] = 0x03;
	sleep.register_count = 0; /* not ours to say */
	sleep_claim(&sleep);
	assert_int_equal(m.facs[0][20], 0x03);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make, discard)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_the_package),
		cmocka_unit_test(another_state_has_its_own),
		cmocka_unit_test(what_is_none),
		cmocka_unit_test(ends_in_the_middle),
		T(usual_machine),
		T(all_registers),
		T(registers_in_other_spaces),
		T(older_tables),
		T(nothing_to_wake_up_from),
		T(claimed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
