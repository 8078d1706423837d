/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/gva_fetch.h"

#include "arch/x86/insn.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"

#define ENTRY_P		BIT64(0)
#define ENTRY_PS	BIT64(7)
#define HUGE_PAGE_SHIFT 30u

static uint64_t address_bits;
static bool use_smap;

/*
 * An address above the window is cut to one inside: a fetch from there finds other bytes than the CPU did, which no
 * guest can bring about, as the CPU executes from RAM and RAM is in the window.
 */
void gva_fetch_init(unsigned maxphyaddr, bool smap)
{
	address_bits = BITS64(maxphyaddr - 1, PAGE_SHIFT) & (LAYOUT_GUEST_MAX - 1);
	use_smap = smap;
}

/* What is not mapped in the window faults, and the fault is the answer: no look at the map of RAM is needed. */
static inline bool load(const uint8_t *window, uint64_t gpa, uint64_t *value)
{
	return load64_safe(window + gpa, value);
}

static inline bool fetch(const uint8_t *window, uint64_t table, unsigned shift, uint64_t gva,
			 uint64_t words[GVA_FETCH_WORDS])
{
	uint64_t all = ENTRY_P, offset_bits, gpa;

	for (;; shift -= 9) {
		if (!load(window, (table & address_bits) + ((gva >> shift & 0x1ff) << 3), &table))
			return false;
		all &= table;
		if (shift == PAGE_SHIFT || (table & ENTRY_PS))
			break;
	}
	if (UNLIKELY(all == 0 || shift > HUGE_PAGE_SHIFT))
		return false;
	offset_bits = BIT64(shift) - 1;
	gpa = (table & address_bits & ~offset_bits) | (gva & offset_bits);
	return load(window, gpa, &words[0]) && load(window, gpa + 8, &words[1]);
}

bool gva_fetch(uint64_t cr3, unsigned levels, gva_t gva, uint64_t words[GVA_FETCH_WORDS])
{
	bool ok;

	if (UNLIKELY((gva.v & (PAGE_BYTES - 1)) > PAGE_BYTES - GVA_FETCH_BYTES))
		return false;
	if (use_smap)
		stac();
	ok = fetch(guest_copy_window, cr3, PAGE_SHIFT + 9 * (levels - 1), gva.v, words);
	if (use_smap)
		clac();
	return ok;
}
