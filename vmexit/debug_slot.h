/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debugger's breakpoints and watchpoints in the CPUs' debug registers, which the guest lends for it (core/debug_loan.h):
 * up to four, by linear address, in any address space. They cost no exit until one is met. It is the CPU that meets them: what
 * the hypervisor executes for the guest it leaves to the CPU while there is one on data, but for INS and OUTS on a trapped port.
 */
#ifndef VMEXIT_DEBUG_SLOT_H
#define VMEXIT_DEBUG_SLOT_H

#include "core/gdb_target.h"
#include "vmexit/exit.h"

/*
 * The leader of a stop; CPUs follow when they go on. GDB_BREAK_HARDWARE (`bytes` is 1) and GDB_WATCH_ACCESS. NULL, or why not;
 * one that is there already stays.
 */
const char *debug_slot_insert(struct vm *vm, enum gdb_break kind, uint64_t address, uint64_t bytes);
/* False: there is none such. */
bool debug_slot_remove(struct vm *vm, enum gdb_break kind, uint64_t address, uint64_t bytes);
void debug_slot_clear(struct vm *vm);

/*
 * Before the entry, behind a stop: have the debug registers that it left. A CPU that stood before an instruction with a
 * breakpoint, and was looked at there, executes it this time.
 */
void debug_slot_look(struct vcpu *vcpu);

#endif
