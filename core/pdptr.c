/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/pdptr.h"

#include "arch/x86/cr_rules.h"
#include "core/caps.h"
#include "mm/guest_copy.h"

#define PDPTR_BYTES 32u

void pdptr_from_memory(uint64_t cr3, uint64_t pdptr[4])
{
	if (!guest_copy_in(pdptr, (gpa_t){ cr3 & BITS64(31, 5) }, PDPTR_BYTES))
		__builtin_memset(pdptr, 0xff, PDPTR_BYTES);
}

bool pdptr_load(uint64_t cr3, uint64_t pdptr[4])
{
	pdptr_from_memory(cr3, pdptr);
	return pdptr_is_legal(pdptr, hv_caps.maxphyaddr);
}
