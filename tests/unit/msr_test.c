/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/msr.c
/* Which MSRs are trapped: the search finds each entry of the table and nothing between them; and what some come to. */
#include "vmexit/msr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "vmexit/apic_base.h"
#include "vmexit/init_sipi.h"
#include "vmexit/memtype_change.h"

struct hv_caps hv_caps;

/* The CPU's MSRs: whatever is written stays, but 0x3f1 is the vendor's and IGNNE is absent. */
static uint64_t cpu_msrs[0x2000], vendor_msr;
static unsigned faults;

bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	*value = msr < ARRAY_COUNT(cpu_msrs) ? cpu_msrs[msr] : 0;
	return msr != MSR_IGNNE;
}

bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	if (msr < ARRAY_COUNT(cpu_msrs))
		cpu_msrs[msr] = value;
	return msr != MSR_IGNNE;
}

static bool vendor_write(struct vcpu *vcpu, uint32_t msr, uint64_t value)
{
	(void)vcpu;
	if (msr == MSR_PEBS_ENABLE)
		vendor_msr = value;
	return msr == MSR_PEBS_ENABLE;
}

static bool vendor_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value)
{
	(void)vcpu, (void)msr, (void)value;
	return false;
}

static const struct vendor_ops fake_ops = { .msr_read = vendor_read, .msr_write = vendor_write };
const struct vendor_ops *vendor = &fake_ops;

bool tdp_mmu_is_hidden(const struct tdp_mmu *tdp, gpa_t gpa)
{
	(void)tdp;
	return gpa.v >= 0x400000 && gpa.v < 0x600000;
}

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
	faults++;
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

enum apic_base_result apic_base_write(struct vcpu *vcpu, uint64_t value)
{
	(void)vcpu, (void)value;
	return APIC_BASE_REFUSED;
}

void icr_carry(struct vcpu *vcpu, uint64_t icr)
{
	(void)vcpu, (void)icr;
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
static const struct range vmx_reads[] = {
	{ 0x1b, 0x1b }, { 0x3a, 0x3a }, { 0x480, 0x493 }, { 0x560, 0x587 }
};
static const struct range vmx_writes[] = {
	{ 0x1b, 0x1b },	  { 0x3a, 0x3a },   { 0x79, 0x79 },   { 0x200, 0x23f }, { 0x250, 0x26f },
	{ 0x2ff, 0x2ff }, { 0x3f1, 0x3f1 }, { 0x480, 0x493 }, { 0x560, 0x587 }, { 0x17d0, 0x17d0 },
};
static const struct range svm_reads[] = {
	{ 0x1b, 0x1b }, { 0x830, 0x830 }, { 0xc0000080, 0xc0000080 }, { 0xc0010114, 0xc0010118 }
};
static const struct range svm_writes[] = {
	{ 0x1b, 0x1b },
	{ 0x830, 0x830 },
	{ 0xc0000080, 0xc0000080 },
	{ 0xc0010010, 0xc0010010 },
	{ 0xc0010020, 0xc0010020 },
	{ 0xc0010114, 0xc0010118 },
};

static void check(uint32_t msr)
{
	hv_caps = (struct hv_caps){
		.vmx = true, .hides_vmx = true, .maps_types = true, .hides_trace = true
	};
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

static struct vm vm;
static struct vcpu vcpu = { .vm = &vm };

static bool wrmsr_works(uint32_t msr, uint64_t value)
{
	const unsigned before = faults;
	enum exit_verdict verdict;

	vcpu.regs.gpr[REG_RCX] = msr;
	vcpu.regs.gpr[REG_RAX] = (uint32_t)value;
	vcpu.regs.gpr[REG_RDX] = value >> 32;
	verdict = msr_write_exit(&vcpu);
	assert_int_equal(verdict, faults == before ? VERDICT_NEXT_INSN : VERDICT_RESUME);
	return faults == before;
}

static bool rdmsr_gives(uint32_t msr, uint64_t *value)
{
	const unsigned before = faults;

	vcpu.regs.gpr[REG_RCX] = msr;
	(void)msr_read_exit(&vcpu);
	*value = vcpu.regs.gpr[REG_RAX] | vcpu.regs.gpr[REG_RDX] << 32;
	return faults == before;
}

static int on_vmx(void **state)
{
	(void)state;
	hv_caps = (struct hv_caps){ .vmx = true, .hides_vmx = true, .hides_trace = true };
	return 0;
}

/* The table of the hardware feedback interface may lie where it does no harm. */
static void the_cpus_hints_do_not_go_over_us(void **state)
{
	(void)state;
	assert_true(wrmsr_works(MSR_HW_FEEDBACK_PTR, 0x200001));
	assert_int_equal(cpu_msrs[MSR_HW_FEEDBACK_PTR], 0x200001);
	assert_false(wrmsr_works(MSR_HW_FEEDBACK_PTR, 0x400001));
	assert_false(wrmsr_works(MSR_HW_FEEDBACK_PTR, 0x5ff001));
	/* The second of its pages. */
	assert_false(wrmsr_works(MSR_HW_FEEDBACK_PTR, 0x3ff001));
	assert_int_equal(cpu_msrs[MSR_HW_FEEDBACK_PTR], 0x200001);
	/* Not valid: an address is only a number. */
	assert_true(wrmsr_works(MSR_HW_FEEDBACK_PTR, 0x400000));
	assert_true(wrmsr_works(MSR_HW_FEEDBACK_PTR, 0x600001));
}

static void pebs_is_the_vendors(void **state)
{
	(void)state;
	assert_true(wrmsr_works(MSR_PEBS_ENABLE, 0x100000003));
	assert_int_equal(vendor_msr, 0x100000003);
}

static void tracing_faults_where_it_is_hidden(void **state)
{
	uint64_t value;

	(void)state;
	assert_false(wrmsr_works(MSR_RTIT_CTL, 1));
	assert_false(rdmsr_gives(MSR_RTIT_CTL, &value));
}

static void svm_is_locked_off_and_its_neighbours_are_not(void **state)
{
	uint64_t value;

	(void)state;
	hv_caps = (struct hv_caps){ .hides_svm = true };
	assert_true(rdmsr_gives(MSR_VM_CR, &value));
	assert_int_equal(value, VM_CR_LOCK | VM_CR_SVMDIS);
	assert_true(wrmsr_works(MSR_VM_CR, 0));
	assert_false(wrmsr_works(MSR_VM_CR, BIT64(5)));
	assert_false(rdmsr_gives(MSR_VM_HSAVE_PA, &value));
	assert_false(wrmsr_works(MSR_SVM_LOCK_KEY, 0));
	assert_true(rdmsr_gives(MSR_SMM_CTL, &value));
	assert_true(wrmsr_works(MSR_SMM_CTL, 1));
	/* What the CPU does not have is #GP. */
	assert_false(rdmsr_gives(MSR_IGNNE, &value));
	assert_false(wrmsr_works(MSR_IGNNE, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traps_what_the_table_says),
		cmocka_unit_test_setup(the_cpus_hints_do_not_go_over_us, on_vmx),
		cmocka_unit_test_setup(pebs_is_the_vendors, on_vmx),
		cmocka_unit_test_setup(tracing_faults_where_it_is_hidden, on_vmx),
		cmocka_unit_test(svm_is_locked_off_and_its_neighbours_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
