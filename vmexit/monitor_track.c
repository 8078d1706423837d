/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/monitor_track.h"

#include "core/lock.h"
#include "core/string.h"
#include "vmexit/track.h"

#define RANGES	  8u
#define BYTES_MAX UINT64_C(0x400000)

static struct {
	_Atomic(uint32_t) lock;
	bool is_listening;
	unsigned count;
	struct monitor_track ranges[RANGES];
} tracked;

static void note(struct monitor_track *range, uint32_t cpu, uint64_t gpa, const uint8_t *bytes,
		 unsigned byte_count)
{
	unsigned kept = byte_count < sizeof(range->first) ? byte_count : sizeof(range->first);

	range->writes++;
	range->cpu = cpu;
	range->written_gpa = gpa;
	range->written_bytes = byte_count;
	memcpy(range->first, bytes, kept);
}

/* Whole frames are tracked: only what touches a range counts. */
static void note_written(uint32_t cpu, uint64_t gpa, const uint8_t *bytes, unsigned byte_count)
{
	lock_acquire(&tracked.lock);
	for (unsigned i = 0; i < tracked.count; i++) {
		struct monitor_track *range = &tracked.ranges[i];

		if (gpa < range->gpa + range->bytes && gpa + byte_count > range->gpa)
			note(range, cpu, gpa, bytes, byte_count);
	}
	lock_release(&tracked.lock);
}

#if CONFIG_PAGE_TRACK

static void written(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa, const uint8_t *bytes,
		    unsigned byte_count)
{
	(void)self;
	note_written(cpu, gpa.v, bytes, byte_count);
}

static struct page_track_notifier notifier = { .written = written };

#else

static struct page_track_notifier notifier;

#endif

/* Only who asks for it pays for it. */
static void listen(struct vm *vm)
{
	lock_acquire(&vm->lock);
	if (!tracked.is_listening)
		page_track_register(&vm->track, &notifier);
	tracked.is_listening = true;
	lock_release(&vm->lock);
}

static void remove_frames(struct vcpu *vcpu, uint64_t from, uint64_t to)
{
	for (; from < to; from += PAGE_BYTES)
		(void)track_remove(vcpu, (gpa_t){ from });
}

const char *monitor_track_add(struct vcpu *vcpu, uint64_t gpa, uint64_t bytes)
{
	uint64_t begin = ALIGN_DOWN(gpa, PAGE_BYTES), at;

	if (tracked.count == RANGES)
		return "there are 8 ranges already";
	if (bytes > BYTES_MAX || gpa > UINT64_MAX - bytes)
		return "at most 4 MiB";
	listen(vcpu->vm);
	for (at = begin; at < gpa + bytes; at += PAGE_BYTES) {
		if (track_add(vcpu, (gpa_t){ at }))
			continue;
		remove_frames(vcpu, begin, at);
		return "a part of it is no RAM of the guest's, or there is no more room to track";
	}
	lock_acquire(&tracked.lock);
	tracked.ranges[tracked.count++] = (struct monitor_track){ .gpa = gpa, .bytes = bytes };
	lock_release(&tracked.lock);
	return NULL;
}

void monitor_track_remove_all(struct vcpu *vcpu)
{
	unsigned count = tracked.count;

	for (unsigned i = 0; i < count; i++) {
		const struct monitor_track *range = &tracked.ranges[i];

		remove_frames(vcpu, ALIGN_DOWN(range->gpa, PAGE_BYTES), range->gpa + range->bytes);
	}
	lock_acquire(&tracked.lock);
	tracked.count = 0;
	lock_release(&tracked.lock);
}

bool monitor_track_get(unsigned number, struct monitor_track *track)
{
	bool is_there;

	lock_acquire(&tracked.lock);
	is_there = number < tracked.count;
	if (is_there)
		*track = tracked.ranges[number];
	lock_release(&tracked.lock);
	return is_there;
}
