/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debugger's breakpoints and watchpoints, for all CPUs of the guest, whose memory stays as it is.
 *
 * One on execution that is called a hardware one, and one on accesses, takes a debug register (vmexit/debug_slot.h), where
 * one is left; what is on accesses has no other way.
 *
 * A breakpoint without one closes its frame to instruction fetches in the guest-physical map. A CPU that fetches there exits,
 * and either is at a breakpoint or executes its instruction alone (STEP_CODE), on a view of its own in which the frame is open:
 * the guest reads its code as it is. Repeated string instructions are emulated (vmexit/emulate.h). It is the frame that counts,
 * under whatever linear address it is executed. A hardware breakpoint may be inserted before its address is mapped: a
 * kernel's, while the firmware runs.
 *
 * A watchpoint on writes tracks its frames (mm/page_track.h); any size, as long as there are pages to track with. EPT and NPT
 * cannot close a page to reads and leave the CPU's own walks through it.
 *
 * Inserted and removed by the leader of a stop, while nobody else runs the guest.
 */
#ifndef VMEXIT_DEBUG_BREAK_H
#define VMEXIT_DEBUG_BREAK_H

#include "core/gdb_target.h"
#include "vmexit/exit.h"

/* NULL, or why not. One that is there already stays; one that is not there is removed. */
const char *debug_break_insert(struct vcpu *leader, unsigned cpu, enum gdb_break kind,
			       uint64_t address, uint64_t bytes);
const char *debug_break_remove(struct vcpu *leader, enum gdb_break kind, uint64_t address,
			       uint64_t bytes);
/* All of them. */
void debug_break_clear(struct vcpu *leader);

/* Whether there are any that close a frame: then every exit takes the general way (EXIT_WATCH_DEBUG). */
bool debug_break_is_any(void);

/* At each exit of a CPU, while there are such: those that were not mapped may be by now. */
void debug_break_resolve(struct vcpu *vcpu);

/* A frame that is closed to instruction fetches. */
bool debug_break_is_page(gpa_t gpa);

/* A CPU wanted to fetch from such a frame. */
enum exit_verdict debug_break_exit(struct vcpu *vcpu, gpa_t gpa);

#endif
