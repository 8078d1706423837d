/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's own page tables, read as the CPU reads them. A pure function over the paging role and a reader: no
 * vcpu, no instruction. Covers 32-bit (PSE36), PAE, 4-level and 5-level paging. SDM: "Paging", "Access Rights".
 */
#ifndef MM_GVA_WALK_H
#define MM_GVA_WALK_H

#include "arch/x86/bits.h"
#include "mm/addr.h"

/* What of the CPU's state decides how tables are read. Recomputed when one of these registers changes. */
struct paging_role {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t pdptr[4]; /* PAE only */
	uint32_t pkru, pkrs;
	uint8_t maxphyaddr;
	bool ac;	 /* RFLAGS.AC */
	bool huge_pages; /* CPUID: 1 GiB pages */
};

#define ACCESS_WRITE BIT32(0)
#define ACCESS_USER  BIT32(1) /* CPL 3 */
#define ACCESS_FETCH BIT32(2)
#define ACCESS_IMPLICIT \
	BIT32(3) /* of a descriptor table and the like: supervisor whatever the CPL, AC ignored */
#define ACCESS_PEEK \
	BIT32(4) /* no rights are checked, no accessed and dirty bits are set: for debugger and dumps */

/*
 * RAM that the walker may read directly, at *virt + gpa: the common case, a 64-bit walk with nothing to report and
 * no bit to set, then costs no call at all. The largest ranges: below and above 4 GiB, and parted by what the firmware
 * keeps and by the hypervisor's own memory.
 */
#define GVA_WINDOW_RANGES 4u
struct gva_window {
	uint8_t *const *virt;
	uint64_t base[GVA_WINDOW_RANGES], bytes[GVA_WINDOW_RANGES]; /* whole pages */
	bool smap; /* it takes STAC to read there */
};

/* How the walker reaches table entries in guest-physical memory. Both return false if there is no memory. */
struct gva_reader {
	void *context;
	bool (*read)(void *context, gpa_t gpa, unsigned bytes, uint64_t *value);
	/* Replace `old` by `new` if it is still there; *same says whether it was. */
	bool (*exchange)(void *context, gpa_t gpa, unsigned bytes, uint64_t old, uint64_t new,
			 bool *same);
	const struct gva_window *window; /* NULL: only by read() */
};

struct gva_result {
	gpa_t gpa;
	uint64_t page_bytes;
	uint32_t error_code; /* of the page fault, when the walk failed */
	bool no_memory; /* failed because a table lies where no memory is (no architectural fault code) */
};

/*
 * Translate. The address is canonical (the caller raises #GP or #SS otherwise), and below 4 GiB outside 64-bit
 * mode; LAM and shadow stacks are the caller's. False: a page fault with result->error_code (CR2 = gva), or no_memory.
 */
MUST_CHECK bool gva_walk(const struct paging_role *role, const struct gva_reader *reader, gva_t gva,
			 unsigned access, struct gva_result *result);

#endif
