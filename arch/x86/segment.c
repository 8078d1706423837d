/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/segment.h"

struct segment segment_from_descriptor(uint16_t selector, const uint64_t *descriptor,
				       bool system_64bit)
{
	struct segment segment = { .selector = selector, .rights = SEGMENT_UNUSABLE };
	uint64_t low;

	if ((selector & ~SELECTOR_RPL) == 0)
		return segment;
	low = descriptor[0];
	segment.base = field_get(BITS64(39, 16), low) | field_get(BITS64(63, 56), low) << 24;
	segment.limit =
		(uint32_t)(field_get(BITS64(15, 0), low) | field_get(BITS64(51, 48), low) << 16);
	segment.rights =
		(uint32_t)(field_get(BITS64(47, 40), low) | field_get(BITS64(55, 52), low) << 12);
	if ((segment.rights & SEGMENT_G) != 0)
		segment.limit = segment.limit << 12 | 0xfff;
	if ((segment.rights & SEGMENT_S) == 0 && system_64bit)
		segment.base |= descriptor[1] << 32;
	return segment;
}
