/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest-physical map (EPT or NPT): the identity over all of MAXPHYADDR, minus what is hidden. What the memory
 * map and the MTRRs name is mapped at once; what lies above is mapped on first touch from a pool of its own whose
 * rule when full is to take back the table that was added first, unless something in it was changed.
 *
 * Every function but tdp_mmu_is_hidden() is called with the lock that serializes the map. Large leaves are split for
 * what differs and put back when nothing differs any more.
 */
#ifndef MM_TDP_MMU_H
#define MM_TDP_MMU_H

#include "mm/flush_model.h"
#include "mm/memtype.h"
#include "mm/page_table.h"

#define TDP_HIGH_TABLES	  16u
#define TDP_HIGH_PINNED	  8u /* of them, at most so many stay because something in them was changed */
#define TDP_HIDDEN_RANGES 8u

struct tdp_hidden {
	uint64_t base, end;
};

struct tdp_mmu {
	struct page_table table;
	struct page_table high_table;	      /* the same tables, but pages come from `high` */
	struct pool *pool;		      /* split and start-up tables */
	struct pool high;		      /* tables for first touches above `eager_end` */
	uint64_t eager_end;		      /* mapped at start: [0, eager_end) */
	uint64_t end;			      /* 1 << MAXPHYADDR, or what the levels reach */
	uint64_t high_slots[TDP_HIGH_TABLES]; /* addresses of high tables in the order they came */
	bool high_pinned[TDP_HIGH_TABLES]; /* something in it is not as the first touch made it */
	uint32_t high_count;
	uint32_t high_next; /* the oldest, when all slots are in use */
	bool typed;	    /* EPT: leaves carry the MTRRs' types */
	struct mtrr_state mtrr;
	uint64_t *hidden_table; /* 512 read-only entries that all lead to ones_page */
	uint8_t *ones_page;	/* 0xff */
	struct tdp_hidden hidden[TDP_HIDDEN_RANGES];
	uint32_t hidden_count;
	/* Of the tables: another one after each change, when copies of them are out of date. */
	uint64_t generation;
	struct flush_model model;
};

/*
 * Build the map. `mtrr` is NULL for NPT (leaves stay WB, the physical MTRRs apply). Pages come from `pool`;
 * `eager_end` is rounded up to what a table covers. Returns false if the pool is too small.
 */
MUST_CHECK bool tdp_mmu_init(struct tdp_mmu *tdp, const struct page_format *format,
			     struct pool *pool, const struct mtrr_state *mtrr, uint64_t eager_end,
			     uint64_t end);

/*
 * Hide a 2 MiB-aligned range below eager_end: all its frames lead, read-only, to one page of 0xff. Flush on all
 * CPUs if a guest runs already.
 */
MUST_CHECK bool tdp_mmu_hide(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes);
bool tdp_mmu_is_hidden(const struct tdp_mmu *tdp, gpa_t gpa);

/*
 * Change a range of whole 4 KiB frames below eager_end, or in one slot (what a table of the largest leaves covers)
 * above it: give it other rights (frames and types stay), another
 * frame behind it (with the types of those), or nothing at all. False, and nothing has changed: a part of it is hidden,
 * or beyond the end, the pool is empty, or too many high tables would have to stay. Where the pool is empty, flush on
 * all CPUs, call tdp_mmu_flushed() and try again: tables may have been waiting for that. *changed: flush on all CPUs
 * before relying on what is no longer allowed.
 */
MUST_CHECK bool tdp_mmu_protect(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, unsigned rights,
				bool *changed);
MUST_CHECK bool tdp_mmu_map(struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame, uint64_t bytes,
			    unsigned rights, bool *changed);
MUST_CHECK bool tdp_mmu_unmap(struct tdp_mmu *tdp, gpa_t gpa, uint64_t bytes, bool *changed);

/* Whether the map allows this access now (`rights`: all that are needed): a CPU that faulted had an older entry. */
bool tdp_mmu_allows(const struct tdp_mmu *tdp, gpa_t gpa, unsigned rights);

enum tdp_touch {
	TDP_TOUCH_MAPPED,   /* now (or meanwhile) mapped: resume the guest */
	TDP_TOUCH_RECYCLED, /* the same, and an older table was taken back: flush on all CPUs first */
	TDP_TOUCH_REFUSED, /* it was mapped and the access is not allowed, or it lies beyond the end */
};

/*
 * A nested page fault or EPT violation at an address that may just not be mapped yet. After TDP_TOUCH_RECYCLED, and
 * after a change above eager_end, the caller keeps the lock until all CPUs have flushed and calls tdp_mmu_flushed(): the
 * next touch needs the pages.
 */
enum tdp_touch tdp_mmu_touch(struct tdp_mmu *tdp, gpa_t gpa);

/*
 * EPT: the guest's MTRRs have changed for good: rebuild all types in place. Returns whether anything changed (flush
 * on all CPUs). A large page that is no longer uniform is split; if no page is left for that, it becomes UC.
 */
bool tdp_mmu_set_types(struct tdp_mmu *tdp, const struct mtrr_state *mtrr);

/* Every CPU has flushed since the last change: tables that were replaced may be used again. Gives pages back. */
void tdp_mmu_flushed(struct tdp_mmu *tdp);

#endif
