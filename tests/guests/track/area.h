/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory that is tracked, and the hypercall. */
#ifndef TESTS_GUESTS_TRACK_AREA_H
#define TESTS_GUESTS_TRACK_AREA_H

#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/track_ask.h"

enum { PAGE = 4096, LARGE = 2 << 20, PAGES = 16 };
#define AREA_BYTES (PAGES * PAGE)

extern uint8_t *area; /* tracked: the first pages of a large one with a large one on either side */
extern uint8_t *area_shadow; /* what the notifications say is in it */
extern struct track_log *area_logs[PROBE_CPUS_MAX];

/* First of all; no interrupts from then on. False: there is no memory. */
bool area_init(void);

uint64_t area_ask(uint64_t operation, uint64_t address, uint64_t bytes);
uint64_t area_add(const void *at);
uint64_t area_take(const void *at);
uint64_t area_lookup(const void *at);
/* How many records are in the log of this CPU by now. */
uint64_t area_written(uint32_t cpu);

#endif
