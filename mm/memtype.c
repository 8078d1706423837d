/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm/memtype.h"

#include "mm/addr.h"

#define MTRRCAP_FIX   BIT64(8)
#define DEF_TYPE_TYPE BITS64(7, 0)
#define DEF_TYPE_FE   BIT64(10)
#define DEF_TYPE_E    BIT64(11)
#define RANGE_TYPE    BITS64(7, 0)
#define RANGE_VALID   BIT64(11)

#define FIXED_END     UINT64_C(0x100000)
#define SMRR_ADDRESS  BITS64(31, PAGE_SHIFT)
#define SMRR_END      BIT64(32)

/* Two maps that take more steps than this to compare are not worth it. */
#define COMPARE_STEPS 65536u

bool mtrr_enabled(const struct mtrr_state *mtrr)
{
	return mtrr->def_type & DEF_TYPE_E;
}

static bool fixed_enabled(const struct mtrr_state *mtrr)
{
	return (mtrr->def_type & DEF_TYPE_FE) && (mtrr->cap & MTRRCAP_FIX);
}

/* Reserved encodings cannot be written; should one appear, the strongest ordering is safe. */
static enum memtype decode_type(uint64_t type)
{
	switch (type) {
	case MEMTYPE_WC:
		return MEMTYPE_WC;
	case MEMTYPE_WT:
		return MEMTYPE_WT;
	case MEMTYPE_WP:
		return MEMTYPE_WP;
	case MEMTYPE_WB:
		return MEMTYPE_WB;
	default:
		return MEMTYPE_UC;
	}
}

/* Where the fixed range of an address below 1 MiB ends, and its index: 8 x 64 KiB, 16 x 16 KiB, 64 x 4 KiB. */
static unsigned fixed_index(uint64_t address, uint64_t *end)
{
	uint64_t bytes;
	unsigned index;

	if (address < 0x80000) {
		bytes = 0x10000;
		index = (unsigned)(address / bytes);
	} else if (address < 0xc0000) {
		bytes = 0x4000;
		index = 8 + (unsigned)((address - 0x80000) / bytes);
	} else {
		bytes = 0x1000;
		index = 24 + (unsigned)((address - 0xc0000) / bytes);
	}
	*end = ALIGN_DOWN(address, bytes) + bytes;
	return index;
}

static enum memtype fixed_type(const struct mtrr_state *mtrr, unsigned index)
{
	return decode_type((mtrr->fixed[index / 8] >> (index % 8 * 8)) & RANGE_TYPE);
}

/* SDM: "MTRR Precedences". UC wins, WT wins over WB, all else is undefined and becomes UC. */
static enum memtype overlap_type(enum memtype a, enum memtype b)
{
	if (a == b)
		return a;
	if ((a == MEMTYPE_WT && b == MEMTYPE_WB) || (a == MEMTYPE_WB && b == MEMTYPE_WT))
		return MEMTYPE_WT;
	return MEMTYPE_UC;
}

static void lower(uint64_t *end, uint64_t boundary)
{
	if (boundary < *end)
		*end = boundary;
}

/*
 * Whether `address` is in the range, and lower *end to where that may change. `reach` are the address bits that
 * take part. A mask with holes in it describes scattered blocks, each as large as its lowest bit.
 */
static bool in_range(uint64_t base, uint64_t mask, uint64_t reach, uint64_t address, uint64_t *end)
{
	uint64_t block;
	bool inside;

	mask &= reach;
	base &= mask;
	inside = (address & mask) == base;
	if (mask == 0)
		return true;
	block = mask & -mask;
	if (mask != (reach & -block))
		lower(end, ALIGN_DOWN(address, block) + block);
	else if (inside)
		lower(end, base + block);
	else if (address < base)
		lower(end, base);
	return inside;
}

static bool in_smrr(const struct mtrr_state *mtrr, uint64_t address, uint64_t *end)
{
	if (!(mtrr->smrr_mask & RANGE_VALID) || address >= SMRR_END)
		return false;
	lower(end, SMRR_END);
	return in_range(mtrr->smrr_base, mtrr->smrr_mask, SMRR_ADDRESS, address, end);
}

static enum memtype variable_type(const struct mtrr_state *mtrr, uint64_t address, uint64_t *end)
{
	uint64_t reach = BITS64(mtrr->maxphyaddr - 1, PAGE_SHIFT);
	enum memtype type = decode_type(mtrr->def_type & DEF_TYPE_TYPE);
	bool found = false;

	for (unsigned i = 0; i < mtrr->variable_count && i < MEMTYPE_VARIABLE_MAX; i++) {
		enum memtype range_type;

		if (!(mtrr->mask[i] & RANGE_VALID) ||
		    !in_range(mtrr->base[i], mtrr->mask[i], reach, address, end))
			continue;
		range_type = decode_type(mtrr->base[i] & RANGE_TYPE);
		type = found ? overlap_type(type, range_type) : range_type;
		found = true;
	}
	return type;
}

enum memtype mtrr_range(const struct mtrr_state *mtrr, uint64_t address, uint64_t *end)
{
	enum memtype type;

	*end = BIT64(mtrr->maxphyaddr);
	if (address >= *end) {
		*end = ALIGN_DOWN(~UINT64_C(0), PAGE_BYTES);
		return MEMTYPE_UC;
	}
	if (!mtrr_enabled(mtrr))
		return MEMTYPE_UC;
	if (address < FIXED_END && fixed_enabled(mtrr)) {
		type = fixed_type(mtrr, fixed_index(address, end));
		return in_smrr(mtrr, address, end) ? MEMTYPE_UC : type;
	}
	type = variable_type(mtrr, address, end);
	/* Outside SMM the range of the SMRR is not memory, and uncacheable. */
	return in_smrr(mtrr, address, end) ? MEMTYPE_UC : type;
}

enum memtype mtrr_type(const struct mtrr_state *mtrr, uint64_t address)
{
	uint64_t end;

	return mtrr_range(mtrr, address, &end);
}

bool mtrr_same_map(const struct mtrr_state *a, const struct mtrr_state *b)
{
	uint64_t address = 0;

	if (a->maxphyaddr != b->maxphyaddr)
		return false;
	for (unsigned steps = 0; address < BIT64(a->maxphyaddr); steps++) {
		uint64_t end_a, end_b;

		if (steps == COMPARE_STEPS)
			return __builtin_memcmp(a, b, sizeof(*a)) == 0;
		if (mtrr_range(a, address, &end_a) != mtrr_range(b, address, &end_b))
			return false;
		address = end_a < end_b ? end_a : end_b;
	}
	return true;
}

/* SDM: "Selecting Memory Types for Pentium III and More Recent Processor Families". */
enum memtype memtype_combine(enum memtype mtrr, unsigned pat)
{
	enum { UC, WC, WT, WP, WB, UC_MINUS, PAT_KINDS };
	static const uint8_t kind_of_pat[8] = {
		[0] = UC, [1] = WC, [4] = WT, [5] = WP, [6] = WB, [7] = UC_MINUS,
	};
	static const uint8_t effective[MEMTYPE_WB + 1][PAT_KINDS] = {
		[MEMTYPE_UC] = { [WC] = MEMTYPE_WC },
		[MEMTYPE_WC] = { [WC] = MEMTYPE_WC, [WB] = MEMTYPE_WC, [UC_MINUS] = MEMTYPE_WC },
		[MEMTYPE_WT] = { [WC] = MEMTYPE_WC,
				 [WT] = MEMTYPE_WT,
				 [WP] = MEMTYPE_WP,
				 [WB] = MEMTYPE_WT },
		[MEMTYPE_WP] = { [WC] = MEMTYPE_WC,
				 [WT] = MEMTYPE_WT,
				 [WP] = MEMTYPE_WP,
				 [WB] = MEMTYPE_WP,
				 [UC_MINUS] = MEMTYPE_WC },
		[MEMTYPE_WB] = { [WC] = MEMTYPE_WC,
				 [WT] = MEMTYPE_WT,
				 [WP] = MEMTYPE_WP,
				 [WB] = MEMTYPE_WB },
	};

	if ((unsigned)mtrr > MEMTYPE_WB || pat >= ARRAY_COUNT(kind_of_pat))
		return MEMTYPE_UC;
	return (enum memtype)effective[mtrr][kind_of_pat[pat]];
}
