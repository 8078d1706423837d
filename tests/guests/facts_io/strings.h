/* SPDX-License-Identifier: BSD-2-Clause */
/* INS and OUTS in each mode, and ports at CPL 3: what moves, where the registers are left, what faults. */
#ifndef TESTS_GUESTS_FACTS_IO_STRINGS_H
#define TESTS_GUESTS_FACTS_IO_STRINGS_H

void strings_print(void);
void permissions_print(void);

#endif
