/* SPDX-License-Identifier: BSD-2-Clause */
/* No interrupt but those that a probe causes: PIC, IOAPIC and the local APIC's entries are masked, and given back. */
#ifndef TESTS_GUESTS_LIB_QUIET_H
#define TESTS_GUESTS_LIB_QUIET_H

/* On this CPU and for the whole machine. */
void quiet_begin(void);
void quiet_end(void);

#endif
