/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A second view of the guest-physical map that differs in one 4 KiB frame, for one CPU to execute one instruction on
 * while all others keep the real map: copies of the tables on the way to the frame.
 */
#ifndef MM_TDP_VIEW_H
#define MM_TDP_VIEW_H

#include "mm/tdp_mmu.h"

#define TDP_VIEW_LEVELS 5u

struct tdp_view {
	uint64_t *tables[TDP_VIEW_LEVELS]; /* by level */
	uint64_t *second[TDP_VIEW_LEVELS]; /* where the way to a second frame is another */
	gpa_t gpa;			   /* the first frame */
};

MUST_CHECK bool tdp_view_init(struct tdp_view *view, struct pool *pool);

/* Build the view in which `gpa` leads to `frame`. Returns its root. Call it with the map's lock held. */
hpa_t tdp_view_build(struct tdp_view *view, const struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame,
		     unsigned rights, enum memtype type);

/* A second frame in the view that was just built: the other half of an access across a page boundary. */
void tdp_view_add(struct tdp_view *view, const struct tdp_mmu *tdp, gpa_t gpa, hpa_t frame,
		  unsigned rights, enum memtype type);

#endif
