/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's registers as handlers see them: a cache over what the hardware keeps, filled on demand.
 *
 * Two bitmaps. available: the value here is the guest's. dirty: it has changed here and must be stored before the
 * next entry. available = 0, dirty = 1 is invalid. Each exit, also a failed entry, clears the lazy registers'
 * available bits; each entry stores the dirty ones and only then clears their bits. docs/registers.md has a picture.
 *
 * R16-R31 (APX) have their places, are always available, and keep what is written to them: XCR0.APX is not offered,
 * so that no guest has them in the CPU.
 */
#ifndef CORE_REGS_H
#define CORE_REGS_H

#include "arch/x86/cr.h"
#include "arch/x86/segment.h"

struct vcpu;

enum reg {
	REG_RAX = 0,
	REG_RCX = 1,
	REG_RDX = 2,
	REG_RBX = 3,
	REG_RSP = 4,
	REG_RBP = 5,
	REG_RSI = 6,
	REG_RDI = 7,
	REG_R8 = 8,
	REG_R15 = 15,
	REG_GPR_COUNT = 32,
	REG_RIP = REG_GPR_COUNT,
	REG_RFLAGS,
	REG_CR0,
	REG_CR2,
	REG_CR3,
	REG_ERAPS = REG_CR3, /* a CR3 write also clears the return predictor */
	REG_CR4,
	REG_EFER,
	REG_DR6,
	REG_DR7,
	REG_PDPTR,
	REG_SSP,	      /* shadow-stack pointer */
	REG_INTERRUPT_SHADOW, /* STI and MOV SS blocking */
	REG_NMI_BLOCKED,      /* an NMI was delivered, and no IRET since */
	REG_EXIT_INFO_1,      /* exit qualification, EXITINFO1; never dirty */
	REG_EXIT_INFO_2,      /* guest-linear address, EXITINFO2; never dirty */
	REG_SEGMENTS,	      /* the first of SEGMENT_COUNT, in the order of enum segment_index */
	REG_GDTR = REG_SEGMENTS + SEGMENT_COUNT,
	REG_IDTR,
	REG_COUNT,
};

_Static_assert(REG_COUNT <= 64, "the bitmaps have 64 bits");

#define REG_BIT(reg)	  BIT64(reg)
#define REGS_SEGMENT_BITS BITS64(REG_SEGMENTS + SEGMENT_COUNT - 1, REG_SEGMENTS)
/* What an exit leaves in the VMCS or VMCB: not available until fetched. Other registers are saved by the exit stub. */
#define REGS_LAZY	  (REG_BIT(REG_RSP) | BITS64(REG_COUNT - 1, REG_RIP))

#define SHADOW_STI	  BIT32(0)
#define SHADOW_MOV_SS	  BIT32(1)

struct regs {
	uint64_t gpr[REG_GPR_COUNT];
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer, dr6, dr7; /* as the guest sees them */
	uint64_t pdptr[4];
	uint64_t ssp;
	struct segment segments[SEGMENT_COUNT];
	struct table_register gdtr, idtr;
	uint32_t interrupt_shadow;
	bool nmi_blocked;
	uint64_t exit_info[2];
	uint64_t available;
	uint64_t dirty;
	/* Bits that the guest changes without an exit; the others are right here at any time. Set by the back end. */
	uint64_t cr0_guest_owned, cr4_guest_owned;
};

/* --- the back end's side --- */

/* After every exit, also a failed entry: the hardware's copies count again. */
static inline void regs_forget_lazy(struct regs *regs)
{
	regs->available &= ~REGS_LAZY;
}

/* Fill one register from the hardware's copy. Called by the accessors, defined through the vendor seam. */
void regs_fetch(struct vcpu *vcpu, enum reg reg);

/* Before dirty registers are stored: nothing may be dirty that is not available. Panics. */
void regs_check(const struct regs *regs);

/* --- handlers' side: each returns or sets the guest's value --- */

struct regs *vcpu_regs(struct vcpu *vcpu);

static inline bool regs_is_available(const struct regs *regs, enum reg reg)
{
	return (regs->available & REG_BIT(reg)) != 0;
}

static inline void regs_mark_available(struct regs *regs, enum reg reg)
{
	regs->available |= REG_BIT(reg);
}

static inline void regs_mark_dirty(struct regs *regs, enum reg reg)
{
	regs->available |= REG_BIT(reg);
	regs->dirty |= REG_BIT(reg);
}

/*
 * The GPRs that the exit stub has saved, all but RSP: always available, always loaded again. For handlers whose operands
 * the architecture fixes (CPUID, RDMSR); the whole register.
 */
static inline uint64_t regs_fixed_read(const struct regs *regs, enum reg reg)
{
	return regs->gpr[reg];
}

static inline void regs_fixed_write(struct regs *regs, enum reg reg, uint64_t value)
{
	regs->gpr[reg] = value;
}

/* Whole 64-bit register, whatever the mode: for saving and restoring state. An index that is no GPR panics. */
uint64_t gpr_read_raw(struct vcpu *vcpu, unsigned index);
void gpr_write_raw(struct vcpu *vcpu, unsigned index, uint64_t value);
/* As an instruction sees it: 32 bits outside 64-bit mode (a write leaves the upper half zero there). */
uint64_t gpr_read(struct vcpu *vcpu, unsigned index);
void gpr_write(struct vcpu *vcpu, unsigned index, uint64_t value);

uint64_t rip_read(struct vcpu *vcpu);
void rip_write(struct vcpu *vcpu, uint64_t value);
uint64_t rflags_read(struct vcpu *vcpu);
void rflags_write(struct vcpu *vcpu, uint64_t value);
/*
 * CR0 or CR4 with all bits outside `mask` as zero. The control structure is read only if the guest owns one of the bits
 * asked for.
 */
uint64_t cr0_read_bits(struct vcpu *vcpu, uint64_t mask);
uint64_t cr4_read_bits(struct vcpu *vcpu, uint64_t mask);
uint64_t cr0_read(struct vcpu *vcpu);
void cr0_write(struct vcpu *vcpu, uint64_t value);
uint64_t cr2_read(struct vcpu *vcpu);
void cr2_write(struct vcpu *vcpu, uint64_t value);
uint64_t cr3_read(struct vcpu *vcpu);
void cr3_write(struct vcpu *vcpu, uint64_t value);
uint64_t cr4_read(struct vcpu *vcpu);
void cr4_write(struct vcpu *vcpu, uint64_t value);
uint64_t efer_read(struct vcpu *vcpu);
void efer_write(struct vcpu *vcpu, uint64_t value);
uint64_t dr6_read(struct vcpu *vcpu);
void dr6_write(struct vcpu *vcpu, uint64_t value);
uint64_t dr7_read(struct vcpu *vcpu);
void dr7_write(struct vcpu *vcpu, uint64_t value);
const uint64_t *pdptr_read(struct vcpu *vcpu);
void pdptr_write(struct vcpu *vcpu, const uint64_t pdptr[4]);
uint64_t ssp_read(struct vcpu *vcpu);
void ssp_write(struct vcpu *vcpu, uint64_t value);
uint32_t interrupt_shadow_read(struct vcpu *vcpu);
void interrupt_shadow_write(struct vcpu *vcpu, uint32_t value);
bool nmi_blocked_read(struct vcpu *vcpu);
void nmi_blocked_write(struct vcpu *vcpu, bool value);
/* Of the last exit: 1, exit qualification or EXITINFO1; 2, guest-linear address or EXITINFO2. */
uint64_t exit_info_read(struct vcpu *vcpu, unsigned number);
const struct segment *segment_read(struct vcpu *vcpu, enum segment_index index);
void segment_write(struct vcpu *vcpu, enum segment_index index, const struct segment *segment);
struct table_register gdtr_read(struct vcpu *vcpu);
void gdtr_write(struct vcpu *vcpu, struct table_register value);
struct table_register idtr_read(struct vcpu *vcpu);
void idtr_write(struct vcpu *vcpu, struct table_register value);

/* Current privilege level: SS.DPL (SDM: "Guest Register State"); 3 in virtual-8086 mode follows from it. */
unsigned cpl_read(struct vcpu *vcpu);
/* EFER.LMA and CS.L. */
bool mode_is_64bit(struct vcpu *vcpu);
/* Default code size in bytes: 2, 4 or 8 (64-bit mode). */
unsigned mode_code_bytes(struct vcpu *vcpu);

#endif
