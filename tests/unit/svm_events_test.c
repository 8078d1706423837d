/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/svm/events.c arch/svm/regs.c arch/svm/step.c arch/svm/step_insn.c arch/svm/step_v86.c core/events.c
// sources: core/regs.c core/pdptr.c arch/x86/cr_rules.c mm/flush_model.c
/* EXITINTINFO and EVENTINJ, with what some machines get wrong. */
#include "fake_vmrun.h"

static void exitintinfo_is_read_and_mended(void **state)
{
	struct event event;

	(void)state;
	assert_false(svm_event_decode(0, &event));
	assert_true(svm_event_decode(info(14, 3, true), &event));
	assert_int_equal(event.type, EVENT_EXCEPTION);
	assert_true(event.has_error);
	assert_int_equal(event.error_code, 0x18);
	assert_true(svm_event_decode(info(0x31, 0, false), &event));
	assert_int_equal(event.type, EVENT_EXTERNAL);
	/* reported as exceptions by some machines */
	assert_true(svm_event_decode(info(2, 3, false), &event));
	assert_int_equal(event.type, EVENT_NMI);
	assert_true(svm_event_decode(info(0xec, 3, false), &event));
	assert_int_equal(event.type, EVENT_EXTERNAL);
	/* happen again by themselves */
	assert_false(svm_event_decode(info(0x80, 4, false), &event));
	assert_false(svm_event_decode(info(3, 3, false), &event));
}

static void what_was_interrupted_is_injected_again(void **state)
{
	(void)state;
	vmcb.exit_int_info = info(13, 3, true);
	leave();
	enter();
	assert_int_equal(vmcb.event_injection, info(13, 3, true));
	assert_false(vcpu.events.pending.valid);
}

/* Each kind of event as EVENTINJ has it. APM: "Event Injection". */
static void events_are_encoded(void **state)
{
	static const struct {
		struct event event;
		uint64_t cr0, injection;
	} cases[] = {
		{ { true, true, false, 13, 0, EVENT_EXCEPTION, 0x18, 0 },
		  CR0_PE,
		  UINT64_C(0x1800000b0d) },
		/* real mode has no error codes */
		{ { true, true, false, 13, 0, EVENT_EXCEPTION, 0x18, 0 }, 0, 0x30d },
		{ { true, false, false, 6, 0, EVENT_EXCEPTION, 0, 0 }, CR0_PE, 0x306 },
		{ { true, false, false, 2, 0, EVENT_NMI, 0, 0 }, CR0_PE, 0x202 },
		{ { true, false, false, 0x31, 0, EVENT_EXTERNAL, 0, 0 }, CR0_PE, 0x031 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		vmcb.cr0 = cases[i].cr0;
		events_requeue(&vcpu, &cases[i].event);
		enter();
		assert_int_equal(vmcb.event_injection, cases[i].injection | EVENT_VALID);
	}
}

static void payload_appears_at_delivery_only(void **state)
{
	(void)state;
	vmcb.dr7 = DR7_INIT | DR7_GD;
	events_raise_db(&vcpu, DR6_BS);
	assert_int_equal(dr6_read(&vcpu), DR6_INIT);
	enter();
	assert_int_equal(vmcb.dr6, DR6_INIT | DR6_BS);
	assert_int_equal(vmcb.dr7, DR7_INIT);
	leave();
	events_raise_pf(&vcpu, 0x1234, 6);
	assert_int_equal(cr2_read(&vcpu), 0);
	enter();
	assert_int_equal(vmcb.cr2, 0x1234);
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED | RFLAGS_RF);
}

/* APM: "Debug Status Register (DR6)". */
static void dr6_has_the_last_breakpoints(void **state)
{
	static const struct {
		uint64_t happened, before, after;
	} cases[] = {
		{ DR6_BS, 0xffffaff5, 0xffffeff0 },
		{ DR6_BD, 0xffff4ff5, 0xffff6ff0 },
		{ 2, 0xffff0ff5, 0xffff0ff2 },
		/* a bus lock before, and INT1 that is stepped */
		{ 2, 0xffff07f5, 0xffff07f2 },
		{ 0, 0xffffa7f5, 0xffffa7f5 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		vmcb.dr6 = cases[i].before;
		events_raise_db(&vcpu, cases[i].happened);
		enter();
		assert_int_equal(vmcb.dr6, cases[i].after);
	}
}

/* APM: "Control-Transfer Breakpoint Feature", "Control-Transfer Recording MSRs". */
static void a_debug_exception_ends_btf_and_lbr(void **state)
{
	(void)state;
	debugctl = 0x43;
	events_raise_ud(&vcpu);
	enter();
	assert_int_equal(debugctl, 0x43);
	leave();
	events_raise_db(&vcpu, DR6_BS);
	assert_int_equal(debugctl, 0x43);
	enter();
	assert_int_equal(debugctl, 0x40);
}

static void nmis_are_blocked_until_iret_and_come_one_by_one(void **state)
{
	(void)state;
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(vmcb.event_injection, 2 | 2 << 8 | EVENT_VALID);
	assert_true(svm.nmi_blocked);
	assert_int_equal(vmcb.intercept[0], INTERCEPT_IRET);
	/* another one waits */
	leave();
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(vmcb.event_injection, 0);
	assert_true(vcpu.events.nmi_pending);
	leave();
	nmi_blocked_write(&vcpu, false);
	enter();
	assert_int_not_equal(vmcb.event_injection, 0);
}

static void an_nmi_behind_another_event_asks_for_an_exit(void **state)
{
	(void)state;
	events_raise_ud(&vcpu);
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(vmcb.event_injection, 6 | 3 << 8 | EVENT_VALID);
	assert_true(vcpu.events.nmi_pending);
	assert_int_equal(kicks, 1);
}

/* Between MOV SS and the load of the stack pointer. */
static void an_nmi_waits_for_the_end_of_a_shadow(void **state)
{
	struct exit_info exit = { .exception.vector = VECTOR_DB };

	(void)state;
	vmcb.interrupt_shadow = INTERRUPT_SHADOW;
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(vmcb.event_injection, 0);
	assert_int_equal(vmcb.interrupt_shadow, INTERRUPT_SHADOW);
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED | RFLAGS_TF);
	/* the instruction is done, and its shadow is over */
	vmcb.interrupt_shadow = 0;
	vmcb.dr6 |= DR6_BS;
	leave();
	svm_step_exception(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_STEP);
	step_end();
	enter();
	assert_int_equal(vmcb.event_injection, 2 | 2 << 8 | EVENT_VALID);
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
	assert_int_equal(vmcb.dr6, DR6_INIT);
}

/* STI; HLT: a step over HLT might never end, and an NMI between the two is the CPU's choice. */
static void an_nmi_does_not_wait_for_a_halt(void **state)
{
	(void)state;
	opcode = 0xf4;
	vmcb.interrupt_shadow = INTERRUPT_SHADOW;
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(vmcb.event_injection, 2 | 2 << 8 | EVENT_VALID);
	assert_int_equal(vmcb.interrupt_shadow, 0);
	assert_int_equal(vmcb.rflags, RFLAGS_FIXED);
}

static void a_fault_in_a_shadow_ends_it(void **state)
{
	(void)state;
	vmcb.interrupt_shadow = INTERRUPT_SHADOW;
	events_raise_gp(&vcpu, 0);
	enter();
	assert_int_equal(vmcb.interrupt_shadow, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(exitintinfo_is_read_and_mended, clear),
		cmocka_unit_test_setup(what_was_interrupted_is_injected_again, clear),
		cmocka_unit_test_setup(events_are_encoded, clear),
		cmocka_unit_test_setup(payload_appears_at_delivery_only, clear),
		cmocka_unit_test_setup(dr6_has_the_last_breakpoints, clear),
		cmocka_unit_test_setup(a_debug_exception_ends_btf_and_lbr, clear),
		cmocka_unit_test_setup(nmis_are_blocked_until_iret_and_come_one_by_one, clear),
		cmocka_unit_test_setup(an_nmi_behind_another_event_asks_for_an_exit, clear),
		cmocka_unit_test_setup(an_nmi_waits_for_the_end_of_a_shadow, clear),
		cmocka_unit_test_setup(an_nmi_does_not_wait_for_a_halt, clear),
		cmocka_unit_test_setup(a_fault_in_a_shadow_ends_it, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
