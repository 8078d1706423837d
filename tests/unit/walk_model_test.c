// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gva_walk() against the model of walk_model.h, in all combinations of what decides. The settings of the CPU and the
 * accesses are always all there; of the entries' rights two levels at a time (in the full run, all levels at once).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/gva_walk.h"
#include "tests/unit/walk_arena.h"
#include "tests/unit/walk_cpu.h"
#include "tests/unit/walk_model.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define P	     BIT(0)
#define RW	     BIT(1)
#define US	     BIT(2)
#define A	     BIT(5)
#define D	     BIT(6)
#define PS	     BIT(7)
#define NX	     BIT(63)

/* One table a level, each in pages of its own. */
#define TABLE(level) (0x10000u + 0x10000u * (level))
#define PDPT	     0x1000u /* of PAE */
#define KEY	     5u

static const unsigned tops[WALK_MODES] = { 0, 1, 1, 3, 4 };
static const uint64_t addresses[WALK_MODES] = { 0xfedcba98, 0xb1e2f678, 0xb1e2f678,
						UINT64_C(0x00005a6bc7d8e9f8),
						UINT64_C(0x00b35a6bc7d8e9f8) };

static enum walk_mode mode;
static struct model_cpu cpu;
static uint64_t gva;
static unsigned entry_count;
static uint64_t entry_at[5];
static uint64_t compared, succeeded;
static struct page_format kept;

static unsigned entry_bytes(void)
{
	return mode == WALK_32 ? 4 : 8;
}

static uint64_t page_bytes(unsigned level)
{
	return BIT(12 + level * (mode == WALK_32 ? 10 : 9));
}

static uint64_t index_of(unsigned level)
{
	return gva / page_bytes(level) % (mode == WALK_32 ? 1024 : 512);
}

static void start(enum walk_mode which, unsigned bits, unsigned m)
{
	mode = which;
	gva = addresses[which];
	cpu = walk_model_cpu(which, bits, m);
	cpu.cr3 = TABLE(tops[which]);
	for (unsigned i = 0; i < 4; i++)
		cpu.pdpte[i] = 0;
	if (which == WALK_PAE)
		cpu.pdpte[gva >> 30] = TABLE(1) | P;
}

/* The entry of a level: where it leads to, and flags. An entry that maps a page maps a part of `frame`. */
static void put(unsigned level, bool maps, uint64_t flags, uint64_t frame)
{
	uint64_t at = TABLE(level) + index_of(level) * entry_bytes();
	uint64_t entry = maps ? frame / page_bytes(level) * page_bytes(level) : TABLE(level - 1);

	entry |= flags;
	memcpy(arena + at, &entry, entry_bytes());
	entry_at[tops[mode] - level] = at;
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

static void check_success(const struct model_walk *want, const struct gva_result *result)
{
	assert_int_equal(result->gpa.v, want->physical);
	assert_int_equal(result->page_bytes, want->size);
	/* a table may lead to itself: then the walker loses a race with itself, and looks again */
	assert_int_equal(result->entry | A | D, want->leaf | A | D);
	assert_int_equal(result->rights, RIGHT_READ | (want->writable ? RIGHT_WRITE : 0) |
						 (want->user ? RIGHT_USER : 0) |
						 (want->executable ? RIGHT_EXEC : 0));
}

/* Once each: by the walker, with or without a window, and by the model, from the same entries. */
static void compare(unsigned access)
{
	const struct gva_reader *reader = compared++ & 1 ? &arena_fast_reader : &arena_reader;
	struct model_access how = walk_model_access(access);
	struct paging_role role = walk_role(&cpu);
	struct gva_result result;
	struct model_walk want;
	uint64_t before[5], after[5];
	bool ok;

	page_role_update(&kept, &role);
	role.format = &kept;
	for (unsigned i = 0; i < entry_count; i++)
		before[i] = entry_now(i);
	ok = gva_walk(&role, reader, (gva_t){ gva }, access, &result);
	for (unsigned i = 0; i < entry_count; i++) {
		after[i] = entry_now(i);
		memcpy(arena + entry_at[i], &before[i], entry_bytes());
	}
	want = model_translate(&cpu, &arena_memory, gva, &how);
	if (want.end == MODEL_OK)
		assert_true(model_mark(&arena_memory, &want, &how));
	assert_int_equal(ok, want.end == MODEL_OK);
	assert_int_equal(result.no_memory, want.end == MODEL_ABSENT);
	if (ok)
		check_success(&want, &result);
	else if (!result.no_memory)
		assert_int_equal(result.error_code, model_error_code(&cpu, &want, &how));
	for (unsigned i = 0; i < entry_count; i++) {
		assert_int_equal(after[i], entry_now(i));
		memcpy(arena + entry_at[i], &before[i], entry_bytes());
	}
	succeeded += ok;
}

/* --- rights --------------------------------------------------------------------------------------------- */

static uint64_t rights_of(unsigned bits)
{
	return (bits & 1 ? RW : 0) | (bits & 2 ? US : 0) | (bits & 4 ? NX : 0);
}

static void all_accesses(void)
{
	for (unsigned ac = 0; ac < 2; ac++) {
		cpu.ac = ac;
		for (unsigned i = 0; i < WALK_ACCESSES; i++)
			compare(walk_accesses[i]);
	}
}

/* The two bits of one key, all other keys saying the opposite, as does the other register. */
static void with_key(uint32_t bits)
{
	uint32_t others = UINT32_C(0x55555555) * (3 - bits);

	cpu.pkru = (others & ~(UINT32_C(3) << 2 * KEY)) | bits << 2 * KEY;
	cpu.pkrs = ~cpu.pkru;
	all_accesses();
}

static void all_settings(unsigned leaf, const unsigned *rights, bool every_key)
{
	entry_count = tops[mode] - leaf + 1;
	for (unsigned level = leaf; level <= tops[mode]; level++) {
		uint64_t flags = P | rights_of(rights[level]);

		if (level == leaf && level > 0)
			flags |= PS;
		if (level == leaf && mode >= WALK_4)
			flags |= (uint64_t)KEY << 59;
		if (random64() & 1)
			flags |= A;
		put(level, level == leaf, flags, 0x340000000);
	}
	cpu.pkru = cpu.pkrs = UINT32_MAX; /* of which PAE and 32-bit paging know nothing */
	if (mode < WALK_4)
		all_accesses();
	else if (!every_key)
		with_key((uint32_t)random64() & 3);
	for (uint32_t bits = 0; mode >= WALK_4 && every_key && bits < 4; bits++)
		with_key(bits);
	clear();
}

/* Rights of all levels from `level` to the top, in all combinations. */
static void all_levels(unsigned leaf, unsigned level, unsigned *rights)
{
	if (level > tops[mode]) {
		all_settings(leaf, rights, leaf == tops[mode]);
		return;
	}
	for (rights[level] = 0; rights[level] < (mode == WALK_32 ? 4u : 8u); rights[level]++)
		all_levels(leaf, level + 1, rights);
}

/* The leaf and one other level in all combinations, the rest allowing everything. */
static void two_levels(unsigned leaf)
{
	unsigned count = mode == WALK_32 ? 4 : 8;

	for (unsigned other = leaf + 1; other <= tops[mode]; other++) {
		for (unsigned i = 0; i < count * count; i++) {
			unsigned rights[5] = { 3, 3, 3, 3, 3 };

			rights[leaf] = i % count;
			rights[other] = i / count;
			all_settings(leaf, rights, true);
		}
	}
}

static void rights(enum walk_mode which)
{
	unsigned leaf_count = which == WALK_32 || which == WALK_PAE ? 2 : 3, any[5];

	succeeded = 0;
	for (unsigned bits = 0; bits < 64; bits++) {
		start(which, bits | WALK_PSE | WALK_1G, 40);
		for (unsigned leaf = 0; leaf < leaf_count; leaf++) {
			if (leaf == tops[which] || is_full_run())
				all_levels(leaf, leaf, any);
			two_levels(leaf);
		}
	}
	assert_true(succeeded > 10000);
}

static void rights_32(void **state)
{
	(void)state;
	rights(WALK_32);
}

static void rights_pae(void **state)
{
	(void)state;
	rights(WALK_PAE);
}

static void rights_4_level(void **state)
{
	(void)state;
	rights(WALK_4);
}

static void rights_5_level(void **state)
{
	(void)state;
	rights(WALK_5);
}

/* --- present, accessed, dirty, large, reserved: every level on its own ----------------------------------- */

/* Bits of `shape`, four a level. */
static void put_shape(unsigned level, unsigned shape)
{
	uint64_t flags = RW | US;
	bool maps = level == 0 || ((shape & 4) && level < 3);

	flags |= shape & 1 ? P : 0;
	flags |= shape & 2 ? A : 0;
	flags |= shape & 4 ? PS : 0;
	if (shape & 8)
		flags |= mode == WALK_32 ? BIT(21)
			 : chance(2)	 ? BIT(40 + random64() % 12)
					 : BIT(13);
	if (level == 0 || maps)
		flags |= chance(2) ? D : 0;
	put(level, maps, flags, 0x280000000);
}

static void shapes(enum walk_mode which, unsigned step)
{
	static const unsigned some[] = { 0, ACCESS_WRITE, ACCESS_FETCH,
					 ACCESS_USER | ACCESS_WRITE };
	unsigned levels = tops[which] + 1;

	succeeded = 0;
	for (unsigned shape = 0; shape < 1u << (4 * levels); shape += step) {
		start(which, (unsigned)(random64() >> 9) & (WALK_ALL & ~(WALK_SMAP | WALK_SMEP)),
		      40);
		entry_count = levels;
		for (unsigned level = 0; level < levels; level++)
			put_shape(level, shape >> (4 * level) & 15);
		for (unsigned i = 0; i < 4; i++)
			compare(some[i]);
		clear();
	}
	assert_true(succeeded > 0);
}

static void shapes_of_entries(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		shapes(WALK_32, 1);
		shapes(WALK_PAE, 1);
	}
	shapes(WALK_4, 1);
	shapes(WALK_5, is_full_run() ? 1 : 11);
}

/* --- each bit of each entry, for each MAXPHYADDR ----------------------------------------------------------- */

static void bits_of_level(unsigned leaf, unsigned changed)
{
	entry_count = tops[mode] - leaf + 1;
	for (unsigned bit = 0; bit < entry_bytes() * 8; bit++) {
		for (unsigned level = leaf; level <= tops[mode]; level++) {
			uint64_t flags = P | RW | US | (level == leaf && leaf > 0 ? PS : 0);

			put(level, level == leaf, level == changed ? flags ^ BIT(bit) : flags, 0);
		}
		compare(bit % 2 ? ACCESS_USER : 0);
		compare(ACCESS_FETCH | ACCESS_USER);
		clear();
	}
}

static void each_bit_of_each_entry(void **state)
{
	static const unsigned settings[] = { 0, WALK_NXE, WALK_PSE | WALK_1G,
					     WALK_NXE | WALK_PSE | WALK_1G };

	(void)state;
	for (enum walk_mode which = WALK_32; which < WALK_MODES; which++) {
		for (unsigned m = 32; m <= 52; m++) {
			for (unsigned i = 0; i < 4; i++) {
				start(which, settings[i], m);
				for (unsigned leaf = 0; leaf < 3 && leaf <= tops[which]; leaf++) {
					for (unsigned level = leaf; level <= tops[which]; level++)
						bits_of_level(leaf, level);
				}
			}
		}
	}
}

static void each_bit_of_a_pdpte(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 21 * 64 * 4; i++) {
		uint64_t pdpte = (TABLE(1) | P) ^ BIT(i % 64),
			 at = PDPT + (addresses[WALK_PAE] >> 30) * 8;

		start(WALK_PAE, i & 64 ? WALK_NXE : 0, 32 + i / 256);
		entry_count = 2;
		put(1, false, P | RW | US, 0);
		put(0, true, P | RW | US, 0x7000);
		cpu.pdptes_in_memory = i & 128;
		cpu.cr3 = PDPT | 0x18; /* PWT and PCD */
		if (cpu.pdptes_in_memory)
			memcpy(arena + at, &pdpte, sizeof(pdpte));
		else
			cpu.pdpte[gva >> 30] = pdpte;
		compare(ACCESS_USER);
		compare(ACCESS_WRITE);
		memset(arena + at, 0, sizeof(pdpte));
		clear();
	}
}

/* --- anything --------------------------------------------------------------------------------------------- */

static uint64_t random_flags(unsigned level)
{
	uint64_t flags = (chance(16) ? 0 : P) | (chance(4) ? 0 : RW) | (chance(4) ? 0 : US);

	flags |= (chance(2) ? A : 0) | (chance(2) ? D : 0) | (chance(4) ? NX : 0);
	flags |= chance(level == 0 ? 2 : 4) ? PS : 0;
	flags |= (random64() & 3) << 3; /* PWT, PCD */
	flags |= chance(12) ? BIT(random64() % 64) : 0;
	return mode >= WALK_4 ? flags | (random64() & 15) << 59 : flags;
}

static void random_walks(void **state)
{
	unsigned rounds = is_full_run() ? 5000000 : 400000;

	(void)state;
	succeeded = 0;
	for (unsigned i = 0; i < rounds; i++) {
		unsigned m = 32 + (unsigned)(random64() % 21);

		start((enum walk_mode)(WALK_32 + random64() % 4), (unsigned)random64() & WALK_ALL,
		      m);
		gva = mode >= WALK_4 ? random64() : random64() & 0xffffffff;
		if (mode == WALK_PAE)
			cpu.pdpte[gva >> 30] = TABLE(1) | P;
		cpu.pkru = (uint32_t)random64();
		cpu.pkrs = (uint32_t)random64();
		entry_count = tops[mode] + 1;
		for (unsigned level = 0; level <= tops[mode]; level++) {
			uint64_t flags = random_flags(level);

			put(level, level == 0 || ((flags & PS) && level < 3), flags,
			    random64() & (BIT(m) - 1));
		}
		compare(walk_accesses[random64() % WALK_ACCESSES]);
		clear();
	}
	assert_true(succeeded > rounds / 20);
}

static void paging_off(void **state)
{
	(void)state;
	start(WALK_OFF, WALK_ALL, 40);
	entry_count = 0;
	for (unsigned i = 0; i < WALK_ACCESSES; i++)
		compare(walk_accesses[i]);
}

/* --- when the format is made ------------------------------------------------------------------------------ */

static void made_when_the_role_changes(void **state)
{
	struct page_format format = { .role = 0 };
	struct paging_role role = { .cr0 = CR0_PE | CR0_PG,
				    .efer = EFER_LMA | EFER_LME,
				    .cr4 = CR4_PAE,
				    .maxphyaddr = 40 };
	static const uint64_t cr4[] = { CR4_PSE, CR4_LA57, CR4_SMEP, CR4_SMAP,
					CR4_PKE, CR4_PKS,  CR4_CET };

	(void)state;
	assert_true(page_role_update(&format, &role));
	assert_false(page_role_update(&format, &role));
	role.cr3 = 0x1000;
	role.pkru = role.pkrs = 4;
	role.ac = true;
	role.cr0 |= CR0_TS | CR0_AM;
	role.cr4 |= CR4_PGE | CR4_OSXSAVE | CR4_PCIDE | CR4_UMIP;
	role.efer |= EFER_SCE;
	assert_false(page_role_update(&format, &role));
	for (unsigned i = 0; i < sizeof(cr4) / sizeof(cr4[0]); i++) {
		role.cr4 ^= cr4[i];
		assert_true(page_role_update(&format, &role));
		assert_false(page_role_update(&format, &role));
	}
	role.cr0 ^= CR0_WP;
	assert_true(page_role_update(&format, &role));
	role.efer ^= EFER_NXE;
	assert_true(page_role_update(&format, &role));
	role.maxphyaddr = 46;
	assert_true(page_role_update(&format, &role));
	role.huge_pages = true;
	assert_true(page_role_update(&format, &role));
	role.efer &= ~EFER_LMA;
	assert_true(page_role_update(&format, &role));
	role.cr4 &= ~CR4_PAE;
	assert_true(page_role_update(&format, &role));
	role.cr0 &= ~CR0_PG;
	assert_true(page_role_update(&format, &role));
	assert_false(page_role_update(&format, &role));
}

/* A format that was made before gives the same answers as one made for the walk. */
static void no_format_is_as_good(void **state)
{
	struct gva_result with, without;

	(void)state;
	for (unsigned bits = 0; bits < 64; bits++) {
		struct paging_role role;

		start(WALK_4, bits, 40);
		entry_count = 4;
		for (unsigned level = 0; level < 4; level++)
			put(level, level == 0,
			    P | (bits & 1 ? RW : 0) | (bits & 2 ? US : 0) | A | D, 0x5000);
		role = walk_role(&cpu);
		for (unsigned i = 0; i < WALK_ACCESSES; i++) {
			bool ok;

			role.format = NULL;
			ok = gva_walk(&role, &arena_reader, (gva_t){ gva }, walk_accesses[i],
				      &without);
			page_role_update(&kept, &role);
			role.format = &kept;
			assert_int_equal(ok, gva_walk(&role, &arena_fast_reader, (gva_t){ gva },
						      walk_accesses[i], &with));
			assert_int_equal(with.error_code, without.error_code);
		}
		clear();
	}
}

/* What the builder builds for the hypervisor itself, read as the CPU reads it. */
static void host_tables_are_understood(void **state)
{
	struct page_format host;

	(void)state;
	for (unsigned i = 0; i < 32 * 3 * 2 * 2; i++) {
		unsigned rights_given = i % 32, leaf = i / 32 % 3;
		enum memtype type = i / 96 % 2 ? MEMTYPE_UC : MEMTYPE_WB;
		struct gva_result result;
		struct paging_role role;
		uint64_t entry;

		start(i / 192 ? WALK_5 : WALK_4,
		      WALK_WP | WALK_NXE | WALK_SMEP | WALK_SMAP | WALK_1G, 46);
		role = walk_role(&cpu);
		page_format_init(&host, PAGE_FORMAT_HOST, tops[mode] + 1, 2, 46);
		entry_count = tops[mode] - leaf + 1;
		for (unsigned level = leaf + 1; level <= tops[mode]; level++)
			put(level, false, page_format_table(&host, (hpa_t){ 0 }), 0);
		entry = page_format_leaf(&host, (hpa_t){ 0x340000000 }, leaf, rights_given, type);
		put(leaf, true, entry, 0);
		assert_int_equal(gva_walk(&role, &arena_reader, (gva_t){ gva }, ACCESS_PEEK,
					  &result),
				 rights_given & RIGHT_READ);
		if (rights_given & RIGHT_READ) {
			assert_int_equal(result.gpa.v, 0x340000000 + gva % page_bytes(leaf));
			assert_int_equal(result.rights, page_format_rights(&host, entry));
			assert_int_equal(page_format_pat_index(result.entry, leaf > 0),
					 type == MEMTYPE_UC ? 3 : 0);
		}
		clear();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paging_off),
		cmocka_unit_test(made_when_the_role_changes),
		cmocka_unit_test(no_format_is_as_good),
		cmocka_unit_test(host_tables_are_understood),
		cmocka_unit_test(rights_32),
		cmocka_unit_test(rights_pae),
		cmocka_unit_test(rights_4_level),
		cmocka_unit_test(rights_5_level),
		cmocka_unit_test(shapes_of_entries),
		cmocka_unit_test(each_bit_of_each_entry),
		cmocka_unit_test(each_bit_of_a_pdpte),
		cmocka_unit_test(random_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
