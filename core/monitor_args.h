/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words behind a command of the monitor. A reader that has met what it did not expect stays bad, and has one line that
 * says why; so a command reads all it wants, asks once, and only then begins.
 *
 * A number is an expression without blanks: 4096, 0x1000, 4k, 2m, 1g, rsp+8, $cr3, (rax+rcx*8)-0x10. Sums wrap at 64 bits.
 */
#ifndef CORE_MONITOR_ARGS_H
#define CORE_MONITOR_ARGS_H

#include <stddef.h>

#include "core/regs_sync.h"

struct monitor_args {
	const char *at;		       /* what is left, ends with a 0 */
	const char *why;	       /* NULL: all good so far */
	const struct regs_sync *state; /* whose registers are meant, NULL: there are none */
};

/* Whether there is another word. */
bool monitor_args_more(struct monitor_args *args);

/* If the next word is this one, go behind it. */
bool monitor_args_word(struct monitor_args *args, const char *word);

/* A number that must come. */
uint64_t monitor_args_number(struct monitor_args *args);
/* The same, at most `last`; `what` says what is wrong if it is not. */
uint64_t monitor_args_number_up_to(struct monitor_args *args, uint64_t last, const char *what);

/* "START BYTES" or "START..END", END not in it. At least one byte, and no more than are left of 64 bits. */
void monitor_args_range(struct monitor_args *args, uint64_t *start, uint64_t *bytes);

/* There must not be any more. Returns NULL if all was good, or why not. */
const char *monitor_args_end(struct monitor_args *args);

#endif
