/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/guest_physical.c vmexit/track.c mm/guest_copy.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c
// sources: mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c mm/layout.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c
/*
 * The hypervisor's own writes in the guest's name, alone and beside CPUs that step over writes of their own: what is told, in
 * the order in which it is told, is what is in memory.
 */
#include <pthread.h>
#include <sched.h>

#include "tests/unit/track_test.h"

#include "core/lock.h"
#include "vmexit/guest_physical.h"

#define FRAME  0x5000u
#define FRAMES 4u

static int set_up(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(memory, 0, MEMORY_BYTES);
	track_set_up();
	return 0;
}

/* --- one CPU ---------------------------------------------------------------------------------- */

static void exactly_its_bytes(void **state)
{
	(void)state;
	track_frames(FRAME, 2);
	/* in one frame, over the boundary of two, partly and wholly beside them */
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME + 5 }, "abc", 3));
	assert_int_equal(told_count, 1);
	assert_int_equal(told_writes[0].gpa, FRAME + 5);
	assert_int_equal(told_writes[0].count, 3);
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME + 0xffe }, "defgh", 5));
	assert_int_equal(told_count, 3);
	assert_int_equal(told_writes[1].count, 2);
	assert_int_equal(told_writes[2].gpa, FRAME + 0x1000);
	assert_int_equal(told_writes[2].count, 3);
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME + 0x1fff }, "xy", 2));
	assert_int_equal(told_count, 4);
	assert_int_equal(told_writes[3].count, 1);
	assert_int_equal(memory[FRAME + 0x2000], 'y');
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME - 8 }, "12345678", 8));
	assert_int_equal(told_count, 4);
	/* the same value again is a write as well */
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME + 5 }, "abc", 3));
	assert_int_equal(told_count, 5);
	/* what is no RAM takes nothing at all */
	assert_false(guest_physical_write(&vcpu, (gpa_t){ MEMORY_BYTES - 4 }, "12345678", 8));
	assert_int_equal(memory[MEMORY_BYTES - 4], 0);
	expect_told_is_memory(FRAME, 2);
}

static void an_entry_is_told_if_it_is_exchanged(void **state)
{
	const struct gva_reader reader = guest_physical_reader(&vcpu);
	uint64_t value = 0x1234;
	bool same;

	(void)state;
	memcpy(memory + FRAME + 8, &value, 8);
	track_frames(FRAME, 1);
	assert_true(
		reader.exchange(reader.context, (gpa_t){ FRAME + 8 }, 8, 0x1234, 0x9234, &same));
	assert_true(same);
	assert_int_equal(told_count, 1);
	assert_int_equal(told_writes[0].gpa, FRAME + 8);
	assert_int_equal(told_writes[0].count, 8);
	assert_true(reader.exchange(reader.context, (gpa_t){ FRAME + 8 }, 4, 0x1234, 1, &same));
	assert_false(same);
	assert_int_equal(told_count, 1);
	assert_true(reader.exchange(reader.context, (gpa_t){ FRAME + 8 }, 4, 0x9234, 7, &same));
	assert_true(same);
	assert_int_equal(told_writes[1].count, 4);
	assert_false(reader.exchange(reader.context, (gpa_t){ MEMORY_BYTES }, 8, 0, 1, &same));
	expect_told_is_memory(FRAME, 1);
}

/* In a step of this CPU's own, its report tells what was written to the frames that are open. */
static void in_a_step_of_its_own(void **state)
{
	(void)state;
	track_frames(FRAME, 1);
	vcpu.step_kind = STEP_TRACKED;
	assert_int_equal(page_track_open(&vm.track, &vcpu.track_writer, (gpa_t){ FRAME + 8 }, true),
			 PAGE_TRACK_OPEN);
	memory[FRAME + 8] = 1;
	memory[FRAME + 9] = 3;
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME + 9 }, "\2", 1));
	assert_int_equal(told_count, 0);
	track_close(&vcpu, true);
	assert_int_equal(told_count, 1);
	assert_int_equal(told_bytes, 2);
	expect_told_is_memory(FRAME, 1);
}

/* --- a frame that is removed while it is written to -------------------------------------------- */

static void removed_in_the_notifier(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa,
				    const uint8_t *bytes, unsigned byte_count)
{
	(void)self, (void)cpu, (void)bytes, (void)byte_count;
	told_count++;
	assert_true(track_remove(&vcpu, gpa)); /* does not wait for itself */
}

static void a_notifier_may_remove_the_frame(void **state)
{
	struct page_mapping mapping;

	(void)state;
	track_frames(FRAME, 1);
	track_notifier.written = removed_in_the_notifier;
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME }, "abc", 3));
	assert_int_equal(told_count, 1);
	assert_int_equal(vm.track.region_count, 0);
	assert_true(page_table_lookup(&vm.tdp.table, FRAME, &mapping));
	assert_int_equal(mapping.rights, RIGHT_ALL);
	assert_true(guest_physical_write(&vcpu, (gpa_t){ FRAME }, "def", 3));
	assert_int_equal(told_count, 1);
}

/* --- what cannot be tracked -------------------------------------------------------------------- */

static void another_ones_frames_are_refused(void **state)
{
	bool changed = false;

	(void)state;
	emulated_frame = FRAME;
	assert_false(track_add(&vcpu, (gpa_t){ FRAME + 5 }));
	emulated_frame = NO_FRAME;
	assert_true(tdp_mmu_protect(&vm.tdp, (gpa_t){ FRAME }, PAGE_BYTES, RIGHT_READ | RIGHT_EXEC,
				    &changed));
	assert_false(track_add(&vcpu, (gpa_t){ FRAME }));
	assert_int_equal(vm.track.region_count, 0);
	assert_true(tdp_mmu_protect(&vm.tdp, (gpa_t){ FRAME }, PAGE_BYTES, RIGHT_ALL, &changed));
	assert_true(track_add(&vcpu, (gpa_t){ FRAME }));
	assert_true(track_add(&vcpu, (gpa_t){ FRAME }));
	assert_int_equal(page_track_count(&vm.track, (gpa_t){ FRAME }), 2);
	assert_int_equal(all_flushes, 1);
}

/* Rights that come back need no flush: who adds a frame once more relies on nothing new. */
static void added_again_after_many_changes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * FLUSH_MODEL_CHANGES; i++)
		assert_true(track_add(&vcpu, (gpa_t){ FRAME + i * PAGE_BYTES }));
	flush_model_entered(&vm.tdp.model, 1);
	for (unsigned i = 1; i < 2 * FLUSH_MODEL_CHANGES; i++)
		assert_true(track_remove(&vcpu, (gpa_t){ FRAME + i * PAGE_BYTES }));
	all_flushes = 0;
	assert_true(track_add(&vcpu, (gpa_t){ FRAME }));
	assert_int_equal(all_flushes, 0);
}

/* --- many CPUs --------------------------------------------------------------------------------- */

#define THREADS	    4u
#define WRITE_BYTES 24u

struct other_cpu {
	struct vcpu vcpu;
	pthread_t thread;
	unsigned rounds;
	uint64_t random;
	uint64_t told, lost;
};

static struct other_cpu others[THREADS];
static uint32_t ticket; /* of notifications: those of one frame never overlap */
static uint32_t inside[FRAMES];
static _Atomic(uint32_t) overlaps, tears, epoch, is_over;

static uint64_t next_random(struct other_cpu *cpu)
{
	cpu->random = cpu->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return cpu->random >> 33;
}

/* No cmocka here: it fails by a jump that only the main thread may make. */
static void note_in_order(struct page_track_notifier *self, uint32_t cpu, gpa_t gpa,
			  const uint8_t *bytes, unsigned byte_count)
{
	unsigned frame = (unsigned)((gpa.v - FRAME) / PAGE_BYTES);

	(void)self;
	if (__atomic_fetch_add(&inside[frame], 1, __ATOMIC_SEQ_CST) != 0)
		atomic_fetch_add(&overlaps, 1);
	__atomic_fetch_add(&ticket, 1, __ATOMIC_RELAXED);
	if (memcmp(bytes, memory + gpa.v, byte_count) != 0)
		atomic_fetch_add(&tears, 1);
	memcpy(told + gpa.v, bytes, byte_count);
	others[cpu].told++;
	if (ticket % 64 == 0)
		sched_yield();
	__atomic_fetch_sub(&inside[frame], 1, __ATOMIC_SEQ_CST);
}

/* As a CPU in the guest that has met a closed frame. */
static void step_write(struct other_cpu *cpu, uint64_t gpa, const uint8_t *bytes, unsigned count)
{
	struct vcpu *v = &cpu->vcpu;
	enum page_track_result result;

	for (;;) {
		lock_acquire(&vm.lock);
		result = page_track_open(&vm.track, &v->track_writer, (gpa_t){ gpa }, true);
		if (result != PAGE_TRACK_BUSY)
			break;
		lock_release(&vm.lock);
		sched_yield();
	}
	if (result == PAGE_TRACK_UNTRACKED) { /* the CPU writes, and nobody has to see it */
		memcpy(memory + gpa, bytes, count);
		lock_release(&vm.lock);
		return;
	}
	lock_release(&vm.lock);
	for (unsigned i = 0; i < count; i++)
		*(volatile uint8_t *)(memory + gpa + i) = bytes[i];
	track_close(v, true);
}

static void write_anyhow(struct other_cpu *cpu, uint64_t gpa, const uint8_t *bytes, unsigned count)
{
	const struct gva_reader reader = guest_physical_reader(&cpu->vcpu);
	uint64_t value, wanted;
	bool same;

	switch (next_random(cpu) % 3) {
	case 0:
		step_write(cpu, gpa, bytes, count);
		break;
	case 1:
		(void)!guest_physical_write(&cpu->vcpu, (gpa_t){ gpa }, bytes, count);
		break;
	default:
		gpa = ALIGN_DOWN(gpa, 8);
		memcpy(&wanted, bytes, 8);
		do {
			(void)!reader.read(NULL, (gpa_t){ gpa }, 8, &value);
		} while (
			!reader.exchange(reader.context, (gpa_t){ gpa }, 8, value, wanted, &same) ||
			!same);
		break;
	}
}

static void *write_much(void *argument)
{
	struct other_cpu *cpu = argument;

	for (unsigned i = 0; i < cpu->rounds; i++) {
		uint64_t gpa = FRAME + next_random(cpu) % FRAMES * PAGE_BYTES +
			       next_random(cpu) % 48; /* the same bytes again and again */
		uint8_t bytes[WRITE_BYTES];

		for (unsigned k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)next_random(cpu);
		write_anyhow(cpu, gpa, bytes, 8 + (unsigned)(next_random(cpu) % 16));
	}
	return NULL;
}

static void start_others(void *(*function)(void *), unsigned rounds)
{
	track_notifier.written = note_in_order;
	overlaps = tears = epoch = is_over = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		struct other_cpu *cpu = &others[i];

		memset(cpu, 0, sizeof(*cpu));
		cpu->vcpu.vm = &vm;
		cpu->vcpu.index = i;
		cpu->rounds = rounds;
		cpu->random = i + 1;
		assert_true(page_track_writer_init(&cpu->vcpu.track_writer, &track_pool, i));
		assert_int_equal(pthread_create(&cpu->thread, NULL, function, cpu), 0);
	}
}

static void join_others(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(others[i].thread, NULL), 0);
	assert_int_equal(overlaps, 0);
	assert_int_equal(tears, 0);
}

static void the_order_of_telling_is_that_of_memory(void **state)
{
	uint64_t count = 0;

	(void)state;
	track_frames(FRAME, FRAMES);
	start_others(write_much, 20000);
	join_others();
	for (unsigned i = 0; i < THREADS; i++)
		count += others[i].told;
	assert_true(count >= 20000 * THREADS);
	expect_told_is_memory(FRAME, FRAMES);
}

static _Atomic(uint32_t) have_opened;

/* Its step's instruction is done; then it writes to what another CPU has open, who writes to what it has itself. */
static void *write_crosswise(void *argument)
{
	struct other_cpu *cpu = argument;
	uint32_t index = cpu->vcpu.index;
	uint64_t mine = FRAME + index * PAGE_BYTES;
	uint64_t next = FRAME + (index + 1) % THREADS * PAGE_BYTES;

	cpu->vcpu.step_kind = STEP_TRACKED;
	lock_acquire(&vm.lock);
	(void)page_track_open(&vm.track, &cpu->vcpu.track_writer, (gpa_t){ mine }, true);
	lock_release(&vm.lock);
	memory[mine] = 1;
	atomic_fetch_add(&have_opened, 1);
	while (atomic_load(&have_opened) < THREADS)
		sched_yield();
	(void)!guest_physical_write(&cpu->vcpu, (gpa_t){ next + 8 }, "\2", 1);
	track_close(&cpu->vcpu, true);
	return NULL;
}

static void nobody_waits_in_a_circle(void **state)
{
	(void)state;
	_Static_assert(THREADS == FRAMES, "each has one");
	have_opened = 0;
	track_frames(FRAME, FRAMES);
	start_others(write_crosswise, 0);
	join_others();
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(others[i].told, 2);
	expect_told_is_memory(FRAME, FRAMES);
}

/* --- frames that come and go under writers ------------------------------------------------------ */

static void *write_until_it_is_over(void *argument)
{
	struct other_cpu *cpu = argument;
	uint8_t bytes[8] = { 0 };

	while (atomic_load(&is_over) == 0) {
		uint32_t before = atomic_load(&epoch);
		uint64_t seen = cpu->told;

		bytes[0]++;
		write_anyhow(cpu, FRAME + 64 * cpu->vcpu.index, bytes, 8);
		if (before % 2 == 1 && before == atomic_load(&epoch) && cpu->told == seen)
			cpu->lost++;
		sched_yield();
	}
	return NULL;
}

static unsigned late;

static void note_removed(struct page_track_notifier *self, uint32_t cpu, gpa_t frame)
{
	(void)self, (void)cpu, (void)frame;
	late += inside[0] != 0;
}

static void note_region_removed(struct page_track_notifier *self, uint32_t cpu, gpa_t start,
				uint64_t bytes)
{
	(void)self, (void)cpu, (void)start, (void)bytes;
	late += inside[0] != 0;
}

/* After adding every write is told; after removing nobody is in the middle of telling. */
static void adding_and_removing_under_writers(void **state)
{
	(void)state;
	late = 0;
	track_notifier.removed = note_removed;
	track_notifier.region_removed = note_region_removed;
	vcpu.index = THREADS;
	vcpu.track_writer.cpu = THREADS;
	start_others(write_until_it_is_over, 0);
	for (unsigned i = 0; i < 400; i++) {
		assert_true(track_add(&vcpu, (gpa_t){ FRAME }));
		atomic_fetch_add(&epoch, 1);
		for (unsigned k = 0; k < 4; k++)
			sched_yield();
		atomic_fetch_add(&epoch, 1);
		if (i % 2 == 0)
			assert_true(track_remove(&vcpu, (gpa_t){ FRAME }));
		else
			assert_int_equal(
				track_remove_region(&vcpu, (gpa_t){ FRAME - 0x2000 }, 0x4000), 1);
		assert_false(page_track_has_writer(&vm.track, (gpa_t){ FRAME }, PAGE_BYTES));
	}
	atomic_store(&is_over, 1);
	join_others();
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(others[i].lost, 0);
		assert_true(others[i].told > 0);
	}
	assert_int_equal(late, 0);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(exactly_its_bytes),
		TEST(an_entry_is_told_if_it_is_exchanged),
		TEST(in_a_step_of_its_own),
		TEST(a_notifier_may_remove_the_frame),
		TEST(another_ones_frames_are_refused),
		TEST(added_again_after_many_changes),
		TEST(the_order_of_telling_is_that_of_memory),
		TEST(nobody_waits_in_a_circle),
		TEST(adding_and_removing_under_writers),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
