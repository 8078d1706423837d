/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/events.c
/* Which event wins when two meet. SDM: "Interrupt 8—Double Fault Exception (#DF)", the table of conditions. */
#include "core/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/vcpu.h"

static struct vcpu vcpu;

static int clear(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	return 0;
}

static void raise_vector(unsigned vector)
{
	if (vector == VECTOR_PF)
		events_raise_pf(&vcpu, 0x1000, 2);
	else if (vector == VECTOR_UD)
		events_raise_ud(&vcpu);
	else if (vector == VECTOR_DB)
		events_raise_db(&vcpu, DR6_BS);
	else
		events_raise_error(&vcpu, vector, 0);
}

static void classes_combine_as_the_manual_says(void **state)
{
	static const struct {
		unsigned first, second, result;
		bool shutdown;
	} cases[] = {
		{ VECTOR_UD, VECTOR_GP, VECTOR_GP, false },
		{ VECTOR_UD, VECTOR_PF, VECTOR_PF, false },
		{ VECTOR_GP, VECTOR_UD, VECTOR_UD, false },
		{ VECTOR_GP, VECTOR_GP, VECTOR_DF, false },
		{ VECTOR_GP, VECTOR_PF, VECTOR_PF, false },
		{ VECTOR_NP, VECTOR_SS, VECTOR_DF, false },
		{ VECTOR_DE, VECTOR_TS, VECTOR_DF, false },
		{ VECTOR_PF, VECTOR_GP, VECTOR_DF, false },
		{ VECTOR_PF, VECTOR_PF, VECTOR_DF, false },
		{ VECTOR_PF, VECTOR_UD, VECTOR_UD, false },
		{ VECTOR_DF, VECTOR_GP, VECTOR_DF, true },
		{ VECTOR_DF, VECTOR_PF, VECTOR_DF, true },
		{ VECTOR_DF, VECTOR_DB, VECTOR_DB, false },
		{ VECTOR_DB, VECTOR_PF, VECTOR_PF, false },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		clear(state);
		raise_vector(cases[i].first);
		raise_vector(cases[i].second);
		assert_int_equal(vcpu.events.triple_fault, cases[i].shutdown);
		if (cases[i].shutdown)
			continue;
		assert_int_equal(vcpu.events.pending.vector, cases[i].result);
		if (cases[i].result == VECTOR_DF) {
			assert_true(vcpu.events.pending.has_error);
			assert_int_equal(vcpu.events.pending.error_code, 0);
			assert_false(vcpu.events.pending.has_payload);
		}
	}
}

static void a_page_fault_while_an_interrupt_is_delivered_comes_first(void **state)
{
	struct event interrupt = { .valid = true, .vector = 0x20, .type = EVENT_EXTERNAL };

	(void)state;
	events_requeue(&vcpu, &interrupt);
	events_raise_pf(&vcpu, 0x2000, 0);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_PF);
	assert_int_equal(vcpu.events.pending.payload, 0x2000);
}

static void an_nmi_whose_delivery_faulted_is_kept(void **state)
{
	struct event nmi = { .valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI };

	(void)state;
	events_requeue(&vcpu, &nmi);
	events_raise_pf(&vcpu, 0x2000, 0);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_PF);
	assert_true(vcpu.events.nmi_pending);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(classes_combine_as_the_manual_says, clear),
		cmocka_unit_test_setup(a_page_fault_while_an_interrupt_is_delivered_comes_first,
				       clear),
		cmocka_unit_test_setup(an_nmi_whose_delivery_faulted_is_kept, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
