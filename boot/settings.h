/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the configuration comes from on a machine: the file on our volume, then the load options. */
#ifndef BOOT_SETTINGS_H
#define BOOT_SETTINGS_H

#include <efi.h>

struct config;

/* Reports its failure. `config` then holds what was read before it, the serial port included. */
EFI_STATUS settings_read(struct config *config);

#endif
