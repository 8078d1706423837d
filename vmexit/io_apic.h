/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pin of the I/O APIC that is the hypervisor's: the guest reads from its redirection entry what it has written there, and
 * the hardware has another. Only then is the I/O APIC's page trapped, all of it, as the index that the guest selects decides
 * what a read gives. Operating systems come there seldom.
 */
#ifndef VMEXIT_IO_APIC_H
#define VMEXIT_IO_APIC_H

#include "vmexit/exit.h"

#define IO_APIC_KEPT_MAX 2u

/*
 * Boot CPU, before any CPU enters the guest: trap the page and keep the pin's entry from the guest. The hardware's stays as
 * it is. False: too many, not the same I/O APIC as the first one, or no memory.
 */
MUST_CHECK bool io_apic_keep(struct vm *vm, uint64_t io_apic, uint32_t pin);

/* What the hardware holds for a kept pin from now on. */
void io_apic_set_entry(uint32_t pin, uint64_t entry);
/* What the guest wants there. */
uint64_t io_apic_guest_entry(uint32_t pin);

/* After S3: what was set is to be set again, and the guest selects its register anew. */
void io_apic_wake(void);

/* Whether an address is in the trapped page, if there is one. */
extern uint64_t io_apic_page_end; /* last byte of the page, 0: none is trapped */
static inline bool io_apic_is_page(gpa_t gpa)
{
	return (gpa.v | (PAGE_BYTES - 1)) == io_apic_page_end;
}

enum exit_verdict io_apic_exit(struct vcpu *vcpu, const struct exit_info *exit);

/* The guest's loads and stores, with nobody else in between (for tests; io_apic_exit() does the rest). */
uint64_t io_apic_guest_load(uint32_t offset, unsigned bytes);
void io_apic_guest_store(uint32_t offset, unsigned bytes, uint64_t value);

#endif
