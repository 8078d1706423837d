/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/guest_next.h"

#include "boot/firmware.h"

/*
 * A boot manager ends its walk of BootOrder at the first option that returns EFI_SUCCESS and takes
 * the next one after any error (UEFI, "Boot Manager"), so it gets an error that blames nobody. It
 * also knows best how to start that next option, with its short device paths and hot keys. Every
 * other starter is told the truth.
 *
 * The boot manager is a part of the firmware, so its image was loaded as boot services code; the
 * Shell, GRUB and a firmware's interactive menu are applications, whose code is loader code. In the
 * menu the user chooses what comes next.
 */
static bool guest_next_starter_is_application(void)
{
	EFI_LOADED_IMAGE *parent;

	if (firmware_protocol(firmware_image_handle, &firmware_shell_parameters_guid) != NULL)
		return true;
	parent = firmware_protocol(firmware_image->ParentHandle, &firmware_loaded_image_guid);
	return parent != NULL && parent->ImageCodeType == EfiLoaderCode;
}

EFI_STATUS guest_next_status(void)
{
	return guest_next_starter_is_application() ? EFI_SUCCESS : EFI_NOT_FOUND;
}
