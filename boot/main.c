/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The EFI program. Until every CPU has entered the guest each step can fail, says why in one line
 * and is undone; after that this program is the first part of the guest.
 */
#include "boot/boot_info.h"
#include "boot/config.h"
#include "boot/cpus.h"
#include "boot/firmware.h"
#include "boot/guest.h"
#include "boot/marker.h"
#include "boot/place.h"
#include "boot/report.h"
#include "boot/settings.h"
#include "boot/sleep.h"
#include "boot/version.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

static EFI_STATUS main_enter(struct boot_info *info)
{
	EFI_STATUS status = marker_install();

	if (EFI_ERROR(status))
		return report_failure(status, "cannot leave a mark for a second start: %s",
				      firmware_status_name(status));
	status = cpus_start(info);
	if (EFI_ERROR(status))
		marker_remove();
	return status;
}

/* The hypervisor's first lines, before ours and the guest's come in between. */
static void main_drain_log(const struct boot_info *info)
{
	uint64_t call = BOOT_HYPERCALL_DRAIN;

	if (info->uses_vmmcall)
		__asm__ volatile("vmmcall" : "+a"(call) : : "memory");
	else
		__asm__ volatile("vmcall" : "+a"(call) : : "memory");
}

/* From bare to virtualized, or back to bare. */
static EFI_STATUS main_virtualize(const struct config *config)
{
	struct boot_info *info;
	uint32_t cpu_count;
	EFI_STATUS status = cpus_count(&cpu_count);

	if (EFI_ERROR(status))
		return status;
	info = firmware_allocate(sizeof(*info));
	if (info == NULL)
		return report_failure(EFI_OUT_OF_RESOURCES, "too little memory to start");
	status = place_core(info, config, cpu_count);
	if (!EFI_ERROR(status)) {
		status = main_enter(info);
		if (EFI_ERROR(status))
			place_release(info);
		else
			place_release_tables(info);
	}
	if (!EFI_ERROR(status)) {
		sleep_claim(&info->sleep);
		main_drain_log(info);
		report_title("Solovisor %s: %u CPU%s, %lu KiB at 0x%lx", SOLOVISOR_VERSION,
			     cpu_count, cpu_count == 1 ? "" : "s", info->hv_bytes / 1024,
			     info->hv_base);
	}
	firmware_free(info, sizeof(*info));
	return status;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	static struct config config;
	struct guest guest;
	EFI_STATUS status = firmware_init(image, table);

	if (EFI_ERROR(status))
		return status;
	status = settings_read(&config);
	if (EFI_ERROR(status))
		return status;
	if (marker_running_version() != NULL)
		return report_failure(EFI_ALREADY_STARTED, "Solovisor %s is running already",
				      marker_running_version());
	status = guest_prepare(&guest, &config);
	if (EFI_ERROR(status))
		return status;
	if (config.log_level >= BOOT_LOG_INFO)
		guest_report(&guest);
	status = main_virtualize(&config);
	if (EFI_ERROR(status)) {
		guest_discard(&guest);
		return status;
	}
	return guest_start(&guest);
}
