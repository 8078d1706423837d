/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory by linear address, with the rights and faults that the guest's own instruction would
 * meet at the current privilege level.
 */
#ifndef VMEXIT_GUEST_MEMORY_H
#define VMEXIT_GUEST_MEMORY_H

#include "core/vcpu.h"
#include "mm/addr.h"
#include "mm/gva_fetch.h"
#include "mm/gva_walk.h"
#include "vmexit/decode_system.h"

/* An access spans at most two pages. */
#define GUEST_ACCESS_MAX_BYTES 4096u

enum guest_fault_kind {
	GUEST_FAULT_PAGE,	   /* #PF with this address and error code */
	GUEST_FAULT_NOT_CANONICAL, /* #GP(0), or #SS(0) for a stack access: the caller knows */
	GUEST_FAULT_NOT_MEMORY,	   /* a device, nothing at all, or the hypervisor's own memory */
};

struct guest_fault {
	enum guest_fault_kind kind;
	uint32_t error_code;
	gva_t address;
};

/* Where an access goes in guest-physical memory: one part, or two where it crosses a page. */
struct guest_span {
	gpa_t gpa[2];
	unsigned bytes[2];
};

/*
 * Translate [gva, gva + bytes) with all rights checked and accessed and dirty bits set; `access` is of ACCESS_WRITE and
 * ACCESS_IMPLICIT. What lies at the addresses is not looked at.
 */
MUST_CHECK bool guest_translate(struct vcpu *vcpu, gva_t gva, unsigned bytes, unsigned access,
				struct guest_span *span, struct guest_fault *fault);

/* How the guest's page tables are to be read at this moment. */
void guest_paging_role(struct vcpu *vcpu, struct paging_role *role);

/* Where the guest's page tables have it now, whatever the rights; nothing is marked. False: nowhere. */
MUST_CHECK bool guest_peek(struct vcpu *vcpu, gva_t gva, gpa_t *gpa);

/*
 * Access `bytes` bytes; `access` is 0 or ACCESS_IMPLICIT (of descriptor tables and task state
 * segments). A write changes nothing unless all of it can be written. Linear addresses wrap at 4
 * GiB outside IA-32e mode.
 */
MUST_CHECK bool guest_read(struct vcpu *vcpu, gva_t gva, void *to, unsigned bytes, unsigned access,
			   struct guest_fault *fault);
MUST_CHECK bool guest_write(struct vcpu *vcpu, gva_t gva, const void *from, unsigned bytes,
			    unsigned access, struct guest_fault *fault);
/* As guest_write() up to the point where nothing can go wrong any more. */
MUST_CHECK bool guest_write_probe(struct vcpu *vcpu, gva_t gva, unsigned bytes, unsigned access,
				  struct guest_fault *fault);

/*
 * The bytes of the instruction at CS:RIP, which the CPU has just fetched: the segment limit is not
 * checked again, and no fault is reported. The first call takes what lies on RIP's page; the second
 * adds the next page to `count` bytes. Both return the bytes in `buffer`, 0 if the page is no
 * longer mapped.
 */
unsigned guest_fetch(struct vcpu *vcpu, uint8_t buffer[INSN_MAX_BYTES]);
unsigned guest_fetch_more(struct vcpu *vcpu, uint8_t buffer[INSN_MAX_BYTES], unsigned count);

/* 64-bit mode: 16 bytes at RIP, the quick way. False: guest_fetch() has to look. */
MUST_CHECK bool guest_fetch_words(struct vcpu *vcpu, uint64_t words[GVA_FETCH_WORDS]);

/* RIP as a linear address: CS has a base outside 64-bit mode. */
gva_t guest_linear_rip(struct vcpu *vcpu);

/* Fetch and decode the instruction at CS:RIP. False, or 0: it is no (such) instruction any more. */
MUST_CHECK bool guest_fetch_insn(struct vcpu *vcpu, struct insn *out);
unsigned guest_system_length(struct vcpu *vcpu, enum system_insn which);

/* The linear address of a memory operand of the instruction at RIP. */
gva_t guest_operand_address(struct vcpu *vcpu, const struct insn *insn);

#endif
