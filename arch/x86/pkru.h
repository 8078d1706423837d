/* SPDX-License-Identifier: BSD-2-Clause */
/* Protection keys for user pages. SDM: "Protection Keys". */
#ifndef ARCH_X86_PKRU_H
#define ARCH_X86_PKRU_H

#include <stdint.h>

/* #UD unless CR4.PKE is set, in the host too. */
static inline uint32_t read_pkru(void)
{
	uint32_t low, high;

	asm volatile("rdpkru" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

#endif
