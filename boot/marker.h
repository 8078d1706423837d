/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Solovisor runs already": a UEFI configuration table of our own, since asking by VMCALL would be
 * an invalid instruction on a bare machine.
 */
#ifndef BOOT_MARKER_H
#define BOOT_MARKER_H

#include <efi.h>
#include <stdbool.h>

/* The version of the instance that runs already, or NULL. */
const char *marker_running_version(void);

/* Before the CPUs enter, as it can fail; removed again if they do not. */
EFI_STATUS marker_install(void);
void marker_remove(void);

#endif
