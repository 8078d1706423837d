/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/svm/mend.c
/* Reserved bits that only VMRUN notices are taken away; a state without any is left alone and reported. */
#include "arch/svm/mend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/cr.h"

#define ALLOWED (CR4_PAE | CR4_PGE | CR4_OSFXSR)

static struct vmcb vmcb;

static int sound_state(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	vmcb.cr0 = CR0_PE | CR0_PG | CR0_ET;
	vmcb.cr4 = CR4_PAE | CR4_PGE;
	vmcb.dr6 = DR6_INIT;
	vmcb.dr7 = DR7_INIT;
	vmcb.clean = CLEAN_ALL;
	return 0;
}

static void a_sound_state_is_left_alone(void **state)
{
	struct vmcb before = vmcb;

	(void)state;
	assert_false(svm_mend(&vmcb, ALLOWED));
	assert_memory_equal(&vmcb, &before, sizeof(vmcb));
	vmcb.cr0 |= CR0_CD | CR0_NW;
	assert_false(svm_mend(&vmcb, ALLOWED));
}

static void reserved_bits_are_taken_away(void **state)
{
	(void)state;
	vmcb.cr4 |= CR4_VMXE | BIT64(40);
	vmcb.cr0 |= BIT64(33) | CR0_NW;
	vmcb.dr6 |= BIT64(32);
	vmcb.dr7 |= BIT64(63);
	assert_true(svm_mend(&vmcb, ALLOWED));
	assert_int_equal(vmcb.cr4, CR4_PAE | CR4_PGE);
	assert_int_equal(vmcb.cr0, CR0_PE | CR0_PG | CR0_ET);
	assert_int_equal(vmcb.dr6, DR6_INIT);
	assert_int_equal(vmcb.dr7, DR7_INIT);
	assert_int_equal(vmcb.clean, 0);
	assert_false(svm_mend(&vmcb, ALLOWED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_sound_state_is_left_alone, sound_state),
		cmocka_unit_test_setup(reserved_bits_are_taken_away, sound_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
