/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/guest_segment.h"

#include "mm/gva_walk.h"

#define TYPE_WRITABLE	 UINT32_C(0x02) /* of data */
#define TYPE_READABLE	 UINT32_C(0x02) /* of code */
#define TYPE_EXPAND_DOWN UINT32_C(0x04) /* of data */

/* SDM: "Type Checking". In real mode nobody asks, but the cached rights are those of writable data then. */
static bool type_allows(const struct segment *segment, unsigned access)
{
	if ((segment->rights & SEGMENT_UNUSABLE) != 0)
		return false;
	if ((segment->rights & SEGMENT_TYPE_CODE) != 0)
		return (access & ACCESS_WRITE) == 0 && (segment->rights & TYPE_READABLE) != 0;
	return (access & ACCESS_WRITE) == 0 || (segment->rights & TYPE_WRITABLE) != 0;
}

static bool limit_allows(const struct segment *segment, uint64_t first, uint64_t last)
{
	uint64_t top = (segment->rights & SEGMENT_DB) != 0 ? UINT32_MAX : UINT16_MAX;

	if ((segment->rights & (SEGMENT_TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN)
		return first > segment->limit && last <= top;
	return last <= segment->limit;
}

static bool is_aligned(struct vcpu *vcpu, uint64_t address, unsigned alignment)
{
	if ((address & (alignment - 1)) == 0)
		return true;
	return (rflags_read(vcpu) & RFLAGS_AC) == 0 || (cr0_read(vcpu) & CR0_AM) == 0 ||
	       cpl_read(vcpu) != 3;
}

/* In 64-bit mode only FS and GS have a base, and no segment a limit. */
static bool address_64bit(struct vcpu *vcpu, enum segment_index index, uint64_t offset,
			  unsigned bytes, gva_t *gva)
{
	unsigned bits = (cr4_read(vcpu) & CR4_LA57) != 0 ? 57 : 48;

	if (index == SEGMENT_FS || index == SEGMENT_GS)
		offset += segment_read(vcpu, index)->base;
	*gva = (gva_t){ offset };
	return is_canonical(offset, bits) && is_canonical(offset + bytes - 1, bits);
}

static bool address_in_segment(struct vcpu *vcpu, enum segment_index index, uint64_t offset,
			       unsigned bytes, unsigned access, gva_t *gva)
{
	const struct segment *segment = segment_read(vcpu, index);

	*gva = (gva_t){ (uint32_t)(segment->base + offset) };
	return type_allows(segment, access) && limit_allows(segment, offset, offset + bytes - 1);
}

enum guest_segment_fault guest_linear(struct vcpu *vcpu, enum segment_index segment,
				      uint64_t offset, unsigned bytes, unsigned access,
				      unsigned alignment, gva_t *gva)
{
	bool good = mode_is_64bit(vcpu)
			    ? address_64bit(vcpu, segment, offset, bytes, gva)
			    : address_in_segment(vcpu, segment, offset, bytes, access, gva);

	if (!good)
		return segment == SEGMENT_SS ? GUEST_SEGMENT_SS : GUEST_SEGMENT_GP;
	return is_aligned(vcpu, gva->v, alignment) ? GUEST_SEGMENT_GOOD : GUEST_SEGMENT_AC;
}
