// sources: arch/vmx/capability.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/capability.h"
#include "arch/x86/cr.h"

#define CAP(forced, allowed) ((uint64_t)(allowed) << 32 | (uint32_t)(forced))

/* A CPU that allows everything and forces only the reserved bits that read as 1. */
static struct vmx_capability generous(void)
{
	struct vmx_capability capability = { .basic = VMX_BASIC_TRUE_CONTROLS | 1 };

	capability.control[VMX_WORD_PIN] = CAP(0x16, 0xff);
	capability.control[VMX_WORD_PRIMARY] = CAP(0x04006172, 0xfff9fffe);
	capability.control[VMX_WORD_SECONDARY] = CAP(0, 0xffffffff);
	capability.control[VMX_WORD_EXIT] = CAP(0x00036dfb, 0xffffffff);
	capability.control[VMX_WORD_ENTRY] = CAP(0x000011fb, 0xffffffff);
	return capability;
}

static void a_word_takes_must_want_and_forced(void **state)
{
	const struct vmx_request request = {
		.must = 0x1, .want = 0x6, .later = 0x100, .never = 0x200
	};
	uint32_t out, refused, forced;

	(void)state;
	assert_true(vmx_word_choose(CAP(0x10, 0x113), &request, &out, &refused, &forced));
	assert_int_equal(out, 0x13); /* 0x4 is wanted but not there */
	assert_int_equal(refused, 0);
	assert_int_equal(forced, 0);
}

static void a_word_is_refused_without_must_or_later(void **state)
{
	const struct vmx_request request = { .must = 0x1, .want = 0x6, .later = 0x100 };
	uint32_t out, refused, forced;

	(void)state;
	assert_false(vmx_word_choose(CAP(0, 0x106), &request, &out, &refused, &forced));
	assert_int_equal(refused, 0x1);
	assert_false(vmx_word_choose(CAP(0, 0x7), &request, &out, &refused, &forced));
	assert_int_equal(refused, 0x100);
}

static void a_word_is_refused_if_never_is_forced(void **state)
{
	const struct vmx_request request = { .must = 0x1, .never = 0x200 };
	uint32_t out, refused, forced;

	(void)state;
	assert_false(vmx_word_choose(CAP(0x200, 0x201), &request, &out, &refused, &forced));
	assert_int_equal(refused, 0);
	assert_int_equal(forced, 0x200);
}

static void a_generous_cpu_gets_everything_wanted(void **state)
{
	struct vmx_capability capability = generous();
	struct vmx_controls controls;
	struct vmx_refusal why;

	(void)state;
	assert_true(vmx_controls_choose(&capability, &controls, &why));
	assert_int_equal(controls.word[VMX_WORD_PIN], 0x16 | PIN_NMI_EXITING | PIN_VIRTUAL_NMIS);
	assert_int_equal(controls.word[VMX_WORD_SECONDARY],
			 SECONDARY_EPT | SECONDARY_RDTSCP | SECONDARY_VPID |
				 SECONDARY_UNRESTRICTED_GUEST | SECONDARY_INVPCID |
				 SECONDARY_XSAVES | SECONDARY_USER_WAIT | SECONDARY_PCONFIG);
	assert_true((controls.word[VMX_WORD_EXIT] & EXIT_CLEAR_BNDCFGS) != 0);
	assert_true((controls.word[VMX_WORD_EXIT] & EXIT_LOAD_CET) != 0);
	assert_true((controls.word[VMX_WORD_ENTRY] & ENTRY_IA32E_GUEST) == 0);
	assert_true((controls.word[VMX_WORD_PRIMARY] & PRIMARY_MONITOR_TRAP_FLAG) == 0);
	assert_true(vmx_controls_allowed(&capability, &controls, &why));
}

static void state_is_switched_both_ways_or_not(void **state)
{
	struct vmx_capability capability = generous();
	struct vmx_controls controls;
	struct vmx_refusal why;

	(void)state;
	capability.control[VMX_WORD_EXIT] &= ~((uint64_t)EXIT_LOAD_CET << 32);
	capability.control[VMX_WORD_ENTRY] &= ~((uint64_t)ENTRY_LOAD_BNDCFGS << 32);
	assert_true(vmx_controls_choose(&capability, &controls, &why));
	assert_true((controls.word[VMX_WORD_ENTRY] & (ENTRY_LOAD_CET | ENTRY_LOAD_BNDCFGS)) == 0);
	assert_true((controls.word[VMX_WORD_EXIT] & (EXIT_LOAD_CET | EXIT_CLEAR_BNDCFGS)) == 0);
}

/* The oldest CPUs have no TRUE_* MSRs and force CR3 exits: not for us. */
static void forced_cr3_exits_are_refused_by_name(void **state)
{
	struct vmx_capability capability = generous();
	struct vmx_controls controls;
	struct vmx_refusal why;

	(void)state;
	capability.control[VMX_WORD_PRIMARY] |=
		PRIMARY_CR3_LOAD_EXITING | PRIMARY_CR3_STORE_EXITING;
	assert_false(vmx_controls_choose(&capability, &controls, &why));
	assert_int_equal(why.word, VMX_WORD_PRIMARY);
	assert_true(why.forced);
	assert_int_equal(why.bits, PRIMARY_CR3_LOAD_EXITING | PRIMARY_CR3_STORE_EXITING);
	assert_string_equal(vmx_word_name(why.word), "primary");
}

static void each_must_is_needed(void **state)
{
	static const struct {
		enum vmx_word word;
		uint32_t bit;
	} needed[] = {
		{ VMX_WORD_PIN, PIN_NMI_EXITING },
		{ VMX_WORD_PIN, PIN_VIRTUAL_NMIS },
		{ VMX_WORD_PIN, PIN_EXTERNAL_INTERRUPT_EXITING },
		{ VMX_WORD_PRIMARY, PRIMARY_MSR_BITMAPS },
		{ VMX_WORD_PRIMARY, PRIMARY_IO_BITMAPS },
		{ VMX_WORD_PRIMARY, PRIMARY_SECONDARY_CONTROLS },
		{ VMX_WORD_PRIMARY, PRIMARY_NMI_WINDOW_EXITING },
		{ VMX_WORD_PRIMARY, PRIMARY_MONITOR_TRAP_FLAG },
		{ VMX_WORD_SECONDARY, SECONDARY_EPT },
		{ VMX_WORD_SECONDARY, SECONDARY_UNRESTRICTED_GUEST },
		{ VMX_WORD_EXIT, EXIT_HOST_64BIT },
		{ VMX_WORD_EXIT, EXIT_SAVE_EFER },
		{ VMX_WORD_EXIT, EXIT_LOAD_PAT },
		{ VMX_WORD_ENTRY, ENTRY_IA32E_GUEST },
		{ VMX_WORD_ENTRY, ENTRY_LOAD_EFER },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(needed); i++) {
		struct vmx_capability capability = generous();
		struct vmx_controls controls;
		struct vmx_refusal why;

		capability.control[needed[i].word] &= ~((uint64_t)needed[i].bit << 32);
		assert_false(vmx_controls_choose(&capability, &controls, &why));
		assert_int_equal(why.word, needed[i].word);
		assert_int_equal(why.bits, needed[i].bit);
		assert_false(why.forced);
	}
}

static void another_kind_of_cpu_is_noticed(void **state)
{
	struct vmx_capability boot = generous(), other = generous();
	struct vmx_controls controls;
	struct vmx_refusal why;

	(void)state;
	assert_true(vmx_controls_choose(&boot, &controls, &why));
	other.control[VMX_WORD_SECONDARY] &= ~((uint64_t)SECONDARY_USER_WAIT << 32);
	assert_false(vmx_controls_allowed(&other, &controls, &why));
	assert_int_equal(why.word, VMX_WORD_SECONDARY);
	assert_int_equal(why.bits, SECONDARY_USER_WAIT);
	other = generous();
	other.control[VMX_WORD_PRIMARY] |= PRIMARY_HLT_EXITING;
	assert_false(vmx_controls_allowed(&other, &controls, &why));
	assert_true(why.forced);
	assert_int_equal(why.bits, PRIMARY_HLT_EXITING);
	/* What is set only at times counts as well. */
	other = generous();
	other.control[VMX_WORD_PRIMARY] &= ~((uint64_t)PRIMARY_MONITOR_TRAP_FLAG << 32);
	assert_false(vmx_controls_allowed(&other, &controls, &why));
	assert_int_equal(why.bits, PRIMARY_MONITOR_TRAP_FLAG);
}

static void ept_says_what_is_missing(void **state)
{
	const uint64_t whole = EPT_CAP_4_LEVELS | EPT_CAP_WRITE_BACK | EPT_CAP_2M_PAGES |
			       EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE;

	(void)state;
	assert_null(vmx_ept_missing(whole));
	assert_null(vmx_ept_missing((whole & ~EPT_CAP_INVEPT_SINGLE) | EPT_CAP_INVEPT_ALL));
	assert_string_equal(vmx_ept_missing(whole & ~EPT_CAP_4_LEVELS), "4-level tables");
	assert_string_equal(vmx_ept_missing(whole & ~EPT_CAP_WRITE_BACK), "write-back tables");
	assert_string_equal(vmx_ept_missing(whole & ~EPT_CAP_2M_PAGES), "2 MiB pages");
	assert_string_equal(vmx_ept_missing(whole & ~EPT_CAP_INVEPT), "INVEPT");
	assert_string_equal(vmx_ept_missing(whole & ~EPT_CAP_INVEPT_SINGLE), "an INVEPT type");
}

static void eptp_encodes_levels(void **state)
{
	(void)state;
	assert_int_equal(vmx_ept_levels(EPT_CAP_4_LEVELS | EPT_CAP_5_LEVELS, 46), 4);
	assert_int_equal(vmx_ept_levels(EPT_CAP_4_LEVELS | EPT_CAP_5_LEVELS, 52), 5);
	assert_int_equal(vmx_ept_levels(EPT_CAP_4_LEVELS, 52), 4);
	assert_int_equal(vmx_eptp(0x12345000, 4), 0x1234501e);
	assert_int_equal(vmx_eptp(0x12345000, 5), 0x12345026);
}

static void cr_bits_are_fixed_but_for_the_exempt(void **state)
{
	(void)state;
	/* CR0 as CPUs have it: PE, NE and PG forced, all defined bits allowed. */
	assert_int_equal(vmx_cr_fix(CR0_ET, CR0_PE | CR0_NE | CR0_PG, 0xffffffff, CR0_PE | CR0_PG),
			 CR0_ET | CR0_NE);
	assert_int_equal(vmx_cr_fix(CR0_ET, CR0_PE | CR0_NE | CR0_PG, 0xffffffff, 0),
			 CR0_ET | CR0_NE | CR0_PE | CR0_PG);
	assert_int_equal(vmx_cr_fix(CR4_PAE | CR4_SMXE, CR4_VMXE, CR4_VMXE | CR4_PAE, 0),
			 CR4_PAE | CR4_VMXE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_word_takes_must_want_and_forced),
		cmocka_unit_test(a_word_is_refused_without_must_or_later),
		cmocka_unit_test(a_word_is_refused_if_never_is_forced),
		cmocka_unit_test(a_generous_cpu_gets_everything_wanted),
		cmocka_unit_test(state_is_switched_both_ways_or_not),
		cmocka_unit_test(forced_cr3_exits_are_refused_by_name),
		cmocka_unit_test(each_must_is_needed),
		cmocka_unit_test(another_kind_of_cpu_is_noticed),
		cmocka_unit_test(ept_says_what_is_missing),
		cmocka_unit_test(eptp_encodes_levels),
		cmocka_unit_test(cr_bits_are_fixed_but_for_the_exempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
