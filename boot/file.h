/* SPDX-License-Identifier: BSD-2-Clause */
/* Files on the volume that the loader itself came from. */
#ifndef BOOT_FILE_H
#define BOOT_FILE_H

#include <efi.h>
#include <stdint.h>

/* EFI_NOT_FOUND also where the loader came from no volume at all. The caller closes the file. */
EFI_STATUS file_open(const char *path, EFI_FILE_HANDLE *file);
EFI_STATUS file_measure(EFI_FILE_HANDLE file, uint64_t *bytes);
/* Everything or an error. */
EFI_STATUS file_read(EFI_FILE_HANDLE file, void *buffer, uint64_t bytes);

/* The device path of `path` on that volume, in pool memory, or NULL. */
EFI_DEVICE_PATH *file_device_path(const char *path);

#endif
