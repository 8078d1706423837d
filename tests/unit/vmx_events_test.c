/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/vmx/events.c arch/vmx/event_info.c arch/vmx/regs.c arch/vmx/guest_state.c
// sources: arch/vmx/capability.c arch/vmx/exit.c arch/vmx/exit_decode.c core/events.c core/regs.c
// sources: vmexit/simple.c
/*
 * Events into the guest and out of interrupted deliveries, over a VMCS in an array: what the VM-entry fields hold, when
 * NMIs are blocked, and what is left of a skipped instruction. SDM: "Event Injection", "Information for VM Exits That
 * Occur During Event Delivery", "Guest Non-Register State".
 */
#include "arch/vmx/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/enable.h"
#include "arch/vmx/event_info.h"
#include "arch/vmx/exit.h"
#include "arch/vmx/pebs.h"
#include "arch/vmx/regs.h"
#include "core/exception.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "vmexit/simple.h"
#include "vmexit/step.h"

#include "fake_vmcs.h"
#include "fake_loan.h"

/* tests/unit/vmx_pebs_test.c has it. */
bool vmx_pebs_write(struct vcpu *of, uint64_t value)
{
	(void)of, (void)value;
	return false;
}

static struct vmx_vcpu vmx;
static struct vcpu vcpu;
static const struct vendor_ops fake_ops = { .name = "fake", .regs_fetch = vmx_regs_fetch };
const struct vendor_ops *vendor = &fake_ops;

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_unreachable();
}

uint32_t vmx_timer_period(void)
{
	return 1;
}

void exception_return_from_nmi(void)
{
}

static unsigned abandoned;

void step_abandon(struct vcpu *v)
{
	(void)v;
	abandoned++;
}

static int clear(void **state)
{
	(void)state;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&vcpu, 0, sizeof(vcpu));
	vmx = (struct vmx_vcpu){ .cr0_fixed1 = UINT64_MAX, .cr4_fixed1 = UINT64_MAX };
	vcpu.backend = &vmx;
	vcpu.regs.cr0_guest_owned = vcpu.regs.cr4_guest_owned = UINT64_MAX;
	fake_vmcs[VMCS_GUEST_CR0] = CR0_PE;
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
	fake_vmcs[VMCS_GUEST_DR7] = DR7_INIT;
	fake_dr6 = DR6_INIT;
	fake_cr2 = 0;
	return 0;
}

/* As arch/vmx/run.c up to the world switch; afterwards the CPU has cleared the valid bit. */
static void enter(void)
{
	fake_vmcs[VMCS_ENTRY_INTR_INFO] &= ~(uint64_t)INTR_INFO_VALID;
	vmx_regs_store(&vcpu);
	vmx_events_prepare(&vcpu);
	regs_forget_lazy(&vcpu.regs);
}

static void exit_with(uint32_t reason, uint64_t qualification, uint32_t idt_vectoring)
{
	struct exit_info exit;

	fake_vmcs[VMCS_EXIT_REASON] = reason;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = qualification;
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = idt_vectoring;
	vmx.injected.valid = false;
	vmx_exit_decode(&vcpu, &exit);
}

/* An exception of an instruction that is stepped. */
static void exit_with_exception(uint32_t info, uint64_t qualification, uint32_t idt_vectoring)
{
	struct exit_info exit;

	fake_vmcs[VMCS_EXIT_REASON] = REASON_EXCEPTION_OR_NMI;
	fake_vmcs[VMCS_EXIT_INTR_INFO] = info | INTR_INFO_VALID;
	fake_vmcs[VMCS_EXIT_ERROR_CODE] = 6;
	fake_vmcs[VMCS_EXIT_QUALIFICATION] = qualification;
	fake_vmcs[VMCS_IDT_VECTORING_INFO] = idt_vectoring;
	vmx.injected.valid = false;
	abandoned = 0;
	vmx_exit_decode(&vcpu, &exit);
	assert_int_equal(exit.kind, EXIT_EXCEPTION);
	assert_int_equal(exception_exit(&vcpu, &exit), VERDICT_RESUME);
	assert_int_equal(abandoned, 1);
}

static uint32_t injected(void)
{
	return (uint32_t)fake_vmcs[VMCS_ENTRY_INTR_INFO];
}

static bool waits_for_window(void)
{
	return (fake_vmcs[VMCS_PRIMARY_CONTROLS] & PRIMARY_NMI_WINDOW_EXITING) != 0;
}

/* SDM: "VM-Entry Controls for Event Injection". */
static void events_are_encoded(void **state)
{
	static const struct {
		struct event event;
		uint64_t cr0;
		uint32_t info, error_code, insn_bytes;
	} cases[] = {
		{ { true, true, false, 13, 0, EVENT_EXCEPTION, 0x18, 0 }, CR0_PE, 0xb0d, 0x18, 0 },
		/* real mode has no error codes */
		{ { true, true, false, 13, 0, EVENT_EXCEPTION, 0x18, 0 }, 0, 0x30d, 0x18, 0 },
		{ { true, false, false, 6, 0, EVENT_EXCEPTION, 0, 0 }, CR0_PE, 0x306, 0, 0 },
		{ { true, false, false, 2, 0, EVENT_NMI, 0, 0 }, CR0_PE, 0x202, 0, 0 },
		{ { true, false, false, 0x31, 0, EVENT_EXTERNAL, 0, 0 }, CR0_PE, 0x031, 0, 0 },
		{ { true, false, false, 0x80, 2, EVENT_SOFT_INTERRUPT, 0, 0 },
		  CR0_PE,
		  0x480,
		  0,
		  2 },
		{ { true, false, false, 1, 1, EVENT_PRIVILEGED_SOFT_EXCEPTION, 0, 0 },
		  CR0_PE,
		  0x501,
		  0,
		  1 },
		{ { true, false, false, 3, 1, EVENT_SOFT_EXCEPTION, 0, 0 }, CR0_PE, 0x603, 0, 1 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		fake_vmcs[VMCS_GUEST_CR0] = cases[i].cr0;
		events_requeue(&vcpu, &cases[i].event);
		enter();
		assert_int_equal(injected(), cases[i].info | INTR_INFO_VALID);
		assert_int_equal(fake_vmcs[VMCS_ENTRY_ERROR_CODE], cases[i].error_code);
		assert_int_equal(fake_vmcs[VMCS_ENTRY_INSN_BYTES], cases[i].insn_bytes);
		assert_false(vcpu.events.pending.valid);
	}
}

/* Whatever was interrupted is injected again as it was. */
static void what_was_interrupted_is_injected_again(void **state)
{
	static const uint32_t infos[] = { 0xb0e, 0x306, 0x202, 0x031, 0x480, 0x501, 0x603 };

	for (unsigned i = 0; i < ARRAY_COUNT(infos); i++) {
		clear(state);
		fake_vmcs[VMCS_IDT_VECTORING_ERROR_CODE] = 6;
		fake_vmcs[VMCS_EXIT_INSN_BYTES] = 2;
		exit_with(REASON_EPT_VIOLATION, 1, infos[i] | INTR_INFO_VALID);
		enter();
		assert_int_equal(injected(), infos[i] | INTR_INFO_VALID);
		assert_int_equal(fake_vmcs[VMCS_ENTRY_ERROR_CODE],
				 (infos[i] & INTR_INFO_ERROR_CODE) != 0 ? 6 : 0);
		assert_int_equal(fake_vmcs[VMCS_ENTRY_INSN_BYTES],
				 infos[i] >= 0x400 && infos[i] < 0x800 ? 2 : 0);
	}
}

static void payload_appears_at_delivery_only(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_DR7] = DR7_INIT | DR7_GD;
	events_raise_db(&vcpu, DR6_BS);
	assert_int_equal(fake_dr6, DR6_INIT);
	enter();
	assert_int_equal(fake_dr6, DR6_INIT | DR6_BS);
	assert_int_equal(fake_vmcs[VMCS_GUEST_DR7], DR7_INIT);
	events_raise_pf(&vcpu, 0x1234, 6);
	assert_int_equal(fake_cr2, 0);
	enter();
	assert_int_equal(fake_cr2, 0x1234);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], RFLAGS_FIXED | RFLAGS_RF);
}

/* SDM: "Single-Stepping on Branches", "Monitoring Branches, Exceptions, and Interrupts". */
static void a_debug_exception_ends_btf_and_lbr(void **state)
{
	static const struct {
		struct event event;
		uint64_t after;
	} cases[] = {
		{ { true, false, true, 1, 0, EVENT_EXCEPTION, 0, DR6_BS }, 0x240 },
		/* that an exit has interrupted; INT1 */
		{ { true, false, false, 1, 0, EVENT_EXCEPTION, 0, 0 }, 0x240 },
		{ { true, false, false, 1, 1, EVENT_PRIVILEGED_SOFT_EXCEPTION, 0, 0 }, 0x240 },
		/* INT 1 is none */
		{ { true, false, false, 1, 2, EVENT_SOFT_INTERRUPT, 0, 0 }, 0x243 },
		{ { true, false, false, 6, 0, EVENT_EXCEPTION, 0, 0 }, 0x243 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		fake_vmcs[VMCS_GUEST_DEBUGCTL] = 0x243;
		events_requeue(&vcpu, &cases[i].event);
		assert_int_equal(fake_vmcs[VMCS_GUEST_DEBUGCTL], 0x243);
		enter();
		assert_int_equal(fake_vmcs[VMCS_GUEST_DEBUGCTL], cases[i].after);
	}
}

/* The VM entry would fail on an NMI with blocking by MOV SS, and may with blocking by STI. */
static void an_nmi_waits_for_what_blocks_it(void **state)
{
	static const struct {
		uint32_t before;
		bool waits;
		uint32_t after;
	} cases[] = {
		{ 0, false, 0 },
		{ INTERRUPTIBILITY_NMI, true, INTERRUPTIBILITY_NMI },
		{ INTERRUPTIBILITY_MOV_SS, true, INTERRUPTIBILITY_MOV_SS },
		{ INTERRUPTIBILITY_STI, false, 0 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = cases[i].before;
		vcpu.events.nmi_pending = true;
		enter();
		assert_int_equal(injected(), cases[i].waits ? 0 : 0x202 | INTR_INFO_VALID);
		assert_int_equal(waits_for_window(), cases[i].waits);
		assert_int_equal(vcpu.events.nmi_pending, cases[i].waits);
		assert_int_equal(fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY], cases[i].after);
	}
}

static void an_nmi_waits_behind_an_exception(void **state)
{
	(void)state;
	vcpu.events.nmi_pending = true;
	events_raise_ud(&vcpu);
	enter();
	assert_int_equal(injected(), 0x306 | INTR_INFO_VALID);
	assert_true(waits_for_window());
	exit_with(REASON_NMI_WINDOW, 0, 0);
	enter();
	assert_int_equal(injected(), 0x202 | INTR_INFO_VALID);
	assert_false(waits_for_window());
}

static void an_interrupted_nmi_blocks_itself_no_more(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = INTERRUPTIBILITY_NMI;
	exit_with(REASON_EPT_VIOLATION, 1, 0x202 | INTR_INFO_VALID);
	assert_false(nmi_blocked_read(&vcpu));
	enter();
	assert_int_equal(injected(), 0x202 | INTR_INFO_VALID);
}

/* SDM: "NMI Unblocking Due to IRET". */
static void an_iret_that_exits_blocks_nmis_again(void **state)
{
	(void)state;
	exit_with(REASON_EPT_VIOLATION, EPT_VIOLATION_NMI_UNBLOCKING | 1, 0);
	assert_true(nmi_blocked_read(&vcpu));
}

/* The IRET of a task switch is the handler's to do, and so are its effects on NMIs. */
static void a_task_switch_by_iret_unblocks_nmis(void **state)
{
	const uint64_t iret = UINT64_C(1) << 30, gate = UINT64_C(3) << 30;

	(void)state;
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = INTERRUPTIBILITY_NMI;
	exit_with(REASON_TASK_SWITCH, iret | 0x20, 0);
	nmi_blocked_write(&vcpu, false); /* vmexit/task_switch.c */
	enter();
	assert_int_equal(fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);
	/* and one that is delivered through a task gate blocks them */
	exit_with(REASON_TASK_SWITCH, gate | 0x20, 0x202 | INTR_INFO_VALID);
	nmi_blocked_write(&vcpu, true);
	vcpu.events.pending.valid = false;
	enter();
	assert_int_equal(fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY], INTERRUPTIBILITY_NMI);
}

/* By the cache alone, as handlers know nothing of the field. */
static void nmi_blocking_reaches_the_field(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_STI;
	assert_true(nmi_blocked_read(&vcpu));
	nmi_blocked_write(&vcpu, false);
	enter();
	assert_int_equal(fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY], INTERRUPTIBILITY_STI);
}

static void a_failed_entry_gives_the_event_back(void **state)
{
	(void)state;
	events_raise_gp(&vcpu, 8);
	enter();
	vmx_events_cancel(&vcpu);
	assert_true(vcpu.events.pending.valid);
	assert_int_equal(vcpu.events.pending.error_code, 8);
	assert_int_equal(injected(), 0);
	clear(state);
	vcpu.events.nmi_pending = true;
	enter();
	vmx_events_cancel(&vcpu);
	assert_true(vcpu.events.nmi_pending);
}

static void nothing_is_injected_into_wait_for_sipi(void **state)
{
	(void)state;
	vcpu.activity = ACTIVITY_WAIT_SIPI;
	vcpu.events.nmi_pending = true;
	events_raise_ud(&vcpu);
	enter();
	assert_int_equal(injected(), 0);
	assert_false(waits_for_window());
}

static void a_halted_cpu_runs_for_an_exception(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_ACTIVITY] = VMCS_ACTIVITY_HLT;
	vcpu.events.nmi_pending = true;
	enter();
	assert_int_equal(fake_vmcs[VMCS_GUEST_ACTIVITY], VMCS_ACTIVITY_HLT);
	events_raise_ud(&vcpu);
	enter();
	assert_int_equal(fake_vmcs[VMCS_GUEST_ACTIVITY], VMCS_ACTIVITY_ACTIVE);
}

/* Once, as the CPU would have delivered it: with CR2, DR6, and RF in what it saves. */
static void a_fault_in_a_step_is_the_guests(void **state)
{
	static const struct {
		uint32_t info, idt_vectoring, injected, error_code, insn_bytes;
		uint64_t qualification, cr2, dr6, rflags;
	} cases[] = {
		{ 0xb0e, 0, 0xb0e, 6, 0, 0x1234, 0x1234, DR6_INIT | 1, RFLAGS_RF },
		{ 0x306, 0, 0x306, 0, 0, 0, 0, DR6_INIT | 1, RFLAGS_RF },
		/* an instruction breakpoint; INT1, after which DR6 is as before */
		{ 0x301, 0, 0x301, 0, 0, 2, 0, DR6_INIT | 2, 0 },
		{ 0x501, 0, 0x501, 0, 1, 0, 0, DR6_INIT | 1, 0 },
		/* of the delivery of an interrupt, a #UD, a #GP, a #PF */
		{ 0xb0e, 0x80000031, 0xb0e, 6, 0, 0x1234, 0x1234, DR6_INIT | 1, RFLAGS_RF },
		{ 0xb0d, 0x80000306, 0xb0d, 6, 0, 0, 0, DR6_INIT | 1, RFLAGS_RF },
		{ 0xb0d, 0x80000b0d, 0xb08, 0, 0, 0, 0, DR6_INIT | 1, 0 },
		{ 0xb0e, 0x80000b0e, 0xb08, 0, 0, 0x1234, 0x1234, DR6_INIT | 1, 0 },
		/* of INT n */
		{ 0xb0d, 0x80000480, 0xb0d, 6, 0, 0, 0, DR6_INIT | 1, RFLAGS_RF },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		fake_dr6 = DR6_INIT | 1;
		fake_vmcs[VMCS_EXIT_INSN_BYTES] = 1;
		exit_with_exception(cases[i].info, cases[i].qualification, cases[i].idt_vectoring);
		assert_int_equal(fake_cr2, 0);
		enter();
		assert_int_equal(injected(), cases[i].injected | INTR_INFO_VALID);
		assert_int_equal(fake_vmcs[VMCS_ENTRY_ERROR_CODE], cases[i].error_code);
		assert_int_equal(fake_vmcs[VMCS_ENTRY_INSN_BYTES], cases[i].insn_bytes);
		assert_int_equal(fake_cr2, cases[i].cr2);
		assert_int_equal(fake_dr6, cases[i].dr6);
		assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], RFLAGS_FIXED | cases[i].rflags);
		enter();
		assert_int_equal(injected() & INTR_INFO_VALID, 0);
	}
	/* an IRET that faults has unblocked NMIs */
	clear(state);
	exit_with_exception(0xb0d | INTR_INFO_NMI_UNBLOCKING, 0, 0);
	assert_false(nmi_blocked_read(&vcpu));
	clear(state);
	exit_with_exception(0xb0e, 0x1234, 0x80000b08);
	assert_true(vcpu.events.triple_fault);
}

/* TF, RF, shadows and what MOV SS has held back, at an instruction that is skipped. */
static void a_skipped_instruction_ends_as_an_executed_one(void **state)
{
	static const struct {
		uint64_t rflags, debugctl, held;
		uint32_t interruptibility;
		uint64_t payload; /* 0: no trap */
	} cases[] = {
		{ RFLAGS_FIXED, 0, 0, 0, 0 },
		{ RFLAGS_FIXED, 0, 0, INTERRUPTIBILITY_STI, 0 },
		{ RFLAGS_FIXED | RFLAGS_RF, 0, 0, INTERRUPTIBILITY_MOV_SS, 0 },
		{ RFLAGS_FIXED | RFLAGS_TF, 0, 0, 0, DR6_BS },
		{ RFLAGS_FIXED | RFLAGS_TF | RFLAGS_RF, 0, 0, 0, DR6_BS },
		/* a trap for branches only */
		{ RFLAGS_FIXED | RFLAGS_TF, 2, 0, 0, 0 },
		{ RFLAGS_FIXED | RFLAGS_TF, 0, PENDING_DEBUG_BS, INTERRUPTIBILITY_STI, DR6_BS },
		/* MOV SS from watched memory, then the instruction */
		{ RFLAGS_FIXED | RFLAGS_TF, 0,
		  PENDING_DEBUG_BS | PENDING_DEBUG_ENABLED_BREAKPOINT | 2, INTERRUPTIBILITY_MOV_SS,
		  DR6_BS | 2 },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		fake_vmcs[VMCS_GUEST_RIP] = 0xffff;
		fake_vmcs[VMCS_EXIT_INSN_BYTES] = 2;
		fake_vmcs[VMCS_GUEST_RFLAGS] = cases[i].rflags;
		fake_vmcs[VMCS_GUEST_DEBUGCTL] = cases[i].debugctl;
		fake_vmcs[VMCS_GUEST_PENDING_DEBUG] = cases[i].held;
		fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = cases[i].interruptibility;
		vmx_skip_instruction(&vcpu);
		assert_int_equal(rip_read(&vcpu), 0x10001);
		assert_int_equal(vcpu.events.pending.valid, cases[i].payload != 0);
		assert_int_equal(vcpu.events.pending.payload, cases[i].payload);
		enter();
		assert_int_equal(fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY], 0);
		assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], cases[i].rflags & ~RFLAGS_RF);
		if (cases[i].payload != 0)
			assert_int_equal(fake_vmcs[VMCS_GUEST_PENDING_DEBUG], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(events_are_encoded, clear),
		cmocka_unit_test_setup(what_was_interrupted_is_injected_again, clear),
		cmocka_unit_test_setup(payload_appears_at_delivery_only, clear),
		cmocka_unit_test_setup(a_debug_exception_ends_btf_and_lbr, clear),
		cmocka_unit_test_setup(an_nmi_waits_for_what_blocks_it, clear),
		cmocka_unit_test_setup(an_nmi_waits_behind_an_exception, clear),
		cmocka_unit_test_setup(an_interrupted_nmi_blocks_itself_no_more, clear),
		cmocka_unit_test_setup(an_iret_that_exits_blocks_nmis_again, clear),
		cmocka_unit_test_setup(a_task_switch_by_iret_unblocks_nmis, clear),
		cmocka_unit_test_setup(nmi_blocking_reaches_the_field, clear),
		cmocka_unit_test_setup(a_failed_entry_gives_the_event_back, clear),
		cmocka_unit_test_setup(nothing_is_injected_into_wait_for_sipi, clear),
		cmocka_unit_test_setup(a_halted_cpu_runs_for_an_exception, clear),
		cmocka_unit_test_setup(a_fault_in_a_step_is_the_guests, clear),
		cmocka_unit_test_setup(a_skipped_instruction_ends_as_an_executed_one, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
