/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The page tables on which the loader calls the core: the firmware's own, with the whole
 * reservation at CORE_VIRT_BASE in addition, in 2-MiB pages. Pure but for reading the firmware's tables where they are (memory is mapped 1:1).
 */
#ifndef BOOT_TRANSITION_H
#define BOOT_TRANSITION_H

#include <stdint.h>

#define TRANSITION_PAGE_COUNT 4u /* one table a level, from the fifth to the second */

struct transition_page {
	uint64_t entries[512];
};

/*
 * `levels` is 4 or 5, `pages` are TRANSITION_PAGE_COUNT page-aligned tables, `base` and `bytes` are
 * multiples of 2 MiB, at most 1 GiB. What the firmware maps around that place stays mapped. Returns
 * the address for CR3.
 */
uint64_t transition_build(struct transition_page *pages, const uint64_t *firmware_top,
			  unsigned levels, uint64_t base, uint64_t bytes);

#endif
