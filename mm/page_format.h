/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One kind of page-table entry, as data: how to build it, and what a walker has to make of it. Levels are numbered
 * from the leaf: 0 maps 4 KiB, 1 2 MiB (4 MiB in 32-bit paging), 2 1 GiB. SDM: "Paging", "The Extended Page Table
 * Mechanism (EPT)"; APM: "Nested Paging".
 */
#ifndef MM_PAGE_FORMAT_H
#define MM_PAGE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/addr.h"

/* Rights. With MBEC (EPT) and GMET (NPT) a page may be executable for one of user and supervisor only. */
#define RIGHT_READ	      0x1u
#define RIGHT_WRITE	      0x2u
#define RIGHT_EXEC_USER	      0x4u
#define RIGHT_EXEC_SUPERVISOR 0x8u
#define RIGHT_EXEC	      (RIGHT_EXEC_USER | RIGHT_EXEC_SUPERVISOR)
#define RIGHT_ALL	      0xfu
#define RIGHT_USER \
	0x10u /* U/S = 1. Of the host's tables: the page belongs to the guest, behind SMAP and SMEP */

/* Memory types as MTRRs, PAT and EPT encode them. SDM: "Memory Types That Can Be Encoded in MTRRs". */
enum memtype {
	MEMTYPE_UC = 0,
	MEMTYPE_WC = 1,
	MEMTYPE_WT = 4,
	MEMTYPE_WP = 5,
	MEMTYPE_WB = 6,
};

enum page_format_kind { PAGE_FORMAT_HOST, PAGE_FORMAT_EPT, PAGE_FORMAT_NPT, PAGE_FORMAT_GUEST };

#define PAGE_LEVELS	  5u

/*
 * Four bits say what a page allows; a walker ANDs them over all entries of the walk and gets a number below 16. Bits
 * 2:0 are the entry's own (P, R/W, U/S; EPT: read, write, execute), bit 3 is `fourth`: may be executed, or user-execute.
 */
#define PAGE_BITS	  16u
/* Ways to access: the ACCESS_ bits of mm/page_role.h below 0x10, and RFLAGS.AC above them. */
#define PAGE_ACCESS_AC	  0x10u
#define PAGE_ACCESS_KINDS 0x20u

/*
 * The first half is for builders, and all that page_format_init() sets. The second is for walkers and made by
 * mm/page_role.h from the role: the state of the CPU that decides how tables are read.
 */
struct page_format {
	enum page_format_kind kind;
	uint8_t levels;		/* 4 or 5; of a guest also 3 (PAE), 2 (32-bit), 0 (paging is off) */
	uint8_t max_leaf_level; /* 1 (2 MiB) or 2 (1 GiB); 0 in 32-bit paging without PSE */
	bool exec_only;		/* EPT: execute-only pages are allowed */
	bool mode_based_exec;	/* EPT: MBEC is on, bit 10 means user-execute; NPT: GMET is on */
	uint64_t present;	/* any of these bits set: the entry is present */
	uint64_t leaf;		/* PS bit */
	uint64_t address;	/* address bits, from MAXPHYADDR */
	uint64_t table_bits;	/* set in an entry that points to a table */

	uint64_t role;	   /* what the rest was made from; 0: nothing yet */
	uint64_t reach;	   /* bits of an address that the levels translate */
	uint64_t inverted; /* a bit that forbids when set (NX) */
	uint64_t accessed; /* what the CPU sets in each entry, 0: nothing */
	uint64_t dirty;	   /* and in the one that maps a page that is written to */
	/* PSE-36: bits of an entry for 4 MiB that are address bits 39:32. */
	uint64_t high_address;
	/* Reserved bits of entries that lead to a table [0], that map a page [1]. */
	uint64_t reserved[2][PAGE_LEVELS];
	/* EPT, by bit 10 of the entry: bit n, an entry with n in bits 5:0 is misconfigured. */
	uint64_t bad_low[2];
	/* By access: bit n refuses a page whose four bits are n. */
	uint16_t refused[PAGE_ACCESS_KINDS];
	/* The two bits of a key that count, for each of (access & 7) + 8 * (U/S = 1). */
	uint32_t keys;
	uint8_t rights[PAGE_BITS]; /* the four bits as RIGHT_ bits */
	uint8_t fourth;		   /* which bit is the fourth */
	uint8_t index_bits;	   /* 9, or 10 */
	uint8_t bytes_per_entry;   /* 8, or 4 */
	bool fetch_reported;	   /* the fault's error code tells fetches from reads */
};

void page_format_init(struct page_format *format, enum page_format_kind kind, unsigned levels,
		      unsigned max_leaf_level, unsigned maxphyaddr);

/* An entry that maps `hpa` at `level` with these rights and (EPT only; others ignore it) memory type. */
uint64_t page_format_leaf(const struct page_format *format, hpa_t hpa, unsigned level,
			  unsigned rights, enum memtype type);
/* An entry that points to the next table. */
uint64_t page_format_table(const struct page_format *format, hpa_t table);

/* What a present leaf entry says. */
unsigned page_format_rights(const struct page_format *format, uint64_t entry);
enum memtype page_format_memtype(const struct page_format *format, uint64_t entry);

/*
 * Of an entry that maps a page, except in EPT: the number of the PAT entry that types it. A page of 4 KiB has the third
 * bit elsewhere. SDM: "Selecting a Memory Type from the PAT".
 */
unsigned page_format_pat_index(uint64_t entry, bool large);
/* EPT: the guest's PAT does not count. */
bool page_format_ignores_pat(uint64_t entry);

/* The same leaf entry with another memory type (EPT only; others are returned unchanged). */
uint64_t page_format_with_type(const struct page_format *format, uint64_t entry, enum memtype type);

/* Bytes that one entry of a level covers, and the index of an address in a table of that level. */
static inline uint64_t page_format_entry_bytes(unsigned level)
{
	/* Levels are 0 to 4, which the analyzer cannot see across files. */
	/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
	return PAGE_BYTES << (9 * level);
}

static inline unsigned page_format_index(uint64_t address, unsigned level)
{
	return (unsigned)(address >> (PAGE_SHIFT + 9 * level)) & 0x1ff;
}

#endif
