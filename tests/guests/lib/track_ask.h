/* SPDX-License-Identifier: BSD-2-Clause */
/* The hypercall of write tracking (vmexit/track_call.h), for probes. */
#ifndef TESTS_GUESTS_LIB_TRACK_ASK_H
#define TESTS_GUESTS_LIB_TRACK_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include "vmexit/track_call.h"

static inline uint64_t hypercall(bool is_amd, uint64_t which, uint64_t rcx, uint64_t rdx,
				 uint64_t r8_in)
{
	register uint64_t r8 __asm__("r8") = r8_in;

	if (is_amd)
		__asm__ volatile("vmmcall"
				 : "+a"(which), "+c"(rcx), "+d"(rdx), "+r"(r8)
				 :
				 : "memory");
	else
		__asm__ volatile("vmcall"
				 : "+a"(which), "+c"(rcx), "+d"(rdx), "+r"(r8)
				 :
				 : "memory");
	return which;
}

static inline uint64_t track_ask(bool is_amd, uint64_t operation, uint64_t address, uint64_t bytes)
{
	return hypercall(is_amd, HYPERCALL_TRACK, operation, address, bytes);
}

#endif
