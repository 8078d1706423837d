/* SPDX-License-Identifier: BSD-2-Clause */
/* A SYSRET from CPL 0 to a SYSCALL at CPL 3 and back, for a debugger that steps over both. */
#ifndef TESTS_GUESTS_DEBUGGEE_SYSCALLS_H
#define TESTS_GUESTS_DEBUGGEE_SYSCALLS_H

#include <stdbool.h>

/* Once, with boot services. False: no memory where it is to be. */
bool debuggee_syscalls_prepare(void);

/*
 * Without RFLAGS.TF and with it in what SYSRET loads, each without and with it in the mask of SYSCALL. For each a line of all
 * that there was to see: the registers that the two instructions leave behind, and the exceptions.
 */
void debuggee_syscalls(const char *prefix);

#endif
