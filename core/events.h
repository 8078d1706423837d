/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is to be delivered to the guest at the next entry. One queue a vCPU: an event whose delivery an exit
 * interrupted comes first, then an exception raised by a handler, then an NMI. External interrupts are the
 * guest's own and never pass here, except when an exit interrupted their delivery.
 */
#ifndef CORE_EVENTS_H
#define CORE_EVENTS_H

#include "arch/x86/cr.h"

struct vcpu;

/* The numbers are those of VMX interruption types; SVM's EVENTINJ agrees where it has them. */
enum event_type {
	EVENT_EXTERNAL = 0,
	EVENT_NMI = 2,
	EVENT_EXCEPTION = 3,
	EVENT_SOFT_INTERRUPT = 4,
	EVENT_PRIVILEGED_SOFT_EXCEPTION = 5, /* INT1 */
	EVENT_SOFT_EXCEPTION = 6,	     /* INT3, INTO */
};

struct event {
	bool valid;
	bool has_error;
	bool has_payload; /* CR2 of #PF (and of a #DF by one), DR6 bits of #DB: visible to the guest only at delivery */
	uint8_t vector;
	uint8_t insn_bytes; /* soft events: length of the instruction that raised it */
	enum event_type type;
	uint32_t error_code;
	uint64_t payload;
};

struct events {
	struct event pending; /* re-injection or exception */
	bool nmi_pending;     /* one is waiting to be delivered (they coalesce, as on the CPU) */
	bool triple_fault;    /* delivery has failed for good: shut down */
};

/* Combine a new exception with one that was being delivered. SDM: "Interrupt 8—Double Fault Exception (#DF)". */
void events_raise(struct vcpu *vcpu, const struct event *event);

/* Exceptions raised by handlers. RIP stays at the instruction. */
void events_raise_ud(struct vcpu *vcpu);
void events_raise_gp(struct vcpu *vcpu, uint32_t error_code);
void events_raise_pf(struct vcpu *vcpu, uint64_t address, uint32_t error_code);
void events_raise_error(struct vcpu *vcpu, unsigned vector, uint32_t error_code);
/* A trap after a completed instruction; dr6 bits in DR6's own polarity (1 = happened). */
void events_raise_db(struct vcpu *vcpu, uint64_t dr6_bits);

/*
 * At injection, and nowhere else: what the CPU does at a delivery and an injection does not. The payload becomes visible
 * (CR2; DR6 and DR7.GD), and the RFLAGS that a fault saves have RF set. `dr6_renewed`: the bits of DR6 that this vendor's
 * CPUs put back to their initial state at a debug exception. SDM: "Details of Vectored-Event Injection", "Restarting a
 * Program or Task After an Exception"; APM: "Event Injection".
 */
void events_begin_delivery(struct vcpu *vcpu, const struct event *event, uint64_t dr6_renewed);

/* Pure: DR6 after a debug exception with these bits (1 = happened, also for the bits that are low then). */
uint64_t events_dr6_after(uint64_t dr6, uint64_t happened, uint64_t renewed);

/* A debug exception, be it by INT1: it ends the recording of branches and the stepping of them. */
static inline bool event_is_debug(const struct event *event)
{
	return event->vector == VECTOR_DB &&
	       (event->type == EVENT_EXCEPTION || event->type == EVENT_PRIVILEGED_SOFT_EXCEPTION);
}

/* The back end found, at an exit, that this event's delivery had not finished: deliver it again. */
void events_requeue(struct vcpu *vcpu, const struct event *event);

#endif
