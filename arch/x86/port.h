/* SPDX-License-Identifier: BSD-2-Clause */
/* An access to an I/O port whose size is known only when it happens. */
#ifndef ARCH_X86_PORT_H
#define ARCH_X86_PORT_H

#include "arch/x86/insn.h"

/* One access of 1, 2 or 4 `bytes`; the bits above it are 0. SDM: "IN—Input From Port". */
static inline uint32_t port_in(uint16_t port, unsigned bytes)
{
	switch (bytes) {
	case 1:
		return inb(port);
	case 2:
		return inw(port);
	default:
		return inl(port);
	}
}

/* The low `bytes` bytes of `value`, in one access. SDM: "OUT—Output to Port". */
static inline void port_out(uint16_t port, unsigned bytes, uint32_t value)
{
	switch (bytes) {
	case 1:
		outb(port, (uint8_t)value);
		break;
	case 2:
		outw(port, (uint16_t)value);
		break;
	default:
		outl(port, value);
		break;
	}
}

#endif
