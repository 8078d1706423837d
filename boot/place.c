/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/place.h"

#include "boot/acpi.h"
#include "boot/boot_info.h"
#include "boot/config.h"
#include "boot/firmware.h"
#include "boot/image.h"
#include "boot/report.h"
#include "boot/reserve.h"
#include "boot/sleep.h"
#include "boot/transition.h"

#define CR4_LA57	  (1ull << 12)
#define CR3_ADDRESS	  0x000ffffffffff000ull
#define PLACE_TABLE_BYTES (TRANSITION_PAGE_COUNT * sizeof(struct transition_page))

/* The stripped core, embedded by the build. */
extern const uint8_t core_image_start[], core_image_end[];

static uint64_t place_read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static uint64_t place_read_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

uint64_t place_find_rsdp(void)
{
	static const EFI_GUID acpi2 = ACPI_20_TABLE_GUID, acpi1 = ACPI_TABLE_GUID;
	const void *rsdp = firmware_configuration_table(&acpi2);

	if (rsdp == NULL)
		rsdp = firmware_configuration_table(&acpi1);
	return (uint64_t)(uintptr_t)rsdp;
}

static EFI_STATUS place_image(struct boot_info *info)
{
	struct image image;
	const char *mistake =
		image_check(core_image_start, (size_t)(core_image_end - core_image_start), &image);

	if (mistake != NULL)
		return report_failure(EFI_LOAD_ERROR, "the core image is damaged: %s", mistake);
	image_place(core_image_start, (void *)(uintptr_t)info->hv_base, firmware_copy);
	info->image_bytes = image.used_bytes;
	info->core_entry = image.entry;
	return EFI_SUCCESS;
}

static EFI_STATUS place_tables(struct boot_info *info)
{
	const uint64_t *top = (const uint64_t *)(uintptr_t)(place_read_cr3() & CR3_ADDRESS);
	unsigned levels = (place_read_cr4() & CR4_LA57) != 0 ? 5 : 4;
	struct transition_page *pages = firmware_allocate(PLACE_TABLE_BYTES);

	if (pages == NULL)
		return report_failure(EFI_OUT_OF_RESOURCES, "too little memory for page tables");
	info->transition_cr3 = transition_build(pages, top, levels, info->hv_base, info->hv_bytes);
	return EFI_SUCCESS;
}

/* The interrupts of the four ports that PCs have always had. */
static bool place_isa_irq(uint32_t port, uint8_t *irq)
{
	*irq = port == 0x3f8 || port == 0x3e8 ? 4 : 3;
	return port == 0x3f8 || port == 0x3e8 || port == 0x2f8 || port == 0x2e8;
}

static void place_fill_line(struct boot_line *line, uint32_t port, uint32_t baud)
{
	struct acpi_pin pin;
	uint8_t irq;

	line->address = port;
	line->baud = baud;
	line->pin = BOOT_NO_PIN;
	if (!place_isa_irq(port, &irq) || !acpi_find_isa_pin(place_find_rsdp(), irq, &pin))
		return;
	line->pin = pin.pin;
	line->io_apic = pin.io_apic;
}

static void place_fill(struct boot_info *info, const struct config *config, uint32_t cpu_count)
{
	struct acpi_reset reset;

	info->magic = BOOT_INFO_MAGIC;
	info->info_bytes = sizeof(*info);
	info->cpu_count = cpu_count;
	place_fill_line(&info->serial, config->serial_port, config->serial_baud);
	place_fill_line(&info->gdb, config->gdb_port, config->gdb_baud);
	if (config->serial_memory != 0) {
		info->serial.address = config->serial_memory;
		info->serial.stride = config->serial_stride;
		info->serial.width = config->serial_width;
	}
	info->serial_mode = config->serial_mode;
	info->debugcon = config->debugcon;
	info->gdb_waits = config->gdb_waits;
	info->log_level = config->log_level;
	info->cpuid_named = config->cpuid_is_named;
	reset = acpi_find_reset(place_find_rsdp());
	info->reset_register = reset.port;
	info->reset_value = reset.value;
	sleep_find(place_find_rsdp(), &info->sleep);
	sleep_find_off(place_find_rsdp(), &info->power_off);
}

EFI_STATUS place_core(struct boot_info *info, const struct config *config, uint32_t cpu_count)
{
	EFI_STATUS status;

	place_fill(info, config, cpu_count);
	status = reserve_memory(info, cpu_count);
	if (!EFI_ERROR(status))
		status = place_image(info);
	if (!EFI_ERROR(status))
		status = place_tables(info);
	if (!EFI_ERROR(status))
		status = reserve_describe(info);
	if (EFI_ERROR(status))
		place_release(info);
	return status;
}

void place_release_tables(struct boot_info *info)
{
	firmware_free((void *)(uintptr_t)info->transition_cr3, PLACE_TABLE_BYTES);
	info->transition_cr3 = 0;
}

void place_release(struct boot_info *info)
{
	place_release_tables(info);
	reserve_release(info);
}
