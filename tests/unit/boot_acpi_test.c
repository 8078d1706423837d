// sources: boot/acpi.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables are built in the test's own memory, whose addresses serve as physical ones. */
#include "boot/acpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Tables of exactly their length, so that the sanitizer sees a read beyond. */
struct machine {
	uint8_t *rsdp, *xsdt, *fadt, *madt;
};

static struct machine machine;

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void seal(uint8_t *table, uint32_t bytes, uint32_t sum_at)
{
	uint8_t sum = 0;

	table[sum_at] = 0;
	for (uint32_t i = 0; i < bytes; i++)
		sum = (uint8_t)(sum + table[i]);
	table[sum_at] = (uint8_t)-sum;
}

static uint8_t *table_make(const char *signature, uint32_t bytes)
{
	uint8_t *table = calloc(1, bytes);

	assert_non_null(table);
	memcpy(table, signature, 4);
	put32(table + 4, bytes);
	return table;
}

static void table_seal(uint8_t *table)
{
	uint32_t bytes;

	memcpy(&bytes, table + 4, 4);
	seal(table, bytes, 9);
}

static uint64_t machine_rsdp(void)
{
	return (uint64_t)(uintptr_t)machine.rsdp;
}

static int machine_make(void **state)
{
	(void)state;
	machine.fadt = table_make("FACP", 244);
	put32(machine.fadt + 112, 1u << 10);
	machine.fadt[116] = 1;
	put64(machine.fadt + 120, 0xcf9);
	machine.fadt[128] = 0x0e;
	table_seal(machine.fadt);

	machine.madt = table_make("APIC", 44 + 8 + 8 + 12 + 16 + 16);
	memcpy(machine.madt + 44, "\x00\x08\x00\x00\x01\x00\x00\x00", 8);
	memcpy(machine.madt + 52, "\x00\x08\x01\x01\x00\x00\x00\x00", 8); /* not enabled */
	memcpy(machine.madt + 60, "\x01\x0c", 2);
	memcpy(machine.madt + 72, "\x09\x10\0\0\0\x01\0\0\x01\0\0\0\0\0\0\0", 16);
	memcpy(machine.madt + 88, "\x09\x10\0\0\0\x02\0\0\x02\0\0\0\0\0\0\0", 16); /* capable */
	table_seal(machine.madt);

	machine.xsdt = table_make("XSDT", 36 + 24);
	put64(machine.xsdt + 36, 0);
	put64(machine.xsdt + 44, (uint64_t)(uintptr_t)machine.madt);
	put64(machine.xsdt + 52, (uint64_t)(uintptr_t)machine.fadt);
	table_seal(machine.xsdt);

	machine.rsdp = calloc(1, 36);
	assert_non_null(machine.rsdp);
	memcpy(machine.rsdp, "RSD PTR ", 8);
	machine.rsdp[15] = 2;
	put32(machine.rsdp + 20, 36);
	put64(machine.rsdp + 24, (uint64_t)(uintptr_t)machine.xsdt);
	seal(machine.rsdp, 20, 8);
	seal(machine.rsdp, 36, 32);
	return 0;
}

static int machine_free(void **state)
{
	(void)state;
	free(machine.rsdp);
	free(machine.xsdt);
	free(machine.fadt);
	free(machine.madt);
	return 0;
}

static void finds_what_is_there(void **state)
{
	struct acpi_reset reset = acpi_find_reset(machine_rsdp());

	(void)state;
	assert_int_equal(reset.port, 0xcf9);
	assert_int_equal(reset.value, 0x0e);
	assert_int_equal(acpi_count_cpus(machine_rsdp()), 2);
}

static void nothing_without_tables(void **state)
{
	(void)state;
	assert_int_equal(acpi_find_reset(0).port, 0);
	assert_int_equal(acpi_count_cpus(0), 0);
	machine.rsdp[0] = 'X';
	assert_int_equal(acpi_count_cpus(machine_rsdp()), 0);
}

static void damaged_tables_are_ignored(void **state)
{
	(void)state;
	machine.madt[100] ^= 1;
	assert_int_equal(acpi_count_cpus(machine_rsdp()), 0);
	assert_int_equal(acpi_find_reset(machine_rsdp()).port, 0xcf9);
	machine.xsdt[9] ^= 1;
	assert_int_equal(acpi_find_reset(machine_rsdp()).port, 0);
}

static void reset_register_of_other_kinds(void **state)
{
	(void)state;
	machine.fadt[116] = 0;
	table_seal(machine.fadt);
	assert_int_equal(acpi_find_reset(machine_rsdp()).port, 0);
	machine.fadt[116] = 1;
	put32(machine.fadt + 112, 0);
	table_seal(machine.fadt);
	assert_int_equal(acpi_find_reset(machine_rsdp()).port, 0);
	put32(machine.fadt + 112, 1u << 10);
	put64(machine.fadt + 120, 0x10cf9);
	table_seal(machine.fadt);
	assert_int_equal(acpi_find_reset(machine_rsdp()).port, 0);
	/* ACPI 1.0 has no such register. */
	put64(machine.fadt + 120, 0xcf9);
	put32(machine.fadt + 4, 116);
	table_seal(machine.fadt);
	assert_int_equal(acpi_find_reset(machine_rsdp()).port, 0);
}

static void madt_entries_with_bad_lengths(void **state)
{
	(void)state;
	machine.madt[53] = 0; /* the second entry has no length: stop there */
	table_seal(machine.madt);
	assert_int_equal(acpi_count_cpus(machine_rsdp()), 1);
	machine.madt[53] = 255; /* beyond the end */
	table_seal(machine.madt);
	assert_int_equal(acpi_count_cpus(machine_rsdp()), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_what_is_there, machine_make, machine_free),
		cmocka_unit_test_setup_teardown(nothing_without_tables, machine_make, machine_free),
		cmocka_unit_test_setup_teardown(damaged_tables_are_ignored, machine_make,
						machine_free),
		cmocka_unit_test_setup_teardown(reset_register_of_other_kinds, machine_make,
						machine_free),
		cmocka_unit_test_setup_teardown(madt_entries_with_bad_lengths, machine_make,
						machine_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
