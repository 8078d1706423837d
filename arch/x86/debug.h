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

/*
 * Pure: which of the breakpoints that DR7 enables an access to data meets, as bits of DR6. Addresses are linear. SDM: "Debug
 * Control Register (DR7)", "Breakpoint Field Recognition".
 */
uint64_t debug_data_met(uint64_t dr7, const uint64_t address[DEBUG_ADDRESSES], uint64_t linear,
			unsigned bytes, bool write);

#endif
