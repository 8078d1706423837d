/* SPDX-License-Identifier: BSD-2-Clause */
/* A spin lock for short sections; host code runs with interrupts off, so a holder is never preempted. */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline bool lock_try(_Atomic(uint32_t) *lock)
{
	return atomic_exchange_explicit(lock, 1, memory_order_acquire) == 0;
}

static inline void lock_acquire(_Atomic(uint32_t) *lock)
{
	while (!lock_try(lock)) {
		while (atomic_load_explicit(lock, memory_order_relaxed) != 0)
			__builtin_ia32_pause();
	}
}

static inline void lock_release(_Atomic(uint32_t) *lock)
{
	atomic_store_explicit(lock, 0, memory_order_release);
}

#endif
