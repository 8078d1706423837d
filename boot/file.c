/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/file.h"

#include "boot/config.h"
#include "boot/firmware.h"
#include "boot/text.h"

#define FILE_READ_CHUNK	    0x100000u
#define DEVICE_PATH_MEDIA   0x04u
#define DEVICE_PATH_FILE    0x04u
#define DEVICE_PATH_END	    0x7fu
#define DEVICE_PATH_ENTIRE  0xffu
#define DEVICE_PATH_NODE    ((UINTN)4)
#define DEVICE_PATH_LONGEST 4096u

EFI_STATUS file_open(const char *path, EFI_FILE_HANDLE *file)
{
	EFI_FILE_IO_INTERFACE *volume =
		firmware_protocol(firmware_image->DeviceHandle, &firmware_file_system_guid);
	uint16_t wide[CONFIG_PATH_BYTES];
	EFI_FILE_HANDLE root;
	EFI_STATUS status;

	if (volume == NULL)
		return EFI_NOT_FOUND;
	if (!text_to_utf16(wide, CONFIG_PATH_BYTES, path))
		return EFI_INVALID_PARAMETER;
	status = volume->OpenVolume(volume, &root);
	if (EFI_ERROR(status))
		return status;
	status = root->Open(root, file, (CHAR16 *)wide, EFI_FILE_MODE_READ, 0);
	root->Close(root);
	return status;
}

EFI_STATUS file_measure(EFI_FILE_HANDLE file, uint64_t *bytes)
{
	EFI_STATUS status = file->SetPosition(file, UINT64_MAX); /* to the end */

	if (!EFI_ERROR(status))
		status = file->GetPosition(file, bytes);
	if (!EFI_ERROR(status))
		status = file->SetPosition(file, 0);
	return status;
}

EFI_STATUS file_read(EFI_FILE_HANDLE file, void *buffer, uint64_t bytes)
{
	uint8_t *to = buffer;

	/* Some firmware fails on large single reads. */
	while (bytes > 0) {
		UINTN chunk = bytes < FILE_READ_CHUNK ? bytes : FILE_READ_CHUNK;
		EFI_STATUS status = file->Read(file, &chunk, to);

		if (EFI_ERROR(status))
			return status;
		if (chunk == 0)
			return EFI_END_OF_FILE;
		to += chunk;
		bytes -= chunk;
	}
	return EFI_SUCCESS;
}

static void file_put_node(uint8_t *at, uint8_t type, uint8_t subtype, UINTN bytes)
{
	at[0] = type;
	at[1] = subtype;
	at[2] = (uint8_t)bytes;
	at[3] = (uint8_t)(bytes >> 8);
}

/* Bytes of a device path without its end node, 0 if it makes no sense. */
static UINTN file_path_bytes(const uint8_t *path)
{
	UINTN at = 0;

	while (path[at] != DEVICE_PATH_END) {
		UINTN node_bytes = path[at + 2] | (UINTN)path[at + 3] << 8;

		if (node_bytes < DEVICE_PATH_NODE || at > DEVICE_PATH_LONGEST)
			return 0;
		at += node_bytes;
	}
	return at;
}

EFI_DEVICE_PATH *file_device_path(const char *path)
{
	const uint8_t *volume =
		firmware_protocol(firmware_image->DeviceHandle, &firmware_device_path_guid);
	uint16_t wide[CONFIG_PATH_BYTES];
	UINTN volume_bytes, name_bytes = 0;
	void *pool = NULL;
	uint8_t *node;

	if (volume == NULL || !text_to_utf16(wide, CONFIG_PATH_BYTES, path))
		return NULL;
	while (wide[name_bytes / 2] != 0)
		name_bytes += 2;
	name_bytes += 2;
	volume_bytes = file_path_bytes(volume);
	if (EFI_ERROR(firmware_boot->AllocatePool(
		    EfiBootServicesData, volume_bytes + name_bytes + 2 * DEVICE_PATH_NODE, &pool)))
		return NULL;
	__builtin_memcpy(pool, volume, volume_bytes);
	node = (uint8_t *)pool + volume_bytes;
	file_put_node(node, DEVICE_PATH_MEDIA, DEVICE_PATH_FILE, DEVICE_PATH_NODE + name_bytes);
	__builtin_memcpy(node + DEVICE_PATH_NODE, wide, name_bytes);
	node += DEVICE_PATH_NODE + name_bytes;
	file_put_node(node, DEVICE_PATH_END, DEVICE_PATH_ENTIRE, DEVICE_PATH_NODE);
	return pool;
}
