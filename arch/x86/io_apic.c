/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/io_apic.h"

#include "arch/x86/mmio.h"

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
	return mmio_load(page + offset, bytes);
}

void io_apic_store(volatile uint8_t *page, uint32_t offset, unsigned bytes, uint64_t value)
{
	mmio_store(page + offset, bytes, value);
}
