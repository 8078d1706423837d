/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both walks together, for a nested guest: its linear address by its own tables, each entry of which, and the result,
 * is found by the tables of the hypervisor above it. SDM: "EPT Translation Mechanism"; APM: "Nested Table Walk".
 */
#ifndef MM_NESTED_WALK_H
#define MM_NESTED_WALK_H

#include "mm/gva_walk.h"
#include "mm/ngpa_walk.h"

enum nested_fault {
	NESTED_NO_FAULT,
	NESTED_GUEST_PAGE, /* #PF for the nested guest: error_code, CR2 = gva */
	NESTED_TABLE,	   /* `second` is the fault of reading or marking an entry of its tables */
	NESTED_FINAL,	   /* `second` is the fault of the translated address */
	NESTED_NO_MEMORY,
};

struct nested_result {
	gpa_t gpa;
	uint64_t page_bytes; /* of the smaller of the two pages */
	unsigned rights;     /* of both, RIGHT_USER from the guest's own tables */
	enum nested_fault fault;
	uint32_t error_code;
	ngpa_t ngpa; /* the translation by the guest's own tables, or the address of `second` */
	struct ngpa_result second;
};

/*
 * Translate. `role` is the nested guest's; role->pdptr_in_memory if the outer tables are NPT. Returns false and the
 * fault, with its stage.
 */
MUST_CHECK bool nested_walk(const struct paging_role *role, const struct ngpa_tables *tables,
			    gva_t gva, unsigned access, struct nested_result *result);

#endif
