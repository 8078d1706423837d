/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/debug_break.c vmexit/emulate_exit.c vmexit/track.c core/regs.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c
// sources: mm/page_table.c mm/page_format.c mm/memtype.c mm/pool.c mm/layout.c mm/guest_copy.c
/*
 * Breakpoints over a real guest-physical map: which pages are closed to fetches, what a CPU that comes there is told, and
 * breakpoints whose address is mapped only later. The guest's page tables are one array.
 */
#include "vmexit/debug_break.h"

#include "tests/unit/track_test.h"

#include "core/vendor.h"
#include "vmexit/debug_slot.h"
#include "vmexit/debug_target.h"
#include "vmexit/debug_watch.h"
#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/stop.h"

#define CODE	0x20000u
#define VIRTUAL UINT64_C(0xffffffff81000000)

/* Pages of the guest's linear addresses from VIRTUAL on: the frame, 0: not mapped. */
static uint64_t frames[4];
static unsigned stops, steps;
static enum stop_reason reason;

gva_t guest_linear_rip(struct vcpu *which)
{
	return (gva_t){ rip_read(which) };
}

bool guest_peek(struct vcpu *which, gva_t gva, gpa_t *gpa)
{
	uint64_t page = (gva.v - VIRTUAL) / PAGE_BYTES;

	assert_ptr_equal(which, &vcpu);
	if (page >= ARRAY_COUNT(frames) || frames[page] == 0)
		return false;
	*gpa = (gpa_t){ frames[page] + gva.v % PAGE_BYTES };
	return true;
}

bool debug_translate(unsigned cpu, uint64_t address, gpa_t *gpa)
{
	(void)cpu;
	return guest_peek(&vcpu, (gva_t){ address }, gpa);
}

void stop_want(struct vcpu *which, const struct stop_event *event)
{
	assert_ptr_equal(which, &vcpu);
	stops++;
	reason = event->reason;
}

void step_begin(struct vcpu *which, enum step_kind kind, gpa_t gpa)
{
	(void)gpa;
	assert_ptr_equal(which, &vcpu);
	assert_int_equal(kind, STEP_CODE);
	steps++;
}

/* The bytes at RIP, and what comes of their emulation. */
static struct insn next_insn;
static enum emulate_result emulated;
static unsigned emulations;

bool guest_fetch_insn(struct vcpu *which, struct insn *out)
{
	assert_ptr_equal(which, &vcpu);
	*out = next_insn;
	return true;
}

enum emulate_result emulate_insn(struct vcpu *which, const struct insn *insn,
				 const struct emulate_target *target)
{
	assert_ptr_equal(which, &vcpu);
	assert_true(insn->rep || insn->repne);
	assert_true(target->traps_strings);
	emulations++;
	return emulated;
}

const char *debug_watch_insert(struct vcpu *leader, unsigned cpu, uint64_t address, uint64_t bytes)
{
	(void)leader, (void)cpu, (void)address, (void)bytes;
	return "not here";
}

void debug_watch_remove(struct vcpu *leader, uint64_t address, uint64_t bytes)
{
	(void)leader, (void)address, (void)bytes;
}

void debug_watch_clear(struct vcpu *leader)
{
	(void)leader;
}

/* Of the debug registers, `slots_free` are. */
static unsigned slots_free;

const char *debug_slot_insert(struct vm *which, enum gdb_break kind, uint64_t address,
			      uint64_t bytes)
{
	(void)kind, (void)address, (void)bytes;
	assert_ptr_equal(which, &vm);
	if (slots_free == 0)
		return "none is left";
	slots_free--;
	return NULL;
}

bool debug_slot_remove(struct vm *which, enum gdb_break kind, uint64_t address, uint64_t bytes)
{
	(void)which, (void)kind, (void)address, (void)bytes;
	return false;
}

void debug_slot_clear(struct vm *which)
{
	(void)which;
}

static unsigned rights(uint64_t gpa)
{
	struct page_mapping mapping;

	assert_true(page_table_lookup(&vm.tdp.table, gpa, &mapping));
	return mapping.rights;
}

static int set_up(void **state)
{
	(void)state;
	debug_break_clear(&vcpu);
	track_set_up();
	memset(frames, 0, sizeof(frames));
	frames[0] = CODE;
	slots_free = 0;
	stops = steps = emulations = 0;
	next_insn = (struct insn){ 0 };
	vcpu.regs.available = ~UINT64_C(0);
	vcpu.regs.efer = EFER_LMA;
	vcpu.regs.segments[SEGMENT_CS].rights = SEGMENT_L;
	return 0;
}

static void insert(enum gdb_break kind, uint64_t address)
{
	assert_null(debug_break_insert(&vcpu, 0, kind, address, 1));
}

static void come_to(uint64_t rip, uint64_t faulting)
{
	vcpu.regs.rip = rip;
	assert_int_equal(debug_break_exit(&vcpu, (gpa_t){ faulting }), VERDICT_RESUME);
}

static void closed_and_open_again(void **state)
{
	(void)state;
	assert_false(debug_break_is_any());
	insert(GDB_BREAK_SOFTWARE, VIRTUAL + 5);
	insert(GDB_BREAK_SOFTWARE, VIRTUAL + 5);
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 77);
	assert_true(debug_break_is_page((gpa_t){ CODE + 0xfff }));
	assert_false(debug_break_is_page((gpa_t){ CODE + PAGE_BYTES }));
	assert_int_equal(rights(CODE), RIGHT_READ | RIGHT_WRITE);
	assert_int_equal(rights(CODE + PAGE_BYTES), RIGHT_ALL);
	assert_int_equal(all_flushes, 1);
	assert_null(debug_break_remove(&vcpu, GDB_BREAK_SOFTWARE, VIRTUAL + 5, 1));
	assert_int_equal(rights(CODE), RIGHT_READ | RIGHT_WRITE);
	assert_null(debug_break_remove(&vcpu, GDB_BREAK_HARDWARE, VIRTUAL + 77, 1));
	assert_null(debug_break_remove(&vcpu, GDB_BREAK_HARDWARE, VIRTUAL + 77, 1));
	assert_int_equal(rights(CODE), RIGHT_ALL);
	assert_false(debug_break_is_any());
	assert_non_null(debug_break_insert(&vcpu, 0, GDB_WATCH_READ, VIRTUAL, 8));
}

static void met_or_stepped(void **state)
{
	(void)state;
	frames[1] = CODE + 7 * PAGE_BYTES;
	insert(GDB_BREAK_SOFTWARE, VIRTUAL + PAGE_BYTES + 5);
	come_to(VIRTUAL + PAGE_BYTES + 4, frames[1] + 4);
	assert_int_equal(steps, 1);
	come_to(VIRTUAL + PAGE_BYTES + 5, frames[1] + 5);
	assert_int_equal(stops, 1);
	assert_int_equal(reason, STOP_SOFTWARE);
	/* An instruction of the page before reaches into it; then somebody else's page tables are loaded. */
	come_to(VIRTUAL + PAGE_BYTES - 1, frames[1]);
	frames[1] = 0;
	come_to(VIRTUAL + PAGE_BYTES + 5, CODE + 7 * PAGE_BYTES + 5);
	assert_int_equal(steps, 3);
	assert_int_equal(stops, 1);
	/* The same code under another address. */
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 9);
	frames[2] = CODE;
	come_to(VIRTUAL + 2 * PAGE_BYTES + 9, CODE + 9);
	assert_int_equal(stops, 2);
	assert_int_equal(reason, STOP_HARDWARE);
}

/* Many iterations at a time, but not those of a step that has begun. */
static void repeated(void **state)
{
	(void)state;
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 5);
	next_insn.rep = true;
	emulated = EMULATE_RESUME;
	come_to(VIRTUAL + 9, CODE + 9);
	emulated = EMULATE_DONE;
	assert_int_equal(debug_break_exit(&vcpu, (gpa_t){ CODE + 9 }), VERDICT_NEXT_INSN);
	assert_int_equal(emulations, 2);
	assert_int_equal(steps, 0);
	emulated = EMULATE_NATIVE;
	come_to(VIRTUAL + 9, CODE + 9);
	assert_int_equal(steps, 1);
	vcpu.step_kind = STEP_DEBUG;
	come_to(VIRTUAL + 9, CODE + 9);
	vcpu.step_kind = STEP_NONE;
	assert_int_equal(emulations, 3);
	assert_int_equal(steps, 2);
	come_to(VIRTUAL + 5, CODE + 5);
	assert_int_equal(stops, 1);
	assert_int_equal(emulations, 3);
}

static void mapped_later(void **state)
{
	(void)state;
	assert_non_null(
		debug_break_insert(&vcpu, 0, GDB_BREAK_SOFTWARE, VIRTUAL + 3 * PAGE_BYTES, 1));
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 3 * PAGE_BYTES + 1);
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 3 * PAGE_BYTES + 2);
	assert_true(debug_break_is_any());
	debug_break_resolve(&vcpu);
	assert_int_equal(all_flushes, 0);
	frames[3] = CODE + 5 * PAGE_BYTES;
	debug_break_resolve(&vcpu);
	assert_int_equal(rights(frames[3]), RIGHT_READ | RIGHT_WRITE);
	assert_int_equal(all_flushes, 1);
	/* It stays where it was found, whatever the tables say later. */
	frames[3] = CODE + 6 * PAGE_BYTES;
	debug_break_resolve(&vcpu);
	assert_int_equal(all_flushes, 1);
	frames[2] = CODE + 5 * PAGE_BYTES;
	come_to(VIRTUAL + 2 * PAGE_BYTES + 2, frames[2] + 2);
	assert_int_equal(stops, 1);
	debug_break_clear(&vcpu);
	assert_int_equal(rights(CODE + 5 * PAGE_BYTES), RIGHT_ALL);
	/* One that never was. */
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 64 * PAGE_BYTES);
	debug_break_clear(&vcpu);
	frames[3] = CODE;
	debug_break_resolve(&vcpu);
	assert_int_equal(rights(CODE), RIGHT_ALL);
}

/* No page is closed for one in a debug register; one that has a page keeps it. */
static void in_debug_registers(void **state)
{
	(void)state;
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 5);
	slots_free = 2;
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 5);
	assert_int_equal(slots_free, 2);
	insert(GDB_BREAK_HARDWARE, VIRTUAL + 3 * PAGE_BYTES);
	insert(GDB_WATCH_ACCESS, VIRTUAL + 8);
	assert_int_equal(slots_free, 0);
	assert_non_null(debug_break_insert(&vcpu, 0, GDB_WATCH_ACCESS, VIRTUAL, 8));
	assert_null(debug_break_remove(&vcpu, GDB_BREAK_HARDWARE, VIRTUAL + 5, 1));
	assert_false(debug_break_is_any());
	insert(GDB_BREAK_SOFTWARE, VIRTUAL + 5);
	assert_true(debug_break_is_any());
}

/* Both take a right away; whoever ends first gives back its own only. */
static void code_that_is_watched(void **state)
{
	bool changed;

	(void)state;
	track_frames(CODE, 1);
	insert(GDB_BREAK_SOFTWARE, VIRTUAL);
	assert_int_equal(rights(CODE), RIGHT_READ);
	assert_true(page_track_remove(&vm.track, &vm.tdp, (gpa_t){ CODE }));
	assert_int_equal(rights(CODE), RIGHT_READ | RIGHT_WRITE);
	assert_true(page_track_add(&vm.track, &vm.tdp, (gpa_t){ CODE }, &changed));
	debug_break_clear(&vcpu);
	assert_int_equal(rights(CODE), RIGHT_READ | RIGHT_EXEC);
	assert_true(page_track_remove(&vm.track, &vm.tdp, (gpa_t){ CODE }));
	assert_int_equal(rights(CODE), RIGHT_ALL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(closed_and_open_again, set_up),
		cmocka_unit_test_setup(met_or_stepped, set_up),
		cmocka_unit_test_setup(repeated, set_up),
		cmocka_unit_test_setup(mapped_later, set_up),
		cmocka_unit_test_setup(in_debug_registers, set_up),
		cmocka_unit_test_setup(code_that_is_watched, set_up),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
