// sources: arch/vmx/guest_state.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/guest_state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/cr.h"

#define LONG_MODE_CODE 0xa09bu
#define BTF	       BIT64(1)

static struct segment fix(enum segment_index index, uint64_t base, uint32_t limit, uint32_t rights,
			  uint16_t selector)
{
	const struct segment segment = { base, limit, rights, selector };

	return vmx_segment(index, &segment, RFLAGS_FIXED);
}

static void a_null_task_register_becomes_a_busy_tss(void **state)
{
	struct segment tr = fix(SEGMENT_TR, 0x1234, 0, SEGMENT_UNUSABLE, 0);

	(void)state;
	assert_int_equal(tr.rights, 0x8b);
	assert_int_equal(tr.limit, 0x67);
	assert_int_equal(tr.base, 0);
}

static void a_task_register_in_use_is_kept(void **state)
{
	struct segment tr = fix(SEGMENT_TR, 0xfffffe0000003000, 0x4087, 0x8b, 0x40);

	(void)state;
	assert_int_equal(tr.rights, 0x8b);
	assert_int_equal(tr.limit, 0x4087);
	assert_true(tr.base == 0xfffffe0000003000);
	assert_int_equal(tr.selector, 0x40);
	assert_int_equal(fix(SEGMENT_TR, 0, 0x67, 0x89, 0x40).rights, 0x8b);
	assert_int_equal(fix(SEGMENT_TR, 0, 0x2b, 0x83, 0x40).rights, 0x83); /* 16-bit, busy */
}

static void an_ldtr_is_an_ldt_or_unusable(void **state)
{
	(void)state;
	assert_int_equal(fix(SEGMENT_LDTR, 0x1000, 0xffff, 0x82, 0x50).rights, 0x82);
	assert_int_equal(fix(SEGMENT_LDTR, 0, 0xffff, 0x93, 0).rights, 0x93 | SEGMENT_UNUSABLE);
	assert_int_equal(fix(SEGMENT_LDTR, 0, 0, SEGMENT_UNUSABLE, 0).rights, SEGMENT_UNUSABLE);
}

static void granularity_follows_the_limit(void **state)
{
	(void)state;
	assert_int_equal(fix(SEGMENT_DS, 0, 0xffffffff, 0x4093, 0x18).rights, 0xc093);
	assert_int_equal(fix(SEGMENT_DS, 0, 0x12345, 0xc093, 0x18).rights, 0x4093);
	assert_int_equal(fix(SEGMENT_DS, 0, 0xfffff, 0xc093, 0x18).rights, 0xc093);
	assert_int_equal(fix(SEGMENT_DS, 0, 0xfffff, 0x4093, 0x18).rights, 0x4093);
}

static void segments_are_accessed_and_have_short_bases(void **state)
{
	(void)state;
	assert_int_equal(fix(SEGMENT_CS, 0, 0xffffffff, LONG_MODE_CODE & ~1u, 0x38).rights,
			 LONG_MODE_CODE | SEGMENT_G);
	assert_int_equal(fix(SEGMENT_ES, 0xffffffff00001000, 0xfff, 0x4093, 0x18).base, 0x1000);
	assert_true(fix(SEGMENT_GS, 0xffff888000000000, 0xfff, 0x4093, 0x18).base ==
		    0xffff888000000000);
	/* A null one in 64-bit mode keeps its base (FS, GS). */
	assert_true(fix(SEGMENT_FS, 0x7fff00001000, 0, SEGMENT_UNUSABLE, 0).base == 0x7fff00001000);
	assert_int_equal(fix(SEGMENT_DS, 0, 0xfff, 0xfff04093, 0x18).rights, 0x4093 & 0x1f0ff);
}

static void a_step_is_pending_behind_a_shadow(void **state)
{
	const uint64_t tf = RFLAGS_FIXED | RFLAGS_TF;

	(void)state;
	assert_int_equal(vmx_pending_debug(0, tf, 0, INTERRUPTIBILITY_STI), PENDING_DEBUG_BS);
	assert_int_equal(vmx_pending_debug(0, tf, 0, INTERRUPTIBILITY_MOV_SS), PENDING_DEBUG_BS);
	assert_int_equal(vmx_pending_debug(0, tf, BTF, INTERRUPTIBILITY_STI), 0);
	assert_int_equal(vmx_pending_debug(PENDING_DEBUG_BS, RFLAGS_FIXED, 0, INTERRUPTIBILITY_STI),
			 0);
	assert_int_equal(vmx_pending_debug(PENDING_DEBUG_BS, tf, 0, 0), PENDING_DEBUG_BS);
	assert_int_equal(vmx_pending_debug(3, tf, 0, INTERRUPTIBILITY_MOV_SS),
			 PENDING_DEBUG_BS | 3);
}

static void rip_wraps_below_64_bit_mode_only(void **state)
{
	(void)state;
	assert_true(vmx_next_rip(0xfffffffe, 2, true) == 0x100000000);
	assert_true(vmx_next_rip(0xfffffffe, 2, false) == 0);
	assert_true(vmx_next_rip(0xffff, 2, false) == 0x10001);
	assert_true(vmx_next_rip(0xfffffffffffffffe, 2, true) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_null_task_register_becomes_a_busy_tss),
		cmocka_unit_test(a_task_register_in_use_is_kept),
		cmocka_unit_test(an_ldtr_is_an_ldt_or_unusable),
		cmocka_unit_test(granularity_follows_the_limit),
		cmocka_unit_test(segments_are_accessed_and_have_short_bases),
		cmocka_unit_test(a_step_is_pending_behind_a_shadow),
		cmocka_unit_test(rip_wraps_below_64_bit_mode_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
