/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/svm/events.c core/events.c
/* EXITINTINFO and EVENTINJ, with what some machines get wrong. */
#include "arch/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/kick.h"

static struct vmcb vmcb;
static struct svm_vcpu svm = { .vmcb = &vmcb };
static struct vcpu vcpu = { .backend = &svm };
static unsigned kicks;

void kick_send(struct vcpu *target, uint32_t reason)
{
	(void)target;
	kicks += reason == KICK_RECHECK;
}

void svm_set_intercepts(struct vcpu *v)
{
	vmcb.intercept[0] = v->events.nmi_blocked ? INTERCEPT_IRET : 0;
}

/* The register cache, as far as events need it. */
uint64_t cr0_read(struct vcpu *v)
{
	return v->regs.cr0;
}

uint64_t dr7_read(struct vcpu *v)
{
	return v->regs.dr7;
}

void dr7_write(struct vcpu *v, uint64_t value)
{
	v->regs.dr7 = value;
}

void cr2_write(struct vcpu *v, uint64_t value)
{
	v->regs.cr2 = value;
}

static int clear(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&vcpu.events, 0, sizeof(vcpu.events));
	memset(&vcpu.regs, 0, sizeof(vcpu.regs));
	vcpu.regs.cr0 = CR0_PE;
	kicks = 0;
	return 0;
}

static uint64_t info(unsigned vector, unsigned type, bool error)
{
	return vector | type << 8 | (error ? EVENT_ERROR_VALID : 0) | EVENT_VALID |
	       UINT64_C(0x18) << 32;
}

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
	svm_events_requeue(&vcpu);
	svm_events_inject(&vcpu);
	assert_int_equal(vmcb.event_injection, info(13, 3, true));
	assert_false(vcpu.events.pending.valid);
}

static void real_mode_has_no_error_codes(void **state)
{
	(void)state;
	vcpu.regs.cr0 = 0;
	events_raise_gp(&vcpu, 0);
	svm_events_inject(&vcpu);
	assert_int_equal(vmcb.event_injection, 13 | 3 << 8 | EVENT_VALID);
}

static void payload_appears_at_delivery_only(void **state)
{
	(void)state;
	vmcb.dr6 = DR6_INIT;
	vcpu.regs.dr7 = DR7_INIT | DR7_GD;
	events_raise_db(&vcpu, DR6_BS);
	assert_int_equal(vmcb.dr6, DR6_INIT);
	svm_events_inject(&vcpu);
	assert_int_equal(vmcb.dr6, DR6_INIT | DR6_BS);
	assert_int_equal(vcpu.regs.dr7, DR7_INIT);
	events_raise_pf(&vcpu, 0x1234, 6);
	assert_int_equal(vcpu.regs.cr2, 0);
	svm_events_inject(&vcpu);
	assert_int_equal(vcpu.regs.cr2, 0x1234);
}

static void nmis_are_blocked_until_iret_and_come_one_by_one(void **state)
{
	(void)state;
	vcpu.events.nmi_pending = true;
	svm_events_inject(&vcpu);
	assert_int_equal(vmcb.event_injection, 2 | 2 << 8 | EVENT_VALID);
	assert_true(vcpu.events.nmi_blocked);
	assert_int_equal(vmcb.intercept[0], INTERCEPT_IRET);
	/* another one waits */
	vmcb.event_injection = 0;
	vcpu.events.nmi_pending = true;
	svm_events_inject(&vcpu);
	assert_int_equal(vmcb.event_injection, 0);
	assert_true(vcpu.events.nmi_pending);
	vcpu.events.nmi_blocked = false;
	svm_events_inject(&vcpu);
	assert_int_not_equal(vmcb.event_injection, 0);
}

static void an_nmi_behind_another_event_asks_for_an_exit(void **state)
{
	(void)state;
	events_raise_ud(&vcpu);
	vcpu.events.nmi_pending = true;
	svm_events_inject(&vcpu);
	assert_int_equal(vmcb.event_injection, 6 | 3 << 8 | EVENT_VALID);
	assert_true(vcpu.events.nmi_pending);
	assert_int_equal(kicks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(exitintinfo_is_read_and_mended, clear),
		cmocka_unit_test_setup(what_was_interrupted_is_injected_again, clear),
		cmocka_unit_test_setup(real_mode_has_no_error_codes, clear),
		cmocka_unit_test_setup(payload_appears_at_delivery_only, clear),
		cmocka_unit_test_setup(nmis_are_blocked_until_iret_and_come_one_by_one, clear),
		cmocka_unit_test_setup(an_nmi_behind_another_event_asks_for_an_exit, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
