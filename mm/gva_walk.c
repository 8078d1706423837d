/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One function reads tables with 8-byte entries (PAE, 4 and 5 levels), one those with 4-byte entries. Both leave
 * what they met in a struct walk; rights and accessed bits are decided afterwards from the combined entries. In
 * front of them a short cut for 4 levels takes the walks that have nothing special, and leaves all else to them.
 */
#include "mm/gva_walk.h"

#include <stddef.h>

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"

#define ENTRY_P		  BIT64(0)
#define ENTRY_RW	  BIT64(1)
#define ENTRY_US	  BIT64(2)
#define ENTRY_A		  BIT64(5)
#define ENTRY_D		  BIT64(6)
#define ENTRY_PS	  BIT64(7)
#define ENTRY_KEY	  BITS64(62, 59)
#define ENTRY_NX	  BIT64(63)

#define HUGE_PAGE_SHIFT	  30u

#define PDPTE_RESERVED	  (BITS64(2, 1) | BITS64(8, 5))
/* A large page has reserved bits between its PAT bit (12) and its address. */
#define RESERVED_2M	  BITS64(20, 13)
#define RESERVED_1G	  BITS64(29, 13)

#define TABLE32_ADDRESS	  BITS64(31, 12)
#define LARGE32_LOW	  BITS64(31, 22)
#define LARGE32_HIGH	  BITS64(20, 13) /* PSE-36: physical address bits 39:32 */
#define LARGE32_HIGH_BITS 8u
#define LARGE32_RESERVED  BIT64(21)

#define WALK_LEVELS	  5u
/* Every lost race is another CPU's success; one that loses so often fights a writer that means it. */
#define WALK_TRIES	  1000u

enum outcome { WALK_DONE, WALK_FAULT, WALK_NO_MEMORY, WALK_RACE };

struct walk {
	uint64_t at[WALK_LEVELS];    /* where the entry of each level is */
	uint64_t entry[WALK_LEVELS]; /* and what it was */
	uint64_t all;		     /* bits that every entry has */
	uint64_t any;		     /* bits that some entry has */
	unsigned top, leaf;	     /* levels between which there are entries */
	uint32_t fault;		     /* PFERR_PRESENT and PFERR_RESERVED */
	uint64_t gpa;
	uint64_t page_bytes;
};

static enum outcome walk_fault(struct walk *walk, uint64_t fault)
{
	walk->fault = (uint32_t)fault;
	return WALK_FAULT;
}

static bool is_bad_large_page(const struct paging_role *role, uint64_t entry, unsigned level)
{
	if (level == 1)
		return entry & RESERVED_2M;
	return level > 2 || !role->huge_pages || (entry & RESERVED_1G);
}

static enum outcome walk_wide(const struct paging_role *role, const struct gva_reader *reader,
			      uint64_t gva, uint64_t table, uint64_t reserved, struct walk *walk)
{
	uint64_t address_bits = BITS64(role->maxphyaddr - 1, PAGE_SHIFT);
	unsigned level = walk->top;
	uint64_t all = ~UINT64_C(0), any = 0;
	uint64_t entry;

	for (;; level--) {
		uint64_t at = (table & address_bits) +
			      (gva >> (PAGE_SHIFT + 9 * level) & 0x1ff) * sizeof(entry);

		if (UNLIKELY(!reader->read(reader->context, (gpa_t){ at }, sizeof(entry), &entry)))
			return WALK_NO_MEMORY;
		walk->at[level] = at;
		walk->entry[level] = entry;
		if (UNLIKELY(!(entry & ENTRY_P)))
			return walk_fault(walk, 0);
		if (UNLIKELY(entry & reserved))
			return walk_fault(walk, PFERR_PRESENT | PFERR_RESERVED);
		all &= entry;
		any |= entry;
		if (level == 0)
			break;
		if (entry & ENTRY_PS) {
			if (is_bad_large_page(role, entry, level))
				return walk_fault(walk, PFERR_PRESENT | PFERR_RESERVED);
			break;
		}
		table = entry;
	}
	walk->all = all;
	walk->any = any;
	walk->leaf = level;
	walk->page_bytes = PAGE_BYTES << (9 * level);
	walk->gpa =
		(entry & address_bits & ~(walk->page_bytes - 1)) | (gva & (walk->page_bytes - 1));
	return WALK_DONE;
}

static enum outcome walk_long(const struct paging_role *role, const struct gva_reader *reader,
			      uint64_t gva, struct walk *walk)
{
	uint64_t reserved = BITS64(51, 0) & ~(BIT64(role->maxphyaddr) - 1);

	if (!(role->efer & EFER_NXE))
		reserved |= ENTRY_NX;
	walk->top = role->cr4 & CR4_LA57 ? 4 : 3;
	return walk_wide(role, reader, gva, role->cr3, reserved, walk);
}

static enum outcome walk_pae(const struct paging_role *role, const struct gva_reader *reader,
			     uint64_t gva, struct walk *walk)
{
	uint64_t reserved = BITS64(62, 0) & ~(BIT64(role->maxphyaddr) - 1);
	uint64_t pdpte = role->pdptr[gva >> 30 & 3];

	if (!(pdpte & ENTRY_P))
		return walk_fault(walk, 0);
	if (pdpte & (reserved | PDPTE_RESERVED | ENTRY_NX))
		return walk_fault(walk, PFERR_PRESENT | PFERR_RESERVED);
	if (!(role->efer & EFER_NXE))
		reserved |= ENTRY_NX;
	walk->top = 1;
	return walk_wide(role, reader, gva, pdpte, reserved, walk);
}

/* A 4 MiB page of 32-bit paging; SDM: "32-Bit Paging", PSE-36. */
static enum outcome large_page_32(const struct paging_role *role, uint64_t gva, uint64_t entry,
				  struct walk *walk)
{
	uint64_t high = field_get(LARGE32_HIGH, entry);
	unsigned high_bits = role->maxphyaddr > 32 ? role->maxphyaddr - 32u : 0;

	if (entry & LARGE32_RESERVED)
		return walk_fault(walk, PFERR_PRESENT | PFERR_RESERVED);
	if (high_bits < LARGE32_HIGH_BITS && high >> high_bits)
		return walk_fault(walk, PFERR_PRESENT | PFERR_RESERVED);
	walk->leaf = 1;
	walk->all = walk->any = entry;
	walk->page_bytes = LARGE_PAGE_BYTES * 2;
	walk->gpa = (entry & LARGE32_LOW) | high << 32 | (gva & (walk->page_bytes - 1));
	return WALK_DONE;
}

static enum outcome walk_narrow(const struct paging_role *role, const struct gva_reader *reader,
				uint64_t gva, struct walk *walk)
{
	uint64_t table = role->cr3;

	walk->top = 1;
	for (unsigned level = 1;; level--) {
		uint64_t at = (table & TABLE32_ADDRESS) +
			      (gva >> (PAGE_SHIFT + 10 * level) & 0x3ff) * sizeof(uint32_t);
		uint64_t entry;

		if (!reader->read(reader->context, (gpa_t){ at }, sizeof(uint32_t), &entry))
			return WALK_NO_MEMORY;
		walk->at[level] = at;
		walk->entry[level] = entry;
		if (!(entry & ENTRY_P))
			return walk_fault(walk, 0);
		if (level == 1 && (entry & ENTRY_PS) && (role->cr4 & CR4_PSE))
			return large_page_32(role, gva, entry, walk);
		if (level == 0)
			break;
		table = entry;
	}
	walk->leaf = 0;
	walk->all = walk->entry[1] & walk->entry[0];
	walk->any = 0; /* no execute-disable bit */
	walk->page_bytes = PAGE_BYTES;
	walk->gpa = (walk->entry[0] & TABLE32_ADDRESS) | (gva & (PAGE_BYTES - 1));
	return WALK_DONE;
}

static enum outcome walk_tables(const struct paging_role *role, const struct gva_reader *reader,
				uint64_t gva, struct walk *walk)
{
	if (LIKELY(role->efer & EFER_LMA))
		return walk_long(role, reader, gva, walk);
	if (role->cr4 & CR4_PAE)
		return walk_pae(role, reader, gva, walk);
	return walk_narrow(role, reader, gva, walk);
}

static bool is_user_access(unsigned access)
{
	return (access & (ACCESS_USER | ACCESS_IMPLICIT)) == ACCESS_USER;
}

/* Whether the protection key forbids a data access. SDM: "Protection Keys". */
static bool key_forbids(const struct paging_role *role, const struct walk *walk, unsigned access)
{
	bool user_page = walk->all & ENTRY_US;
	uint32_t rights = user_page ? role->pkru : role->pkrs;
	bool write_counts = is_user_access(access) || (role->cr0 & CR0_WP);
	unsigned key;

	if (!(role->efer & EFER_LMA) || (access & ACCESS_FETCH))
		return false;
	if (!(role->cr4 & (user_page ? CR4_PKE : CR4_PKS)))
		return false;
	if (!user_page && is_user_access(access))
		return false;
	key = (unsigned)field_get(ENTRY_KEY, walk->entry[walk->leaf]);
	rights >>= 2 * key;
	return (rights & 1) || ((rights & 2) && (access & ACCESS_WRITE) && write_counts);
}

/* `all` and `any`: as in struct walk. */
static inline bool fetch_forbidden(const struct paging_role *role, unsigned access, uint64_t all,
				   uint64_t any)
{
	bool user_page = all & ENTRY_US;

	if (any & ENTRY_NX)
		return true;
	if (is_user_access(access))
		return !user_page;
	return user_page && (role->cr4 & CR4_SMEP);
}

/* SDM: "Determination of Access Rights". */
static inline bool data_forbidden(const struct paging_role *role, unsigned access, uint64_t all)
{
	bool user_page = all & ENTRY_US;
	bool no_write = (access & ACCESS_WRITE) && !(all & ENTRY_RW);

	if (is_user_access(access))
		return !user_page || no_write;
	if (user_page && (role->cr4 & CR4_SMAP) && (!role->ac || (access & ACCESS_IMPLICIT)))
		return true;
	return no_write && (role->cr0 & CR0_WP);
}

static enum outcome check_rights(const struct paging_role *role, unsigned access, struct walk *walk)
{
	bool forbidden = access & ACCESS_FETCH ? fetch_forbidden(role, access, walk->all, walk->any)
					       : data_forbidden(role, access, walk->all);
	uint64_t fault = 0;

	if (UNLIKELY(role->cr4 & (CR4_PKE | CR4_PKS)) && key_forbids(role, walk, access))
		fault = PFERR_PRESENT | PFERR_KEY;
	if (forbidden)
		fault |= PFERR_PRESENT;
	return LIKELY(fault == 0) ? WALK_DONE : walk_fault(walk, fault);
}

static enum outcome set_accessed(const struct paging_role *role, const struct gva_reader *reader,
				 unsigned access, const struct walk *walk)
{
	bool wide = (role->efer & EFER_LMA) || (role->cr4 & CR4_PAE);
	unsigned bytes = wide ? sizeof(uint64_t) : sizeof(uint32_t);

	for (unsigned level = walk->top;; level--) {
		uint64_t wanted = walk->entry[level] | ENTRY_A;
		bool same = true;

		if (level == walk->leaf && (access & ACCESS_WRITE))
			wanted |= ENTRY_D;
		if (wanted != walk->entry[level] &&
		    !reader->exchange(reader->context, (gpa_t){ walk->at[level] }, bytes,
				      walk->entry[level], wanted, &same))
			return WALK_NO_MEMORY;
		if (!same)
			return WALK_RACE;
		if (level == walk->leaf)
			return WALK_DONE;
	}
}

static bool needs_accessed(const struct walk *walk, unsigned access)
{
	if (!(walk->all & ENTRY_A))
		return true;
	return (access & ACCESS_WRITE) && !(walk->entry[walk->leaf] & ENTRY_D);
}

static enum outcome walk_once(const struct paging_role *role, const struct gva_reader *reader,
			      uint64_t gva, unsigned access, struct walk *walk)
{
	enum outcome outcome = walk_tables(role, reader, gva, walk);

	if (UNLIKELY(outcome != WALK_DONE) || (access & ACCESS_PEEK))
		return outcome;
	outcome = check_rights(role, access, walk);
	if (LIKELY(outcome == WALK_DONE) && UNLIKELY(needs_accessed(walk, access)))
		return set_accessed(role, reader, access, walk);
	return outcome;
}

/* --- the fast path -------------------------------------------------------------------------------- */

static inline bool window_has(const struct gva_window *window, uint64_t gpa)
{
	return gpa - window->base[0] < window->bytes[0] ||
	       gpa - window->base[1] < window->bytes[1] ||
	       gpa - window->base[2] < window->bytes[2] || gpa - window->base[3] < window->bytes[3];
}

/* What the fast path found; no address of a local is taken on the way. */
struct fast_walk {
	uint64_t all, any, entry;
	unsigned shift; /* of the page */
};

/*
 * The entries of a 4-level walk, through the window. Nothing is checked on the way: an entry that is not present or
 * otherwise bad leads to some other place in RAM at worst, and is_plain() then refuses the whole.
 */
static inline struct fast_walk fast_entries(const struct gva_window *window, uint64_t address_bits,
					    uint64_t gva, uint64_t table)
{
	struct fast_walk walk = { .all = ~UINT64_C(0), .shift = PAGE_SHIFT + 9 * 3 };
	const uint8_t *virt = *window->virt;

	for (;; walk.shift -= 9) {
		uint64_t at = (table & address_bits) + ((gva >> walk.shift & 0x1ff) << 3);

		if (UNLIKELY(!window_has(window, at)))
			return (struct fast_walk){ .all = 0 };
		table = *(const volatile uint64_t *)(const void *)(virt + at);
		walk.all &= table;
		walk.any |= table;
		if ((table & ENTRY_PS) || walk.shift == PAGE_SHIFT)
			break;
	}
	walk.entry = table;
	return walk;
}

static inline bool is_plain_large_page(const struct paging_role *role, struct fast_walk walk)
{
	uint64_t offset_bits = BIT64(walk.shift) - 1;

	return walk.shift <= HUGE_PAGE_SHIFT &&
	       (walk.shift < HUGE_PAGE_SHIFT || role->huge_pages) &&
	       !(walk.entry & offset_bits & ~BITS64(PAGE_SHIFT, 0));
}

/* Whether everything is as it mostly is: present, no reserved bit, allowed, accessed and dirty bits set. */
static inline bool is_plain(const struct paging_role *role, unsigned access, uint64_t reserved,
			    struct fast_walk walk)
{
	if ((walk.all & (ENTRY_P | ENTRY_A)) != (ENTRY_P | ENTRY_A) || (walk.any & reserved))
		return false;
	if (walk.shift > PAGE_SHIFT && !is_plain_large_page(role, walk))
		return false;
	if (access & ACCESS_FETCH)
		return !fetch_forbidden(role, access, walk.all, walk.any);
	if ((access & ACCESS_WRITE) && !(walk.entry & ENTRY_D))
		return false;
	return !(role->cr4 & (CR4_PKE | CR4_PKS)) && !data_forbidden(role, access, walk.all);
}

/* True: translated. False: nothing is decided, the careful walk has to say what it is. */
static inline bool walk_fast(const struct paging_role *role, const struct gva_window *window,
			     uint64_t gva, unsigned access, struct gva_result *result)
{
	uint64_t address_bits = BITS64(role->maxphyaddr - 1, PAGE_SHIFT);
	uint64_t reserved = BITS64(51, PAGE_SHIFT) & ~address_bits;
	struct fast_walk walk;
	uint64_t offset_bits;

	if (!(role->efer & EFER_NXE))
		reserved |= ENTRY_NX;
	if (window->smap)
		stac();
	walk = fast_entries(window, address_bits, gva, role->cr3);
	if (window->smap)
		clac();
	if (UNLIKELY(!is_plain(role, access, reserved, walk)))
		return false;
	offset_bits = BIT64(walk.shift) - 1;
	result->page_bytes = offset_bits + 1;
	result->gpa.v = (walk.entry & address_bits & ~offset_bits) | (gva & offset_bits);
	return true;
}

static inline bool is_fast(const struct paging_role *role, const struct gva_reader *reader,
			   unsigned access)
{
	return reader->window != NULL && (role->cr0 & CR0_PG) && (role->efer & EFER_LMA) &&
	       !(role->cr4 & CR4_LA57) && !(access & ACCESS_PEEK);
}

/* --- the careful walk ------------------------------------------------------------------------------ */

/* SDM: "Page-Fault Exceptions", the error code. */
static uint32_t error_code(const struct paging_role *role, unsigned access, uint32_t fault)
{
	bool execute_disable = (role->cr4 & CR4_PAE) && (role->efer & EFER_NXE);
	uint64_t code = fault;

	if (access & ACCESS_WRITE)
		code |= PFERR_WRITE;
	if (is_user_access(access))
		code |= PFERR_USER;
	if ((access & ACCESS_FETCH) && (execute_disable || (role->cr4 & CR4_SMEP)))
		code |= PFERR_FETCH;
	return (uint32_t)code;
}

static __attribute__((noinline)) bool walk_carefully(const struct paging_role *role,
						     const struct gva_reader *reader, gva_t gva,
						     unsigned access, struct gva_result *result)
{
	enum outcome outcome;
	struct walk walk;
	unsigned tries = 0;

	if (UNLIKELY(!(role->cr0 & CR0_PG))) {
		result->gpa.v = (uint32_t)gva.v;
		result->page_bytes = PAGE_BYTES;
		return true;
	}
	do {
		outcome = walk_once(role, reader, gva.v, access, &walk);
	} while (UNLIKELY(outcome == WALK_RACE) && ++tries < WALK_TRIES);
	if (LIKELY(outcome == WALK_DONE)) {
		result->gpa.v = walk.gpa;
		result->page_bytes = walk.page_bytes;
		return true;
	}
	result->no_memory = outcome != WALK_FAULT;
	if (outcome == WALK_FAULT)
		result->error_code = error_code(role, access, walk.fault);
	return false;
}

bool gva_walk(const struct paging_role *role, const struct gva_reader *reader, gva_t gva,
	      unsigned access, struct gva_result *result)
{
	result->error_code = 0;
	result->no_memory = false;
	if (LIKELY(is_fast(role, reader, access)) &&
	    LIKELY(walk_fast(role, reader->window, gva.v, access, result)))
		return true;
	return walk_carefully(role, reader, gva, access, result);
}
