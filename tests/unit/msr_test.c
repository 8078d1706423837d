/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/msr.c
/* Which MSRs are trapped: the search finds each entry of the table and nothing between them. */
#include "vmexit/msr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "vmexit/apic_access.h"
#include "vmexit/init_sipi.h"
#include "vmexit/memtype_change.h"

/* What the table's handlers call: nothing here calls them. */
struct hv_caps hv_caps;
const struct vendor_ops *vendor;

void hv_panic(const char *format, ...)
{
	fail_msg("%s", format);
	abort();
}

void log_write(enum boot_log_level level, const char *format, ...)
{
	(void)level, (void)format;
}

void events_raise_gp(struct vcpu *vcpu, uint32_t error_code)
{
	(void)vcpu, (void)error_code;
}

uint64_t cr0_read(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

uint64_t efer_read(struct vcpu *vcpu)
{
	(void)vcpu;
	return 0;
}

void efer_write(struct vcpu *vcpu, uint64_t value)
{
	(void)vcpu, (void)value;
}

bool apic_base_follow(struct vcpu *vcpu, uint64_t apic_base)
{
	(void)vcpu, (void)apic_base;
	return false;
}

bool icr_write_trapped(struct vcpu *vcpu, uint64_t icr)
{
	(void)vcpu, (void)icr;
	return false;
}

void memtype_mtrr_written(struct vcpu *vcpu)
{
	(void)vcpu;
}

struct range {
	uint32_t first, last;
};

static bool is_in(const struct range *ranges, unsigned count, uint32_t msr)
{
	for (unsigned i = 0; i < count; i++) {
		if (msr >= ranges[i].first && msr <= ranges[i].last)
			return true;
	}
	return false;
}

/* docs/architecture.md, "What is trapped, and why". */
static const struct range vmx_reads[] = { { 0x3a, 0x3a }, { 0x480, 0x493 } };
static const struct range vmx_writes[] = {
	{ 0x1b, 0x1b },	  { 0x3a, 0x3a },   { 0x79, 0x79 },   { 0x200, 0x23f }, { 0x250, 0x250 },
	{ 0x258, 0x259 }, { 0x268, 0x26f }, { 0x2ff, 0x2ff }, { 0x480, 0x493 },
};
static const struct range svm_reads[] = { { 0xc0000080, 0xc0000080 },
					  { 0xc0010114, 0xc0010114 },
					  { 0xc0010117, 0xc0010118 } };
static const struct range svm_writes[] = {
	{ 0x1b, 0x1b },
	{ 0x830, 0x830 },
	{ 0xc0000080, 0xc0000080 },
	{ 0xc0010010, 0xc0010010 },
	{ 0xc0010020, 0xc0010020 },
	{ 0xc0010114, 0xc0010114 },
	{ 0xc0010117, 0xc0010118 },
};

static void check(uint32_t msr)
{
	hv_caps = (struct hv_caps){ .vmx = true, .hides_vmx = true, .maps_types = true };
	assert_int_equal(msr_traps_read(msr), is_in(vmx_reads, ARRAY_COUNT(vmx_reads), msr));
	assert_int_equal(msr_traps_write(msr), is_in(vmx_writes, ARRAY_COUNT(vmx_writes), msr));
	hv_caps = (struct hv_caps){ .hides_svm = true, .traps_apic = true };
	assert_int_equal(msr_traps_read(msr), is_in(svm_reads, ARRAY_COUNT(svm_reads), msr));
	assert_int_equal(msr_traps_write(msr), is_in(svm_writes, ARRAY_COUNT(svm_writes), msr));
}

static void traps_what_the_table_says(void **state)
{
	static const uint32_t bases[] = { 0, 0x40000000, 0x7fffe000, 0xc0000000, 0xc0010000 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(bases); i++) {
		for (uint32_t msr = 0; msr < 0x2000; msr++)
			check(bases[i] + msr);
	}
	check(0xffffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traps_what_the_table_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
