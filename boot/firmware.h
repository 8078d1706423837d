/* SPDX-License-Identifier: BSD-2-Clause */
/* The firmware that started us: its tables, and what gnu-efi's headers do not declare. */
#ifndef BOOT_FIRMWARE_H
#define BOOT_FIRMWARE_H

#include <efi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIRMWARE_PAGE_BYTES 4096u

/* (b) Set once at the start, then constant. */
extern EFI_HANDLE firmware_image_handle;
extern EFI_LOADED_IMAGE *firmware_image;
extern EFI_SYSTEM_TABLE *firmware_table;
extern EFI_BOOT_SERVICES *firmware_boot;

EFI_STATUS firmware_init(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* Zeroed pages that the firmware takes back at ExitBootServices at the latest; NULL if there are none. */
void *firmware_allocate(uint64_t bytes);
void firmware_free(void *pages, uint64_t bytes);

/* For large pieces: one instruction, where gnu-efi's memset() and memcpy() take several a byte. */
void firmware_zero(void *to, uint64_t bytes);
void firmware_copy(void *to, const void *from, uint64_t bytes);

/* The protocol on that handle, or NULL. */
void *firmware_protocol(EFI_HANDLE handle, const EFI_GUID *guid);
/* The first protocol of its kind, or NULL. */
void *firmware_locate(const EFI_GUID *guid);
void *firmware_configuration_table(const EFI_GUID *guid);

/* The name of an EFI status, for messages. */
const char *firmware_status_name(EFI_STATUS status);

/* PI: MP services. */
#define FIRMWARE_MP_CPU_ENABLED 2u
#define FIRMWARE_MP_CPU_HEALTHY 4u

struct firmware_cpu_information {
	UINT64 processor_id;
	UINT32 status_flag;
	UINT32 package, core, thread;
	UINT32 extended[6];
};

typedef void(EFIAPI *firmware_ap_procedure_t)(void *argument);

struct firmware_mp_services {
	EFI_STATUS(EFIAPI *get_number_of_processors)
	(struct firmware_mp_services *mp, UINTN *count, UINTN *enabled_count);
	EFI_STATUS(EFIAPI *get_processor_info)
	(struct firmware_mp_services *mp, UINTN number,
	 struct firmware_cpu_information *information);
	EFI_STATUS(EFIAPI *startup_all_aps)
	(struct firmware_mp_services *mp, firmware_ap_procedure_t procedure, BOOLEAN single_thread,
	 EFI_EVENT wait_event, UINTN timeout_us, void *argument, UINTN **failed_cpus);
	EFI_STATUS(EFIAPI *startup_this_ap)
	(struct firmware_mp_services *mp, firmware_ap_procedure_t procedure, UINTN number,
	 EFI_EVENT wait_event, UINTN timeout_us, void *argument, BOOLEAN *finished);
	EFI_STATUS(EFIAPI *switch_bsp)
	(struct firmware_mp_services *mp, UINTN number, BOOLEAN enable_old);
	EFI_STATUS(EFIAPI *enable_disable_ap)
	(struct firmware_mp_services *mp, UINTN number, BOOLEAN enable, UINT32 *health);
	EFI_STATUS(EFIAPI *who_am_i)(struct firmware_mp_services *mp, UINTN *number);
};

extern const EFI_GUID firmware_mp_services_guid;

/* UEFI: PCI root bridge I/O, up to the one function that we call. */
struct firmware_pci_root_bridge {
	EFI_HANDLE parent;
	void *poll_memory, *poll_io;
	void *access[6]; /* read and write of memory, I/O and configuration space */
	void *copy_memory;
	void *map, *unmap, *allocate_buffer, *free_buffer, *flush;
	void *get_attributes, *set_attributes;
	EFI_STATUS(EFIAPI *configuration)
	(struct firmware_pci_root_bridge *bridge, void **resources);
};

extern const EFI_GUID firmware_pci_root_bridge_guid;

/* UEFI: LoadFile2 has LoadFile's form. */
struct firmware_load_file2 {
	EFI_STATUS(EFIAPI *load_file)
	(struct firmware_load_file2 *protocol, EFI_DEVICE_PATH *path, BOOLEAN boot_policy,
	 UINTN *bytes, void *buffer);
};

extern const EFI_GUID firmware_load_file2_guid;

/* UEFI Shell: only its presence on our handle matters. */
extern const EFI_GUID firmware_shell_parameters_guid;

extern const EFI_GUID firmware_loaded_image_guid;
extern const EFI_GUID firmware_device_path_guid;
extern const EFI_GUID firmware_file_system_guid;

#endif
