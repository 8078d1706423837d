/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/page_track.h"

#if CONFIG_PAGE_TRACK

#include <stddef.h>

#include "mm/guest_copy.h"
#include "mm/layout.h"

_Static_assert(sizeof(struct page_track_region) <= PAGE_BYTES, "one page of the pool");

static uint64_t frame_of(gpa_t gpa)
{
	return ALIGN_DOWN(gpa.v, PAGE_BYTES);
}

bool page_track_init(struct page_track *track, struct pool *from)
{
	*track = (struct page_track){ .region_count = 0 };
	return pool_carve(&track->pool, "page track", from, PAGE_TRACK_REGIONS);
}

bool page_track_writer_init(struct page_track_writer *writer, struct pool *pool, uint32_t cpu)
{
	*writer = (struct page_track_writer){ .cpu = cpu, .after = pool_alloc(pool) };
	for (unsigned i = 0; i < PAGE_TRACK_FRAMES; i++) {
		writer->open[i].before = pool_alloc(pool);
		if (writer->open[i].before == NULL)
			return false;
	}
	return writer->after != NULL;
}

void page_track_register(struct page_track *track, struct page_track_notifier *notifier)
{
	notifier->next = track->notifiers;
	track->notifiers = notifier;
}

/* --- frames ----------------------------------------------------------------------------------------- */

static struct page_track_region *find_region(const struct page_track *track, gpa_t gpa)
{
	uint64_t base = ALIGN_DOWN(gpa.v, LARGE_PAGE_BYTES);

	for (unsigned i = 0; i < track->region_count; i++) {
		if (track->regions[i]->base == base)
			return track->regions[i];
	}
	return NULL;
}

static struct page_track_frame *frame_in(struct page_track_region *region, gpa_t gpa)
{
	return &region->frames[page_format_index(gpa.v, 0)];
}

static struct page_track_region *make_region(struct page_track *track, gpa_t gpa)
{
	struct page_track_region *region = find_region(track, gpa);

	if (region != NULL)
		return region;
	region = pool_alloc(&track->pool);
	if (region == NULL)
		return NULL;
	region->base = ALIGN_DOWN(gpa.v, LARGE_PAGE_BYTES);
	track->regions[track->region_count++] = region;
	return region;
}

static void drop_if_unused(struct page_track *track, struct page_track_region *region)
{
	if (region->used != 0)
		return;
	for (unsigned i = 0; i < track->region_count; i++) {
		if (track->regions[i] == region)
			track->regions[i] = track->regions[--track->region_count];
	}
	pool_free(&track->pool, region);
}

static bool is_used(const struct page_track_frame *frame)
{
	return frame->count != 0 || frame->writer != 0 || frame->is_closed;
}

static bool close_map(struct tdp_mmu *tdp, gpa_t gpa, struct page_track_frame *frame, bool *changed)
{
	struct page_mapping mapping;

	if (frame->is_closed)
		return true;
	if (!page_table_lookup(&tdp->table, gpa.v, &mapping) ||
	    !tdp_mmu_protect(tdp, (gpa_t){ frame_of(gpa) }, PAGE_BYTES,
			     mapping.rights & ~RIGHT_WRITE, changed))
		return false;
	frame->rights = (uint8_t)mapping.rights;
	frame->is_closed = true;
	return true;
}

/* It fails where all frames of a large leaf were tracked and merged, and no page is left now. */
static void open_map(struct tdp_mmu *tdp, uint64_t address, struct page_track_frame *frame)
{
	struct page_mapping mapping = { .rights = frame->rights };
	bool changed = false;

	/* Others may have changed rights of theirs meanwhile. */
	if (page_table_lookup(&tdp->table, address, &mapping))
		mapping.rights |= frame->rights & RIGHT_WRITE;
	frame->is_closed =
		!tdp_mmu_protect(tdp, (gpa_t){ address }, PAGE_BYTES, mapping.rights, &changed);
}

bool page_track_add(struct page_track *track, struct tdp_mmu *tdp, gpa_t gpa, bool *changed)
{
	struct page_track_region *region;
	struct page_track_frame *frame;
	bool was_used;

	if (!guest_copy_is_ram((gpa_t){ frame_of(gpa) }, PAGE_BYTES))
		return false;
	region = make_region(track, gpa);
	if (region == NULL)
		return false;
	frame = frame_in(region, gpa);
	was_used = is_used(frame);
	if (frame->count == PAGE_TRACK_COUNT_MAX ||
	    (frame->count == 0 && !close_map(tdp, gpa, frame, changed))) {
		drop_if_unused(track, region);
		return false;
	}
	frame->count++;
	region->used += !was_used;
	return true;
}

static void forget(struct page_track_region *region, struct tdp_mmu *tdp, unsigned index)
{
	struct page_track_frame *frame = &region->frames[index];

	frame->count = 0;
	/* Not while somebody has it open: what others write then would pass for his. */
	if (frame->writer == 0)
		open_map(tdp, region->base + index * PAGE_BYTES, frame);
	region->used -= !is_used(frame);
}

bool page_track_remove(struct page_track *track, struct tdp_mmu *tdp, gpa_t gpa)
{
	struct page_track_region *region = find_region(track, gpa);

	if (region == NULL || frame_in(region, gpa)->count == 0)
		return false;
	if (frame_in(region, gpa)->count > 1) {
		frame_in(region, gpa)->count--;
		return false;
	}
	forget(region, tdp, page_format_index(gpa.v, 0));
	drop_if_unused(track, region);
	return true;
}

/* The frames of one region in [start, last]. */
static uint64_t remove_part(struct page_track_region *region, struct tdp_mmu *tdp, uint64_t start,
			    uint64_t last)
{
	uint64_t removed = 0;

	for (unsigned i = 0; i < ARRAY_COUNT(region->frames); i++) {
		uint64_t address = region->base + i * PAGE_BYTES;

		if (region->frames[i].count == 0 || address < start || address > last)
			continue;
		forget(region, tdp, i);
		removed++;
	}
	return removed;
}

uint64_t page_track_remove_region(struct page_track *track, struct tdp_mmu *tdp, gpa_t start,
				  uint64_t bytes)
{
	uint64_t removed = 0;

	/* From the end: one that becomes unused gives its place to the last. */
	for (unsigned i = track->region_count; i-- > 0 && bytes != 0;) {
		removed +=
			remove_part(track->regions[i], tdp, frame_of(start), start.v + (bytes - 1));
		drop_if_unused(track, track->regions[i]);
	}
	return removed;
}

uint32_t page_track_count(const struct page_track *track, gpa_t gpa)
{
	struct page_track_region *region = find_region(track, gpa);

	return region != NULL ? frame_in(region, gpa)->count : 0;
}

/* Without the right before nobody may write: that is not our fault to handle. */
static bool opens(const struct page_track_frame *frame)
{
	return frame->is_closed && (frame->rights & RIGHT_WRITE) != 0;
}

bool page_track_is_closed(const struct page_track *track, gpa_t gpa)
{
	struct page_track_region *region = find_region(track, gpa);

	return region != NULL && opens(frame_in(region, gpa));
}

/* Only the frames of the range are looked at: mostly it is one. */
static bool part_has_writer(const struct page_track_region *region, uint64_t start, uint64_t last)
{
	uint64_t end = region->base + (LARGE_PAGE_BYTES - 1);
	uint64_t address = start > region->base ? start : region->base;

	if (last < end)
		end = last;
	for (; address <= end; address += PAGE_BYTES) {
		if (region->frames[page_format_index(address, 0)].writer != 0)
			return true;
	}
	return false;
}

bool page_track_has_writer(const struct page_track *track, gpa_t start, uint64_t bytes)
{
	for (unsigned i = 0; i < track->region_count && bytes != 0; i++) {
		if (part_has_writer(track->regions[i], frame_of(start), start.v + (bytes - 1)))
			return true;
	}
	return false;
}

bool page_track_is_writing(const struct page_track_writer *writer)
{
	return writer->count != 0 || writer->has_claim;
}

/* --- writing ---------------------------------------------------------------------------------------- */

static bool is_open(const struct page_track_writer *writer, uint64_t frame)
{
	for (unsigned i = 0; i < writer->count; i++) {
		if (writer->open[i].frame == frame)
			return true;
	}
	return false;
}

enum page_track_result page_track_open(struct page_track *track, struct page_track_writer *writer,
				       gpa_t gpa, bool is_store)
{
	struct page_track_region *region = find_region(track, gpa);
	struct page_track_frame *frame;
	struct page_track_open_frame *open;

	if (region == NULL)
		return PAGE_TRACK_UNTRACKED;
	frame = frame_in(region, gpa);
	if (!opens(frame))
		return PAGE_TRACK_UNTRACKED;
	if (is_open(writer, frame_of(gpa)) || frame->writer != 0)
		return PAGE_TRACK_BUSY;
	if (writer->count == PAGE_TRACK_FRAMES)
		return PAGE_TRACK_FULL;
	open = &writer->open[writer->count];
	if (!guest_copy_in(open->before, (gpa_t){ frame_of(gpa) }, PAGE_BYTES))
		return PAGE_TRACK_UNTRACKED;
	open->frame = frame_of(gpa);
	open->offset = (uint16_t)(gpa.v - open->frame);
	open->is_store = is_store;
	open->state = frame;
	open->was_tracked = frame->count != 0;
	frame->writer = (uint16_t)(writer->cpu + 1);
	writer->count++;
	return PAGE_TRACK_OPEN;
}

/* By words, then the bytes of the words at the ends. */
static bool find_changes(const uint8_t *before, const uint8_t *after, unsigned *first,
			 unsigned *last)
{
	const uint64_t *old = (const uint64_t *)(const void *)before;
	const uint64_t *new = (const uint64_t *)(const void *)after;
	unsigned low = 0, high = PAGE_BYTES / sizeof(*old) - 1;

	while (old[low] == new[low]) {
		if (low++ == high)
			return false;
	}
	while (old[high] == new[high])
		high--;
	*first = low * 8 + (unsigned)__builtin_ctzll(old[low] ^ new[low]) / 8;
	*last = high * 8 + 7 - (unsigned)__builtin_clzll(old[high] ^ new[high]) / 8;
	return true;
}

static void tell(struct page_track *track, uint32_t cpu, gpa_t gpa, const uint8_t *bytes,
		 unsigned byte_count)
{
	for (struct page_track_notifier *n = track->notifiers; n != NULL; n = n->next) {
		if (n->written != NULL)
			n->written(n, cpu, gpa, bytes, byte_count);
	}
}

static void tell_written(struct page_track *track, struct page_track_writer *writer,
			 const struct page_track_open_frame *open, bool complete)
{
	unsigned first = open->offset, last = first, from, to;
	bool has_changed = find_changes(open->before, writer->after, &from, &to);
	bool is_rest = writer->partial == open->frame + open->offset;

	/* What was written over with the same value does not show: but that something was, is known. */
	if (!has_changed && !(complete && open->is_store && !is_rest))
		return;
	if (has_changed && !complete)
		writer->partial = open->frame + open->offset;
	if (has_changed) {
		/* A store begins where it faulted, unless it went downwards from there, or that is known. */
		first = open->is_store && !is_rest && from > open->offset ? open->offset : from;
		last = to > first ? to : first;
	}
	tell(track, writer->cpu, (gpa_t){ open->frame + first }, writer->after + first,
	     last - first + 1);
}

/* Or it has come to be while it was open: whoever added it may have been told that nothing goes unseen from now on. */
static bool is_told(const struct page_track_open_frame *open)
{
	return open->was_tracked || __atomic_load_n(&open->state->count, __ATOMIC_SEQ_CST) != 0;
}

void page_track_report(struct page_track *track, struct page_track_writer *writer, bool complete)
{
	for (unsigned i = 0; i < writer->count; i++) {
		if (is_told(&writer->open[i]) &&
		    guest_copy_in(writer->after, (gpa_t){ writer->open[i].frame }, PAGE_BYTES))
			tell_written(track, writer, &writer->open[i], complete);
	}
	if (complete)
		writer->partial = 0;
}

static void give_up(struct page_track *track, const struct page_track_writer *writer,
		    struct tdp_mmu *tdp, gpa_t gpa)
{
	struct page_track_region *region = find_region(track, gpa);
	struct page_track_frame *frame;

	if (region == NULL || frame_in(region, gpa)->writer != writer->cpu + 1)
		mm_panic("page_track: closing a frame that was not open");
	frame = frame_in(region, gpa);
	frame->writer = 0;
	if (frame->count == 0 && frame->is_closed)
		open_map(tdp, frame_of(gpa), frame);
	region->used -= !is_used(frame);
	drop_if_unused(track, region);
}

void page_track_close(struct page_track *track, struct page_track_writer *writer,
		      struct tdp_mmu *tdp)
{
	while (writer->count > 0)
		give_up(track, writer, tdp, (gpa_t){ writer->open[--writer->count].frame });
}

/* --- writing by the hypervisor ---------------------------------------------------------------------- */

enum page_track_result page_track_claim(struct page_track *track, struct page_track_writer *writer,
					gpa_t gpa)
{
	struct page_track_region *region = find_region(track, gpa);
	struct page_track_frame *frame;

	if (region == NULL)
		return PAGE_TRACK_UNTRACKED;
	frame = frame_in(region, gpa);
	if (frame->writer == writer->cpu + 1)
		return PAGE_TRACK_UNTRACKED;
	if (frame->writer != 0)
		return PAGE_TRACK_BUSY;
	if (frame->count == 0)
		return PAGE_TRACK_UNTRACKED;
	frame->writer = (uint16_t)(writer->cpu + 1);
	writer->has_claim = true;
	writer->claim = gpa;
	return PAGE_TRACK_OPEN;
}

void page_track_tell(struct page_track *track, const struct page_track_writer *writer, gpa_t gpa,
		     const uint8_t *bytes, unsigned byte_count)
{
	tell(track, writer->cpu, gpa, bytes, byte_count);
}

void page_track_release(struct page_track *track, struct page_track_writer *writer,
			struct tdp_mmu *tdp)
{
	writer->has_claim = false;
	give_up(track, writer, tdp, writer->claim);
}

/* --- telling ----------------------------------------------------------------------------------------- */

void page_track_added(struct page_track *track, uint32_t cpu, gpa_t gpa)
{
	for (struct page_track_notifier *n = track->notifiers; n != NULL; n = n->next) {
		if (n->added != NULL)
			n->added(n, cpu, (gpa_t){ frame_of(gpa) });
	}
}

void page_track_removed(struct page_track *track, uint32_t cpu, gpa_t gpa)
{
	for (struct page_track_notifier *n = track->notifiers; n != NULL; n = n->next) {
		if (n->removed != NULL)
			n->removed(n, cpu, (gpa_t){ frame_of(gpa) });
	}
}

void page_track_region_removed(struct page_track *track, uint32_t cpu, gpa_t start, uint64_t bytes)
{
	for (struct page_track_notifier *n = track->notifiers; n != NULL; n = n->next) {
		if (n->region_removed != NULL)
			n->region_removed(n, cpu, start, bytes);
	}
}

#endif
