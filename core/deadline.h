/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting in host mode: points in time of this CPU's TSC. */
#ifndef CORE_DEADLINE_H
#define CORE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/insn.h"
#include "core/caps.h"

/* The TSC in `us` microseconds. */
static inline uint64_t deadline_in_us(uint64_t us)
{
	return rdtsc() + us * host_values.tsc_khz / 1000;
}

static inline bool deadline_is_over(uint64_t deadline)
{
	return (int64_t)(rdtsc() - deadline) >= 0;
}

static inline void deadline_wait_us(uint64_t us)
{
	uint64_t deadline = deadline_in_us(us);

	while (!deadline_is_over(deadline))
		cpu_pause();
}

#endif
