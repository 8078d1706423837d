/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/events.c core/regs.c
/*
 * Which event wins when two meet, and what becomes visible at a delivery. SDM: "Interrupt 8—Double Fault Exception
 * (#DF)", the two tables; APM: "#DF—Double-Fault Exception".
 */
#include "core/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/panic.h"
#include "core/vcpu.h"
#include "core/vendor.h"

static struct vcpu vcpu;
const struct vendor_ops *vendor;

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_unreachable();
}

static int clear(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.regs.available = BITS64(REG_COUNT - 1, 0);
	vcpu.regs.rflags = RFLAGS_FIXED;
	vcpu.regs.dr6 = DR6_INIT;
	vcpu.regs.dr7 = DR7_INIT;
	return 0;
}

/* The classes as the tables list them: one letter a vector. */
#define BENIGN	     'b'
#define CONTRIBUTORY 'c'
#define PAGE_FAULT   'p'
#define DOUBLE_FAULT 'd'

static const char class_of[33] = "cbbbbbbb"  /* DE; DB NMI BP OF BR UD NM */
				 "dbccccpb"  /* DF; TS NP SS GP; PF */
				 "bbbbpcbb"  /* MF AC MC XM; VE; CP */
				 "bbbbbbcb"; /* HV VC; SX (APM) */

enum outcome { SECOND, MERGED, SHUTDOWN };

static enum outcome expected(char first, char second)
{
	if (first == DOUBLE_FAULT)
		return second == CONTRIBUTORY || second == PAGE_FAULT || second == DOUBLE_FAULT
			       ? SHUTDOWN
			       : SECOND;
	if (first == CONTRIBUTORY)
		return second == CONTRIBUTORY ? MERGED : SECOND;
	if (first == PAGE_FAULT)
		return second == CONTRIBUTORY || second == PAGE_FAULT ? MERGED : SECOND;
	return SECOND;
}

static struct event exception(unsigned vector)
{
	return (struct event){ .valid = true,
			       .has_error = true,
			       .has_payload = vector == VECTOR_PF,
			       .vector = (uint8_t)vector,
			       .type = EVENT_EXCEPTION,
			       .error_code = 0x10,
			       .payload = 0x1000 };
}

static void check_pair(unsigned first, unsigned second)
{
	struct event a = exception(first), b = exception(second);
	const struct event *pending = &vcpu.events.pending;
	enum outcome outcome = expected(class_of[first], class_of[second]);

	clear(NULL);
	events_raise(&vcpu, &a);
	events_raise(&vcpu, &b);
	assert_int_equal(vcpu.events.triple_fault, outcome == SHUTDOWN);
	if (outcome == SHUTDOWN)
		return;
	assert_int_equal(pending->vector, outcome == MERGED ? VECTOR_DF : second);
	assert_int_equal(pending->error_code, outcome == MERGED ? 0 : 0x10);
	/* also of a double fault, for CR2 */
	assert_int_equal(pending->has_payload,
			 second == VECTOR_PF || (outcome == MERGED && first == VECTOR_PF));
	assert_true(!pending->has_payload || pending->payload == 0x1000);
	assert_true(pending->valid && pending->has_error);
}

static void all_pairs_combine_as_the_manual_says(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 32; first++) {
		for (unsigned second = 0; second < 32; second++) {
			if (first != VECTOR_NMI && second != VECTOR_NMI)
				check_pair(first, second);
		}
	}
}

/* Interrupts, NMIs and soft events are benign whatever their vector. */
static void a_fault_in_the_delivery_of_an_interrupt_is_that_fault(void **state)
{
	static const enum event_type types[] = { EVENT_EXTERNAL, EVENT_NMI, EVENT_SOFT_INTERRUPT,
						 EVENT_SOFT_EXCEPTION,
						 EVENT_PRIVILEGED_SOFT_EXCEPTION };

	for (unsigned i = 0; i < ARRAY_COUNT(types); i++) {
		struct event first = { .valid = true, .vector = VECTOR_GP, .type = types[i] };

		clear(state);
		events_requeue(&vcpu, &first);
		events_raise_gp(&vcpu, 1);
		assert_int_equal(vcpu.events.pending.vector, VECTOR_GP);
		assert_int_equal(vcpu.events.pending.type, EVENT_EXCEPTION);
		assert_int_equal(vcpu.events.pending.error_code, 1);
		/* one that would not come again is kept */
		assert_int_equal(vcpu.events.nmi_pending, types[i] == EVENT_NMI);
	}
}

static void a_third_fault_shuts_down(void **state)
{
	(void)state;
	events_raise_pf(&vcpu, 0x1000, 2);
	events_raise_gp(&vcpu, 0);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_DF);
	assert_false(vcpu.events.triple_fault);
	events_raise_error(&vcpu, VECTOR_SS, 0);
	assert_true(vcpu.events.triple_fault);
}

static void a_payload_is_invisible_until_delivery(void **state)
{
	(void)state;
	events_raise_pf(&vcpu, 0x1234, 6);
	assert_int_equal(vcpu.regs.cr2, 0);
	events_begin_delivery(&vcpu, &vcpu.events.pending, 0);
	assert_int_equal(vcpu.regs.cr2, 0x1234);
	clear(state);
	vcpu.regs.dr7 = DR7_INIT | DR7_GD;
	events_raise_db(&vcpu, DR6_BS);
	assert_int_equal(vcpu.regs.dr6, DR6_INIT);
	assert_int_equal(vcpu.regs.dr7, DR7_INIT | DR7_GD);
	events_begin_delivery(&vcpu, &vcpu.events.pending, 0);
	assert_int_equal(vcpu.regs.dr6, DR6_INIT | DR6_BS);
	assert_int_equal(vcpu.regs.dr7, DR7_INIT);
}

static void traps_of_one_instruction_are_one_exception(void **state)
{
	(void)state;
	events_raise_db(&vcpu, 2);
	events_raise_db(&vcpu, DR6_BS);
	assert_int_equal(vcpu.events.pending.payload, DR6_BS | 2);
	events_raise_ud(&vcpu);
	events_raise_db(&vcpu, 1);
	assert_int_equal(vcpu.events.pending.payload, 1);
}

/* #PF -> #DF: CR2 has the address of the second one. SDM: "Page-Fault Exception (#PF)". */
static void a_merged_page_fault_leaves_its_address(void **state)
{
	(void)state;
	events_raise_pf(&vcpu, 0x1000, 0);
	events_raise_pf(&vcpu, 0x2000, 0);
	events_begin_delivery(&vcpu, &vcpu.events.pending, 0);
	assert_int_equal(vcpu.regs.cr2, 0x2000);
	clear(state);
	events_raise_pf(&vcpu, 0x1000, 0);
	events_raise_gp(&vcpu, 0);
	events_begin_delivery(&vcpu, &vcpu.events.pending, 0);
	assert_int_equal(vcpu.regs.cr2, 0x1000);
}

/* SDM: "RF (resume) flag". */
static void faults_set_rf_and_traps_do_not(void **state)
{
	static const struct {
		unsigned vector;
		enum event_type type;
		bool sets;
	} cases[] = {
		{ VECTOR_UD, EVENT_EXCEPTION, true },
		{ VECTOR_PF, EVENT_EXCEPTION, true },
		{ VECTOR_GP, EVENT_EXCEPTION, true },
		{ VECTOR_DB, EVENT_EXCEPTION, false },
		{ VECTOR_DF, EVENT_EXCEPTION, false },
		{ VECTOR_MC, EVENT_EXCEPTION, false },
		{ VECTOR_BP, EVENT_SOFT_EXCEPTION, false },
		{ VECTOR_NMI, EVENT_NMI, false },
		{ 0x30, EVENT_EXTERNAL, false },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		const struct event event = { .valid = true,
					     .vector = (uint8_t)cases[i].vector,
					     .type = cases[i].type };

		clear(state);
		events_begin_delivery(&vcpu, &event, 0);
		assert_int_equal((vcpu.regs.rflags & RFLAGS_RF) != 0, cases[i].sets);
	}
}

static void dr6_collects_what_happened(void **state)
{
	const uint64_t renewed = DR6_BREAKPOINTS | DR6_ACTIVE_LOW;

	(void)state;
	assert_int_equal(events_dr6_after(0xffff0ff0, DR6_BS, renewed), 0xffff4ff0);
	/* Breakpoint bits are of the last exception, BS stays until software clears it. */
	assert_int_equal(events_dr6_after(0xffff4ff1, BIT64(1), renewed), 0xffff4ff2);
	assert_int_equal(events_dr6_after(0xffff4ff1, BIT64(1), 0), 0xffff4ff3);
	/* RTM and bus lock are 0 when they happened, and set otherwise. */
	assert_int_equal(events_dr6_after(0xffff0ff0, BIT64(16), renewed), 0xfffe0ff0);
	assert_int_equal(events_dr6_after(0xfffe07f0, 0, renewed), 0xffff0ff0);
	assert_int_equal(events_dr6_after(0xfffe07f0, DR6_BS, 0), 0xfffe47f0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_pairs_combine_as_the_manual_says, clear),
		cmocka_unit_test_setup(a_fault_in_the_delivery_of_an_interrupt_is_that_fault,
				       clear),
		cmocka_unit_test_setup(a_third_fault_shuts_down, clear),
		cmocka_unit_test_setup(a_payload_is_invisible_until_delivery, clear),
		cmocka_unit_test_setup(traps_of_one_instruction_are_one_exception, clear),
		cmocka_unit_test_setup(a_merged_page_fault_leaves_its_address, clear),
		cmocka_unit_test_setup(faults_set_rf_and_traps_do_not, clear),
		cmocka_unit_test_setup(dr6_collects_what_happened, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
