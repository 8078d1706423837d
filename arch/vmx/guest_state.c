/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/guest_state.h"

#include "arch/vmx/vmcs.h"
#include "arch/x86/cr.h"
#include "arch/x86/msr.h"

#define RIGHTS_DEFINED UINT32_C(0x1f0ff)
#define TSS_LIMIT_MIN  UINT32_C(0x67)

/* Limit bits 11:0 not all ones: G must be 0; bits 31:20 not all zeros: G must be 1. */
static void fix_granularity(struct segment *segment)
{
	if ((segment->limit & 0xfff) != 0xfff)
		segment->rights &= ~SEGMENT_G;
	if ((segment->limit & 0xfff00000) != 0)
		segment->rights |= SEGMENT_G;
}

static void fix_tr(struct segment *tr)
{
	uint32_t type = tr->rights & SEGMENT_TYPE;

	if ((tr->rights & (SEGMENT_UNUSABLE | SEGMENT_S)) != 0 || (tr->rights & SEGMENT_P) == 0) {
		/*
		 * OVMF has no TSS. Nothing can come of this one: no privilege level below 0 is in
		 * use.
		 */
		tr->base = 0;
		tr->limit = TSS_LIMIT_MIN;
		tr->rights = SEGMENT_P | SEGMENT_TYPE_TSS_BUSY;
		tr->selector &= (uint16_t)~SELECTOR_TI;
		return;
	}
	if (type == 1 || type == 9)
		tr->rights |= 2; /* available: the CPU that runs on it has made it busy */
	tr->selector &= (uint16_t)~SELECTOR_TI;
	fix_granularity(tr);
}

static void fix_ldtr(struct segment *ldtr)
{
	const uint32_t kind = SEGMENT_S | SEGMENT_TYPE | SEGMENT_P;

	if ((ldtr->rights & kind) != (SEGMENT_P | SEGMENT_TYPE_LDT) ||
	    (ldtr->selector & SELECTOR_TI) != 0)
		ldtr->rights |= SEGMENT_UNUSABLE;
	if ((ldtr->rights & SEGMENT_UNUSABLE) != 0) {
		ldtr->selector &= (uint16_t)~SELECTOR_TI;
		return;
	}
	fix_granularity(ldtr);
}

struct segment vmx_segment(enum segment_index index, const struct segment *segment, uint64_t rflags)
{
	struct segment fixed = *segment;

	fixed.rights &= RIGHTS_DEFINED;
	if (index == SEGMENT_TR) {
		fix_tr(&fixed);
		return fixed;
	}
	if (index == SEGMENT_LDTR) {
		fix_ldtr(&fixed);
		return fixed;
	}
	if ((fixed.rights & SEGMENT_UNUSABLE) != 0 || (rflags & RFLAGS_VM) != 0)
		return fixed;
	fixed.rights |= SEGMENT_TYPE_ACCESSED;
	if (index != SEGMENT_FS && index != SEGMENT_GS)
		fixed.base &= UINT32_MAX;
	fix_granularity(&fixed);
	return fixed;
}

uint64_t vmx_pending_debug(uint64_t pending, uint64_t rflags, uint64_t debugctl,
			   uint32_t interruptibility)
{
	if ((interruptibility & INTERRUPTIBILITY_SHADOW) == 0)
		return pending;
	if ((rflags & RFLAGS_TF) != 0 && (debugctl & DEBUGCTL_BTF) == 0)
		return pending | PENDING_DEBUG_BS;
	return pending & ~PENDING_DEBUG_BS;
}

/*
 * Sequential execution does not wrap at 64 KiB in 16-bit code: running over the end of a segment is
 * the limit violation that the next fetch finds.
 */
uint64_t vmx_next_rip(uint64_t rip, unsigned insn_bytes, bool mode_64bit)
{
	uint64_t next = rip + insn_bytes;

	return mode_64bit ? next : (uint32_t)next;
}
