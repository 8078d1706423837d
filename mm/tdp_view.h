/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One CPU's own view of the guest-physical map, in which a few 4 KiB frames are opened for it to execute one
 * instruction, while all others keep the real map: copies of the tables on the way to the frames. They are kept as long
 * as the real tables do not change, so that the next opening of a frame nearby costs one entry.
 *
 * Called by its CPU with the map's lock held.
 */
#ifndef MM_TDP_VIEW_H
#define MM_TDP_VIEW_H

#include "mm/tdp_mmu.h"

/*
 * A root, and the ways to so many frames: two levels in common, and then four parts of 1 GiB with a table for each 2 MiB.
 */
#define TDP_VIEW_TABLES 24u
#define TDP_VIEW_FRAMES 16u

struct tdp_view {
	uint64_t *tables[TDP_VIEW_TABLES]; /* the first is the root */
	uint32_t used;
	bool is_fresh;	     /* nothing in it is from an earlier opening */
	uint64_t generation; /* of the real tables that these are copies of */
	gpa_t frames[TDP_VIEW_FRAMES];
	uint32_t frame_count;
};

MUST_CHECK bool tdp_view_init(struct tdp_view *view, struct pool *pool);

/* Start from the real map, with no frame open. Returns the root. */
hpa_t tdp_view_begin(struct tdp_view *view, const struct tdp_mmu *tdp);

/*
 * In the view `gpa` leads to `frame`; flush if the view is in use. False: more frames, or frames farther apart, than
 * there are tables for, or the real map has changed since tdp_view_begin(): begin again.
 */
MUST_CHECK bool tdp_view_open(struct tdp_view *view, const struct tdp_mmu *tdp, gpa_t gpa,
			      hpa_t frame, unsigned rights, enum memtype type);
/* Behind such a refusal: it would be refused again, however often it begins. */
bool tdp_view_is_exhausted(const struct tdp_view *view, const struct tdp_mmu *tdp);

#endif
