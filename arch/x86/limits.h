/* SPDX-License-Identifier: BSD-2-Clause */
/* Which bits of the control registers a CPU has, by CPUID: all others are reserved. */
#ifndef ARCH_X86_LIMITS_H
#define ARCH_X86_LIMITS_H

#include "arch/x86/bits.h"

#define X86_XSAVE_COMPONENTS 32u

/* What a guest may set: without CR4.VMXE, CR4.FRED and EFER.SVME, which are not its own. */
struct x86_limits {
	uint64_t cr4;
	uint64_t efer;
	uint64_t xcr0;				  /* 0: no XSAVE; XCR0.APX is not in it */
	uint32_t xsave_end[X86_XSAVE_COMPONENTS]; /* in a standard area; 0: there is none */
	uint8_t maxphyaddr;
	uint8_t canonical_bits; /* 48 or 57: what the CPU can, whatever CR4.LA57 says */
	bool lam;		/* CR3.LAM_U48 and LAM_U57 */
};

/* Of the CPU that this runs on. */
void x86_limits_read(struct x86_limits *limits);

uint64_t x86_cr4_allowed(void);

#endif
