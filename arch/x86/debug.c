/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/debug.h"

#define DR7_KIND(index)	  BITS64(17 + 4 * (index), 16 + 4 * (index))
#define DR7_ENABLE(index) BITS64(1 + 2 * (index), 2 * (index))
#define DEBUG_ADDRESSES	  4u

bool debug_has_data_breakpoint(uint64_t dr7)
{
	if ((dr7 & DR7_ENABLES) == 0)
		return false;
	for (unsigned i = 0; i < DEBUG_ADDRESSES; i++) {
		if ((dr7 & DR7_ENABLE(i)) != 0 && (dr7 & DR7_KIND(i)) != 0)
			return true;
	}
	return false;
}
