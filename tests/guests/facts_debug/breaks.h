/* SPDX-License-Identifier: BSD-2-Clause */
/* Instruction, data and I/O breakpoints; which exception comes first. */
#ifndef TESTS_GUESTS_FACTS_DEBUG_BREAKS_H
#define TESTS_GUESTS_FACTS_DEBUG_BREAKS_H

#include <stdbool.h>

/* `flat`: no instruction breakpoint in a segment whose base is not 0. */
void facts_breaks(bool full, bool flat);

#endif
