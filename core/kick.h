/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Getting another CPU's attention: a reason in its box, then an NMI. The NMI is also the guest's, and NMIs coalesce.
 * So the box also counts what was sent: an arrival is the guest's if it was recorded as the guest's, or if nothing
 * that was sent is still unaccounted for. A count left over by coalescing expires.
 */
#ifndef CORE_KICK_H
#define CORE_KICK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/x86/bits.h"

struct vcpu;

#define KICK_TLB_FLUSH	   BIT32(0) /* the guest-physical map has changed */
#define KICK_STOP	   BIT32(1) /* a fault in the hypervisor stops all CPUs */
#define KICK_ACTIVITY	   BIT32(2) /* an INIT or SIPI is in vcpu->startup */
#define KICK_GUEST_NMI	   BIT32(3) /* the guest sent this CPU an NMI */
#define KICK_RECHECK	   BIT32(4) /* nothing but: look again before the next entry */

/* NMIs sent longer ago than this have arrived: in TSC cycles. */
#define KICK_EXPIRY_CYCLES UINT64_C(1000000000)

struct kick_box {
	_Atomic(uint32_t) reasons;
	_Atomic(uint32_t) sent;
	_Atomic(uint64_t) sent_tsc; /* of the last one */
	uint32_t accounted;	    /* the target's own */
};

/* Pure. The sender's half, before it sends an NMI. */
void kick_record(struct kick_box *box, uint32_t reason, uint64_t now);
/* Pure. The target's half: take all reasons; true if the guest is to get an NMI. `arrivals` NMIs have come. */
bool kick_take(struct kick_box *box, uint32_t arrivals, uint64_t now, uint32_t *reasons);

/* Record `reason` for `target` and send it an NMI from the current CPU, also if that is the target. */
void kick_send(struct vcpu *target, uint32_t reason);
/* The same to every other vCPU that runs the guest already. */
void kick_others(struct vcpu *self, uint32_t reason);

#endif
