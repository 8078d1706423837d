/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What VM entry demands of guest state and a running CPU may still not have: pure functions. SDM:
 * "Checks on the Guest State Area".
 */
#ifndef ARCH_VMX_GUEST_STATE_H
#define ARCH_VMX_GUEST_STATE_H

#include "arch/x86/segment.h"

/*
 * The segment as the VMCS takes it. Differs where firmware runs with what no VM entry accepts: a
 * null TR (a busy TSS is given), an LDTR that is no LDT, descriptors whose accessed bit was never
 * set, a limit that G contradicts.
 */
struct segment vmx_segment(enum segment_index index, const struct segment *segment,
			   uint64_t rflags);

/*
 * Pending debug exceptions as VM entry wants them with blocking by STI or MOV SS: BS says whether a
 * single step is due. `pending` without such blocking is left alone.
 */
uint64_t vmx_pending_debug(uint64_t pending, uint64_t rflags, uint64_t debugctl,
			   uint32_t interruptibility);

/* The RIP after an instruction. Only 64-bit mode goes on above 4 GiB. */
uint64_t vmx_next_rip(uint64_t rip, unsigned insn_bytes, bool mode_64bit);

#endif
