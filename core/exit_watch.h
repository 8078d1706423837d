/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who wants to see each exit. While anybody does, every exit takes the general way, vmexit_handle(), which looks closer; an
 * exit tests this one word and nothing else.
 */
#ifndef CORE_EXIT_WATCH_H
#define CORE_EXIT_WATCH_H

#include <stdatomic.h>

#include "arch/x86/bits.h"

#define EXIT_WATCH_LOG	 BIT32(0) /* bytes wait in the log's ring */
#define EXIT_WATCH_TRACE BIT32(1) /* exits are recorded (core/trace.h) */
#define EXIT_WATCH_LINE	 BIT32(2) /* the debugger's line is looked at */
#define EXIT_WATCH_DEBUG BIT32(3) /* there are breakpoints, or single steps of the debugger */
#define EXIT_WATCH_LIVE	 BIT32(4) /* the monitor shows statistics that grow */

/* Of all CPUs. A CPU in the guest sees a change at its next exit. */
extern _Atomic(uint32_t) exit_watch;

void exit_watch_set(uint32_t watcher, bool on);

static inline uint32_t exit_watchers(void)
{
	return atomic_load_explicit(&exit_watch, memory_order_relaxed);
}

#endif
