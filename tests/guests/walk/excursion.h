/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One access in another paging mode: out of the firmware's long mode, over switched-off paging, and back again. The
 * code and data for it lie on four pages below 4 GiB, which every table of that mode maps one to one.
 */
#ifndef TESTS_GUESTS_WALK_EXCURSION_H
#define TESTS_GUESTS_WALK_EXCURSION_H

#include <stdbool.h>
#include <stdint.h>

enum { EXCURSION_PAGES = 4 };

/* What is done at the address; the order of the stubs in excursion.asm. */
enum excursion_access {
	TRIP_READ,
	TRIP_STORE,
	TRIP_EXCHANGE, /* a write that tells what was there */
	TRIP_JUMP,     /* instruction fetch */
	TRIP_LDT,      /* implicit: the CPU reads a segment descriptor */
	TRIP_KINDS,
	/* Not at the address at all: the hypercall with RAX = value. */
	TRIP_VMCALL = TRIP_KINDS,
	TRIP_VMMCALL,
};

struct excursion {
	uint64_t cr0, cr3, cr4, efer; /* EFER without LMA */
	uint64_t linear; /* TRIP_LDT: a multiple of 8, not the first 8 bytes of a page */
	uint64_t value;	 /* to be written */
	uint32_t pkru;	 /* written if CR4.PKE is set */
	bool ac;	 /* RFLAGS.AC */
	bool is_user;	 /* CPL 3 */
	enum excursion_access access;
};

/* INT with it is how the marker code comes back. */
enum { EXCURSION_DONE = 0x30 };

struct excursion_end {
	uint32_t vector; /* EXCURSION_DONE: nothing happened */
	uint64_t error;	 /* of #PF and the like, else 0 */
	uint64_t rip, cr2;
	uint32_t value; /* EAX: what was read; the limit of the segment for TRIP_LDT */
};

/* False: no memory below 4 GiB. */
bool excursion_init(void);
void excursion_run(const struct excursion *trip, struct excursion_end *end);

/*
 * After the last one: the task register, which cannot be what it was before (null), agrees with the GDT, as whoever comes next
 * may look it up there.
 */
void excursion_leave(void);

/* Where the four pages lie, and how they have to be mapped. */
uint32_t excursion_base(void);
bool excursion_page_is_user(uint32_t page);
bool excursion_page_is_writable(uint32_t page);

#endif
