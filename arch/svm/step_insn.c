/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The instructions that save, load or show what a single step changes: RFLAGS.TF and DEBUGCTL.BTF. For each: what makes
 * its step end, and what takes our part out of what it leaves behind.
 *
 * - PUSHF saves TF on the stack, SYSCALL in R11: cleared there afterwards.
 * - POPF and IRET load it: what they load stays. The trap comes by the TF before them.
 * - JMP, CALL and IRET to another task save it in the outgoing one and load the incoming one's: they exit, and are done in
 *   software (arch/svm/exit.c). Where a CPU does not know that intercept, what it has saved is mended afterwards.
 * - SYSRET loads it from R11 and traps by that, SYSCALL may clear it by SFMASK: both registers are ours meanwhile.
 * - INT n, INT3, INTO and INT1 save TF in a frame and clear it, no trap follows: they are injected as what they raise,
 *   with the guest's TF, and the step ends as that of any delivery (arch/svm/events.c).
 * - INT n to a handler of the virtual-8086 program does the same, and is done in software (arch/svm/step_v86.c).
 * - RDMSR and WRMSR of DEBUGCTL see it without BTF, which would let our TF trap branches only.
 * - MOV to and from DR6 see the guest's, and no data breakpoint can be hit meanwhile.
 *
 * A trap of the guest's own is due as if nobody had stepped. APM volume 2: "Single Stepping", "Control-Transfer Breakpoint
 * Feature"; volume 3: "SYSCALL", "SYSRET".
 */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "mm/guest_copy.h"
#include "vmexit/guest_memory.h"
#include "vmexit/guest_physical.h"
#include "vmexit/nmi.h"
#include "vmexit/step.h"

#define REG_R11 (REG_R8 + 3)

/* --- which one it is --- */

static bool has_opcode(const struct insn *insn, enum insn_map map, uint8_t opcode)
{
	return insn->encoding == INSN_LEGACY && !insn->lock && insn->map == map &&
	       insn->opcode == opcode;
}

static enum step_insn classify_0f(struct vcpu *vcpu, const struct insn *insn)
{
	bool is_debugctl = (uint32_t)gpr_read_raw(vcpu, REG_RCX) == MSR_DEBUGCTL;
	bool is_long = (efer_read(vcpu) & EFER_LMA) != 0;

	if (is_long && has_opcode(insn, INSN_MAP_0F, 0x05))
		return STEP_INSN_SYSCALL;
	if (mode_is_64bit(vcpu) && has_opcode(insn, INSN_MAP_0F, 0x07))
		return STEP_INSN_SYSRET;
	if (is_debugctl && has_opcode(insn, INSN_MAP_0F, 0x30))
		return STEP_INSN_WRITE_DEBUGCTL;
	if (is_debugctl && has_opcode(insn, INSN_MAP_0F, 0x32))
		return STEP_INSN_READ_DEBUGCTL;
	/* DR4 is the same, or #UD. */
	if ((insn->reg & ~2u) == 4 && has_opcode(insn, INSN_MAP_0F, 0x21))
		return STEP_INSN_READ_DR6;
	if ((insn->reg & ~2u) == 4 && has_opcode(insn, INSN_MAP_0F, 0x23))
		return STEP_INSN_WRITE_DR6;
	return STEP_INSN_PLAIN;
}

static bool is_int_n(const struct insn *insn)
{
	return has_opcode(insn, INSN_MAP_PRIMARY, 0xcd);
}

enum v86_way { V86_UNKNOWN, V86_GATE, V86_PROGRAM };

/* Where INT n goes in virtual-8086 mode. What faults on the way there is left to the CPU. */
static enum v86_way way_in_v86(struct vcpu *vcpu, const struct insn *insn)
{
	bool to_program;

	if (cr4_read_bits(vcpu, CR4_VME) == 0)
		return V86_GATE;
	if (!svm_step_v86_redirects(vcpu, (uint8_t)insn->immediate, &to_program))
		return V86_UNKNOWN;
	return to_program ? V86_PROGRAM : V86_GATE;
}

/*
 * What INT n, INT3, INTO and INT1 raise. The CPU makes of a type-4 event what it makes of INT n, so that the gate's DPL
 * is checked. In virtual-8086 mode with less than IOPL 3 an INT n that is not the program's is a #GP: that is left to the CPU.
 */
static bool raised_event(struct vcpu *vcpu, const struct insn *insn, struct event *event)
{
	uint64_t rflags = rflags_read(vcpu);
	bool is_v86 = (rflags & RFLAGS_VM) != 0;

	*event = (struct event){ .valid = true,
				 .insn_bytes = insn->bytes,
				 .type = is_v86 ? EVENT_EXCEPTION : EVENT_SOFT_INTERRUPT };
	if (has_opcode(insn, INSN_MAP_PRIMARY, 0xcc)) {
		event->vector = VECTOR_BP;
		return true;
	}
	if (has_opcode(insn, INSN_MAP_PRIMARY, 0xce)) {
		event->vector = VECTOR_OF;
		return insn->code_bytes != 8 && (rflags & RFLAGS_OF) != 0;
	}
	if (has_opcode(insn, INSN_MAP_PRIMARY, 0xf1)) {
		/* No DPL, and no bit in DR6; but DR7.GD is cleared. */
		event->vector = VECTOR_DB;
		event->type = EVENT_EXCEPTION;
		event->has_payload = true;
		return true;
	}
	event->vector = (uint8_t)insn->immediate;
	event->type = EVENT_SOFT_INTERRUPT;
	return is_int_n(insn) && (!is_v86 || ((rflags & RFLAGS_IOPL) == RFLAGS_IOPL &&
					      way_in_v86(vcpu, insn) == V86_GATE));
}

static bool is_far(const struct insn *insn)
{
	return has_opcode(insn, INSN_MAP_PRIMARY, 0x9a) ||
	       has_opcode(insn, INSN_MAP_PRIMARY, 0xea) ||
	       (has_opcode(insn, INSN_MAP_PRIMARY, 0xff) &&
		((insn->reg & 7) == 3 || (insn->reg & 7) == 5));
}

static enum step_insn classify(struct vcpu *vcpu, const struct insn *insn, struct event *event)
{
	if (has_opcode(insn, INSN_MAP_PRIMARY, 0x9c))
		return STEP_INSN_PUSHF;
	if (has_opcode(insn, INSN_MAP_PRIMARY, 0x9d))
		return STEP_INSN_POPF;
	if (has_opcode(insn, INSN_MAP_PRIMARY, 0xcf))
		return STEP_INSN_IRET;
	if (is_far(insn))
		return STEP_INSN_FAR;
	if (raised_event(vcpu, insn, event))
		return STEP_INSN_RAISE;
	return classify_0f(vcpu, insn);
}

/* --- before --- */

static void hide_btf(struct vcpu *vcpu)
{
	uint64_t debugctl;

	svm_of(vcpu)->step_guest_btf = rdmsr_safe(MSR_DEBUGCTL, &debugctl) &&
				       (debugctl & DEBUGCTL_BTF) != 0 &&
				       wrmsr_safe(MSR_DEBUGCTL, debugctl & ~DEBUGCTL_BTF);
}

/* Where a task switch would save the second byte of RFLAGS. SDM: "Task-State Segment (TSS)", "16-Bit Task-State Segment". */
static void note_task(struct vcpu *vcpu)
{
	const struct segment *tr = segment_read(vcpu, SEGMENT_TR);
	uint32_t offset = (tr->rights & 8) != 0 ? 0x25 : 0x11;
	struct svm_vcpu *svm = svm_of(vcpu);

	svm->step_cr3 = cr3_read(vcpu);
	svm->step_tr_base = tr->base;
	svm->step_tss_flags = (gva_t){ (uint32_t)(tr->base + offset) };
}

static bool is_programs_int(struct vcpu *vcpu, const struct insn *insn)
{
	return is_int_n(insn) && (rflags_read(vcpu) & RFLAGS_VM) != 0 &&
	       way_in_v86(vcpu, insn) == V86_PROGRAM;
}

/* The CPU does not fetch what is done for it: it would have marked the page as accessed. */
static void mark_fetched(struct vcpu *vcpu, gva_t address, unsigned bytes)
{
	struct guest_span span;
	struct guest_fault fault;

	(void)!guest_translate(vcpu, address, bytes, 0, &span, &fault);
}

void svm_step_insn_begin(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	gva_t address = guest_linear_rip(vcpu);
	struct insn insn;

	hide_btf(vcpu);
	svm->step_insn = STEP_INSN_PLAIN;
	svm->step_bytes = 0;
	svm->step_rip = rip_read(vcpu);
	svm->step_sfmask = svm->vmcb->sfmask;
	svm->step_r11 = gpr_read_raw(vcpu, REG_R11);
	note_task(vcpu);
	if (vcpu->step_kind == STEP_IRET) {
		svm->step_insn = STEP_INSN_IRET;
		return;
	}
	/* What cannot be fetched faults. With an event pending it is its delivery that is stepped. */
	if (vcpu->events.pending.valid || !guest_fetch_insn(vcpu, &insn))
		return;
	svm->step_bytes = insn.bytes;
	if (is_programs_int(vcpu, &insn) &&
	    svm_step_v86_int(vcpu, (uint8_t)insn.immediate, insn.bytes)) {
		mark_fetched(vcpu, address, insn.bytes);
		return;
	}
	svm->step_insn = (uint8_t)classify(vcpu, &insn, &svm->step_event);
	svm->step_source = insn.rm;
	if (svm->step_insn == STEP_INSN_RAISE) {
		mark_fetched(vcpu, address, insn.bytes);
		vcpu->events.pending = svm->step_event;
	}
	if (svm->step_insn == STEP_INSN_SYSCALL)
		svm->vmcb->sfmask &= ~RFLAGS_TF; /* VMLOAD's, which is at each entry */
	else if (svm->step_insn == STEP_INSN_SYSRET)
		gpr_write_raw(vcpu, REG_R11, svm->step_r11 | RFLAGS_TF);
}

/* --- after --- */

/*
 * TF is in the second byte of what was saved, whatever its size. The stack's frames are still open, if they are tracked.
 * The map's lock may be held by who waits for this CPU to be out of the guest.
 */
static void clear_saved_tf(struct vcpu *vcpu, gva_t address, unsigned access)
{
	struct guest_span span;
	struct guest_fault fault;
	uint8_t flags;

	nmi_after_exit(vcpu);
	/* It has just been written. The hypervisor's own memory is refused: nothing has come there. */
	if (!guest_translate(vcpu, address, 1, access, &span, &fault) ||
	    !guest_copy_in(&flags, span.gpa[0], sizeof(flags)))
		return;
	flags = (uint8_t)(flags & ~(RFLAGS_TF >> 8));
	(void)!guest_physical_write(vcpu, span.gpa[0], &flags, sizeof(flags));
}

static void clear_pushed_tf(struct vcpu *vcpu)
{
	const struct segment *ss = segment_read(vcpu, SEGMENT_SS);
	uint64_t address = gpr_read_raw(vcpu, REG_RSP) + 1;

	if (!mode_is_64bit(vcpu)) {
		address &= (ss->rights & SEGMENT_DB) != 0 ? UINT32_MAX : UINT16_MAX;
		address = (uint32_t)(ss->base + address);
	}
	clear_saved_tf(vcpu, (gva_t){ address }, ACCESS_WRITE);
}

/* The CPU has switched tasks though that is intercepted (docs/emulators.md). */
static bool has_switched(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);

	return (svm->step_insn == STEP_INSN_FAR || svm->step_insn == STEP_INSN_IRET) &&
	       segment_read(vcpu, SEGMENT_TR)->base != svm->step_tr_base;
}

/* In the outgoing task, by the page tables of that. */
static void clear_tasks_tf(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t cr3 = cr3_read(vcpu);

	cr3_write(vcpu, svm->step_cr3);
	clear_saved_tf(vcpu, svm->step_tss_flags, ACCESS_WRITE | ACCESS_IMPLICIT);
	cr3_write(vcpu, cr3);
}

/* TF as it would be had nobody stepped. */
static uint64_t mended_tf(struct vcpu *vcpu)
{
	const struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t tf = svm->step_guest_tf ? RFLAGS_TF : 0;

	switch (svm->step_insn) {
	case STEP_INSN_POPF:
	case STEP_INSN_IRET:
		return svm->vmcb->rflags & RFLAGS_TF;
	case STEP_INSN_SYSCALL:
		return tf & ~svm->step_sfmask;
	case STEP_INSN_SYSRET:
		return svm->step_r11 & RFLAGS_TF;
	case STEP_INSN_FAR:
		return has_switched(vcpu) ? svm->vmcb->rflags & RFLAGS_TF : tf;
	default:
		return tf;
	}
}

static void mend_saved(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	switch (svm->step_insn) {
	case STEP_INSN_PUSHF:
		if (!svm->step_guest_tf)
			clear_pushed_tf(vcpu);
		break;
	case STEP_INSN_SYSCALL:
		if (!svm->step_guest_tf)
			gpr_write_raw(vcpu, REG_R11, gpr_read_raw(vcpu, REG_R11) & ~RFLAGS_TF);
		break;
	case STEP_INSN_READ_DEBUGCTL:
		if (svm->step_guest_btf)
			gpr_write_raw(vcpu, REG_RAX, gpr_read_raw(vcpu, REG_RAX) | DEBUGCTL_BTF);
		break;
	case STEP_INSN_IRET:
		nmi_blocked_write(vcpu, false);
		break;
	case STEP_INSN_WRITE_DEBUGCTL:
		svm->step_guest_btf = false; /* it is as the guest wants it */
		break;
	case STEP_INSN_WRITE_DR6:
		svm->step_dr6 = (svm->vmcb->dr6 & ~DR6_BS) |
				(gpr_read_raw(vcpu, svm->step_source) & DR6_BS);
		break;
	default:
		break;
	}
}

/* SYSCALL and SYSRET trap by the TF after them, all others by the one before. */
static bool traps(const struct svm_vcpu *svm, uint64_t tf_after, uint64_t rip)
{
	bool by_after = svm->step_insn == STEP_INSN_SYSCALL || svm->step_insn == STEP_INSN_SYSRET;
	uint64_t moved = rip - svm->step_rip;

	if (!(by_after ? tf_after != 0 : svm->step_guest_tf))
		return false;
	/* No branch: on to the next one, or another iteration of a string instruction. */
	return !svm->step_guest_btf || (moved != 0 && moved != svm->step_bytes);
}

bool svm_step_insn_complete(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t tf = mended_tf(vcpu);
	bool is_trap = traps(svm, tf, svm->vmcb->rip);

	if (!svm->step_guest_tf && has_switched(vcpu))
		clear_tasks_tf(vcpu);
	rflags_write(vcpu, (svm->vmcb->rflags & ~RFLAGS_TF) | tf);
	mend_saved(vcpu);
	/* A debug exception ends it. */
	if (is_trap)
		svm->step_guest_btf = false;
	return is_trap;
}

void svm_step_insn_end(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);
	uint64_t debugctl;

	if (svm->step_guest_btf && rdmsr_safe(MSR_DEBUGCTL, &debugctl))
		(void)!wrmsr_safe(MSR_DEBUGCTL, debugctl | DEBUGCTL_BTF);
	if (svm->step_insn == STEP_INSN_SYSCALL)
		svm->vmcb->sfmask = svm->step_sfmask;
	else if (svm->step_insn == STEP_INSN_SYSRET)
		gpr_write_raw(vcpu, REG_R11, svm->step_r11);
	else if (svm->step_insn == STEP_INSN_RAISE && vcpu->events.pending.insn_bytes != 0)
		vcpu->events.pending.valid = false; /* the instruction is still there to do it */
	svm->step_insn = STEP_INSN_PLAIN;
}

bool svm_step_insn_requeue(struct vcpu *vcpu)
{
	struct svm_vcpu *svm = svm_of(vcpu);

	if (!svm->step || svm->step_insn != STEP_INSN_RAISE)
		return false;
	rip_write(vcpu, svm->step_rip);
	events_requeue(vcpu, &svm->step_event);
	return true;
}
