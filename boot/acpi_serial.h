/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial port that the firmware names for consoles (SPCR), else for debuggers (DBG2). */
#ifndef BOOT_ACPI_SERIAL_H
#define BOOT_ACPI_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

struct acpi_serial {
	uint64_t address; /* of a 16550's registers: an I/O port, or physical */
	bool in_memory;
	uint8_t stride; /* in memory: bytes from one register to the next, 1, 2 or 4 */
	uint8_t width;	/* in memory: bytes of an access, 1 or 4 */
	uint32_t baud;	/* 0: not said */
};

/* `rsdp` as in boot/acpi.h. False: neither table names a 16550 that can be reached. */
bool acpi_find_serial(uint64_t rsdp, struct acpi_serial *serial);

#endif
