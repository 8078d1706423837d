/* SPDX-License-Identifier: BSD-2-Clause */
/* What a debugger tries the debug registers on, its own use of them among it. */
#ifndef TESTS_GUESTS_DEBUGGEE_REGISTERS_H
#define TESTS_GUESTS_DEBUGGEE_REGISTERS_H

#include <stdint.h>

/* A loop on a page of its own, which ends at `debuggee_hot_end` on the same page. */
uint64_t debuggee_hot(uint64_t rounds);

/* `looked` is read, written and read again; each access ends at debuggee_first, _second and _third. */
void debuggee_look(void);

/* A repeated OUTSB of four bytes, `string_data`, and an INSB to the second of them, with a port that is trapped. */
void debuggee_strings(void);

/*
 * Set breakpoints in DR0 to DR3, meet them, single-step, have DR7.GD find an access, and read all of it back. Returns a digest
 * of what there was to see; each line of it is printed.
 */
uint64_t debuggee_own(const char *prefix);

#endif
