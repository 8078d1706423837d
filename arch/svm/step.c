/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest instruction alone: RFLAGS.TF with #DB intercepted, and interrupts held back by V_INTR_MASKING with the
 * host's IF = 0. Every other exception is intercepted as well, so that no frame with our TF in it is ever pushed. If
 * an event has to be delivered first (its frame is what the step is for), arch/svm/events.c takes TF away. What the
 * instruction itself does with TF is arch/svm/step_insn.c's.
 */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"
#include "core/debug_loan.h"
#include "vmexit/debug_met.h"
#include "vmexit/guest_memory.h"
#include "vmexit/nmi.h"
#include "vmexit/step.h"

/* What a debug exception sets: out of the way, so that the guest's old bits are not taken for news. */
#define DR6_EVENTS (DR6_BREAKPOINTS | DR6_BD | DR6_BS | DR6_BT)

static void begin(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rflags = rflags_read(vcpu);

	svm->step_guest_tf = (rflags & RFLAGS_TF) != 0;
	svm->step_delivery = false;
	svm_step_insn_begin(vcpu);
	svm->step_dr6 = dr6_read(vcpu);
	svm->step = true;
	/* With the masking, CR8 is V_TPR to the guest. APM: "Virtualizing the TPR". */
	svm->vmcb->virtual_interrupt =
		(svm->vmcb->virtual_interrupt & ~V_TPR) | read_cr8() | V_INTR_MASKING;
	if (!svm_step_insn_has_dr6(svm))
		dr6_write(vcpu, svm->step_dr6 & ~DR6_EVENTS);
	rflags_write(vcpu, rflags_read(vcpu)); /* dirty: TF is added when it is stored */
}

/* Also when the instruction has not been executed. */
static void end(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rflags = rflags_read(vcpu); /* without our TF */

	svm_step_insn_end(vcpu);
	svm->step = false;
	svm->step_delivery = false;
	svm->vmcb->virtual_interrupt &= ~V_INTR_MASKING;
	if ((svm->vmcb->virtual_interrupt & V_TPR) != read_cr8())
		write_cr8(svm->vmcb->virtual_interrupt & V_TPR);
	dr6_write(vcpu, svm->step_dr6);
	rflags_write(vcpu, rflags);
}

void svm_set_single_step(struct vcpu *vcpu, bool on)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (on == svm->step)
		return;
	if (on)
		begin(vcpu);
	else
		end(vcpu);
	vmcb_touch(svm->vmcb, CLEAN_TPR);
	svm_set_intercepts(vcpu);
}

/* The breakpoints that DR7 enables. SDM: "Debug Control Register (DR7)". */
static uint64_t enabled_breakpoints(uint64_t dr7)
{
	uint64_t enabled = 0;

	for (unsigned i = 0; i < 4; i++) {
		if ((dr7 >> 2 * i & 3) != 0)
			enabled |= BIT64(i);
	}
	return enabled;
}

/* Some machines tell nothing of a #DB that is intercepted. */
static bool is_untold(const struct svm_vcpu *svm)
{
	return (svm->vmcb->dr6 & DR6_EVENTS) == 0;
}

/* Those on the instruction that is stepped. */
static uint64_t breakpoints_here(struct vcpu *vcpu)
{
	if ((svm_of(vcpu)->vmcb->rflags & RFLAGS_RF) != 0)
		return 0;
	return debug_hardware_met(vcpu, DEBUG_TOUCH_FETCH, guest_linear_rip(vcpu).v, 1);
}

/* It has not been executed: the guest's handler may bring it back later. */
static void restore_tf(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	if (!svm->step_delivery)
		rflags_write(vcpu, (svm->vmcb->rflags & ~RFLAGS_TF) |
					   (svm->step_guest_tf ? RFLAGS_TF : 0));
}

/* The instruction is done: the guest's own trap and data breakpoints, if they are due. */
static void complete(struct vcpu *vcpu, struct exit_info *exit, uint64_t hit)
{
	bool is_trap = svm_step_insn_complete(vcpu);

	if (is_trap || hit != 0)
		events_raise_db(vcpu, hit | (is_trap ? DR6_BS : 0));
	exit->kind = EXIT_STEP;
}

/* Unless there is something that faults. */
static bool is_untold_trap(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return is_untold(svm) && !svm_step_insn_has_dr6(svm) && (dr7_read(vcpu) & DR7_GD) == 0 &&
	       breakpoints_here(vcpu) == 0;
}

/* Our trap sets BS. Some machines report a data breakpoint alone, but behind the instruction as well. */
static bool is_executed(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	const struct vmcb *vmcb = svm->vmcb;

	if ((vmcb->dr6 & DR6_BD) != 0) /* a MOV DR that DR7.GD forbids */
		return false;
	return (!svm_step_insn_has_dr6(svm) && (vmcb->dr6 & DR6_BS) != 0) ||
	       vmcb->rip != svm->step_rip || is_untold_trap(vcpu);
}

/* Through a task gate to a task with the T bit, or onto breakpoints: the delivery is done, and our NMI still on its way. */
static void delivered(struct vcpu *vcpu, struct exit_info *exit)
{
	uint64_t dr6 = svm_of(vcpu)->vmcb->dr6;
	uint64_t enabled = enabled_breakpoints(dr7_read(vcpu));
	uint64_t hit = (dr6 & (DR6_BT | DR6_BS)) |
		       (debug_met_behind(vcpu, dr6 & DR6_BREAKPOINTS) & enabled);

	if (hit != 0)
		events_raise_db(vcpu, hit);
	exit->kind = EXIT_STEP;
}

static void debug_exception(struct vcpu *vcpu, struct exit_info *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t enabled = enabled_breakpoints(dr7_read(vcpu));
	uint64_t met = svm->vmcb->dr6 & DR6_BREAKPOINTS;

	if (svm->step_delivery) {
		delivered(vcpu, exit);
		return;
	}
	if (is_executed(vcpu)) {
		if (svm_step_insn_has_dr6(svm))
			met = 0; /* they are old */
		complete(vcpu, exit, debug_met_behind(vcpu, met) & enabled);
		return;
	}
	if (is_untold(svm))
		met = breakpoints_here(vcpu);
	/* While the registers are lent it is said elsewhere whose they are (vmexit/debug_met.h). */
	if (!vcpu->loan.is_lent)
		met &= enabled;
	exit->exception.payload = (svm->vmcb->dr6 & DR6_BD) | met;
	restore_tf(vcpu);
}

void svm_step_exception(struct vcpu *vcpu, struct exit_info *exit)
{
	switch (exit->exception.vector) {
	case VECTOR_DB:
		debug_exception(vcpu, exit);
		break;
	case VECTOR_BP:
	case VECTOR_OF:
		/* Another CPU has changed the instruction since: once more, as what it is now. The lock: see SVM_EXIT_HLT. */
		nmi_after_exit(vcpu);
		step_cancel(vcpu);
		exit->kind = EXIT_KICKED;
		break;
	default:
		/* Also one that faults. SDM: "Handling Multiple NMIs". */
		if (svm_of(vcpu)->step_insn == STEP_INSN_IRET)
			nmi_blocked_write(vcpu, false);
		restore_tf(vcpu);
		break;
	}
}

bool svm_step_is_delivered(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return svm->step && svm->step_delivery && (svm->vmcb->exit_int_info & EVENT_VALID) == 0;
}
