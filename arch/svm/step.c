/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest instruction alone: RFLAGS.TF with #DB intercepted, and interrupts held back by V_INTR_MASKING with the
 * host's IF = 0. Every other exception is intercepted as well, so that no frame with our TF in it is ever pushed. If
 * an event has to be delivered first (its frame is what the step is for), arch/svm/events.c takes TF away.
 */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"
#include "mm/guest_copy.h"
#include "vmexit/guest_memory.h"
#include "vmexit/step.h"

/* What a debug exception sets: out of the way, so that the guest's old bits are not taken for news. */
#define DR6_EVENTS   (DR6_BREAKPOINTS | DR6_BD | DR6_BS | DR6_BT)

/* PUSHF, which would push our TF. What cannot be fetched faults, and that ends the step. */
#define OPCODE_PUSHF 0x9cu
static bool pushes_flags(struct vcpu *vcpu)
{
	struct insn insn;

	return guest_fetch_insn(vcpu, &insn) && insn.encoding == INSN_LEGACY &&
	       insn.map == INSN_MAP_PRIMARY && insn.opcode == OPCODE_PUSHF;
}

/* TF is in the second byte of what was pushed, whatever its size. The stack's frames are still open. */
static void clear_pushed_tf(struct vcpu *vcpu)
{
	const struct segment *ss = segment_read(vcpu, SEGMENT_SS);
	uint64_t address = gpr_read_raw(vcpu, REG_RSP) + 1;
	struct guest_span span;
	struct guest_fault fault;
	uint8_t flags;

	if (!mode_is_64bit(vcpu)) {
		address &= (ss->rights & SEGMENT_DB) != 0 ? UINT32_MAX : UINT16_MAX;
		address = (uint32_t)(ss->base + address);
	}
	/* It has just been written. The hypervisor's own memory is refused: nothing has come there. */
	if (!guest_translate(vcpu, (gva_t){ address }, 1, ACCESS_WRITE, &span, &fault) ||
	    !guest_copy_in(&flags, span.gpa[0], sizeof(flags)))
		return;
	flags = (uint8_t)(flags & ~(RFLAGS_TF >> 8));
	(void)!guest_copy_out(span.gpa[0], &flags, sizeof(flags));
}

static void begin(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rflags = rflags_read(vcpu);

	svm->step_guest_tf = (rflags & RFLAGS_TF) != 0;
	svm->step_pushf = !svm->step_guest_tf && pushes_flags(vcpu);
	svm->step_dr6 = dr6_read(vcpu);
	svm->step = true;
	svm->step_delivery = false;
	/* With the masking, CR8 is V_TPR to the guest. APM: "Virtualizing the TPR". */
	svm->vmcb->virtual_interrupt =
		(svm->vmcb->virtual_interrupt & ~V_TPR) | read_cr8() | V_INTR_MASKING;
	dr6_write(vcpu, svm->step_dr6 & ~DR6_EVENTS);
	rflags_write(vcpu, rflags); /* dirty: TF is added when it is stored */
}

/* Also when the instruction has not been executed. */
static void end(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rflags = rflags_read(vcpu); /* without our TF */

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

/* The flags as if nobody had stepped. IRET has loaded them, TF among them; other instructions leave ours there. */
static void restore_tf(struct vcpu *vcpu, bool flags_loaded)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t rflags = svm->vmcb->rflags;

	if (svm->step_delivery)
		return;
	if (!flags_loaded)
		rflags = (rflags & ~RFLAGS_TF) | (svm->step_guest_tf ? RFLAGS_TF : 0);
	rflags_write(vcpu, rflags);
}

/* The instruction is done: the guest's own trap and data breakpoints, if they are due. */
static void complete(struct vcpu *vcpu, struct exit_info *exit)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t hit = svm->vmcb->dr6 & enabled_breakpoints(dr7_read(vcpu));

	restore_tf(vcpu, vcpu->step_kind == STEP_IRET);
	if (svm->step_pushf)
		clear_pushed_tf(vcpu);
	if (svm->step_guest_tf || hit != 0)
		events_raise_db(vcpu, hit | (svm->step_guest_tf ? DR6_BS : 0));
	exit->kind = EXIT_STEP;
}

void svm_step_exception(struct vcpu *vcpu, struct exit_info *exit)
{
	uint64_t dr6 = svm_of(vcpu)->vmcb->dr6;

	/* A MOV DR that DR7.GD forbids has not been executed. */
	if (exit->exception.vector == VECTOR_DB && (dr6 & DR6_BD) == 0) {
		complete(vcpu, exit);
		return;
	}
	if (exit->exception.vector == VECTOR_DB)
		exit->exception.payload = DR6_BD;
	/* The guest's handler may bring the instruction back later. */
	restore_tf(vcpu, false);
}

bool svm_step_is_delivered(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return svm->step && svm->step_delivery && (svm->vmcb->exit_int_info & EVENT_VALID) == 0;
}
