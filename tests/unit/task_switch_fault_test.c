/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/task_switch.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: core/pdptr.c arch/x86/cr_rules.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* Task switches that fail, by the tables or by paging, and any tables at all. */
#include "tests/unit/task_test.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
