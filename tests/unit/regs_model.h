/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's registers without a cache, and random sequences of reads, writes, exits and failed entries that compare
 * it with core/regs.c over a back end's own fetch and store. The test that includes this has the hardware and says how
 * its values look.
 */
#ifndef TESTS_UNIT_REGS_MODEL_H
#define TESTS_UNIT_REGS_MODEL_H

#include <stdlib.h>

#include "core/vcpu.h"

/* What the guest sees of each register, at once. */
struct model {
	uint64_t value[REG_COUNT];
	uint64_t pdptr[4];
	struct segment segments[SEGMENT_COUNT];
	struct table_register tables[2];
};

static struct model model;
static struct vcpu vcpu;

/* The including test's: */
/* Put the model's value of one register into the hardware, as if the guest had done it. */
static void hardware_set(unsigned reg);
/* The back end's entry (failed: nothing runs) and exit, `guest` being called while the guest runs. */
static void hardware_run(bool failed, void (*guest)(void));
/* Bits of CR0 or CR4 that the guest changes by itself. */
static uint64_t hardware_owned(unsigned reg);
/* PDPTRs that belong to a CR3, or NULL where they are registers. */
static const uint64_t *hardware_pdptr(uint64_t cr3);

static uint64_t random64(void)
{
	return (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
}

/* Every register is a value that no side mends. */
static struct segment random_segment(unsigned index)
{
	struct segment segment = { .base = index == SEGMENT_FS || index == SEGMENT_GS ||
							   index >= SEGMENT_LDTR
						   ? random64()
						   : (uint32_t)rand(),
				   .limit = (uint32_t)rand() % 0x100000,
				   .rights = SEGMENT_P,
				   .selector = (uint16_t)(rand() & ~SELECTOR_TI) };

	if ((segment.limit & 0xfff) == 0xfff)
		segment.limit--;
	if (index == SEGMENT_TR) {
		segment.rights |= SEGMENT_TYPE_TSS_BUSY;
		segment.limit |= 0x60;
	} else if (index == SEGMENT_LDTR) {
		segment.rights |= SEGMENT_TYPE_LDT;
	} else {
		segment.rights |= SEGMENT_S | SEGMENT_TYPE_ACCESSED | (rand() & 0x6e) |
				  (rand() & (SEGMENT_AVL | SEGMENT_L | SEGMENT_DB));
	}
	return segment;
}

static uint64_t random_value(unsigned reg)
{
	switch (reg) {
	case REG_RFLAGS:
		return (random64() & 0x3c7ed5) | RFLAGS_FIXED;
	case REG_CR0:
		return (random64() & CR0_DEFINED) | CR0_ET;
	case REG_CR4:
		return random64() & BITS64(22, 0) & ~CR4_VMXE;
	case REG_EFER:
		return random64() & (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
	case REG_DR7:
		return (random64() & BITS64(31, 0)) | DR7_INIT;
	case REG_INTERRUPT_SHADOW:
		return (uint64_t)(rand() & 1) * SHADOW_STI;
	case REG_NMI_BLOCKED:
		return rand() & 1;
	default:
		return random64();
	}
}

static bool is_segment(unsigned reg)
{
	return reg >= REG_SEGMENTS && reg < REG_SEGMENTS + SEGMENT_COUNT;
}

/* A new value, of which only the bits in `owned` are new. */
static void model_change(unsigned reg, uint64_t owned)
{
	if (is_segment(reg))
		model.segments[reg - REG_SEGMENTS] = random_segment(reg - REG_SEGMENTS);
	else if (reg >= REG_GDTR)
		model.tables[reg - REG_GDTR] =
			(struct table_register){ random64(), (uint16_t)rand() };
	else if (reg == REG_PDPTR)
		for (unsigned i = 0; i < 4 && hardware_pdptr(0) == NULL; i++)
			model.pdptr[i] = random64();
	else
		model.value[reg] = (model.value[reg] & ~owned) | (random_value(reg) & owned);
	if (reg == REG_CR3 && hardware_pdptr(0) != NULL)
		__builtin_memcpy(model.pdptr, hardware_pdptr(model.value[reg]),
				 sizeof(model.pdptr));
}

typedef uint64_t (*read_function)(struct vcpu *);
typedef void (*write_function)(struct vcpu *, uint64_t);

static uint64_t shadow_read(struct vcpu *v)
{
	return interrupt_shadow_read(v);
}

static void shadow_write(struct vcpu *v, uint64_t value)
{
	interrupt_shadow_write(v, (uint32_t)value);
}

static uint64_t blocked_read(struct vcpu *v)
{
	return nmi_blocked_read(v);
}

static void blocked_write(struct vcpu *v, uint64_t value)
{
	nmi_blocked_write(v, value != 0);
}

static uint64_t info1_read(struct vcpu *v)
{
	return exit_info_read(v, 1);
}

static uint64_t info2_read(struct vcpu *v)
{
	return exit_info_read(v, 2);
}

static const struct {
	read_function read;
	write_function write;
} accessor[REG_COUNT] = {
	[REG_RIP] = { rip_read, rip_write },
	[REG_RFLAGS] = { rflags_read, rflags_write },
	[REG_CR0] = { cr0_read, cr0_write },
	[REG_CR2] = { cr2_read, cr2_write },
	[REG_CR3] = { cr3_read, cr3_write },
	[REG_CR4] = { cr4_read, cr4_write },
	[REG_EFER] = { efer_read, efer_write },
	[REG_DR6] = { dr6_read, dr6_write },
	[REG_DR7] = { dr7_read, dr7_write },
	[REG_SSP] = { ssp_read, ssp_write },
	[REG_INTERRUPT_SHADOW] = { shadow_read, shadow_write },
	[REG_NMI_BLOCKED] = { blocked_read, blocked_write },
	[REG_EXIT_INFO_1] = { info1_read, NULL },
	[REG_EXIT_INFO_2] = { info2_read, NULL },
};

static void compare_table(struct table_register table, const struct table_register *expected)
{
	assert_true(table.base == expected->base);
	assert_int_equal(table.limit, expected->limit);
}

static void compare_segment(unsigned index)
{
	const struct segment *segment = segment_read(&vcpu, (enum segment_index)index);
	const struct segment *expected = &model.segments[index];

	assert_true(segment->base == expected->base);
	assert_int_equal(segment->limit, expected->limit);
	assert_int_equal(segment->rights, expected->rights);
	assert_int_equal(segment->selector, expected->selector);
}

static void model_compare(unsigned reg)
{
	uint64_t mask = random64();

	if (reg < REG_GPR_COUNT) {
		assert_true(gpr_read_raw(&vcpu, reg) == model.value[reg]);
	} else if (is_segment(reg)) {
		compare_segment(reg - REG_SEGMENTS);
	} else if (reg == REG_GDTR) {
		compare_table(gdtr_read(&vcpu), &model.tables[0]);
	} else if (reg == REG_IDTR) {
		compare_table(idtr_read(&vcpu), &model.tables[1]);
	} else if (reg == REG_PDPTR) {
		assert_memory_equal(pdptr_read(&vcpu), model.pdptr, sizeof(model.pdptr));
	} else if (reg == REG_CR0 && rand() % 2 != 0) {
		assert_true(cr0_read_bits(&vcpu, mask) == (model.value[reg] & mask));
	} else if (reg == REG_CR4 && rand() % 2 != 0) {
		assert_true(cr4_read_bits(&vcpu, mask) == (model.value[reg] & mask));
	} else if (accessor[reg].read(&vcpu) != model.value[reg]) {
		fail_msg("register %u: cache %llx, model %llx", reg,
			 (unsigned long long)accessor[reg].read(&vcpu),
			 (unsigned long long)model.value[reg]);
	}
}

static void cache_write(unsigned reg)
{
	if (reg < REG_GPR_COUNT)
		gpr_write_raw(&vcpu, reg, model.value[reg]);
	else if (is_segment(reg))
		segment_write(&vcpu, (enum segment_index)(reg - REG_SEGMENTS),
			      &model.segments[reg - REG_SEGMENTS]);
	else if (reg == REG_GDTR)
		gdtr_write(&vcpu, model.tables[0]);
	else if (reg == REG_IDTR)
		idtr_write(&vcpu, model.tables[1]);
	else if (reg == REG_PDPTR)
		pdptr_write(&vcpu, model.pdptr);
	else
		accessor[reg].write(&vcpu, model.value[reg]);
}

static bool is_read_only(unsigned reg)
{
	return reg == REG_EXIT_INFO_1 || reg == REG_EXIT_INFO_2 ||
	       (reg == REG_PDPTR && hardware_pdptr(0) != NULL);
}

/* While the guest runs it changes what it likes; each exit has its own information. */
static void guest_runs(void)
{
	for (unsigned i = 0; i < 8; i++) {
		unsigned reg = (unsigned)rand() % REG_COUNT;

		/* R16-R31 are nobody's */
		if ((reg > REG_R15 && reg < REG_GPR_COUNT) ||
		    (reg == REG_PDPTR && hardware_pdptr(0) != NULL))
			continue;
		model_change(reg, hardware_owned(reg));
		hardware_set(reg);
	}
}

static void model_start(void)
{
	vcpu.regs.available = BITS64(REG_COUNT - 1, 0);
	for (unsigned reg = 0; reg < REG_COUNT; reg++) {
		model_change(reg, UINT64_MAX);
		if (is_read_only(reg))
			hardware_set(reg);
		else
			cache_write(reg);
	}
	hardware_run(false, guest_runs);
}

static void model_step(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned reg = (unsigned)rand() % REG_COUNT;

		switch (rand() % 8) {
		case 0:
			hardware_run(rand() % 4 == 0, guest_runs);
			break;
		case 1:
		case 2:
		case 3:
			if (is_read_only(reg))
				break;
			model_change(reg, UINT64_MAX);
			cache_write(reg);
			break;
		default:
			model_compare(reg);
			break;
		}
		assert_int_equal(vcpu.regs.dirty & ~vcpu.regs.available, 0);
	}
}

#endif
