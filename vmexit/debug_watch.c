/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_watch.h"

#include <stddef.h>

#include "core/gdb_target.h"
#include "mm/page_track.h"
#include "vmexit/debug_target.h"
#include "vmexit/stop.h"
#include "vmexit/track.h"

/* In pieces, each within one frame. */
#define PIECES_MAX 64u

static struct piece {
	uint64_t address, bytes; /* what was asked for, of which this is a part */
	gpa_t gpa;
	uint32_t count;
} pieces[PIECES_MAX];
static uint32_t piece_count;
static struct vm *machine;

static void written(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa, const uint8_t *bytes,
		    unsigned byte_count)
{
	(void)self;
	(void)bytes;
	for (uint32_t i = 0; i < piece_count; i++) {
		const struct piece *piece = &pieces[i];
		const struct stop_event event = { .reason = STOP_WATCH,
						  .watch = GDB_WATCH_WRITE,
						  .address = piece->address };

		if (gpa.v < piece->gpa.v + piece->count && piece->gpa.v < gpa.v + byte_count) {
			stop_want(machine->vcpus[cpu], &event);
			return;
		}
	}
}

/* Page tracking is told of us with the first one: nobody else runs, so that no list is being read. */
static void prepare(struct vcpu *leader)
{
	static struct page_track_notifier notifier = { .written = written };

	if (machine != NULL)
		return;
	machine = leader->vm;
	page_track_register(&machine->track, &notifier);
}

static bool is_of(const struct piece *piece, uint64_t address, uint64_t bytes)
{
	return piece->address == address && piece->bytes == bytes;
}

void debug_watch_remove(struct vcpu *leader, uint64_t address, uint64_t bytes)
{
	for (uint32_t i = piece_count; i-- > 0;) {
		gpa_t gpa = pieces[i].gpa;

		if (!is_of(&pieces[i], address, bytes))
			continue;
		pieces[i] = pieces[--piece_count];
		track_remove(leader, gpa);
	}
}

static const char *add_piece(struct vcpu *leader, unsigned cpu, struct piece *piece, uint64_t at)
{
	if (piece_count == PIECES_MAX)
		return "there are too many watchpoints";
	if (!debug_translate(cpu, at, &piece->gpa))
		return "the address is not mapped";
	if (!track_add(leader, piece->gpa))
		return "writes to that page cannot be watched";
	pieces[piece_count++] = *piece;
	return NULL;
}

const char *debug_watch_insert(struct vcpu *leader, unsigned cpu, uint64_t address, uint64_t bytes)
{
	struct piece piece = { .address = address, .bytes = bytes };
	const char *why = NULL;
	uint64_t done = 0;

	for (uint32_t i = 0; i < piece_count; i++) {
		if (is_of(&pieces[i], address, bytes))
			return NULL;
	}
	prepare(leader);
	while (done < bytes && why == NULL) {
		uint64_t room = PAGE_BYTES - (address + done) % PAGE_BYTES;

		piece.count = (uint32_t)(bytes - done < room ? bytes - done : room);
		why = add_piece(leader, cpu, &piece, address + done);
		done += piece.count;
	}
	if (why != NULL)
		debug_watch_remove(leader, address, bytes);
	return why;
}

void debug_watch_clear(struct vcpu *leader)
{
	while (piece_count > 0)
		debug_watch_remove(leader, pieces[0].address, pieces[0].bytes);
}
