/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of tests/guests/facts_apic.c: each prints the facts of the CPU that it runs on. */
#ifndef TESTS_GUESTS_FACTS_APIC_FACTS_APIC_H
#define TESTS_GUESTS_FACTS_APIC_FACTS_APIC_H

#include "tests/guests/lib/probe.h"

enum {
	APIC_ID = 0x20,
	APIC_VERSION = 0x30,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_LDR = 0xd0,
	APIC_DFR = 0xe0,
	APIC_SVR = 0xf0,
	APIC_ESR = 0x280,
	APIC_ICR_LOW = 0x300,
	APIC_ICR_HIGH = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PERF = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380,
	APIC_TIMER_CURRENT = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0
};

void apic_print_registers(const char *when);

/* Accesses of all widths at all alignments: widths.c. */
void apic_try_widths(void);

/* Memory for apic_try_moves(), before anything else: modes.c. */
void apic_moves_init(void);
/* The registers at another address and back. */
void apic_try_moves(void);
/*
 * All values of EN and EXTD from all others, and x2APIC mode. `off`: also to where an emulator may not come back from, at
 * the end.
 */
void apic_try_modes(bool off);

#endif
