/* SPDX-License-Identifier: BSD-2-Clause */
/* INT n for every n, and the other instructions that raise an interrupt. */
#ifndef TESTS_GUESTS_FACTS_EXCEPTIONS_INTS_H
#define TESTS_GUESTS_FACTS_EXCEPTIONS_INTS_H

void facts_ints(void);

#endif
