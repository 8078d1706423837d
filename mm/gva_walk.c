/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine (mm/table_walk.h) leaves the entries it met in a struct table_walk; rights, keys and accessed bits are
 * decided afterwards from all of them together. In front of it a short cut for 4 and 5 levels takes the walks that
 * have nothing special, and leaves all else to the careful one.
 */
#include "mm/gva_walk.h"

#include <stddef.h>

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"
#include "mm/page_entry.h"

#define HUGE_PAGE_SHIFT	 30u
#define LONG_MODE_LEVELS 4u

#define PAGE_USER	 4u /* U/S among the four bits of a page */

/* Whether the format's table forbids this access to a page with these four bits. */
static inline bool is_refused(const struct page_format *format, const struct paging_role *role,
			      unsigned access, unsigned page)
{
	unsigned kind = (access & 0xf) | (role->ac ? PAGE_ACCESS_AC : 0);

	return format->refused[kind] >> page & 1;
}

/* --- the fast path -------------------------------------------------------------------------------- */

static inline bool window_has(const struct gva_window *window, uint64_t gpa)
{
	return gpa - window->base[0] < window->bytes[0] ||
	       gpa - window->base[1] < window->bytes[1] ||
	       gpa - window->base[2] < window->bytes[2] || gpa - window->base[3] < window->bytes[3];
}

#define FAST_PAGE_SHIFT (PAGE_SHIFT - 3)

/* What the fast path found; no address of a local is taken on the way. */
struct fast_walk {
	uint64_t all, any, bad, entry;
	/* Of the page, less 3: an index times the size of an entry is then one mask away. */
	unsigned shift;
};

/*
 * The entries of a walk in 64-bit mode, through the window. Nothing is checked on the way: an entry that is not present
 * or otherwise bad leads to some other place in RAM at worst, and is_plain() then refuses the whole.
 */
static inline struct fast_walk fast_entries(const struct gva_window *window,
					    const struct page_format *format, uint64_t gva,
					    uint64_t table)
{
	struct fast_walk walk = { .all = ~UINT64_C(0),
				  .shift = FAST_PAGE_SHIFT - 9 + 9u * format->levels };
	/* A leaf has reserved bits beyond these, and more of them. */
	const uint64_t *reserved = &format->reserved[0][format->levels - 1];
	uint64_t address_bits = format->address;
	const uint8_t *virt = *window->virt;

	for (;; walk.shift -= 9, reserved--) {
		uint64_t at = (table & address_bits) + (gva >> walk.shift & 0xff8);

		if (UNLIKELY(!window_has(window, at)))
			return (struct fast_walk){ .all = 0 };
		table = *(const volatile uint64_t *)(const void *)(virt + at);
		walk.all &= table;
		walk.any |= table;
		walk.bad |= table & *reserved;
		if ((table & ENTRY_PS) || walk.shift == FAST_PAGE_SHIFT)
			break;
	}
	walk.entry = table;
	return walk;
}

static inline unsigned fast_page(struct fast_walk walk)
{
	return (unsigned)(walk.all & 7) | (unsigned)(~walk.any >> ENTRY_NX_BIT) << 3;
}

/* Whether everything is as it mostly is: present, no reserved bit, allowed, accessed and dirty bits set. */
static inline bool is_plain(const struct paging_role *role, const struct page_format *format,
			    unsigned access, struct fast_walk walk)
{
	if ((walk.all & (ENTRY_P | ENTRY_A)) != (ENTRY_P | ENTRY_A) || walk.bad != 0)
		return false;
	/* where no page may be so large its bit for that is among the reserved ones */
	if (walk.shift > FAST_PAGE_SHIFT &&
	    (walk.entry & format->reserved[1][(walk.shift - FAST_PAGE_SHIFT) / 9]))
		return false;
	if ((access & ACCESS_WRITE) && !(walk.entry & ENTRY_D))
		return false;
	if (format->keys != 0 && !(access & ACCESS_FETCH))
		return false;
	return !is_refused(format, role, access, fast_page(walk));
}

/* True: translated. False: nothing is decided, the careful walk has to say what it is. */
static inline bool walk_fast(const struct paging_role *role, const struct gva_window *window,
			     uint64_t gva, unsigned access, struct gva_result *result)
{
	const struct page_format *format = role->format;
	struct fast_walk walk;
	uint64_t offset_bits;

	if (window->smap)
		stac();
	walk = fast_entries(window, format, gva, role->cr3);
	if (window->smap)
		clac();
	if (UNLIKELY(!is_plain(role, format, access, walk)))
		return false;
	offset_bits = (UINT64_C(8) << walk.shift) - 1;
	result->page_bytes = offset_bits + 1;
	result->gpa.v = (walk.entry & format->address & ~offset_bits) | (gva & offset_bits);
	result->entry = walk.entry;
	result->rights = format->rights[fast_page(walk)];
	return true;
}

static inline bool is_fast(const struct paging_role *role, const struct gva_reader *reader,
			   unsigned access)
{
	return role->format != NULL && role->format->levels >= LONG_MODE_LEVELS &&
	       reader->window != NULL && !(access & ACCESS_PEEK);
}

/* --- the careful walk ------------------------------------------------------------------------------ */

/* PAE: the four entries of the top table are in registers, or in memory under NPT. */
static enum table_walk_outcome walk_pae(const struct paging_role *role,
					const struct page_format *format,
					const struct gva_reader *reader, uint64_t gva,
					struct table_walk *walk)
{
	uint64_t pdpte = role->pdptr[gva >> HUGE_PAGE_SHIFT & 3];
	enum table_walk_outcome outcome;

	if (role->pdptr_in_memory && !table_walk_read_pdpte(reader, role->cr3, gva, &pdpte))
		return TABLE_WALK_NO_MEMORY;
	outcome = table_walk_check_pdpte(format, pdpte);
	if (outcome != TABLE_WALK_DONE)
		return outcome;
	return table_walk(format, reader, pdpte, TABLE_WALK_PDPTE_LEVEL - 1, gva, walk);
}

static enum table_walk_outcome walk_tables(const struct paging_role *role,
					   const struct page_format *format,
					   const struct gva_reader *reader, uint64_t gva,
					   struct table_walk *walk)
{
	if (format->levels == TABLE_WALK_PDPTE_LEVEL + 1)
		return walk_pae(role, format, reader, gva, walk);
	return table_walk(format, reader, role->cr3, format->levels - 1u, gva, walk);
}

/* Whether the protection key forbids a data access. SDM: "Protection Keys". */
static bool key_forbids(const struct paging_role *role, const struct page_format *format,
			unsigned access, unsigned page, uint64_t entry)
{
	uint32_t values = page & PAGE_USER ? role->pkru : role->pkrs;
	unsigned kind = access & (ACCESS_WRITE | ACCESS_FETCH);

	if (access_is_user(access))
		kind |= ACCESS_USER;
	kind |= page & PAGE_USER ? 8 : 0;
	return values >> 2 * field_get(ENTRY_KEY, entry) & format->keys >> 2 * kind & 3;
}

/* The flags of the error code that tell what went wrong; 0: nothing did. */
static uint32_t fault_of(const struct paging_role *role, const struct page_format *format,
			 enum table_walk_outcome outcome, unsigned access,
			 const struct table_walk *walk)
{
	uint64_t fault = 0;
	unsigned page;

	if (outcome == TABLE_WALK_NOT_PRESENT)
		return 0;
	if (outcome == TABLE_WALK_RESERVED)
		return PFERR_PRESENT | PFERR_RESERVED;
	page = table_walk_page(format, walk->all);
	if (is_refused(format, role, access, page))
		fault = PFERR_PRESENT;
	if (format->keys != 0 && key_forbids(role, format, access, page, walk->entry[walk->leaf]))
		fault |= PFERR_PRESENT | PFERR_KEY;
	return (uint32_t)fault;
}

/* SDM: "Page-Fault Exceptions", the error code. */
static uint32_t error_code(const struct page_format *format, unsigned access, uint32_t fault)
{
	uint64_t code = fault;

	if (access & ACCESS_WRITE)
		code |= PFERR_WRITE;
	if (access_is_user(access))
		code |= PFERR_USER;
	if ((access & ACCESS_FETCH) && format->fetch_reported)
		code |= PFERR_FETCH;
	return (uint32_t)code;
}

static enum table_walk_outcome walk_once(const struct paging_role *role,
					 const struct page_format *format,
					 const struct gva_reader *reader, uint64_t gva,
					 unsigned access, struct table_walk *walk, uint32_t *fault)
{
	enum table_walk_outcome outcome = walk_tables(role, format, reader, gva, walk);

	*fault = 0;
	if (outcome == TABLE_WALK_NO_MEMORY)
		return outcome;
	if (outcome == TABLE_WALK_DONE && (access & ACCESS_PEEK))
		return outcome;
	*fault = fault_of(role, format, outcome, access, walk);
	if (outcome != TABLE_WALK_DONE)
		return outcome;
	if (*fault != 0)
		return TABLE_WALK_REFUSED;
	return table_walk_mark(format, reader, access & ACCESS_WRITE, walk);
}

static bool walk_identity(gva_t gva, struct gva_result *result)
{
	result->gpa.v = (uint32_t)gva.v;
	result->page_bytes = PAGE_BYTES;
	result->entry = 0;
	result->rights = RIGHT_ALL | RIGHT_USER;
	return true;
}

static bool walk_by(const struct page_format *format, const struct paging_role *role,
		    const struct gva_reader *reader, gva_t gva, unsigned access,
		    struct gva_result *result)
{
	enum table_walk_outcome outcome;
	struct table_walk walk;
	unsigned tries = 0;
	uint32_t fault;

	if (format->levels == 0)
		return walk_identity(gva, result);
	do {
		outcome = walk_once(role, format, reader, gva.v, access, &walk, &fault);
	} while (UNLIKELY(outcome == TABLE_WALK_RACE) && ++tries < TABLE_WALK_TRIES);
	if (LIKELY(outcome == TABLE_WALK_DONE)) {
		result->gpa.v = walk.address;
		result->page_bytes = walk.page_bytes;
		result->entry = walk.entry[walk.leaf];
		result->rights = format->rights[table_walk_page(format, walk.all)];
		return true;
	}
	result->no_memory = outcome == TABLE_WALK_NO_MEMORY || outcome == TABLE_WALK_RACE;
	if (!result->no_memory)
		result->error_code = error_code(format, access, fault);
	return false;
}

static bool walk_without_format(const struct paging_role *role, const struct gva_reader *reader,
				gva_t gva, unsigned access, struct gva_result *result)
{
	struct page_format format = { .role = 0 };

	page_role_update(&format, role);
	return walk_by(&format, role, reader, gva, access, result);
}

static __attribute__((noinline)) bool walk_carefully(const struct paging_role *role,
						     const struct gva_reader *reader, gva_t gva,
						     unsigned access, struct gva_result *result)
{
	if (role->format == NULL)
		return walk_without_format(role, reader, gva, access, result);
	return walk_by(role->format, role, reader, gva, access, result);
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
