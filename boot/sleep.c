/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/sleep.h"

#include <stddef.h>

#include "boot/acpi.h"

#define HEADER_BYTES	    36u
#define FACS_BYTES_MIN	    24u
#define FACS_FLAGS	    20u
#define FACS_64BIT_WAKE	    0x02u
#define FACS_ALIGNMENT	    64u

/* FADT. ACPI: "Fixed ACPI Description Table (FADT)". */
#define FADT_FACS	    36u
#define FADT_DSDT	    40u
#define FADT_PM1A_EVENT	    56u
#define FADT_PM1B_EVENT	    60u
#define FADT_PM1A_CONTROL   64u
#define FADT_PM1B_CONTROL   68u
#define FADT_X_FACS	    132u
#define FADT_X_DSDT	    140u
#define FADT_X_PM1A_EVENT   148u
#define FADT_X_PM1B_EVENT   160u
#define FADT_X_PM1A_CONTROL 172u
#define FADT_X_PM1B_CONTROL 184u
#define FADT_SLEEP_CONTROL  244u
#define FADT_SLEEP_STATUS   256u

/* Generic address structure. */
#define GAS_BYTES	    12u
#define GAS_ADDRESS	    4u
#define GAS_SPACE_IO	    1u

#define AML_ZERO	    0x00u
#define AML_ONE		    0x01u
#define AML_NAME	    0x08u
#define AML_BYTE	    0x0au
#define AML_WORD	    0x0bu
#define AML_DWORD	    0x0cu
#define AML_QWORD	    0x0eu
#define AML_PACKAGE	    0x12u
#define AML_ROOT	    0x5cu
#define AML_ONES	    0xffu
#define TYPE_MAX	    7u

#define STATE_S3	    '3'
#define STATE_S5	    '5'

/* --- AML ------------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *at, *end;
};

static bool take(struct cursor *cursor, unsigned bytes, uint64_t *value)
{
	*value = 0;
	if ((uint64_t)(cursor->end - cursor->at) < bytes)
		return false;
	for (unsigned i = 0; i < bytes; i++)
		*value |= (uint64_t)*cursor->at++ << 8 * i;
	return true;
}

static bool take_integer(struct cursor *cursor, uint64_t *value)
{
	uint64_t opcode;

	if (!take(cursor, 1, &opcode))
		return false;
	switch (opcode) {
	case AML_ZERO:
	case AML_ONE:
		*value = opcode;
		return true;
	case AML_ONES:
		*value = UINT64_MAX;
		return true;
	case AML_BYTE:
		return take(cursor, 1, value);
	case AML_WORD:
		return take(cursor, 2, value);
	case AML_DWORD:
		return take(cursor, 4, value);
	case AML_QWORD:
		return take(cursor, 8, value);
	default:
		return false;
	}
}

/* Package () {type for PM1a, type for PM1b, ...}; where there is one element only, the second byte is for PM1b. */
static bool take_types(struct cursor *cursor, uint8_t types[2])
{
	uint64_t opcode, lead, rest, count, a, b;

	if (!take(cursor, 1, &opcode) || opcode != AML_PACKAGE || !take(cursor, 1, &lead) ||
	    !take(cursor, (unsigned)lead >> 6, &rest) || !take(cursor, 1, &count) || count == 0 ||
	    !take_integer(cursor, &a))
		return false;
	b = a >> 8 & 0xff;
	if (count == 1)
		a &= 0xff;
	else if (!take_integer(cursor, &b))
		return false;
	if (a > TYPE_MAX || b > TYPE_MAX)
		return false;
	types[0] = (uint8_t)a;
	types[1] = (uint8_t)b;
	return true;
}

bool sleep_find_types(const uint8_t *aml, uint32_t bytes, char state, uint8_t types[2])
{
	const uint8_t name[4] = { '_', 'S', (uint8_t)state, '_' };

	for (uint32_t at = 1; at < bytes && bytes - at >= sizeof(name); at++) {
		struct cursor cursor = { aml + at + sizeof(name), aml + bytes };

		if (__builtin_memcmp(aml + at, name, sizeof(name)) != 0)
			continue;
		if (aml[at - 1] != AML_NAME &&
		    (at < 2 || aml[at - 1] != AML_ROOT || aml[at - 2] != AML_NAME))
			continue;
		if (take_types(&cursor, types))
			return true;
	}
	return false;
}

/* --- tables ---------------------------------------------------------------------------------- */

struct fadt {
	const uint8_t *at;
	uint32_t bytes;
};

/* 0 beyond the end of the table, which older versions of ACPI have earlier. */
static uint64_t read(const struct fadt *fadt, uint32_t offset, unsigned bytes)
{
	struct cursor cursor = { fadt->at, fadt->at + fadt->bytes };
	uint64_t value;

	if (offset > fadt->bytes)
		return 0;
	cursor.at += offset;
	(void)take(&cursor, bytes, &value);
	return value;
}

/* The port of a generic address, 0: none, or not in I/O space. */
static uint16_t io_port(const struct fadt *fadt, uint32_t offset)
{
	uint64_t address = read(fadt, offset + GAS_ADDRESS, 8);

	if (offset + GAS_BYTES > fadt->bytes || read(fadt, offset, 1) != GAS_SPACE_IO ||
	    address > UINT16_MAX)
		return 0;
	return (uint16_t)address;
}

static uint16_t legacy_port(const struct fadt *fadt, uint32_t offset)
{
	uint64_t port = read(fadt, offset, 4);

	return port > UINT16_MAX ? 0 : (uint16_t)port;
}

static bool find_types(uint64_t rsdp, const struct fadt *fadt, char state, uint8_t types[2])
{
	uint64_t dsdt = read(fadt, FADT_X_DSDT, 8);
	const uint8_t *table;
	uint32_t bytes = 0;

	table = acpi_table_at(dsdt != 0 ? dsdt : read(fadt, FADT_DSDT, 4), "DSDT", &bytes);
	if (table != NULL &&
	    sleep_find_types(table + HEADER_BYTES, bytes - HEADER_BYTES, state, types))
		return true;
	for (table = acpi_find_table(rsdp, "SSDT", NULL, &bytes); table != NULL;
	     table = acpi_find_table(rsdp, "SSDT", table, &bytes)) {
		if (sleep_find_types(table + HEADER_BYTES, bytes - HEADER_BYTES, state, types))
			return true;
	}
	return false;
}

static void add_register(struct boot_sleep *sleep, uint16_t control, uint16_t status, uint8_t bytes,
			 uint8_t type)
{
	if (control == 0)
		return;
	for (uint32_t i = 0; i < sleep->register_count; i++) {
		if (sleep->registers[i].control == control)
			return;
	}
	sleep->registers[sleep->register_count++] = (struct boot_sleep_register){
		.control = control, .status = status, .bytes = bytes, .type = type
	};
}

/* A block of PM1 registers. Both of its descriptions, should they differ: an OS may follow either. */
static void add_block(const struct fadt *fadt, uint32_t x_control, uint32_t control,
		      uint32_t x_event, uint32_t event, uint8_t type, struct boot_sleep *sleep)
{
	uint16_t status = io_port(fadt, x_event);

	if (status == 0)
		status = legacy_port(fadt, event);
	add_register(sleep, io_port(fadt, x_control), status, 2, type);
	add_register(sleep, legacy_port(fadt, control), status, 2, type);
}

static void add_registers(const struct fadt *fadt, const uint8_t types[2], struct boot_sleep *sleep)
{
	add_block(fadt, FADT_X_PM1A_CONTROL, FADT_PM1A_CONTROL, FADT_X_PM1A_EVENT, FADT_PM1A_EVENT,
		  types[0], sleep);
	add_block(fadt, FADT_X_PM1B_CONTROL, FADT_PM1B_CONTROL, FADT_X_PM1B_EVENT, FADT_PM1B_EVENT,
		  types[1], sleep);
	add_register(sleep, io_port(fadt, FADT_SLEEP_CONTROL), io_port(fadt, FADT_SLEEP_STATUS), 1,
		     types[0]);
}

static void add_facs(uint64_t address, struct boot_sleep *sleep)
{
	const uint8_t *facs = (const uint8_t *)(uintptr_t)address;

	if (address == 0 || address % FACS_ALIGNMENT != 0 ||
	    (sleep->facs_count != 0 && sleep->facs[0] == address) ||
	    __builtin_memcmp(facs, "FACS", 4) != 0 || facs[4] < FACS_BYTES_MIN)
		return;
	sleep->facs[sleep->facs_count++] = address;
}

void sleep_find(uint64_t rsdp, struct boot_sleep *sleep)
{
	struct fadt fadt = { NULL, 0 };
	uint8_t types[2];

	*sleep = (struct boot_sleep){ 0 };
	fadt.at = acpi_find_table(rsdp, "FACP", NULL, &fadt.bytes);
	if (fadt.at == NULL)
		return;
	add_facs(read(&fadt, FADT_X_FACS, 8), sleep);
	add_facs(read(&fadt, FADT_FACS, 4), sleep);
	if (sleep->facs_count != 0 && find_types(rsdp, &fadt, STATE_S3, types))
		add_registers(&fadt, types, sleep);
}

void sleep_find_off(uint64_t rsdp, struct boot_sleep *off)
{
	struct fadt fadt = { NULL, 0 };
	uint8_t types[2];

	*off = (struct boot_sleep){ 0 };
	fadt.at = acpi_find_table(rsdp, "FACP", NULL, &fadt.bytes);
	if (fadt.at != NULL && find_types(rsdp, &fadt, STATE_S5, types))
		add_registers(&fadt, types, off);
}

void sleep_claim(const struct boot_sleep *sleep)
{
	for (uint32_t i = 0; i < sleep->facs_count && sleep->register_count != 0; i++) {
		uint8_t *facs = (uint8_t *)(uintptr_t)sleep->facs[i];

		facs[FACS_FLAGS] = (uint8_t)(facs[FACS_FLAGS] & ~FACS_64BIT_WAKE);
	}
}
