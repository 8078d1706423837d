// sources: boot/acpi_serial.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* SPCR and DBG2, in memory of exactly their length, so that the sanitizer sees a read beyond. */
#include "boot/acpi_serial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "boot/acpi.h"

static uint8_t *spcr, *dbg2;
static uint32_t spcr_bytes, dbg2_bytes;

const uint8_t *acpi_find_table(uint64_t rsdp, const char *signature, const uint8_t *after,
			       uint32_t *bytes)
{
	bool is_spcr = memcmp(signature, "SPCR", 4) == 0;

	(void)rsdp, (void)after;
	*bytes = is_spcr ? spcr_bytes : dbg2_bytes;
	return is_spcr ? spcr : dbg2;
}

static void forget(void)
{
	free(spcr);
	free(dbg2);
	spcr = dbg2 = NULL;
}

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static void put_gas(uint8_t *at, uint8_t space, uint8_t bits, uint8_t access, uint64_t address)
{
	at[0] = space;
	at[1] = bits;
	at[2] = 0;
	at[3] = access;
	put(at + 4, address, 8);
}

static void make_spcr(uint32_t bytes, uint8_t type, uint8_t baud)
{
	forget();
	spcr_bytes = bytes;
	spcr = calloc(1, bytes);
	assert_non_null(spcr);
	spcr[36] = type;
	put_gas(spcr + 40, 1, 8, 1, 0x2f8);
	if (bytes > 58)
		spcr[58] = baud;
}

/* `count` devices: all USB but the last. */
static void make_dbg2(unsigned count)
{
	forget();
	dbg2_bytes = 44 + count * 48;
	dbg2 = calloc(1, dbg2_bytes);
	assert_non_null(dbg2);
	put(dbg2 + 36, 44, 4);
	put(dbg2 + 40, count, 4);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *device = dbg2 + 44 + i * 48;

		put(device + 1, 48, 2);
		device[3] = 1;
		put(device + 12, i + 1 == count ? 0x8000 : 0x8002, 2);
		put(device + 18, 36, 2);
		put_gas(device + 36, 0, 32, 3, 0xfe032000 + i);
	}
	put_gas(dbg2 + 44 + (count - 1) * 48 + 36, 0, 32, 3, 0x1fe032000);
}

static void console_table(void **state)
{
	static const struct {
		uint8_t code;
		uint32_t baud;
	} rates[] = { { 0, 0 },	     { 3, 9600 }, { 4, 19200 }, { 6, 57600 },
		      { 7, 115200 }, { 8, 0 },	  { 2, 0 } };
	struct acpi_serial serial;

	(void)state;
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		make_spcr(80, 0, rates[i].code);
		assert_true(acpi_find_serial(0, &serial));
		assert_int_equal(serial.address, 0x2f8);
		assert_false(serial.in_memory);
		assert_int_equal(serial.baud, rates[i].baud);
	}
	make_spcr(80, 0x12, 7);
	put_gas(spcr + 40, 0, 32, 3, 0xfedc9000);
	assert_true(acpi_find_serial(0, &serial));
	assert_true(serial.in_memory);
	assert_int_equal(serial.stride, 4);
	assert_int_equal(serial.width, 4);
	put_gas(spcr + 40, 0, 32, 1, 0xfedc9000);
	assert_true(acpi_find_serial(0, &serial));
	assert_int_equal(serial.stride, 4);
	assert_int_equal(serial.width, 1);
	put_gas(spcr + 40, 0, 8, 1, 0xfedc9000);
	assert_true(acpi_find_serial(0, &serial));
	assert_int_equal(serial.stride, 1);
	forget();
	assert_false(acpi_find_serial(0, &serial));
}

static void bad_console_tables(void **state)
{
	struct acpi_serial serial;

	(void)state;
	make_spcr(80, 3, 7); /* ARM PL011 */
	assert_false(acpi_find_serial(0, &serial));
	make_spcr(58, 0, 7);
	assert_false(acpi_find_serial(0, &serial));
	make_spcr(80, 0, 7);
	put_gas(spcr + 40, 1, 8, 1, 0xfff9);
	assert_false(acpi_find_serial(0, &serial));
	put_gas(spcr + 40, 1, 8, 1, 0);
	assert_false(acpi_find_serial(0, &serial));
	put_gas(spcr + 40, 2, 8, 1, 0x3f8); /* PCI configuration space */
	assert_false(acpi_find_serial(0, &serial));
	put_gas(spcr + 40, 0, 32, 3, 0xfedc9001);
	assert_false(acpi_find_serial(0, &serial));
	forget();
}

static void debug_table(void **state)
{
	struct acpi_serial serial;

	(void)state;
	for (unsigned count = 1; count < 4; count++) {
		make_dbg2(count);
		assert_true(acpi_find_serial(0, &serial));
		assert_int_equal(serial.address, 0x1fe032000);
		assert_true(serial.in_memory);
		assert_int_equal(serial.baud, 0);
	}
	/* Lengths that do not fit. */
	make_dbg2(2);
	put(dbg2 + 40, 1000, 4);
	put(dbg2 + 44 + 48 + 12, 0x8003, 2);
	assert_false(acpi_find_serial(0, &serial));
	for (unsigned bytes = 0; bytes < 0x10000; bytes += 7) {
		make_dbg2(2);
		put(dbg2 + 44 + 1, bytes, 2);
		acpi_find_serial(0, &serial);
		make_dbg2(1);
		put(dbg2 + 44 + 18, bytes, 2);
		acpi_find_serial(0, &serial);
		put(dbg2 + 36, bytes, 4);
		acpi_find_serial(0, &serial);
	}
	make_dbg2(1);
	dbg2[44 + 3] = 0;
	assert_false(acpi_find_serial(0, &serial));
	forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(console_table),
		cmocka_unit_test(bad_console_tables),
		cmocka_unit_test(debug_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
