/* SPDX-License-Identifier: BSD-2-Clause */
/* From segment and offset to a linear address, with the checks that the CPU makes before it looks at page tables. */
#ifndef VMEXIT_GUEST_SEGMENT_H
#define VMEXIT_GUEST_SEGMENT_H

#include "core/vcpu.h"
#include "mm/addr.h"

/* What keeps an access from having an address. All of them have error code 0. */
enum guest_segment_fault {
	GUEST_SEGMENT_GOOD,
	GUEST_SEGMENT_GP, /* limit, type or canonical form; #SS for the stack segment */
	GUEST_SEGMENT_SS,
	GUEST_SEGMENT_AC, /* alignment is checked, and this is not aligned */
};

/*
 * The linear address of `bytes` bytes at segment:offset, `offset` cut to the address size. `access` is 0 or ACCESS_WRITE;
 * `alignment` is a power of 2 that #AC holds the address against at CPL 3 (1: never). SDM: "Limit Checking", "Type
 * Checking", "Canonical Addressing", "Alignment Check Exception". Alignment comes before page faults, as on the CPUs
 * that we know.
 */
MUST_CHECK enum guest_segment_fault guest_linear(struct vcpu *vcpu, enum segment_index segment,
						 uint64_t offset, unsigned bytes, unsigned access,
						 unsigned alignment, gva_t *gva);

#endif
