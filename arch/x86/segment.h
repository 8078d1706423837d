/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A segment register with its hidden part, in one form for both vendors: the access rights are those of the
 * VMCS (SDM: "Guest Register State"): descriptor bits 40-47 and 52-55 as bits 0-7 and 12-15, bit 16 unusable.
 */
#ifndef ARCH_X86_SEGMENT_H
#define ARCH_X86_SEGMENT_H

#include "arch/x86/bits.h"

struct segment {
	uint64_t base;
	uint32_t limit; /* in bytes, already expanded by the granularity bit */
	uint32_t rights;
	uint16_t selector;
};

struct table_register {
	uint64_t base;
	uint16_t limit;
};

enum segment_index {
	SEGMENT_ES = 0,
	SEGMENT_CS = 1,
	SEGMENT_SS = 2,
	SEGMENT_DS = 3,
	SEGMENT_FS = 4,
	SEGMENT_GS = 5,
	SEGMENT_LDTR = 6,
	SEGMENT_TR = 7,
	SEGMENT_COUNT = 8,
};

#define SEGMENT_TYPE		UINT32_C(0x0f)
#define SEGMENT_TYPE_ACCESSED	UINT32_C(0x01)
#define SEGMENT_TYPE_CODE	UINT32_C(0x08) /* of a code or data segment */
#define SEGMENT_S		BIT32(4)       /* code or data, not system */
#define SEGMENT_DPL_SHIFT	5
#define SEGMENT_DPL		UINT32_C(0x60)
#define SEGMENT_P		BIT32(7)
#define SEGMENT_AVL		BIT32(12)
#define SEGMENT_L		BIT32(13)
#define SEGMENT_DB		BIT32(14)
#define SEGMENT_G		BIT32(15)
#define SEGMENT_UNUSABLE	BIT32(16)

#define SEGMENT_TYPE_TSS16_BUSY 0x3u
#define SEGMENT_TYPE_LDT	0x2u
#define SEGMENT_TYPE_TSS_BUSY	0xbu /* 32-bit outside IA-32e mode, 64-bit in it */

#define SELECTOR_RPL		UINT16_C(3)
#define SELECTOR_TI		UINT16_C(4)

/*
 * Read the hidden part of `selector` from the descriptor at `descriptor` (8 bytes, 16 for a system segment in
 * IA-32e mode). A null selector gives an unusable segment. SDM: "Segment Descriptors".
 */
struct segment segment_from_descriptor(uint16_t selector, const uint64_t *descriptor,
				       bool system_64bit);

static inline unsigned segment_dpl(const struct segment *segment)
{
	return (segment->rights & SEGMENT_DPL) >> SEGMENT_DPL_SHIFT;
}

#endif
