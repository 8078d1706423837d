/* SPDX-License-Identifier: BSD-2-Clause */
/* Protection keys for user pages. SDM: "Protection Keys". */
#ifndef ARCH_X86_PKRU_H
#define ARCH_X86_PKRU_H

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"

/* The host runs with CR4.PKE = 0, where the instruction is #UD: switched on for its sake. */
static inline uint32_t read_pkru(void)
{
	uint64_t cr4 = read_cr4();
	uint32_t low, high;

	write_cr4(cr4 | CR4_PKE);
	asm volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
	write_cr4(cr4);
	return low;
}

#endif
