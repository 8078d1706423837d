/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/apic.h"

#include "arch/x86/insn.h"

#define PENDING_POLLS 100000u
#define TAKE_MAX      512u

uint32_t apic_read(volatile uint8_t *page, uint32_t reg)
{
	return *(volatile uint32_t *)(page + reg);
}

void apic_write(volatile uint8_t *page, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(page + reg) = value;
}

static void wait_accepted(volatile uint8_t *page)
{
	for (uint32_t polls = 0; polls < PENDING_POLLS; polls++) {
		if ((apic_read(page, APIC_ICR_LOW) & ICR_PENDING) == 0)
			return;
		cpu_pause();
	}
}

static void send_xapic(volatile uint8_t *page, uint32_t apic_id, uint32_t low)
{
	uint32_t high;

	wait_accepted(page);
	high = apic_read(page, APIC_ICR_HIGH);
	apic_write(page, APIC_ICR_HIGH, apic_id << 24);
	apic_write(page, APIC_ICR_LOW, low);
	wait_accepted(page);
	apic_write(page, APIC_ICR_HIGH, high);
}

void apic_send(uint64_t apic_base, volatile uint8_t *page, uint32_t apic_id, uint32_t low)
{
	switch (apic_mode(apic_base)) {
	case APIC_DISABLED:
		wrmsr(MSR_APIC_BASE, apic_base | APIC_BASE_EN);
		send_xapic(page, apic_id, low);
		wrmsr(MSR_APIC_BASE, apic_base);
		break;
	case APIC_X2APIC:
		wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | low);
		break;
	case APIC_XAPIC:
		send_xapic(page, apic_id, low);
		break;
	}
}

void apic_send_nmi(uint64_t apic_base, volatile uint8_t *page, uint32_t apic_id)
{
	apic_send(apic_base, page, apic_id, ICR_MODE_NMI | ICR_ASSERT);
}

static void reset_write(bool x2apic, volatile uint8_t *page, uint32_t reg, uint32_t value)
{
	/* A register that this CPU does not have raises #GP in x2APIC mode and does nothing in the page. */
	if (!x2apic)
		apic_write(page, reg, value);
	else if (!wrmsr_safe(MSR_X2APIC_BASE + (reg >> 4), value))
		return;
}

/* A word of the 256 bits of ISR or IRR. */
static uint32_t bits_read(bool x2apic, volatile uint8_t *page, uint32_t reg, unsigned word)
{
	if (x2apic)
		return (uint32_t)rdmsr(MSR_X2APIC_BASE + (reg >> 4) + word);
	return apic_read(page, reg + 16 * word);
}

static bool is_pending(bool x2apic, volatile uint8_t *page)
{
	uint32_t pending = 0;

	for (unsigned word = APIC_FIRST_TAKEN / 32; word < 8; word++)
		pending |= bits_read(x2apic, page, APIC_IRR, word);
	return pending != 0;
}

/*
 * A disabled APIC accepts no more, but it keeps what it has, and that would come when the guest enables it.
 * SDM: "Local APIC State After It Has Been Software Disabled".
 */
void apic_drop_pending(uint64_t apic_base, volatile uint8_t *page, void (*take)(void))
{
	bool x2apic = apic_mode(apic_base) == APIC_X2APIC;

	if (apic_mode(apic_base) == APIC_DISABLED || !is_pending(x2apic, page))
		return;
	reset_write(x2apic, page, APIC_TPR, (APIC_FIRST_TAKEN - 1) & 0xf0);
	for (unsigned count = 0; count < TAKE_MAX && is_pending(x2apic, page); count++) {
		reset_write(x2apic, page, APIC_SVR, APIC_SVR_RESET | APIC_SVR_ENABLE);
		take();
		reset_write(x2apic, page, APIC_SVR, APIC_SVR_RESET);
	}
	reset_write(x2apic, page, APIC_TPR, 0);
	reset_write(x2apic, page, APIC_ESR, 0);
}

void apic_end_interrupt(uint64_t apic_base, volatile uint8_t *page, uint8_t vector)
{
	bool x2apic = apic_mode(apic_base) == APIC_X2APIC;

	if ((bits_read(x2apic, page, APIC_ISR, vector / 32) & BIT32(vector % 32)) != 0)
		reset_write(x2apic, page, APIC_EOI, 0);
}

/* Number of the last LVT entry; the one for CMCI is the seventh. */
#define LVT_CMCI_INDEX 6u
static uint32_t last_lvt(bool x2apic, volatile uint8_t *page)
{
	uint32_t version = x2apic ? (uint32_t)rdmsr(MSR_X2APIC_BASE + (APIC_VERSION >> 4))
				  : apic_read(page, APIC_VERSION);

	return version >> 16 & 0xff;
}

void apic_reset(uint64_t apic_base, volatile uint8_t *page)
{
	static const uint16_t lvt[] = { APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PERF,
					APIC_LVT_LINT0, APIC_LVT_LINT1,	  APIC_LVT_ERROR };
	bool x2apic = apic_mode(apic_base) == APIC_X2APIC;

	if (apic_mode(apic_base) == APIC_DISABLED)
		return;
	for (unsigned i = 0; i < ARRAY_COUNT(lvt); i++)
		reset_write(x2apic, page, lvt[i], APIC_LVT_MASKED);
	if (last_lvt(x2apic, page) >= LVT_CMCI_INDEX)
		reset_write(x2apic, page, APIC_LVT_CMCI, APIC_LVT_MASKED);
	reset_write(x2apic, page, APIC_TIMER_INITIAL, 0);
	reset_write(x2apic, page, APIC_TIMER_DIVIDE, 0);
	reset_write(x2apic, page, APIC_TPR, 0);
	/* Only an EOI takes a bit out of ISR: at most one for each vector. */
	for (unsigned word = 0; word < 8; word++) {
		for (unsigned count = 0; count < 32 && bits_read(x2apic, page, APIC_ISR, word) != 0;
		     count++)
			reset_write(x2apic, page, APIC_EOI, 0);
	}
	if (!x2apic) {
		apic_write(page, APIC_DFR, APIC_DFR_FLAT);
		apic_write(page, APIC_LDR, 0);
	}
	reset_write(x2apic, page, APIC_SVR, APIC_SVR_RESET);
	/* The first write shows what was noted so far, also of the writes above. SDM: "Error Handling". */
	reset_write(x2apic, page, APIC_ESR, 0);
	reset_write(x2apic, page, APIC_ESR, 0);
}
