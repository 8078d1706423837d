/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/events.h"

#include "core/vcpu.h"

enum exception_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

/* SDM: "Interrupt and Exception Classes" in "Interrupt 8—Double Fault Exception (#DF)". */
static enum exception_class classify(const struct event *event)
{
	if (event->type != EVENT_EXCEPTION)
		return CLASS_BENIGN;
	switch (event->vector) {
	case VECTOR_DE:
	case VECTOR_TS:
	case VECTOR_NP:
	case VECTOR_SS:
	case VECTOR_GP:
	case VECTOR_CP:
	case VECTOR_SX: /* APM: "#DF—Double-Fault Exception" */
		return CLASS_CONTRIBUTORY;
	case VECTOR_PF:
	case VECTOR_VE:
		return CLASS_PAGE_FAULT;
	case VECTOR_DF:
		return CLASS_DOUBLE_FAULT;
	default:
		return CLASS_BENIGN;
	}
}

/* SDM: "Conditions for Generating a Double Fault". */
static bool makes_double_fault(enum exception_class first, enum exception_class second)
{
	if (first == CLASS_CONTRIBUTORY)
		return second == CLASS_CONTRIBUTORY;
	if (first == CLASS_PAGE_FAULT)
		return second == CLASS_CONTRIBUTORY || second == CLASS_PAGE_FAULT;
	return false;
}

static bool has_address(const struct event *event)
{
	return event->has_payload && event->vector == VECTOR_PF;
}

/* CR2 has the address of the last page fault that was found, delivered or not. SDM: "Page-Fault Exception (#PF)". */
static struct event double_fault(const struct event *first, const struct event *second)
{
	return (struct event){ .valid = true,
			       .has_error = true,
			       .has_payload = has_address(first) || has_address(second),
			       .vector = VECTOR_DF,
			       .type = EVENT_EXCEPTION,
			       .payload = has_address(second) ? second->payload : first->payload };
}

void events_raise(struct vcpu *vcpu, const struct event *event)
{
	struct event *pending = &vcpu->events.pending;
	enum exception_class first, second;

	if (!pending->valid) {
		*pending = *event;
		return;
	}
	first = classify(pending);
	second = classify(event);
	if (first == CLASS_DOUBLE_FAULT && second != CLASS_BENIGN) {
		vcpu->events.triple_fault = true;
		return;
	}
	if (makes_double_fault(first, second)) {
		*pending = double_fault(pending, event);
		return;
	}
	/*
	 * A benign pair: the second is delivered first, and the first happens again when its instruction is
	 * executed again. An event that would not happen again (NMI) is not lost.
	 */
	if (pending->type == EVENT_NMI)
		vcpu->events.nmi_pending = true;
	*pending = *event;
}

void events_raise_error(struct vcpu *vcpu, unsigned vector, uint32_t error_code)
{
	struct event event = { .valid = true,
			       .has_error = true,
			       .vector = (uint8_t)vector,
			       .type = EVENT_EXCEPTION,
			       .error_code = error_code };

	events_raise(vcpu, &event);
}

void events_raise_gp(struct vcpu *vcpu, uint32_t error_code)
{
	events_raise_error(vcpu, VECTOR_GP, error_code);
}

void events_raise_ud(struct vcpu *vcpu)
{
	struct event event = { .valid = true, .vector = VECTOR_UD, .type = EVENT_EXCEPTION };

	events_raise(vcpu, &event);
}

void events_raise_pf(struct vcpu *vcpu, uint64_t address, uint32_t error_code)
{
	struct event event = { .valid = true,
			       .has_error = true,
			       .has_payload = true,
			       .vector = VECTOR_PF,
			       .type = EVENT_EXCEPTION,
			       .error_code = error_code,
			       .payload = address };

	events_raise(vcpu, &event);
}

void events_raise_db(struct vcpu *vcpu, uint64_t dr6_bits)
{
	struct event *pending = &vcpu->events.pending;
	struct event event = { .valid = true,
			       .has_payload = true,
			       .vector = VECTOR_DB,
			       .type = EVENT_EXCEPTION,
			       .payload = dr6_bits };

	/* The traps of one instruction are one exception. */
	if (pending->valid && event_is_debug(pending) && pending->has_payload)
		pending->payload |= dr6_bits;
	else
		events_raise(vcpu, &event);
}

/* SDM: "Debug Status Register (DR6)". */
uint64_t events_dr6_after(uint64_t dr6, uint64_t happened, uint64_t renewed)
{
	uint64_t value = (dr6 & ~renewed) | (DR6_INIT & renewed);

	return (value | (happened & ~DR6_ACTIVE_LOW)) & ~(happened & DR6_ACTIVE_LOW);
}

/*
 * Debug exceptions are traps but for those of MOV DR and of instruction breakpoints, and the latter do not set RF. What an
 * instruction raises itself is a trap as well. SDM: "RF (resume) flag", "Instruction-Breakpoint Exception Condition".
 */
static bool sets_resume_flag(const struct event *event)
{
	return event->type == EVENT_EXCEPTION && event->insn_bytes == 0 &&
	       event->vector != VECTOR_DB && event->vector != VECTOR_DF &&
	       event->vector != VECTOR_MC;
}

void events_begin_delivery(struct vcpu *vcpu, const struct event *event, uint64_t dr6_renewed)
{
	if (event->has_payload && (event->vector == VECTOR_PF || event->vector == VECTOR_DF)) {
		cr2_write(vcpu, event->payload);
	} else if (event->has_payload && event->vector == VECTOR_DB) {
		dr6_write(vcpu, events_dr6_after(dr6_read(vcpu), event->payload, dr6_renewed));
		dr7_write(vcpu, dr7_read(vcpu) & ~DR7_GD);
	}
	if (sets_resume_flag(event))
		rflags_write(vcpu, rflags_read(vcpu) | RFLAGS_RF);
}

void events_requeue(struct vcpu *vcpu, const struct event *event)
{
	vcpu->events.pending = *event;
}
