// sources: mm/nested_walk.c mm/ngpa_walk.c mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any tables, any role: the walkers stay in memory, come to an end, and say and do what the model says. Memory is
 * filled with the entries of the input over and over, so that any index finds one and tables lead into each other.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES 0x8000u

#include "mm/nested_walk.h"
#include "tests/unit/walk_arena.h"
#include "tests/unit/walk_cpu.h"
#include "tests/unit/walk_model.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define MEMORY_BYTES ARENA_BYTES
#define MEMORY_PAGES (MEMORY_BYTES / 0x1000u)
#define ENTRIES_MAX  16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	uint8_t mode, access, m, ept, host, root;
	uint8_t entries; /* that count, less one; what follows them does not */
	uint16_t settings;
	uint64_t gva, ngpa;
	uint32_t pkru, pkrs;
	uint64_t entry[ENTRIES_MAX];
} __attribute__((packed));

static struct input input;
static unsigned entry_count;
static uint8_t before[MEMORY_BYTES], after[MEMORY_BYTES];

static void check(bool condition)
{
	if (!condition)
		abort();
}

/* Most entries lead to a page of memory; some, marked by bit 52, are left as they are. */
static uint64_t shaped(uint64_t entry)
{
	if (entry & BIT(52))
		return entry;
	return (entry & ~(BIT(52) - BIT(12))) | (entry >> 12) % MEMORY_PAGES << 12;
}

static void fill_memory(void)
{
	uint64_t entries[ENTRIES_MAX];
	unsigned bytes = entry_count * 8;

	for (unsigned i = 0; i < entry_count; i++)
		entries[i] = shaped(input.entry[i]);
	memcpy(arena, entries, bytes);
	for (; bytes < MEMORY_BYTES / 2; bytes *= 2)
		memcpy(arena + bytes, arena, bytes);
	memcpy(arena + bytes, arena, MEMORY_BYTES - bytes);
}

static uint64_t root_page(void)
{
	return (uint64_t)(input.root % MEMORY_PAGES) << 12;
}

static struct model_cpu make_cpu(void)
{
	struct model_cpu cpu = walk_model_cpu((enum walk_mode)(input.mode % WALK_MODES),
					      input.settings, 32 + input.m % 21);

	cpu.pkru = input.pkru;
	cpu.pkrs = input.pkrs;
	cpu.cr3 = root_page() | (input.settings >> 12 & 3) << 3;
	for (unsigned i = 0; i < 4; i++)
		cpu.pdpte[i] = shaped(input.entry[i % entry_count]);
	return cpu;
}

static unsigned make_access(void)
{
	unsigned access = input.access & (ACCESS_USER | ACCESS_IMPLICIT);

	if (input.access & 0x80)
		return access | ACCESS_WRITE;
	return input.access & 0x40 ? access | ACCESS_FETCH : access;
}

static uint64_t cut(const struct model_cpu *cpu, uint64_t address)
{
	return cpu->lma ? address : (uint32_t)address;
}

/* What the walker left goes to `after`, and memory is as before. */
static void keep_result(void)
{
	memcpy(after, arena, MEMORY_BYTES);
	memcpy(arena, before, MEMORY_BYTES);
}

/* Setting a bit in one entry may change another step of the same walk only if they share it: then they agree. */
static void check_gva(void)
{
	struct model_access how = walk_model_access(make_access());
	struct model_cpu cpu = make_cpu();
	struct paging_role role = walk_role(&cpu);
	struct page_format format = { .role = 0 };
	gva_t gva = { cut(&cpu, input.gva) };
	struct gva_result result, again;
	struct model_walk want;
	bool ok;

	page_role_update(&format, &role);
	role.format = &format;
	fill_memory();
	memcpy(before, arena, MEMORY_BYTES);
	ok = gva_walk(&role, input.ept & 0x80 ? &arena_fast_reader : &arena_reader, gva,
		      make_access(), &result);
	keep_result();
	want = model_translate(&cpu, &arena_memory, gva.v, &how);
	if (want.end == MODEL_OK)
		check(model_mark(&arena_memory, &want, &how));
	check(memcmp(arena, after, MEMORY_BYTES) == 0);
	check(ok == (want.end == MODEL_OK));
	check(result.no_memory == (want.end == MODEL_ABSENT));
	if (!ok) {
		check(result.no_memory || result.error_code == model_error_code(&cpu, &want, &how));
		return;
	}
	check(result.gpa.v == want.physical && result.page_bytes == want.size);
	check((result.rights & RIGHT_WRITE) != 0 || !how.write || !how.cpl3 || how.implicit ||
	      !cpu.pg);
	check((result.rights & RIGHT_EXEC) != 0 || !how.fetch);
	/* accessed and dirty bits are set now: a second walk finds the same and changes nothing */
	check(gva_walk(&role, &arena_reader, gva, make_access(), &again));
	check(again.gpa.v == result.gpa.v && again.rights == result.rights);
	check(memcmp(arena, after, MEMORY_BYTES) == 0);
}

static struct model_ept make_ept(struct page_format *format)
{
	struct model_ept ept = { .m = 32 + input.m % 21,
				 .levels = input.ept & 1 ? 5 : 4,
				 .pages_2m = input.ept & 6,
				 .pages_1g = (input.ept & 6) == 6,
				 .exec_only = input.ept & 8,
				 .mbec = input.ept & 16,
				 .accessed_dirty = input.ept & 32,
				 .advanced = input.ept & 64,
				 .eptp = root_page() | 0x5e };
	struct ept_role role = { .maxphyaddr = (uint8_t)ept.m,
				 .levels = (uint8_t)ept.levels,
				 .max_leaf_level = ept.pages_1g	  ? 2
						   : ept.pages_2m ? 1
								  : 0,
				 .exec_only = ept.exec_only,
				 .mode_based_exec = ept.mbec,
				 .accessed_dirty = ept.accessed_dirty };

	page_role_ept(format, &role);
	return ept;
}

static void check_ept(void)
{
	struct page_format format = { .role = 0 };
	struct model_ept ept = make_ept(&format);
	const struct ngpa_tables tables = { &format, ept.eptp, &arena_reader, ept.advanced };
	struct ngpa_access access = { (enum ngpa_stage)(input.host % 3), make_access(),
				      input.settings & 0x1f };
	struct model_ept_access how = {
		(enum model_stage)(input.host % 3), access.access & ACCESS_WRITE,
		access.access & ACCESS_FETCH,	    access.linear_rights & RIGHT_USER,
		access.linear_rights & RIGHT_WRITE, access.linear_rights & RIGHT_EXEC
	};
	struct model_ept_walk want;
	struct ngpa_result result;
	bool ok;

	if (access.stage != NGPA_FINAL) {
		access.access &= ACCESS_WRITE;
		access.linear_rights = 0;
		how.fetch = how.linear_user = false;
	}
	fill_memory();
	memcpy(before, arena, MEMORY_BYTES);
	ok = ngpa_walk(&tables, (ngpa_t){ input.ngpa }, &access, &result);
	keep_result();
	want = model_ept_translate(&ept, &arena_memory, input.ngpa, &how);
	check(memcmp(arena, after, MEMORY_BYTES) == 0);
	check(ok == (want.end == EPT_OK));
	if (ok)
		check(result.gpa.v == want.physical && result.page_bytes == want.size);
	else if (want.end == EPT_VIOLATION)
		check(result.fault == NGPA_EPT_VIOLATION && result.code == want.qualification);
	else
		check(result.fault ==
		      (want.end == EPT_MISCONFIG ? NGPA_EPT_MISCONFIGURATION : NGPA_NO_MEMORY));
}

/* One memory for both kinds of tables, which then change each other: no model, but it ends and says something sane. */
static void check_both(void)
{
	struct model_cpu cpu = make_cpu();
	struct paging_role role = walk_role(&cpu);
	struct page_format gva_format = { .role = 0 }, format = { .role = 0 };
	struct npt_role npt = { .cr4 = (input.host & 1 ? CR4_PAE : 0) |
				       (input.host & 2 ? CR4_LA57 : 0) |
				       (input.host & 4 ? CR4_PSE : 0),
				.efer = ((input.host & 9) == 9 ? EFER_LMA : 0) |
					(input.host & 16 ? EFER_NXE : 0),
				.maxphyaddr = (uint8_t)cpu.m,
				.huge_pages = input.host & 32,
				.gmet = input.host & 64 };
	struct ngpa_tables tables = { &format, (uint64_t)(input.root >> 4) << 12, &arena_reader,
				      input.ept & 64 };
	struct nested_result result;
	bool is_npt = input.host & 128;

	if (is_npt)
		page_role_npt(&format, &npt);
	else
		(void)make_ept(&format);
	page_role_update(&gva_format, &role);
	role.format = &gva_format;
	role.pdptr_in_memory = is_npt;
	fill_memory();
	if (nested_walk(&role, &tables, (gva_t){ cut(&cpu, input.gva) }, make_access(), &result)) {
		check(result.fault == NESTED_NO_FAULT && result.page_bytes >= 4096);
		check(result.gpa.v < BIT(cpu.m) || cpu.m < 40); /* PSE-36 */
		return;
	}
	check(result.fault != NESTED_NO_FAULT);
	if (result.fault == NESTED_GUEST_PAGE)
		check((result.error_code & ~0x3fu) == 0);
	if (result.fault == NESTED_TABLE && is_npt)
		check((result.second.code >> 32) == 2);
	if (result.fault == NESTED_FINAL && is_npt)
		check((result.second.code >> 32) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const size_t head = offsetof(struct input, entry);

	if (size < head + 8)
		return 0;
	memset(&input, 0, sizeof(input));
	memcpy(&input, data, size < sizeof(input) ? size : sizeof(input));
	entry_count = 1 + input.entries % ENTRIES_MAX;
	if (entry_count > (size - head) / 8)
		entry_count = (unsigned)((size - head) / 8);
	check_gva();
	check_ept();
	check_both();
	return 0;
}
