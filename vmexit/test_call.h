/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hypercall by which a test in the guest asks the hypervisor's walker what it makes of page tables, in order to make the same
 * access itself and compare (tests/guests/walk.c). It reads, and marks accessed and dirty, nothing but memory that the guest
 * reaches anyway: table entries in the hypervisor's own memory count as no memory.
 */
#ifndef VMEXIT_TEST_CALL_H
#define VMEXIT_TEST_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/*
 * RAX on input; CPL 0, else #UD. RCX is the guest-physical address of a struct test_call_walk in RAM, copied once. On output RAX is an
 * enum test_call_status, and the block's outputs are written if that is TEST_CALL_DONE.
 */
#define HYPERCALL_TEST_WALK UINT64_C(0x534f4c4f5654574b) /* "SOLOVTWK" */

enum test_call_status {
	TEST_CALL_DONE = 0,
	TEST_CALL_NO_BLOCK = 1,	 /* not in RAM, or in the hypervisor's memory */
	TEST_CALL_BAD_BLOCK = 2, /* an input that no CPU can have */
};

enum test_call_outcome {
	TEST_CALL_TRANSLATED = 0, /* gpa and page_bytes count */
	TEST_CALL_PAGE_FAULT = 1, /* error_code counts */
	TEST_CALL_NO_MEMORY = 2,  /* a table lies where no memory is */
};

/* struct test_call_walk.flags */
#define TEST_CALL_AC   0x1u /* RFLAGS.AC */
#define TEST_CALL_MARK 0x2u /* set accessed and dirty bits, and allow the walker's short cuts */
#define TEST_CALL_PDPTES_IN_MEMORY \
	0x4u /* as under NPT: not pdptr[] counts, but what CR3 points to */

struct test_call_walk {
	/* inputs: the registers that decide how tables are read */
	uint64_t cr0, cr3, cr4, efer;
	uint64_t pdptr[4]; /* PAE only */
	uint32_t pkru, pkrs;
	uint64_t gva;	 /* canonical, and below 4 GiB outside IA-32e mode */
	uint32_t access; /* ACCESS_* of mm/gva_walk.h */
	uint32_t flags;
	/* outputs */
	uint64_t gpa, page_bytes;
	uint32_t error_code;
	uint32_t outcome; /* enum test_call_outcome */
};

/* False: #UD. */
bool test_call_walk(struct vcpu *vcpu, uint64_t *result);

#endif
