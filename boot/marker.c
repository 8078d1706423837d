/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/marker.h"

#include "boot/firmware.h"
#include "boot/text.h"
#include "boot/version.h"

#include <stdint.h>

#define MARKER_MAGIC	     0x4b52414d56534c53ull /* "SLSVMARK" */
#define MARKER_VERSION_BYTES 24u

/* Outlives ExitBootServices; whoever looks finds the magic and a NUL-terminated version. */
struct marker {
	uint64_t magic;
	char version[MARKER_VERSION_BYTES];
};

static EFI_GUID marker_guid = {
	0x6d1c3f0a, 0x52b7, 0x4c1e, { 0x9a, 0x77, 0x53, 0x6f, 0x6c, 0x6f, 0x76, 0x69 }
};

const char *marker_running_version(void)
{
	const struct marker *marker = firmware_configuration_table(&marker_guid);

	return marker != NULL && marker->magic == MARKER_MAGIC ? marker->version : NULL;
}

EFI_STATUS marker_install(void)
{
	struct marker *marker;
	EFI_STATUS status;
	void *pool;

	status = firmware_boot->AllocatePool(EfiReservedMemoryType, sizeof(*marker), &pool);
	if (EFI_ERROR(status))
		return status;
	marker = pool;
	marker->magic = MARKER_MAGIC;
	text_format(marker->version, sizeof(marker->version), "%s", SOLOVISOR_VERSION);
	status = firmware_boot->InstallConfigurationTable(&marker_guid, marker);
	if (EFI_ERROR(status))
		firmware_boot->FreePool(marker);
	return status;
}

void marker_remove(void)
{
	void *marker = firmware_configuration_table(&marker_guid);

	if (marker == NULL)
		return;
	firmware_boot->InstallConfigurationTable(&marker_guid, NULL);
	firmware_boot->FreePool(marker);
}
