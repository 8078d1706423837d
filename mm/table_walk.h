/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine under both walkers: from a root down to an entry that maps a page, reading entries as a page_format
 * says. It decides nothing about rights: it leaves what it met, and the walker asks the format.
 */
#ifndef MM_TABLE_WALK_H
#define MM_TABLE_WALK_H

#include "arch/x86/bits.h"
#include "mm/addr.h"
#include "mm/page_format.h"

/*
 * RAM that the walker may read directly, at *virt + gpa: the common case, a 64-bit walk with nothing to report and
 * no bit to set, then costs no call at all. The largest ranges: below and above 4 GiB, and parted by what the firmware
 * keeps and by the hypervisor's own memory.
 */
#define GVA_WINDOW_RANGES 4u
struct gva_window {
	uint8_t *const *virt;
	uint64_t base[GVA_WINDOW_RANGES], bytes[GVA_WINDOW_RANGES]; /* whole pages */
	bool smap; /* it takes STAC to read there */
};

/* How the walker reaches table entries in guest-physical memory. Both return false if there is no memory. */
struct gva_reader {
	void *context;
	bool (*read)(void *context, gpa_t gpa, unsigned bytes, uint64_t *value);
	/* Replace `old` by `new` if it is still there; *same says whether it was. */
	bool (*exchange)(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
			 bool *same);
	const struct gva_window *window; /* NULL: only by read() */
};

enum table_walk_outcome {
	TABLE_WALK_DONE,
	TABLE_WALK_NOT_PRESENT,
	TABLE_WALK_RESERVED, /* a reserved bit is set, or EPT is misconfigured */
	TABLE_WALK_NO_MEMORY,
	TABLE_WALK_REFUSED, /* left to the walkers, as the rights are */
	TABLE_WALK_RACE,
};

/* Every lost race is another CPU's success; one that loses so often fights a writer that means it. */
#define TABLE_WALK_TRIES 1000u

struct table_walk {
	uint64_t at[PAGE_LEVELS];    /* where the entry of each level is */
	uint64_t entry[PAGE_LEVELS]; /* and what it was */
	uint64_t all;	    /* bits that every entry has, after those that forbid were inverted */
	unsigned top, leaf; /* levels between which there are entries; it failed at `leaf` */
	uint64_t address;   /* the translation */
	uint64_t page_bytes;
};

/*
 * Walk for `address` from the table at `table`, whose entries are of level `top`. Nothing is written. On any outcome
 * but TABLE_WALK_NO_MEMORY entries down to walk->leaf are valid, the last being the one that failed or maps the page.
 */
MUST_CHECK enum table_walk_outcome table_walk(const struct page_format *format,
					      const struct gva_reader *reader, uint64_t table,
					      unsigned top, uint64_t address,
					      struct table_walk *walk);

/*
 * PAE: the page-directory-pointer entry for `address`, from memory; and whether one may be used. SDM: "PAE Paging".
 */
#define TABLE_WALK_PDPTE_LEVEL 2u
MUST_CHECK bool table_walk_read_pdpte(const struct gva_reader *reader, uint64_t root,
				      uint64_t address, uint64_t *pdpte);
enum table_walk_outcome table_walk_check_pdpte(const struct page_format *format, uint64_t pdpte);

/* The four bits of the page: the index of format->rights[] and the bit of format->refused[]. */
static inline unsigned table_walk_page(const struct page_format *format, uint64_t all)
{
	return (unsigned)(all & 7) | (unsigned)(all >> format->fourth & 1) << 3;
}

/*
 * Set the accessed bits of all entries, and for a write the dirty bit of the last, where they are not set. Returns
 * TABLE_WALK_DONE, _NO_MEMORY, or _RACE: an entry has changed, so walk again.
 */
MUST_CHECK enum table_walk_outcome table_walk_mark(const struct page_format *format,
						   const struct gva_reader *reader, bool write,
						   const struct table_walk *walk);

#endif
