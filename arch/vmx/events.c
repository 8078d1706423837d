/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/events.h"

#include "arch/vmx/event_info.h"
#include "arch/vmx/regs.h"
#include "arch/vmx/state.h"
#include "arch/vmx/vmcs.h"
#include "arch/x86/msr.h"

static void set_nmi_window(struct vmx_vcpu *vmx, bool on)
{
	uint32_t *primary = &vmx->controls.word[VMX_WORD_PRIMARY];
	uint32_t wanted =
		on ? *primary | PRIMARY_NMI_WINDOW_EXITING : *primary & ~PRIMARY_NMI_WINDOW_EXITING;

	if (wanted == *primary)
		return;
	*primary = wanted;
	vmcs_write32(VMCS_PRIMARY_CONTROLS, wanted);
}

void vmx_events_requeue(struct vcpu *vcpu, uint32_t idt_vectoring)
{
	struct event event;
	uint32_t error_code = 0, insn_bytes = 0;

	if ((idt_vectoring & INTR_INFO_ERROR_CODE) != 0)
		error_code = vmcs_read32(VMCS_IDT_VECTORING_ERROR_CODE);
	if ((idt_vectoring & INTR_INFO_TYPE) >> INTR_INFO_TYPE_SHIFT >= EVENT_SOFT_INTERRUPT)
		insn_bytes = vmcs_read32(VMCS_EXIT_INSN_BYTES);
	event = vmx_event_decode(idt_vectoring, error_code, insn_bytes);
	/* Injecting the NMI again blocks NMIs again, and is refused while they are blocked. */
	if (event.type == EVENT_NMI)
		vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY,
			     vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & ~INTERRUPTIBILITY_NMI);
	events_requeue(vcpu, &event);
}

/*
 * The manual says that "certain" debug exceptions clear B0 to B3, not which: here all do, as in KVM and Bochs. RTM is 1 behind
 * all but its own. BLD other exceptions are said to leave alone; what Linux notes of CPUs, and KVM does, is that they set it.
 * SDM: "Debug Status Register (DR6)".
 */
#define DR6_RENEWED (DR6_BREAKPOINTS | DR6_ACTIVE_LOW)

/*
 * A debug exception ends both; one that is intercepted or injected leaves DEBUGCTL alone. SDM: "Single-Stepping on
 * Branches", "Monitoring Branches, Exceptions, and Interrupts", "Architectural State Before a VM Exit".
 */
static void end_branch_debugging(void)
{
	uint64_t debugctl = vmcs_read64(VMCS_GUEST_DEBUGCTL);

	if ((debugctl & (DEBUGCTL_LBR | DEBUGCTL_BTF)) != 0)
		vmcs_write64(VMCS_GUEST_DEBUGCTL, debugctl & ~(DEBUGCTL_LBR | DEBUGCTL_BTF));
}

static void inject(struct vcpu *vcpu, const struct event *event)
{
	events_begin_delivery(vcpu, event, DR6_RENEWED);
	if (UNLIKELY(event_is_debug(event)))
		end_branch_debugging();
	/* Only these may wake a halted CPU; for all others it was running. */
	if (event->type != EVENT_NMI && event->type != EVENT_EXTERNAL)
		vmcs_write32(VMCS_GUEST_ACTIVITY, VMCS_ACTIVITY_ACTIVE);
	if (event->has_error)
		vmcs_write32(VMCS_ENTRY_ERROR_CODE, event->error_code);
	if (event->type >= EVENT_SOFT_INTERRUPT)
		vmcs_write32(VMCS_ENTRY_INSN_BYTES, event->insn_bytes);
	vmcs_write32(VMCS_ENTRY_INTR_INFO,
		     vmx_event_encode(event, cr0_read_bits(vcpu, CR0_PE) != 0));
	vmx_of(vcpu)->injected = *event;
	vmx_of(vcpu)->injected.has_payload = false;
	vmx_regs_store(vcpu);
}

/* False: they are blocked, and a window exit will tell when no longer. */
static bool inject_nmi(struct vcpu *vcpu)
{
	static const struct event nmi = { .valid = true, .vector = VECTOR_NMI, .type = EVENT_NMI };
	uint32_t state = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY);

	if ((state & (INTERRUPTIBILITY_NMI | INTERRUPTIBILITY_MOV_SS)) != 0)
		return false;
	/*
	 * Whether STI blocks NMIs is the CPU's choice, and some refuse an entry with both: here it
	 * does not, and the shadow ends with the delivery. SDM: "Checks on Guest Non-Register
	 * State".
	 */
	if ((state & INTERRUPTIBILITY_STI) != 0)
		interrupt_shadow_write(vcpu, 0);
	vcpu->events.nmi_pending = false;
	inject(vcpu, &nmi);
	return true;
}

void vmx_events_fill(struct vcpu *vcpu)
{
	struct vmx_vcpu *vmx = vmx_of(vcpu);
	struct events *events = &vcpu->events;
	bool injected = false;

	/*
	 * No entry into wait-for-SIPI takes an event. NMIs wait for the end of the trial and of a
	 * step.
	 */
	if (vcpu->activity == ACTIVITY_WAIT_SIPI) {
		set_nmi_window(vmx, false);
		return;
	}
	if (events->pending.valid) {
		inject(vcpu, &events->pending);
		events->pending.valid = false;
		injected = true;
	}
	if (events->nmi_pending && !vcpu->trial && !vmx->stepping && !injected)
		inject_nmi(vcpu);
	set_nmi_window(vmx, events->nmi_pending && !vcpu->trial && !vmx->stepping);
}

void vmx_events_cancel(struct vcpu *vcpu)
{
	struct event *injected = &vmx_of(vcpu)->injected;

	if (!injected->valid)
		return;
	vmcs_write32(VMCS_ENTRY_INTR_INFO, 0);
	if (injected->type == EVENT_NMI)
		vcpu->events.nmi_pending = true;
	else
		events_requeue(vcpu, injected);
	injected->valid = false;
}
