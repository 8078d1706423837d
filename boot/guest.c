/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/guest.h"

#include "boot/config.h"
#include "boot/file.h"
#include "boot/firmware.h"
#include "boot/guest_linux.h"
#include "boot/guest_next.h"
#include "boot/pe.h"
#include "boot/report.h"
#include "boot/text.h"

static EFI_STATUS guest_load(struct guest *guest)
{
	EFI_DEVICE_PATH *path = file_device_path(guest->path);
	EFI_STATUS status = EFI_NOT_FOUND;

	if (path != NULL) {
		status = firmware_boot->LoadImage(FALSE, firmware_image_handle, path, NULL, 0,
						  &guest->image);
		firmware_boot->FreePool(path);
	}
	/* A security violation leaves a loaded image behind, which must not be started. */
	if (EFI_ERROR(status) && status != EFI_SECURITY_VIOLATION)
		guest->image = NULL;
	if (EFI_ERROR(status))
		return report_failure(status, "cannot load %s: %s", guest->path,
				      firmware_status_name(status));
	return EFI_SUCCESS;
}

static EFI_STATUS guest_set_options(struct guest *guest, const char *cmdline)
{
	EFI_LOADED_IMAGE *image = firmware_protocol(guest->image, &firmware_loaded_image_guid);
	UINTN units = text_bytes(cmdline) + 1;
	void *pool;

	if (image == NULL)
		return report_failure(EFI_UNSUPPORTED, "%s takes no options", guest->path);
	if (units == 1)
		return EFI_SUCCESS;
	if (EFI_ERROR(firmware_boot->AllocatePool(EfiBootServicesData, units * sizeof(CHAR16),
						  &pool)))
		return report_failure(EFI_OUT_OF_RESOURCES, "too little memory for the cmdline");
	guest->options = pool;
	text_to_utf16(pool, units, cmdline);
	for (units = 0; guest->options[units] != 0; units++)
		;
	image->LoadOptions = guest->options;
	image->LoadOptionsSize = (UINT32)((units + 1) * sizeof(CHAR16));
	return EFI_SUCCESS;
}

EFI_STATUS guest_prepare(struct guest *guest, const struct config *config)
{
	bool is_linux = config->guest == CONFIG_GUEST_LINUX;
	EFI_STATUS status;

	*guest = (struct guest){ .path = NULL };
	if (config->guest == CONFIG_GUEST_NEXT)
		return EFI_SUCCESS;
	guest->path = is_linux ? config->kernel : config->guest_path;
	status = guest_load(guest);
	if (!EFI_ERROR(status))
		status = guest_set_options(guest, config->cmdline);
	if (!EFI_ERROR(status) && is_linux)
		status = guest_linux_offer_initrd(config, &guest->has_initrd);
	if (EFI_ERROR(status))
		guest_discard(guest);
	return status;
}

void guest_report(const struct guest *guest)
{
	const EFI_LOADED_IMAGE *image;
	uint64_t base, entry;

	if (guest->path == NULL)
		return;
	image = firmware_protocol(guest->image, &firmware_loaded_image_guid);
	if (image == NULL)
		return;
	base = (uint64_t)(UINTN)image->ImageBase;
	entry = pe_entry_offset(image->ImageBase, image->ImageSize);
	if (entry != 0)
		report_line("%s at 0x%lx, %lu KiB, entry point 0x%lx", guest->path, base,
			    image->ImageSize / 1024, base + entry);
	else
		report_line("%s at 0x%lx, %lu KiB", guest->path, base, image->ImageSize / 1024);
}

static void guest_release(struct guest *guest)
{
	if (guest->has_initrd)
		guest_linux_withdraw_initrd();
	if (guest->options != NULL)
		firmware_boot->FreePool(guest->options);
	guest->has_initrd = false;
	guest->options = NULL;
}

void guest_discard(struct guest *guest)
{
	if (guest->image != NULL)
		firmware_boot->UnloadImage(guest->image);
	guest->image = NULL;
	guest_release(guest);
}

EFI_STATUS guest_start(struct guest *guest)
{
	CHAR16 *exit_data = NULL;
	UINTN exit_bytes = 0;
	EFI_STATUS status;

	if (guest->path == NULL)
		return guest_next_status();
	status = firmware_boot->StartImage(guest->image, &exit_bytes, &exit_data);
	if (exit_data != NULL)
		firmware_boot->FreePool(exit_data);
	guest_release(guest);
	if (EFI_ERROR(status))
		report_line("%s ended: %s (the machine stays virtualized)", guest->path,
			    firmware_status_name(status));
	return status;
}
