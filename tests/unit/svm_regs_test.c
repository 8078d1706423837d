/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/regs.c core/pdptr.c arch/x86/cr_rules.c arch/svm/regs.c
/* The register cache over a VMCB: equal to no cache at all, and each change told to the clean bits. */
#include "arch/svm/svm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/panic.h"
#include "core/vendor.h"
#include "mm/guest_copy.h"
#include "tests/unit/fake_loan.h"

#include "regs_model.h"

struct hv_caps hv_caps;
static struct vmcb vmcb;
static struct svm_vcpu svm = { .vmcb = &vmcb };
static const struct vendor_ops fake_ops = { .name = "fake", .regs_fetch = svm_regs_fetch };
const struct vendor_ops *vendor = &fake_ops;
static jmp_buf panic_jump;
static bool panic_expected;

void hv_panic(const char *format, ...)
{
	if (!panic_expected)
		fail_msg("panic: %s", format);
	panic_expected = false;
	longjmp(panic_jump, 1);
}

void svm_set_intercepts(struct vcpu *v)
{
	(void)v;
}

/* Memory: any table of PDPTEs is a function of its address. */
static const uint64_t *hardware_pdptr(uint64_t cr3)
{
	static uint64_t table[4];

	for (unsigned i = 0; i < 4; i++)
		table[i] = ((cr3 & BITS64(31, 5)) + i) * UINT64_C(0x9e3779b97f4a7c15);
	return table;
}

bool guest_copy_in(void *to, gpa_t from, uint64_t bytes)
{
	memcpy(to, hardware_pdptr(from.v), bytes);
	return true;
}

static uint64_t hardware_owned(unsigned reg)
{
	(void)reg;
	return UINT64_MAX;
}

/* The VMCB packs the attributes otherwise (APM: "Segment State in the VMCB"), and keeps the CPL apart. */
static void set_segment(unsigned index)
{
	struct vmcb_segment *const segments[SEGMENT_COUNT] = {
		&vmcb.es, &vmcb.cs, &vmcb.ss, &vmcb.ds, &vmcb.fs, &vmcb.gs, &vmcb.ldtr, &vmcb.tr,
	};
	const struct segment *from = &model.segments[index];
	uint16_t attributes = (uint16_t)((from->rights & 0xff) | (from->rights & 0xf000) >> 4);

	*segments[index] =
		(struct vmcb_segment){ from->selector, attributes, from->limit, from->base };
	if (index == SEGMENT_SS)
		vmcb.cpl = (uint8_t)segment_dpl(from);
}

static void hardware_set(unsigned reg)
{
	const struct table_register *table = &model.tables[reg == REG_IDTR];
	uint64_t value = model.value[reg];
	uint64_t *const fields[REG_COUNT] = {
		[REG_RSP] = &vmcb.rsp,
		[REG_RIP] = &vmcb.rip,
		[REG_RFLAGS] = &vmcb.rflags,
		[REG_CR0] = &vmcb.cr0,
		[REG_CR2] = &vmcb.cr2,
		[REG_CR3] = &vmcb.cr3,
		[REG_CR4] = &vmcb.cr4,
		[REG_DR6] = &vmcb.dr6,
		[REG_DR7] = &vmcb.dr7,
		[REG_SSP] = &vmcb.ssp,
		[REG_EXIT_INFO_1] = &vmcb.exit_info1,
		[REG_RAX] = &vmcb.rax,
		[REG_EXIT_INFO_2] = &vmcb.exit_info2,
		[REG_EFER] = &vmcb.efer,
		[REG_INTERRUPT_SHADOW] = &vmcb.interrupt_shadow,
		[REG_GDTR] = &vmcb.gdtr.base,
		[REG_IDTR] = &vmcb.idtr.base,
	};

	if (is_segment(reg))
		set_segment(reg - REG_SEGMENTS);
	else if (fields[reg] == NULL && reg < REG_GPR_COUNT)
		vcpu.regs.gpr[reg] = value; /* the exit stub */
	else if (reg == REG_NMI_BLOCKED)
		svm.nmi_blocked = value != 0;
	else if (fields[reg] != NULL)
		*fields[reg] = reg >= REG_GDTR ? table->base : value;
	if (reg == REG_EFER)
		vmcb.efer |= EFER_SVME;
	if (reg == REG_GDTR)
		vmcb.gdtr.limit = table->limit;
	if (reg == REG_IDTR)
		vmcb.idtr.limit = table->limit;
}

/* As arch/svm/run.c. */
static void hardware_run(bool failed, void (*guest)(void))
{
	struct regs *regs = &vcpu.regs;

	if ((regs->dirty & REGS_LAZY) != 0)
		svm_regs_store(&vcpu);
	regs->dirty = 0;
	vmcb.rax = regs->gpr[REG_RAX];
	if (!failed)
		guest();
	regs->gpr[REG_RAX] = vmcb.rax;
	regs->rip = vmcb.rip;
	regs->efer = vmcb.efer & ~EFER_SVME;
	regs->available = (regs->available & ~REGS_LAZY) | REG_BIT(REG_RIP) | REG_BIT(REG_EFER);
	assert_int_not_equal(vmcb.efer & EFER_SVME, 0);
}

static int start(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&vcpu, 0, sizeof(vcpu));
	svm = (struct svm_vcpu){ .vmcb = &vmcb };
	vcpu.backend = &svm;
	vcpu.regs.cr0_guest_owned = vcpu.regs.cr4_guest_owned = UINT64_MAX;
	srand(2);
	model_start();
	return 0;
}

static void lazy_cache_equals_eager_model(void **state)
{
	(void)state;
	model_step(300000);
}

static void what_is_written_is_not_clean(void **state)
{
	static const struct {
		unsigned reg;
		uint32_t clean;
	} cases[] = {
		{ REG_CR0, CLEAN_CR },	{ REG_CR3, CLEAN_CR },
		{ REG_CR4, CLEAN_CR },	{ REG_EFER, CLEAN_CR },
		{ REG_CR2, CLEAN_CR2 }, { REG_DR6, CLEAN_DR },
		{ REG_DR7, CLEAN_DR },	{ REG_GDTR, CLEAN_DT },
		{ REG_IDTR, CLEAN_DT }, { REG_SEGMENTS + SEGMENT_CS, CLEAN_SEG },
		{ REG_RIP, 0 },		{ REG_RFLAGS, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		hardware_run(true, NULL);
		vmcb.clean = CLEAN_ALL;
		model_change(cases[i].reg, UINT64_MAX);
		cache_write(cases[i].reg);
		hardware_run(true, NULL);
		assert_int_equal(vmcb.clean, CLEAN_ALL & ~cases[i].clean);
	}
}

/* As the guest's own write would. APM: "Return Address Predictor". */
static void a_write_of_cr3_clears_the_return_predictor(void **state)
{
	(void)state;
	vmcb.tlb_control = TLB_CONTROL_ALLOW_LARGER_RAP;
	cr3_write(&vcpu, 0x1000);
	hardware_run(true, NULL);
	assert_int_equal(vmcb.tlb_control, TLB_CONTROL_ALLOW_LARGER_RAP);
	hv_caps.eraps = true;
	cr4_write(&vcpu, CR4_PAE);
	hardware_run(true, NULL);
	assert_int_equal(vmcb.tlb_control, TLB_CONTROL_ALLOW_LARGER_RAP);
	regs_mark_dirty(&vcpu.regs, REG_ERAPS);
	hardware_run(true, NULL);
	assert_int_equal(vmcb.tlb_control, TLB_CONTROL_ALLOW_LARGER_RAP | TLB_CONTROL_CLEAR_RAP);
	hv_caps.eraps = false;
}

static void dirty_without_available_is_refused(void **state)
{
	(void)state;
	vcpu.regs.dirty |= REG_BIT(REG_CR0);
	vcpu.regs.available &= ~REG_BIT(REG_CR0);
	panic_expected = true;
	if (setjmp(panic_jump) == 0)
		svm_regs_store(&vcpu);
	assert_false(panic_expected);
	panic_expected = true;
	if (setjmp(panic_jump) == 0)
		cr0_read(&vcpu);
	assert_false(panic_expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lazy_cache_equals_eager_model, start),
		cmocka_unit_test_setup(what_is_written_is_not_clean, start),
		cmocka_unit_test_setup(a_write_of_cr3_clears_the_return_predictor, start),
		cmocka_unit_test_setup(dirty_without_available_is_refused, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
