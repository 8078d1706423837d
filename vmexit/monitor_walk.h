/* SPDX-License-Identifier: BSD-2-Clause */
/* Translations entry by entry, for the monitor (core/monitor_target.h). Nothing is marked as accessed. */
#ifndef VMEXIT_MONITOR_WALK_H
#define VMEXIT_MONITOR_WALK_H

#include "core/monitor_target.h"
#include "mm/tdp_mmu.h"

/* By the page tables of a CPU with this state. */
void monitor_walk_guest(const struct regs_sync_sregs *sregs, uint64_t address,
			struct monitor_walk *walk);

/* With the map's lock: a guest-physical address, by EPT or NPT. */
void monitor_walk_map(const struct tdp_mmu *tdp, uint64_t address, struct monitor_walk *walk);

/* With the map's lock: the part of the map that begins at `address` or is the next one behind. False: none. */
bool monitor_walk_next(const struct tdp_mmu *tdp, uint64_t address, struct monitor_map *map);

#endif
