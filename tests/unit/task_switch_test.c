// sources: vmexit/task_switch.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: core/pdptr.c arch/x86/cr_rules.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task switches in one MiB of guest memory, with the real walker, register cache and event queue;
 * only the vendor is a fake. TSS A is the running task, B another 32-bit one, C and D are 16-bit
 * ones.
 */
#include "tests/unit/track_test.h"

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

/* --- switches that work -------------------------------------------------------------------- */

static void check_saved32(uint32_t tss, uint32_t eip, uint32_t eflags)
{
	assert_int_equal(load(tss + 0x20, 4), eip);
	assert_int_equal(load(tss + 0x24, 4), eflags);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(load(tss + 0x28 + 4 * i, 4), 0xa0000000 + i);
	assert_int_equal(load(tss + 0x48, 2), DATA0);
	assert_int_equal(load(tss + 0x4c, 2), CODE0);
	assert_int_equal(load(tss + 0x5c, 2), DATA0);
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

static void jmp_between_32bit_tasks(void **state)
{
	(void)state;
	store(TSS_A + 0x4a, 2, 0x7777); /* reserved, and so it stays */
	store(TSS_A + 0x60, 4, 0x99999999);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	check_saved32(TSS_A, 0x4007, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT);
	assert_int_equal(load(TSS_A + 0x4a, 2), 0x7777);
	assert_int_equal(load(TSS_A + 0x60, 4), 0x99999999);
	assert_int_equal(load(TSS_A + 0x1c, 4), OTHER_DIRECTORY);
	check_loaded32();
	assert_int_equal(vcpu.regs.rflags, 0x246);
	assert_int_equal(load(TSS_B, 4), 0);
	assert_int_equal(type_of(SEL_A), 9);
	assert_int_equal(type_of(SEL_B), 11);
	assert_int_equal(vcpu.regs.cr3, PAGE_DIRECTORY); /* without paging it is not loaded */
	assert_int_equal(flushes, 0);
}

static void call_links_the_tasks(void **state)
{
	(void)state;
	run_clean(SEL_B, TASK_SWITCH_CALL);
	check_saved32(TSS_A, 0x4007, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT);
	check_loaded32();
	assert_int_equal(vcpu.regs.rflags, 0x246 | RFLAGS_NT);
	assert_int_equal(load(TSS_B, 2), SEL_A);
	assert_int_equal(type_of(SEL_A), 11);
	assert_int_equal(type_of(SEL_B), 11);
}

static void iret_goes_back(void **state)
{
	(void)state;
	set_gdt(SEL_B, TSS_B, 0x67, 0x8b);
	vcpu.regs.nmi_blocked = true;
	run_clean(SEL_B, TASK_SWITCH_IRET);
	check_saved32(TSS_A, 0x4007, RFLAGS_FIXED | RFLAGS_IF);
	check_loaded32();
	assert_int_equal(vcpu.regs.rflags, 0x246);
	assert_int_equal(load(TSS_B, 2), 0);
	assert_int_equal(type_of(SEL_A), 9);
	assert_int_equal(type_of(SEL_B), 11);
	assert_false(vcpu.regs.nmi_blocked);
}

static void iret_to_itself(void **state)
{
	(void)state;
	run_clean(SEL_A, TASK_SWITCH_IRET);
	assert_int_equal(vcpu.regs.rip, 0x4007);
	assert_int_equal(vcpu.regs.gpr[REG_RBX], 0xa0000003);
	assert_int_equal(vcpu.regs.rflags, RFLAGS_FIXED | RFLAGS_IF);
	check_entry_rules();
}

static void there_and_back_again(void **state)
{
	(void)state;
	store(TSS_A + 0x60, 2, 0);
	run_clean(SEL_B, TASK_SWITCH_CALL);
	vcpu.regs.rip = 0x7000;
	run_clean((uint16_t)load(TSS_B, 2), TASK_SWITCH_IRET);
	assert_int_equal(vcpu.regs.rip, 0x4007);
	assert_int_equal(load(TSS_B + 0x20, 4), 0x7007);
	assert_int_equal(load(TSS_B + 0x24, 4) & RFLAGS_NT, 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(vcpu.regs.gpr[i], 0xa0000000 + i);
	assert_int_equal(type_of(SEL_A), 11);
	assert_int_equal(type_of(SEL_B), 9);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.rip, 0x7007);
}

static void into_16bit_task(void **state)
{
	(void)state;
	run_clean(SEL_C, TASK_SWITCH_CALL);
	check_saved32(TSS_A, 0x4007, RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT);
	assert_int_equal(load(TSS_C, 2), SEL_A);
	assert_int_equal(type_of(SEL_C), 3);
	assert_int_equal(vcpu.regs.rip, 0x5678);
	assert_int_equal(vcpu.regs.rflags, 0x3246 | RFLAGS_NT);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(vcpu.regs.gpr[i] & 0xffff, i == REG_RSP ? STACK : 0xc000 + i);
	assert_int_equal(vcpu.regs.segments[SEGMENT_SS].selector, DATA16);
	assert_int_equal(vcpu.regs.segments[SEGMENT_FS].selector, 0);
	assert_int_equal(vcpu.regs.segments[SEGMENT_TR].rights, 0x83);
	check_entry_rules();
}

static void from_16bit_task(void **state)
{
	(void)state;
	vcpu.regs.segments[SEGMENT_TR] =
		(struct segment){ .selector = SEL_D, .base = TSS_D, .limit = 0x2b, .rights = 0x83 };
	set_gdt(SEL_D, TSS_D, 0x2b, 0x83);
	store(TSS_D + 0x2a, 4, 0x66666666);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(load(TSS_D + 0x0e, 2), 0x4007);
	assert_int_equal(load(TSS_D + 0x10, 2), RFLAGS_FIXED | RFLAGS_IF | RFLAGS_NT);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(load(TSS_D + 0x12 + 2 * i, 2), i);
	assert_int_equal(load(TSS_D + 0x22, 2), DATA0);
	assert_int_equal(load(TSS_D + 0x24, 2), CODE0);
	assert_int_equal(load(TSS_D + 0x2a, 4), 0x66666666);
	assert_int_equal(type_of(SEL_D), 1);
	check_loaded32();
}

static void into_vm86_and_out(void **state)
{
	(void)state;
	store(TSS_B + 0x24, 4, RFLAGS_VM | RFLAGS_FIXED | RFLAGS_IF);
	for (unsigned i = 0; i < 6; i++)
		store(TSS_B + 0x48 + 4 * i, 2, 0x2000 + 0x111 * i);
	run_clean(SEL_B, TASK_SWITCH_CALL);
	check_entry_rules();
	assert_true(vcpu.regs.rflags & RFLAGS_VM);
	assert_int_equal(cpl_read(&vcpu), 3);
	assert_int_equal(mode_code_bytes(&vcpu), 2);
	run_clean(SEL_A, TASK_SWITCH_IRET);
	assert_int_equal(load(TSS_B + 0x4c, 2), 0x2111);
	assert_true(load(TSS_B + 0x24, 4) & RFLAGS_VM);
	assert_int_equal(vcpu.regs.rflags & RFLAGS_VM, 0);
	assert_int_equal(cpl_read(&vcpu), 0);
	check_entry_rules();
}

static void segments_of_the_ldt(void **state)
{
	(void)state;
	fill_tss32(TSS_B, true);
	store(TSS_B + 0x60, 2, SEL_LDT);
	store(TSS_B + 0x4c, 2, LDT_CODE3 | 3);
	store(TSS_B + 0x50, 2, LDT_DATA3 | 3);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.segments[SEGMENT_LDTR].base, LDT);
	assert_int_equal(vcpu.regs.segments[SEGMENT_LDTR].rights, 0x82);
	assert_int_equal(vcpu.regs.segments[SEGMENT_CS].rights, 0xc0fb);
	assert_int_equal(cpl_read(&vcpu), 3);
	check_entry_rules();
}

static void loading_marks_accessed(void **state)
{
	(void)state;
	store(TSS_B + 0x54, 2, FRESH_DATA);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(type_of(FRESH_DATA), 3);
	assert_int_equal(vcpu.regs.segments[SEGMENT_DS].rights, 0xc093);
}

static void conforming_code(void **state)
{
	(void)state;
	fill_tss32(TSS_B, true);
	store(TSS_B + 0x4c, 2, CONFORMING0 | 3);
	store(TSS_B + 0x48, 2, CONFORMING0 | 3);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(cpl_read(&vcpu), 3);
	check_entry_rules();
}

static void trap_bit(void **state)
{
	(void)state;
	store(TSS_B + 0x64, 2, 1);
	run(SEL_B, TASK_SWITCH_JMP);
	assert_true(vcpu.events.pending.valid);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_DB);
	assert_int_equal(vcpu.events.pending.payload, DR6_BT);
	check_loaded32();
}

/* --- gates --------------------------------------------------------------------------------- */

static void gate_pushes_the_error_code(void **state)
{
	struct exit_info exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_GP, true);

	(void)state;
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_false(vcpu.events.pending.valid);
	assert_int_equal(load(STACK - 4, 4), 0xdead8);
	assert_int_equal(vcpu.regs.gpr[REG_RSP], STACK - 4);
	assert_int_equal(load(TSS_A + 0x20, 4), 0x4000);
	assert_int_equal(load(TSS_B, 2), SEL_A);
	assert_true(vcpu.regs.rflags & RFLAGS_NT);
	check_entry_rules();
}

static void gate_to_16bit_task_pushes_a_word(void **state)
{
	struct exit_info exit = through_gate(SEL_C, EVENT_EXCEPTION, VECTOR_GP, true);

	(void)state;
	store(STACK - 4, 4, 0x55555555);
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_false(vcpu.events.pending.valid);
	assert_int_equal(load(STACK - 4, 4), 0xead85555);
	assert_int_equal(vcpu.regs.gpr[REG_RSP] & 0xffff, STACK - 2);
}

static void push_wraps_at_64k(void **state)
{
	struct exit_info exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_GP, true);

	(void)state;
	store(TSS_B + 0x50, 2, DATA16);
	store(TSS_B + 0x38, 4, 0x00050000);
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_false(vcpu.events.pending.valid);
	assert_int_equal(load(0xfffc, 4), 0xdead8);
	assert_int_equal(vcpu.regs.gpr[REG_RSP], 0x5fffc);
}

static void push_beyond_the_limit(void **state)
{
	struct exit_info exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_DB, true);

	(void)state;
	store(TSS_B + 0x50, 2, EXPAND_DOWN);
	store(TSS_B + 0x38, 4, 0x8003);
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	expect_exception(VECTOR_SS, 1);
	assert_int_equal(vcpu.regs.gpr[REG_RSP], 0x8003);
	check_entry_rules();
}

static void push_to_an_expand_down_stack(void **state)
{
	struct exit_info exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_GP, true);

	(void)state;
	store(TSS_B + 0x50, 2, EXPAND_DOWN);
	store(TSS_B + 0x38, 4, 0x8004);
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_false(vcpu.events.pending.valid);
	assert_int_equal(load(0x8000, 4), 0xdead8);
}

static void soft_interrupt_through_gate(void **state)
{
	struct exit_info exit = through_gate(SEL_B, EVENT_SOFT_INTERRUPT, 0x80, false);

	(void)state;
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_false(vcpu.events.pending.valid);
	assert_int_equal(load(TSS_A + 0x20, 4), 0x4002);
	assert_int_equal(vcpu.regs.gpr[REG_RSP], STACK);
}

static void nmi_through_gate_blocks_nmis(void **state)
{
	struct exit_info exit = through_gate(SEL_B, EVENT_NMI, VECTOR_NMI, false);

	(void)state;
	assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_false(vcpu.events.pending.valid);
	assert_true(vcpu.regs.nmi_blocked);
	assert_false(vcpu.events.nmi_pending);
}

static void faults_during_delivery(void **state)
{
	struct exit_info exit;

	(void)state;
	/* An external event shows in the error code, a soft one does not. */
	store(TSS_B + 0x50, 2, ABSENT_DATA);
	exit = through_gate(SEL_B, EVENT_EXTERNAL, 0x30, false);
	(void)task_switch_exit(&vcpu, &exit);
	expect_exception(VECTOR_SS, ABSENT_DATA | 1);
	set_up(state);
	store(TSS_B + 0x50, 2, ABSENT_DATA);
	exit = through_gate(SEL_B, EVENT_SOFT_INTERRUPT, 0x30, false);
	(void)task_switch_exit(&vcpu, &exit);
	expect_exception(VECTOR_SS, ABSENT_DATA);
	set_up(state);
	store(TSS_B + 0x50, 2, ABSENT_DATA);
	exit = through_gate(SEL_B, EVENT_PRIVILEGED_SOFT_EXCEPTION, VECTOR_DB, false);
	exit.task.insn_bytes = 1;
	(void)task_switch_exit(&vcpu, &exit);
	expect_exception(VECTOR_SS, ABSENT_DATA | 1);
	/* A fault in the delivery of #GP is a double fault, before the switch and after it. */
	set_up(state);
	set_gdt(SEL_B, TSS_B, 0x66, 0x89);
	exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_GP, true);
	(void)task_switch_exit(&vcpu, &exit);
	expect_exception(VECTOR_DF, 0);
	assert_int_equal(vcpu.regs.segments[SEGMENT_TR].selector, SEL_A);
	set_up(state);
	store(TSS_B + 0x50, 2, ABSENT_DATA);
	exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_GP, true);
	(void)task_switch_exit(&vcpu, &exit);
	expect_exception(VECTOR_DF, 0);
	assert_int_equal(vcpu.regs.segments[SEGMENT_TR].selector, SEL_B);
}

/* --- faults in the old task ---------------------------------------------------------------- */

struct old_fault {
	uint16_t selector;
	enum task_switch_source source;
	uint32_t limit, rights; /* of the new TSS's descriptor */
	unsigned vector;
	uint32_t error_code;
};

static const struct old_fault old_faults[] = {
	{ 0, TASK_SWITCH_JMP, 0x67, 0x89, VECTOR_GP, 0 },
	{ 3, TASK_SWITCH_IRET, 0x67, 0x8b, VECTOR_TS, 0 },
	{ SEL_B | 4, TASK_SWITCH_JMP, 0x67, 0x89, VECTOR_GP, SEL_B | 4 },
	{ SEL_B | 4, TASK_SWITCH_IRET, 0x67, 0x8b, VECTOR_TS, SEL_B | 4 },
	{ OUTSIDE, TASK_SWITCH_CALL, 0x67, 0x89, VECTOR_GP, OUTSIDE },
	{ OUTSIDE | 3, TASK_SWITCH_IRET, 0x67, 0x8b, VECTOR_TS, OUTSIDE },
	{ SEL_B, TASK_SWITCH_JMP, 0x67, 0x8b, VECTOR_GP, SEL_B }, /* busy */
	{ SEL_B, TASK_SWITCH_CALL, 0x67, 0x8b, VECTOR_GP, SEL_B },
	{ SEL_B, TASK_SWITCH_GATE, 0x67, 0x8b, VECTOR_GP, SEL_B },
	{ SEL_B, TASK_SWITCH_IRET, 0x67, 0x89, VECTOR_TS, SEL_B }, /* not busy */
	{ SEL_B, TASK_SWITCH_JMP, 0x67, 0x82, VECTOR_GP, SEL_B },
	{ SEL_B, TASK_SWITCH_JMP, 0x67, 0x8c, VECTOR_GP, SEL_B },
	{ SEL_B, TASK_SWITCH_JMP, 0x67, 0x85, VECTOR_GP, SEL_B },
	{ SEL_B, TASK_SWITCH_JMP, 0x67, 0x99, VECTOR_GP, SEL_B },
	{ SEL_B, TASK_SWITCH_IRET, 0x67, 0x9b, VECTOR_TS, SEL_B },
	{ SEL_B | 3, TASK_SWITCH_JMP, 0x67, 0x09, VECTOR_NP, SEL_B },
	{ SEL_B, TASK_SWITCH_IRET, 0x67, 0x0b, VECTOR_NP, SEL_B },
	{ SEL_B, TASK_SWITCH_JMP, 0x66, 0x89, VECTOR_TS, SEL_B },
	{ SEL_B, TASK_SWITCH_JMP, 0x2a, 0x81, VECTOR_TS, SEL_B },
};

static void faults_leave_the_old_task_whole(void **state)
{
	uint8_t *before = malloc(MEMORY_BYTES);

	for (unsigned i = 0; i < ARRAY_COUNT(old_faults); i++) {
		const struct old_fault *f = &old_faults[i];
		struct regs regs;

		set_up(state);
		set_gdt(SEL_B, TSS_B, f->limit, f->rights);
		memcpy(before, memory, MEMORY_BYTES);
		regs = vcpu.regs;
		run(f->selector, f->source);
		expect_exception(f->vector, f->error_code);
		assert_memory_equal(before, memory, MEMORY_BYTES);
		assert_memory_equal(&regs, &vcpu.regs, sizeof(regs));
	}
	free(before);
}

static void descriptors_end_inside_the_table(void **state)
{
	(void)state;
	vcpu.regs.gdtr.limit = SEL_B + 6;
	run(SEL_B, TASK_SWITCH_JMP);
	expect_exception(VECTOR_GP, SEL_B);
	vcpu.events.pending.valid = false;
	vcpu.regs.gdtr.limit = SEL_B + 7;
	run_clean(SEL_B, TASK_SWITCH_JMP);
}

/* Also where the LDT has a good one. */
static void no_tss_in_the_ldt(void **state)
{
	(void)state;
	vcpu.regs.segments[SEGMENT_LDTR] =
		(struct segment){ .base = GDT, .limit = GDT_LIMIT, .rights = 0x82 };
	run(SEL_B | 4, TASK_SWITCH_JMP);
	expect_exception(VECTOR_GP, SEL_B | 4);
}

static void old_tss_too_small(void **state)
{
	(void)state;
	vcpu.regs.segments[SEGMENT_TR].limit = 0x5e;
	run(SEL_B, TASK_SWITCH_JMP);
	expect_exception(VECTOR_TS, SEL_A);
	assert_int_equal(vcpu.regs.rip, 0x4000);
	assert_int_equal(type_of(SEL_A), 11);
}

/* --- faults in the new task ---------------------------------------------------------------- */

struct new_fault {
	bool user;
	unsigned offset; /* in the TSS */
	uint16_t selector;
	unsigned vector;
	uint32_t error_code;
};

static const struct new_fault new_faults[] = {
	/* LDT */
	{ false, 0x60, SEL_LDT | 4, VECTOR_TS, SEL_LDT | 4 },
	{ false, 0x60, OUTSIDE, VECTOR_TS, OUTSIDE },
	{ false, 0x60, DATA0, VECTOR_TS, DATA0 },
	{ false, 0x60, SEL_B, VECTOR_TS, SEL_B },
	{ false, 0x60, ABSENT_LDT, VECTOR_TS, ABSENT_LDT },
	/* CS */
	{ false, 0x4c, 0, VECTOR_TS, 0 },
	{ false, 0x4c, OUTSIDE, VECTOR_TS, OUTSIDE },
	{ false, 0x4c, LDT_CODE3, VECTOR_TS, LDT_CODE3 }, /* there is no LDT */
	{ false, 0x4c, DATA0, VECTOR_TS, DATA0 },
	{ false, 0x4c, SEL_LDT, VECTOR_TS, SEL_LDT },
	{ false, 0x4c, CODE3, VECTOR_TS, CODE3 },
	{ true, 0x4c, CODE0 | 3, VECTOR_TS, CODE0 },
	{ false, 0x4c, CONFORMING3, VECTOR_TS, CONFORMING3 },
	{ false, 0x4c, ABSENT_CODE, VECTOR_NP, ABSENT_CODE },
	/* SS */
	{ false, 0x50, 0, VECTOR_TS, 0 },
	{ false, 0x50, OUTSIDE, VECTOR_TS, OUTSIDE },
	{ false, 0x50, CODE0, VECTOR_TS, CODE0 },
	{ false, 0x50, READ_ONLY_DATA, VECTOR_TS, READ_ONLY_DATA },
	{ false, 0x50, ABSENT_DATA, VECTOR_SS, ABSENT_DATA },
	{ false, 0x50, DATA3, VECTOR_TS, DATA3 },
	{ false, 0x50, DATA0 | 3, VECTOR_TS, DATA0 },
	{ true, 0x50, DATA0 | 3, VECTOR_TS, DATA0 },
	/* data */
	{ false, 0x54, OUTSIDE, VECTOR_TS, OUTSIDE },
	{ false, 0x54, SEL_LDT, VECTOR_TS, SEL_LDT },
	{ false, 0x48, UNREADABLE_CODE, VECTOR_TS, UNREADABLE_CODE },
	{ true, 0x58, DATA0, VECTOR_TS, DATA0 },
	{ false, 0x58, DATA0 | 3, VECTOR_TS, DATA0 },
	{ true, 0x5c, CODE0, VECTOR_TS, CODE0 },
	{ false, 0x5c, ABSENT_DATA, VECTOR_NP, ABSENT_DATA },
};

static void faults_in_the_new_task(void **state)
{
	for (unsigned i = 0; i < ARRAY_COUNT(new_faults); i++) {
		const struct new_fault *f = &new_faults[i];

		set_up(state);
		fill_tss32(TSS_B, f->user);
		store(TSS_B + f->offset, 2, f->selector);
		run(SEL_B, TASK_SWITCH_JMP);
		expect_exception(f->vector, f->error_code);
		assert_int_equal(vcpu.regs.segments[SEGMENT_TR].selector, SEL_B);
		assert_int_equal(vcpu.regs.rip, 0x12345678);
		assert_int_equal(type_of(SEL_A), 9);
		assert_int_equal(load(TSS_A + 0x20, 4), 0x4007);
		assert_int_equal(cpl_read(&vcpu), f->offset == 0x4c ? f->selector & 3
						  : f->user	    ? 3
								    : 0);
		check_entry_rules();
	}
}

/* --- paging -------------------------------------------------------------------------------- */

static void cr3_is_loaded(void **state)
{
	(void)state;
	page_32bit();
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.cr3, OTHER_DIRECTORY);
	assert_int_equal(flushes, 1);
	check_loaded32();
}

static void cr3_stays_for_a_16bit_task(void **state)
{
	(void)state;
	page_32bit();
	run_clean(SEL_C, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.cr3, PAGE_DIRECTORY);
	assert_int_equal(flushes, 0);
}

static void page_faults_of_the_old_task(void **state)
{
	(void)state;
	/* The old TSS is read-only. */
	page_32bit();
	set_gdt(SEL_B, 0x5000, 0x67, 0x89);
	memcpy(memory + 0x5000, memory + TSS_B, 104);
	store(PAGE_TABLE + 4 * 3, 4, 0x3001);
	run(SEL_B, TASK_SWITCH_JMP);
	expect_exception(VECTOR_PF, PFERR_PRESENT | PFERR_WRITE);
	assert_int_equal(vcpu.events.pending.payload, TSS_A + 0x20);
	assert_int_equal(type_of(SEL_A), 11);
	assert_int_equal(vcpu.regs.rip, 0x4000);
	/* The new TSS ends on a page that is not there. */
	set_up(state);
	page_32bit();
	set_gdt(SEL_B, 0x5fc0, 0x67, 0x89);
	store(PAGE_TABLE + 4 * 6, 4, 0);
	run(SEL_B, TASK_SWITCH_JMP);
	expect_exception(VECTOR_PF, 0);
	assert_int_equal(vcpu.events.pending.payload, 0x6000);
	assert_int_equal(load(TSS_A + 0x20, 4), 0x12345678);
	/* The GDT is read-only: the busy bit of the new task cannot be set. */
	set_up(state);
	page_32bit();
	store(PAGE_TABLE + 4 * 1, 4, 0x1001);
	run(SEL_B, TASK_SWITCH_CALL);
	expect_exception(VECTOR_PF, PFERR_PRESENT | PFERR_WRITE);
	assert_int_equal(vcpu.events.pending.payload, GDT + SEL_B + 5);
	assert_int_equal(load(TSS_A + 0x20, 4), 0x12345678);
	/* Nor that of the old one be cleared. */
	set_up(state);
	page_32bit();
	store(PAGE_TABLE + 4 * 1, 4, 0x1001);
	set_gdt(SEL_B, TSS_B, 0x67, 0x8b);
	run(SEL_B, TASK_SWITCH_IRET);
	expect_exception(VECTOR_PF, PFERR_PRESENT | PFERR_WRITE);
	assert_int_equal(vcpu.events.pending.payload, GDT + SEL_A + 5);
}

/* The guest's tables are the supervisor's, the task that runs is not. */
static void tables_are_read_as_supervisor(void **state)
{
	(void)state;
	page_32bit();
	vcpu.regs.segments[SEGMENT_CS] = flat(CODE3 | 3, 0xc0fb);
	vcpu.regs.segments[SEGMENT_SS] = flat(DATA3 | 3, 0xc0f3);
	fill_tss32(TSS_B, true);
	store(TSS_B + 0x60, 2, SEL_LDT);
	store(TSS_B + 0x58, 2, LDT_DATA3 | 3);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.segments[SEGMENT_FS].selector, LDT_DATA3 | 3);
}

static void page_fault_of_the_new_task(void **state)
{
	(void)state;
	/* In the new address space the LDT is elsewhere: nowhere. */
	page_32bit();
	memcpy(memory + PAE_DIRECTORY, memory + PAGE_TABLE, 4096);
	store(OTHER_DIRECTORY, 4, PAE_DIRECTORY | 3);
	set_gdt(SEL_LDT, 0x7000, 0x0f, 0x82);
	store(PAE_DIRECTORY + 4 * 7, 4, 0);
	fill_tss32(TSS_B, true);
	store(TSS_B + 0x60, 2, SEL_LDT);
	store(TSS_B + 0x4c, 2, LDT_CODE3 | 3);
	run(SEL_B, TASK_SWITCH_JMP);
	expect_exception(VECTOR_PF, 0);
	assert_int_equal(vcpu.events.pending.payload, 0x7000);
	assert_int_equal(vcpu.regs.cr3, OTHER_DIRECTORY);
	assert_int_equal(cpl_read(&vcpu), 3);
	check_entry_rules();
}

/* The push is an access of the new task: at CPL 3 it needs a user page. */
static void push_is_checked_at_the_new_cpl(void **state)
{
	struct exit_info exit;

	(void)state;
	page_32bit();
	fill_tss32(TSS_B, true);
	exit = through_gate(SEL_B, EVENT_EXCEPTION, VECTOR_AC, true);
	(void)task_switch_exit(&vcpu, &exit);
	expect_exception(VECTOR_PF, PFERR_PRESENT | PFERR_WRITE | PFERR_USER);
	assert_int_equal(vcpu.events.pending.payload, STACK - 4);
}

static void tss_across_two_pages(void **state)
{
	(void)state;
	page_32bit();
	/* Linear 0x5000 and 0x6000 lie at 0x9000 and 0xf000. */
	store(PAGE_TABLE + 4 * 5, 4, 0x9003);
	store(PAGE_TABLE + 4 * 6, 4, 0xf003);
	set_gdt(SEL_B, 0x5fc8, 0x67, 0x89);
	memcpy(memory + 0x9fc8, memory + TSS_B, 0x38);
	memcpy(memory + 0xf000, memory + TSS_B + 0x38, 104 - 0x38);
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.gpr[REG_RDI], 0xb0000007);
	vcpu.regs.gpr[REG_RAX] = 0x11111111;
	vcpu.regs.gpr[REG_RDI] = 0x77777777;
	run_clean(SEL_A, TASK_SWITCH_JMP);
	assert_int_equal(load(0x9fc8 + 0x28, 4), 0x11111111);
	assert_int_equal(load(0xf000 + 0x44 - 0x38, 4), 0x77777777);
}

static void page_pae(void)
{
	for (unsigned i = 0; i < 512; i++)
		store(PAE_DIRECTORY + 8 * i, 8, (uint64_t)i << 21 | 0x83);
	store(PAE_POINTERS, 8, PAE_DIRECTORY | 1);
	store(PAE_POINTERS + 8, 8, 0x6);
	vcpu.regs.cr0 |= CR0_PG | CR0_WP;
	vcpu.regs.cr4 |= CR4_PAE;
	vcpu.regs.pdptr[0] = PAE_DIRECTORY | 1;
	store(TSS_B + 0x1c, 4, PAE_POINTERS | 0x18);
}

static void pdptrs_are_loaded(void **state)
{
	(void)state;
	page_pae();
	run_clean(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.regs.cr3, PAE_POINTERS | 0x18);
	assert_int_equal(vcpu.regs.pdptr[0], PAE_DIRECTORY | 1);
	assert_int_equal(vcpu.regs.pdptr[1], 6); /* not present: anything goes */
	assert_true(vcpu.regs.dirty & REG_BIT(REG_PDPTR));
	assert_int_equal(flushes, 1);
}

static void reserved_bits_in_pdptrs(void **state)
{
	static const uint64_t bad[] = {
		3, 5, 0x21, 0x101, UINT64_C(1) << 40 | 1, UINT64_C(1) << 63 | 1
	};

	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
		set_up(state);
		page_pae();
		store(PAE_POINTERS + 24, 8, bad[i]);
		run(SEL_B, TASK_SWITCH_JMP);
		expect_exception(VECTOR_GP, 0);
		assert_int_equal(vcpu.regs.cr3, PAGE_DIRECTORY);
		assert_int_equal(vcpu.regs.rip, 0x4000);
		assert_int_equal(type_of(SEL_B), 9);
	}
}

/* --- anything ------------------------------------------------------------------------------ */

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint32_t random32(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* Whatever the guest's tables say, the state afterwards is one that VM entry accepts. */
static void any_tables_leave_a_valid_state(void **state)
{
	unsigned clean = 0;

	for (unsigned round = 0; round < 30000; round++) {
		set_up(state);
		fill_tss32(TSS_B, round & 1);
		for (unsigned i = 0; i < 1 + random32() % 4; i++)
			store(TSS_B + 0x20 + 2 * (random32() % 34), 2, random32());
		for (unsigned i = 0; i < random32() % 3; i++)
			store(TSS_B + 0x48 + 4 * (random32() % 7), 2,
			      (random32() % 20) << 3 | (random32() & 7));
		for (unsigned i = 0; i < random32() % 3; i++)
			store(GDT + 8 * (random32() % 20) + random32() % 8, 1, random32());
		if (random32() % 4 == 0)
			page_32bit();
		for (unsigned i = 0; i < random32() % 3; i++)
			store(PAGE_TABLE + 4 * (random32() % 16), 4, random32());
		run(SEL_B, (enum task_switch_source)(random32() % 4));
		clean += !vcpu.events.pending.valid;
		check_entry_rules();
		assert_int_equal(vcpu.regs.dirty & ~vcpu.regs.available, 0);
	}
	assert_in_range(clean, 3000, 27000);
}

/*
 * All that a switch writes in the guest's name, and each of it once: the old state, the link, the busy flag, accessed
 * flags, the error code, and what the page tables are marked with on the way.
 */
static void what_is_written_is_told(void **state)
{
	const uint16_t through[] = { SEL_B, SEL_C };
	struct exit_info exit;

	for (unsigned i = 0; i < ARRAY_COUNT(through); i++) {
		set_up(state);
		set_gdt(DATA0, 0, 0xfffff, 0xc092); /* not accessed */
		page_32bit();
		dropped_steps = 0;
		track_frames(0, MEMORY_BYTES / PAGE_BYTES);
		exit = through_gate(through[i], EVENT_EXCEPTION, VECTOR_GP, true);
		assert_int_equal(task_switch_exit(&vcpu, &exit), VERDICT_RESUME);
		assert_false(vcpu.events.pending.valid);
		assert_int_equal(dropped_steps, 1);
		expect_told_is_memory(0, MEMORY_BYTES / PAGE_BYTES);
		for (unsigned k = 0; k < told_count; k++) {
			for (unsigned n = 0; n < k; n++)
				assert_false(told_writes[n].gpa < PAGE_DIRECTORY &&
					     told_writes[n].gpa + told_writes[n].count >
						     told_writes[k].gpa &&
					     told_writes[n].gpa <
						     told_writes[k].gpa + told_writes[k].count);
		}
		/* state (0x20 to 0x60), link, busy, one accessed flag, the error code */
		assert_int_equal(told_writes[told_count - 1].count, i == 0 ? 4 : 2);
		assert_int_equal(told_writes[told_count - 1].gpa, STACK - (i == 0 ? 4 : 2));
	}
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(jmp_between_32bit_tasks),
		TEST(call_links_the_tasks),
		TEST(iret_goes_back),
		TEST(iret_to_itself),
		TEST(there_and_back_again),
		TEST(into_16bit_task),
		TEST(from_16bit_task),
		TEST(into_vm86_and_out),
		TEST(segments_of_the_ldt),
		TEST(loading_marks_accessed),
		TEST(conforming_code),
		TEST(trap_bit),
		TEST(gate_pushes_the_error_code),
		TEST(gate_to_16bit_task_pushes_a_word),
		TEST(push_wraps_at_64k),
		TEST(push_beyond_the_limit),
		TEST(push_to_an_expand_down_stack),
		TEST(soft_interrupt_through_gate),
		TEST(nmi_through_gate_blocks_nmis),
		TEST(faults_during_delivery),
		TEST(faults_leave_the_old_task_whole),
		TEST(descriptors_end_inside_the_table),
		TEST(no_tss_in_the_ldt),
		TEST(old_tss_too_small),
		TEST(faults_in_the_new_task),
		TEST(cr3_is_loaded),
		TEST(cr3_stays_for_a_16bit_task),
		TEST(page_faults_of_the_old_task),
		TEST(page_fault_of_the_new_task),
		TEST(tables_are_read_as_supervisor),
		TEST(push_is_checked_at_the_new_cpl),
		TEST(tss_across_two_pages),
		TEST(pdptrs_are_loaded),
		TEST(reserved_bits_in_pdptrs),
		TEST(what_is_written_is_told),
		TEST(any_tables_leave_a_valid_state),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
