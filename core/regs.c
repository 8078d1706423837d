/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/regs.h"

#include "core/panic.h"
#include "core/vcpu.h"
#include "core/vendor.h"

struct regs *vcpu_regs(struct vcpu *vcpu)
{
	return &vcpu->regs;
}

void regs_fetch(struct vcpu *vcpu, enum reg reg)
{
	HV_ASSERT((vcpu->regs.dirty & REG_BIT(reg)) == 0);
	vendor->regs_fetch(vcpu, reg);
	regs_mark_available(&vcpu->regs, reg);
}

void regs_check(const struct regs *regs)
{
	HV_ASSERT((regs->dirty & ~regs->available) == 0);
}

static inline void need(struct vcpu *vcpu, enum reg reg)
{
	if (UNLIKELY(!regs_is_available(&vcpu->regs, reg)))
		regs_fetch(vcpu, reg);
}

uint64_t gpr_read_raw(struct vcpu *vcpu, unsigned index)
{
	HV_ASSERT(index < REG_GPR_COUNT);
	need(vcpu, (enum reg)index);
	return vcpu->regs.gpr[index];
}

void gpr_write_raw(struct vcpu *vcpu, unsigned index, uint64_t value)
{
	HV_ASSERT(index < REG_GPR_COUNT);
	vcpu->regs.gpr[index] = value;
	regs_mark_dirty(&vcpu->regs, (enum reg)index);
}

uint64_t gpr_read(struct vcpu *vcpu, unsigned index)
{
	uint64_t value = gpr_read_raw(vcpu, index);

	return mode_is_64bit(vcpu) ? value : (uint32_t)value;
}

void gpr_write(struct vcpu *vcpu, unsigned index, uint64_t value)
{
	gpr_write_raw(vcpu, index, mode_is_64bit(vcpu) ? value : (uint32_t)value);
}

/* The registers that are one value in the cache: a reader and a writer each. */
#define DEFINE_ACCESSORS(type, name, field, reg)         \
	type name##_read(struct vcpu *vcpu)              \
	{                                                \
		need(vcpu, reg);                         \
		return vcpu->regs.field;                 \
	}                                                \
	void name##_write(struct vcpu *vcpu, type value) \
	{                                                \
		vcpu->regs.field = value;                \
		regs_mark_dirty(&vcpu->regs, reg);       \
	}

DEFINE_ACCESSORS(uint64_t, rip, rip, REG_RIP)
DEFINE_ACCESSORS(uint64_t, rflags, rflags, REG_RFLAGS)
DEFINE_ACCESSORS(uint64_t, cr0, cr0, REG_CR0)
DEFINE_ACCESSORS(uint64_t, cr2, cr2, REG_CR2)
DEFINE_ACCESSORS(uint64_t, cr4, cr4, REG_CR4)
DEFINE_ACCESSORS(uint64_t, efer, efer, REG_EFER)
DEFINE_ACCESSORS(uint64_t, dr6, dr6, REG_DR6)
DEFINE_ACCESSORS(uint64_t, dr7, dr7, REG_DR7)
DEFINE_ACCESSORS(uint64_t, ssp, ssp, REG_SSP)
DEFINE_ACCESSORS(uint32_t, interrupt_shadow, interrupt_shadow, REG_INTERRUPT_SHADOW)
DEFINE_ACCESSORS(bool, nmi_blocked, nmi_blocked, REG_NMI_BLOCKED)
DEFINE_ACCESSORS(struct table_register, gdtr, gdtr, REG_GDTR)
DEFINE_ACCESSORS(struct table_register, idtr, idtr, REG_IDTR)

uint64_t cr3_read(struct vcpu *vcpu)
{
	need(vcpu, REG_CR3);
	return vcpu->regs.cr3;
}

/* PDPTRs that are read from memory (SVM) are now other ones; those that are registers (VMX) are fetched unchanged. */
void cr3_write(struct vcpu *vcpu, uint64_t value)
{
	vcpu->regs.cr3 = value;
	regs_mark_dirty(&vcpu->regs, REG_CR3);
	if ((vcpu->regs.dirty & REG_BIT(REG_PDPTR)) == 0)
		vcpu->regs.available &= ~REG_BIT(REG_PDPTR);
}

uint64_t cr0_read_bits(struct vcpu *vcpu, uint64_t mask)
{
	if ((mask & vcpu->regs.cr0_guest_owned) != 0)
		need(vcpu, REG_CR0);
	return vcpu->regs.cr0 & mask;
}

uint64_t cr4_read_bits(struct vcpu *vcpu, uint64_t mask)
{
	if ((mask & vcpu->regs.cr4_guest_owned) != 0)
		need(vcpu, REG_CR4);
	return vcpu->regs.cr4 & mask;
}

uint64_t exit_info_read(struct vcpu *vcpu, unsigned number)
{
	HV_ASSERT(number == 1 || number == 2);
	need(vcpu, number == 1 ? REG_EXIT_INFO_1 : REG_EXIT_INFO_2);
	return vcpu->regs.exit_info[number - 1];
}

const uint64_t *pdptr_read(struct vcpu *vcpu)
{
	need(vcpu, REG_PDPTR);
	return vcpu->regs.pdptr;
}

void pdptr_write(struct vcpu *vcpu, const uint64_t pdptr[4])
{
	for (unsigned i = 0; i < 4; i++)
		vcpu->regs.pdptr[i] = pdptr[i];
	regs_mark_dirty(&vcpu->regs, REG_PDPTR);
}

const struct segment *segment_read(struct vcpu *vcpu, enum segment_index index)
{
	HV_ASSERT((unsigned)index < SEGMENT_COUNT);
	need(vcpu, (enum reg)(REG_SEGMENTS + (unsigned)index));
	return &vcpu->regs.segments[index];
}

void segment_write(struct vcpu *vcpu, enum segment_index index, const struct segment *segment)
{
	HV_ASSERT((unsigned)index < SEGMENT_COUNT);
	vcpu->regs.segments[index] = *segment;
	regs_mark_dirty(&vcpu->regs, (enum reg)(REG_SEGMENTS + (unsigned)index));
}

unsigned cpl_read(struct vcpu *vcpu)
{
	return segment_dpl(segment_read(vcpu, SEGMENT_SS));
}

bool mode_is_64bit(struct vcpu *vcpu)
{
	return (efer_read(vcpu) & EFER_LMA) != 0 &&
	       (segment_read(vcpu, SEGMENT_CS)->rights & SEGMENT_L) != 0;
}

unsigned mode_code_bytes(struct vcpu *vcpu)
{
	if (mode_is_64bit(vcpu))
		return 8;
	if ((rflags_read(vcpu) & RFLAGS_VM) != 0 && (cr0_read(vcpu) & CR0_PE) != 0)
		return 2;
	/* In real mode too: CS keeps its size until it is loaded from a descriptor ("unreal mode"). */
	return (segment_read(vcpu, SEGMENT_CS)->rights & SEGMENT_DB) != 0 ? 4 : 2;
}
