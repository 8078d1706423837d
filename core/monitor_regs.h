/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers that the monitor knows by name. */
#ifndef CORE_MONITOR_REGS_H
#define CORE_MONITOR_REGS_H

#include <stddef.h>

#include "core/regs_sync.h"

/* False: there is no such name. */
MUST_CHECK bool monitor_reg_find(const char *name, size_t bytes, unsigned *number);

uint64_t monitor_reg_value(const struct regs_sync *state, unsigned number);

/* The name of register `number`, NULL at the end: for completion. */
const char *monitor_reg_name(unsigned number);

#endif
