/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/svm/events.c arch/svm/regs.c arch/svm/step.c arch/svm/step_insn.c arch/svm/step_v86.c core/events.c
// sources: core/regs.c core/pdptr.c arch/x86/cr_rules.c mm/flush_model.c
/* INT 0x80 that is stepped in virtual-8086 mode with CR4.VME. */
#include "fake_vmrun.h"

#define TSS	0x400u
#define IO_MAP	0x88u
#define STACK	0x700u
#define HANDLER UINT32_C(0x12345678)

static void put(unsigned at, const void *from, unsigned bytes)
{
	memcpy(low_memory + at, from, bytes);
}

static uint16_t word(unsigned at)
{
	uint16_t value;

	memcpy(&value, low_memory + at, sizeof(value));
	return value;
}

/* `bits`: of the redirection bitmap, vectors 0x80 to 0x87. */
static void enter_v86(void **state, uint64_t rflags, uint8_t bits)
{
	const uint16_t io_map = IO_MAP;
	const uint32_t handler = HANDLER;

	clear(state);
	vcpu.in_guest = 0;
	memset(low_memory, 0xee, sizeof(low_memory));
	put(TSS + 0x66, &io_map, sizeof(io_map));
	put(TSS + IO_MAP - 32 + 0x80 / 8, &bits, sizeof(bits));
	put(4 * 0x80, &handler, sizeof(handler));
	vmcb.cr4 = CR4_VME;
	vmcb.rflags = RFLAGS_FIXED | RFLAGS_VM | rflags;
	vmcb.tr = (struct vmcb_segment){ .attributes = 0x8b, .limit = 0x88, .base = TSS };
	vmcb.cs = (struct vmcb_segment){ .selector = 0x1000, .base = 0x10000, .limit = 0xffff };
	vmcb.ss = (struct vmcb_segment){ .selector = 0x70, .base = STACK, .limit = 0xffff };
	vmcb.rsp = 0x40;
	vmcb.rip = 0x22;
	opcode = 0xcd;
}

struct redirected {
	uint64_t rflags, after;
	uint16_t saved;
};

static void the_programs_handler_finds_the_guests_flags(void **state)
{
	const uint64_t iopl3 = RFLAGS_IOPL, fixed = RFLAGS_FIXED | RFLAGS_VM;
	const struct redirected cases[] = {
		{ iopl3 | RFLAGS_IF, fixed | iopl3, 0x3202 },
		{ iopl3 | RFLAGS_TF | RFLAGS_RF, fixed | iopl3, 0x3102 },
		/* less than IOPL 3: VIF is the program's IF */
		{ RFLAGS_IF, fixed | RFLAGS_IF, 0x3002 },
		{ RFLAGS_IF | RFLAGS_VIF, fixed | RFLAGS_IF, 0x3202 },
		{ RFLAGS_TF | RFLAGS_VIF, fixed, 0x3302 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		enter_v86(state, cases[i].rflags, 0xfe);
		step_begin(&vcpu, STEP_PLAIN, (gpa_t){ 0 });
		enter();
		/* nothing is executed: our NMI ends the step */
		assert_int_equal(kicks, 1);
		assert_int_equal(vmcb.event_injection, 0);
		assert_int_equal(vmcb.rip, HANDLER & 0xffff);
		assert_int_equal(vmcb.cs.selector, HANDLER >> 16);
		assert_int_equal(vmcb.cs.base, (HANDLER >> 16) << 4);
		assert_int_equal(vmcb.rsp, 0x3a);
		assert_int_equal(vmcb.rflags, cases[i].after);
		assert_int_equal(word(STACK + 0x3a), 0x24);
		assert_int_equal(word(STACK + 0x3c), 0x1000);
		assert_int_equal(word(STACK + 0x3e), cases[i].saved);
		leave();
		assert_true(svm_step_is_delivered(&vcpu));
		step_end();
		enter();
		assert_int_equal(vmcb.rflags, cases[i].after);
	}
}

/* With IOPL 3 it is injected, and goes through the IDT; with less it is a #GP, which the CPU raises. */
static void what_is_not_redirected_is_no_programs(void **state)
{
	for (unsigned iopl = 0; iopl < 4; iopl += 3) {
		enter_v86(state, field_put(RFLAGS_IOPL, iopl), 0x01);
		step_begin(&vcpu, STEP_PLAIN, (gpa_t){ 0 });
		enter();
		assert_int_equal(vmcb.event_injection, iopl == 3 ? 0x80 | 4 << 8 | EVENT_VALID : 0);
		assert_int_equal(vmcb.rip, iopl == 3 ? 0x24 : 0x22);
		assert_int_equal((vmcb.rflags & RFLAGS_TF) != 0, iopl != 3);
		assert_int_equal(word(STACK + 0x3e), 0xeeee);
		step_end();
	}
}

static void what_faults_is_left_to_the_cpu(void **state)
{
	for (unsigned i = 0; i < 3; i++) {
		enter_v86(state, RFLAGS_IOPL, 0);
		if (i == 0)
			vmcb.ss.base = sizeof(low_memory); /* no page */
		else if (i == 1)
			vmcb.rsp = 1; /* a word across the segment's end */
		else
			vmcb.tr.limit = 0x60; /* no bitmap */
		step_begin(&vcpu, STEP_PLAIN, (gpa_t){ 0 });
		enter();
		assert_int_equal(kicks, 0);
		assert_int_equal(vmcb.event_injection, 0);
		assert_int_equal(vmcb.rip, 0x22);
		assert_true((vmcb.rflags & RFLAGS_TF) != 0);
		step_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_programs_handler_finds_the_guests_flags, clear),
		cmocka_unit_test_setup(what_is_not_redirected_is_no_programs, clear),
		cmocka_unit_test_setup(what_faults_is_left_to_the_cpu, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
