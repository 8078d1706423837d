/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/debug_regs.c
/*
 * Debug registers that two share. The model is a CPU that looks at what each of the two has asked for by itself; the shared
 * registers go through one that looks at them alone.
 */
#include "core/debug_regs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/bits.h"
#include "arch/x86/cr.h"

#define TRIALS 200000u

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static unsigned below(unsigned count)
{
	return (unsigned)(random64() >> 33) % count;
}

/* --- the CPU: SDM, "Breakpoint Field Recognition" ---------------------------------------------- */

struct access {
	uint64_t rip; /* of the next instruction */
	uint64_t address;
	unsigned bytes; /* 0: none */
	bool is_write;
};

static bool meets(uint64_t at, unsigned kind, unsigned length, const struct access *access)
{
	static const unsigned bytes[4] = { 1, 2, 8, 4 };
	uint64_t first = at & ~(uint64_t)(bytes[length] - 1);

	switch (kind) {
	case 0:
		return access->rip == at;
	case 1:
		return access->bytes != 0 && access->is_write &&
		       first < access->address + access->bytes &&
		       access->address < first + bytes[length];
	case 3:
		return access->bytes != 0 && first < access->address + access->bytes &&
		       access->address < first + bytes[length];
	default:
		return false;
	}
}

/* B0 to B3 of what meets its condition, enabled or not. */
static uint64_t conditions(uint64_t dr7, const uint64_t address[4], const struct access *access)
{
	uint64_t met = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (meets(address[i], dr7 >> (16 + 4 * i) & 3, dr7 >> (18 + 4 * i) & 3, access))
			met |= BIT64(i);
	}
	return met;
}

static uint64_t enabled(uint64_t dr7)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < 4; i++)
		mask |= (dr7 >> 2 * i & 3) != 0 ? BIT64(i) : 0;
	return mask;
}

static uint64_t executions(uint64_t dr7)
{
	uint64_t mask = 0;

	for (unsigned i = 0; i < 4; i++)
		mask |= (dr7 >> (16 + 4 * i) & 3) == 0 ? BIT64(i) : 0;
	return mask;
}

/* --- random state of both, on few addresses ----------------------------------------------------- */

static uint64_t dr7, address[4];
static struct debug_slot slots[4];
static struct debug_merged merged;

static uint64_t random_address(unsigned bytes)
{
	return (0x1000 + below(4) * 8) & ~(uint64_t)(bytes - 1);
}

static void random_guest(void)
{
	static const unsigned kinds[3] = { 0, 1, 3 }, lengths[4] = { 0, 1, 2, 3 };

	dr7 = DR7_INIT | (below(4) == 0 ? DR7_GD : 0) | (random64() & 0x300);
	for (unsigned i = 0; i < 4; i++) {
		unsigned kind = kinds[below(3)], length = kind == 0 ? 0 : lengths[below(4)];

		address[i] = random_address(1) + below(2);
		dr7 |= (uint64_t)(kind | length << 2) << (16 + 4 * i);
		if (below(2) == 0)
			dr7 |= (uint64_t)(1 + below(3)) << 2 * i;
	}
}

static void random_debugger(void)
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned bytes = 1u << below(4);

		slots[i] =
			(struct debug_slot){ .is_used = below(2) == 0,
					     .kind = below(2) == 0 ? DEBUG_EXECUTE : DEBUG_ACCESS };
		slots[i].bytes = slots[i].kind == DEBUG_EXECUTE ? 1 : (uint8_t)bytes;
		slots[i].address = random_address(slots[i].bytes);
		assert_true(debug_slot_is_legal(slots[i].kind, slots[i].address, slots[i].bytes));
	}
}

static struct access random_access(void)
{
	return (struct access){ .rip = random_address(1),
				.address = random_address(1) + below(3),
				.bytes = below(3) == 0 ? 0 : 1u << below(4),
				.is_write = below(2) == 0 };
}

static void check_merged(void)
{
	uint64_t fields = 0;
	unsigned used = 0, placed = 0, free = 0;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t mine = UINT64_C(0xf0000) << 4 * i | UINT64_C(3) << 2 * i;

		fields |= mine;
		used += slots[i].is_used;
		free += (enabled(dr7) & BIT64(i)) == 0;
		if (merged.slot[i] == DEBUG_NO_SLOT) {
			assert_int_equal(merged.dr7 & mine, dr7 & mine);
			assert_true(merged.address[i] == address[i]);
			continue;
		}
		placed++;
		assert_int_equal(enabled(dr7) & BIT64(i), 0);
		assert_int_equal(enabled(merged.dr7) & BIT64(i), BIT64(i));
		assert_true(slots[merged.slot[i]].is_used);
		assert_int_equal(merged.missing >> merged.slot[i] & 1, 0);
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(merged.slot[j], merged.slot[i]);
	}
	assert_int_equal(placed, used < free ? used : free);
	assert_int_equal(__builtin_popcount(merged.missing), used - placed);
	assert_int_equal(merged.dr7 & ~fields, (dr7 & ~fields & ~DR7_GD) | DR7_INIT);
}

/* Which of the debugger's that have a place are met, by themselves. */
static uint8_t model_met(enum debug_kind kind, const struct access *access)
{
	uint8_t met = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned length = slots[i].bytes == 8 ? 2 : slots[i].bytes - 1u;

		if (slots[i].is_used && slots[i].kind == kind && (merged.missing >> i & 1) == 0 &&
		    meets(slots[i].address, kind, length, access))
			met = (uint8_t)(met | 1u << i);
	}
	return met;
}

/* `happened` of an exception that the shared registers have raised: nothing lost, nothing invented. */
static void check_hits(const struct access *access, uint64_t happened, uint64_t more)
{
	uint64_t own = conditions(dr7, address, access) & enabled(dr7);
	uint64_t own_before = own & executions(dr7) & happened,
		 own_behind = own & ~executions(dr7) & happened;
	uint8_t before = model_met(DEBUG_EXECUTE, access), behind = model_met(DEBUG_ACCESS, access);
	bool is_trap = own_behind != 0 || more != 0;
	struct debug_hits hits;

	/* A fault comes without the traps before it, or with them. */
	if ((happened & executions(merged.dr7) & enabled(merged.dr7)) == 0)
		before = 0;
	if ((happened & ~executions(merged.dr7) & enabled(merged.dr7)) == 0)
		behind = 0;
	debug_classify(dr7, &merged, happened | more, &hits);
	for (unsigned i = 0; i < 4; i++) {
		if (merged.slot[i] != DEBUG_NO_SLOT)
			assert_int_equal((hits.payload | hits.again) & BIT64(i), 0);
	}
	assert_int_equal(hits.met_behind, behind);
	assert_int_equal(hits.met_before, behind != 0 || is_trap ? 0 : before);
	if (is_trap)
		assert_true(hits.is_guests);
	if (hits.is_guests) {
		assert_int_equal(hits.payload & enabled(dr7), (own_before | own_behind));
		assert_int_equal(hits.payload & ~DR6_BREAKPOINTS, more);
	} else {
		assert_int_not_equal(before | behind, 0);
		assert_int_equal(hits.payload, 0);
		assert_int_equal(hits.again & enabled(dr7), own_before);
	}
}

static void nothing_is_lost_and_nothing_shows(void **state)
{
	static const uint64_t others[] = { 0, 0, DR6_BS, DR6_BT, BIT64(11) };
	unsigned shared = 0;

	(void)state;
	for (unsigned trial = 0; trial < TRIALS; trial++) {
		struct access access = random_access();
		uint64_t met, traps, faults, more = others[below(5)];

		random_guest();
		random_debugger();
		debug_merge(dr7, address, slots, &merged);
		check_merged();
		met = conditions(merged.dr7, merged.address, &access);
		traps = met & enabled(merged.dr7) & ~executions(merged.dr7);
		faults = met & enabled(merged.dr7) & executions(merged.dr7);
		/* Those that are not enabled may be told of. */
		met &= enabled(merged.dr7) | random64();
		if (traps != 0 || more != 0)
			check_hits(&access, met & ~executions(merged.dr7), more);
		if (faults != 0)
			check_hits(&access, met & (executions(merged.dr7) | ~enabled(merged.dr7)),
				   0);
		/* Emulators make one exception of both. */
		if (traps != 0 && faults != 0)
			check_hits(&access, met, more);
		shared += traps != 0 && faults != 0;
	}
	assert_true(shared > TRIALS / 100);
}

static void the_guest_wins(void **state)
{
	const uint64_t own[4] = { 1, 2, 3, 4 };
	const struct debug_slot two[4] = { { true, DEBUG_EXECUTE, 1, 0x111 },
					   { false, DEBUG_EXECUTE, 1, 0x222 },
					   { true, DEBUG_ACCESS, 8, 0x338 } };
	struct debug_merged got;

	(void)state;
	debug_merge(0x400, own, two, &got);
	assert_int_equal(got.dr7, 0x400 | 0x80 | 0x20 | 0x0b000000);
	assert_int_equal(got.address[3], 0x111);
	assert_int_equal(got.address[2], 0x338);
	assert_int_equal(got.address[0], 1);
	assert_int_equal(got.missing, 0);
	debug_merge(0x400 | 0x40 | 0x10 | 0x1, own, two, &got);
	assert_int_equal(got.slot[1], 0);
	assert_int_equal(got.missing, 4);
	debug_merge(0xffff27ff, own, two, &got);
	assert_int_equal(got.dr7, 0xffff07ff);
	assert_int_equal(got.missing, 5);
	assert_memory_equal(got.address, own, sizeof(own));
}

static void which_can_be(void **state)
{
	(void)state;
	assert_true(debug_slot_is_legal(DEBUG_EXECUTE, 0x1001, 1));
	assert_false(debug_slot_is_legal(DEBUG_EXECUTE, 0x1000, 2));
	assert_false(debug_slot_is_legal(DEBUG_IO, 0x60, 1));
	for (unsigned bytes = 0; bytes < 20; bytes++) {
		bool is_size = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;

		for (uint64_t at = 0x1000; at < 0x1010; at++)
			assert_int_equal(debug_slot_is_legal(DEBUG_ACCESS, at, bytes),
					 is_size && at % bytes == 0);
	}
}

/* INT1 tells of nothing, and is the guest's. */
static void nothing_told(void **state)
{
	const struct debug_slot one[4] = { { true, DEBUG_ACCESS, 8, 0x338 } };
	const uint64_t none[4] = { 0 };
	struct debug_merged got;
	struct debug_hits hits;

	(void)state;
	debug_merge(0x400, none, one, &got);
	debug_classify(0x400, &got, 0, &hits);
	assert_true(hits.is_guests);
	assert_int_equal(hits.payload | hits.met_before | hits.met_behind, 0);
}

/* Breakpoint on the next instruction; else a step; else whatever is watched. */
static void guessed(void **state)
{
	const struct debug_slot both[4] = { { true, DEBUG_EXECUTE, 1, 0x1000 },
					    { true, DEBUG_ACCESS, 8, 0x3000 } };
	const uint64_t own[4] = { 0x1000, 0x2000, 0, 0 };
	struct debug_merged got;

	(void)state;
	debug_merge(0x400 | 1, own, both, &got);
	assert_int_equal(debug_guess(&got, 0x1000, false), 1 | 8);
	assert_int_equal(debug_guess(&got, 0x1000, true), 1 | 8);
	assert_int_equal(debug_guess(&got, 0x3000, true), DR6_BS);
	assert_int_equal(debug_guess(&got, 0x3000, false), 4);
	/* 0x2000 is there, and nobody has enabled it. */
	assert_int_equal(debug_guess(&got, 0x2000, false), 4);
	debug_merge(0x400, own, (const struct debug_slot[4]){ 0 }, &got);
	assert_int_equal(debug_guess(&got, 0x1000, false), 0);
}

static enum debug_access look(unsigned number, bool write, uint64_t value, uint64_t guest_dr7,
			      uint64_t cr4, unsigned cpl, unsigned becomes)
{
	enum debug_access result = debug_access_check(&number, write, value, guest_dr7, cr4, cpl);

	if (result == DEBUG_ACCESS_OK)
		assert_int_equal(number, becomes);
	return result;
}

static void accesses(void **state)
{
	const uint64_t gd = DR7_INIT | DR7_GD, high = BIT64(32);

	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		unsigned number = n == 4 || n == 5 ? n + 2 : n;
		bool is_alias = n != number, is_control = number >= 6;

		for (unsigned write = 0; write < 2; write++) {
			assert_int_equal(look(n, write, 0, DR7_INIT, 0, 0, number),
					 n > 7 ? DEBUG_ACCESS_UNDEFINED : DEBUG_ACCESS_OK);
			if (n > 7)
				continue;
			assert_int_equal(look(n, write, 0, gd, CR4_DE, 3, number),
					 is_alias ? DEBUG_ACCESS_UNDEFINED
						  : DEBUG_ACCESS_FORBIDDEN);
			assert_int_equal(look(n, write, high, gd, 0, 0, number),
					 DEBUG_ACCESS_DETECTED);
			assert_int_equal(look(n, write, 0, gd, 0, 1, number),
					 DEBUG_ACCESS_FORBIDDEN);
			assert_int_equal(look(n, write, high, DR7_INIT, 0, 0, number),
					 is_control && write ? DEBUG_ACCESS_FORBIDDEN
							     : DEBUG_ACCESS_OK);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_and_nothing_shows),
		cmocka_unit_test(the_guest_wins),
		cmocka_unit_test(which_can_be),
		cmocka_unit_test(nothing_told),
		cmocka_unit_test(guessed),
		cmocka_unit_test(accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
