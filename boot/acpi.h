/* SPDX-License-Identifier: BSD-2-Clause */
/* The few things that the loader reads from ACPI tables, which lie 1:1 in memory. */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include <stdbool.h>
#include <stdint.h>

struct acpi_reset {
	uint16_t port; /* 0: none, or not in I/O space */
	uint8_t value;
};

/* All take the address of the RSDP, 0 if there is none. Tables with a wrong checksum are ignored. */
struct acpi_reset acpi_find_reset(uint64_t rsdp);

/*
 * The table with this signature, whole and with a right checksum: the first one if `after` is NULL, else the next one. NULL:
 * there is none (any more).
 */
const uint8_t *acpi_find_table(uint64_t rsdp, const char *signature, const uint8_t *after,
			       uint32_t *bytes);
/* The table at `address`, on the same conditions. */
const uint8_t *acpi_table_at(uint64_t address, const char *signature, uint32_t *bytes);
struct acpi_pin {
	uint64_t io_apic; /* physical address of the I/O APIC's registers */
	uint32_t pin;	  /* of it */
};

/*
 * Where the interrupts of a device on the ISA bus arrive. False: the MADT names no I/O APIC for them. Without a MADT it is
 * the place that machines had before there was one.
 */
bool acpi_find_isa_pin(uint64_t rsdp, uint8_t irq, struct acpi_pin *pin);

/* The CPUs that the MADT calls enabled, 0 if there is no MADT. */
uint32_t acpi_count_cpus(uint64_t rsdp);

#endif
