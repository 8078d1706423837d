/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page tables, read as the CPU reads them. A pure function over the paging role and a reader: no
 * vcpu, no instruction. Covers 32-bit (PSE36), PAE, 4-level and 5-level paging. SDM: "Paging", "Access Rights".
 */
#ifndef MM_GVA_WALK_H
#define MM_GVA_WALK_H

#include "arch/x86/bits.h"
#include "mm/addr.h"
#include "mm/page_role.h"
#include "mm/table_walk.h"

struct gva_result {
	gpa_t gpa;
	uint64_t page_bytes;
	uint64_t entry;	 /* of the page: page_format_pat_index(entry, page_bytes > PAGE_BYTES) */
	unsigned rights; /* RIGHT_ bits that all entries together give, before the role is asked */
	uint32_t error_code; /* of the page fault, when the walk failed */
	bool no_memory; /* failed because a table lies where no memory is (no architectural fault code) */
};

/*
 * Translate. The address is canonical (the caller raises #GP or #SS otherwise), and below 4 GiB outside 64-bit
 * mode; LAM and shadow stacks are the caller's. False: a page fault with result->error_code (CR2 = gva), or no_memory.
 * role->format, if there is one, was made from this role.
 */
MUST_CHECK bool gva_walk(const struct paging_role *role, const struct gva_reader *reader, gva_t gva,
			 unsigned access, struct gva_result *result);

#endif
