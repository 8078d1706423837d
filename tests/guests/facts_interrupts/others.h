/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts and NMIs to other CPUs. With boot services. */
#ifndef TESTS_GUESTS_FACTS_INTERRUPTS_OTHERS_H
#define TESTS_GUESTS_FACTS_INTERRUPTS_OTHERS_H

void facts_others(void);

#endif
