/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/guest_linux.h"

#include "boot/config.h"
#include "boot/file.h"
#include "boot/firmware.h"
#include "boot/report.h"

/* LINUX_EFI_INITRD_MEDIA_GUID, as the device path that the stub looks for. */
struct initrd_path {
	uint8_t type, subtype, bytes[2];
	EFI_GUID guid;
	uint8_t end_type, end_subtype, end_bytes[2];
} __attribute__((packed));

static struct initrd_path initrd_path = {
	.type = 4,    /* media */
	.subtype = 3, /* vendor */
	.bytes = { 20, 0 },
	.guid = { 0x5568e427, 0x68fc, 0x4f3d, { 0xac, 0x74, 0xca, 0x55, 0x52, 0x31, 0xcc, 0x68 } },
	.end_type = 0x7f,
	.end_subtype = 0xff,
	.end_bytes = { 4, 0 },
};

/* There is one initrd, and the firmware calls back without a context. */
static EFI_HANDLE initrd_handle;
static EFI_FILE_HANDLE initrd_file;
static uint64_t initrd_bytes;

static EFI_STATUS EFIAPI initrd_load(struct firmware_load_file2 *protocol, EFI_DEVICE_PATH *path,
				     BOOLEAN boot_policy, UINTN *bytes, void *buffer)
{
	EFI_STATUS status;

	(void)protocol;
	if (boot_policy)
		return EFI_UNSUPPORTED;
	if (bytes == NULL || path == NULL || !IsDevicePathEnd(path))
		return EFI_INVALID_PARAMETER;
	if (buffer == NULL || *bytes < initrd_bytes) {
		*bytes = initrd_bytes;
		return EFI_BUFFER_TOO_SMALL;
	}
	*bytes = initrd_bytes;
	status = initrd_file->SetPosition(initrd_file, 0);
	return EFI_ERROR(status) ? status : file_read(initrd_file, buffer, initrd_bytes);
}

static struct firmware_load_file2 initrd_protocol = { .load_file = initrd_load };

/* Both at once: whoever is told of new device paths finds the other protocol there already. */
static EFI_STATUS initrd_install(void)
{
	EFI_GUID path_guid = firmware_device_path_guid, load_guid = firmware_load_file2_guid;

	initrd_handle = NULL;
	return firmware_boot->InstallMultipleProtocolInterfaces(
		&initrd_handle, &path_guid, &initrd_path, &load_guid, &initrd_protocol, NULL);
}

EFI_STATUS guest_linux_offer_initrd(const struct config *config, bool *is_offered)
{
	EFI_STATUS status;

	if (config->initrd[0] == '\0')
		return EFI_SUCCESS;
	status = file_open(config->initrd, &initrd_file);
	if (status == EFI_NOT_FOUND && !config->initrd_is_explicit)
		return EFI_SUCCESS;
	if (!EFI_ERROR(status)) {
		status = file_measure(initrd_file, &initrd_bytes);
		if (!EFI_ERROR(status))
			status = initrd_install();
		if (EFI_ERROR(status))
			initrd_file->Close(initrd_file);
	}
	if (EFI_ERROR(status))
		return report_failure(status, "cannot offer the initrd %s: %s", config->initrd,
				      firmware_status_name(status));
	*is_offered = true;
	return EFI_SUCCESS;
}

void guest_linux_withdraw_initrd(void)
{
	EFI_GUID path_guid = firmware_device_path_guid, load_guid = firmware_load_file2_guid;

	firmware_boot->UninstallMultipleProtocolInterfaces(initrd_handle, &path_guid, &initrd_path,
							   &load_guid, &initrd_protocol, NULL);
	initrd_file->Close(initrd_file);
}
