/* SPDX-License-Identifier: BSD-2-Clause */
/* Long mode with 4 and 5 levels of tables: 64-bit and compatibility mode, at CPL 0 and 3. */
#ifndef TESTS_GUESTS_FACTS_MODES_LEVELS_H
#define TESTS_GUESTS_FACTS_MODES_LEVELS_H

#include <stdbool.h>

/* With the firmware. False: no memory. */
bool levels_init(void);
/* Lax: without what QEMU allows, to its end. */
void levels_print(bool is_lax);

#endif
