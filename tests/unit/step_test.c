/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/step.c vmexit/debug_step.c vmexit/track.c core/regs.c mm/tdp_view.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c
// sources: mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c mm/layout.c mm/guest_copy.c
/*
 * Native steps over instructions that need many frames, on a CPU that is the test: it faults at each frame that is closed in
 * the view it is given, and begins again when the step was given up.
 */
#include "vmexit/apic_access.h"

#include "tests/unit/track_test.h"

#include "arch/x86/apic.h"
#include "arch/x86/cr.h"
#include "core/log.h"
#include "vmexit/debug_break.h"
#include "vmexit/debug_step.h"
#include "vmexit/stop.h"

#define FIRST  0x20000u
#define FRAMES 40u

/* --- the CPU ---------------------------------------------------------------------------------- */

static hpa_t root;
static bool steps;
static unsigned warnings;

static void set_tdp_root(struct vcpu *which, hpa_t to)
{
	assert_ptr_equal(which, &vcpu);
	root = to;
}

static void flush_tdp(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
}

static void set_single_step(struct vcpu *which, bool on)
{
	assert_ptr_equal(which, &vcpu);
	steps = on;
}

static void activity_changed(struct vcpu *which);

static const struct vendor_ops ops = {
	.name = "fake",
	.set_tdp_root = set_tdp_root,
	.flush_tdp = flush_tdp,
	.set_single_step = set_single_step,
	.activity_changed = activity_changed,
};

void apic_register_write(struct vcpu *which, uint32_t reg, uint32_t value)
{
	(void)which, (void)reg, (void)value;
	fail();
}

uint32_t apic_read(volatile uint8_t *page, uint32_t reg)
{
	(void)page, (void)reg;
	fail();
	return 0;
}

void log_write(enum boot_log_level level, const char *format, ...)
{
	(void)level, (void)format;
	warnings++;
}

static unsigned stops, wakings;
static uint64_t code_frame = ~UINT64_C(0);

void stop_want(struct vcpu *which, const struct stop_event *event)
{
	assert_ptr_equal(which, &vcpu);
	assert_int_equal(event->reason, STOP_STEP);
	stops++;
}

bool debug_break_is_page(gpa_t gpa)
{
	return ALIGN_DOWN(gpa.v, PAGE_BYTES) == code_frame;
}

static void activity_changed(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	wakings++;
}

static unsigned rights_in_view(uint64_t gpa)
{
	struct page_table table = vm.tdp.table;
	struct page_mapping mapping;

	table.root = hpa_to_ptr(root);
	return page_table_lookup(&table, gpa, &mapping) ? mapping.rights : 0;
}

static bool is_writable(uint64_t gpa)
{
	struct page_table table = vm.tdp.table;
	struct page_mapping mapping;

	table.root = hpa_to_ptr(root);
	return page_table_lookup(&table, gpa, &mapping) && (mapping.rights & RIGHT_WRITE) != 0;
}

/* One instruction that marks an entry in each of `count` tables, from the top each time. How often it began. */
static unsigned execute(unsigned count)
{
	unsigned beginnings = 0, i;

	do {
		if (++beginnings == 100)
			fail_msg("it does not get done");
		for (i = 0; i < count; i++) {
			uint64_t gpa = FIRST + i * PAGE_BYTES + 8 * i;

			if (!is_writable(gpa)) {
				step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ gpa });
				if (vcpu.step_kind == STEP_NONE)
					break;
			}
			assert_true(is_writable(gpa));
			memory[gpa] ^= 0x20;
		}
	} while (i < count);
	if (vcpu.step_kind != STEP_NONE)
		assert_int_equal(step_exit(&vcpu), VERDICT_RESUME);
	assert_false(steps);
	assert_int_equal(root.v, ptr_to_hpa(vm.tdp.table.root).v);
	return beginnings;
}

static unsigned regions;

static void note_region(struct page_track_notifier *self, uint32_t cpu, gpa_t start, uint64_t bytes)
{
	(void)self, (void)cpu;
	assert_int_equal(bytes, PAGE_BYTES);
	assert_int_equal(page_track_count(&vm.track, start), 0);
	regions++;
}

static int set_up(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(memory, 0, MEMORY_BYTES);
	vcpu.regs.available = ~UINT64_C(0);
	vendor = &ops;
	track_set_up();
	track_notifier.region_removed = note_region;
	assert_true(tdp_view_init(&vcpu.step_view, &track_pool));
	vcpu.step_scratch = pool_alloc(&track_pool);
	root = ptr_to_hpa(vm.tdp.table.root);
	steps = false;
	warnings = regions = 0;
	return 0;
}

/* As many as can be open at once: done in one go, and each mark is told. */
static void all_that_fit(void **state)
{
	(void)state;
	track_frames(FIRST, FRAMES);
	assert_int_equal(execute(PAGE_TRACK_FRAMES), 1);
	assert_int_equal(told_count, PAGE_TRACK_FRAMES);
	assert_int_equal(told_bytes, PAGE_TRACK_FRAMES);
	assert_int_equal(regions, 0);
	expect_told_is_memory(FIRST, FRAMES);
}

/* More than that: tracking gives way, in the open, and the instruction gets done. */
static void more_than_fit(void **state)
{
	(void)state;
	track_frames(FIRST, FRAMES);
	assert_in_range(execute(PAGE_TRACK_FRAMES + 3), 2, 8);
	assert_int_equal(regions, 3);
	assert_int_equal(warnings, 3);
	for (unsigned i = 0; i < FRAMES; i++)
		assert_int_equal(page_track_count(&vm.track, (gpa_t){ FIRST + i * PAGE_BYTES }),
				 i < PAGE_TRACK_FRAMES || i >= PAGE_TRACK_FRAMES + 3);
	expect_told_is_memory(FIRST, PAGE_TRACK_FRAMES);
	/* the next one finds a view that knows none of that */
	assert_int_equal(execute(PAGE_TRACK_FRAMES), 1);
	assert_int_equal(regions, 3);
}

/* A change of the map in the middle makes it begin again, and costs nothing else. */
static void a_change_in_the_middle(void **state)
{
	bool changed = false;

	(void)state;
	track_frames(FIRST, 4);
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ FIRST });
	assert_true(is_writable(FIRST));
	memory[FIRST] = 1;
	assert_true(tdp_mmu_protect(&vm.tdp, (gpa_t){ 0x80000 }, PAGE_BYTES, RIGHT_READ, &changed));
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ FIRST + PAGE_BYTES });
	assert_int_equal(vcpu.step_kind, STEP_NONE);
	assert_int_equal(regions, 0);
	assert_false(is_writable(FIRST));
	expect_told_is_memory(FIRST, 4);
	assert_int_equal(execute(4), 1);
	expect_told_is_memory(FIRST, 4);
}

/* An exit of the instruction's own ends its step: nothing is open, what was marked is told. */
static void dropped_frames(void **state)
{
	(void)state;
	track_frames(FIRST, 4);
	step_drop_frames(&vcpu);
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ FIRST });
	memory[FIRST + 77] = 5;
	step_drop_frames(&vcpu);
	assert_int_equal(vcpu.step_kind, STEP_NONE);
	assert_int_equal(told_bytes, 1);
	assert_false(is_writable(FIRST));
	assert_false(steps);
	expect_told_is_memory(FIRST, 4);
}

/* --- the debugger's ---------------------------------------------------------------------------- */

static void begin_debug_steps(uint64_t rflags, uint64_t from, uint64_t to)
{
	stops = wakings = 0;
	vcpu.regs.available = ~UINT64_C(0);
	vcpu.regs.rip = 0x1000;
	vcpu.regs.rflags = rflags;
	vcpu.regs.interrupt_shadow = 0;
	vcpu.events.pending.valid = false;
	debug_step_set(&vcpu, true, from, to);
	debug_step_look(&vcpu);
	assert_int_equal(vcpu.step_kind, STEP_DEBUG);
	assert_true(steps);
	assert_int_equal(stops, 0);
}

static void begin_debug_step(uint64_t rflags)
{
	begin_debug_steps(rflags, 0, 0);
}

static void expect_stop(void)
{
	debug_step_look(&vcpu);
	assert_int_equal(stops, 1);
	assert_int_equal(wakings, 1);
	assert_int_equal(vcpu.step_kind, STEP_NONE);
	assert_int_equal(vcpu.debug_step, DEBUG_STEP_NONE);
	assert_false(steps);
	/* Once. */
	debug_step_look(&vcpu);
	assert_int_equal(stops, 1);
}

static void expect_not_done(void)
{
	debug_step_look(&vcpu);
	assert_int_equal(stops, 0);
	assert_int_equal(vcpu.step_kind, STEP_DEBUG);
}

static void debug_step_native(void **state)
{
	(void)state;
	begin_debug_step(RFLAGS_FIXED);
	expect_not_done(); /* an exit that has nothing to do with it */
	assert_int_equal(step_exit(&vcpu), VERDICT_RESUME);
	assert_true((atomic_load(&vcpu.kick.reasons) & KICK_DEBUG) != 0);
	expect_stop(); /* also where RIP is the same: a branch to itself, an iteration */
}

static void debug_step_of_a_handler(void **state)
{
	(void)state;
	begin_debug_step(RFLAGS_FIXED);
	vcpu.regs.rip += 2;
	expect_stop();
}

/* The instruction writes to a tracked frame: another step executes it. */
static void debug_step_over_a_frame(void **state)
{
	(void)state;
	track_frames(FIRST, 1);
	begin_debug_step(RFLAGS_FIXED);
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ FIRST });
	assert_int_equal(vcpu.step_kind, STEP_TRACKED_WALK);
	debug_step_look(&vcpu);
	assert_int_equal(vcpu.step_kind, STEP_TRACKED_WALK);
	/* That one is given up, and the instruction begins again. */
	step_drop_frames(&vcpu);
	expect_not_done();
	step_begin(&vcpu, STEP_TRACKED_WALK, (gpa_t){ FIRST });
	assert_int_equal(step_exit(&vcpu), VERDICT_RESUME);
	expect_stop();
}

/* It ends at the first instruction of the handler, not before the delivery. */
static void debug_step_into_a_handler(void **state)
{
	(void)state;
	begin_debug_step(RFLAGS_FIXED);
	step_abandon(&vcpu);
	vcpu.events.pending.valid = true;
	expect_not_done();
	vcpu.events.pending.valid = false;
	assert_int_equal(step_exit(&vcpu), VERDICT_RESUME);
	expect_stop();
}

static void debug_step_holds_interrupts(void **state)
{
	(void)state;
	begin_debug_step(RFLAGS_FIXED | RFLAGS_IF);
	assert_int_equal(vcpu.regs.interrupt_shadow, SHADOW_STI);
	step_abandon(&vcpu);
	begin_debug_step(RFLAGS_FIXED);
	assert_int_equal(vcpu.regs.interrupt_shadow, 0);
	step_abandon(&vcpu);
	begin_debug_step(RFLAGS_FIXED | RFLAGS_IF | RFLAGS_TF);
	assert_int_equal(vcpu.regs.interrupt_shadow, 0);
	step_abandon(&vcpu);
	debug_step_set(&vcpu, false, 0, 0);
}

/* One native step has ended, at this address. */
static void step_to(uint64_t rip)
{
	assert_int_equal(vcpu.step_kind, STEP_DEBUG);
	vcpu.regs.rip = rip;
	vcpu.regs.interrupt_shadow = 0;
	assert_int_equal(step_exit(&vcpu), VERDICT_RESUME);
	assert_true((atomic_load(&vcpu.kick.reasons) & KICK_DEBUG) != 0);
}

static void debug_step_through_a_range(void **state)
{
	(void)state;
	begin_debug_steps(RFLAGS_FIXED | RFLAGS_IF, 0x1000, 0x1010);
	/* Its ends; a branch to itself; a handler that does an instruction. */
	for (unsigned i = 0; i < 3; i++) {
		static const uint64_t inside[] = { 0x100f, 0x1000, 0x1000 };

		step_to(inside[i]);
		expect_not_done();
		assert_true(steps);
		assert_int_equal(vcpu.regs.interrupt_shadow, SHADOW_STI);
	}
	vcpu.regs.rip += 2;
	expect_not_done();
	step_to(0x1010);
	wakings = 0;
	expect_stop();
	/* One is done wherever that is. */
	begin_debug_steps(RFLAGS_FIXED, 0x2000, 0x2010);
	step_to(0x2000);
	expect_not_done();
	step_to(0x1fff);
	wakings = 0;
	expect_stop();
}

/* Whatever else is a reason to stop ends it, in its middle as well. */
static void debug_step_through_a_range_ends(void **state)
{
	(void)state;
	begin_debug_steps(RFLAGS_FIXED, 0x1000, 0x1010);
	vcpu.stop_event.reason = STOP_WATCH;
	step_to(0x1004);
	debug_step_look(&vcpu);
	assert_int_equal(vcpu.step_kind, STEP_NONE);
	assert_int_equal(stops, 0);
	/* If that was nothing for the debugger, it goes on; the last one is told of, and is not made again. */
	vcpu.stop_event.reason = STOP_NONE;
	expect_not_done();
	vcpu.stop_event.reason = STOP_ASKED;
	step_to(0x1010);
	debug_step_look(&vcpu);
	assert_int_equal(stops, 0);
	vcpu.stop_event.reason = STOP_NONE;
	wakings = 0;
	expect_stop();
	/* It is forgotten when another one is asked for. */
	vcpu.stop_event.reason = STOP_STEP;
	begin_debug_step(RFLAGS_FIXED);
	assert_int_equal(vcpu.stop_event.reason, STOP_NONE);
	step_abandon(&vcpu);
	/* The next one is a single step again. */
	begin_debug_step(RFLAGS_FIXED);
	step_to(0x1004);
	expect_stop();
}

/* A frame that is closed to fetches, and tracked: the instruction may lie there and write there. */
static void code_in_a_tracked_frame(void **state)
{
	bool changed;

	(void)state;
	code_frame = FIRST;
	track_frames(FIRST, 1);
	assert_true(tdp_mmu_protect(&vm.tdp, (gpa_t){ FIRST }, PAGE_BYTES, RIGHT_READ, &changed));
	step_begin(&vcpu, STEP_CODE, (gpa_t){ FIRST + 5 });
	assert_int_equal(rights_in_view(FIRST), RIGHT_READ | RIGHT_EXEC);
	step_begin(&vcpu, STEP_TRACKED, (gpa_t){ FIRST + 9 });
	assert_int_equal(rights_in_view(FIRST), RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC);
	memory[FIRST + 9] = 7;
	assert_int_equal(step_exit(&vcpu), VERDICT_RESUME);
	assert_int_equal(rights_in_view(FIRST), RIGHT_READ);
	assert_int_equal(told_bytes, 1);
	code_frame = ~UINT64_C(0);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_that_fit),
		TEST(more_than_fit),
		TEST(a_change_in_the_middle),
		TEST(dropped_frames),
		TEST(debug_step_native),
		TEST(debug_step_of_a_handler),
		TEST(debug_step_over_a_frame),
		TEST(debug_step_into_a_handler),
		TEST(debug_step_holds_interrupts),
		TEST(debug_step_through_a_range),
		TEST(debug_step_through_a_range_ends),
		TEST(code_in_a_tracked_frame),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
