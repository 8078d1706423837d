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

/* 16 bytes in the order of memory; all zero: not found. No instruction that exits begins with eight zero bytes. */
struct gva_code {
	uint64_t low, high;
};

/* Physical addresses up to MAXPHYADDR are valid in an entry; once at start. */
void gva_fetch_init(unsigned maxphyaddr, bool use_smap);

/*
 * 16 bytes at `gva`, by tables of 5 levels (CR4.LA57) or 4. Zero: something is unusual (a page's end, a table that is no
 * RAM or has changed): walk instead.
 */
struct gva_code gva_fetch_code(uint64_t cr3, bool la57, gva_t gva);
/* The first 8 of them. */
uint64_t gva_fetch_word(uint64_t cr3, bool la57, gva_t gva);

/* The same for who wants them in memory. False: walk instead. */
MUST_CHECK static inline bool gva_fetch(uint64_t cr3, unsigned levels, gva_t gva,
					uint64_t words[GVA_FETCH_WORDS])
{
	struct gva_code code = gva_fetch_code(cr3, levels == 5, gva);

	words[0] = code.low;
	words[1] = code.high;
	return code.low != 0;
}

#endif
