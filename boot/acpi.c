/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/acpi.h"

#include <stddef.h>

#define ACPI_HEADER_BYTES     36u
#define ACPI_TABLE_BYTES_MAX  0x100000u
#define ACPI_RSDP_V1_BYTES    20u
#define ACPI_RSDP_V2_BYTES    36u
#define ACPI_RSDT_AT	      16u
#define ACPI_XSDT_AT	      24u

#define FADT_FLAGS_AT	      112u
#define FADT_RESET_SUPPORTED  (1u << 10)
#define FADT_RESET_SPACE_AT   116u
#define FADT_RESET_ADDRESS_AT 120u
#define FADT_RESET_VALUE_AT   128u
#define ACPI_SPACE_IO	      1u

#define MADT_ENTRIES_AT	      44u
#define MADT_LOCAL_APIC	      0u
#define MADT_IO_APIC	      1u
#define MADT_OVERRIDE	      2u
#define MADT_LOCAL_X2APIC     9u
#define MADT_ENABLED	      1u
#define ISA_IO_APIC	      0xfec00000u
#define IO_APIC_PINS	      24u

static uint32_t acpi_u32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static uint64_t acpi_u64(const uint8_t *at)
{
	return acpi_u32(at) | (uint64_t)acpi_u32(at + 4) << 32;
}

static bool acpi_sum_is_zero(const uint8_t *at, uint32_t bytes)
{
	uint8_t sum = 0;

	while (bytes-- > 0)
		sum = (uint8_t)(sum + *at++);
	return sum == 0;
}

static bool acpi_has_signature(const uint8_t *at, const char *signature, unsigned bytes)
{
	unsigned i;

	for (i = 0; i < bytes; i++)
		if (at[i] != (uint8_t)signature[i])
			return false;
	return true;
}

const uint8_t *acpi_table_at(uint64_t address, const char *signature, uint32_t *bytes)
{
	const uint8_t *table = (const uint8_t *)(uintptr_t)address;

	if (address == 0 || !acpi_has_signature(table, signature, 4))
		return NULL;
	*bytes = acpi_u32(table + 4);
	if (*bytes < ACPI_HEADER_BYTES || *bytes > ACPI_TABLE_BYTES_MAX)
		return NULL;
	return acpi_sum_is_zero(table, *bytes) ? table : NULL;
}

/* XSDT if there is one, else RSDT: they differ in the width of an entry. */
static const uint8_t *acpi_root(uint64_t rsdp, uint32_t *bytes, unsigned *entry_bytes)
{
	const uint8_t *root = (const uint8_t *)(uintptr_t)rsdp;
	const uint8_t *table = NULL;

	if (rsdp == 0 || !acpi_has_signature(root, "RSD PTR ", 8) ||
	    !acpi_sum_is_zero(root, ACPI_RSDP_V1_BYTES))
		return NULL;
	*entry_bytes = 8;
	if (root[15] >= 2 && acpi_sum_is_zero(root, ACPI_RSDP_V2_BYTES))
		table = acpi_table_at(acpi_u64(root + ACPI_XSDT_AT), "XSDT", bytes);
	if (table == NULL) {
		*entry_bytes = 4;
		table = acpi_table_at(acpi_u32(root + ACPI_RSDT_AT), "RSDT", bytes);
	}
	return table;
}

const uint8_t *acpi_find_table(uint64_t rsdp, const char *signature, const uint8_t *after,
			       uint32_t *bytes)
{
	uint32_t root_bytes = 0, at;
	unsigned entry_bytes = 0;
	const uint8_t *root = acpi_root(rsdp, &root_bytes, &entry_bytes);

	if (root == NULL)
		return NULL;
	for (at = ACPI_HEADER_BYTES; at + entry_bytes <= root_bytes; at += entry_bytes) {
		uint64_t address =
			entry_bytes == 8 ? acpi_u64(root + at) : (uint64_t)acpi_u32(root + at);
		const uint8_t *table = acpi_table_at(address, signature, bytes);

		if (table != NULL && after == NULL)
			return table;
		if (table != NULL && table == after)
			after = NULL;
	}
	return NULL;
}

struct acpi_reset acpi_find_reset(uint64_t rsdp)
{
	struct acpi_reset reset = { 0 };
	uint32_t bytes = 0;
	const uint8_t *fadt = acpi_find_table(rsdp, "FACP", NULL, &bytes);
	uint64_t address;

	if (fadt == NULL || bytes <= FADT_RESET_VALUE_AT ||
	    (acpi_u32(fadt + FADT_FLAGS_AT) & FADT_RESET_SUPPORTED) == 0)
		return reset;
	address = acpi_u64(fadt + FADT_RESET_ADDRESS_AT);
	if (fadt[FADT_RESET_SPACE_AT] != ACPI_SPACE_IO || address > UINT16_MAX)
		return reset;
	reset.port = (uint16_t)address;
	reset.value = fadt[FADT_RESET_VALUE_AT];
	return reset;
}

/* Whether a MADT entry is an enabled CPU that no other entry names as well. */
static bool acpi_is_cpu(const uint8_t *entry, bool any_local_apic)
{
	if (entry[0] == MADT_LOCAL_APIC && entry[1] >= 8)
		return entry[3] != 0xff && (acpi_u32(entry + 4) & MADT_ENABLED) != 0;
	/* Some firmware lists CPUs in both forms: then this one is for IDs that the other has no room for. */
	if (entry[0] == MADT_LOCAL_X2APIC && entry[1] >= 16)
		return (!any_local_apic || acpi_u32(entry + 4) >= 0xff) &&
		       (acpi_u32(entry + 8) & MADT_ENABLED) != 0;
	return false;
}

uint32_t acpi_count_cpus(uint64_t rsdp)
{
	uint32_t bytes = 0, at, count = 0;
	const uint8_t *madt = acpi_find_table(rsdp, "APIC", NULL, &bytes);
	bool any_local_apic = false;

	if (madt == NULL)
		return 0;
	for (at = MADT_ENTRIES_AT; at + 2 <= bytes && madt[at + 1] >= 2; at += madt[at + 1]) {
		const uint8_t *entry = madt + at;

		if (entry[1] > bytes - at)
			break;
		if (!acpi_is_cpu(entry, any_local_apic))
			continue;
		any_local_apic = any_local_apic || entry[0] == MADT_LOCAL_APIC;
		count++;
	}
	return count;
}

/* The next MADT entry of a type from *at on, NULL at the end; *at is behind it. */
static const uint8_t *acpi_next_entry(const uint8_t *madt, uint32_t bytes, uint32_t *at,
				      uint8_t type, uint8_t entry_bytes)
{
	while (*at + 2 <= bytes && madt[*at + 1] >= 2 && madt[*at + 1] <= bytes - *at) {
		const uint8_t *entry = madt + *at;

		*at += entry[1];
		if (entry[0] == type && entry[1] >= entry_bytes)
			return entry;
	}
	return NULL;
}

/* The global system interrupt of an ISA interrupt: the same number, unless the MADT says otherwise. */
static uint32_t acpi_isa_gsi(const uint8_t *madt, uint32_t bytes, uint8_t irq)
{
	uint32_t at = MADT_ENTRIES_AT;
	const uint8_t *entry;

	while ((entry = acpi_next_entry(madt, bytes, &at, MADT_OVERRIDE, 10)) != NULL)
		if (entry[2] == 0 && entry[3] == irq)
			return acpi_u32(entry + 4);
	return irq;
}

bool acpi_find_isa_pin(uint64_t rsdp, uint8_t irq, struct acpi_pin *pin)
{
	uint32_t bytes = 0, at = MADT_ENTRIES_AT, gsi;
	const uint8_t *madt = acpi_find_table(rsdp, "APIC", NULL, &bytes), *entry;

	if (madt == NULL) {
		*pin = (struct acpi_pin){ ISA_IO_APIC, irq };
		return true;
	}
	gsi = acpi_isa_gsi(madt, bytes, irq);
	while ((entry = acpi_next_entry(madt, bytes, &at, MADT_IO_APIC, 12)) != NULL) {
		uint32_t base = acpi_u32(entry + 8);

		if (gsi < base || gsi - base >= IO_APIC_PINS)
			continue;
		*pin = (struct acpi_pin){ acpi_u32(entry + 4), gsi - base };
		return true;
	}
	return false;
}
