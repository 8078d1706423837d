/* SPDX-License-Identifier: BSD-2-Clause */
/* The four page-directory-pointer-table entries that PAE paging keeps in registers. SDM: "PDPTE Registers". */
#ifndef CORE_PDPTR_H
#define CORE_PDPTR_H

#include "arch/x86/bits.h"

/* The table that a CR3 names, from the guest's memory; where there is none, ones, as on an empty bus. */
void pdptr_from_memory(uint64_t cr3, uint64_t pdptr[4]);

/* The same as the CPU loads it. False: an entry is not legal, the instruction is #GP(0). */
MUST_CHECK bool pdptr_load(uint64_t cr3, uint64_t pdptr[4]);

#endif
