/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An I/O APIC: two registers in memory, by which all others are reached. SDM: "I/O APIC"; Intel 82093AA: "Register
 * Description".
 */
#ifndef ARCH_X86_IO_APIC_H
#define ARCH_X86_IO_APIC_H

#include "arch/x86/bits.h"

#define IO_APIC_SELECT	     0x00u /* which register the window shows, in its low byte */
#define IO_APIC_WINDOW	     0x10u
#define IO_APIC_BYTES	     0x1000u /* what belongs to one, as it is mapped */

/* Index of the low half of a pin's redirection entry; the high half follows. */
#define IO_APIC_ENTRY(pin)   (0x10u + 2u * (pin))

/* Redirection entry. */
#define REDIRECT_VECTOR	     UINT64_C(0xff)
#define REDIRECT_MODE	     BITS64(10, 8)
#define REDIRECT_MODE_LOWEST (UINT64_C(1) << 8)
#define REDIRECT_MODE_NMI    (UINT64_C(4) << 8)
#define REDIRECT_LOGICAL     BIT64(11)
#define REDIRECT_PENDING     BIT64(12) /* read only */
#define REDIRECT_REMOTE_IRR  BIT64(14) /* read only */
#define REDIRECT_LEVEL	     BIT64(15)
#define REDIRECT_MASKED	     BIT64(16)
#define REDIRECT_ID_SHIFT    56u

/* A register by its index; the select register stays at that index. `page` is mapped uncached. */
uint32_t io_apic_read(volatile uint8_t *page, uint8_t index);
void io_apic_write(volatile uint8_t *page, uint8_t index, uint32_t value);

/* An access to the page as it is. */
uint64_t io_apic_load(volatile uint8_t *page, uint32_t offset, unsigned bytes);
void io_apic_store(volatile uint8_t *page, uint32_t offset, unsigned bytes, uint64_t value);

#endif
