/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/firmware.h"

EFI_HANDLE firmware_image_handle;
EFI_LOADED_IMAGE *firmware_image;
EFI_SYSTEM_TABLE *firmware_table;
EFI_BOOT_SERVICES *firmware_boot;

const EFI_GUID firmware_mp_services_guid = {
	0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 }
};
const EFI_GUID firmware_pci_root_bridge_guid = {
	0x2f707ebb, 0x4a1a, 0x11d4, { 0x9a, 0x38, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d }
};
const EFI_GUID firmware_load_file2_guid = {
	0x4006c0c1, 0xfcb3, 0x403e, { 0x99, 0x6d, 0x4a, 0x6c, 0x87, 0x24, 0xe0, 0x6d }
};
const EFI_GUID firmware_shell_parameters_guid = {
	0x752f3136, 0x4e16, 0x4fdc, { 0xa2, 0x2a, 0xe5, 0xf4, 0x68, 0x12, 0xf4, 0xca }
};
const EFI_GUID firmware_loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;
const EFI_GUID firmware_device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
const EFI_GUID firmware_file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;

EFI_STATUS firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	firmware_image_handle = image;
	firmware_table = table;
	firmware_boot = table->BootServices;
	firmware_image = firmware_protocol(image, &firmware_loaded_image_guid);
	return firmware_image != NULL ? EFI_SUCCESS : EFI_UNSUPPORTED;
}

static uint64_t firmware_pages(uint64_t bytes)
{
	return (bytes + FIRMWARE_PAGE_BYTES - 1) / FIRMWARE_PAGE_BYTES;
}

void firmware_zero(void *to, uint64_t bytes)
{
	uint64_t words = bytes / 8, rest = bytes % 8;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(0) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(rest) : "a"(0) : "memory");
}

void firmware_copy(void *to, const void *from, uint64_t bytes)
{
	uint64_t words = bytes / 8, rest = bytes % 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
}

void *firmware_allocate(uint64_t bytes)
{
	EFI_PHYSICAL_ADDRESS address = 0;
	EFI_STATUS status = firmware_boot->AllocatePages(AllocateAnyPages, EfiBootServicesData,
							 firmware_pages(bytes), &address);

	if (EFI_ERROR(status))
		return NULL;
	firmware_zero((void *)(uintptr_t)address, bytes);
	return (void *)(uintptr_t)address;
}

void firmware_free(void *pages, uint64_t bytes)
{
	if (pages != NULL)
		firmware_boot->FreePages((EFI_PHYSICAL_ADDRESS)(uintptr_t)pages,
					 firmware_pages(bytes));
}

/* The firmware's prototypes lack const. */
static EFI_GUID *firmware_guid(const EFI_GUID *guid)
{
	return (EFI_GUID *)(uintptr_t)guid;
}

void *firmware_protocol(EFI_HANDLE handle, const EFI_GUID *guid)
{
	void *interface = NULL;

	if (handle == NULL ||
	    EFI_ERROR(firmware_boot->HandleProtocol(handle, firmware_guid(guid), &interface)))
		return NULL;
	return interface;
}

void *firmware_locate(const EFI_GUID *guid)
{
	void *interface = NULL;

	if (EFI_ERROR(firmware_boot->LocateProtocol(firmware_guid(guid), NULL, &interface)))
		return NULL;
	return interface;
}

void *firmware_configuration_table(const EFI_GUID *guid)
{
	UINTN i;

	for (i = 0; i < firmware_table->NumberOfTableEntries; i++) {
		EFI_CONFIGURATION_TABLE *entry = &firmware_table->ConfigurationTable[i];

		if (__builtin_memcmp(&entry->VendorGuid, guid, sizeof(*guid)) == 0)
			return entry->VendorTable;
	}
	return NULL;
}

const char *firmware_status_name(EFI_STATUS status)
{
	static const struct {
		EFI_STATUS status;
		const char *name;
	} names[] = {
		{ EFI_SUCCESS, "Success" },
		{ EFI_LOAD_ERROR, "Load Error" },
		{ EFI_INVALID_PARAMETER, "Invalid Parameter" },
		{ EFI_UNSUPPORTED, "Unsupported" },
		{ EFI_BUFFER_TOO_SMALL, "Buffer Too Small" },
		{ EFI_NOT_READY, "Not Ready" },
		{ EFI_DEVICE_ERROR, "Device Error" },
		{ EFI_OUT_OF_RESOURCES, "Out of Resources" },
		{ EFI_VOLUME_CORRUPTED, "Volume Corrupt" },
		{ EFI_NO_MEDIA, "No Media" },
		{ EFI_NOT_FOUND, "Not Found" },
		{ EFI_ACCESS_DENIED, "Access Denied" },
		{ EFI_TIMEOUT, "Time out" },
		{ EFI_NOT_STARTED, "Not started" },
		{ EFI_ALREADY_STARTED, "Already started" },
		{ EFI_ABORTED, "Aborted" },
		{ EFI_SECURITY_VIOLATION, "Security Violation" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].status == status)
			return names[i].name;
	return "an error without a name";
}
