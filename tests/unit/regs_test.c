/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/regs.c
/* What does not depend on a vendor; vmx_regs_test.c and svm_regs_test.c have the rest. */
#include "core/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/panic.h"
#include "core/vcpu.h"
#include "core/vendor.h"

static struct vcpu vcpu;
static jmp_buf panic_jump;
static bool panic_expected;

void hv_panic(const char *format, ...)
{
	(void)format;
	if (!panic_expected)
		fail_msg("panic: %s", format);
	panic_expected = false;
	longjmp(panic_jump, 1);
}

static const struct vendor_ops fake_ops = { .name = "fake" };
const struct vendor_ops *vendor = &fake_ops;

static void an_index_that_is_no_gpr_is_refused(void **state)
{
	(void)state;
	panic_expected = true;
	if (setjmp(panic_jump) == 0)
		gpr_read_raw(&vcpu, REG_RIP);
	assert_false(panic_expected);
	panic_expected = true;
	if (setjmp(panic_jump) == 0)
		gpr_write_raw(&vcpu, REG_GPR_COUNT + 5, 0);
	assert_false(panic_expected);
}

static void all_32_gprs_are_there(void **state)
{
	(void)state;
	vcpu.regs.available = BITS64(REG_COUNT - 1, 0);
	for (unsigned i = 0; i < REG_GPR_COUNT; i++)
		gpr_write_raw(&vcpu, i, UINT64_C(0x1111111100000000) * (i % 15) + i);
	for (unsigned i = 0; i < REG_GPR_COUNT; i++)
		assert_true(gpr_read_raw(&vcpu, i) == UINT64_C(0x1111111100000000) * (i % 15) + i);
	/* no exit takes R16-R31 away */
	regs_forget_lazy(&vcpu.regs);
	assert_int_equal(gpr_read_raw(&vcpu, 31) & 0xff, 31);
}

static void set_mode(bool long_mode, bool cs_long, bool cs_db)
{
	struct segment cs = { .rights = (cs_long ? SEGMENT_L : 0) | (cs_db ? SEGMENT_DB : 0) };

	efer_write(&vcpu, long_mode ? EFER_LMA | EFER_LME : 0);
	cr0_write(&vcpu, CR0_PE);
	rflags_write(&vcpu, RFLAGS_FIXED);
	segment_write(&vcpu, SEGMENT_CS, &cs);
}

static void gprs_are_32_bit_outside_64_bit_mode(void **state)
{
	(void)state;
	set_mode(true, true, false);
	gpr_write(&vcpu, REG_RBX, UINT64_C(0x123456789abcdef0));
	assert_int_equal(gpr_read(&vcpu, REG_RBX), UINT64_C(0x123456789abcdef0));
	assert_int_equal(mode_code_bytes(&vcpu), 8);
	set_mode(true, false, true); /* compatibility mode */
	assert_int_equal(gpr_read(&vcpu, REG_RBX), 0x9abcdef0);
	assert_int_equal(mode_code_bytes(&vcpu), 4);
	gpr_write(&vcpu, REG_RBX, UINT64_C(0xffffffff00000001));
	assert_int_equal(gpr_read_raw(&vcpu, REG_RBX), 1);
	set_mode(false, false, false);
	assert_int_equal(mode_code_bytes(&vcpu), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_index_that_is_no_gpr_is_refused),
		cmocka_unit_test(all_32_gprs_are_there),
		cmocka_unit_test(gprs_are_32_bit_outside_64_bit_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
