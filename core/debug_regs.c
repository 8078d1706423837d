/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/debug_regs.h"

#include "arch/x86/bits.h"
#include "arch/x86/cr.h"

#define DR7_ENABLE(index)	(UINT64_C(3) << 2 * (index))
#define DR7_GLOBAL(index)	BIT64(2 * (index) + 1)
#define DR7_FIELDS_SHIFT(index) (16 + 4 * (index))
#define DR7_FIELDS(index)	(UINT64_C(15) << DR7_FIELDS_SHIFT(index))
#define DR7_KIND(index)		(UINT64_C(3) << DR7_FIELDS_SHIFT(index))

static bool is_enabled(uint64_t dr7, unsigned index)
{
	return (dr7 & DR7_ENABLE(index)) != 0;
}

bool debug_slot_is_legal(enum debug_kind kind, uint64_t address, uint64_t bytes)
{
	if (kind == DEBUG_EXECUTE)
		return bytes == 1;
	if (kind == DEBUG_IO)
		return false;
	return (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) && address % bytes == 0;
}

/* --- what the hardware holds ----------------------------------------------------------------- */

/* SDM: "Debug Control Register (DR7)", LEN. */
static uint64_t length_field(uint8_t bytes)
{
	return bytes == 8 ? 2 : bytes - 1u;
}

static void place(struct debug_merged *merged, unsigned index, const struct debug_slot *slot)
{
	uint64_t fields = (uint64_t)slot->kind | length_field(slot->bytes) << 2;

	merged->address[index] = slot->address;
	merged->dr7 &= ~(DR7_FIELDS(index) | DR7_ENABLE(index));
	/* Global: a task switch in hardware leaves it. */
	merged->dr7 |= fields << DR7_FIELDS_SHIFT(index) | DR7_GLOBAL(index);
}

void debug_merge(uint64_t dr7, const uint64_t address[DEBUG_REGS],
		 const struct debug_slot slots[DEBUG_REGS], struct debug_merged *merged)
{
	unsigned index = DEBUG_REGS;

	*merged = (struct debug_merged){ .dr7 = (dr7 & ~DR7_GD) | DR7_INIT };
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		merged->address[i] = address[i];
		merged->slot[i] = DEBUG_NO_SLOT;
	}
	/* From the highest index down: guests begin with the lowest. */
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		if (!slots[i].is_used)
			continue;
		while (index > 0 && is_enabled(dr7, index - 1))
			index--;
		if (index == 0) {
			merged->missing = (uint8_t)(merged->missing | 1u << i);
			continue;
		}
		index--;
		merged->slot[index] = (uint8_t)i;
		place(merged, index, &slots[i]);
	}
}

/* --- what an exception means ----------------------------------------------------------------- */

static bool is_execution(uint64_t dr7, unsigned index)
{
	return (dr7 & DR7_KIND(index)) == 0;
}

/* Which of the debugger's; and the breakpoints that are left. */
static uint64_t take_ours(const struct debug_merged *merged, uint64_t happened,
			  struct debug_hits *hits)
{
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		unsigned slot = merged->slot[i];

		if (slot == DEBUG_NO_SLOT || (happened & BIT64(i)) == 0)
			continue;
		if (is_execution(merged->dr7, i))
			hits->met_before = (uint8_t)(hits->met_before | 1u << slot);
		else
			hits->met_behind = (uint8_t)(hits->met_behind | 1u << slot);
		happened &= ~BIT64(i);
	}
	return happened;
}

/* Of the guest's: what the exception is for. A breakpoint that is not enabled may be told of, and is no reason. */
static void find_reasons(uint64_t dr7, uint64_t left, bool *before, bool *behind)
{
	*before = false;
	*behind = (left & ~DR6_BREAKPOINTS) != 0;
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		if ((left & BIT64(i)) == 0 || !is_enabled(dr7, i))
			continue;
		if (is_execution(dr7, i))
			*before = true;
		else
			*behind = true;
	}
}

void debug_classify(uint64_t dr7, const struct debug_merged *merged, uint64_t happened,
		    struct debug_hits *hits)
{
	bool is_before, is_behind;
	uint64_t left;

	*hits = (struct debug_hits){ 0 };
	left = take_ours(merged, happened, hits);
	find_reasons(dr7, left, &is_before, &is_behind);
	if (hits->met_behind != 0) {
		hits->met_before = 0;
		hits->is_guests = is_before || is_behind;
	} else if (hits->met_before != 0) {
		hits->is_guests = is_behind;
		if (is_behind)
			hits->met_before = 0;
		else if (is_before)
			hits->again = left;
	} else {
		/* For whatever reason: INT1 gives none. */
		hits->is_guests = true;
	}
	hits->payload = hits->is_guests ? left : 0;
}

uint64_t debug_guess(const struct debug_merged *merged, uint64_t rip, bool is_stepped)
{
	uint64_t code = 0, data = 0;

	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		if (!is_enabled(merged->dr7, i))
			continue;
		if (!is_execution(merged->dr7, i))
			data |= BIT64(i);
		else if (merged->address[i] == rip)
			code |= BIT64(i);
	}
	if (code != 0)
		return code;
	return is_stepped ? DR6_BS : data;
}

/* --- MOV DR ---------------------------------------------------------------------------------- */

enum debug_access debug_access_check(unsigned *number, bool write, uint64_t value, uint64_t dr7,
				     uint64_t cr4, unsigned cpl)
{
	if (*number > 7)
		return DEBUG_ACCESS_UNDEFINED;
	if (*number == 4 || *number == 5) {
		if ((cr4 & CR4_DE) != 0)
			return DEBUG_ACCESS_UNDEFINED;
		*number += 2;
	}
	if (cpl != 0)
		return DEBUG_ACCESS_FORBIDDEN;
	if ((dr7 & DR7_GD) != 0)
		return DEBUG_ACCESS_DETECTED;
	if (write && *number >= 6 && value >> 32 != 0)
		return DEBUG_ACCESS_FORBIDDEN;
	return DEBUG_ACCESS_OK;
}
