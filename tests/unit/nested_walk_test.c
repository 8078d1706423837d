// sources: mm/nested_walk.c mm/ngpa_walk.c mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Both walks together against the model of walk_model.h put together in the same way: tables of a nested guest in each
 * paging mode, found by EPT or NPT. Memory is compared whole, so that no accessed bit too many is set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/nested_walk.h"
#include "tests/unit/walk_arena.h"
#include "tests/unit/walk_cpu.h"
#include "tests/unit/walk_model.h"

#define BIT(n)		   (UINT64_C(1) << (n))
#define P		   BIT(0)
#define RW		   BIT(1)
#define US		   BIT(2)
#define PS		   BIT(7)
#define NX		   BIT(63)

/* The guest's tables are in the first pages, those of the second stage in the others. */
#define GUEST_TABLE(level) (0x1000u + 0x1000u * (level))
#define SECOND_TABLES	   0x8000u

static const unsigned tops[WALK_MODES] = { 0, 1, 2, 3, 4 };

static struct model_cpu cpu, host;
static struct model_ept ept;
static bool is_npt;
static enum walk_mode mode;
static struct page_format gva_format, ngpa_format;
static uint64_t second_root, next_page;
static uint64_t gva, region[5];
static uint64_t compared, succeeded, faults[5];

/* --- building ------------------------------------------------------------------------------------------------ */

static unsigned second_levels(void)
{
	return is_npt ? (host.la57 ? 5 : 4) : ept.levels;
}

/* Rarely a table is where no memory is. */
static uint64_t second_flags(bool leaf)
{
	uint64_t far = !leaf && chance(400) ? BIT(35) : 0;

	if (is_npt) {
		uint64_t flags = P | RW | US | (chance(2) ? BIT(5) : 0);

		flags ^= chance(150) ? P : 0;
		flags ^= chance(80) ? RW : 0;
		flags ^= chance(80) ? US : 0;
		flags |= chance(12) ? NX : 0;
		return far | flags | (chance(300) ? BIT(51) : 0);
	}
	return far | (chance(50) ? random64() & 7 : 7) | (chance(8) ? 0 : BIT(10)) |
	       (chance(2) ? BIT(8) | BIT(9) : 0) | (leaf ? 6u << 3 : 0) |
	       (chance(300) ? BIT(51) : 0);
}

/* Map the page, or one of 2 MiB or 1 GiB, at `ngpa`. Where there is a table or a page already, it is used. */
static void map_second(uint64_t ngpa, uint64_t gpa, unsigned leaf)
{
	uint64_t table = second_root;

	for (unsigned level = second_levels() - 1;; level--) {
		uint64_t at = table + (ngpa >> (12 + 9 * level) & 0x1ff) * 8, entry;
		uint64_t bytes = BIT(12 + 9 * level);

		memcpy(&entry, arena + at, sizeof(entry));
		if (entry != 0 && level == leaf)
			leaf = 0;
		else if (entry == 0 && level == leaf)
			entry = (gpa & ~(bytes - 1)) | second_flags(true) | (leaf > 0 ? PS : 0);
		else if (entry == 0) {
			entry = next_page | second_flags(false);
			next_page += 0x1000;
		}
		memcpy(arena + at, &entry, sizeof(entry));
		if (level == 0 || (entry & PS))
			return;
		table = entry & UINT64_C(0x7ffff000); /* without the bit that leads out of memory */
	}
}

static uint64_t guest_table(unsigned level)
{
	return region[level] + GUEST_TABLE(level);
}

static uint64_t guest_flags(unsigned level)
{
	uint64_t flags = P | (chance(6) ? 0 : RW) | (chance(4) ? 0 : US);

	flags ^= chance(40) ? P : 0;
	flags |= chance(2) ? BIT(5) | BIT(6) : 0;
	flags |= chance(8) && mode != WALK_32 ? NX : 0;
	flags |= chance(6) && level < 3 ? PS : 0;
	flags |= chance(90) ? BIT(random64() % 64) : 0;
	if (mode == WALK_PAE && level == 2)
		return chance(40) ? BIT(random64() % 64) : P;
	return mode >= WALK_4 ? flags | (random64() & 15) << 59 : flags;
}

static void put_guest(unsigned level, uint64_t frame)
{
	unsigned index_bits = mode == WALK_32 ? 10 : 9, bytes = mode == WALK_32 ? 4 : 8;
	uint64_t flags = guest_flags(level), covers = BIT(12 + index_bits * level);
	bool maps = level == 0 || ((flags & PS) && level < 3 && !(mode == WALK_PAE && level == 2));
	uint64_t index = gva / covers % BIT(index_bits);
	uint64_t entry = maps ? frame / covers * covers : guest_table(level - 1);

	entry |= flags;
	if (mode == WALK_PAE && level == 2) {
		cpu.pdpte[index & 3] = entry;
		index &= 3;
	}
	memcpy(arena + GUEST_TABLE(level) + index * bytes, &entry, bytes);
}

static void start_guest(void)
{
	cpu = walk_model_cpu(mode, (unsigned)random64() & WALK_ALL, 40);
	cpu.pkru = (uint32_t)(random64() & random64());
	cpu.pkrs = (uint32_t)(random64() & random64());
	cpu.pdptes_in_memory = is_npt;
	gva = mode >= WALK_4 ? random64() : random64() & 0xffffffff;
	for (unsigned level = 0; level <= tops[mode]; level++)
		region[level] = (random64() & 3) << 30;
	cpu.cr3 = guest_table(tops[mode]);
}

static void start_second(void)
{
	unsigned bits = (unsigned)random64();
	struct ept_role ept_role = { .maxphyaddr = 40,
				     .levels = bits & 16 ? 5 : 4,
				     .max_leaf_level = bits & 32 ? 2 : 1,
				     .exec_only = bits & 1,
				     .mode_based_exec = bits & 2,
				     .accessed_dirty = bits & 4 };
	struct npt_role npt_role = { .cr4 = CR4_PAE | (bits & 16 ? CR4_LA57 : 0),
				     .efer = EFER_LME | EFER_LMA | (bits & 1 ? EFER_NXE : 0),
				     .maxphyaddr = 40,
				     .huge_pages = bits & 32,
				     .gmet = bits & 2 };

	is_npt = bits & 64;
	next_page = SECOND_TABLES + 0x1000;
	second_root = SECOND_TABLES;
	host = (struct model_cpu){ .pg = true,
				   .pae = true,
				   .lma = true,
				   .npt = true,
				   .la57 = bits & 16,
				   .nxe = bits & 1,
				   .gmet = bits & 2,
				   .pages_1g = bits & 32,
				   .m = 40,
				   .cr3 = second_root };
	ept = (struct model_ept){ .m = 40,
				  .levels = ept_role.levels,
				  .pages_2m = true,
				  .pages_1g = bits & 32,
				  .exec_only = bits & 1,
				  .mbec = bits & 2,
				  .accessed_dirty = bits & 4,
				  .advanced = bits & 8,
				  .eptp = second_root };
	if (is_npt)
		page_role_npt(&ngpa_format, &npt_role);
	else
		page_role_ept(&ngpa_format, &ept_role);
}

static void build(void)
{
	uint64_t frame = random64() & (BIT(40) - 1);

	memset(arena, 0, next_page);
	start_second();
	mode = (enum walk_mode)(random64() % WALK_MODES);
	start_guest();
	for (unsigned level = 0; level <= tops[mode] && mode != WALK_OFF; level++) {
		put_guest(level, frame);
		if (!chance(60))
			map_second(guest_table(level), GUEST_TABLE(level),
				   chance(4) ? 1 + chance(8) : 0);
	}
	if (!chance(40))
		map_second(mode == WALK_OFF ? gva & 0xffffffff : frame, random64() & (BIT(40) - 1),
			   chance(4) ? 1 + chance(8) : 0);
}

/* --- the model of both -------------------------------------------------------------------------------------- */

struct second_fault {
	bool failed, absent, misconfigured;
	uint64_t code, ngpa;
};

/* True: `at` is where it leads to. */
static bool second_npt(uint64_t ngpa, enum model_stage stage, struct model_access how, uint64_t *at,
		       uint64_t *size, struct second_fault *fault)
{
	struct model_walk walk;

	if (stage == MODEL_TABLE)
		how = (struct model_access){ .write = true, .cpl3 = true };
	how.cpl3 = how.cpl3 && !how.implicit;
	walk = model_translate(&host, &arena_memory, ngpa, &how);
	if (walk.end == MODEL_OK && model_mark(&arena_memory, &walk, &how)) {
		*at = walk.physical;
		*size = walk.size;
		return true;
	}
	*fault = (struct second_fault){ true, walk.end == MODEL_ABSENT, false,
					model_error_code(&host, &walk, &how), ngpa };
	fault->code |= stage == MODEL_TABLE ? BIT(33) : BIT(32);
	return false;
}

static bool second_ept(uint64_t ngpa, enum model_stage stage, struct model_access how,
		       const struct model_walk *first, uint64_t *at, uint64_t *size,
		       struct second_fault *fault)
{
	struct model_ept_access access = { .stage = stage, .write = how.write };
	struct model_ept_walk walk;

	if (stage == MODEL_FINAL) {
		access.fetch = how.fetch;
		access.linear_user = first->user;
		access.linear_writable = first->writable;
		access.linear_executable = first->executable;
	}
	walk = model_ept_translate(&ept, &arena_memory, ngpa, &access);
	if (walk.end == EPT_OK) {
		*at = walk.physical;
		*size = walk.size;
		return true;
	}
	*fault = (struct second_fault){ true, walk.end == EPT_ABSENT, walk.end == EPT_MISCONFIG,
					walk.end == EPT_VIOLATION ? walk.qualification : 0, ngpa };
	return false;
}

static bool second(uint64_t ngpa, enum model_stage stage, struct model_access how,
		   const struct model_walk *first, uint64_t *at, uint64_t *size,
		   struct second_fault *fault)
{
	*fault = (struct second_fault){ .failed = false };
	return is_npt ? second_npt(ngpa, stage, how, at, size, fault)
		      : second_ept(ngpa, stage, how, first, at, size, fault);
}

static bool model_read(void *context, uint64_t at, unsigned bytes, uint64_t *value)
{
	struct model_access how = { .write = false };
	uint64_t physical, size;

	return second(at, MODEL_TABLE, how, NULL, &physical, &size, context) &&
	       arena_model_read(NULL, physical, bytes, value);
}

static bool model_set(void *context, uint64_t at, unsigned bytes, uint64_t value)
{
	struct model_access how = { .write = true };
	uint64_t physical, size;

	return second(at, MODEL_TABLE, how, NULL, &physical, &size, context) &&
	       arena_model_set(NULL, physical, bytes, value);
}

struct both {
	enum nested_fault fault;
	uint32_t error_code;
	struct second_fault second;
	uint64_t physical, size;
	struct model_walk first;
};

static struct both model_both(struct model_access how)
{
	struct both both = { .fault = NESTED_NO_FAULT };
	const struct model_memory memory = { &both.second, model_read, model_set };
	bool marked = true;
	uint64_t size;

	both.first = model_translate(&cpu, &memory, gva, &how);
	if (both.first.end == MODEL_OK)
		marked = model_mark(&memory, &both.first, &how);
	if (both.first.end == MODEL_ABSENT || !marked) {
		both.fault =
			both.second.failed && !both.second.absent ? NESTED_TABLE : NESTED_NO_MEMORY;
		return both;
	}
	if (both.first.end != MODEL_OK) {
		both.fault = NESTED_GUEST_PAGE;
		both.error_code = model_error_code(&cpu, &both.first, &how);
		return both;
	}
	if (!second(both.first.physical, MODEL_FINAL, how, &both.first, &both.physical, &size,
		    &both.second)) {
		both.fault = both.second.absent ? NESTED_NO_MEMORY : NESTED_FINAL;
		return both;
	}
	both.size = size < both.first.size ? size : both.first.size;
	return both;
}

/* --- comparison ----------------------------------------------------------------------------------------------- */

static uint8_t before[ARENA_BYTES], after[ARENA_BYTES];

static void check_second(const struct second_fault *want, const struct nested_result *result)
{
	assert_int_equal(result->ngpa.v, want->ngpa);
	assert_int_equal(result->second.code, want->code);
	assert_int_equal(result->second.fault, is_npt		     ? NGPA_NESTED_PAGE_FAULT
					       : want->misconfigured ? NGPA_EPT_MISCONFIGURATION
								     : NGPA_EPT_VIOLATION);
}

static void compare(unsigned access)
{
	const struct ngpa_tables tables = { &ngpa_format, second_root, &arena_reader,
					    !is_npt && ept.advanced };
	struct paging_role role = walk_role(&cpu);
	struct nested_result result;
	struct both want;
	bool ok;

	page_role_update(&gva_format, &role);
	role.format = &gva_format;
	memcpy(before, arena, next_page);
	ok = nested_walk(&role, &tables, (gva_t){ gva }, access, &result);
	memcpy(after, arena, next_page);
	memcpy(arena, before, next_page);
	want = model_both(walk_model_access(access));
	assert_int_equal(result.fault, want.fault);
	assert_int_equal(ok, want.fault == NESTED_NO_FAULT);
	assert_memory_equal(after, arena, next_page);
	if (want.fault == NESTED_GUEST_PAGE)
		assert_int_equal(result.error_code, want.error_code);
	if (want.fault == NESTED_TABLE || want.fault == NESTED_FINAL)
		check_second(&want.second, &result);
	if (ok) {
		assert_int_equal(result.gpa.v, want.physical);
		assert_int_equal(result.page_bytes, want.size);
		assert_int_equal(!!(result.rights & RIGHT_USER), want.first.user);
	}
	compared++;
	succeeded += ok;
	faults[result.fault]++;
}

static void both_walks(void **state)
{
	unsigned rounds = is_full_run() ? 1000000 : 30000;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		build();
		compare(walk_accesses[random64() % WALK_ACCESSES]);
		compare(walk_accesses[random64() % WALK_ACCESSES]);
	}
	assert_true(succeeded > rounds / 3);
	for (unsigned i = NESTED_GUEST_PAGE; i <= NESTED_FINAL; i++)
		assert_true(faults[i] > rounds / 20);
	assert_true(faults[NESTED_NO_MEMORY] > rounds / 200);
}

/* A debugger's look sets nothing and asks for no rights. */
static void a_peek_changes_nothing(void **state)
{
	struct nested_result result;
	unsigned found = 0;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		struct paging_role role;

		build();
		role = walk_role(&cpu);
		memcpy(before, arena, next_page);
		found += nested_walk(&role,
				     &(struct ngpa_tables){ &ngpa_format, second_root,
							    &arena_reader, false },
				     (gva_t){ gva }, ACCESS_PEEK | ACCESS_WRITE, &result);
		assert_memory_equal(before, arena, next_page);
	}
	assert_true(found > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_walks),
		cmocka_unit_test(a_peek_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
