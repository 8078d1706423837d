/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A real write tracker for the vCPU of guest_test.h, in memory beside the guest's. The notifier checks that what it is told
 * is what is in memory, and brings `told` up to date with it: at the end the two must be the same.
 */
#ifndef TESTS_UNIT_TRACK_TEST_H
#define TESTS_UNIT_TRACK_TEST_H

#include "tests/unit/guest_test.h"

#include "mm/page_track.h"
#include "vmexit/emulate_call.h"
#include "vmexit/nested_fault.h"
#include "vmexit/step.h"
#include "vmexit/track.h"

#define TRACK_ARENA_PAGES 256u
#define TRACK_ARENA_HPA	  UINT64_C(0x7c000000)
#define TRACK_WRITES_MAX  64u
#define NO_FRAME	  (~UINT64_C(0))

struct told_write {
	uint64_t gpa;
	unsigned count;
};

static struct vm vm;
static struct pool track_pool;
static uint8_t told[MEMORY_BYTES];
static struct told_write told_writes[TRACK_WRITES_MAX];
static unsigned told_count, told_bytes;

static void note_written(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa,
			 const uint8_t *bytes, unsigned byte_count)
{
	assert_int_equal(cpu, vcpu.index);
	assert_in_range(byte_count, 1, PAGE_BYTES - gpa.v % PAGE_BYTES);
	assert_memory_equal(bytes, memory + gpa.v, byte_count);
	memcpy(told + gpa.v, bytes, byte_count);
	if (told_count < TRACK_WRITES_MAX)
		told_writes[told_count] = (struct told_write){ gpa.v, byte_count };
	told_count++;
	told_bytes += byte_count;
}

static struct page_track_notifier track_notifier;

/* What vmexit/track.c asks others. */

static uint64_t emulated_frame;
static unsigned all_flushes;

bool emulate_call_is_page(gpa_t gpa)
{
	return ALIGN_DOWN(gpa.v, PAGE_BYTES) == emulated_frame;
}

void tdp_flush_all(struct vcpu *which)
{
	assert_int_equal(atomic_load(&which->vm->lock), 1);
	all_flushes++;
	for (uint32_t i = 0; i < FLUSH_MODEL_CPUS; i++)
		flush_model_flushed(&which->vm->tdp.model, i);
}

static inline void track_set_up(void)
{
	static uint8_t *arena;
	struct page_format format;

	if (arena == NULL)
		arena = aligned_alloc(PAGE_BYTES, TRACK_ARENA_PAGES * PAGE_BYTES);
	assert_non_null(arena);
	memset(&vm, 0, sizeof(vm));
	layout_init_at(arena, (hpa_t){ TRACK_ARENA_HPA }, TRACK_ARENA_PAGES * PAGE_BYTES);
	pool_init(&track_pool, "test", arena, TRACK_ARENA_PAGES);
	page_format_init(&format, PAGE_FORMAT_NPT, 4, 2, 40);
	assert_true(tdp_mmu_init(&vm.tdp, &format, &track_pool, NULL, UINT64_C(4) << 30,
				 UINT64_C(1) << 40));
	assert_true(page_track_init(&vm.track, &track_pool));
	track_notifier = (struct page_track_notifier){ .written = note_written };
	page_track_register(&vm.track, &track_notifier);
	emulated_frame = NO_FRAME;
	all_flushes = 0;
	vcpu.vm = &vm;
	assert_true(page_track_writer_init(&vcpu.track_writer, &track_pool, vcpu.index));
}

/* From now on each write to these frames is to be told. */
static inline void track_frames(uint64_t start, unsigned count)
{
	bool changed;

	for (unsigned i = 0; i < count; i++)
		assert_true(page_track_add(&vm.track, &vm.tdp, (gpa_t){ start + i * PAGE_BYTES },
					   &changed));
	memcpy(told, memory, MEMORY_BYTES);
	told_count = told_bytes = 0;
}

/* Nothing was lost, nothing is held, and the lock is free. */
static inline void expect_told_is_memory(uint64_t start, unsigned count)
{
	assert_memory_equal(told + start, memory + start, count * PAGE_BYTES);
	assert_false(page_track_is_writing(&vcpu.track_writer));
	assert_false(page_track_has_writer(&vm.track, (gpa_t){ 0 }, MEMORY_BYTES));
	assert_int_equal(atomic_load(&vm.lock), 0);
}

#endif
