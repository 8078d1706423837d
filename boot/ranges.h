/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies where in physical address space: merging and searching. Pure. */
#ifndef BOOT_RANGES_H
#define BOOT_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct boot_range;

/* A list that grows up to `max`; `is_full` remembers that something did not fit. */
struct ranges {
	struct boot_range *list;
	size_t count;
	size_t max;
	bool is_full;
};

/* Empty ranges are ignored, those that wrap are cut at the end of address space. */
void ranges_add(struct ranges *ranges, uint64_t base, uint64_t bytes, uint32_t kind);

/*
 * Write `from`, sorted, without overlaps and with neighbours of one kind merged, to `out`. Where
 * ranges overlap, RAM wins over MMIO and MMIO over reserved. If it takes more than `max_count`,
 * the smallest ranges that are not RAM are left out, then the RAM ranges with the smallest holes
 * between them are merged. `from` is sorted in place.
 */
void ranges_normalize(struct ranges *from, struct ranges *out, size_t max_count);

/*
 * The highest `alignment`-aligned block of `bytes` in a range of `kind` that ends at or below `limit`.
 * Returns false if there is none; `largest` is then the most that an aligned block could have.
 */
bool ranges_find_block(const struct ranges *ranges, uint32_t kind, uint64_t bytes,
		       uint64_t alignment, uint64_t limit, uint64_t *base, uint64_t *largest);

#endif
