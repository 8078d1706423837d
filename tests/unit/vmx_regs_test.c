/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/regs.c arch/vmx/regs.c arch/vmx/guest_state.c arch/vmx/capability.c
/* The register cache over a VMCS: equal to no cache at all, and read no more than needed. */
#include "arch/vmx/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/vmx/pebs.h"
#include "arch/vmx/state.h"
#include "core/panic.h"
#include "core/vendor.h"

#include "fake_vmcs.h"
#include "fake_loan.h"
#include "regs_model.h"

static const struct vendor_ops fake_ops = { .name = "fake", .regs_fetch = vmx_regs_fetch };
const struct vendor_ops *vendor = &fake_ops;
/* tests/unit/vmx_pebs_test.c has it. */
bool vmx_pebs_write(struct vcpu *of, uint64_t value)
{
	(void)of, (void)value;
	return false;
}

static struct vmx_vcpu vmx;

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_unreachable();
}

static uint64_t hardware_owned(unsigned reg)
{
	if (reg == REG_CR0)
		return ~vmx.cr0_mask;
	return reg == REG_CR4 ? ~vmx.cr4_mask : UINT64_MAX;
}

static const uint64_t *hardware_pdptr(uint64_t cr3)
{
	(void)cr3;
	return NULL;
}

static void set_segment(unsigned index)
{
	const struct segment *segment = &model.segments[index];

	fake_vmcs[VMCS_GUEST_ES_SELECTOR + 2 * index] = segment->selector;
	fake_vmcs[VMCS_GUEST_ES_BASE + 2 * index] = segment->base;
	fake_vmcs[VMCS_GUEST_ES_LIMIT + 2 * index] = segment->limit;
	fake_vmcs[VMCS_GUEST_ES_RIGHTS + 2 * index] = segment->rights;
}

static void set_interruptibility(void)
{
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] =
		model.value[REG_INTERRUPT_SHADOW] |
		(model.value[REG_NMI_BLOCKED] != 0 ? INTERRUPTIBILITY_NMI : 0);
}

/* Of a control register, the guest's own bits. */
static void set_cr(unsigned field, uint64_t value, uint64_t mask)
{
	fake_vmcs[field] = (fake_vmcs[field] & mask) | (value & ~mask);
}

static void hardware_set(unsigned reg)
{
	static const unsigned fields[REG_COUNT] = {
		[REG_RSP] = VMCS_GUEST_RSP,
		[REG_RIP] = VMCS_GUEST_RIP,
		[REG_RFLAGS] = VMCS_GUEST_RFLAGS,
		[REG_CR3] = VMCS_GUEST_CR3,
		[REG_EFER] = VMCS_GUEST_EFER,
		[REG_DR7] = VMCS_GUEST_DR7,
		[REG_SSP] = VMCS_GUEST_SSP,
		[REG_EXIT_INFO_1] = VMCS_EXIT_QUALIFICATION,
		[REG_EXIT_INFO_2] = VMCS_EXIT_LINEAR_ADDRESS,
	};
	unsigned i;

	if (fields[reg] != 0)
		fake_vmcs[fields[reg]] = model.value[reg];
	else if (reg < REG_GPR_COUNT)
		vcpu.regs.gpr[reg] = model.value[reg]; /* the exit stub */
	else if (is_segment(reg))
		set_segment(reg - REG_SEGMENTS);
	else if (reg == REG_CR0)
		set_cr(VMCS_GUEST_CR0, model.value[reg], vmx.cr0_mask);
	else if (reg == REG_CR4)
		set_cr(VMCS_GUEST_CR4, model.value[reg], vmx.cr4_mask);
	else if (reg == REG_CR2)
		fake_cr2 = model.value[reg];
	else if (reg == REG_DR6)
		fake_dr6 = model.value[reg];
	else if (reg == REG_PDPTR)
		for (i = 0; i < 4; i++)
			fake_vmcs[VMCS_GUEST_PDPTE0 + 2 * i] = model.pdptr[i];
	else if (reg == REG_INTERRUPT_SHADOW || reg == REG_NMI_BLOCKED)
		set_interruptibility();
	else if (reg == REG_GDTR || reg == REG_IDTR) {
		i = 2 * (reg - REG_GDTR);
		fake_vmcs[VMCS_GUEST_GDTR_BASE + i] = model.tables[reg - REG_GDTR].base;
		fake_vmcs[VMCS_GUEST_GDTR_LIMIT + i] = model.tables[reg - REG_GDTR].limit;
	}
}

/* As arch/vmx/run.c. */
static void hardware_run(bool failed, void (*guest)(void))
{
	vmx_regs_store(&vcpu);
	assert_int_equal(vcpu.regs.dirty, 0);
	if (!failed)
		guest();
	regs_forget_lazy(&vcpu.regs);
}

static int start(void **state)
{
	(void)state;
	memset(fake_vmcs, 0, sizeof(fake_vmcs));
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.backend = &vmx;
	vmx = (struct vmx_vcpu){
		.controls.word[VMX_WORD_ENTRY] = ENTRY_LOAD_CET,
		.cr0_mask = CR0_NE | CR0_NW | CR0_CD,
		.cr4_mask = CR4_VMXE | CR4_FRED,
		.cr0_fixed0 = CR0_PE | CR0_NE | CR0_PG,
		.cr0_fixed1 = BITS64(31, 0),
		.cr4_fixed0 = CR4_VMXE,
		.cr4_fixed1 = BITS64(31, 0),
	};
	vcpu.regs.cr0_guest_owned = ~vmx.cr0_mask;
	vcpu.regs.cr4_guest_owned = ~vmx.cr4_mask;
	srand(1);
	model_start();
	return 0;
}

static void lazy_cache_equals_eager_model(void **state)
{
	(void)state;
	model_step(300000);
}

static unsigned reads_of(uint64_t (*read)(struct vcpu *, uint64_t), uint64_t mask)
{
	unsigned before = fake_vmcs_reads;

	regs_forget_lazy(&vcpu.regs);
	read(&vcpu, mask);
	return fake_vmcs_reads - before;
}

static void host_owned_bits_need_no_vmread(void **state)
{
	(void)state;
	assert_int_equal(reads_of(cr0_read_bits, CR0_NE | CR0_CD), 0);
	assert_int_equal(reads_of(cr4_read_bits, CR4_VMXE), 0);
	assert_int_not_equal(reads_of(cr0_read_bits, CR0_CD | CR0_PE), 0);
	assert_int_not_equal(reads_of(cr4_read_bits, CR4_PAE), 0);
}

static void each_register_is_read_once_an_exit(void **state)
{
	unsigned before;

	(void)state;
	for (unsigned reg = REG_RIP; reg < REG_COUNT; reg++) {
		hardware_run(true, NULL);
		model_compare(reg);
		before = fake_vmcs_reads;
		model_compare(reg);
		assert_int_equal(fake_vmcs_reads, before);
	}
}

static void the_guest_sees_no_bits_of_ours(void **state)
{
	(void)state;
	cr0_write(&vcpu, CR0_PE | CR0_CD | CR0_NW | CR0_ET);
	cr4_write(&vcpu, CR4_PAE);
	hardware_run(true, NULL);
	assert_int_equal(fake_vmcs[VMCS_GUEST_CR0], CR0_PE | CR0_NE | CR0_ET);
	assert_int_equal(fake_vmcs[VMCS_GUEST_CR4], CR4_PAE | CR4_VMXE);
	assert_int_equal(cr0_read(&vcpu), CR0_PE | CR0_CD | CR0_NW | CR0_ET);
	assert_int_equal(cr4_read(&vcpu), CR4_PAE);
}

/* The field does not exist there. */
static void a_cpu_without_cet_has_no_ssp(void **state)
{
	(void)state;
	vmx.controls.word[VMX_WORD_ENTRY] = 0;
	fake_vmcs[VMCS_GUEST_SSP] = 0x5555;
	ssp_write(&vcpu, 0x1000);
	hardware_run(true, NULL);
	assert_int_equal(fake_vmcs[VMCS_GUEST_SSP], 0x5555);
	assert_int_equal(ssp_read(&vcpu), 0);
}

static void a_step_in_a_shadow_is_pending_when_stored(void **state)
{
	(void)state;
	fake_vmcs[VMCS_GUEST_PENDING_DEBUG] = 0;
	fake_vmcs[VMCS_GUEST_DEBUGCTL] = 0;
	rflags_write(&vcpu, RFLAGS_FIXED | RFLAGS_TF);
	interrupt_shadow_write(&vcpu, SHADOW_STI);
	hardware_run(true, NULL);
	assert_int_equal(fake_vmcs[VMCS_GUEST_PENDING_DEBUG], PENDING_DEBUG_BS);
	rflags_write(&vcpu, RFLAGS_FIXED);
	hardware_run(true, NULL);
	assert_int_equal(fake_vmcs[VMCS_GUEST_PENDING_DEBUG], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(lazy_cache_equals_eager_model, start),
		cmocka_unit_test_setup(host_owned_bits_need_no_vmread, start),
		cmocka_unit_test_setup(each_register_is_read_once_an_exit, start),
		cmocka_unit_test_setup(the_guest_sees_no_bits_of_ours, start),
		cmocka_unit_test_setup(a_cpu_without_cet_has_no_ssp, start),
		cmocka_unit_test_setup(a_step_in_a_shadow_is_pending_when_stored, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
