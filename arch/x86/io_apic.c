/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/io_apic.h"

uint32_t io_apic_read(volatile uint8_t *page, uint8_t index)
{
	*(volatile uint32_t *)(page + IO_APIC_SELECT) = index;
	return *(volatile uint32_t *)(page + IO_APIC_WINDOW);
}

void io_apic_write(volatile uint8_t *page, uint8_t index, uint32_t value)
{
	*(volatile uint32_t *)(page + IO_APIC_SELECT) = index;
	*(volatile uint32_t *)(page + IO_APIC_WINDOW) = value;
}

uint64_t io_apic_load(volatile uint8_t *page, uint32_t offset, unsigned bytes)
{
	const volatile void *at = page + offset;

	switch (bytes) {
	case 1:
		return *(const volatile uint8_t *)at;
	case 2:
		return *(const volatile uint16_t *)at;
	case 4:
		return *(const volatile uint32_t *)at;
	default:
		return *(const volatile uint64_t *)at;
	}
}

void io_apic_store(volatile uint8_t *page, uint32_t offset, unsigned bytes, uint64_t value)
{
	volatile void *at = page + offset;

	switch (bytes) {
	case 1:
		*(volatile uint8_t *)at = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)at = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)at = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)at = value;
		break;
	}
}
