/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Four address spaces, four types, so that the compiler refuses one where another is due. The guest's physical
 * addresses are the host's (the map is the identity, minus what is hidden), but only gpa_to_hpa() says so.
 */
#ifndef MM_ADDR_H
#define MM_ADDR_H

#include <stdint.h>

typedef struct {
	uint64_t v;
} gva_t; /* guest-virtual (linear) */

typedef struct {
	uint64_t v;
} ngpa_t; /* guest-physical of a nested guest (L2) */

typedef struct {
	uint64_t v;
} gpa_t; /* guest-physical */

typedef struct {
	uint64_t v;
} hpa_t; /* host-physical */

#define PAGE_SHIFT	 12u
#define PAGE_BYTES	 UINT64_C(0x1000)
#define LARGE_PAGE_BYTES UINT64_C(0x200000)
#define HUGE_PAGE_BYTES	 UINT64_C(0x40000000)

static inline hpa_t gpa_to_hpa(gpa_t gpa)
{
	return (hpa_t){ gpa.v };
}

#endif
