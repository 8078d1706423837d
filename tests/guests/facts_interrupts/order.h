/* SPDX-License-Identifier: BSD-2-Clause */
/* When an interrupt or NMI is taken, and which of several first. In the arena. */
#ifndef TESTS_GUESTS_FACTS_INTERRUPTS_ORDER_H
#define TESTS_GUESTS_FACTS_INTERRUPTS_ORDER_H

void facts_order(void);

#endif
