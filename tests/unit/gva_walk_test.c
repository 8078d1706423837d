// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The walker against a model that asks of every single bit whether it is reserved, and of every access in words
 * of the manual whether it is allowed. SDM: "Paging", "Access Rights", "Page-Fault Exceptions".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "arch/x86/cr.h"
#include "mm/gva_walk.h"

#define P  BIT64(0)
#define RW BIT64(1)
#define US BIT64(2)
#define A  BIT64(5)
#define D  BIT64(6)
#define PS BIT64(7)
#define NX BIT64(63)

enum mode { MODE_32, MODE_PAE, MODE_4, MODE_5, MODES };

#define MEMORY_BYTES 0x6000u
static uint8_t memory[MEMORY_BYTES];
static unsigned exchanges;

/* A race: before the exchange number `race_at`, somebody writes `race_value` to `race_gpa`. */
static unsigned race_at;
static uint64_t race_gpa, race_value;

static bool read_memory(void *context, gpa_t gpa, unsigned bytes, uint64_t *value)
{
	assert_ptr_equal(context, memory);
	assert_int_equal(gpa.v % bytes, 0);
	if (gpa.v + bytes > MEMORY_BYTES)
		return false;
	*value = 0;
	memcpy(value, memory + gpa.v, bytes);
	return true;
}

static bool exchange_memory(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
			    bool *same)
{
	uint64_t now;

	if (++exchanges == race_at)
		memcpy(memory + race_gpa, &race_value, bytes);
	if (!read_memory(context, gpa, bytes, &now))
		return false;
	*same = now == old;
	if (*same)
		memcpy(memory + gpa.v, &new, bytes);
	return true;
}

static const struct gva_reader reader = { memory, read_memory, exchange_memory, NULL };

/* The same memory in a window: the fast path must give the same answers. Sometimes a page is left out. */
static uint8_t *memory_pointer = memory;
static struct gva_window window = { .virt = &memory_pointer };
static const struct gva_reader fast_reader = { memory, read_memory, exchange_memory, &window };

static uint64_t random_state = 88172645463325252;

static uint64_t random64(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static bool chance(unsigned one_in)
{
	return random64() % one_in == 0;
}

/* --- the model ----------------------------------------------------------------------------------------- */

struct answer {
	bool ok, no_memory;
	uint64_t gpa, page_bytes;
	uint32_t code;
	unsigned count; /* entries in memory that were used */
	uint64_t at[5];
};

static enum mode mode_of(const struct paging_role *role)
{
	if (role->efer & EFER_LMA)
		return role->cr4 & CR4_LA57 ? MODE_5 : MODE_4;
	return role->cr4 & CR4_PAE ? MODE_PAE : MODE_32;
}

/* `level`: 0 page table, 1 directory, 2 directory pointers, ... */
static bool bit_is_reserved(const struct paging_role *role, enum mode mode, unsigned level,
			    bool leaf, unsigned bit)
{
	unsigned m = role->maxphyaddr;

	if (mode == MODE_32) {
		unsigned high = m < 40 ? m : 40;

		/* PDE for 4-MByte page: bits (M-20):13 are address bits M-1:32, 21:(M-19) reserved */
		return level == 1 && leaf && bit <= 21 && bit >= high - 19 && bit >= 13;
	}
	if (bit == 63) {
		if (mode == MODE_PAE && level == 2)
			return true;
		return !(role->efer & EFER_NXE);
	}
	if (mode == MODE_PAE && level == 2 && (bit == 1 || bit == 2 || (bit >= 5 && bit <= 8)))
		return true;
	if (bit >= m && bit <= 51)
		return true;
	if (mode == MODE_PAE && bit >= 52)
		return true;
	if (mode != MODE_PAE && bit == 7 && (level > 2 || (level == 2 && !role->huge_pages)))
		return true;
	if (mode != MODE_PAE && bit == 8 && level > 2 && role->upper_bit8)
		return true;
	if (leaf && level == 1 && bit >= 13 && bit <= 20)
		return true;
	return mode != MODE_PAE && leaf && level == 2 && bit >= 13 && bit <= 29;
}

static bool has_reserved(const struct paging_role *role, enum mode mode, unsigned level, bool leaf,
			 uint64_t entry)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		if ((entry >> bit & 1) && bit_is_reserved(role, mode, level, leaf, bit))
			return true;
	}
	return false;
}

static uint32_t fault_code(const struct paging_role *role, unsigned access, bool present,
			   bool reserved, bool key)
{
	bool user = (access & ACCESS_USER) && !(access & ACCESS_IMPLICIT);
	bool nxe = (role->efer & EFER_NXE) && (role->cr4 & CR4_PAE);
	bool fetch = (access & ACCESS_FETCH) && (nxe || (role->cr4 & CR4_SMEP));

	return (uint32_t)present | (uint32_t)(access & ACCESS_WRITE ? 2 : 0) | (user ? 4u : 0) |
	       (reserved ? 8u : 0) | (fetch ? 16u : 0) | (key ? 32u : 0);
}

/* SDM: "Determination of Access Rights", paragraph by paragraph. */
static bool is_allowed(const struct paging_role *role, unsigned access, bool writable,
		       bool user_page, bool nx)
{
	bool wp = role->cr0 & CR0_WP;
	bool implicit = access & ACCESS_IMPLICIT;
	bool user_mode = (access & ACCESS_USER) && !implicit;

	if (!user_mode) {
		if (access & ACCESS_FETCH)
			return user_page && (role->cr4 & CR4_SMEP) ? false : !nx;
		if (user_page && (role->cr4 & CR4_SMAP)) {
			if (implicit || !role->ac)
				return false;
		}
		return access & ACCESS_WRITE ? writable || !wp : true;
	}
	if (!user_page)
		return false;
	if (access & ACCESS_FETCH)
		return !nx;
	return access & ACCESS_WRITE ? writable : true;
}

/* SDM: "Determination of Access Rights", protection keys. */
static bool key_allows(const struct paging_role *role, unsigned access, bool user_page,
		       uint64_t leaf)
{
	bool user_mode = (access & ACCESS_USER) && !(access & ACCESS_IMPLICIT);
	unsigned key = leaf >> 59 & 15;
	uint32_t pair;

	if (!(role->efer & EFER_LMA) || (access & ACCESS_FETCH))
		return true;
	if (user_page) {
		if (!(role->cr4 & CR4_PKE))
			return true;
		pair = role->pkru >> (2 * key) & 3;
	} else {
		if (!(role->cr4 & CR4_PKS) || user_mode)
			return true;
		pair = role->pkrs >> (2 * key) & 3;
	}
	if (pair & 1)
		return false;
	if (!(pair & 2) || !(access & ACCESS_WRITE))
		return true;
	return !user_mode && !(role->cr0 & CR0_WP);
}

static struct answer model(const struct paging_role *role, uint64_t gva, unsigned access)
{
	static const unsigned tops[MODES] = { 1, 2, 3, 4 };
	enum mode mode = mode_of(role);
	unsigned entry_bytes = mode == MODE_32 ? 4 : 8, index_bits = mode == MODE_32 ? 10 : 9;
	uint64_t table = role->cr3, entry = 0;
	bool writable = true, user_page = true, nx = false, leaf = false, key_ok;
	struct answer answer = { .ok = false };
	unsigned level = tops[mode];

	if (mode == MODE_32 || mode == MODE_PAE)
		gva &= 0xffffffff;
	for (;; level--) {
		if (mode == MODE_PAE && level == 2) {
			entry = role->pdptr[gva >> 30];
		} else {
			uint64_t at = table & ~UINT64_C(0xfff);

			if (mode == MODE_32)
				at &= 0xffffffff;
			else
				at &= (UINT64_C(1) << role->maxphyaddr) - 1;
			at += (gva >> (12 + level * index_bits) & ((1u << index_bits) - 1)) *
			      entry_bytes;
			answer.no_memory = !read_memory(memory, (gpa_t){ at }, entry_bytes, &entry);
			if (answer.no_memory)
				return answer;
			answer.at[answer.count++] = at;
		}
		if (!(entry & 1)) {
			answer.code = fault_code(role, access, false, false, false);
			return answer;
		}
		leaf = level == 0 || ((entry & PS) && (mode == MODE_32	  ? !!(role->cr4 & CR4_PSE)
						       : mode == MODE_PAE ? level == 1
									  : level <= 2));
		if (has_reserved(role, mode, level, leaf, entry)) {
			answer.code = fault_code(role, access, true, true, false);
			return answer;
		}
		if (!(mode == MODE_PAE && level == 2)) {
			writable = writable && (entry & RW);
			user_page = user_page && (entry & US);
			nx = nx || (mode != MODE_32 && (entry & NX));
		}
		if (leaf)
			break;
		table = entry;
	}
	answer.page_bytes = UINT64_C(1) << (12 + level * index_bits);
	answer.gpa = entry & (mode == MODE_32 ? 0xffffffff : (UINT64_C(1) << role->maxphyaddr) - 1);
	answer.gpa = answer.gpa / answer.page_bytes * answer.page_bytes + gva % answer.page_bytes;
	if (mode == MODE_32 && level == 1)
		answer.gpa += (entry >> 13 & 0xff) << 32;
	key_ok = key_allows(role, access, user_page, entry);
	answer.ok = (access & ACCESS_PEEK) ||
		    (key_ok && is_allowed(role, access, writable, user_page, nx));
	if (!answer.ok)
		answer.code = fault_code(role, access, true, false, !key_ok);
	return answer;
}

/* --- comparison ---------------------------------------------------------------------------------------- */

/* What the walk may have done to memory: A in all used entries and D in the leaf, or nothing. */
static void check_memory(uint8_t *expected, const struct answer *answer, unsigned access)
{
	for (unsigned i = 0; answer->ok && !(access & ACCESS_PEEK) && i < answer->count; i++) {
		expected[answer->at[i]] |= (uint8_t)A;
		if (i == answer->count - 1 && (access & ACCESS_WRITE))
			expected[answer->at[i]] |= (uint8_t)D;
	}
	assert_true(memcmp(memory, expected, MEMORY_BYTES) == 0);
}

static bool compare_by(const struct gva_reader *by, const struct paging_role *role, uint64_t gva,
		       unsigned access)
{
	uint8_t before[MEMORY_BYTES];
	struct answer want = model(role, gva, access);
	struct gva_result result = { .error_code = 0xdead };
	bool ok;

	memcpy(before, memory, MEMORY_BYTES);
	ok = gva_walk(role, by, (gva_t){ gva }, access, &result);
	assert_int_equal(ok, want.ok);
	assert_int_equal(result.no_memory, want.no_memory);
	if (ok) {
		assert_int_equal(result.gpa.v, want.gpa);
		assert_int_equal(result.page_bytes, want.page_bytes);
	} else if (!want.no_memory) {
		assert_int_equal(result.error_code, want.code);
	}
	check_memory(before, &want, access);
	return ok;
}

/* A format that is kept from walk to walk, as a vcpu keeps it. */
static struct page_format kept;

/* Three times: carefully, with a window, and with a window when accessed bits are set already. */
static bool compare(const struct paging_role *role, uint64_t gva, unsigned access)
{
	struct paging_role with = *role;
	uint8_t before[MEMORY_BYTES];
	unsigned split = (unsigned)(random64() % 7) * 0x1000;

	window.base[0] = 0;
	window.bytes[0] = split < MEMORY_BYTES ? split : MEMORY_BYTES;
	window.base[1] = window.bytes[0];
	window.bytes[1] = MEMORY_BYTES - window.bytes[0];
	if (chance(8))
		window.bytes[1] /= 2;
	window.bytes[1] &= ~UINT64_C(0xfff);
	memcpy(before, memory, MEMORY_BYTES);
	compare_by(&reader, role, gva, access);
	memcpy(memory, before, MEMORY_BYTES);
	page_role_update(&kept, role);
	with.format = &kept;
	compare_by(&fast_reader, &with, gva, access);
	return compare_by(&fast_reader, &with, gva, access);
}

static const unsigned accesses[] = {
	0,
	ACCESS_WRITE,
	ACCESS_FETCH,
	ACCESS_USER,
	ACCESS_USER | ACCESS_WRITE,
	ACCESS_USER | ACCESS_FETCH,
	ACCESS_IMPLICIT,
	ACCESS_IMPLICIT | ACCESS_WRITE,
	ACCESS_IMPLICIT | ACCESS_USER,
	ACCESS_IMPLICIT | ACCESS_USER | ACCESS_WRITE,
	ACCESS_PEEK,
	ACCESS_PEEK | ACCESS_USER | ACCESS_FETCH,
};

static struct paging_role basic_role(enum mode mode)
{
	struct paging_role role = {
		.cr0 = CR0_PE | CR0_PG, .cr3 = 0x1000, .maxphyaddr = 40, .huge_pages = true
	};

	if (mode != MODE_32)
		role.cr4 |= CR4_PAE;
	if (mode >= MODE_4)
		role.efer |= EFER_LMA | EFER_LME;
	if (mode == MODE_5)
		role.cr4 |= CR4_LA57;
	return role;
}

static void put(enum mode mode, uint64_t at, uint64_t entry)
{
	memcpy(memory + at, &entry, mode == MODE_32 ? 4 : 8);
}

/*
 * Tables for `gva` with one page a level from 0x1000 on; entries[level] are the flags. An entry with PS where a
 * large page is possible gets `frame`, which is aligned for it.
 */
static void build(enum mode mode, struct paging_role *role, uint64_t gva, const uint64_t *entries,
		  uint64_t frame)
{
	static const unsigned tops[MODES] = { 1, 2, 3, 4 };
	unsigned index_bits = mode == MODE_32 ? 10 : 9, entry_bytes = mode == MODE_32 ? 4 : 8;
	uint64_t page = 0x1000;

	memset(memory, 0, MEMORY_BYTES);
	for (unsigned level = tops[mode];; level--) {
		uint64_t index = gva >> (12 + level * index_bits) & ((1u << index_bits) - 1);
		bool leaf = level == 0 || ((entries[level] & PS) && level <= 2);
		uint64_t bytes = UINT64_C(1) << (12 + level * index_bits);
		uint64_t address = leaf ? frame & ~(bytes - 1) : page + 0x1000;

		if (mode == MODE_PAE && level == 2) {
			role->pdptr[index & 3] = page | entries[level];
			continue;
		}
		put(mode, page + index * entry_bytes, address | entries[level]);
		page += 0x1000;
		if (leaf)
			break;
	}
}

/* --- all combinations of rights ---------------------------------------------------------------------- */

static void apply_role_bits(struct paging_role *role, unsigned bits)
{
	role->cr0 |= bits & 1 ? CR0_WP : 0;
	role->cr4 |= bits & 2 ? CR4_SMEP : 0;
	role->cr4 |= bits & 4 ? CR4_SMAP : 0;
	role->ac = bits & 8;
	role->efer |= bits & 16 ? EFER_NXE : 0;
	role->cr4 |= bits & 32 ? CR4_PKE | CR4_PKS : 0;
}

static uint64_t rights_of(unsigned bits, enum mode mode)
{
	return P | (bits & 1 ? RW : 0) | (bits & 2 ? US : 0) |
	       (bits & 4 && mode != MODE_32 ? NX : 0);
}

/* All role bits, all accesses, all rights of two levels (the leaf and one above); the others allow everything. */
static void all_rights(enum mode mode)
{
	for (unsigned role_bits = 0; role_bits < 64; role_bits++) {
		struct paging_role role = basic_role(mode);

		apply_role_bits(&role, role_bits);
		role.pkru = role.pkrs = UINT32_C(0x55555555) << (role_bits & 1) &
					0xfffffffc; /* key 0 allows everything */
		for (unsigned bits = 0; bits < 64; bits++) {
			for (unsigned key = 0; key < (mode >= MODE_4 ? 2u : 1u); key++) {
				uint64_t e[5] = { rights_of(bits, mode), rights_of(bits >> 3, mode),
						  P | RW | US, P | RW | US, P | RW | US };

				e[0] |= (uint64_t)key << 59;
				if (mode == MODE_PAE)
					e[2] = P;
				build(mode, &role, 0x12345678, e, 0x3456789000);
				for (unsigned i = 0; i < sizeof(accesses) / sizeof(accesses[0]);
				     i++) {
					compare(&role, 0x12345678, accesses[i]);
					build(mode, &role, 0x12345678, e, 0x3456789000);
				}
			}
		}
	}
}

static void rights_32(void **state)
{
	(void)state;
	all_rights(MODE_32);
}

static void rights_pae(void **state)
{
	(void)state;
	all_rights(MODE_PAE);
}

static void rights_4_level(void **state)
{
	(void)state;
	all_rights(MODE_4);
}

static void rights_5_level(void **state)
{
	(void)state;
	all_rights(MODE_5);
}

/* --- each bit of each entry ----------------------------------------------------------------------------- */

static void each_bit_of_each_entry(void **state)
{
	static const uint8_t widths[] = { 32, 36, 39, 40, 46, 52 };

	(void)state;
	for (enum mode mode = MODE_32; mode < MODES; mode++) {
		for (unsigned w = 0; w < 6 * 16u; w++) {
			for (unsigned level = 0; level < 5; level++) {
				struct paging_role role = basic_role(mode);

				role.maxphyaddr = widths[w % 6];
				role.efer |= w / 6 & 1 ? EFER_NXE : 0;
				role.huge_pages = w / 6 & 2;
				role.upper_bit8 = w / 6 & 8;
				role.cr4 |= w / 6 & 4 ? CR4_PSE : 0;
				for (unsigned bit = 0; bit < (mode == MODE_32 ? 32u : 64u); bit++) {
					uint64_t e[5] = { P | RW | US, P | RW | US, P | RW | US,
							  P | RW | US, P | RW | US };

					if (mode == MODE_PAE)
						e[2] = P;
					for (unsigned ps = 0; ps < 3; ps++) {
						uint64_t with[5];

						memcpy(with, e, sizeof(with));
						if (ps > 0 && !(mode == MODE_PAE && ps == 2))
							with[ps] |= PS;
						with[level] ^= BIT64(bit);
						build(mode, &role, 0xb1e2f678, with, 0x40000000);
						compare(&role, 0xb1e2f678, 0);
					}
				}
			}
		}
	}
}

/* --- random ------------------------------------------------------------------------------------------- */

static uint64_t random_entry(enum mode mode, unsigned level)
{
	uint64_t entry = P | RW | US;

	entry ^= chance(12) ? P : 0;
	entry ^= chance(3) ? RW : 0;
	entry ^= chance(3) ? US : 0;
	entry |= chance(2) ? A : 0;
	entry |= chance(2) ? D : 0;
	entry |= chance(level == 0 ? 2 : 4) ? PS : 0;
	entry |= chance(4) ? NX : 0;
	entry |= chance(8) ? BIT64(random64() % 64) : 0;
	if (mode >= MODE_4)
		entry |= (random64() & 15) << 59;
	if (mode == MODE_PAE && level == 2)
		entry = chance(20) ? random64() & 0xfff : P;
	return entry;
}

static void random_walks(void **state)
{
	unsigned rounds = getenv("SV_FULL") != NULL ? 1500000 : 150000, successes = 0;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		enum mode mode = (enum mode)(random64() % MODES);
		struct paging_role role = basic_role(mode);
		uint64_t gva = mode >= MODE_4 ? random64() : random64() & 0xffffffff, entries[5];

		apply_role_bits(&role, (unsigned)random64() & 63);
		role.cr4 |= chance(2) ? CR4_PSE : 0;
		role.maxphyaddr = (uint8_t)(36 + random64() % 17);
		role.huge_pages = !chance(4);
		role.upper_bit8 = chance(2);
		role.pkru = (uint32_t)(random64() & random64());
		role.pkrs = (uint32_t)(random64() & random64());
		role.cr3 |= random64() & 0x18; /* PCD, PWT */
		for (unsigned level = 0; level < 5; level++)
			entries[level] = random_entry(mode, level);
		build(mode, &role, gva, entries, random64() & (BIT64(role.maxphyaddr) - 1));
		successes += compare(&role, gva, accesses[random64() % 12]);
	}
	assert_true(successes > rounds / 10);
}

/* --- single cases ---------------------------------------------------------------------------------------- */

static void paging_off_is_identity(void **state)
{
	struct paging_role role = { .cr0 = CR0_PE, .maxphyaddr = 40 };
	struct gva_result result;

	(void)state;
	assert_true(gva_walk(&role, &reader, (gva_t){ 0xfedcba98 }, ACCESS_WRITE | ACCESS_USER,
			     &result));
	assert_int_equal(result.gpa.v, 0xfedcba98);
	assert_int_equal(result.page_bytes, 4096);
}

static void tables_outside_memory(void **state)
{
	struct paging_role role = basic_role(MODE_4);
	struct gva_result result;

	(void)state;
	memset(memory, 0, sizeof(memory));
	put(MODE_4, 0x1000, 0x40000000 | P | RW | US);
	assert_false(gva_walk(&role, &reader, (gva_t){ 0 }, 0, &result));
	assert_true(result.no_memory);
	role.cr3 = 0x80000000;
	assert_false(gva_walk(&role, &reader, (gva_t){ 0 }, 0, &result));
	assert_true(result.no_memory);
}

static void lost_race_walks_again(void **state)
{
	struct paging_role role = basic_role(MODE_4);
	uint64_t e[5] = { P | RW, P | RW, P | RW, P | RW, 0 }, leaf;
	struct gva_result result;

	(void)state;
	build(MODE_4, &role, 0, e, 0x5000);
	/* the fourth exchange is the leaf's: just before, it is made to map another frame */
	exchanges = 0;
	race_at = 4;
	race_gpa = 0x4000;
	race_value = 0x77000 | P | RW;
	assert_true(gva_walk(&role, &reader, (gva_t){ 0x123 }, ACCESS_WRITE, &result));
	assert_int_equal(result.gpa.v, 0x77123);
	memcpy(&leaf, memory + 0x4000, sizeof(leaf));
	assert_int_equal(leaf, 0x77000 | P | RW | A | D);
	assert_int_equal(exchanges, 5);
	/* or to be gone: then the second walk faults */
	build(MODE_4, &role, 0, e, 0x5000);
	exchanges = 0;
	race_value = 0;
	assert_false(gva_walk(&role, &reader, (gva_t){ 0x123 }, ACCESS_WRITE, &result));
	assert_int_equal(result.error_code, PFERR_WRITE);
	assert_false(result.no_memory);
	race_at = 0;
}

static void nothing_is_written_twice(void **state)
{
	struct paging_role role = basic_role(MODE_4);
	uint64_t e[5] = { P | RW | A, P | RW | A, P | RW | A, P | RW | A, 0 };
	struct gva_result result;

	(void)state;
	build(MODE_4, &role, 0, e, 0x5000);
	exchanges = 0;
	assert_true(gva_walk(&role, &reader, (gva_t){ 0 }, 0, &result));
	assert_int_equal(exchanges, 0);
	assert_true(gva_walk(&role, &reader, (gva_t){ 0 }, ACCESS_WRITE, &result));
	assert_int_equal(exchanges, 1);
	assert_true(gva_walk(&role, &reader, (gva_t){ 0 }, ACCESS_WRITE, &result));
	assert_int_equal(exchanges, 1);
}

static bool always_lost(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
			bool *same)
{
	(void)context;
	(void)gpa;
	(void)bytes;
	(void)old;
	(void)new;
	*same = false;
	return true;
}

static void endless_races_end(void **state)
{
	const struct gva_reader hostile = { memory, read_memory, always_lost, NULL };
	struct paging_role role = basic_role(MODE_PAE);
	uint64_t e[5] = { P | RW, P | RW, P, 0, 0 };
	struct gva_result result;

	(void)state;
	build(MODE_PAE, &role, 0, e, 0x5000);
	assert_false(gva_walk(&role, &hostile, (gva_t){ 0 }, 0, &result));
	assert_true(result.no_memory);
}

static void pcid_and_lam_bits_of_cr3_are_no_address(void **state)
{
	struct paging_role role = basic_role(MODE_4);
	uint64_t e[5] = { P | RW, P | RW, P | RW, P | RW, 0 };
	struct gva_result result;

	(void)state;
	build(MODE_4, &role, 0, e, 0x5000);
	role.cr3 |= 0xfff | CR3_LAM_U48 | CR3_LAM_U57;
	assert_true(gva_walk(&role, &reader, (gva_t){ 0 }, 0, &result));
	assert_int_equal(result.gpa.v, 0x5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paging_off_is_identity),
		cmocka_unit_test(tables_outside_memory),
		cmocka_unit_test(lost_race_walks_again),
		cmocka_unit_test(nothing_is_written_twice),
		cmocka_unit_test(endless_races_end),
		cmocka_unit_test(pcid_and_lam_bits_of_cr3_are_no_address),
		cmocka_unit_test(rights_32),
		cmocka_unit_test(rights_pae),
		cmocka_unit_test(rights_4_level),
		cmocka_unit_test(rights_5_level),
		cmocka_unit_test(each_bit_of_each_entry),
		cmocka_unit_test(random_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
