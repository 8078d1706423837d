/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/xsave.h"

#include "arch/x86/cr.h"

/* All of these bits or none. */
static bool is_together(uint64_t xcr0, uint64_t bits)
{
	return (xcr0 & bits) == 0 || (xcr0 & bits) == bits;
}

bool xcr0_is_legal(uint64_t xcr0, const struct x86_limits *limits)
{
	if ((xcr0 & ~limits->xcr0) != 0 || (xcr0 & XCR0_X87) == 0)
		return false;
	if ((xcr0 & XCR0_AVX) != 0 && (xcr0 & XCR0_SSE) == 0)
		return false;
	if ((xcr0 & XCR0_AVX512) != 0 && (xcr0 & XCR0_AVX) == 0)
		return false;
	return is_together(xcr0, XCR0_AVX512) && is_together(xcr0, XCR0_MPX) &&
	       is_together(xcr0, XCR0_AMX);
}

uint32_t xsave_bytes(uint64_t xcr0, const struct x86_limits *limits)
{
	uint32_t bytes = XSAVE_LEGACY_BYTES;

	for (unsigned i = 2; i < X86_XSAVE_COMPONENTS; i++) {
		if ((xcr0 & BIT64(i)) != 0 && limits->xsave_end[i] > bytes)
			bytes = limits->xsave_end[i];
	}
	return bytes;
}
