/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting another CPU's attention: a reason in its box, then an NMI. The NMI is also the guest's, and NMIs coalesce.
 * So at most one of ours is under way to a CPU at a time: whoever finds one under way only adds its reason, since that
 * NMI is going to be followed by a look at the reasons. An arrival while one is under way is ours, however late it
 * comes; any other is the guest's. The guest's own NMIs are carried this way where its ICR writes are seen (AMD-V).
 */
#ifndef CORE_KICK_H
#define CORE_KICK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"

struct vcpu;

#define KICK_TLB_FLUSH BIT32(0) /* the guest-physical map has changed */
#define KICK_STOP      BIT32(1) /* a fault in the hypervisor stops all CPUs */
#define KICK_ACTIVITY  BIT32(2) /* an INIT or SIPI is in vcpu->startup */
#define KICK_GUEST_NMI BIT32(3) /* the guest sent this CPU an NMI */
#define KICK_SLEEP \
	BIT32(5) /* the machine is about to fall asleep: leave VMX or SVM (core/sleep.h) */
#define KICK_DEBUG \
	BIT32(6) /* the debugger stops all CPUs, or wants something of this one (core/stop.h) */
#define KICK_RECHECK	 BIT32(4) /* nothing but: look again before the next entry */

/*
 * In TSC cycles, seconds: one of ours that was sent longer ago and has not arrived is lost (a CPU that was reset behind
 * our back). The next sender sends another.
 */
#define KICK_LOST_CYCLES UINT64_C(10000000000)

struct kick_box {
	_Atomic(uint32_t) reasons;
	_Atomic(uint32_t) under_way; /* 1: an NMI of ours is */
	_Atomic(uint64_t) sent_tsc;  /* when it was sent */
};

/* Pure. The sender's half: true if it has to send an NMI. */
MUST_CHECK bool kick_record(struct kick_box *box, uint32_t reason, uint64_t now);
/* Pure. The target's half: take all reasons; true if the guest is to get an NMI. `arrivals` NMIs have come. */
bool kick_take(struct kick_box *box, uint64_t arrivals, uint32_t *reasons);

/*
 * Pure. The target: from here to kick_open() nobody sends it an NMI, which would be lost; it looks at the reasons after
 * it. False: one is under way and is to arrive first.
 */
MUST_CHECK bool kick_close(struct kick_box *box, uint64_t now);
void kick_open(struct kick_box *box);

/* Record `reason` for `target` and send it an NMI from the current CPU, also if that is the target. */
void kick_send(struct vcpu *target, uint32_t reason);
/* The same to every other vCPU that runs the guest already. */
void kick_others(struct vcpu *self, uint32_t reason);

#endif
