/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random page tables that lead one linear address to a marked frame, or nearly, and the random registers they are
 * read under. Levels are numbered from the leaf: 0 maps 4 KiB.
 */
#ifndef TESTS_GUESTS_WALK_TABLES_H
#define TESTS_GUESTS_WALK_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/walk/excursion.h"

enum { LEVELS = 5 };

enum table_mode { MODE_32, MODE_32_PSE, MODE_PAE, MODE_4_LEVEL, MODE_5_LEVEL, MODES };

#define CR0_WP		UINT64_C(0x10000)
#define CR4_PSE		UINT64_C(0x10)
#define CR4_PAE		UINT64_C(0x20)
#define CR4_PGE		UINT64_C(0x80)
#define CR4_LA57	UINT64_C(0x1000)
#define CR4_SMEP	UINT64_C(0x100000)
#define CR4_SMAP	UINT64_C(0x200000)
#define CR4_PKE		UINT64_C(0x400000)
#define CR4_PKS		UINT64_C(0x1000000)
#define EFER_LME	UINT64_C(0x100)
#define EFER_LMA	UINT64_C(0x400)
#define EFER_NXE	UINT64_C(0x800)

#define ENTRY_P		UINT64_C(0x1)
#define ENTRY_RW	UINT64_C(0x2)
#define ENTRY_US	UINT64_C(0x4)
#define ENTRY_A		UINT64_C(0x20)
#define ENTRY_D		UINT64_C(0x40)
#define ENTRY_PS	UINT64_C(0x80)
#define ENTRY_G		UINT64_C(0x100)
#define ENTRY_NX	(UINT64_C(1) << 63)
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define PDPTE_LOW	(BITS(2, 1) | BITS(8, 5)) /* reserved in a PDPTE of PAE paging */

/* What this CPU has, by CPUID. */
struct table_cpu {
	bool amd, nx, huge_pages, smep, smap, pke, pks, la57;
	uint8_t physical_bits;
};

struct table_case {
	enum table_mode mode;
	struct excursion trip; /* registers and access */
	uint32_t pkrs;
	uint64_t pdptr[4];  /* PAE */
	unsigned top, leaf; /* levels between which there are entries; PAE: top is the PDPTE's, 2 */
	uint64_t page_bytes;
	uint64_t target;	/* where the entries lead if nothing is wrong with them */
	uint64_t *page[LEVELS]; /* the table of each level */
	unsigned index[LEVELS]; /* the entry in it */
	uint64_t entry[LEVELS]; /* as written */
	bool is_plain;		/* everything is marked already, and there are no keys */
	bool bad_pdpte;		/* a reserved bit in a present PDPTE */
};

extern struct table_cpu table_cpu;

bool tables_mode_exists(enum table_mode mode);
const char *tables_mode_name(enum table_mode mode);
/* Looks at the CPU, allocates the tables. False: no memory. */
bool tables_init(uint64_t *random);
/* A case is a function of the mode and the random state. It is not in the tables until tables_put(). */
void tables_random_case(struct table_case *c, enum table_mode mode, uint64_t *random);
void tables_put(const struct table_case *c);
uint64_t tables_entry(const struct table_case *c, unsigned level);
/* Whether all the rest of the tables is as it was before tables_put(). */
bool tables_rest_is_untouched(const struct table_case *c);
/* Before the next case. */
void tables_remove(const struct table_case *c);

#endif
