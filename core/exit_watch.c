/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/exit_watch.h"

_Atomic(uint32_t) exit_watch;

void exit_watch_set(uint32_t watcher, bool on)
{
	if (on)
		atomic_fetch_or(&exit_watch, watcher);
	else
		atomic_fetch_and(&exit_watch, ~watcher);
}
