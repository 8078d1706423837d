/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypervisor's own page tables (mm/layout.h): W^X, guard pages, guest memory as user and no-execute. */
#ifndef MM_HOST_MAP_H
#define MM_HOST_MAP_H

#include "mm/page_table.h"

struct host_map_image {
	/* page-aligned virtual addresses from linker.ld */
	uint64_t text_start, text_end, rodata_start, rodata_end, data_start, data_end;
};

/* Build the tables: image, pool, guest window over the ranges of mm/guest_copy.h's RAM list, made by guest_copy_add_ram(). */
MUST_CHECK bool host_map_init(struct pool *pool, unsigned levels, bool huge_pages,
			      unsigned maxphyaddr, const struct host_map_image *image);
/* Map pages of the reservation at a second address (per-CPU slots) or a device register page (uncached). */
MUST_CHECK bool host_map_pages(uint64_t address, hpa_t hpa, uint64_t bytes);
MUST_CHECK bool host_map_device(uint64_t address, hpa_t hpa, uint64_t bytes);
/* Map one page 1:1, to execute what is there: for the moment in which paging is switched on. */
MUST_CHECK bool host_map_identity(hpa_t hpa);
/* What CR3 takes. */
uint64_t host_map_cr3(void);
const struct page_table *host_map_table(void);

#endif
