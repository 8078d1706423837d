/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All CPUs of the guest stand still for the debugger. Pure: atomic operations, so that the protocol runs as a test on the
 * build host.
 *
 * One CPU leads: the one that met a breakpoint, or that noticed the debugger's line. It makes the stop's word odd, kicks the
 * others, and waits until each has parked. A CPU parks where it would enter the guest next: between two instructions, no
 * native step under way, no lock held, in_guest = 0. There it serves the leader's requests (a CPU's state is nobody else's to
 * read), one at a time. Then the word becomes even again; a CPU whose seat is held stays where it is all the same, for as
 * long as the leader runs (a debugger that steps one CPU alone).
 *
 *            stop_begin()             all have parked              stop_end()
 *   even ----------------> odd: they park --------> requests ------------------> even: they go on, but for those held
 *
 * The word counts on, and a parked CPU publishes the word that it has seen: nobody is taken for parked because it was in an
 * earlier stop and has not left yet.
 *
 * While it is parked a CPU looks at its kicks as well: a panic stops it for good, S3 takes it along (it parks again
 * behind it, or comes up anew, which forgets the stop). A flush of the guest-physical map does not wait for it, as it is not
 * in the guest, and is made before it enters. INIT is taken when it goes on. A CPU that waits for a SIPI does not park, since
 * a SIPI would be lost there: it counts as stopped, and parks when it has been started.
 */
#ifndef CORE_STOP_H
#define CORE_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"

struct vcpu;

struct stop {
	_Atomic(uint32_t) word; /* odd: on */
	_Atomic(uint32_t) leader;
};

enum stop_reason {
	STOP_NONE,
	STOP_ASKED, /* by whoever is at the console, or at the guest's start */
	STOP_STEP,  /* the debugger's single step is done */
	STOP_SOFTWARE,
	STOP_HARDWARE,
	STOP_WATCH,
};

/* Why one CPU wants all of them to stop. */
struct stop_event {
	enum stop_reason reason;
	uint32_t watch;	  /* enum gdb_break (core/gdb_target.h) */
	uint64_t address; /* that the watchpoint was asked for */
};

/* What a parked CPU is asked to do, on its own CPU. */
struct stop_request {
	void (*function)(struct vcpu *vcpu, void *context);
	void *context;
};

/* One CPU's. */
struct stop_seat {
	_Atomic(uint32_t) parked; /* the word that it saw, 0: it runs */
	_Atomic(uint32_t) held;
	_Atomic(const struct stop_request *) request; /* NULL: none, or the last one is done */
};

/* False: another CPU leads one already, and this one is to park. */
MUST_CHECK bool stop_begin(struct stop *stop, uint32_t leader);
/* The leader: everybody who is not held goes on. */
void stop_end(struct stop *stop);
bool stop_is_on(const struct stop *stop);
/* Forget it, whoever led: nobody else runs. */
void stop_forget(struct stop *stop);

/* The CPU whose seat it is: whether it has to stay. If so, it is parked from now on; if not, no longer. */
MUST_CHECK bool stop_stay(const struct stop *stop, struct stop_seat *seat);
/* The same CPU: do what it was asked for, if anything. */
void stop_serve(struct stop_seat *seat, struct vcpu *vcpu);

/* The leader, between stop_begin() and stop_end(). */
MUST_CHECK bool stop_is_parked(const struct stop *stop, const struct stop_seat *seat);
void stop_hold(struct stop_seat *seat, bool held);
/* Of one that is parked. The request has to stay where it is until stop_is_done(). */
void stop_ask(struct stop_seat *seat, const struct stop_request *request);
MUST_CHECK bool stop_is_done(const struct stop_seat *seat);

#endif
