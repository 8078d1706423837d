/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes to the xAPIC page, which is read-only to the guest where INIT and SIPI must be seen (AMD-V). */
#ifndef VMEXIT_APIC_ACCESS_H
#define VMEXIT_APIC_ACCESS_H

#include "mm/gva_fetch.h"
#include "vmexit/exit.h"

/* The guest wrote to the page: decode, EOI first, and execute on the APIC. */
enum exit_verdict apic_write_exit(struct vcpu *vcpu, gpa_t gpa);
/*
 * The same in 64-bit mode for the instruction that everybody uses, whose bytes are at hand. Returns its length once all is
 * done, 0 if it is another and nothing was done.
 */
unsigned apic_write_quick(struct vcpu *vcpu, gpa_t gpa, struct gva_code code);
/* One register write, already decoded. */
void apic_register_write(struct vcpu *vcpu, uint32_t reg, uint32_t value);
/* Whether an address is in this CPU's APIC page while it is trapped. */
static inline bool apic_is_page(const struct vcpu *vcpu, gpa_t gpa)
{
	return (gpa.v | (PAGE_BYTES - 1)) == vcpu->apic_page_end;
}

/* Whether the page is read-only because it is, or once was, some CPU's APIC page. */
bool apic_was_page(struct vcpu *vcpu, gpa_t gpa);

#endif
