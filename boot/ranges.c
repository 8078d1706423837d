/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/ranges.h"

#include "boot/boot_info.h"

static uint64_t range_end(const struct boot_range *range)
{
	return range->base + range->bytes;
}

void ranges_add(struct ranges *ranges, uint64_t base, uint64_t bytes, uint32_t kind)
{
	struct boot_range *last;

	if (bytes > UINT64_MAX - base)
		bytes = UINT64_MAX - base;
	if (bytes == 0)
		return;
	/* Memory maps come sorted and in small pieces: most of them end here. */
	if (ranges->count > 0) {
		last = &ranges->list[ranges->count - 1];
		if (last->kind == kind && range_end(last) == base) {
			last->bytes += bytes;
			return;
		}
	}
	if (ranges->count == ranges->max) {
		ranges->is_full = true;
		return;
	}
	ranges->list[ranges->count++] =
		(struct boot_range){ .base = base, .bytes = bytes, .kind = kind, .pad = 0 };
}

static void ranges_sort(struct ranges *ranges)
{
	size_t i, j;

	for (i = 1; i < ranges->count; i++) {
		struct boot_range moved = ranges->list[i];

		for (j = i; j > 0 && ranges->list[j - 1].base > moved.base; j--)
			ranges->list[j] = ranges->list[j - 1];
		ranges->list[j] = moved;
	}
}

/*
 * The kind that holds at `at`, 0 for none, and in `end` how far that can be said: up to the next
 * place where a range begins or ends.
 */
static uint32_t ranges_kind_at(const struct ranges *ranges, uint64_t at, uint64_t *end)
{
	uint32_t kind = 0;
	size_t i;

	*end = UINT64_MAX;
	for (i = 0; i < ranges->count; i++) {
		const struct boot_range *range = &ranges->list[i];

		if (range->base > at) {
			if (range->base < *end)
				*end = range->base;
			break;
		}
		if (range_end(range) <= at)
			continue;
		if (range_end(range) < *end)
			*end = range_end(range);
		/* The kinds are numbered by precedence. */
		if (kind == 0 || range->kind < kind)
			kind = range->kind;
	}
	return kind;
}

static void ranges_remove(struct ranges *ranges, size_t index)
{
	ranges->count--;
	for (; index < ranges->count; index++)
		ranges->list[index] = ranges->list[index + 1];
}

static bool ranges_drop_smallest_other(struct ranges *ranges)
{
	size_t i, smallest = ranges->count;

	for (i = 0; i < ranges->count; i++) {
		if (ranges->list[i].kind == BOOT_RANGE_RAM)
			continue;
		if (smallest == ranges->count ||
		    ranges->list[i].bytes < ranges->list[smallest].bytes)
			smallest = i;
	}
	if (smallest == ranges->count)
		return false;
	ranges_remove(ranges, smallest);
	return true;
}

static uint64_t ranges_hole_after(const struct ranges *ranges, size_t index)
{
	return ranges->list[index + 1].base - range_end(&ranges->list[index]);
}

static void ranges_close_smallest_hole(struct ranges *ranges)
{
	size_t i, smallest = 0;

	for (i = 1; i + 1 < ranges->count; i++)
		if (ranges_hole_after(ranges, i) < ranges_hole_after(ranges, smallest))
			smallest = i;
	ranges->list[smallest].bytes =
		range_end(&ranges->list[smallest + 1]) - ranges->list[smallest].base;
	ranges_remove(ranges, smallest + 1);
}

void ranges_normalize(struct ranges *from, struct ranges *out, size_t max_count)
{
	uint64_t at = 0, end;

	ranges_sort(from);
	out->count = 0;
	while (at < UINT64_MAX) {
		uint32_t kind = ranges_kind_at(from, at, &end);

		if (kind != 0)
			ranges_add(out, at, end - at, kind);
		at = end;
	}
	while (out->count > max_count)
		if (!ranges_drop_smallest_other(out))
			ranges_close_smallest_hole(out);
}

bool ranges_find_block(const struct ranges *ranges, uint32_t kind, uint64_t bytes,
		       uint64_t alignment, uint64_t limit, uint64_t *base, uint64_t *largest)
{
	bool is_found = false;
	size_t i;

	*largest = 0;
	for (i = 0; i < ranges->count; i++) {
		const struct boot_range *range = &ranges->list[i];
		uint64_t end = range_end(range) < limit ? range_end(range) : limit;
		uint64_t start = (range->base + alignment - 1) & ~(alignment - 1);

		end &= ~(alignment - 1);
		if (range->kind != kind || start < range->base || end <= start)
			continue;
		if (end - start > *largest)
			*largest = end - start;
		if (end - start < bytes || (is_found && end - bytes < *base))
			continue;
		*base = end - bytes;
		is_found = true;
	}
	return is_found;
}
