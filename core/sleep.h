/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * S3 as all CPUs agree on it. Pure: atomic operations, so that the protocol runs as a test on the build host.
 *
 *            sleep_begin()            sleep_is_deep(): firmware's way up, the first CPU at our vector
 *   AWAKE ------------------> LEAVING ---------------------------------------------> WAKING
 *     ^                          |                                                     |
 *     |      sleep_give_up()     |                                                     |
 *     +--------------------------+                                                     |
 *     +--------------------------------- sleep_end() ----------------------------------+
 *
 * One CPU begins: the one whose write is to put the machine to sleep. The others park: each has left VMX or SVM when it
 * counts itself, and stays so for as long as the phase is LEAVING. If the machine does not fall asleep they all come back.
 */
#ifndef CORE_SLEEP_H
#define CORE_SLEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"
#include "boot/boot_info.h"

enum sleep_phase { SLEEP_AWAKE, SLEEP_LEAVING, SLEEP_WAKING };

/* The phase and how many CPUs are parked are one word: nobody stops being parked in a phase that began meanwhile. */
#define SLEEP_PHASE	 BITS32(1, 0)
#define SLEEP_PARKED_ONE BIT32(2)

struct sleep {
	_Atomic(uint32_t) word;
	_Atomic(uint32_t) woken; /* CPUs that have come up after S3, the first one not counted */
	_Atomic(uint32_t) count; /* how often the machine has come back from S3 */
};

/* False: another CPU is at it already. */
MUST_CHECK bool sleep_begin(struct sleep *sleep);
/* The machine goes on as it was: those that are parked come back. */
void sleep_give_up(struct sleep *sleep);
/* A CPU that has been told: false if there is nothing to leave for (any more). */
MUST_CHECK bool sleep_is_leaving(struct sleep *sleep);
/* It has left. False from the second: it has to stay. */
void sleep_park(struct sleep *sleep);
MUST_CHECK bool sleep_unpark(struct sleep *sleep);
uint32_t sleep_parked(struct sleep *sleep);

/* A CPU at our waking vector or SIPI vector. True: it is the first, and wakes the others. */
MUST_CHECK bool sleep_is_first(struct sleep *sleep);
void sleep_end(struct sleep *sleep);

/*
 * Whether a write of `bytes` bytes to `port` asks for S3, by one of these registers. A part of a register that is not
 * written keeps its value, and asks for nothing.
 */
MUST_CHECK bool sleep_is_request(const struct boot_sleep *machine, uint16_t port, unsigned bytes,
				 uint32_t value);
/* Whether any byte of these is a sleep register's. */
MUST_CHECK bool sleep_has_port(const struct boot_sleep *machine, uint16_t port);

#endif
