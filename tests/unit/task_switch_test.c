/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/task_switch.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: core/pdptr.c arch/x86/cr_rules.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* Task switches that work, and what a task gate pushes. */
#include "tests/unit/task_test.h"

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

/* --- breakpoints in debug registers --------------------------------------------------------- */

struct access {
	uint32_t address, bytes;
	uint16_t selector;
	enum task_switch_source source;
	bool is_written, is_read;
};

static const struct access accesses[] = {
	/* what is saved, less CR3 and the LDT */
	{ TSS_A + 0x20, 4, SEL_B, TASK_SWITCH_JMP, true, true },
	{ TSS_A + 0x5c, 2, SEL_B, TASK_SWITCH_CALL, true, true },
	{ TSS_A + 0x1c, 4, SEL_B, TASK_SWITCH_JMP, false, false },
	{ TSS_A + 0x60, 8, SEL_B, TASK_SWITCH_JMP, false, false },
	/* what is loaded, less the stacks of the inner rings */
	{ TSS_B + 0x1c, 4, SEL_B, TASK_SWITCH_JMP, false, true },
	{ TSS_B + 0x66, 1, SEL_B, TASK_SWITCH_JMP, false, true },
	{ TSS_B + 0x04, 8, SEL_B, TASK_SWITCH_JMP, false, false },
	{ TSS_C + 0x0e, 2, SEL_C, TASK_SWITCH_JMP, false, true },
	{ TSS_C + 0x0c, 2, SEL_C, TASK_SWITCH_JMP, false, false },
	/* the link, and the busy flags */
	{ TSS_B, 2, SEL_B, TASK_SWITCH_CALL, true, true },
	{ TSS_B, 2, SEL_B, TASK_SWITCH_JMP, false, false },
	{ TSS_A, 2, SEL_A, TASK_SWITCH_IRET, false, true },
	{ GDT + SEL_B + 5, 1, SEL_B, TASK_SWITCH_JMP, true, true },
	{ GDT + SEL_A + 5, 1, SEL_B, TASK_SWITCH_JMP, true, true },
	{ GDT + SEL_A + 5, 1, SEL_B, TASK_SWITCH_CALL, false, false },
	/* descriptors */
	{ GDT + SEL_B, 1, SEL_B, TASK_SWITCH_JMP, false, true },
	{ GDT + CODE0, 8, SEL_B, TASK_SWITCH_JMP, false, true },
	{ GDT + FRESH_DATA + 5, 1, SEL_B, TASK_SWITCH_JMP, true, true },
	{ GDT + CODE3, 8, SEL_B, TASK_SWITCH_JMP, false, false },
};

static void watch_one(const struct access *access, bool is_on_writes, bool is_debuggers)
{
	bool is_met = is_on_writes ? access->is_written : access->is_read;

	set_up(NULL);
	store(TSS_B + 0x54, 2, FRESH_DATA);
	watch.address = access->address;
	watch.bytes = access->bytes;
	watch.is_on_writes = is_on_writes;
	watch.is_debuggers = is_debuggers;
	run(access->selector, access->source);
	assert_int_equal(watch.stops != 0, is_met && is_debuggers);
	assert_int_equal(vcpu.events.pending.valid, is_met && !is_debuggers);
	if (!is_met || is_debuggers)
		return;
	assert_int_equal(vcpu.events.pending.vector, VECTOR_DB);
	assert_int_equal(vcpu.events.pending.payload, 4);
	/* The old task's local breakpoints are met until it has been left. */
	if (access->address / 0x100 == TSS_A / 0x100)
		assert_int_equal(watch.dr7_then, 0x7ff);
}

static void accesses_meet_breakpoints(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4 * ARRAY_COUNT(accesses); i++)
		watch_one(&accesses[i / 4], (i & 1) != 0, (i & 2) != 0);
}

static void breakpoint_and_trap_bit(void **state)
{
	(void)state;
	store(TSS_B + 0x64, 2, 1);
	watch.address = TSS_A + 0x24;
	watch.bytes = 4;
	run(SEL_B, TASK_SWITCH_JMP);
	assert_int_equal(vcpu.events.pending.payload, DR6_BT | 4);
}

/* The fault comes first; the debugger is told of what has been written. */
static void breakpoint_and_fault(void **state)
{
	for (unsigned is_debuggers = 0; is_debuggers < 2; is_debuggers++) {
		set_up(state);
		store(TSS_B + 0x50, 2, ABSENT_DATA);
		watch.address = TSS_A + 0x24;
		watch.bytes = 4;
		watch.is_debuggers = is_debuggers != 0;
		run(SEL_B, TASK_SWITCH_JMP);
		expect_exception(VECTOR_SS, ABSENT_DATA);
		assert_int_equal(watch.stops, is_debuggers);
	}
	/* Of a switch that has not begun, nothing. */
	set_up(state);
	set_gdt(SEL_B, TSS_B, 0x66, 0x89);
	watch.address = GDT + SEL_B;
	watch.bytes = 4;
	watch.is_debuggers = true;
	run(SEL_B, TASK_SWITCH_JMP);
	expect_exception(VECTOR_TS, SEL_B);
	assert_int_equal(watch.stops, 0);
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
		TEST(accesses_meet_breakpoints),
		TEST(breakpoint_and_trap_bit),
		TEST(breakpoint_and_fault),
		TEST(gate_pushes_the_error_code),
		TEST(gate_to_16bit_task_pushes_a_word),
		TEST(push_wraps_at_64k),
		TEST(push_beyond_the_limit),
		TEST(push_to_an_expand_down_stack),
		TEST(soft_interrupt_through_gate),
		TEST(nmi_through_gate_blocks_nmis),
		TEST(faults_during_delivery),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
