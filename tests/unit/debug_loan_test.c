/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/debug_loan.c arch/x86/debug.c core/debug_regs.c core/regs.c core/events.c vmexit/debug_slot.c
// sources: vmexit/debug_met.c vmexit/debug_register.c
/*
 * The loan of a CPU's debug registers, from its beginning to its end, over a CPU that is an array: what the guest reads is
 * what it has written, whatever the debugger has in there; what exits, what stops, and what is the guest's.
 */
#include "core/debug_loan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "mm/guest_copy.h"
#include "vmexit/debug_met.h"
#include "vmexit/debug_register.h"
#include "vmexit/debug_slot.h"
#include "vmexit/guest_memory.h"
#include "vmexit/step.h"
#include "vmexit/stop.h"

struct hv_caps hv_caps;
struct host_values host_values;

static struct vm vm;
static struct vcpu vcpu;
static uint64_t dr[4], dr6, dr7; /* the CPU's */
static bool is_trapped;
static unsigned warnings, stops, cancelled, abandoned;
static struct stop_event stopped;

#define DEFINE_DR(n)                     \
	uint64_t read_dr##n(void)        \
	{                                \
		return dr[n];            \
	}                                \
	void write_dr##n(uint64_t value) \
	{                                \
		dr[n] = value;           \
	}
DEFINE_DR(0)
DEFINE_DR(1)
DEFINE_DR(2)
DEFINE_DR(3)

static uint64_t host_dr6;

uint64_t read_dr6(void)
{
	return host_dr6;
}

/* This CPU has no bits but those. */
void write_dr6(uint64_t value)
{
	host_dr6 = (value & (DR6_BREAKPOINTS | DR6_BD | DR6_BS | DR6_BT)) | DR6_INIT;
}

static uint64_t host_dr7;
static unsigned dr7_bits_fault;

uint64_t read_dr7(void)
{
	return host_dr7;
}

/* Nor these: bits 15, 14, 12, 11. */
void write_dr7(uint64_t value)
{
	assert_int_equal(value >> 32, 0);
	host_dr7 = (value & ~UINT64_C(0xd800)) | DR7_INIT;
}

bool write_dr7_safe(uint64_t value)
{
	write_dr7(value);
	return dr7_bits_fault == 0 || (value & 0xd800) == 0;
}

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_unreachable();
}

void log_write(enum boot_log_level level, const char *format, ...)
{
	(void)level, (void)format;
	warnings++;
}

/* --- the back end, as both do it --- */

static void fetch(struct vcpu *which, enum reg reg)
{
	assert_ptr_equal(which, &vcpu);
	if (reg == REG_DR6)
		vcpu.regs.dr6 = vcpu.loan.is_lent ? vcpu.loan.dr6 : dr6;
	else if (reg == REG_DR7)
		vcpu.regs.dr7 = vcpu.loan.is_lent ? vcpu.loan.dr7 : dr7;
	else
		fail_msg("register %u", reg);
}

static void lent(struct vcpu *which, uint64_t value)
{
	assert_ptr_equal(which, &vcpu);
	is_trapped = vcpu.loan.is_lent;
	dr7 = value;
}

static const struct vendor_ops fake_ops = { .name = "fake",
					    .regs_fetch = fetch,
					    .debug_lent = lent };
const struct vendor_ops *vendor = &fake_ops;

/* Into the guest, and out again. */
static void enter(void)
{
	if ((vcpu.regs.dirty & REG_BIT(REG_DR6)) != 0) {
		dr6 = vcpu.loan.is_lent ? DR6_INIT : vcpu.regs.dr6;
		vcpu.loan.dr6 = vcpu.regs.dr6;
	}
	if ((vcpu.regs.dirty & REG_BIT(REG_DR7)) != 0)
		dr7 = vcpu.loan.is_lent ? debug_loan_store(&vcpu, vcpu.regs.dr7) : vcpu.regs.dr7;
	vcpu.regs.dirty = 0;
	vcpu.regs.available &= ~(REG_BIT(REG_DR6) | REG_BIT(REG_DR7));
}

/* --- its neighbours --- */

void stop_want(struct vcpu *which, const struct stop_event *event)
{
	assert_ptr_equal(which, &vcpu);
	stops++;
	stopped = *event;
	vcpu.stop_event = *event;
}

void step_cancel(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	cancelled++;
}

void step_abandon(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	abandoned++;
}

static struct insn insn;
static bool is_fetched;

bool guest_fetch_insn(struct vcpu *which, struct insn *out)
{
	assert_ptr_equal(which, &vcpu);
	*out = insn;
	return is_fetched;
}

/* --- memory: one page, at which code is --- */

static uint8_t page[4096];
static uint64_t page_address;

gva_t guest_linear_rip(struct vcpu *which)
{
	return (gva_t){ rip_read(which) };
}

bool guest_peek(struct vcpu *which, gva_t gva, gpa_t *gpa)
{
	assert_ptr_equal(which, &vcpu);
	*gpa = (gpa_t){ gva.v };
	return gva.v / sizeof(page) == page_address / sizeof(page);
}

bool guest_copy_in(void *to, gpa_t from, uint64_t bytes)
{
	assert_int_equal(bytes, 1);
	memcpy(to, &page[from.v % sizeof(page)], 1);
	return true;
}

static int set_up(void **state)
{
	(void)state;
	vm = (struct vm){ 0 };
	vcpu = (struct vcpu){ .vm = &vm };
	vcpu.regs.available = ~(REG_BIT(REG_DR6) | REG_BIT(REG_DR7));
	vcpu.regs.efer = EFER_LMA;
	vcpu.regs.segments[SEGMENT_CS].rights = SEGMENT_L;
	for (unsigned i = 0; i < 4; i++)
		dr[i] = 0x10 * i;
	dr6 = DR6_INIT;
	dr7 = host_dr7 = DR7_INIT;
	is_trapped = false;
	warnings = stops = cancelled = abandoned = 0;
	is_fetched = true;
	memset(page, 0x90, sizeof(page));
	page_address = 0x1000;
	debug_loan_init();
	return 0;
}

static void insert(enum gdb_break kind, uint64_t address, uint64_t bytes)
{
	assert_null(debug_slot_insert(&vm, kind, address, bytes));
}

static void go_on(void)
{
	debug_slot_look(&vcpu);
	enter();
}

/* As a MOV DR: on the CPU while nothing is trapped. */
static void dr_write(unsigned number, uint64_t value)
{
	struct exit_info exit = {
		.kind = EXIT_DR_ACCESS,
		.dr = { .dr = (uint8_t)number, .write = true, .has_gpr = true, .gpr = REG_RBX }
	};

	if (!is_trapped) {
		if (number < 4)
			dr[number] = value;
		else
			*(number == 6 ? &dr6 : &dr7) = value;
		return;
	}
	vcpu.regs.gpr[REG_RBX] = value;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_NEXT_INSN);
	enter();
}

static uint64_t dr_read(unsigned number)
{
	struct exit_info exit = {
		.kind = EXIT_DR_ACCESS,
		.dr = { .dr = (uint8_t)number, .has_gpr = true, .gpr = REG_RCX }
	};

	if (!is_trapped)
		return number < 4 ? dr[number] : number == 6 ? dr6 : dr7;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_NEXT_INSN);
	enter();
	return vcpu.regs.gpr[REG_RCX];
}

/* --- */

static uint64_t seed = 88172645463325252;

static unsigned below(unsigned count)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % count;
}

static void change_slots(void)
{
	static const uint64_t at[6] = { 0x1000, 0x2001, 0x3008, 0x4000, 0x5000, 0x6000 };
	unsigned which = below(6);
	enum gdb_break kind = which % 2 == 0 ? GDB_WATCH_ACCESS : GDB_BREAK_HARDWARE;
	uint64_t bytes = kind == GDB_BREAK_HARDWARE ? 1 : 8;

	if (below(8) == 0)
		debug_slot_clear(&vm);
	else if (below(2) == 0)
		(void)debug_slot_insert(&vm, kind, at[which], bytes);
	else
		(void)debug_slot_remove(&vm, kind, at[which], bytes);
}

static unsigned slots_used(void)
{
	unsigned used = 0;

	for (unsigned i = 0; i < 4; i++)
		used += vm.debug.slot[i].is_used;
	return used;
}

/* The guest's registers are a plain array to the model. */
static void the_guest_reads_what_it_has_written(void **state)
{
	uint64_t model[8];

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		model[i] = i < 4 ? dr[i] : i == 6 ? dr6 : dr7;
	for (unsigned round = 0; round < 100000; round++) {
		unsigned number = below(6);
		uint64_t value = (uint64_t)below(1u << 30) << 8 | below(256);

		switch (below(4)) {
		case 0:
			change_slots();
			go_on();
			break;
		case 1:
			number += number >= 4 ? 2 : 0;
			if (number == 6)
				value = (value & 0xe00f) | DR6_INIT;
			else if (number == 7)
				value = (value & 0xffff03ff) | DR7_INIT;
			dr_write(number, value);
			model[number] = value;
			break;
		default:
			number += number >= 4 ? 2 : 0;
			assert_true(dr_read(number) == model[number]);
			break;
		}
		assert_int_equal(is_trapped, slots_used() != 0);
		if (is_trapped)
			continue;
		assert_memory_equal(dr, model, sizeof(dr));
		assert_true(dr7 == model[7] && dr6 == model[6]);
	}
}

/* A CPU that faults, and one that keeps what it should not. */
static void bits_of_dr7(void **state)
{
	(void)state;
	assert_int_equal(host_values.dr7_bits, 0xffff27ff);
	dr7_bits_fault = 1;
	host_values.dr7_bits = 0;
	debug_loan_init();
	dr7_bits_fault = 0;
	assert_int_equal(host_values.dr7_bits, 0xffff27ff);
	assert_int_equal(host_dr7, DR7_INIT);
}

static void four_of_them(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		insert(GDB_BREAK_HARDWARE, 0x1000 + i, 1);
	insert(GDB_BREAK_HARDWARE, 0x1002, 1);
	assert_non_null(debug_slot_insert(&vm, GDB_WATCH_ACCESS, 0x1000, 8));
	assert_true(debug_slot_remove(&vm, GDB_BREAK_HARDWARE, 0x1002, 1));
	assert_false(debug_slot_remove(&vm, GDB_BREAK_HARDWARE, 0x1002, 1));
	assert_non_null(debug_slot_insert(&vm, GDB_WATCH_ACCESS, 0x1001, 8));
	insert(GDB_WATCH_ACCESS, 0x1000, 8);
	/* The guest takes one for itself: said once. */
	go_on();
	assert_int_equal(warnings, 0);
	dr_write(7, DR7_INIT | 1);
	dr_write(7, DR7_INIT | 5);
	assert_int_equal(warnings, 1);
	assert_int_equal(dr[0], 0);
	debug_slot_clear(&vm);
	go_on();
	assert_false(is_trapped);
	assert_int_equal(dr7, DR7_INIT | 5);
}

static void faults_of_an_access(void **state)
{
	struct exit_info exit = {
		.kind = EXIT_DR_ACCESS,
		.dr = { .dr = 7, .write = true, .has_gpr = true, .gpr = REG_RBX }
	};

	(void)state;
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	go_on();
	vcpu.regs.gpr[REG_RBX] = BIT64(32);
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_GP);
	vcpu.events.pending.valid = false;
	dr_write(7, DR7_INIT | DR7_GD);
	assert_int_equal(dr7 & DR7_GD, 0);
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_DB);
	assert_int_equal(vcpu.events.pending.payload, DR6_BD);
	vcpu.events.pending.valid = false;
	vcpu.regs.cr4 = CR4_DE;
	exit.dr.dr = 5;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_UD);
	/* The CPU says what it keeps. */
	vcpu.regs.cr4 = 0;
	vcpu.loan.dr7 = DR7_INIT;
	vcpu.regs.available &= ~REG_BIT(REG_DR7);
	dr_write(7, 0xffffdfff);
	assert_int_equal(dr_read(7), 0xffff07ff);
}

/* Without decode assists the register is in the instruction, if it is still there. */
static void the_register_is_looked_up(void **state)
{
	struct exit_info exit = { .kind = EXIT_DR_ACCESS, .dr = { .dr = 2, .write = true } };

	(void)state;
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	go_on();
	insn = (struct insn){ .map = INSN_MAP_0F, .opcode = 0x23, .reg = 2, .rm = 9, .bytes = 4 };
	vcpu.regs.gpr[9] = 0x4321;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_NEXT_INSN);
	assert_int_equal(vcpu.decoded_bytes, 4);
	assert_int_equal(dr_read(2), 0x4321);
	abandoned = 0;
	insn.opcode = 0x21;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_RESUME);
	insn.opcode = 0x23;
	assert_true(is_trapped);
	assert_int_equal(abandoned, 0);
	assert_false(vcpu.events.pending.valid);
}

/* In a ROM, say: it must not exit for ever. The debugger has the registers again with its next change. */
static void what_cannot_be_fetched_is_the_cpus(void **state)
{
	struct exit_info exit = { .kind = EXIT_DR_ACCESS, .dr = { .dr = 2, .write = true } };

	(void)state;
	dr[3] = 0x33;
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	go_on();
	assert_true(is_trapped);
	assert_int_equal(dr[3], 0x1000);
	is_fetched = false;
	warnings = 0;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_int_equal(abandoned, 0);
	assert_false(vcpu.events.pending.valid);
	assert_int_equal(warnings, 1);
	go_on();
	assert_false(is_trapped);
	assert_int_equal(dr[3], 0x33);
	assert_int_equal(dr7, DR7_INIT);
	/* Where the CPU tells the register nothing is fetched. */
	insert(GDB_BREAK_HARDWARE, 0x2000, 1);
	go_on();
	assert_true(is_trapped);
	exit.dr.has_gpr = true;
	exit.dr.gpr = 9;
	vcpu.regs.gpr[9] = 0x4321;
	assert_int_equal(dr_access_exit(&vcpu, &exit), VERDICT_NEXT_INSN);
	assert_int_equal(dr_read(2), 0x4321);
}

static bool raise(uint64_t news, uint64_t *payload)
{
	struct event event = { .valid = true, .vector = VECTOR_DB, .payload = news };
	bool is_guests = debug_met_exception(&vcpu, &event);

	*payload = event.payload;
	return is_guests;
}

/* It stops before the instruction, and executes it when it goes on; with the guest's own breakpoint there, that first. */
static void before_the_instruction(void **state)
{
	uint64_t payload;

	(void)state;
	vcpu.regs.rip = 0x1000;
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	go_on();
	assert_false(raise(8, &payload));
	assert_int_equal(stopped.reason, STOP_HARDWARE);
	assert_int_equal(cancelled, 1);
	/* It is not looked at yet. */
	debug_slot_look(&vcpu);
	assert_int_equal(vcpu.regs.rflags & RFLAGS_RF, 0);
	vcpu.stop_event.reason = STOP_NONE;
	debug_slot_look(&vcpu);
	assert_int_equal(vcpu.regs.rflags & RFLAGS_RF, RFLAGS_RF);
	assert_false(vcpu.events.pending.valid);
	/* Both. */
	vcpu.regs.rflags = 0;
	dr_write(0, 0x1000);
	dr_write(7, DR7_INIT | 2);
	assert_false(raise(9, &payload));
	vcpu.stop_event.reason = STOP_NONE;
	debug_slot_look(&vcpu);
	assert_int_equal(vcpu.regs.rflags & RFLAGS_RF, 0);
	assert_true(vcpu.events.pending.valid);
	assert_int_equal(vcpu.events.pending.payload, 1);
	vcpu.events.pending.valid = false;
	/* The debugger has moved it, or taken the breakpoint away. */
	assert_false(raise(8, &payload));
	vcpu.stop_event.reason = STOP_NONE;
	vcpu.regs.rip = 0x1001;
	debug_slot_look(&vcpu);
	vcpu.regs.rip = 0x1000;
	assert_false(raise(8, &payload));
	vcpu.stop_event.reason = STOP_NONE;
	debug_slot_clear(&vm);
	debug_slot_look(&vcpu);
	assert_int_equal(vcpu.regs.rflags & RFLAGS_RF, 0);
	assert_false(vcpu.events.pending.valid);
}

static void behind_the_instruction(void **state)
{
	uint64_t payload;

	(void)state;
	insert(GDB_WATCH_ACCESS, 0x3000, 8);
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	dr_write(7, DR7_INIT | 1);
	go_on();
	assert_false(raise(8, &payload));
	assert_int_equal(stopped.reason, STOP_WATCH);
	assert_int_equal(stopped.watch, GDB_WATCH_ACCESS);
	assert_int_equal(stopped.address, 0x3000);
	/* The guest's comes with it, or alone; nobody's. */
	assert_true(raise(9 | DR6_BS, &payload));
	assert_int_equal(payload, 1 | DR6_BS);
	assert_int_equal(stops, 2);
	assert_true(raise(DR6_BS, &payload));
	assert_int_equal(stops, 2);
	/* Stepped: one on the next instruction is still to come. */
	assert_int_equal(debug_met_behind(&vcpu, 0xd), 1);
	assert_int_equal(stops, 3);
	assert_int_equal(debug_met_behind(&vcpu, 4), 0);
	assert_int_equal(stops, 3);
	debug_slot_clear(&vm);
	go_on();
	assert_int_equal(debug_met_behind(&vcpu, 0xd), 0xd);
}

/* By an access that the CPU does not make itself. */
static void in_its_place(void **state)
{
	(void)state;
	dr_write(0, 0x2000);
	dr_write(7, DR7_INIT | 1 | 1 << 16);
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_WRITE, 0x2000, 1), 1);
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_READ, 0x2000, 1), 0);
	insert(GDB_WATCH_ACCESS, 0x3000, 8);
	go_on();
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_WRITE, 0x2000, 1), 1);
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_READ, 0x3007, 1), 8);
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_WRITE, 0x2000, 0x1001), 9);
	insert(GDB_BREAK_HARDWARE, 0x5000, 1);
	go_on();
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_FETCH, 0x5000, 1), 4);
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_FETCH, 0x3000, 1), 0);
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_READ, 0x5000, 1), 0);
	assert_int_equal(debug_met_behind(&vcpu, 9), 1);
	assert_int_equal(stopped.address, 0x3000);
	debug_slot_clear(&vm);
	go_on();
	assert_int_equal(debug_hardware_met(&vcpu, DEBUG_TOUCH_WRITE, 0x2000, 0x1001), 1);
}

/* A machine that tells nothing of what it has met. */
static void nothing_is_told(void **state)
{
	uint64_t payload;

	(void)state;
	vcpu.regs.rip = 0x1000;
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	go_on();
	assert_false(raise(0, &payload));
	assert_int_equal(stopped.reason, STOP_HARDWARE);
	assert_int_equal(stops, 1);
	/* INT1 is told nothing of by any machine. */
	vcpu.regs.rip = 0x1080;
	page[0x07f] = 0xf1;
	insert(GDB_WATCH_ACCESS, 0x3000, 8);
	go_on();
	assert_true(raise(0, &payload));
	assert_int_equal(payload, 0);
	assert_int_equal(stops, 1);
	page[0x07f] = 0x90;
	assert_false(raise(0, &payload));
	assert_int_equal(stopped.reason, STOP_WATCH);
	assert_int_equal(stops, 2);
	vcpu.regs.rflags |= RFLAGS_TF;
	assert_true(raise(0, &payload));
	assert_int_equal(payload, DR6_BS);
	assert_int_equal(stops, 2);
}

/* INIT, and a debugger that writes the guest's registers. */
static void all_at_once(void **state)
{
	const uint64_t others[4] = { 5, 6, 7, 8 };

	(void)state;
	insert(GDB_BREAK_HARDWARE, 0x1000, 1);
	go_on();
	debug_registers_write(&vcpu, others, DR6_INIT | 1, DR7_INIT | 1);
	enter();
	assert_int_equal(dr[3], 0x1000);
	assert_int_equal(dr[0], 5);
	assert_int_equal(dr6, DR6_INIT);
	assert_int_equal(debug_hardware_dr7(&vcpu), DR7_INIT | 1 | 0x80);
	assert_int_equal(dr_read(3), 8);
	assert_int_equal(dr_read(6), DR6_INIT | 1);
	debug_slot_clear(&vm);
	go_on();
	assert_memory_equal(dr, others, sizeof(others));
	assert_int_equal(dr6, DR6_INIT | 1);
	assert_int_equal(debug_hardware_dr7(&vcpu), DR7_INIT | 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_guest_reads_what_it_has_written, set_up),
		cmocka_unit_test_setup(bits_of_dr7, set_up),
		cmocka_unit_test_setup(four_of_them, set_up),
		cmocka_unit_test_setup(faults_of_an_access, set_up),
		cmocka_unit_test_setup(the_register_is_looked_up, set_up),
		cmocka_unit_test_setup(what_cannot_be_fetched_is_the_cpus, set_up),
		cmocka_unit_test_setup(before_the_instruction, set_up),
		cmocka_unit_test_setup(behind_the_instruction, set_up),
		cmocka_unit_test_setup(in_its_place, set_up),
		cmocka_unit_test_setup(nothing_is_told, set_up),
		cmocka_unit_test_setup(all_at_once, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
