/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the CPU's state to a page_format: reserved bits, the table of permissions, leaf levels. Each function looks
 * first whether the format was made from the same state and then does nothing, so it may be called before every walk.
 */
#ifndef MM_PAGE_ROLE_H
#define MM_PAGE_ROLE_H

#include "arch/x86/bits.h"
#include "mm/page_format.h"

/* How memory is accessed. */
#define ACCESS_WRITE BIT32(0)
#define ACCESS_USER  BIT32(1) /* CPL 3 */
#define ACCESS_FETCH BIT32(2)
#define ACCESS_IMPLICIT \
	BIT32(3) /* of a descriptor table and the like: supervisor whatever the CPL, AC ignored */
#define ACCESS_PEEK \
	BIT32(4) /* no rights are checked, no accessed and dirty bits are set: for debugger and dumps */

/* Whether it counts as a user's. */
static inline bool access_is_user(unsigned access)
{
	return (access & (ACCESS_USER | ACCESS_IMPLICIT)) == ACCESS_USER;
}

/* What of the CPU's state decides how the tables of CR3 are read. */
struct paging_role {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t pdptr[4]; /* PAE only */
	uint32_t pkru, pkrs;
	uint8_t maxphyaddr;
	bool ac;	      /* RFLAGS.AC */
	bool huge_pages;      /* CPUID: 1 GiB pages */
	bool upper_bit8;      /* AMD: reserved in PML4Es and PML5Es; others ignore it */
	bool pdptr_in_memory; /* PAE under NPT: entries are read when used; APM: "Legacy PAE Mode" */
	const struct page_format *format; /* by page_role_update(); NULL: made for one walk */
};

/* Returns whether the format had to be made anew. CR3, PDPTRs, PKRU, PKRS and AC are no part of it. */
bool page_role_update(struct page_format *format, const struct paging_role *role);

/* EPT as EPTP, the VM-execution controls and IA32_VMX_EPT_VPID_CAP say. */
struct ept_role {
	uint8_t maxphyaddr;
	uint8_t levels;		/* 4 or 5 */
	uint8_t max_leaf_level; /* 0, 1 (2 MiB) or 2 (1 GiB) */
	bool exec_only;		/* execute-only pages are allowed */
	bool mode_based_exec;	/* "mode-based execute control for EPT" is 1 */
	bool accessed_dirty;	/* EPTP bit 6 */
};

bool page_role_ept(struct page_format *format, const struct ept_role *role);

/*
 * NPT: tables have the format of the paging that the host had at VMRUN, and every access of the guest is a user access
 * there, unless GMET tells them apart. APM: "Nested Table Walk", "Guest Mode Execute Trap Extension".
 */
struct npt_role {
	uint64_t cr4, efer; /* the host's */
	uint8_t maxphyaddr;
	bool huge_pages;
	bool gmet;
};

bool page_role_npt(struct page_format *format, const struct npt_role *role);

#endif
