/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/cpuid.c
/* What CPUID shows of a CPU that has everything: all bits of all leaves are set but for what is hidden. */
#include "vmexit/cpuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "core/caps.h"

#define ALL UINT32_MAX

struct hv_caps hv_caps;
static struct vcpu vcpu;
static uint64_t cr4, host_cr4;
static bool key_locker_is_on; /* by the firmware */
static bool zeros_past_the_end;

static bool is_past_the_end(uint32_t leaf)
{
	return leaf > hv_caps.cpuid_basic_max &&
	       (leaf < 0x80000000 || leaf > hv_caps.cpuid_extended_max);
}

void cpuid_registers(uint64_t *rax, uint64_t *rbx, uint64_t *rcx, uint64_t *rdx)
{
	const uint32_t leaf = (uint32_t)*rax;

	*rax = *rbx = *rcx = *rdx = zeros_past_the_end && is_past_the_end(leaf) ? 0 : ALL;
	if (leaf == 0x19 && ((host_cr4 & CR4_KL) == 0 || !key_locker_is_on))
		*rbx &= ~UINT64_C(1);
}

uint64_t read_cr4(void)
{
	return host_cr4;
}

void write_cr4(uint64_t value)
{
	host_cr4 = value;
}

uint64_t cr4_read(struct vcpu *v)
{
	(void)v;
	return cr4;
}

static void is(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx,
	       uint32_t edx)
{
	/* The upper halves are no part of the question. */
	vcpu.regs.gpr[REG_RAX] = UINT64_C(0x100000000) | leaf;
	vcpu.regs.gpr[REG_RCX] = UINT64_C(0x100000000) | subleaf;
	cpuid_execute(&vcpu);
	assert_int_equal(vcpu.regs.gpr[REG_RAX], eax);
	assert_int_equal(vcpu.regs.gpr[REG_RBX], ebx);
	assert_int_equal(vcpu.regs.gpr[REG_RCX], ecx);
	assert_int_equal(vcpu.regs.gpr[REG_RDX], edx);
}

static int reset(void **state)
{
	(void)state;
	hv_caps = (struct hv_caps){ .cpuid_named = true,
				    .guest_maxphyaddr = 46,
				    .cpuid_basic_max = 0x29,
				    .cpuid_extended_max = 0x80000020 };
	zeros_past_the_end = false;
	cr4 = CR4_OSXSAVE | CR4_PKE;
	return 0;
}

static void virtualization_is_hidden(void **state)
{
	(void)state;
	is(1, 0, ALL, ALL, ALL & ~(BIT32(5) | BIT32(6)), ALL);
	is(0x80000001, 0, ALL, ALL, ALL & ~(BIT32(2) | BIT32(12)), ALL);
	is(0x8000000a, 0, 0, 0, 0, 0);
}

static void an_apic_that_is_off_is_not_shown(void **state)
{
	(void)state;
	vcpu.apic_base_hardware = 0xfee00800;
	is(1, 0, ALL, ALL, ALL & ~(BIT32(5) | BIT32(6)), ALL & ~BIT32(9));
	is(0x80000001, 0, ALL, ALL, ALL & ~(BIT32(2) | BIT32(12)), ALL & ~BIT32(9));
	vcpu.apic_base_hardware = 0;
}

static void bits_of_cr4_are_the_guests(void **state)
{
	(void)state;
	cr4 = 0;
	is(1, 0, ALL, ALL, ALL & ~(BIT32(5) | BIT32(6) | BIT32(27)), ALL);
	is(7, 0, ALL, ALL, ALL & ~BIT32(4), ALL);
}

/* AESKLE: CR4.KL and the firmware. The hypervisor's own CR4 is neither asked nor changed. */
static void key_locker_follows_the_guests_cr4(void **state)
{
	for (unsigned i = 0; i < 8; i++) {
		reset(state);
		cr4 = (i & 1) != 0 ? CR4_KL : 0;
		host_cr4 = CR4_PAE | ((i & 2) != 0 ? CR4_KL : 0);
		key_locker_is_on = (i & 4) != 0;
		is(0x19, 0, ALL, (i & 5) == 5 ? ALL : ALL & ~BIT32(0), ALL, ALL);
		assert_int_equal(host_cr4, CR4_PAE | ((i & 2) != 0 ? CR4_KL : 0));
	}
}

static void apx_is_hidden_everywhere(void **state)
{
	(void)state;
	is(7, 1, ALL & ~(BIT32(17) | BIT32(27)), ALL, ALL & ~BIT32(5),
	   ALL & ~(BIT32(15) | BIT32(21)));
	is(0xd, 0, ALL & ~BIT32(19), ALL, ALL, ALL);
	is(0xd, 1, ALL, ALL, ALL, ALL);
	is(0xd, 19, 0, 0, 0, 0);
	is(0x29, 0, 0, 0, 0, 0);
}

static void tracing_is_hidden_where_it_is_not_mapped(void **state)
{
	(void)state;
	hv_caps.hides_trace = true;
	is(7, 0, ALL, ALL & ~BIT32(25), ALL, ALL);
	is(0x14, 0, 0, 0, 0, 0);
	is(0x14, 1, 0, 0, 0, 0);
}

static void the_name_is_shown_or_not(void **state)
{
	(void)state;
	is(0x40000000, 0, 0x40000000, 0x6f6c6f53, 0x6f736976, 0x00564872);
	is(0x40000001, 0, 0, 0, 0, 0);
	hv_caps.cpuid_named = false;
	is(0x40000000, 0, ALL, ALL, ALL, ALL);
}

static void addresses_are_as_wide_as_the_map(void **state)
{
	(void)state;
	is(0x80000008, 0, (ALL & ~UINT32_C(0xff)) | 46, ALL & ~BIT32(3), ALL, ALL);
}

/* Leaves that are hidden, if the CPU has them: one that has not shows something else there. */
static void past_the_end_is_the_last_leaf_or_nothing(void **state)
{
	(void)state;
	hv_caps.cpuid_basic_max = 0xd;
	hv_caps.cpuid_extended_max = 0x80000008;
	is(0x29, 0, ALL & ~BIT32(19), ALL, ALL, ALL);
	is(0x29, 19, 0, 0, 0, 0);
	is(0x8000000a, 1, ALL, ALL, ALL, ALL);
	is(0x8000001f, 0, ALL & ~BIT32(19), ALL, ALL, ALL);
	is(0xe, 0, ALL & ~BIT32(19), ALL, ALL, ALL);
	hv_caps.cpuid_basic_max = 7;
	cr4 = 0;
	is(0x8000000a, 0, ALL, ALL, ALL & ~BIT32(4), ALL);
	hv_caps.cpuid_basic_max = 0x16;
	is(0x29, 0, ALL, ALL, ALL, ALL);
	is(0x8000000a, 0, ALL, ALL, ALL, ALL);
	is(0x8000001f, 0, ALL, ALL, ALL, ALL);
	zeros_past_the_end = true;
	hv_caps.cpuid_basic_max = 7;
	cr4 = CR4_PKE;
	is(0x8000001f, 0, 0, 0, 0, 0);
	is(8, 0, 0, 0, 0, 0);
}

static void all_other_leaves_are_the_cpus(void **state)
{
	(void)state;
	for (uint32_t leaf = 0; leaf < 0x29; leaf++) {
		if (leaf != 1 && leaf != 7 && leaf != 0xd && leaf != 0x19 && leaf != 0x29)
			is(leaf, 0, ALL, ALL, ALL, ALL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(virtualization_is_hidden, reset),
		cmocka_unit_test_setup(an_apic_that_is_off_is_not_shown, reset),
		cmocka_unit_test_setup(bits_of_cr4_are_the_guests, reset),
		cmocka_unit_test_setup(key_locker_follows_the_guests_cr4, reset),
		cmocka_unit_test_setup(apx_is_hidden_everywhere, reset),
		cmocka_unit_test_setup(tracing_is_hidden_where_it_is_not_mapped, reset),
		cmocka_unit_test_setup(the_name_is_shown_or_not, reset),
		cmocka_unit_test_setup(addresses_are_as_wide_as_the_map, reset),
		cmocka_unit_test_setup(past_the_end_is_the_last_leaf_or_nothing, reset),
		cmocka_unit_test_setup(all_other_leaves_are_the_cpus, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
