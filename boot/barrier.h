/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agreement between the application processors: all enter the guest or none does.
 *
 * One word decides, and it is written once, by compare-and-exchange: by the last CPU that arrives
 * (commit), or by whoever fails or runs out of time first (abort). A CPU that comes later, however
 * late, reads the decision and obeys. Pure: the time is injected.
 */
#ifndef BOOT_BARRIER_H
#define BOOT_BARRIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum barrier_verdict {
	BARRIER_OPEN = 0,
	BARRIER_COMMIT = 1,
	BARRIER_FAILED = 2,  /* a CPU could not be prepared */
	BARRIER_TIMEOUT = 3, /* a CPU waited in vain for the others */
};

struct barrier {
	_Atomic uint32_t decision; /* enum barrier_verdict, in bits 31:8 the CPU that decided */
	_Atomic uint32_t arrived;
	uint32_t expected; /* written before the CPUs start, then constant */
};

/* A clock that never goes backwards on one CPU; different CPUs may disagree. */
typedef uint64_t (*barrier_clock_t)(void *context);

void barrier_init(struct barrier *barrier, uint32_t expected);

/* Arrive and wait for the decision, until `clock` reaches `deadline`. Never returns BARRIER_OPEN. */
enum barrier_verdict barrier_arrive(struct barrier *barrier, uint32_t cpu, uint64_t deadline,
				    barrier_clock_t clock, void *context);

/* This CPU does not take part: abort, unless it is decided already. Returns what holds. */
enum barrier_verdict barrier_abort(struct barrier *barrier, uint32_t cpu,
				   enum barrier_verdict verdict);

enum barrier_verdict barrier_verdict(struct barrier *barrier);

/* The CPU whose word it was; meaningless while the barrier is open. */
uint32_t barrier_decider(struct barrier *barrier);

#endif
