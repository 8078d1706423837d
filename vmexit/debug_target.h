/* SPDX-License-Identifier: BSD-2-Clause */
/* core/gdb_target.h on the machine: the state of CPUs that stand still, memory as they see it, breakpoints. */
#ifndef VMEXIT_DEBUG_TARGET_H
#define VMEXIT_DEBUG_TARGET_H

#include "core/gdb_target.h"
#include "core/vcpu.h"
#include "mm/addr.h"

extern const struct gdb_target debug_target;

/* A stop begins, and this CPU leads it: all of the table is called on it from now on. */
void debug_target_lead(struct vcpu *leader);

/* The guest goes on: what was read of CPUs is old. */
void debug_target_forget(void);

/* Where an address of a CPU leads, whatever its rights; the CPU stands still. */
MUST_CHECK bool debug_translate(unsigned cpu, uint64_t address, gpa_t *gpa);

#endif
