/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/gva_fetch.h"

#include "arch/x86/insn.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"
#include "mm/page_entry.h"

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

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/*
 * The entry for `gva` in the table that `entry` points to. `all` keeps the bits that all entries have. What is not mapped
 * in the window faults, and reads as an entry that is not present: no look at the map of RAM is needed.
 */
ALWAYS_INLINE uint64_t descend(const uint8_t *window, uint64_t gva, unsigned shift, uint64_t entry,
			       uint64_t *all)
{
	entry = load64_or_index(window + (entry & address_bits), gva >> (shift - 3) & 0xff8);
	*all &= entry;
	return entry;
}

ALWAYS_INLINE struct gva_code fetch_page(const uint8_t *window, uint64_t gva, unsigned shift,
					 uint64_t entry, uint64_t all)
{
	const uint64_t offset_bits = BIT64(shift) - 1;
	const uint8_t *at = window + (entry & address_bits & ~offset_bits) + (gva & offset_bits);
	struct gva_code code = { 0, 0 };

	if (UNLIKELY((all & ENTRY_P) == 0))
		return code;
	code.low = load64_or_index(at, 0);
	code.high = load64_or_index(at + 8, 0);
	return code;
}

/* In an entry above those of 1 GiB pages the bit for a large page is reserved: the CPU would not have come here. */
ALWAYS_INLINE struct gva_code fetch(uint64_t entry, bool la57, uint64_t gva)
{
	const uint8_t *window = guest_copy_window;
	uint64_t all = ENTRY_P;

	if (UNLIKELY(la57))
		entry = descend(window, gva, 48, entry, &all);
	entry = descend(window, gva, 39, entry, &all);
	entry = descend(window, gva, 30, entry, &all);
	if (UNLIKELY((entry & ENTRY_PS) != 0))
		return fetch_page(window, gva, 30, entry, all);
	entry = descend(window, gva, 21, entry, &all);
	if ((entry & ENTRY_PS) != 0)
		return fetch_page(window, gva, 21, entry, all);
	entry = descend(window, gva, 12, entry, &all);
	return fetch_page(window, gva, 12, entry, all);
}

ALWAYS_INLINE struct gva_code fetch_open(uint64_t cr3, bool la57, gva_t gva)
{
	struct gva_code code;

	if (UNLIKELY((gva.v & (PAGE_BYTES - 1)) > PAGE_BYTES - GVA_FETCH_BYTES))
		return (struct gva_code){ 0, 0 };
	if (UNLIKELY(!use_smap))
		return fetch(cr3, la57, gva.v);
	stac();
	code = fetch(cr3, la57, gva.v);
	clac();
	return code;
}

struct gva_code gva_fetch_code(uint64_t cr3, bool la57, gva_t gva)
{
	return fetch_open(cr3, la57, gva);
}

uint64_t gva_fetch_word(uint64_t cr3, bool la57, gva_t gva)
{
	return fetch_open(cr3, la57, gva).low;
}
