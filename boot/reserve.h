/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory that the hypervisor takes for good, and the map of what else there is. */
#ifndef BOOT_RESERVE_H
#define BOOT_RESERVE_H

#include <efi.h>
#include <stdint.h>

struct boot_info;

/* Reserve and zero what `cpu_count` CPUs need: fills hv_base and hv_bytes. Reports its failure. */
EFI_STATUS reserve_memory(struct boot_info *info, uint32_t cpu_count);
void reserve_release(struct boot_info *info);

/* Fill the ranges from the memory map and the PCI root bridges, after the reservation is made. */
EFI_STATUS reserve_describe(struct boot_info *info);

#endif
