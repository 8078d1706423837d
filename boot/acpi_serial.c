/* SPDX-License-Identifier: BSD-2-Clause */
/* "Serial Port Console Redirection Table (SPCR)" and "Microsoft Debug Port Table 2 (DBG2)", and ACPI's generic addresses. */
#include "boot/acpi_serial.h"

#include <stddef.h>

#include "boot/acpi.h"

#define SPCR_TYPE	    36u
#define SPCR_ADDRESS	    40u
#define SPCR_BAUD	    58u
#define SPCR_BYTES_MIN	    59u

#define DBG2_DEVICES	    36u /* offset of the first device, and their number */
#define DBG2_BYTES_MIN	    44u
#define DEVICE_BYTES	    1u /* of it, with all that belongs to it */
#define DEVICE_ADDRESSES    3u
#define DEVICE_PORT_TYPE    12u
#define DEVICE_PORT_SUBTYPE 14u
#define DEVICE_ADDRESS	    18u /* offset of its first one, from the device's beginning */
#define DEVICE_BYTES_MIN    22u
#define PORT_TYPE_SERIAL    0x8000u

/* Both tables use these numbers. */
#define TYPE_16550	    0x00u
#define TYPE_16450	    0x01u /* what software knows of a 16550 that it shall not expect FIFOs of */
#define TYPE_16550_ADDRESS  0x12u /* one that lies as its address says */

#define GAS_BYTES	    12u
#define GAS_SPACE	    0u
#define GAS_BITS	    1u
#define GAS_ACCESS	    3u
#define GAS_ADDRESS	    4u
#define SPACE_MEMORY	    0u
#define SPACE_IO	    1u
#define ACCESS_DWORD	    3u
#define PORT_LAST	    0xfff8u

static uint32_t get(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint32_t)at[i] << 8 * i;
	return value;
}

static bool is_16550(uint32_t type)
{
	return type == TYPE_16550 || type == TYPE_16450 || type == TYPE_16550_ADDRESS;
}

/* A register is as wide as the address says, and that far from the next one. */
static bool read_address(const uint8_t *gas, struct acpi_serial *serial)
{
	uint8_t space = gas[GAS_SPACE], bits = gas[GAS_BITS];

	serial->address = get(gas + GAS_ADDRESS, 4) | (uint64_t)get(gas + GAS_ADDRESS + 4, 4) << 32;
	serial->in_memory = space == SPACE_MEMORY;
	serial->stride = bits == 32 ? 4 : bits == 16 ? 2 : 1;
	serial->width =
		bits == 32 && (gas[GAS_ACCESS] == ACCESS_DWORD || gas[GAS_ACCESS] == 0) ? 4 : 1;
	if (space == SPACE_IO)
		return serial->address != 0 && serial->address <= PORT_LAST;
	return space == SPACE_MEMORY && serial->address != 0 &&
	       serial->address % serial->stride == 0;
}

static uint32_t baud_of(uint8_t code)
{
	static const uint32_t rates[] = { [3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200 };

	return code < sizeof(rates) / sizeof(rates[0]) ? rates[code] : 0;
}

static bool find_in_spcr(uint64_t rsdp, struct acpi_serial *serial)
{
	uint32_t bytes = 0;
	const uint8_t *table = acpi_find_table(rsdp, "SPCR", NULL, &bytes);

	if (table == NULL || bytes < SPCR_BYTES_MIN || !is_16550(table[SPCR_TYPE]) ||
	    !read_address(table + SPCR_ADDRESS, serial))
		return false;
	serial->baud = baud_of(table[SPCR_BAUD]);
	return true;
}

static bool read_device(const uint8_t *device, uint32_t bytes, struct acpi_serial *serial)
{
	uint32_t at = get(device + DEVICE_ADDRESS, 2);

	serial->baud = 0;
	return get(device + DEVICE_PORT_TYPE, 2) == PORT_TYPE_SERIAL &&
	       is_16550(get(device + DEVICE_PORT_SUBTYPE, 2)) && device[DEVICE_ADDRESSES] != 0 &&
	       at + GAS_BYTES <= bytes && read_address(device + at, serial);
}

static bool find_in_dbg2(uint64_t rsdp, struct acpi_serial *serial)
{
	uint32_t bytes = 0, at, count, device_bytes;
	const uint8_t *table = acpi_find_table(rsdp, "DBG2", NULL, &bytes);

	if (table == NULL || bytes < DBG2_BYTES_MIN)
		return false;
	at = get(table + DBG2_DEVICES, 4);
	for (count = get(table + DBG2_DEVICES + 4, 4); count > 0; count--) {
		if (at > bytes || bytes - at < DEVICE_BYTES_MIN)
			return false;
		device_bytes = get(table + at + DEVICE_BYTES, 2);
		if (device_bytes < DEVICE_BYTES_MIN || device_bytes > bytes - at)
			return false;
		if (read_device(table + at, device_bytes, serial))
			return true;
		at += device_bytes;
	}
	return false;
}

bool acpi_find_serial(uint64_t rsdp, struct acpi_serial *serial)
{
	return find_in_spcr(rsdp, serial) || find_in_dbg2(rsdp, serial);
}
