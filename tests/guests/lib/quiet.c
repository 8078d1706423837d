/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/quiet.h"

#include "tests/guests/lib/probe.h"

enum { PIC_1_MASK = 0x21, PIC_2_MASK = 0xa1, IOAPIC = 0xfec00000, IOAPIC_PINS_MAX = 24 };
enum { IOAPIC_VERSION = 1, IOAPIC_FIRST = 0x10, MASKED = 0x10000, LVT_COUNT = 6 };

static const uint32_t lvt[LVT_COUNT] = { 0x320, 0x330, 0x340, 0x350, 0x360, 0x370 };
static uint32_t saved_lvt[LVT_COUNT], saved_pins[IOAPIC_PINS_MAX], pin_count;
static uint8_t saved_pic[2];

static volatile uint32_t *ioapic(uint32_t reg)
{
	volatile uint32_t *base = (volatile uint32_t *)(UINTN)IOAPIC;

	base[0] = reg;
	return base + 4;
}

void quiet_begin(void)
{
	saved_pic[0] = probe_inb(PIC_1_MASK);
	saved_pic[1] = probe_inb(PIC_2_MASK);
	probe_outb(PIC_1_MASK, 0xff);
	probe_outb(PIC_2_MASK, 0xff);
	pin_count = (*ioapic(IOAPIC_VERSION) >> 16 & 0xff) + 1;
	if (pin_count > IOAPIC_PINS_MAX) /* all ones: there is none */
		pin_count = 0;
	for (uint32_t i = 0; i < pin_count; i++) {
		saved_pins[i] = *ioapic(IOAPIC_FIRST + 2 * i);
		*ioapic(IOAPIC_FIRST + 2 * i) = saved_pins[i] | MASKED;
	}
	for (uint32_t i = 0; i < LVT_COUNT; i++) {
		saved_lvt[i] = probe_apic_read(lvt[i]);
		probe_apic_write(lvt[i], saved_lvt[i] | MASKED);
	}
}

void quiet_end(void)
{
	for (uint32_t i = 0; i < LVT_COUNT; i++)
		probe_apic_write(lvt[i], saved_lvt[i]);
	for (uint32_t i = 0; i < pin_count; i++)
		*ioapic(IOAPIC_FIRST + 2 * i) = saved_pins[i];
	probe_outb(PIC_1_MASK, saved_pic[0]);
	probe_outb(PIC_2_MASK, saved_pic[1]);
}
