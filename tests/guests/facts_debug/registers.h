/* SPDX-License-Identifier: BSD-2-Clause */
/* What DR0 to DR7 take, and who may use them. */
#ifndef TESTS_GUESTS_FACTS_DEBUG_REGISTERS_H
#define TESTS_GUESTS_FACTS_DEBUG_REGISTERS_H

void facts_registers(void);

#endif
