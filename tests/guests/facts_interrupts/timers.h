/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts of timers: local APIC, PIT, HPET. In the arena. */
#ifndef TESTS_GUESTS_FACTS_INTERRUPTS_TIMERS_H
#define TESTS_GUESTS_FACTS_INTERRUPTS_TIMERS_H

void facts_timers(void);

#endif
