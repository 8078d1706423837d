// sources: arch/vmx/exit_decode.c arch/vmx/event_info.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/event_info.h"
#include "arch/vmx/exit_decode.h"

static void reasons_have_their_kinds(void **state)
{
	(void)state;
	assert_int_equal(vmx_exit_kind(10), EXIT_CPUID);
	assert_int_equal(vmx_exit_kind(31), EXIT_RDMSR);
	assert_int_equal(vmx_exit_kind(32), EXIT_WRMSR);
	assert_int_equal(vmx_exit_kind(55), EXIT_XSETBV);
	assert_int_equal(vmx_exit_kind(18), EXIT_HYPERCALL);
	assert_int_equal(vmx_exit_kind(28), EXIT_CR_ACCESS);
	assert_int_equal(vmx_exit_kind(48), EXIT_NESTED_PAGE_FAULT);
	assert_int_equal(vmx_exit_kind(37), EXIT_STEP);
	for (uint32_t reason = 19; reason <= 27; reason++)
		assert_int_equal(vmx_exit_kind(reason), EXIT_VIRTUALIZATION_INSN);
	/* Nobody asked for these, or they do not exist. */
	assert_int_equal(vmx_exit_kind(12), EXIT_OTHER);
	assert_int_equal(vmx_exit_kind(30), EXIT_IO);
	assert_int_equal(vmx_exit_kind(35), EXIT_OTHER);
	assert_int_equal(vmx_exit_kind(49), EXIT_OTHER);
	assert_int_equal(vmx_exit_kind(0x4000), EXIT_OTHER);
	/* Bits above the basic reason are modifiers, bit 31 a failed entry. */
	assert_int_equal(vmx_exit_kind(0x0800000a), EXIT_CPUID);
	assert_int_equal(vmx_exit_kind(0x80000021), EXIT_ENTRY_FAILED);
	assert_string_equal(vmx_exit_reason_name(0x80000021), "entry failed: invalid guest state");
	assert_string_equal(vmx_exit_reason_name(79), "unknown");
	assert_string_equal(vmx_exit_reason_name(0xffff), "unknown");
}

static void cr_accesses_are_decoded(void **state)
{
	struct exit_info exit = { .kind = EXIT_CR_ACCESS };

	(void)state;
	vmx_decode_cr(0x0c04, &exit); /* MOV CR4, R12 */
	assert_int_equal(exit.cr.kind, CR_ACCESS_WRITE);
	assert_int_equal(exit.cr.cr, 4);
	assert_int_equal(exit.cr.gpr, 12);
	vmx_decode_cr(0x0413, &exit); /* MOV RSP, CR3 */
	assert_int_equal(exit.cr.kind, CR_ACCESS_READ);
	assert_int_equal(exit.cr.cr, 3);
	assert_int_equal(exit.cr.gpr, REG_RSP);
	vmx_decode_cr(0x20, &exit);
	assert_int_equal(exit.cr.kind, CR_ACCESS_CLTS);
	vmx_decode_cr(0x00090030, &exit);
	assert_int_equal(exit.cr.kind, CR_ACCESS_LMSW);
	assert_int_equal(exit.cr.lmsw_source, 9);
}

static void ept_violations_are_decoded(void **state)
{
	struct exit_info exit = { .kind = EXIT_NESTED_PAGE_FAULT };

	(void)state;
	vmx_decode_ept_violation(0x182, 0xfee00300, false, &exit);
	assert_true(exit.fault.write);
	assert_false(exit.fault.fetch);
	assert_false(exit.fault.present);
	assert_false(exit.fault.during_walk);
	assert_int_equal(exit.fault.gpa.v, 0xfee00300);
	/*
	 * Setting an accessed flag in the guest's tables: read and write, not of the translation.
	 */
	vmx_decode_ept_violation(0x08b, 0x1000, true, &exit);
	assert_true(exit.fault.during_walk);
	assert_true(exit.fault.present);
	assert_true(exit.fault.user);
	vmx_decode_ept_violation(0x1ac, 0x1000, false, &exit);
	assert_true(exit.fault.fetch);
	assert_true(exit.fault.present);
	/* PDPTEs loaded by MOV to CR: no linear address. */
	vmx_decode_ept_violation(0x001, 0x1000, false, &exit);
	assert_true(exit.fault.during_walk);
}

static void task_switches_are_decoded(void **state)
{
	struct exit_info exit = { .kind = EXIT_TASK_SWITCH };

	(void)state;
	vmx_decode_task_switch(0x00000028, 0, 0, 7, &exit);
	assert_int_equal(exit.task.source, TASK_SWITCH_CALL);
	assert_int_equal(exit.task.selector, 0x28);
	assert_int_equal(exit.task.insn_bytes, 7);
	vmx_decode_task_switch(0x40000030, 0, 0, 1, &exit);
	assert_int_equal(exit.task.source, TASK_SWITCH_IRET);
	vmx_decode_task_switch(0x80000030, 0, 0, 5, &exit);
	assert_int_equal(exit.task.source, TASK_SWITCH_JMP);
	/* #DF through a task gate: an error code, and the RIP of the old task stays. */
	vmx_decode_task_switch(0xc0000050, 0x80000b08, 0, 3, &exit);
	assert_int_equal(exit.task.source, TASK_SWITCH_GATE);
	assert_true(exit.task.has_error);
	assert_int_equal(exit.task.insn_bytes, 0);
	vmx_decode_task_switch(0xc0000050, 0x80000b0d, 0x1234, 3, &exit);
	assert_int_equal(exit.task.error_code, 0x1234);
	/* INT n and an external interrupt. */
	vmx_decode_task_switch(0xc0000050, 0x80000480, 0, 2, &exit);
	assert_false(exit.task.has_error);
	assert_int_equal(exit.task.insn_bytes, 2);
	vmx_decode_task_switch(0xc0000050, 0x80000020, 0, 2, &exit);
	assert_int_equal(exit.task.insn_bytes, 0);
}

static void exceptions_nmis_and_machine_checks_differ(void **state)
{
	struct exit_info exit = { .kind = EXIT_EXCEPTION };

	(void)state;
	vmx_decode_exception(0x80000202, 0, 0, 1, &exit);
	assert_int_equal(exit.kind, EXIT_NMI);
	vmx_decode_exception(0x80000312, 0, 0, 1, &exit);
	assert_int_equal(exit.kind, EXIT_MACHINE_CHECK);
	vmx_decode_exception(0x80000b0e, 0x7, 0xdeadb000, 1, &exit);
	assert_int_equal(exit.kind, EXIT_EXCEPTION);
	assert_int_equal(exit.exception.vector, 14);
	assert_true(exit.exception.has_error);
	assert_int_equal(exit.exception.error_code, 7);
	assert_int_equal(exit.exception.payload, 0xdeadb000);
	vmx_decode_exception(0x80000501, 0, 0, 1, &exit);
	assert_int_equal(exit.exception.insn_bytes, 1);
	vmx_decode_exception(0x80000301, 99, 0x4000, 1, &exit);
	assert_int_equal(exit.exception.insn_bytes, 0);
	assert_false(exit.exception.has_error);
	assert_int_equal(exit.exception.error_code, 0);
}

static void nmis_are_blocked_again_only_after_iret(void **state)
{
	(void)state;
	assert_true(vmx_must_block_nmi(REASON_EPT_VIOLATION, BIT64(12), 0));
	assert_false(vmx_must_block_nmi(REASON_EPT_VIOLATION, 0, 0));
	/* An event was being delivered: the bit means nothing. */
	assert_false(vmx_must_block_nmi(REASON_EPT_VIOLATION, BIT64(12), 0x80000202));
	/* The guest sees the exception of its IRET. */
	assert_false(vmx_must_block_nmi(REASON_EXCEPTION_OR_NMI, BIT64(12), 0));
	assert_false(vmx_must_block_nmi(REASON_CR_ACCESS, BIT64(12), 0));
}

static void an_event_survives_requeueing(void **state)
{
	static const uint32_t infos[] = {
		0x80000020, /* external interrupt */
		0x80000202, /* NMI */
		0x80000b0e, /* #PF */
		0x80000301, /* #DB */
		0x80000480, /* INT 0x80 */
		0x80000501, /* INT1 */
		0x80000603, /* INT3 */
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(infos); i++) {
		struct event event = vmx_event_decode(infos[i], 0x1b, 2);

		assert_true(event.valid);
		assert_false(event.has_payload);
		assert_int_equal(vmx_event_encode(&event, true), infos[i]);
		assert_int_equal(event.has_error, (infos[i] & INTR_INFO_ERROR_CODE) != 0);
		assert_int_equal(event.error_code, event.has_error ? 0x1b : 0);
		assert_int_equal(event.insn_bytes, event.type >= EVENT_SOFT_INTERRUPT ? 2 : 0);
	}
}

static void real_mode_has_no_error_codes(void **state)
{
	struct event event = { .valid = true,
			       .has_error = true,
			       .vector = 13,
			       .type = EVENT_EXCEPTION,
			       .error_code = 5 };

	(void)state;
	assert_int_equal(vmx_event_encode(&event, false), 0x8000030d);
	assert_int_equal(vmx_event_encode(&event, true), 0x80000b0d);
}

static void io_qualification(void **state)
{
	struct exit_info exit = { 0 };

	(void)state;
	vmx_decode_io(UINT64_C(0x06040001), &exit); /* OUT 0x604, AX */
	assert_int_equal(exit.io.port, 0x604);
	assert_int_equal(exit.io.bytes, 2);
	assert_false(exit.io.in);
	assert_false(exit.io.string);
	vmx_decode_io(UINT64_C(0xffff000b) | 1 << 4, &exit);
	assert_int_equal(exit.io.port, 0xffff);
	assert_int_equal(exit.io.bytes, 4);
	assert_true(exit.io.in);
	assert_true(exit.io.string);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_qualification),
		cmocka_unit_test(reasons_have_their_kinds),
		cmocka_unit_test(cr_accesses_are_decoded),
		cmocka_unit_test(ept_violations_are_decoded),
		cmocka_unit_test(task_switches_are_decoded),
		cmocka_unit_test(exceptions_nmis_and_machine_checks_differ),
		cmocka_unit_test(nmis_are_blocked_again_only_after_iret),
		cmocka_unit_test(an_event_survives_requeueing),
		cmocka_unit_test(real_mode_has_no_error_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
