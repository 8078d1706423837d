/* SPDX-License-Identifier: BSD-2-Clause */
/* Event injection and what an exit interrupted. APM volume 2: "Event Injection", "Exit During Interrupt Delivery". */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/kick.h"
#include "vmexit/guest_memory.h"
#include "vmexit/step.h"

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
	/* What a soft exception is, its vector tells. APM: "Event Injection". */
	enum event_type type = event->type > EVENT_SOFT_INTERRUPT ? EVENT_EXCEPTION : event->type;
	uint64_t info =
		field_put(EVENT_VECTOR, event->vector) | field_put(EVENT_TYPE, type) | EVENT_VALID;

	if (event->has_error && protected_mode)
		info |= EVENT_ERROR_VALID | field_put(EVENT_ERROR, event->error_code);
	return info;
}

void svm_events_requeue(struct vcpu *vcpu)
{
	struct event event;

	if (svm_step_insn_requeue(vcpu) ||
	    !svm_event_decode(svm_of(vcpu)->vmcb->exit_int_info, &event))
		return;
	events_requeue(vcpu, &event);
}

/*
 * The frame that is pushed must not have our TF in it, and the handler's first instruction would not be trapped: an NMI
 * of our own, which waits behind the delivery, ends the step instead.
 */
static void deliver_in_step(struct vcpu *vcpu)
{
	svm_of(vcpu)->step_delivery = true;
	rflags_write(vcpu, rflags_read(vcpu)); /* dirty: stored as it is */
	svm_set_intercepts(vcpu);
	kick_send(vcpu, KICK_RECHECK);
}

/*
 * What an instruction has raised goes back to the next one: to RIP, or to the saved next RIP where the CPU has that. All
 * that interrupts the delivery is intercepted in a step, and turns it back (svm_step_insn_requeue()).
 */
static void move_behind(struct vcpu *vcpu, unsigned insn_bytes)
{
	uint64_t rip = rip_read(vcpu) + insn_bytes;

	if (!mode_is_64bit(vcpu))
		rip = (uint32_t)rip;
	rip_write(vcpu, rip);
	svm_of(vcpu)->vmcb->next_rip = rip;
}

/*
 * A debug exception that is delivered ends both. APM volume 2: "Control-Transfer Breakpoint Feature", "Control-Transfer
 * Recording MSRs".
 */
static void end_branch_debugging(struct vcpu *vcpu)
{
	const uint64_t ended = DEBUGCTL_LBR | DEBUGCTL_BTF;
	uint64_t debugctl;

	svm_of(vcpu)->step_guest_btf = false;
	if (rdmsr_safe(MSR_DEBUGCTL, &debugctl) && (debugctl & ended) != 0)
		(void)!wrmsr_safe(MSR_DEBUGCTL, debugctl & ~ended);
}

/*
 * B0 to B3 are updated by each breakpoint and general detection, the other bits are software's to clear, and so is BLD's to
 * set: APM volume 2, "Debug Status Register (DR6)". Of a single step the manual says nothing; KVM and both emulators update
 * them then, too. INT1, which has no bit of its own, leaves all as they are.
 */
static uint64_t dr6_renewed(const struct event *event)
{
	return event->payload != 0 ? DR6_BREAKPOINTS : 0;
}

/* In a step the guest's DR6 is aside: what the delivery adds is the guest's as well. */
static void begin_delivery(struct vcpu *vcpu, const struct event *event)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	bool is_aside = svm->step && event->has_payload && event->vector == VECTOR_DB;

	if (UNLIKELY(is_aside))
		dr6_write(vcpu, svm->step_dr6);
	events_begin_delivery(vcpu, event, dr6_renewed(event));
	if (UNLIKELY(is_aside))
		svm->step_dr6 = dr6_read(vcpu);
	if (UNLIKELY(event_is_debug(event)))
		end_branch_debugging(vcpu);
}

static void inject(struct vcpu *vcpu, const struct event *event)
{
	if (UNLIKELY(vcpu->step_kind == STEP_IRET || vcpu->step_kind == STEP_SHADOW))
		step_cancel(vcpu); /* its instruction is not the next one any more */
	if (UNLIKELY(event->insn_bytes != 0))
		move_behind(vcpu, event->insn_bytes);
	begin_delivery(vcpu, event);
	if (event->type == EVENT_NMI)
		nmi_blocked_write(vcpu, true);
	if (interrupt_shadow_read(vcpu) != 0)
		interrupt_shadow_write(vcpu, 0); /* any delivery ends it */
	if (UNLIKELY(svm_of(vcpu)->step))
		deliver_in_step(vcpu);
	svm_of(vcpu)->vmcb->event_injection =
		svm_event_encode(event, cr0_read_bits(vcpu, CR0_PE) != 0);
}

/*
 * Whether a step over the instruction at RIP would show itself or not end: HLT, and what saves or loads RFLAGS. Hardly
 * ever right behind MOV SS. What cannot be fetched faults, and that ends the step.
 */
static bool is_bad_to_step(struct vcpu *vcpu)
{
	static const uint8_t primary[] = { 0x9c, 0x9d, 0xcc, 0xcd, 0xce, 0xcf, 0xf1, 0xf4 };
	static const uint8_t map_0f[] = { 0x05, 0x07 }; /* SYSCALL, SYSRET */
	struct insn insn;
	const uint8_t *list = primary;
	unsigned count = ARRAY_COUNT(primary);

	if (!guest_fetch_insn(vcpu, &insn) || insn.encoding != INSN_LEGACY)
		return false;
	if (insn.map == INSN_MAP_0F) {
		list = map_0f;
		count = ARRAY_COUNT(map_0f);
	}
	for (unsigned i = 0; i < count && insn.map <= INSN_MAP_0F; i++) {
		if (list[i] == insn.opcode)
			return true;
	}
	return false;
}

/*
 * Not within the shadow of MOV SS, between the two halves of loading a stack pointer. The VMCB does not tell that
 * shadow from STI's, during which an NMI may come or not: wait in both for one instruction.
 */
static void inject_nmi(struct vcpu *vcpu)
{
	static const struct event nmi = { .valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI };

	if (interrupt_shadow_read(vcpu) != 0 && !is_bad_to_step(vcpu)) {
		step_begin(vcpu, STEP_SHADOW, (gpa_t){ 0 });
		return;
	}
	vcpu->events.nmi_pending = false;
	inject(vcpu, &nmi);
}

void svm_events_inject(struct vcpu *vcpu)
{
	struct events *events = &vcpu->events;

	if (events->pending.valid) {
		inject(vcpu, &events->pending);
		events->pending.valid = false;
		/* One at a time: the other NMI makes the guest exit again right behind this one. */
		if (events->nmi_pending && !nmi_blocked_read(vcpu) && !svm_of(vcpu)->step)
			kick_send(vcpu, KICK_RECHECK);
	} else if (events->nmi_pending && !svm_of(vcpu)->step && !nmi_blocked_read(vcpu)) {
		inject_nmi(vcpu); /* else the end of the step, or the IRET, brings us here again */
	}
}
