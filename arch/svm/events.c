/* SPDX-License-Identifier: BSD-2-Clause */
/* Event injection and what an exit interrupted. APM volume 2: "Event Injection", "Exit During Interrupt Delivery". */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "core/kick.h"

bool svm_event_decode(uint64_t info, struct event *event)
{
	uint8_t vector = (uint8_t)field_get(EVENT_VECTOR, info);
	enum event_type type = (enum event_type)field_get(EVENT_TYPE, info);

	if ((info & EVENT_VALID) == 0)
		return false;
	/* Some machines call everything an exception when the fault came late in the delivery. */
	if (vector == VECTOR_NMI && type == EVENT_EXCEPTION)
		type = EVENT_NMI;
	else if (type == EVENT_EXCEPTION && vector >= 32)
		type = EVENT_EXTERNAL;
	/* RIP still points at INT n, INT3 and INTO: executed again they do the same. */
	if (type == EVENT_SOFT_INTERRUPT ||
	    (type == EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF)))
		return false;
	*event = (struct event){ .valid = true, .vector = vector, .type = type };
	if (type == EVENT_EXCEPTION && (info & EVENT_ERROR_VALID) != 0) {
		event->has_error = true;
		event->error_code = (uint32_t)field_get(EVENT_ERROR, info);
	}
	return true;
}

uint64_t svm_event_encode(const struct event *event, bool protected_mode)
{
	uint64_t info = field_put(EVENT_VECTOR, event->vector) |
			field_put(EVENT_TYPE, event->type) | EVENT_VALID;

	if (event->has_error && protected_mode)
		info |= EVENT_ERROR_VALID | field_put(EVENT_ERROR, event->error_code);
	return info;
}

void svm_events_requeue(struct vcpu *vcpu)
{
	struct event event;

	if (!svm_event_decode(svm_of(vcpu)->vmcb->exit_int_info, &event))
		return;
	events_requeue(vcpu, &event);
}

/* The payload becomes visible here and nowhere else. SDM: "Exception and Interrupt Vectors", "Debug Status Register". */
static void apply_payload(struct vcpu *vcpu, const struct event *event)
{
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	if (!event->has_payload)
		return;
	if (event->vector == VECTOR_PF) {
		cr2_write(vcpu, event->payload);
	} else if (event->vector == VECTOR_DB) {
		vmcb->dr6 |= event->payload;
		vmcb_touch(vmcb, CLEAN_DR);
		dr7_write(vcpu, dr7_read(vcpu) & ~DR7_GD);
	}
}

static void inject_nmi(struct vcpu *vcpu)
{
	static const struct event nmi = { .valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI };

	if (vcpu->events.nmi_blocked)
		return; /* until the IRET */
	vcpu->events.nmi_pending = false;
	vcpu->events.nmi_blocked = true;
	svm_of(vcpu)->vmcb->event_injection = svm_event_encode(&nmi, true);
	svm_set_intercepts(vcpu);
}

void svm_events_inject(struct vcpu *vcpu)
{
	struct events *events = &vcpu->events;

	if (events->pending.valid) {
		apply_payload(vcpu, &events->pending);
		svm_of(vcpu)->vmcb->event_injection =
			svm_event_encode(&events->pending, (cr0_read(vcpu) & CR0_PE) != 0);
		if (events->pending.type == EVENT_NMI && !events->nmi_blocked) {
			events->nmi_blocked = true;
			svm_set_intercepts(vcpu);
		}
		events->pending.valid = false;
		/* One at a time: the other NMI makes the guest exit again right behind this one. */
		if (events->nmi_pending && !events->nmi_blocked)
			kick_send(vcpu, KICK_RECHECK);
	} else if (events->nmi_pending) {
		inject_nmi(vcpu);
	}
}
