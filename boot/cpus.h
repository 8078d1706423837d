/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting the CPUs, and taking all of them into the guest or none. */
#ifndef BOOT_CPUS_H
#define BOOT_CPUS_H

#include <efi.h>
#include <stdint.h>

struct boot_info;

/* Refuses, with a report, if a CPU exists that the firmware would not start for us. */
EFI_STATUS cpus_count(uint32_t *count);

/*
 * Prepare the core, then enable and enter every CPU. On failure, which is reported, no CPU is
 * virtualized. After success the caller is part of the guest.
 */
EFI_STATUS cpus_start(struct boot_info *info);

#endif
