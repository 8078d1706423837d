/* SPDX-License-Identifier: BSD-2-Clause */
/* Breakpoints by the debug registers. SDM: "Debug Registers". */
#ifndef ARCH_X86_DEBUG_H
#define ARCH_X86_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"

#define DEBUG_ADDRESSES 4u

/* The local and global enables of all four breakpoints. */
#define DR7_ENABLES	BITS64(7, 0)

/*
 * Pure: whether DR7 enables a breakpoint on data or on a port. Only the CPU meets it: no instruction that accesses
 * memory may be executed in its place.
 */
bool debug_has_data_breakpoint(uint64_t dr7);

/* Of an instruction its first byte counts, unless RF is set; of a port: with CR4.DE set. */
enum debug_touch { DEBUG_TOUCH_FETCH, DEBUG_TOUCH_READ, DEBUG_TOUCH_WRITE, DEBUG_TOUCH_PORT };

/*
 * Pure: which of the breakpoints that DR7 enables an access meets, as bits of DR6. `first` is the linear address, or the
 * port, of the access's first byte. SDM: "Debug Control Register (DR7)", "Breakpoint Field Recognition".
 */
uint64_t debug_met(uint64_t dr7, const uint64_t address[DEBUG_ADDRESSES], enum debug_touch touch,
		   uint64_t first, unsigned bytes);

#endif
