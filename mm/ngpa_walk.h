/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables by which the guest, as a hypervisor of its own, maps its guest's physical memory: EPT or NPT in the
 * guest's memory, read as the CPU would read them. SDM: "The Extended Page Table Mechanism (EPT)", "Exit Qualification
 * for EPT Violations"; APM: "Nested Table Walk", "Nested versus Guest Page Faults, Fault Ordering".
 */
#ifndef MM_NGPA_WALK_H
#define MM_NGPA_WALK_H

#include "arch/x86/bits.h"
#include "mm/addr.h"
#include "mm/page_role.h"
#include "mm/table_walk.h"

/* EPT violation: exit qualification. Bits 5:3 and 6 (with MBEC) are what the entries allow. */
#define EPT_QUAL_READ	      BIT64(0)
#define EPT_QUAL_WRITE	      BIT64(1)
#define EPT_QUAL_FETCH	      BIT64(2)
#define EPT_QUAL_ALLOWED      BITS64(5, 3)
#define EPT_QUAL_ALLOWED_XU   BIT64(6)
#define EPT_QUAL_LINEAR_VALID BIT64(7)
#define EPT_QUAL_FINAL	      BIT64(8)
#define EPT_QUAL_LINEAR_USER \
	BIT64(9) /* 11:9 only where the CPU has "advanced VM-exit information" */
#define EPT_QUAL_LINEAR_WRITE	BIT64(10)
#define EPT_QUAL_LINEAR_NO_EXEC BIT64(11)

/* Nested page fault: EXITINFO1 is a page fault's error code and one of these. */
#define NPF_FINAL		BIT64(32)
#define NPF_TABLE		BIT64(33)

/* What the nested guest's physical address is wanted for. */
enum ngpa_stage {
	NGPA_FINAL, /* the translation of a linear address */
	NGPA_TABLE, /* an entry of the nested guest's page tables */
	NGPA_PDPTE, /* EPT: one of the four that MOV to CR3 loads in PAE paging; no linear address is involved */
};

struct ngpa_tables {
	const struct page_format *format; /* page_role_ept() or page_role_npt() */
	uint64_t root;			  /* EPTP or nCR3, whole */
	const struct gva_reader *reader;  /* of the memory where the tables are */
	bool advanced_info;		  /* EPT: exit qualifications have bits 11:9 */
};

struct ngpa_access {
	enum ngpa_stage stage;
	/* ACCESS_WRITE, ACCESS_FETCH, ACCESS_USER (NPT with GMET: CPL 3), ACCESS_PEEK. */
	unsigned access;
	/* NGPA_FINAL in EPT: RIGHT_ bits of the linear address (struct gva_result). */
	unsigned linear_rights;
};

enum ngpa_fault {
	NGPA_NO_FAULT,
	NGPA_EPT_VIOLATION,	   /* code: the exit qualification */
	NGPA_EPT_MISCONFIGURATION, /* has no qualification */
	NGPA_NESTED_PAGE_FAULT,	   /* code: EXITINFO1 */
	NGPA_NO_MEMORY, /* a table lies where no memory is, or a race cannot be won: no architectural answer */
};

struct ngpa_result {
	gpa_t gpa;
	uint64_t page_bytes;
	/* That maps the page; NPT: page_format_pat_index(), EPT: page_format_memtype(). */
	uint64_t entry;
	unsigned rights; /* RIGHT_ bits of all entries together */
	enum ngpa_fault fault;
	uint64_t code;
};

/*
 * Translate, and set accessed and dirty bits where the format has them. False: result->fault says what the guest's
 * hypervisor would see, with the address `ngpa`.
 */
MUST_CHECK bool ngpa_walk(const struct ngpa_tables *tables, ngpa_t ngpa,
			  const struct ngpa_access *access, struct ngpa_result *result);

#endif
