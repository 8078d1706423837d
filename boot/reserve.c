/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/reserve.h"

#include "boot/boot_info.h"
#include "boot/firmware.h"
#include "boot/ranges.h"
#include "boot/report.h"

#define RESERVE_ALIGNMENT     0x200000ull
#define RESERVE_BELOW	      0x100000000ull
#define RESERVE_LOW_BELOW     0xa0000ull
#define RESERVE_SPARE_ENTRIES 16u /* the map grows by the allocation of its own buffer */
#define RESERVE_BRIDGE_RANGES 64u

/* Kinds for the search only; they never reach boot_info. */
#define RESERVE_KIND_FREE     1u

#define EFI_PERSISTENT_MEMORY 14u

#define ACPI_QWORD_SPACE      0x8au
#define ACPI_QWORD_BYTES      46u
#define ACPI_SPACE_MEMORY     0u
#define ACPI_LARGE_ITEM	      0x80u

struct memory_map {
	uint8_t *pool;
	UINTN bytes;
	UINTN descriptor_bytes;
};

static EFI_STATUS reserve_read_map(struct memory_map *map)
{
	EFI_STATUS status;
	UINTN key, room;
	UINT32 version;
	void *pool;

	map->bytes = 0;
	firmware_boot->GetMemoryMap(&map->bytes, NULL, &key, &map->descriptor_bytes, &version);
	do {
		room = map->bytes + RESERVE_SPARE_ENTRIES * map->descriptor_bytes;
		status = firmware_boot->AllocatePool(EfiBootServicesData, room, &pool);
		if (EFI_ERROR(status))
			return status;
		map->bytes = room;
		status = firmware_boot->GetMemoryMap(&map->bytes, pool, &key,
						     &map->descriptor_bytes, &version);
		if (EFI_ERROR(status))
			firmware_boot->FreePool(pool);
	} while (status == EFI_BUFFER_TOO_SMALL);
	map->pool = pool;
	return status;
}

static UINTN reserve_map_count(const struct memory_map *map)
{
	return map->bytes / map->descriptor_bytes;
}

static const EFI_MEMORY_DESCRIPTOR *reserve_descriptor(const struct memory_map *map, UINTN index)
{
	return (const EFI_MEMORY_DESCRIPTOR *)(const void *)(map->pool +
							     index * map->descriptor_bytes);
}

static bool reserve_begin_ranges(struct ranges *ranges, UINTN max)
{
	void *pool;

	if (EFI_ERROR(firmware_boot->AllocatePool(EfiBootServicesData,
						  max * sizeof(struct boot_range), &pool)))
		return false;
	*ranges = (struct ranges){ .list = pool, .max = max };
	return true;
}

/* The free block to take: as high as possible below 4 GiB, anywhere else if there is none. */
static bool reserve_choose(const struct memory_map *map, uint64_t bytes, uint64_t *base,
			   uint64_t *largest)
{
	struct ranges ranges;
	bool is_found;
	UINTN i;

	*largest = 0;
	if (!reserve_begin_ranges(&ranges, reserve_map_count(map)))
		return false;
	for (i = 0; i < reserve_map_count(map); i++) {
		const EFI_MEMORY_DESCRIPTOR *entry = reserve_descriptor(map, i);

		if (entry->Type == EfiConventionalMemory)
			ranges_add(&ranges, entry->PhysicalStart,
				   entry->NumberOfPages * FIRMWARE_PAGE_BYTES, RESERVE_KIND_FREE);
	}
	is_found = ranges_find_block(&ranges, RESERVE_KIND_FREE, bytes, RESERVE_ALIGNMENT,
				     RESERVE_BELOW, base, largest) ||
		   ranges_find_block(&ranges, RESERVE_KIND_FREE, bytes, RESERVE_ALIGNMENT,
				     UINT64_MAX, base, largest);
	firmware_boot->FreePool(ranges.list);
	return is_found;
}

/* Page 0 is what a stray pointer meets first. */
static bool reserve_low(struct boot_info *info)
{
	EFI_PHYSICAL_ADDRESS address = RESERVE_LOW_BELOW - 1;

	if (EFI_ERROR(firmware_boot->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType,
						   BOOT_SLEEP_LOW_BYTES / FIRMWARE_PAGE_BYTES,
						   &address)))
		return false;
	if (address == 0) {
		firmware_boot->FreePages(address, BOOT_SLEEP_LOW_BYTES / FIRMWARE_PAGE_BYTES);
		return false;
	}
	firmware_zero((void *)(uintptr_t)address, BOOT_SLEEP_LOW_BYTES);
	info->sleep.low_base = address;
	return true;
}

/* Not without them, but after S3 the machine would be on its own. */
static void reserve_for_sleep(struct boot_info *info)
{
	if (info->sleep.register_count == 0 || reserve_low(info))
		return;
	report_line("no memory below 1 MiB is free: suspend to RAM would end the virtualization");
	info->sleep.register_count = 0;
}

EFI_STATUS reserve_memory(struct boot_info *info, uint32_t cpu_count)
{
	uint64_t bytes = CORE_MEMORY_BASE + cpu_count * CORE_MEMORY_PER_CPU;
	uint64_t base = 0, largest = 0;
	EFI_PHYSICAL_ADDRESS address;
	struct memory_map map;
	EFI_STATUS status;
	bool is_found;

	bytes = (bytes + RESERVE_ALIGNMENT - 1) & ~(RESERVE_ALIGNMENT - 1);
	status = reserve_read_map(&map);
	if (EFI_ERROR(status))
		return report_failure(status, "cannot read the memory map: %s",
				      firmware_status_name(status));
	is_found = reserve_choose(&map, bytes, &base, &largest);
	firmware_boot->FreePool(map.pool);
	if (!is_found)
		return report_failure(EFI_OUT_OF_RESOURCES,
				      "too little memory: need %lu KiB in one piece, have %lu KiB",
				      bytes / 1024, largest / 1024);
	address = base;
	status = firmware_boot->AllocatePages(AllocateAddress, EfiReservedMemoryType,
					      bytes / FIRMWARE_PAGE_BYTES, &address);
	if (EFI_ERROR(status))
		return report_failure(status, "cannot reserve %lu KiB at 0x%lx: %s", bytes / 1024,
				      base, firmware_status_name(status));
	firmware_zero((void *)(uintptr_t)base, bytes);
	info->hv_base = base;
	info->hv_bytes = bytes;
	reserve_for_sleep(info);
	return EFI_SUCCESS;
}

void reserve_release(struct boot_info *info)
{
	if (info->hv_bytes == 0)
		return;
	/* Nothing of the core stays behind in memory that somebody else gets. */
	firmware_zero((void *)(uintptr_t)info->hv_base, info->hv_bytes);
	firmware_boot->FreePages(info->hv_base, info->hv_bytes / FIRMWARE_PAGE_BYTES);
	info->hv_bytes = 0;
	if (info->sleep.low_base != 0)
		firmware_boot->FreePages(info->sleep.low_base,
					 BOOT_SLEEP_LOW_BYTES / FIRMWARE_PAGE_BYTES);
	info->sleep.low_base = 0;
}

static uint32_t reserve_kind(UINT32 type)
{
	switch (type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
	case EfiConventionalMemory:
	case EfiACPIReclaimMemory:
	case EfiACPIMemoryNVS:
	case EFI_PERSISTENT_MEMORY:
		return BOOT_RANGE_RAM;
	case EfiMemoryMappedIO:
	case EfiMemoryMappedIOPortSpace:
		return BOOT_RANGE_MMIO;
	default:
		return BOOT_RANGE_RESERVED;
	}
}

static uint64_t reserve_u64(const uint8_t *at)
{
	uint64_t value;

	__builtin_memcpy(&value, at, sizeof(value));
	return value;
}

/* The memory windows in one bridge's ACPI resource list. */
static void reserve_add_windows(struct ranges *ranges, const uint8_t *resource)
{
	while (resource[0] == ACPI_QWORD_SPACE) {
		/* The list gives bus addresses: the host's are lower by the translation. */
		uint64_t base = reserve_u64(resource + 14) - reserve_u64(resource + 30);

		if (resource[3] == ACPI_SPACE_MEMORY)
			ranges_add(ranges, base, reserve_u64(resource + 38), BOOT_RANGE_MMIO);
		resource += ACPI_QWORD_BYTES;
	}
}

static void reserve_add_bridges(struct ranges *ranges)
{
	EFI_GUID guid = firmware_pci_root_bridge_guid;
	EFI_HANDLE *handles = NULL;
	UINTN count = 0, i;

	if (EFI_ERROR(firmware_boot->LocateHandleBuffer(ByProtocol, &guid, NULL, &count, &handles)))
		return;
	for (i = 0; i < count; i++) {
		struct firmware_pci_root_bridge *bridge = firmware_protocol(handles[i], &guid);
		void *resources = NULL;

		if (bridge != NULL && !EFI_ERROR(bridge->configuration(bridge, &resources)) &&
		    resources != NULL)
			reserve_add_windows(ranges, resources);
	}
	firmware_boot->FreePool(handles);
}

EFI_STATUS reserve_describe(struct boot_info *info)
{
	struct ranges raw, out = { .list = NULL };
	struct memory_map map;
	EFI_STATUS status = reserve_read_map(&map);
	UINTN i;

	if (EFI_ERROR(status))
		return report_failure(status, "cannot read the memory map: %s",
				      firmware_status_name(status));
	status = EFI_OUT_OF_RESOURCES;
	if (reserve_begin_ranges(&raw, reserve_map_count(&map) + RESERVE_BRIDGE_RANGES + 1)) {
		/* Each range has two ends, and no more pieces than ends can come out. */
		if (reserve_begin_ranges(&out, 2 * raw.max)) {
			for (i = 0; i < reserve_map_count(&map); i++) {
				const EFI_MEMORY_DESCRIPTOR *entry = reserve_descriptor(&map, i);

				ranges_add(&raw, entry->PhysicalStart,
					   entry->NumberOfPages * FIRMWARE_PAGE_BYTES,
					   reserve_kind(entry->Type));
			}
			ranges_add(&raw, info->hv_base, info->hv_bytes, BOOT_RANGE_RAM);
			reserve_add_bridges(&raw);
			ranges_normalize(&raw, &out, BOOT_MAX_RANGES);
			__builtin_memcpy(info->ranges, out.list, out.count * sizeof(*out.list));
			info->range_count = (uint32_t)out.count;
			firmware_boot->FreePool(out.list);
			status = EFI_SUCCESS;
		}
		firmware_boot->FreePool(raw.list);
	}
	firmware_boot->FreePool(map.pool);
	if (EFI_ERROR(status))
		report_line("too little memory for the memory map");
	return status;
}
