/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A set of pages, by their four bits (mm/page_format.h), is a mask of 16 bits: PAGES_WRITE are those with bit 1 of the
 * number set, and so on; each line of a table of permissions is then a union of a few such sets.
 */
#include "mm/page_role.h"

#include "arch/x86/cr.h"
#include "mm/page_entry.h"

#define PAGES_READ	  0xaaaau /* EPT */
#define PAGES_WRITE	  0xccccu
#define PAGES_USER	  0xf0f0u /* U/S = 1 */
#define PAGES_EXEC	  0xff00u /* not NX */
#define PAGES_EPT_XS	  0xf0f0u /* EPT: execute; with MBEC by supervisors */
#define PAGES_EPT_XU	  0xff00u /* EPT with MBEC: execute by users */

#define PDPTE_RESERVED	  (BITS64(2, 1) | BITS64(8, 5) | ENTRY_NX)
#define PDPTE_LEVEL	  2u
#define PML4E_LEVEL	  3u

#define TABLE32_ADDRESS	  BITS64(31, 12)
/* A 4 MiB page: SDM "32-Bit Paging", PSE-36. */
#define LARGE32_HIGH	  BITS64(20, 13)
#define LARGE32_HIGH_BITS 8u
#define LARGE32_RESERVED  BIT64(21)

#define EPT_TABLE_LOW	  BITS64(6, 3) /* reserved unless the entry maps a page */

/* Which bits of registers decide; they lie apart, so that one word holds those of all three. */
#define ROLE_CR0	  (CR0_PG | CR0_WP)
#define ROLE_CR4	  (CR4_PSE | CR4_PAE | CR4_LA57 | CR4_SMEP | CR4_SMAP | CR4_PKE | CR4_CET | CR4_PKS)
#define ROLE_EFER	  (EFER_LMA | EFER_NXE)
#define ROLE_MAXPHYADDR	  BITS64(47, 40)
#define ROLE_FLAG(n)	  BIT64(48 + (n))
#define ROLE_LEVELS	  BITS64(63, 60)
_Static_assert((ROLE_CR0 & ROLE_CR4) == 0 && (ROLE_CR0 & ROLE_EFER) == 0 &&
		       (ROLE_CR4 & ROLE_EFER) == 0,
	       "one word holds the bits of three registers");

/* --- what all formats of CR3 and nCR3 share ----------------------------------------------------------- */

static uint64_t above(unsigned bits)
{
	return bits < 52 ? BITS64(51, bits) : 0;
}

static void set_geometry(struct page_format *format, unsigned levels, unsigned max_leaf_level,
			 unsigned maxphyaddr)
{
	format->levels = (uint8_t)levels;
	format->max_leaf_level = (uint8_t)max_leaf_level;
	format->present = ENTRY_P;
	format->leaf = ENTRY_PS;
	format->address = BITS64(maxphyaddr - 1, PAGE_SHIFT);
	format->reach = BITS64(PAGE_SHIFT + 9 * levels - 1, 0);
	format->index_bits = 9;
	format->bytes_per_entry = sizeof(uint64_t);
	format->inverted = ENTRY_NX;
	format->fourth = ENTRY_NX_BIT;
	format->accessed = ENTRY_A;
	format->dirty = ENTRY_D;
}

/* A large page has reserved bits between its PAT bit (12) and its address. */
static void set_reserved(struct page_format *format, uint64_t everywhere)
{
	for (unsigned level = 0; level < format->levels; level++) {
		format->reserved[0][level] = everywhere;
		format->reserved[1][level] = everywhere;
		if (level > format->max_leaf_level)
			format->reserved[1][level] |= ENTRY_PS;
		else if (level > 0)
			format->reserved[1][level] |=
				BITS64(PAGE_SHIFT + 9 * level - 1, PAGE_SHIFT + 1);
	}
}

/* SDM: "4-Level Paging and 5-Level Paging". */
static void set_long(struct page_format *format, unsigned levels, bool huge_pages, uint64_t efer,
		     unsigned maxphyaddr)
{
	set_geometry(format, levels, huge_pages ? 2 : 1, maxphyaddr);
	set_reserved(format, above(maxphyaddr) | (efer & EFER_NXE ? 0 : ENTRY_NX));
}

/* APM: "Long-Mode Page Translation", where it is the global bit of leaves further down. */
static void reserve_upper_bit8(struct page_format *format, uint64_t efer)
{
	if ((efer & EFER_LMA) == 0)
		return;
	for (unsigned level = PML4E_LEVEL; level < format->levels; level++) {
		format->reserved[0][level] |= ENTRY_G;
		format->reserved[1][level] |= ENTRY_G;
	}
}

/* SDM: "PAE Paging". */
static void set_pae(struct page_format *format, uint64_t efer, unsigned maxphyaddr)
{
	uint64_t everywhere = above(maxphyaddr) | BITS64(62, 52);

	set_geometry(format, 3, 1, maxphyaddr);
	set_reserved(format, everywhere | (efer & EFER_NXE ? 0 : ENTRY_NX));
	format->reach = BITS64(31, 0);
	format->reserved[0][PDPTE_LEVEL] = everywhere | PDPTE_RESERVED;
}

/* SDM: "32-Bit Paging". */
static void set_32bit(struct page_format *format, uint64_t cr4, unsigned maxphyaddr)
{
	unsigned high_bits = maxphyaddr > 32 ? maxphyaddr - 32 : 0;

	set_geometry(format, 2, cr4 & CR4_PSE ? 1 : 0, maxphyaddr);
	format->address = TABLE32_ADDRESS;
	format->reach = BITS64(31, 0);
	format->index_bits = 10;
	format->bytes_per_entry = sizeof(uint32_t);
	format->high_address = LARGE32_HIGH;
	if (!(cr4 & CR4_PSE))
		format->leaf = 0;
	format->reserved[1][1] = LARGE32_RESERVED;
	if (high_bits < LARGE32_HIGH_BITS)
		format->reserved[1][1] |= LARGE32_HIGH & ~(BIT64(13 + high_bits) - 1);
}

static void set_layout(struct page_format *format, uint64_t cr4, uint64_t efer, bool huge_pages,
		       unsigned maxphyaddr)
{
	if (efer & EFER_LMA)
		set_long(format, cr4 & CR4_LA57 ? 5 : 4, huge_pages, efer, maxphyaddr);
	else if (cr4 & CR4_PAE)
		set_pae(format, efer, maxphyaddr);
	else
		set_32bit(format, cr4, maxphyaddr);
}

/* --- the guest's own tables ---------------------------------------------------------------------------- */

/* SDM: "Determination of Access Rights". */
static uint32_t guest_refuses(const struct paging_role *role, unsigned access)
{
	bool overridden = (access & PAGE_ACCESS_AC) && !(access & ACCESS_IMPLICIT);
	bool user = access_is_user(access);
	uint32_t refused = user ? ~PAGES_USER : 0;

	if (access & ACCESS_FETCH)
		return refused | ~PAGES_EXEC | (!user && (role->cr4 & CR4_SMEP) ? PAGES_USER : 0);
	if (!user && (role->cr4 & CR4_SMAP) && !overridden)
		refused |= PAGES_USER;
	if ((access & ACCESS_WRITE) && (user || (role->cr0 & CR0_WP)))
		refused |= ~PAGES_WRITE;
	return refused;
}

/* The bits of PKRU (user pages) or PKRS that count: access disable, write disable. SDM: "Protection Keys". */
static unsigned key_bits(const struct paging_role *role, unsigned access, bool user_page)
{
	bool user = access_is_user(access);

	if ((access & ACCESS_FETCH) || !(role->cr4 & (user_page ? CR4_PKE : CR4_PKS)))
		return 0;
	if (user && !user_page)
		return 0;
	return (access & ACCESS_WRITE) && (user || (role->cr0 & CR0_WP)) ? 3 : 1;
}

static void set_keys(struct page_format *format, const struct paging_role *role)
{
	for (unsigned i = 0; i < 16; i++)
		format->keys |= (uint32_t)key_bits(role, i & 7, i & 8) << 2 * i;
}

static unsigned entry_rights(unsigned page)
{
	return RIGHT_READ | (page & 2 ? RIGHT_WRITE : 0) | (page & 4 ? RIGHT_USER : 0) |
	       (page & 8 ? RIGHT_EXEC : 0);
}

static uint64_t guest_key(const struct paging_role *role)
{
	return (role->cr0 & ROLE_CR0) | (role->cr4 & ROLE_CR4) | (role->efer & ROLE_EFER) |
	       field_put(ROLE_MAXPHYADDR, role->maxphyaddr) |
	       (role->huge_pages ? ROLE_FLAG(0) : 0) | (role->upper_bit8 ? ROLE_FLAG(7) : 0);
}

static __attribute__((noinline)) void make_guest(struct page_format *format,
						 const struct paging_role *role, uint64_t key)
{
	*format = (struct page_format){ .kind = PAGE_FORMAT_GUEST, .role = key };
	if (!(role->cr0 & CR0_PG))
		return;
	set_layout(format, role->cr4, role->efer, role->huge_pages, role->maxphyaddr);
	if (role->upper_bit8)
		reserve_upper_bit8(format, role->efer);
	for (unsigned access = 0; access < PAGE_ACCESS_KINDS; access++)
		format->refused[access] = (uint16_t)guest_refuses(role, access);
	for (unsigned page = 0; page < PAGE_BITS; page++)
		format->rights[page] = (uint8_t)entry_rights(page);
	if (role->efer & EFER_LMA)
		set_keys(format, role);
	format->fetch_reported =
		((role->cr4 & CR4_PAE) && (role->efer & EFER_NXE)) || (role->cr4 & CR4_SMEP);
}

bool page_role_update(struct page_format *format, const struct paging_role *role)
{
	uint64_t key = guest_key(role);

	if (LIKELY(format->role == key))
		return false;
	make_guest(format, role, key);
	return true;
}

/* --- EPT ------------------------------------------------------------------------------------------------ */

static uint32_t ept_refuses(const struct ept_role *role, unsigned access)
{
	if (access & ACCESS_FETCH)
		return role->mode_based_exec && (access & ACCESS_USER) ? ~PAGES_EPT_XU
								       : ~PAGES_EPT_XS;
	return access & ACCESS_WRITE ? ~PAGES_WRITE : ~PAGES_READ;
}

/* SDM: "EPT Misconfigurations", what bits 5:0 and bit 10 say: rights that make no sense, a type that does not exist. */
static bool ept_is_bad(const struct ept_role *role, unsigned low, bool user_exec)
{
	unsigned type = low >> 3;
	bool exec = (low & EPT_X) || (user_exec && role->mode_based_exec);

	if ((low & (EPT_R | EPT_W)) == EPT_W || (exec && !(low & EPT_R) && !role->exec_only))
		return true;
	return type == 2 || type == 3 || type == 7;
}

static unsigned ept_rights(const struct ept_role *role, unsigned page)
{
	bool user_exec = page & (role->mode_based_exec ? 8 : 4);

	return (page & 1 ? RIGHT_READ : 0) | (page & 2 ? RIGHT_WRITE : 0) |
	       (page & 4 ? RIGHT_EXEC_SUPERVISOR : 0) | (user_exec ? RIGHT_EXEC_USER : 0);
}

static void make_ept(struct page_format *format, const struct ept_role *role)
{
	uint64_t everywhere = above(role->maxphyaddr);

	format->exec_only = role->exec_only;
	format->mode_based_exec = role->mode_based_exec;
	if (!role->mode_based_exec)
		format->present &= ~EPT_X_USER;
	format->reach = BITS64(PAGE_SHIFT + 9 * role->levels - 1, 0);
	format->fourth = EPT_X_USER_BIT;
	format->index_bits = 9;
	format->bytes_per_entry = sizeof(uint64_t);
	format->accessed = role->accessed_dirty ? EPT_A : 0;
	format->dirty = role->accessed_dirty ? EPT_D : 0;
	for (unsigned level = 0; level < role->levels; level++) {
		format->reserved[0][level] = everywhere | EPT_TABLE_LOW;
		format->reserved[1][level] = everywhere;
		if (level > role->max_leaf_level)
			format->reserved[1][level] |= format->leaf;
		else if (level > 0)
			format->reserved[1][level] |=
				BITS64(PAGE_SHIFT + 9 * level - 1, PAGE_SHIFT);
	}
	for (unsigned low = 0; low < 64; low++) {
		for (unsigned user = 0; user < 2; user++)
			format->bad_low[user] |= (uint64_t)ept_is_bad(role, low, user) << low;
	}
	for (unsigned access = 0; access < PAGE_ACCESS_KINDS; access++)
		format->refused[access] = (uint16_t)ept_refuses(role, access);
	for (unsigned page = 0; page < PAGE_BITS; page++)
		format->rights[page] = (uint8_t)ept_rights(role, page);
}

bool page_role_ept(struct page_format *format, const struct ept_role *role)
{
	uint64_t key = field_put(ROLE_MAXPHYADDR, role->maxphyaddr) |
		       field_put(ROLE_LEVELS, role->levels) | role->max_leaf_level |
		       (role->exec_only ? ROLE_FLAG(1) : 0) |
		       (role->mode_based_exec ? ROLE_FLAG(2) : 0) |
		       (role->accessed_dirty ? ROLE_FLAG(3) : 0) | ROLE_FLAG(4);

	if (LIKELY(format->role == key))
		return false;
	page_format_init(format, PAGE_FORMAT_EPT, role->levels, role->max_leaf_level,
			 role->maxphyaddr);
	format->role = key;
	make_ept(format, role);
	return true;
}

/* --- NPT ------------------------------------------------------------------------------------------------ */

/* CR0.WP of the host does not count. */
static uint32_t npt_refuses(const struct npt_role *role, unsigned access)
{
	bool user = !role->gmet || access_is_user(access);
	uint32_t refused = user ? ~PAGES_USER : 0;

	if (access & ACCESS_FETCH)
		return refused | ~PAGES_EXEC | (user ? 0 : PAGES_USER);
	return access & ACCESS_WRITE ? refused | ~PAGES_WRITE : refused;
}

static unsigned npt_rights(const struct npt_role *role, unsigned page)
{
	unsigned rights = entry_rights(page);

	if (!role->gmet)
		return page & 4 ? rights : 0;
	return rights & ~(page & 4 ? RIGHT_EXEC_SUPERVISOR : RIGHT_EXEC_USER);
}

bool page_role_npt(struct page_format *format, const struct npt_role *role)
{
	uint64_t key = (role->cr4 & ROLE_CR4) | (role->efer & ROLE_EFER) |
		       field_put(ROLE_MAXPHYADDR, role->maxphyaddr) |
		       (role->huge_pages ? ROLE_FLAG(0) : 0) | (role->gmet ? ROLE_FLAG(5) : 0) |
		       ROLE_FLAG(6);

	if (LIKELY(format->role == key))
		return false;
	page_format_init(format, PAGE_FORMAT_NPT, role->cr4 & CR4_LA57 ? 5 : 4,
			 role->huge_pages ? 2 : 1, role->maxphyaddr);
	format->role = key;
	format->mode_based_exec = role->gmet;
	set_layout(format, role->cr4, role->efer, role->huge_pages, role->maxphyaddr);
	reserve_upper_bit8(format, role->efer);
	for (unsigned access = 0; access < PAGE_ACCESS_KINDS; access++)
		format->refused[access] = (uint16_t)npt_refuses(role, access);
	for (unsigned page = 0; page < PAGE_BITS; page++)
		format->rights[page] = (uint8_t)npt_rights(role, page);
	format->fetch_reported = ((role->cr4 & CR4_PAE) && (role->efer & EFER_NXE)) || role->gmet;
	return true;
}
