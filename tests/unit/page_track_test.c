/* SPDX-License-Identifier: BSD-2-Clause */
// sources: mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c
// sources: mm/layout.c mm/guest_copy.c
/*
 * Tracking against a plain model: counts of frames, and CPUs that write to them in pieces, in any order. What the
 * notifier is told, applied to a copy of the memory, is the memory.
 */
#include "tests/unit/mm_test.h"

#include "mm/guest_copy.h"
#include "mm/page_track.h"

#define RAM_BASE  UINT64_C(0x40000000)
#define RAM_BYTES (UINT64_C(6) << 20)
#define CPUS	  4u
#define FRAMES	  16u

struct fixture {
	struct pool pool;
	struct tdp_mmu tdp;
	struct page_track track;
	struct page_track_notifier notifier;
	struct page_track_writer writers[CPUS];
	unsigned added, removed, regions, writes;
	uint64_t bytes_told;
	gpa_t last;
	unsigned last_count;
	uint32_t last_cpu;
};

static struct fixture f;
static uint8_t *ram;
/* What the notifier has said. */
static uint8_t copy[RAM_BYTES];

static void added(struct page_track_notifier *self, uint32_t cpu, gpa_t frame)
{
	assert_ptr_equal(self, &f.notifier);
	assert_int_equal(frame.v % PAGE_BYTES, 0);
	f.added++;
}

static void removed(struct page_track_notifier *self, uint32_t cpu, gpa_t frame)
{
	assert_int_equal(frame.v % PAGE_BYTES, 0);
	f.removed++;
}

static void region_removed(struct page_track_notifier *self, uint32_t cpu, gpa_t start,
			   uint64_t bytes)
{
	f.regions++;
}

static void written(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa, const uint8_t *bytes,
		    unsigned byte_count)
{
	assert_in_range(byte_count, 1, PAGE_BYTES - gpa.v % PAGE_BYTES);
	assert_memory_equal(bytes, ram + (gpa.v - RAM_BASE), byte_count);
	memcpy(copy + (gpa.v - RAM_BASE), bytes, byte_count);
	f.writes++;
	f.bytes_told += byte_count;
	f.last = gpa;
	f.last_count = byte_count;
	f.last_cpu = cpu;
}

static void setup(uint64_t pages)
{
	struct page_format format;

	memset(&f, 0, sizeof(f));
	arena_make(&f.pool, pages);
	free(ram);
	ram = aligned_alloc(PAGE_BYTES, RAM_BYTES);
	assert_non_null(ram);
	memset(ram, 0, RAM_BYTES);
	memset(copy, 0, sizeof(copy));
	guest_copy_window = (uint8_t *)((uintptr_t)ram - RAM_BASE);
	guest_copy_reset();
	assert_true(guest_copy_add_ram(RAM_BASE, RAM_BYTES));
	assert_true(page_track_init(&f.track, &f.pool));
	for (unsigned i = 0; i < CPUS; i++)
		assert_true(page_track_writer_init(&f.writers[i], &f.pool, i));
	page_format_init(&format, PAGE_FORMAT_NPT, 4, 2, 40);
	assert_true(
		tdp_mmu_init(&f.tdp, &format, &f.pool, NULL, UINT64_C(8) << 30, UINT64_C(1) << 40));
	f.notifier = (struct page_track_notifier){
		.added = added,
		.removed = removed,
		.written = written,
		.region_removed = region_removed,
	};
	page_track_register(&f.track, &f.notifier);
}

static unsigned rights_at(uint64_t gpa)
{
	struct page_mapping mapping;

	return page_table_lookup(&f.tdp.table, gpa, &mapping) ? mapping.rights : 0;
}

static bool add(uint64_t gpa)
{
	bool changed = false;

	return page_track_add(&f.track, &f.tdp, (gpa_t){ gpa }, &changed);
}

static bool take(uint64_t gpa)
{
	return page_track_remove(&f.track, &f.tdp, (gpa_t){ gpa });
}

/* --- counting --- */

static void random_counts(void **state)
{
	static uint16_t counts[RAM_BYTES / PAGE_BYTES];
	uint64_t start_pages;

	(void)state;
	setup(200);
	memset(counts, 0, sizeof(counts));
	start_pages = f.pool.free_pages;
	for (unsigned i = 0; i < test_rounds(20000); i++) {
		/* often whole 2 MiB, so that they merge while tracked as well */
		uint64_t page = random_below(i % 5000 < 2500 ? RAM_BYTES / PAGE_BYTES : 530);
		uint64_t gpa = RAM_BASE + page * PAGE_BYTES + random_below(PAGE_BYTES);
		unsigned tracked = 0;

		switch (random_below(i % 5000 < 4000 ? 3 : 7)) {
		case 0:
		case 1:
			assert_true(add(gpa));
			counts[page]++;
			break;
		case 2:
		case 3:
		case 4:
		case 5:
			assert_int_equal(take(gpa), counts[page] == 1);
			counts[page] -= counts[page] > 0;
			break;
		default:
			for (uint64_t k = page; k < page + 20 && k < ARRAY_COUNT(counts); k++) {
				tracked += counts[k] > 0;
				counts[k] = 0;
			}
			assert_int_equal(
				page_track_remove_region(&f.track, &f.tdp,
							 (gpa_t){ RAM_BASE + page * PAGE_BYTES },
							 20 * PAGE_BYTES),
				tracked);
			break;
		}
		if (i % 64 != 0)
			continue;
		for (page = 0; page < ARRAY_COUNT(counts); page++) {
			gpa = RAM_BASE + page * PAGE_BYTES;
			assert_int_equal(page_track_count(&f.track, (gpa_t){ gpa }), counts[page]);
			assert_int_equal(page_track_is_closed(&f.track, (gpa_t){ gpa }),
					 counts[page] != 0);
			assert_int_equal(rights_at(gpa),
					 counts[page] ? RIGHT_ALL & ~RIGHT_WRITE : RIGHT_ALL);
		}
		assert_int_equal(rights_at(RAM_BASE - PAGE_BYTES), RIGHT_ALL);
		assert_int_equal(rights_at(RAM_BASE + RAM_BYTES), RIGHT_ALL);
		tdp_mmu_flushed(&f.tdp);
	}
	page_track_remove_region(&f.track, &f.tdp, (gpa_t){ 0 }, UINT64_C(1) << 40);
	tdp_mmu_flushed(&f.tdp);
	assert_int_equal(f.pool.free_pages, start_pages);
	assert_int_equal(f.track.pool.free_pages, PAGE_TRACK_REGIONS);
	assert_int_equal(f.track.region_count, 0);
}

static void what_is_refused_changes_nothing(void **state)
{
	uint64_t digest;

	(void)state;
	setup(200);
	assert_false(add(RAM_BASE - PAGE_BYTES)); /* no RAM */
	assert_false(add(RAM_BASE + RAM_BYTES));
	assert_false(take(RAM_BASE));
	assert_int_equal(f.track.region_count, 0);
	for (unsigned i = 0; i < PAGE_TRACK_COUNT_MAX; i++)
		assert_true(add(RAM_BASE + 5));
	assert_false(add(RAM_BASE));
	assert_int_equal(page_track_count(&f.track, (gpa_t){ RAM_BASE }), PAGE_TRACK_COUNT_MAX);
	/* no page for the region */
	f.track.pool.free_pages = 0;
	while (pool_alloc(&f.track.pool) != NULL)
		;
	digest = arena_digest();
	assert_false(add(RAM_BASE + LARGE_PAGE_BYTES));
	assert_int_equal(arena_digest(), digest);
	/* none for the table */
	setup(200);
	while (f.pool.free_pages > 1)
		assert_non_null(pool_alloc(&f.pool));
	assert_false(add(RAM_BASE));
	assert_int_equal(f.track.region_count, 0);
	assert_int_equal(rights_at(RAM_BASE), RIGHT_ALL);
}

/* All of a large leaf tracked and merged, and no page left to split it: it opens as the pages come back. */
static void opens_late_without_pages(void **state)
{
	void *kept[8];
	unsigned count = 0;
	gpa_t gpa = { RAM_BASE + 7 * PAGE_BYTES };

	(void)state;
	setup(200);
	for (uint64_t page = 0; page < 512; page++)
		assert_true(add(RAM_BASE + page * PAGE_BYTES));
	tdp_mmu_flushed(&f.tdp);
	while (f.pool.free_pages > 0) {
		kept[count % 8] = pool_alloc(&f.pool);
		count++;
	}
	assert_true(take(gpa.v));
	assert_int_equal(page_track_count(&f.track, gpa), 0);
	assert_true(page_track_is_closed(&f.track, gpa));
	/* a write goes through meanwhile, and nobody is told */
	assert_int_equal(page_track_open(&f.track, &f.writers[0], gpa, true), PAGE_TRACK_OPEN);
	ram[7 * PAGE_BYTES] = 1;
	page_track_report(&f.track, &f.writers[0], true);
	page_track_close(&f.track, &f.writers[0], &f.tdp);
	assert_int_equal(f.writes, 0);
	assert_true(page_track_is_closed(&f.track, gpa));
	pool_free(&f.pool, kept[0]);
	assert_int_equal(page_track_open(&f.track, &f.writers[0], gpa, true), PAGE_TRACK_OPEN);
	page_track_close(&f.track, &f.writers[0], &f.tdp);
	assert_int_equal(page_track_open(&f.track, &f.writers[0], gpa, true), PAGE_TRACK_UNTRACKED);
	assert_int_equal(rights_at(gpa.v), RIGHT_ALL);
	assert_int_equal(rights_at(gpa.v + PAGE_BYTES), RIGHT_ALL & ~RIGHT_WRITE);
}

/* Somebody else's restriction is not lifted, neither for a write nor at the end. */
static void rights_from_before_come_back(void **state)
{
	bool changed = false;

	(void)state;
	setup(200);
	assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ RAM_BASE }, PAGE_BYTES, RIGHT_READ, &changed));
	assert_true(tdp_mmu_protect(&f.tdp, (gpa_t){ RAM_BASE + PAGE_BYTES }, PAGE_BYTES,
				    RIGHT_READ | RIGHT_WRITE, &changed));
	assert_true(add(RAM_BASE));
	assert_true(add(RAM_BASE + PAGE_BYTES));
	assert_false(page_track_is_closed(&f.track, (gpa_t){ RAM_BASE }));
	assert_int_equal(page_track_open(&f.track, &f.writers[0], (gpa_t){ RAM_BASE }, true),
			 PAGE_TRACK_UNTRACKED);
	assert_int_equal(rights_at(RAM_BASE + PAGE_BYTES), RIGHT_READ);
	assert_true(take(RAM_BASE));
	assert_true(take(RAM_BASE + PAGE_BYTES));
	assert_int_equal(rights_at(RAM_BASE), RIGHT_READ);
	assert_int_equal(rights_at(RAM_BASE + PAGE_BYTES), RIGHT_READ | RIGHT_WRITE);
}

/* --- telling --- */

static void notifiers_are_told(void **state)
{
	(void)state;
	setup(200);
	page_track_added(&f.track, 0, (gpa_t){ RAM_BASE + 5 });
	page_track_removed(&f.track, 0, (gpa_t){ RAM_BASE + 5 });
	page_track_region_removed(&f.track, 0, (gpa_t){ RAM_BASE }, PAGE_BYTES);
	assert_int_equal(f.added, 1);
	assert_int_equal(f.removed, 1);
	assert_int_equal(f.regions, 1);
	/* one that wants to know nothing */
	memset(&f.notifier, 0, sizeof(f.notifier));
	page_track_added(&f.track, 0, (gpa_t){ RAM_BASE });
	page_track_removed(&f.track, 0, (gpa_t){ RAM_BASE });
	page_track_region_removed(&f.track, 0, (gpa_t){ RAM_BASE }, PAGE_BYTES);
}

/* One write by CPU 1, and what was told of it. */
static void write_one(uint64_t gpa, const void *bytes, unsigned count, bool is_store, bool complete)
{
	struct page_track_writer *writer = &f.writers[1];

	f.writes = 0;
	assert_int_equal(page_track_open(&f.track, writer, (gpa_t){ gpa }, is_store),
			 PAGE_TRACK_OPEN);
	memcpy(ram + (gpa - RAM_BASE), bytes, count);
	page_track_report(&f.track, writer, complete);
	page_track_close(&f.track, writer, &f.tdp);
}

static void the_range_of_a_write(void **state)
{
	uint64_t gpa = RAM_BASE + 0x1ffd;

	(void)state;
	setup(200);
	assert_true(add(RAM_BASE + 0x1000));
	write_one(gpa, "abc", 3, true, true);
	assert_int_equal(f.writes, 1);
	assert_int_equal(f.last.v, gpa);
	assert_int_equal(f.last_count, 3);
	assert_int_equal(f.last_cpu, 1);
	/* the same value: that it was written is known, not how much */
	write_one(gpa, "abc", 3, true, true);
	assert_int_equal(f.writes, 1);
	assert_int_equal(f.last.v, gpa);
	assert_int_equal(f.last_count, 1);
	/* the first bytes the same, the last ones the same */
	write_one(gpa, "abX", 3, true, true);
	assert_int_equal(f.last.v, gpa);
	assert_int_equal(f.last_count, 3);
	write_one(gpa, "YbX", 3, true, true);
	assert_int_equal(f.last_count, 1);
	/* a walk that set an accessed bit, and one that had nothing to set */
	write_one(gpa - 0x100, "\x20", 1, false, true);
	assert_int_equal(f.writes, 1);
	write_one(gpa - 0x100, "\x20", 1, false, true);
	assert_int_equal(f.writes, 0);
	/* given up half-way, with and without an effect */
	write_one(gpa, "ZbX", 3, true, false);
	assert_int_equal(f.writes, 1);
	write_one(gpa, "ZbX", 3, true, false);
	assert_int_equal(f.writes, 0);
	/* begins again after that, and writes all of it: the rest is news, or nothing is */
	write_one(gpa, "ZbQ", 3, true, true);
	assert_int_equal(f.writes, 1);
	assert_int_equal(f.last.v, gpa + 2);
	assert_int_equal(f.last_count, 1);
	write_one(gpa, "qrs", 3, true, false);
	write_one(gpa, "qrs", 3, true, true);
	assert_int_equal(f.writes, 0);
	write_one(gpa, "qrs", 3, true, true);
	assert_int_equal(f.writes, 1);
	/* downwards from where it faulted */
	f.writes = 0;
	assert_int_equal(page_track_open(&f.track, &f.writers[2], (gpa_t){ gpa }, true),
			 PAGE_TRACK_OPEN);
	memcpy(ram + (gpa - 16 - RAM_BASE), "0123456789", 10);
	page_track_report(&f.track, &f.writers[2], true);
	page_track_close(&f.track, &f.writers[2], &f.tdp);
	assert_int_equal(f.last.v, gpa - 16);
	assert_int_equal(f.last_count, 10);
}

static void frames_of_one_instruction(void **state)
{
	struct page_track_writer *writer = &f.writers[0];

	(void)state;
	setup(200);
	for (unsigned i = 0; i < PAGE_TRACK_FRAMES + 2; i++)
		assert_true(add(RAM_BASE + i * PAGE_BYTES));
	for (unsigned i = 0; i < PAGE_TRACK_FRAMES; i++)
		assert_int_equal(page_track_open(&f.track, writer,
						 (gpa_t){ RAM_BASE + i * PAGE_BYTES }, true),
				 PAGE_TRACK_OPEN);
	assert_int_equal(page_track_open(&f.track, writer,
					 (gpa_t){ RAM_BASE + (PAGE_TRACK_FRAMES + 1) * PAGE_BYTES },
					 true),
			 PAGE_TRACK_FULL);
	/* others wait for these and for no other */
	assert_int_equal(page_track_open(&f.track, &f.writers[1], (gpa_t){ RAM_BASE }, true),
			 PAGE_TRACK_BUSY);
	assert_int_equal(page_track_open(&f.track, &f.writers[1],
					 (gpa_t){ RAM_BASE + (PAGE_TRACK_FRAMES + 1) * PAGE_BYTES },
					 true),
			 PAGE_TRACK_OPEN);
	assert_true(page_track_has_writer(&f.track, (gpa_t){ RAM_BASE }, 1));
	/* removed meanwhile: what was begun is still told, and the frame lives until then */
	assert_true(take(RAM_BASE));
	assert_int_equal(rights_at(RAM_BASE), RIGHT_ALL & ~RIGHT_WRITE);
	assert_int_equal(page_track_open(&f.track, &f.writers[1], (gpa_t){ RAM_BASE }, true),
			 PAGE_TRACK_BUSY);
	ram[0] = 9;
	f.writes = 0;
	page_track_report(&f.track, writer, true);
	assert_int_equal(f.writes, PAGE_TRACK_FRAMES);
	page_track_close(&f.track, writer, &f.tdp);
	assert_false(page_track_has_writer(&f.track, (gpa_t){ RAM_BASE }, 1));
	assert_int_equal(rights_at(RAM_BASE), RIGHT_ALL);
	page_track_close(&f.track, &f.writers[1], &f.tdp);
	page_track_close(&f.track, writer, &f.tdp); /* nothing open: nothing happens */
	page_track_remove_region(&f.track, &f.tdp, (gpa_t){ RAM_BASE }, RAM_BYTES);
	assert_int_equal(f.track.region_count, 0);
}

/* Open while it was not tracked, and added again before it is written to: whoever added it is told. */
static void added_to_while_open(void **state)
{
	struct page_track_writer *writer = &f.writers[0];
	void *page;

	(void)state;
	setup(200);
	for (uint64_t i = 0; i < 512; i++)
		assert_true(add(RAM_BASE + i * PAGE_BYTES));
	tdp_mmu_flushed(&f.tdp);
	page = NULL;
	while (f.pool.free_pages > 0)
		page = pool_alloc(&f.pool);
	assert_true(take(RAM_BASE)); /* stays closed: no page to split the leaf */
	assert_int_equal(page_track_open(&f.track, writer, (gpa_t){ RAM_BASE }, true),
			 PAGE_TRACK_OPEN);
	ram[8] = 1; /* nobody asked for this one */
	pool_free(&f.pool, page);
	assert_true(add(RAM_BASE));
	ram[9] = 2;
	page_track_report(&f.track, writer, true);
	page_track_close(&f.track, writer, &f.tdp);
	assert_int_equal(f.writes, 1);
	assert_int_equal(copy[9], 2);
	assert_true(page_track_is_closed(&f.track, (gpa_t){ RAM_BASE }));
}

/* The hypervisor's own writes take turns with the CPUs' steps, and open what was removed meanwhile. */
static void claims(void **state)
{
	struct page_track_writer *self = &f.writers[0], *other = &f.writers[1];
	gpa_t gpa = { RAM_BASE + 0x1008 };

	(void)state;
	setup(200);
	assert_int_equal(page_track_claim(&f.track, self, gpa), PAGE_TRACK_UNTRACKED);
	assert_true(add(gpa.v));
	assert_int_equal(page_track_claim(&f.track, self, (gpa_t){ RAM_BASE }),
			 PAGE_TRACK_UNTRACKED);
	assert_false(page_track_is_writing(self));
	assert_int_equal(page_track_claim(&f.track, self, gpa), PAGE_TRACK_OPEN);
	assert_true(page_track_is_writing(self));
	assert_true(page_track_has_writer(&f.track, (gpa_t){ 0 }, UINT64_C(1) << 40));
	assert_true(page_track_has_writer(&f.track, (gpa_t){ RAM_BASE + 0x1fff }, 1));
	assert_false(page_track_has_writer(&f.track, (gpa_t){ RAM_BASE }, PAGE_BYTES));
	assert_false(page_track_has_writer(&f.track, (gpa_t){ RAM_BASE + 0x2000 }, PAGE_BYTES));
	assert_false(page_track_has_writer(&f.track, (gpa_t){ 0 }, 0));
	assert_int_equal(page_track_claim(&f.track, other, gpa), PAGE_TRACK_BUSY);
	assert_int_equal(page_track_open(&f.track, other, gpa, true), PAGE_TRACK_BUSY);
	ram[0x1008] = 7;
	page_track_tell(&f.track, self, gpa, ram + 0x1008, 1);
	assert_int_equal(f.writes, 1);
	assert_int_equal(f.last.v, gpa.v);
	/* removed meanwhile: it opens with the claim's end */
	assert_true(take(gpa.v));
	assert_int_equal(rights_at(gpa.v), RIGHT_ALL & ~RIGHT_WRITE);
	page_track_release(&f.track, self, &f.tdp);
	assert_int_equal(rights_at(gpa.v), RIGHT_ALL);
	assert_int_equal(f.track.region_count, 0);
	/* open for a step: the other one's is waited for, one's own is not claimed again */
	assert_true(add(gpa.v));
	assert_int_equal(page_track_open(&f.track, other, gpa, true), PAGE_TRACK_OPEN);
	assert_int_equal(page_track_claim(&f.track, self, gpa), PAGE_TRACK_BUSY);
	assert_int_equal(page_track_claim(&f.track, other, gpa), PAGE_TRACK_UNTRACKED);
	assert_true(page_track_is_writing(other));
	page_track_close(&f.track, other, &f.tdp);
	assert_false(page_track_is_writing(other));
	expect_assert_failure(page_track_release(&f.track, self, &f.tdp));
}

/* --- many CPUs --- */

struct cpu_step {
	bool busy; /* a write is under way */
	uint64_t gpa;
	unsigned done, total; /* bytes */
	uint8_t bytes[64];
};

static void random_writers(void **state)
{
	static struct cpu_step steps[CPUS];
	uint64_t written_bytes = 0;

	(void)state;
	setup(200);
	memset(steps, 0, sizeof(steps));
	for (unsigned i = 0; i < FRAMES; i++)
		assert_true(add(RAM_BASE + i * PAGE_BYTES));
	for (unsigned i = 0; i < test_rounds(100000); i++) {
		unsigned cpu = (unsigned)random_below(CPUS);
		struct page_track_writer *writer = &f.writers[cpu];
		struct cpu_step *step = &steps[cpu];

		if (!step->busy) {
			step->total = 1 + (unsigned)random_below(64);
			step->gpa = RAM_BASE + random_below(FRAMES * PAGE_BYTES - 64);
			step->done = 0;
			if (random_below(3) == 0) /* across a boundary */
				step->gpa = ALIGN_DOWN(step->gpa, PAGE_BYTES) + PAGE_BYTES - 20;
			if (step->gpa + step->total > RAM_BASE + FRAMES * PAGE_BYTES)
				continue;
			step->busy = true;
		} else if (step->done < step->total) {
			/* one byte at a time, and at each new frame a fault */
			uint64_t at = step->gpa + step->done;
			bool is_open = false;
			enum page_track_result result = PAGE_TRACK_OPEN;

			for (unsigned k = 0; k < writer->count; k++)
				is_open = is_open ||
					  writer->open[k].frame == ALIGN_DOWN(at, PAGE_BYTES);
			if (!is_open)
				result = page_track_open(&f.track, writer, (gpa_t){ at }, true);
			if (result == PAGE_TRACK_BUSY && random_below(20) == 0) {
				/* gives up with part of it done, and begins again */
				page_track_report(&f.track, writer, false);
				page_track_close(&f.track, writer, &f.tdp);
				step->busy = false;
			}
			if (result != PAGE_TRACK_OPEN)
				continue;
			ram[at - RAM_BASE] ^= (uint8_t)(1 + random_below(255));
			step->done++;
			written_bytes++;
		} else {
			page_track_report(&f.track, writer, true);
			page_track_close(&f.track, writer, &f.tdp);
			step->busy = false;
		}
	}
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		page_track_report(&f.track, &f.writers[cpu], false);
		page_track_close(&f.track, &f.writers[cpu], &f.tdp);
	}
	assert_memory_equal(copy, ram, RAM_BYTES);
	/* every byte once: each had another value than before */
	assert_int_equal(f.bytes_told, written_bytes);
	assert_true(f.writes > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_counts),
		cmocka_unit_test(what_is_refused_changes_nothing),
		cmocka_unit_test(opens_late_without_pages),
		cmocka_unit_test(rights_from_before_come_back),
		cmocka_unit_test(notifiers_are_told),
		cmocka_unit_test(the_range_of_a_write),
		cmocka_unit_test(frames_of_one_instruction),
		cmocka_unit_test(added_to_while_open),
		cmocka_unit_test(claims),
		cmocka_unit_test(random_writers),
	};
	int failures = cmocka_run_group_tests(tests, NULL, NULL);

	free(arena);
	free(ram);
	return failures;
}
