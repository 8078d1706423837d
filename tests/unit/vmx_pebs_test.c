/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/vmx/pebs.c
/* IA32_PEBS_ENABLE: never set while the host runs, and switched by the CPU only while the guest has it set. */
#include "arch/vmx/pebs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/vmx/state.h"
#include "arch/x86/msr.h"
#include "core/panic.h"
#include "mm/layout.h"

#include "fake_vmcs.h"

static struct vmx_vcpu vmx;
static struct vcpu vcpu = { .backend = &vmx };
static uint64_t counting, enabled;
static bool has_pebs;

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	abort();
}

hpa_t ptr_to_hpa(const void *ptr)
{
	return (hpa_t){ (uintptr_t)ptr };
}

bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	assert_true(msr == MSR_PERF_GLOBAL_CTRL || msr == MSR_PEBS_ENABLE);
	*value = msr == MSR_PEBS_ENABLE ? enabled : counting;
	return has_pebs;
}

bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	assert_true(msr == MSR_PERF_GLOBAL_CTRL || msr == MSR_PEBS_ENABLE);
	if (!has_pebs)
		return false;
	if (msr == MSR_PERF_GLOBAL_CTRL) {
		/* Else a record could be written at once. */
		assert_true(value == 0 || enabled == 0);
		counting = value;
		return true;
	}
	if (value >> 40 != 0)
		return false;
	assert_true(value == 0 || counting == 0);
	enabled = value;
	return true;
}

static int reset(void **state)
{
	(void)state;
	has_pebs = true;
	counting = 0x70000000f;
	enabled = 0;
	vmx = (struct vmx_vcpu){ 0 };
	for (unsigned i = 0; i < 0x8000; i++)
		fake_vmcs[i] = 0;
	return 0;
}

static void expect_switched(uint64_t value)
{
	const struct vmx_msr_entry *enter = (const void *)fake_vmcs[VMCS_ENTRY_MSR_LOAD],
				   *leave = (const void *)fake_vmcs[VMCS_EXIT_MSR_LOAD];

	assert_int_equal(fake_vmcs[VMCS_ENTRY_MSR_LOAD_COUNT], 1);
	assert_int_equal(fake_vmcs[VMCS_EXIT_MSR_LOAD_COUNT], 1);
	assert_int_equal((uintptr_t)enter % 16 + (uintptr_t)leave % 16, 0);
	assert_int_equal(enter->msr, MSR_PEBS_ENABLE);
	assert_int_equal(leave->msr, MSR_PEBS_ENABLE);
	assert_int_equal(enter->zero | leave->zero, 0);
	assert_int_equal(enter->value, value);
	assert_int_equal(leave->value, 0);
	assert_int_equal(enabled, 0);
	assert_int_equal(counting, 0x70000000f);
}

static void it_is_off_while_the_host_runs(void **state)
{
	(void)state;
	assert_true(vmx_pebs_write(&vcpu, 0x100000003));
	expect_switched(0x100000003);
	assert_true(vmx_pebs_write(&vcpu, 1));
	expect_switched(1);
}

static void nothing_is_switched_for_a_guest_that_does_not_use_it(void **state)
{
	(void)state;
	assert_true(vmx_pebs_write(&vcpu, 1));
	assert_true(vmx_pebs_write(&vcpu, 0));
	assert_int_equal(fake_vmcs[VMCS_ENTRY_MSR_LOAD_COUNT], 0);
	assert_int_equal(fake_vmcs[VMCS_EXIT_MSR_LOAD_COUNT], 0);
}

static void a_refused_value_changes_nothing(void **state)
{
	(void)state;
	assert_true(vmx_pebs_write(&vcpu, 3));
	assert_false(vmx_pebs_write(&vcpu, UINT64_C(1) << 40));
	expect_switched(3);
	has_pebs = false;
	assert_false(vmx_pebs_write(&vcpu, 1));
}

static void the_firmwares_value_goes_on_and_comes_back(void **state)
{
	(void)state;
	vmx_pebs_init(&vcpu);
	assert_int_equal(fake_vmcs[VMCS_ENTRY_MSR_LOAD_COUNT], 0);
	counting = 0;
	enabled = 5;
	counting = 0x70000000f;
	vmx_pebs_init(&vcpu);
	expect_switched(5);
	counting = 0;
	vmx_pebs_end(&vcpu);
	assert_int_equal(enabled, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_is_off_while_the_host_runs, reset),
		cmocka_unit_test_setup(nothing_is_switched_for_a_guest_that_does_not_use_it, reset),
		cmocka_unit_test_setup(a_refused_value_changes_nothing, reset),
		cmocka_unit_test_setup(the_firmwares_value_goes_on_and_comes_back, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
