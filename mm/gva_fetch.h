/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of an instruction that the CPU has just fetched. It has checked the rights and set the accessed bits, so this
 * only finds them, in as few instructions as possible: it is on the way of every exit of a CPU without NRIP save.
 */
#ifndef MM_GVA_FETCH_H
#define MM_GVA_FETCH_H

#include "arch/x86/bits.h"
#include "mm/addr.h"

#define GVA_FETCH_WORDS 2u
#define GVA_FETCH_BYTES 16u

/* Physical addresses up to MAXPHYADDR are valid in an entry; once at start. */
void gva_fetch_init(unsigned maxphyaddr, bool use_smap);

/*
 * 16 bytes at `gva`, by tables of 4 or 5 levels. False: something is unusual (a page's end, a table that is no RAM or
 * has changed): walk instead.
 */
MUST_CHECK bool gva_fetch(uint64_t cr3, unsigned levels, gva_t gva,
			  uint64_t words[GVA_FETCH_WORDS]);

#endif
