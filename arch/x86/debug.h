/* SPDX-License-Identifier: BSD-2-Clause */
/* Breakpoints by the debug registers. SDM: "Debug Registers". */
#ifndef ARCH_X86_DEBUG_H
#define ARCH_X86_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"

/* The local and global enables of all four breakpoints. */
#define DR7_ENABLES BITS64(7, 0)

/*
 * Pure: whether DR7 enables a breakpoint on data or on a port. Only the CPU meets it: no instruction that accesses
 * memory may be executed in its place.
 */
bool debug_has_data_breakpoint(uint64_t dr7);

#endif
