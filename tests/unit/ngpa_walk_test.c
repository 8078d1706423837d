// sources: mm/ngpa_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* ngpa_walk() over EPT and NPT against the model of walk_model.h, and over what the builder builds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/x86/cr.h"
#include "mm/ngpa_walk.h"
#include "tests/unit/walk_arena.h"
#include "tests/unit/walk_model.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define TABLE(level) (0x10000u + 0x10000u * (level))
#define PDPT	     0x1000u
#define EPTP_LOW     0x5eu /* WB, four levels, A/D: not an address */

static const uint64_t long_address = UINT64_C(0x00b35a6bc7d8e9f8);

static struct model_ept ept;
static struct model_cpu host; /* NPT */
static bool is_npt;
static struct page_format format;
static uint64_t address;
static unsigned levels, index_bits;
static unsigned entry_count;
static uint64_t entry_at[5];
static uint64_t compared, succeeded;

static unsigned entry_bytes(void)
{
	return index_bits == 10 ? 4 : 8;
}

static uint64_t page_bytes(unsigned level)
{
	return BIT(12 + level * index_bits);
}

static void put(unsigned level, bool maps, uint64_t flags, uint64_t frame)
{
	uint64_t at = TABLE(level) + address / page_bytes(level) % BIT(index_bits) * entry_bytes();
	uint64_t entry = maps ? frame / page_bytes(level) * page_bytes(level) : TABLE(level - 1);

	if (is_npt && levels == 3 && level == 2)
		at = PDPT + (address >> 30 & 3) * 8;
	entry |= flags;
	memcpy(arena + at, &entry, entry_bytes());
	entry_at[levels - 1 - level] = at;
}

static uint64_t entry_now(unsigned i)
{
	uint64_t entry = 0;

	memcpy(&entry, arena + entry_at[i], entry_bytes());
	return entry;
}

static void clear(void)
{
	for (unsigned i = 0; i < entry_count; i++)
		memset(arena + entry_at[i], 0, entry_bytes());
}

static void start_ept(unsigned level_count, unsigned bits, unsigned max_leaf, unsigned m)
{
	struct ept_role role = { .maxphyaddr = (uint8_t)m,
				 .levels = (uint8_t)level_count,
				 .max_leaf_level = (uint8_t)max_leaf,
				 .exec_only = bits & 1,
				 .mode_based_exec = bits & 2,
				 .accessed_dirty = bits & 4 };

	is_npt = false;
	levels = level_count;
	index_bits = 9;
	address = level_count == 5 ? long_address : long_address & (BIT(48) - 1);
	ept = (struct model_ept){ .m = m,
				  .levels = level_count,
				  .pages_2m = max_leaf > 0,
				  .pages_1g = max_leaf > 1,
				  .exec_only = bits & 1,
				  .mbec = bits & 2,
				  .accessed_dirty = bits & 4,
				  .advanced = bits & 8,
				  .eptp = TABLE(level_count - 1) | EPTP_LOW };
	page_role_ept(&format, &role);
}

/* --- one walk by both sides -------------------------------------------------------------------------------- */

static uint64_t before[5], after[5];

static bool walk(const struct ngpa_access *access, uint64_t root, struct ngpa_result *result)
{
	const struct ngpa_tables tables = { &format, root, &arena_reader, ept.advanced };
	bool ok;

	for (unsigned i = 0; i < entry_count; i++)
		before[i] = entry_now(i);
	ok = ngpa_walk(&tables, (ngpa_t){ address }, access, result);
	for (unsigned i = 0; i < entry_count; i++) {
		after[i] = entry_now(i);
		memcpy(arena + entry_at[i], &before[i], entry_bytes());
	}
	compared++;
	succeeded += ok;
	return ok;
}

static void check_entries(void)
{
	for (unsigned i = 0; i < entry_count; i++) {
		assert_int_equal(after[i], entry_now(i));
		memcpy(arena + entry_at[i], &before[i], entry_bytes());
	}
}

static void compare_ept(enum ngpa_stage stage, unsigned access, unsigned linear_rights)
{
	const struct ngpa_access how = { stage, access, linear_rights };
	const struct model_ept_access model_how = {
		.stage = stage == NGPA_FINAL   ? MODEL_FINAL
			 : stage == NGPA_TABLE ? MODEL_TABLE
					       : MODEL_PDPTE_LOAD,
		.write = access & ACCESS_WRITE,
		.fetch = access & ACCESS_FETCH,
		.linear_user = linear_rights & RIGHT_USER,
		.linear_writable = linear_rights & RIGHT_WRITE,
		.linear_executable = linear_rights & RIGHT_EXEC,
	};
	struct ngpa_result result;
	bool ok = walk(&how, ept.eptp, &result);
	struct model_ept_walk want = model_ept_translate(&ept, &arena_memory, address, &model_how);

	assert_int_equal(ok, want.end == EPT_OK);
	check_entries();
	if (ok) {
		bool user_exec = ept.mbec ? want.user_exec : want.exec;

		assert_int_equal(result.gpa.v, want.physical);
		assert_int_equal(result.page_bytes, want.size);
		assert_int_equal(result.entry, want.leaf);
		assert_int_equal(result.rights, (want.read ? RIGHT_READ : 0) |
							(want.write ? RIGHT_WRITE : 0) |
							(want.exec ? RIGHT_EXEC_SUPERVISOR : 0) |
							(user_exec ? RIGHT_EXEC_USER : 0));
		assert_int_equal(page_format_memtype(&format, result.entry),
				 model_number(want.leaf, 3, 5));
		assert_int_equal(page_format_ignores_pat(result.entry), model_bit(want.leaf, 6));
		return;
	}
	assert_int_equal(result.fault, want.end == EPT_VIOLATION   ? NGPA_EPT_VIOLATION
				       : want.end == EPT_MISCONFIG ? NGPA_EPT_MISCONFIGURATION
								   : NGPA_NO_MEMORY);
	if (want.end == EPT_VIOLATION)
		assert_int_equal(result.code, want.qualification);
}

/* Final accesses to user and supervisor addresses, looks at the guest's tables, loads of its PDPTEs. */
static void all_ept_accesses(void)
{
	static const unsigned kinds[] = { 0, ACCESS_WRITE, ACCESS_FETCH };

	for (unsigned i = 0; i < 3; i++) {
		compare_ept(NGPA_FINAL, kinds[i], RIGHT_READ | RIGHT_USER | RIGHT_EXEC);
		compare_ept(NGPA_FINAL, kinds[i], RIGHT_READ | RIGHT_WRITE);
	}
	compare_ept(NGPA_TABLE, 0, 0);
	compare_ept(NGPA_TABLE, ACCESS_WRITE, 0);
	compare_ept(NGPA_PDPTE, 0, 0);
}

/* --- EPT ---------------------------------------------------------------------------------------------------- */

static uint64_t ept_rights_of(unsigned bits)
{
	return (bits & 7) | (bits & 8 ? BIT(10) : 0);
}

/* `pattern`: four bits of rights a level. */
static void ept_pattern(unsigned leaf, unsigned pattern)
{
	entry_count = levels - leaf;
	for (unsigned level = leaf; level < levels; level++) {
		uint64_t flags = ept_rights_of(pattern >> 4 * (level - leaf));

		if (level == leaf)
			flags |= 6u << 3 | (leaf > 0 ? BIT(7) : 0);
		flags |= chance(2) ? BIT(8) : 0;
		flags |= chance(2) ? BIT(9) : 0;
		put(level, level == leaf, flags, 0x340000000);
	}
	all_ept_accesses();
	clear();
}

static void ept_rights_of_all_levels(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		start_ept(4, bits | (unsigned)(random64() & 8), 2, 40);
		for (unsigned leaf = 0; leaf < 3; leaf++) {
			/* the leaf and the level above it in all combinations, and then all levels sampled */
			for (unsigned pattern = 0; pattern < 256; pattern++)
				ept_pattern(leaf, pattern | 0xff00);
			for (unsigned pattern = 0; pattern < 0x10000;
			     pattern += is_full_run() ? 1 : 5)
				ept_pattern(leaf, pattern);
		}
		start_ept(5, bits, 2, 52);
		for (unsigned pattern = 0; pattern < 0x100000; pattern += is_full_run() ? 1 : 631)
			ept_pattern(0, pattern);
	}
	assert_true(succeeded > 10000);
}

/* The low twelve bits of one entry in all combinations, the others allowing everything. */
static void ept_low_bits(unsigned leaf, unsigned changed)
{
	for (unsigned low = 0; low < 4096; low++) {
		/* bits 8, 9 and 11 mean nothing here: one combination of them is enough */
		if ((low & 0x300) == 0x100 || (low & 0x800))
			continue;
		entry_count = levels - leaf;
		for (unsigned level = leaf; level < levels; level++) {
			uint64_t flags = 7 | BIT(10);

			if (level == leaf)
				flags |= 6u << 3 | (leaf > 0 ? BIT(7) : 0);
			put(level, level == leaf, level == changed ? low : flags, 0);
		}
		compare_ept(NGPA_FINAL, low & 0x400 ? ACCESS_FETCH : 0, RIGHT_USER);
		compare_ept(low & 0x200 ? NGPA_TABLE : NGPA_FINAL, ACCESS_WRITE, 0);
		clear();
	}
}

static void ept_low_bits_of_each_entry(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		for (unsigned max_leaf = 0; max_leaf < 3; max_leaf++) {
			start_ept(4, bits, max_leaf, 46);
			for (unsigned leaf = 0; leaf < 3; leaf++) {
				for (unsigned level = leaf; level < 4; level++)
					ept_low_bits(leaf, level);
			}
		}
		start_ept(5, bits, 2, 46);
		ept_low_bits(0, 4);
	}
}

static void ept_high_bits_of_each_entry(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 17 * 52 * 3 * 2; i++) {
		unsigned bit = 12 + i % 52, leaf = i / 52 % 3, m = 36 + i / 52 / 6;

		start_ept(4 + (i / 156 & 1), (unsigned)random64() & 15, 2, m);
		for (unsigned changed = leaf; changed < levels; changed++) {
			entry_count = levels - leaf;
			for (unsigned level = leaf; level < levels; level++) {
				uint64_t flags = 7 | BIT(10);

				if (level == leaf)
					flags |= leaf > 0 ? BIT(7) : 0;
				put(level, level == leaf,
				    level == changed ? flags ^ BIT(bit) : flags, 0);
			}
			compare_ept(NGPA_FINAL, ACCESS_WRITE, RIGHT_WRITE);
			clear();
		}
	}
}

static void ept_addresses_out_of_reach(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (unsigned count = 4; count < 6; count++) {
			start_ept(count, 7, 2, 52);
			entry_count = count;
			for (unsigned level = 0; level < count; level++)
				put(level, level == 0, 7 | (level ? 0 : 6u << 3) | BIT(10), 0x5000);
			address ^= BIT(bit);
			all_ept_accesses();
			address ^= BIT(bit);
			clear();
		}
	}
}

/* --- NPT ---------------------------------------------------------------------------------------------------- */

enum { HOST_32, HOST_PAE, HOST_4, HOST_5, HOSTS };

#define HOST_NXE  1u
#define HOST_PSE  2u
#define HOST_1G	  4u
#define HOST_GMET 8u

static void start_npt(unsigned mode, unsigned bits, unsigned m)
{
	static const unsigned level_counts[HOSTS] = { 2, 3, 4, 5 };
	struct npt_role role = { .cr4 = (mode >= HOST_PAE ? CR4_PAE : 0) |
					(mode == HOST_5 ? CR4_LA57 : 0) |
					(bits & HOST_PSE ? CR4_PSE : 0),
				 .efer = (mode >= HOST_4 ? EFER_LME | EFER_LMA : 0) |
					 (bits & HOST_NXE ? EFER_NXE : 0),
				 .maxphyaddr = (uint8_t)m,
				 .huge_pages = bits & HOST_1G,
				 .gmet = bits & HOST_GMET };

	is_npt = true;
	levels = level_counts[mode];
	index_bits = mode == HOST_32 ? 10 : 9;
	address = mode < HOST_4 ? 0xb1e2f678 : long_address & (BIT(12 + 9 * levels) - 1);
	ept.advanced = false;
	host = (struct model_cpu){ .pg = true,
				   .npt = true,
				   .pae = mode >= HOST_PAE,
				   .lma = mode >= HOST_4,
				   .la57 = mode == HOST_5,
				   .pse = bits & HOST_PSE,
				   .nxe = bits & HOST_NXE,
				   .pages_1g = bits & HOST_1G,
				   .gmet = bits & HOST_GMET,
				   .pdptes_in_memory = true,
				   .m = m };
	host.cr3 = mode == HOST_PAE ? PDPT : TABLE(levels - 1);
	page_role_npt(&format, &role);
}

static void compare_npt(enum ngpa_stage stage, unsigned access)
{
	const struct ngpa_access how = { stage, access, 0 };
	struct model_access model_how = { .write = access & ACCESS_WRITE,
					  .fetch = access & ACCESS_FETCH,
					  .cpl3 = access & ACCESS_USER };
	struct ngpa_result result;
	struct model_walk want;
	bool ok = walk(&how, host.cr3 | 0x18, &result);

	/* APM, "Nested Table Walk": to look at the guest's tables is to write as a user */
	if (stage == NGPA_TABLE)
		model_how = (struct model_access){ .write = true, .cpl3 = true };
	if (model_any(address, host.la57 ? 57 : host.lma ? 48 : 32, 63)) {
		want = (struct model_walk){ .end = MODEL_NOT_PRESENT };
	} else {
		want = model_translate(&host, &arena_memory, address, &model_how);
		if (want.end == MODEL_OK)
			assert_true(model_mark(&arena_memory, &want, &model_how));
	}
	assert_int_equal(ok, want.end == MODEL_OK);
	check_entries();
	if (ok) {
		assert_int_equal(result.gpa.v, want.physical);
		assert_int_equal(result.page_bytes, want.size);
		return;
	}
	assert_int_equal(result.fault,
			 want.end == MODEL_ABSENT ? NGPA_NO_MEMORY : NGPA_NESTED_PAGE_FAULT);
	if (want.end != MODEL_ABSENT)
		assert_int_equal(result.code, model_error_code(&host, &want, &model_how) |
						      (stage == NGPA_FINAL ? BIT(32) : BIT(33)));
}

static void all_npt_accesses(void)
{
	for (unsigned user = 0; user < 2; user++) {
		compare_npt(NGPA_FINAL, user ? ACCESS_USER : 0);
		compare_npt(NGPA_FINAL, ACCESS_WRITE | (user ? ACCESS_USER : 0));
		compare_npt(NGPA_FINAL, ACCESS_FETCH | (user ? ACCESS_USER : 0));
	}
	compare_npt(NGPA_TABLE, 0);
	compare_npt(NGPA_TABLE, ACCESS_WRITE);
}

/* P, R/W, U/S, NX, A, PS of each level by chance, the leaf's and the next one's first three in all combinations. */
static void npt_pattern(unsigned pattern)
{
	entry_count = levels;
	for (unsigned level = 0; level < levels; level++) {
		bool pdpte = levels == 3 && level == 2;
		uint64_t flags = level < 2 ? (pattern >> 3 * level & 7) : 7;

		flags ^= chance(40) ? 1 : 0;
		flags |= chance(2) ? BIT(5) | BIT(6) : 0;
		flags |= chance(8) && !pdpte ? BIT(7) : 0;
		flags |= chance(4) && index_bits == 9 && !pdpte ? BIT(63) : 0;
		flags |= chance(40) ? BIT(random64() % 64) : 0;
		if (pdpte)
			flags = (flags & ~UINT64_C(0xe6)) | 1;
		put(level, level == 0 || ((flags & BIT(7)) && level < 3), flags,
		    random64() & (BIT(host.m) - 1));
	}
	all_npt_accesses();
	clear();
}

static void npt_of_all_hosts(void **state)
{
	unsigned rounds = is_full_run() ? 200 : 12;

	(void)state;
	succeeded = 0;
	for (unsigned i = 0; i < rounds; i++) {
		for (unsigned mode = 0; mode < HOSTS; mode++) {
			for (unsigned bits = 0; bits < 16; bits++) {
				start_npt(mode, bits, 36 + (unsigned)(random64() % 17));
				for (unsigned pattern = 0; pattern < 64; pattern++)
					npt_pattern(pattern);
			}
		}
	}
	assert_true(succeeded > 1000);
}

static void npt_addresses_out_of_reach(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < HOSTS; mode++) {
		for (unsigned bit = 0; bit < 52; bit++) {
			start_npt(mode, HOST_NXE | HOST_1G, 52);
			entry_count = levels;
			for (unsigned level = 0; level < levels; level++)
				put(level, level == 0, mode == HOST_PAE && level == 2 ? 1 : 7,
				    0x5000);
			address ^= BIT(bit);
			all_npt_accesses();
			address ^= BIT(bit);
			clear();
		}
	}
}

/* --- what the builder builds, the walker understands ----------------------------------------------------------- */

static void check_built(unsigned rights, unsigned leaf, enum memtype type)
{
	static const struct {
		unsigned right, access, linear;
	} accesses[] = {
		{ RIGHT_READ, 0, 0 },
		{ RIGHT_WRITE, ACCESS_WRITE, 0 },
		{ RIGHT_EXEC_USER, ACCESS_FETCH | ACCESS_USER, RIGHT_USER },
		{ RIGHT_EXEC_SUPERVISOR, ACCESS_FETCH, 0 },
	};
	uint64_t entry = page_format_leaf(&format, (hpa_t){ 0x340000000 }, leaf, rights, type);
	unsigned given = page_format_rights(&format, entry);
	struct ngpa_result result;

	assert_int_equal(given & ~rights, 0);
	entry_count = levels - leaf;
	for (unsigned level = leaf + 1; level < levels; level++)
		put(level, false, page_format_table(&format, (hpa_t){ 0 }), 0);
	put(leaf, true, entry, 0);
	for (unsigned i = 0; i < 4; i++) {
		const struct ngpa_access how = { NGPA_FINAL, accesses[i].access,
						 accesses[i].linear };
		bool ok = walk(&how, TABLE(levels - 1), &result);

		/* an NPT page of supervisors does not exist for users, so its rights are those of one side */
		assert_int_equal(ok, (given & accesses[i].right) != 0);
		if (ok)
			assert_int_equal(result.gpa.v, 0x340000000 + address % page_bytes(leaf));
		if (!ok)
			assert_true(result.fault == NGPA_EPT_VIOLATION ||
				    result.fault == NGPA_NESTED_PAGE_FAULT);
	}
	clear();
}

static void built_tables_are_understood(void **state)
{
	static const enum memtype types[] = { MEMTYPE_UC, MEMTYPE_WC, MEMTYPE_WT, MEMTYPE_WP,
					      MEMTYPE_WB };

	(void)state;
	for (unsigned i = 0; i < 16 * 16 * 3 * 5; i++) {
		unsigned rights = i % 16, bits = i / 16 % 16, leaf = i / 256 % 3;

		start_ept(4 + (bits >> 3), bits & 7, 2, 46);
		check_built(rights, leaf, types[i / 768]);
		start_npt(bits & 1 ? HOST_5 : HOST_4,
			  HOST_NXE | HOST_1G | (bits & 2 ? HOST_GMET : 0), 46);
		check_built(rights, leaf, types[i / 768]);
	}
}

static void made_when_the_role_changes(void **state)
{
	struct ept_role role = { .maxphyaddr = 40, .levels = 4, .max_leaf_level = 2 };
	struct npt_role npt = { .cr4 = CR4_PAE, .efer = EFER_LMA | EFER_NXE, .maxphyaddr = 40 };
	struct page_format made = { .role = 0 };

	(void)state;
	assert_true(page_role_ept(&made, &role));
	assert_false(page_role_ept(&made, &role));
	role.levels = 5;
	assert_true(page_role_ept(&made, &role));
	role.max_leaf_level = 1;
	assert_true(page_role_ept(&made, &role));
	role.exec_only = true;
	assert_true(page_role_ept(&made, &role));
	role.mode_based_exec = true;
	assert_true(page_role_ept(&made, &role));
	role.accessed_dirty = true;
	assert_true(page_role_ept(&made, &role));
	assert_false(page_role_ept(&made, &role));
	assert_true(page_role_npt(&made, &npt));
	assert_false(page_role_npt(&made, &npt));
	npt.gmet = true;
	assert_true(page_role_npt(&made, &npt));
	npt.efer = EFER_LMA;
	assert_true(page_role_npt(&made, &npt));
	npt.huge_pages = true;
	assert_true(page_role_npt(&made, &npt));
	assert_true(page_role_ept(&made, &role));
}

/* A table beyond memory is no architectural fault. */
static void tables_outside_memory(void **state)
{
	struct ngpa_result result;

	(void)state;
	start_ept(4, 0, 2, 46);
	entry_count = 4;
	put(3, true, 7 | 0x40000000, 0);
	put(2, true, 0, 0);
	put(1, true, 0, 0);
	put(0, true, 0, 0);
	assert_false(walk(&(struct ngpa_access){ 0 }, ept.eptp, &result));
	assert_int_equal(result.fault, NGPA_NO_MEMORY);
	clear();
}

/* Just before the exchange number `race_at` somebody else changes the leaf entry. */
static unsigned exchanges, race_at;
static uint64_t race_value;

static bool racing_exchange(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
			    bool *same)
{
	if (++exchanges == race_at)
		memcpy(arena + entry_at[entry_count - 1], &race_value, sizeof(race_value));
	return arena_exchange(context, gpa, bytes, old, new, same);
}

static void lost_races_walk_again(void **state)
{
	static const struct gva_reader racing = { NULL, arena_read, racing_exchange, NULL };
	const struct ngpa_tables tables = { &format, TABLE(3) | EPTP_LOW, &racing, false };
	const struct ngpa_access write = { NGPA_FINAL, ACCESS_WRITE, 0 };
	struct ngpa_result result;

	(void)state;
	for (race_at = 1; race_at <= 4; race_at++) {
		for (unsigned present = 0; present < 2; present++) {
			start_ept(4, 4, 2, 46);
			entry_count = 4;
			for (unsigned level = 0; level < 4; level++)
				put(level, level == 0, 7, 0x5000);
			exchanges = 0;
			race_value = present ? 0x77000 | 7 : 0;
			assert_int_equal(ngpa_walk(&tables, (ngpa_t){ address }, &write, &result),
					 present);
			if (present) {
				assert_int_equal(result.gpa.v, 0x77000 + address % 4096);
				assert_int_equal(entry_now(3), race_value | BIT(8) | BIT(9));
			} else {
				assert_int_equal(result.fault, NGPA_EPT_VIOLATION);
				assert_int_equal(entry_now(3), 0);
			}
			clear();
		}
	}
	race_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_when_the_role_changes),
		cmocka_unit_test(tables_outside_memory),
		cmocka_unit_test(lost_races_walk_again),
		cmocka_unit_test(ept_rights_of_all_levels),
		cmocka_unit_test(ept_low_bits_of_each_entry),
		cmocka_unit_test(ept_high_bits_of_each_entry),
		cmocka_unit_test(ept_addresses_out_of_reach),
		cmocka_unit_test(npt_of_all_hosts),
		cmocka_unit_test(npt_addresses_out_of_reach),
		cmocka_unit_test(built_tables_are_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
