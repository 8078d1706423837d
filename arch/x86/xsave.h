/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XSAVE area in its standard form, and the two instructions. What they move is live in the CPU: the host never
 * touches it, so that it is the guest's also while the host runs, and so is XCR0. SDM: "Managing State Using the XSAVE
 * Feature Set".
 */
#ifndef ARCH_X86_XSAVE_H
#define ARCH_X86_XSAVE_H

#include "arch/x86/insn.h"
#include "arch/x86/limits.h"

#define XSAVE_MXCSR	   24u
#define XSAVE_MXCSR_MASK   28u
#define XSAVE_HEADER	   512u
#define XSAVE_XSTATE_BV	   512u
#define XSAVE_XCOMP_BV	   520u
#define XSAVE_LEGACY_BYTES 576u		    /* with the header */
#define MXCSR_MASK_DEFAULT UINT32_C(0xffbf) /* where the area says 0 */

/* SDM: "XSETBV", exceptions: which combinations of components a CPU that has them all enables together. */
bool xcr0_is_legal(uint64_t xcr0, const struct x86_limits *limits);

/* Bytes of an area that holds these components. */
uint32_t xsave_bytes(uint64_t xcr0, const struct x86_limits *limits);

/*
 * XSAVE the components in `mask`; the area is 64-byte aligned and zero. XRSTOR them: those without a bit in the area's
 * XSTATE_BV become as after a reset. False: the area is not well formed, and some components may be loaded. FXSAVE and
 * FXRSTOR are for x87 and SSE state where XCR0 is without SSE, as with an OS, or a firmware, that does not use XSAVE.
 */
#ifdef HOST_TEST
__attribute__((weak)) uint64_t xcr0_read(void);
__attribute__((weak)) void fxsave(void *area);
MUST_CHECK __attribute__((weak)) bool fxrstor_safe(const void *area);
__attribute__((weak)) void xsave(void *area, uint64_t mask);
MUST_CHECK __attribute__((weak)) bool xrstor_safe(const void *area, uint64_t mask);
#else
static inline uint64_t xcr0_read(void)
{
	uint32_t low, high;

	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static inline void fxsave(void *area)
{
	asm volatile("fxsave64 (%[area])" : : [area] "r"(area) : "memory");
}

MUST_CHECK static inline bool fxrstor_safe(const void *area)
{
	bool ok = false;

	asm volatile("1: fxrstor64 (%[area])\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : [ok] "+q"(ok)
		     : [area] "r"(area)
		     : "memory");
	return ok;
}

static inline void xsave(void *area, uint64_t mask)
{
	asm volatile("xsave64 (%[area])"
		     :
		     : [area] "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
		     : "memory");
}

MUST_CHECK static inline bool xrstor_safe(const void *area, uint64_t mask)
{
	bool ok = false;

	asm volatile("1: xrstor64 (%[area])\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : [ok] "+q"(ok)
		     : [area] "r"(area), "a"((uint32_t)mask), "d"((uint32_t)(mask >> 32))
		     : "memory");
	return ok;
}
#endif

#endif
