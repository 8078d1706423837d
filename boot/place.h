/* SPDX-License-Identifier: BSD-2-Clause */
/* The core in its place, the tables to reach it, and everything that it wants to know. */
#ifndef BOOT_PLACE_H
#define BOOT_PLACE_H

#include <efi.h>
#include <stdint.h>

struct boot_info;
struct config;

/*
 * Reserve the memory, load the core and fill `info`; the CPU that calls is the boot CPU. Reports its
 * failure, after which everything is as before.
 */
EFI_STATUS place_core(struct boot_info *info, const struct config *config, uint32_t cpu_count);

/* The transition tables are needed only until every CPU is in the guest. */
void place_release_tables(struct boot_info *info);

/* All of it, after a failure. */
void place_release(struct boot_info *info);

uint64_t place_find_rsdp(void);

#endif
