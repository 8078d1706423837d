/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Marked frames, all over the RAM: whatever is read or executed in one tells the physical address it lies at. The
 * first half holds numbers, the third quarter code, the last one segment descriptors.
 */
#ifndef TESTS_GUESTS_WALK_FRAMES_H
#define TESTS_GUESTS_WALK_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/walk/excursion.h"

bool frames_init(uint64_t *random);
/* A place that fits the access, below `limit`. */
uint64_t frames_pick(uint64_t *random, enum excursion_access access, uint64_t limit);
/* What such an access brings back from there; false: no frame of ours. */
bool frames_expect(uint64_t at, enum excursion_access access, uint32_t *value);
/* After a store: put the number back that belongs there. */
void frames_mend(uint64_t at);
/* Where a stray store of this value has gone: 0 if into no frame. */
uint64_t frames_find(uint32_t value);
/* How many there are, and how many above 4 GiB. */
uint32_t frames_count(void);
uint32_t frames_high_count(void);
/* A page for a table; high: above 4 GiB if there is memory. NULL: no memory. */
uint64_t *frames_new_page(bool high);

#endif
