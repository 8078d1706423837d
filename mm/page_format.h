/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One kind of page-table entry, as data. Levels are numbered from the leaf: 0 maps 4 KiB, 1 2 MiB (4 MiB in
 * 32-bit paging), 2 1 GiB. SDM: "Paging", "The Extended Page Table Mechanism (EPT)"; APM: "Nested Paging".
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
	0x10u /* host format only: the page belongs to the guest (U/S = 1), behind SMAP and SMEP */

/* Memory types as MTRRs, PAT and EPT encode them. SDM: "Memory Types That Can Be Encoded in MTRRs". */
enum memtype {
	MEMTYPE_UC = 0,
	MEMTYPE_WC = 1,
	MEMTYPE_WT = 4,
	MEMTYPE_WP = 5,
	MEMTYPE_WB = 6,
};

enum page_format_kind { PAGE_FORMAT_HOST, PAGE_FORMAT_EPT, PAGE_FORMAT_NPT };

/* How to build tables. What a guest's own tables mean to a walker is in mm/gva_walk.h. */
struct page_format {
	enum page_format_kind kind;
	uint8_t levels;		/* 4 or 5 */
	uint8_t max_leaf_level; /* 1 (2 MiB) or 2 (1 GiB) */
	bool exec_only;		/* EPT: execute-only pages are allowed */
	bool mode_based_exec;	/* EPT: MBEC is on, so that bit 10 means user-execute */
	uint64_t present;	/* any of these bits set: the entry is present */
	uint64_t leaf;		/* PS bit */
	uint64_t address;	/* address bits, from MAXPHYADDR */
	uint64_t table_bits;	/* set in an entry that points to a table */
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
