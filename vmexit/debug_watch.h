/* SPDX-License-Identifier: BSD-2-Clause */
/* Watchpoints on writes, by tracking the frames that they lie in. See vmexit/debug_break.h. */
#ifndef VMEXIT_DEBUG_WATCH_H
#define VMEXIT_DEBUG_WATCH_H

#include "vmexit/exit.h"

/* NULL, or why not: then none of it is watched. */
const char *debug_watch_insert(struct vcpu *leader, unsigned cpu, uint64_t address, uint64_t bytes);
void debug_watch_remove(struct vcpu *leader, uint64_t address, uint64_t bytes);
void debug_watch_clear(struct vcpu *leader);

#endif
