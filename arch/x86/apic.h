/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The local APIC: register offsets, the fields of the interrupt command register, and sending one interrupt without
 * disturbing who else uses the APIC. SDM: "Advanced Programmable Interrupt Controller (APIC)".
 */
#ifndef ARCH_X86_APIC_H
#define ARCH_X86_APIC_H

#include "arch/x86/bits.h"
#include "arch/x86/msr.h"

#define APIC_ID		     0x20u
#define APIC_VERSION	     0x30u
#define APIC_TPR	     0x80u
#define APIC_EOI	     0xb0u
#define APIC_LDR	     0xd0u
#define APIC_DFR	     0xe0u
#define APIC_SVR	     0xf0u
#define APIC_ISR	     0x100u
#define APIC_IRR	     0x200u
#define APIC_ESR	     0x280u
#define APIC_LVT_CMCI	     0x2f0u
#define APIC_ICR_LOW	     0x300u
#define APIC_ICR_HIGH	     0x310u
#define APIC_LVT_TIMER	     0x320u
#define APIC_LVT_THERMAL     0x330u
#define APIC_LVT_PERF	     0x340u
#define APIC_LVT_LINT0	     0x350u
#define APIC_LVT_LINT1	     0x360u
#define APIC_LVT_ERROR	     0x370u
#define APIC_TIMER_INITIAL   0x380u
#define APIC_TIMER_DIVIDE    0x3e0u

/* Vectors below are exceptions' as well, and no handler could tell. */
#define APIC_FIRST_TAKEN     32u
#define APIC_SVR_RESET	     0xffu
#define APIC_SVR_ENABLE	     BIT32(8)
#define APIC_LVT_MASKED	     BIT32(16)
#define APIC_DFR_FLAT	     0xffffffffu

#define ICR_VECTOR	     UINT32_C(0xff)
#define ICR_MODE	     UINT32_C(0x700)
#define ICR_MODE_FIXED	     UINT32_C(0x000)
#define ICR_MODE_NMI	     UINT32_C(0x400)
#define ICR_MODE_INIT	     UINT32_C(0x500)
#define ICR_MODE_STARTUP     UINT32_C(0x600)
#define ICR_MODE_EXTINT	     UINT32_C(0x700) /* in LVT entries */
#define ICR_LOGICAL	     BIT32(11)
#define ICR_PENDING	     BIT32(12)
#define ICR_ASSERT	     BIT32(14)
#define ICR_LEVEL	     BIT32(15)
#define ICR_SHORTHAND	     UINT32_C(0xc0000)
#define ICR_SHORTHAND_NONE   UINT32_C(0x00000)
#define ICR_SHORTHAND_SELF   UINT32_C(0x40000)
#define ICR_SHORTHAND_ALL    UINT32_C(0x80000)
#define ICR_SHORTHAND_OTHERS UINT32_C(0xc0000)

enum apic_mode { APIC_DISABLED, APIC_XAPIC, APIC_X2APIC };

static inline enum apic_mode apic_mode(uint64_t apic_base)
{
	if ((apic_base & APIC_BASE_EN) == 0)
		return APIC_DISABLED;
	return (apic_base & APIC_BASE_EXTD) != 0 ? APIC_X2APIC : APIC_XAPIC;
}

/* xAPIC registers at `page` (mapped uncached). */
uint32_t apic_read(volatile uint8_t *page, uint32_t reg);
void apic_write(volatile uint8_t *page, uint32_t reg, uint32_t value);

/*
 * Send an NMI to the CPU with this physical APIC ID. In xAPIC mode waits for an earlier command to be accepted and
 * puts ICR's high half back: the guest between its two writes must not notice. An APIC that is off is on meanwhile:
 * nothing of its state outlives being off anyway. SDM: "Local APIC State After It Has Been Software Disabled" and
 * "Enabling or Disabling the Local APIC".
 */
void apic_send_nmi(uint64_t apic_base, volatile uint8_t *page, uint32_t apic_id);

/* The same for anything else: `low` is the ICR's low half, without the destination. */
void apic_send(uint64_t apic_base, volatile uint8_t *page, uint32_t apic_id, uint32_t low);

/*
 * Put the registers of this CPU's APIC into their state after INIT, but for what is pending.
 * SDM: "Local APIC State After an INIT Reset".
 */
void apic_reset(uint64_t apic_base, volatile uint8_t *page);

/*
 * After apic_reset(): forget what is pending. Software can do that only by taking it: `take` lets it come, at least one
 * interrupt, and its handler calls apic_end_interrupt(). Only vectors from APIC_FIRST_TAKEN on come.
 */
void apic_drop_pending(uint64_t apic_base, volatile uint8_t *page, void (*take)(void));

/* EOI, if this interrupt is in service: a spurious one is not. */
void apic_end_interrupt(uint64_t apic_base, volatile uint8_t *page, uint8_t vector);

#endif
