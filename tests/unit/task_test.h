/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in one MiB of guest memory, with the real walker, register cache and event queue; only the vendor is a fake. TSS A
 * is the running task, B another 32-bit one, C and D are 16-bit ones. For one program's main file.
 */
#ifndef TESTS_UNIT_TASK_TEST_H
#define TESTS_UNIT_TASK_TEST_H

#include "tests/unit/track_test.h"

#include "vmexit/debug_met.h"
#include "vmexit/task_switch.h"

#define GDT	      0x1000u
#define GDT_LIMIT     0xffu
#define LDT	      0x1800u
#define TSS_A	      0x3000u
#define TSS_B	      0x3100u
#define TSS_C	      0x3200u
#define TSS_D	      0x3300u
#define STACK	      0x8000u
#define PAE_DIRECTORY 0x13000u
#define PAE_POINTERS  0x14020u

enum selector {
	CODE0 = 0x08,
	DATA0 = 0x10,
	CODE3 = 0x18,
	DATA3 = 0x20,
	SEL_A = 0x28,
	SEL_B = 0x30,
	SEL_C = 0x38,
	SEL_D = 0x40,
	SEL_LDT = 0x48,
	CONFORMING0 = 0x50,
	ABSENT_DATA = 0x58,
	ABSENT_CODE = 0x60,
	DATA16 = 0x68, /* a stack of 64 KiB with 16-bit SP */
	ABSENT_LDT = 0x70,
	UNREADABLE_CODE = 0x78,
	READ_ONLY_DATA = 0x80,
	FRESH_DATA = 0x88, /* not accessed yet */
	EXPAND_DOWN = 0x90,
	CONFORMING3 = 0x98,
	LDT_CODE3 = 0x04, /* of the LDT */
	LDT_DATA3 = 0x0c,
	OUTSIDE = 0x200,
};

static void set_descriptor(uint32_t address, uint32_t base, uint32_t limit, uint32_t rights)
{
	uint64_t low = (limit & 0xffff) | (base & 0xffff) << 16;
	uint64_t high = (base >> 16 & 0xff) | (rights & 0xf0ff) << 8 | (limit & 0xf0000) |
			(base & 0xff000000);

	store(address, 8, low | high << 32);
}

static void set_gdt(unsigned selector, uint32_t base, uint32_t limit, uint32_t rights)
{
	set_descriptor(GDT + selector, base, limit, rights);
}

static uint8_t type_of(unsigned selector)
{
	return memory[GDT + selector + 5] & 0xf;
}

static void fill_gdt(void)
{
	set_gdt(CODE0, 0, 0xfffff, 0xc09b);
	set_gdt(DATA0, 0, 0xfffff, 0xc093);
	set_gdt(CODE3, 0, 0xfffff, 0xc0fb);
	set_gdt(DATA3, 0, 0xfffff, 0xc0f3);
	set_gdt(SEL_A, TSS_A, 0x67, 0x8b);
	set_gdt(SEL_B, TSS_B, 0x67, 0x89);
	set_gdt(SEL_C, TSS_C, 0x2b, 0x81);
	set_gdt(SEL_D, TSS_D, 0x2b, 0x81);
	set_gdt(SEL_LDT, LDT, 0x0f, 0x82);
	set_gdt(CONFORMING0, 0, 0xfffff, 0xc09f);
	set_gdt(ABSENT_DATA, 0, 0xfffff, 0xc013);
	set_gdt(ABSENT_CODE, 0, 0xfffff, 0xc01b);
	set_gdt(DATA16, 0, 0xffff, 0x0093);
	set_gdt(ABSENT_LDT, LDT, 0x0f, 0x02);
	set_gdt(UNREADABLE_CODE, 0, 0xfffff, 0xc099);
	set_gdt(READ_ONLY_DATA, 0, 0xfffff, 0xc091);
	set_gdt(FRESH_DATA, 0, 0xfffff, 0xc092);
	set_gdt(EXPAND_DOWN, 0, 0x7fff, 0x4097);
	set_gdt(CONFORMING3, 0, 0xfffff, 0xc0ff);
	set_descriptor(LDT, 0, 0xfffff, 0xc0fb);
	set_descriptor(LDT + 8, 0, 0xfffff, 0xc0f3);
}

static void fill_tss32(uint32_t tss, bool user)
{
	static const uint16_t selectors[2][6] = {
		{ DATA0, CODE0, DATA0, DATA0, DATA0, 0 },
		{ DATA3 | 3, CODE3 | 3, DATA3 | 3, DATA3 | 3, 0, DATA3 | 3 },
	};

	memset(memory + tss, 0, 104);
	store(tss + 0x1c, 4, OTHER_DIRECTORY);
	store(tss + 0x20, 4, 0x12345678);
	store(tss + 0x24, 4, 0x246);
	for (unsigned i = 0; i < 8; i++)
		store(tss + 0x28 + 4 * i, 4, 0xb0000000 + i);
	store(tss + 0x38, 4, STACK);
	for (unsigned i = 0; i < 6; i++)
		store(tss + 0x48 + 4 * i, 2, selectors[user][i]);
}

static void fill_tss16(uint32_t tss)
{
	static const uint16_t selectors[4] = { DATA0, CODE0, DATA16, DATA0 };

	memset(memory + tss, 0, 44);
	store(tss + 0x0e, 2, 0x5678);
	store(tss + 0x10, 2, 0x3246);
	for (unsigned i = 0; i < 8; i++)
		store(tss + 0x12 + 2 * i, 2, 0xc000 + i);
	store(tss + 0x1a, 2, STACK);
	for (unsigned i = 0; i < 4; i++)
		store(tss + 0x22 + 2 * i, 2, selectors[i]);
}

/* --- the running task ---------------------------------------------------------------------- */

static unsigned dropped_steps;

/* The only breakpoint, number 2: on writes or on all accesses. */
static struct {
	uint64_t address;
	unsigned bytes;
	bool is_on_writes, is_debuggers;
	unsigned stops;
	uint64_t dr7_then;
} watch;

uint64_t debug_hardware_met(struct vcpu *which, enum debug_touch touch, uint64_t linear,
			    unsigned bytes)
{
	bool overlaps = linear < watch.address + watch.bytes && watch.address < linear + bytes;

	assert_ptr_equal(which, &vcpu);
	return overlaps && (touch == DEBUG_TOUCH_WRITE || !watch.is_on_writes) ? 4 : 0;
}

uint64_t debug_met_behind(struct vcpu *which, uint64_t met)
{
	assert_ptr_equal(which, &vcpu);
	if (met == 0)
		return 0;
	watch.dr7_then = vcpu.regs.dr7;
	if (!watch.is_debuggers)
		return met;
	watch.stops++;
	return 0;
}

void step_drop_frames(struct vcpu *which)
{
	assert_ptr_equal(which, &vcpu);
	dropped_steps++;
}

static int set_up(void **state)
{
	struct regs *regs = &vcpu.regs;

	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&watch, 0, sizeof(watch));
	memset(memory, 0, MEMORY_BYTES);
	fill_gdt();
	fill_tss32(TSS_A, false);
	fill_tss32(TSS_B, false);
	fill_tss16(TSS_C);
	fill_tss16(TSS_D);
	flushes = 0;
	track_set_up();
	regs->available = ~UINT64_C(0);
	for (unsigned i = 0; i < 8; i++)
		regs->gpr[i] = 0xa0000000 + i;
	regs->rip = 0x4000;
	regs->rflags = RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT;
	regs->cr0 = CR0_PE | CR0_NE | CR0_ET;
	regs->cr3 = PAGE_DIRECTORY;
	regs->dr7 = 0x7ff;
	regs->interrupt_shadow = SHADOW_STI;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		regs->segments[i] = flat(DATA0, 0xc093);
	regs->segments[SEGMENT_CS] = flat(CODE0, 0xc09b);
	regs->segments[SEGMENT_LDTR].rights = SEGMENT_UNUSABLE;
	regs->segments[SEGMENT_TR] =
		(struct segment){ .selector = SEL_A, .base = TSS_A, .limit = 0x67, .rights = 0x8b };
	regs->gdtr = (struct table_register){ GDT, GDT_LIMIT };
	hv_caps.maxphyaddr = 40;
	return 0;
}

static struct exit_info switch_to(uint16_t selector, enum task_switch_source source)
{
	return (struct exit_info){
		.kind = EXIT_TASK_SWITCH,
		.task = { .selector = selector, .source = source, .insn_bytes = 7 },
	};
}

static void run(uint16_t selector, enum task_switch_source source)
{
	struct exit_info exit = switch_to(selector, source);

	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
}

static void run_clean(uint16_t selector, enum task_switch_source source)
{
	run(selector, source);
	if (vcpu.events.pending.valid)
		fail_msg("exception %u (%x)", vcpu.events.pending.vector,
			 vcpu.events.pending.error_code);
}

static void expect_exception(unsigned vector, uint32_t error_code)
{
	const struct event *event = &vcpu.events.pending;

	if (!event->valid || event->vector != vector || event->error_code != error_code ||
	    event->type != EVENT_EXCEPTION || !event->has_error)
		fail_msg("vector %u(%x), not %u(%x)", event->valid ? event->vector : 256,
			 event->error_code, vector, error_code);
}

/* An event on its way through a task gate. */
static struct exit_info through_gate(uint16_t selector, enum event_type type, unsigned vector,
				     bool has_error)
{
	struct exit_info exit = switch_to(selector, TASK_SWITCH_GATE);

	exit.task.insn_bytes = type == EVENT_SOFT_INTERRUPT ? 2 : 0;
	exit.task.has_error = has_error;
	exit.task.error_code = has_error ? 0xdead8 : 0;
	vcpu.events.pending = (struct event){ .valid = true,
					      .has_error = has_error,
					      .vector = (uint8_t)vector,
					      .type = type,
					      .error_code = exit.task.error_code };
	return exit;
}

/*
 * What VM entry asks of the state, unrestricted guest allowed. SDM: "Checks on Guest Segment
 * Registers". A switch must leave such a state also where it ends in a fault.
 */
static void check_entry_rules(void)
{
	const struct segment *s = vcpu.regs.segments;
	uint32_t cs_type = s[SEGMENT_CS].rights & SEGMENT_TYPE;

	assert_true(vcpu.regs.rflags & RFLAGS_FIXED);
	assert_int_equal(vcpu.regs.rflags & ~UINT64_C(0x3f7fd7), 0);
	assert_int_equal(vcpu.regs.rip >> 32, 0);
	assert_int_equal(s[SEGMENT_TR].rights & 0x97, 0x83);
	if (!(s[SEGMENT_LDTR].rights & SEGMENT_UNUSABLE))
		assert_int_equal(s[SEGMENT_LDTR].rights & 0x9f, 0x82);
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		if (vcpu.regs.rflags & RFLAGS_VM) {
			assert_int_equal(s[i].rights, 0xf3);
			assert_int_equal(s[i].base, (uint64_t)s[i].selector << 4);
			assert_int_equal(s[i].limit, 0xffff);
			continue;
		}
		if (s[i].rights & SEGMENT_UNUSABLE)
			continue;
		assert_int_equal(s[i].rights & 0x91, 0x91);
		assert_int_equal(s[i].rights & 0xfffe0f00, 0);
		if (s[i].limit & 0xfff00000)
			assert_true(s[i].rights & SEGMENT_G);
	}
	if (vcpu.regs.rflags & RFLAGS_VM)
		return;
	assert_true(cs_type == 9 || cs_type == 11 || cs_type == 13 || cs_type == 15);
	assert_false(s[SEGMENT_CS].rights & SEGMENT_UNUSABLE);
	if (cs_type < 12)
		assert_int_equal(segment_dpl(&s[SEGMENT_CS]), segment_dpl(&s[SEGMENT_SS]));
	else
		assert_true(segment_dpl(&s[SEGMENT_CS]) <= segment_dpl(&s[SEGMENT_SS]));
	assert_int_equal(segment_dpl(&s[SEGMENT_SS]), s[SEGMENT_CS].selector & 3);
}

static void check_loaded32(void)
{
	assert_int_equal(vcpu.regs.rip, 0x12345678);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(vcpu.regs.gpr[i], i == REG_RSP ? STACK : 0xb0000000 + i);
	assert_int_equal(vcpu.regs.segments[SEGMENT_TR].selector, SEL_B);
	assert_int_equal(vcpu.regs.segments[SEGMENT_TR].base, TSS_B);
	assert_int_equal(vcpu.regs.segments[SEGMENT_TR].rights, 0x8b);
	assert_int_equal(vcpu.regs.segments[SEGMENT_CS].rights, 0xc09b);
	assert_int_equal(vcpu.regs.segments[SEGMENT_CS].limit, UINT32_MAX);
	assert_int_equal(vcpu.regs.segments[SEGMENT_FS].selector, DATA0);
	assert_true(vcpu.regs.segments[SEGMENT_GS].rights & SEGMENT_UNUSABLE);
	assert_true(vcpu.regs.cr0 & CR0_TS);
	assert_int_equal(vcpu.regs.dr7, 0x7ff & ~0x155);
	assert_int_equal(vcpu.regs.interrupt_shadow, 0);
	check_entry_rules();
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

#endif
