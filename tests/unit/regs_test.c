/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/regs.c
/*
 * Any random sequence of reads, writes, exits and entries through the lazy cache equals a model without a cache.
 * The fake vendor keeps the "hardware" copy; failed entries leave it as it was stored.
 */
#include "core/regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/panic.h"
#include "core/vcpu.h"
#include "core/vendor.h"

/* One value a register is enough: what the cache does does not depend on the width. */
static uint64_t hardware[REG_COUNT], eager[REG_COUNT];
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

static uint64_t *field(struct regs *regs, unsigned reg)
{
	if (reg < REG_GPR_COUNT)
		return &regs->gpr[reg];
	switch (reg) {
	case REG_RIP:
		return &regs->rip;
	case REG_RFLAGS:
		return &regs->rflags;
	case REG_CR0:
		return &regs->cr0;
	case REG_CR2:
		return &regs->cr2;
	case REG_CR3:
		return &regs->cr3;
	case REG_CR4:
		return &regs->cr4;
	case REG_EFER:
		return &regs->efer;
	case REG_DR7:
		return &regs->dr7;
	case REG_PDPTR:
		return &regs->pdptr[0];
	case REG_GDTR:
		return &regs->gdtr.base;
	case REG_IDTR:
		return &regs->idtr.base;
	default:
		return &regs->segments[reg - REG_SEGMENTS].base;
	}
}

static void fake_fetch(struct vcpu *v, enum reg reg)
{
	if (reg == REG_INTERRUPT_SHADOW)
		v->regs.interrupt_shadow = (uint32_t)hardware[reg];
	else
		*field(&v->regs, (unsigned)reg) = hardware[reg];
}

static const struct vendor_ops fake_ops = { .name = "fake", .regs_fetch = fake_fetch };
const struct vendor_ops *vendor = &fake_ops;

typedef uint64_t (*read_function)(struct vcpu *);
typedef void (*write_function)(struct vcpu *, uint64_t);

static const struct {
	read_function read;
	write_function write;
} accessor[REG_COUNT] = {
	[REG_RIP] = { rip_read, rip_write },	[REG_RFLAGS] = { rflags_read, rflags_write },
	[REG_CR0] = { cr0_read, cr0_write },	[REG_CR2] = { cr2_read, cr2_write },
	[REG_CR3] = { cr3_read, cr3_write },	[REG_CR4] = { cr4_read, cr4_write },
	[REG_EFER] = { efer_read, efer_write }, [REG_DR7] = { dr7_read, dr7_write },
};

static uint64_t cache_read(unsigned reg)
{
	if (reg < REG_GPR_COUNT)
		return gpr_read_raw(&vcpu, reg);
	if (accessor[reg].read != NULL)
		return accessor[reg].read(&vcpu);
	if (reg == REG_PDPTR)
		return pdptr_read(&vcpu)[0];
	if (reg == REG_GDTR)
		return gdtr_read(&vcpu).base;
	if (reg == REG_IDTR)
		return idtr_read(&vcpu).base;
	if (reg == REG_INTERRUPT_SHADOW)
		return interrupt_shadow_read(&vcpu);
	return segment_read(&vcpu, (enum segment_index)(reg - REG_SEGMENTS))->base;
}

static void cache_write(unsigned reg, uint64_t value)
{
	const uint64_t pdptr[4] = { value };
	struct segment segment = { .base = value };
	struct table_register table = { .base = value };

	if (reg < REG_GPR_COUNT)
		gpr_write_raw(&vcpu, reg, value);
	else if (accessor[reg].write != NULL)
		accessor[reg].write(&vcpu, value);
	else if (reg == REG_PDPTR)
		pdptr_write(&vcpu, pdptr);
	else if (reg == REG_GDTR)
		gdtr_write(&vcpu, table);
	else if (reg == REG_IDTR)
		idtr_write(&vcpu, table);
	else if (reg == REG_INTERRUPT_SHADOW)
		interrupt_shadow_write(&vcpu, (uint32_t)value);
	else
		segment_write(&vcpu, (enum segment_index)(reg - REG_SEGMENTS), &segment);
}

static uint64_t random_value(unsigned reg)
{
	uint64_t value = (uint64_t)rand() << 40 ^ (uint64_t)rand() << 16 ^ (uint64_t)rand();

	return reg == REG_INTERRUPT_SHADOW ? (uint32_t)value : value;
}

/* The entry: dirty registers to the hardware, then the guest changes what it likes, then the exit. */
static void enter_and_exit(uint64_t lazy, bool failed)
{
	for (unsigned reg = 0; reg < REG_COUNT; reg++) {
		if ((vcpu.regs.dirty & REG_BIT(reg)) != 0) {
			assert_true(regs_is_available(&vcpu.regs, (enum reg)reg));
			hardware[reg] = cache_read(reg);
		}
	}
	vcpu.regs.dirty = 0;
	for (unsigned i = 0; i < 8 && !failed; i++) {
		unsigned reg = (unsigned)rand() % REG_COUNT;

		hardware[reg] = eager[reg] = random_value(reg);
	}
	vcpu.regs.available &= ~lazy;
	for (unsigned reg = 0; reg < REG_COUNT; reg++) {
		if ((lazy & REG_BIT(reg)) ==
		    0) /* saved by the exit stub, or eagerly by the back end */
			fake_fetch(&vcpu, (enum reg)reg);
	}
}

static void run_property(uint64_t lazy, unsigned seed)
{
	srand(seed);
	memset(&vcpu, 0, sizeof(vcpu));
	memset(hardware, 0, sizeof(hardware));
	memset(eager, 0, sizeof(eager));
	vcpu.regs.available = BITS64(REG_COUNT - 1, 0);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned reg = (unsigned)rand() % REG_COUNT;

		switch (rand() % 8) {
		case 0:
			enter_and_exit(lazy, rand() % 4 == 0);
			break;
		case 1:
		case 2:
		case 3:
			eager[reg] = random_value(reg);
			cache_write(reg, eager[reg]);
			break;
		default:
			assert_int_equal(cache_read(reg), eager[reg]);
			break;
		}
		assert_int_equal(vcpu.regs.dirty & ~vcpu.regs.available, 0);
	}
}

static void lazy_cache_equals_eager_model_on_vtx(void **state)
{
	(void)state;
	run_property(REGS_LAZY, 1);
}

/* The AMD-V loop fills RIP at each exit. */
static void lazy_cache_equals_eager_model_on_amdv(void **state)
{
	(void)state;
	run_property(REGS_LAZY & ~REG_BIT(REG_RIP), 2);
}

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
		cmocka_unit_test(lazy_cache_equals_eager_model_on_vtx),
		cmocka_unit_test(lazy_cache_equals_eager_model_on_amdv),
		cmocka_unit_test(an_index_that_is_no_gpr_is_refused),
		cmocka_unit_test(gprs_are_32_bit_outside_64_bit_mode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
