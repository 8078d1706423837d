/* SPDX-License-Identifier: BSD-2-Clause */
/* From the VMCB's exit information to struct exit_info. */
#include "arch/svm/svm.h"

#include "arch/x86/cr.h"
#include "core/caps.h"
#include "core/startup.h"
#include "vmexit/guest_memory.h"
#include "vmexit/nmi.h"
#include "vmexit/step.h"

#define SX_INIT	       1u   /* error code of #SX: an INIT was redirected */
#define EXIT_INFO1_GPR 0xfu /* of a MOV to or from a debug register */

/* An INIT from elsewhere, redirected: it goes the way of those that the guest sends. */
static void note_init(struct vcpu *vcpu, struct exit_info *exit)
{
	startup_send_init(&vcpu->startup);
	atomic_fetch_or(&vcpu->kick.reasons, KICK_ACTIVITY);
	exit->kind = EXIT_KICKED;
}

/* While the guest lends its debug registers: DR6 in the VMCB is nobody's, and as after reset. */
static uint64_t take_debug_news(struct vcpu *vcpu)
{
	const uint64_t events = DR6_BREAKPOINTS | DR6_ACTIVE_LOW | DR6_BD | DR6_BS | DR6_BT;
	struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t news = (vmcb->dr6 ^ DR6_INIT) & events;

	vmcb->dr6 = DR6_INIT;
	vmcb_touch(vmcb, CLEAN_DR);
	return news;
}

static void decode_exception(struct vcpu *vcpu, struct exit_info *exit)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint8_t vector = (uint8_t)(vmcb->exit_code - SVM_EXIT_EXCEPTION_0);

	exit->kind = EXIT_EXCEPTION;
	exit->exception.vector = vector;
	exit->exception.has_error =
		vector == VECTOR_DF || (vector >= VECTOR_TS && vector <= VECTOR_PF) ||
		vector == VECTOR_AC || vector == VECTOR_CP || vector == VECTOR_SX;
	exit->exception.insn_bytes = 0;
	exit->exception.error_code = (uint32_t)vmcb->exit_info1;
	exit->exception.payload = vector == VECTOR_PF ? vmcb->exit_info2 : 0;
	if (vector == VECTOR_SX && vmcb->exit_info1 == SX_INIT)
		note_init(vcpu, exit);
	else if (svm_of(vcpu)->step)
		svm_step_exception(vcpu, exit);
	else if (vector == VECTOR_DB)
		exit->exception.payload = take_debug_news(vcpu);
}

/*
 * Without decode assists the register is in the instruction only, and without the next RIP its length. APM volume 2: "Decode
 * Assists", "MOV CRx/DRx Intercepts".
 */
static void decode_dr_access(uint64_t code, uint64_t info1, struct exit_info *exit)
{
	exit->kind = EXIT_DR_ACCESS;
	exit->dr.write = code >= SVM_EXIT_WRITE_DR0;
	exit->dr.dr = (uint8_t)(code & 0xf);
	exit->dr.has_gpr = hv_caps.decode_assists && hv_caps.nrip_save;
	exit->dr.gpr = (uint8_t)(info1 & EXIT_INFO1_GPR);
}

static void decode_nested_fault(struct vcpu *vcpu, struct exit_info *exit)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;

	exit->kind = EXIT_NESTED_PAGE_FAULT;
	svm_regs_fetch_for_insn(vcpu); /* a write to the APIC page is going to be decoded */
	exit->fault.gpa = (gpa_t){ vmcb->exit_info2 };
	exit->fault.present = (vmcb->exit_info1 & PFERR_PRESENT) != 0;
	exit->fault.write = (vmcb->exit_info1 & PFERR_WRITE) != 0;
	exit->fault.user = (vmcb->exit_info1 & PFERR_USER) != 0;
	exit->fault.fetch = (vmcb->exit_info1 & PFERR_FETCH) != 0;
	exit->fault.during_walk = (vmcb->exit_info1 & NPF_WALK) != 0;
}

static void decode_io(struct vcpu *vcpu, struct exit_info *exit)
{
	uint64_t info = svm_of(vcpu)->vmcb->exit_info1;

	exit->kind = EXIT_IO;
	exit->io.port = (uint16_t)field_get(IOIO_PORT, info);
	exit->io.bytes = (uint8_t)field_get(IOIO_BYTES, info);
	exit->io.in = (info & IOIO_IN) != 0;
	exit->io.string = (info & IOIO_STRING) != 0;
}

/* The debugger's steps end behind it, or would come to it again: as if something had woken the CPU at once. */
static void wake_in_step(struct vcpu *vcpu)
{
	rip_write(vcpu, rip_read(vcpu) + svm_of(vcpu)->step_bytes);
	interrupt_shadow_write(vcpu, 0);
}

/*
 * Fetching it is what the step was for, and that is done: alone it can be woken. Ending the step takes the map's lock, whose
 * holder may be waiting for us to be out of the guest. Outside of steps nobody has asked for this exit.
 */
static void sleep_in_step(struct vcpu *vcpu, struct exit_info *exit)
{
	if (!svm_of(vcpu)->step) {
		exit->kind = EXIT_OTHER;
		return;
	}
	nmi_after_exit(vcpu);
	if (vcpu->step_kind == STEP_DEBUG || vcpu->step_kind == STEP_CODE)
		wake_in_step(vcpu);
	step_abandon(vcpu);
	exit->kind = EXIT_KICKED;
}

/*
 * Its instruction is done here, with the guest's own TF, and that ends the step. As it is intercepted for instructions alone,
 * one that is part of a delivery is INT n in place of what was there when the step began: once more, as what it is now.
 */
static void switch_in_step(struct vcpu *vcpu, struct exit_info *exit)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t info = vmcb->exit_info2;
	struct insn insn;

	nmi_after_exit(vcpu); /* the lock, as above */
	exit->kind = EXIT_KICKED;
	if ((vmcb->exit_int_info & EVENT_VALID) != 0 || !guest_fetch_insn(vcpu, &insn)) {
		step_cancel(vcpu);
		return;
	}
	step_abandon(vcpu);
	rflags_write(vcpu, (rflags_read(vcpu) & ~RFLAGS_RF) |
				   ((info & TASK_SWITCH_RF) != 0 ? RFLAGS_RF : 0));
	exit->kind = EXIT_TASK_SWITCH;
	exit->task.selector = (uint16_t)vmcb->exit_info1;
	exit->task.source = TASK_SWITCH_CALL;
	if ((info & TASK_SWITCH_BY_IRET) != 0)
		exit->task.source = TASK_SWITCH_IRET;
	else if ((info & TASK_SWITCH_BY_JMP) != 0)
		exit->task.source = TASK_SWITCH_JMP;
	exit->task.has_error = false;
	exit->task.error_code = 0;
	exit->task.insn_bytes = insn.bytes;
}

void svm_exit_decode(struct vcpu *vcpu, struct exit_info *exit)
{
	const struct vmcb *vmcb = svm_of(vcpu)->vmcb;
	uint64_t code = vmcb->exit_code;

	exit->raw_reason = code;
	exit->raw_info[0] = vmcb->exit_info1;
	exit->raw_info[1] = vmcb->exit_info2;
	switch (code) {
	case SVM_EXIT_CPUID:
		exit->kind = EXIT_CPUID;
		break;
	case SVM_EXIT_MSR:
		exit->kind = vmcb->exit_info1 == 0 ? EXIT_RDMSR : EXIT_WRMSR;
		break;
	case SVM_EXIT_IOIO:
		decode_io(vcpu, exit);
		break;
	case SVM_EXIT_NPF:
		decode_nested_fault(vcpu, exit);
		break;
	case SVM_EXIT_NMI:
	case SVM_EXIT_INIT:
		/* Pending still: the host's IDT takes it, which counts the NMI, and notes the INIT as #SX. */
		svm_take_pending();
		exit->kind = svm_step_is_delivered(vcpu) ? EXIT_STEP : EXIT_KICKED;
		break;
	case SVM_EXIT_IRET:
		exit->kind = EXIT_IRET;
		break;
	case SVM_EXIT_HLT:
	case SVM_EXIT_MWAIT:
		sleep_in_step(vcpu, exit);
		break;
	case SVM_EXIT_TASK_SWITCH:
		switch_in_step(vcpu, exit);
		break;
	case SVM_EXIT_INVD:
		exit->kind = EXIT_INVD;
		break;
	case SVM_EXIT_VMMCALL:
		exit->kind = EXIT_HYPERCALL;
		break;
	case SVM_EXIT_INVLPGA:
	case SVM_EXIT_VMRUN:
	case SVM_EXIT_VMLOAD:
	case SVM_EXIT_VMSAVE:
	case SVM_EXIT_STGI:
	case SVM_EXIT_CLGI:
	case SVM_EXIT_SKINIT:
		exit->kind = EXIT_VIRTUALIZATION_INSN;
		break;
	case SVM_EXIT_SHUTDOWN:
		exit->kind = EXIT_TRIPLE_FAULT;
		break;
	case SVM_EXIT_INVALID:
		exit->kind = EXIT_ENTRY_FAILED;
		break;
	default:
		exit->kind = EXIT_OTHER;
		if (code >= SVM_EXIT_EXCEPTION_0 && code <= SVM_EXIT_EXCEPTION_31)
			decode_exception(vcpu, exit);
		else if (code >= SVM_EXIT_READ_DR0 && code <= SVM_EXIT_WRITE_DR15)
			decode_dr_access(code, vmcb->exit_info1, exit);
		break;
	}
}

static const uint8_t system_insn[EXIT_KIND_COUNT] = {
	[EXIT_CPUID] = SYSTEM_CPUID, [EXIT_RDMSR] = SYSTEM_RDMSR,	[EXIT_WRMSR] = SYSTEM_WRMSR,
	[EXIT_INVD] = SYSTEM_INVD,   [EXIT_HYPERCALL] = SYSTEM_VMMCALL,
};

/*
 * The length without prefixes, for code that cannot be read, as it executes from a ROM, or is no longer there: another
 * CPU has changed it since.
 */
#define PLAIN_SYSTEM_BYTES  2u
#define PLAIN_VMMCALL_BYTES 3u

static unsigned looked_up_bytes(struct vcpu *vcpu, enum exit_kind kind)
{
	unsigned bytes;

	svm_regs_fetch_for_insn(vcpu);
	bytes = guest_system_length(vcpu, (enum system_insn)system_insn[kind]);
	if (bytes != 0)
		return bytes;
	return kind == EXIT_HYPERCALL ? PLAIN_VMMCALL_BYTES : PLAIN_SYSTEM_BYTES;
}

unsigned svm_insn_bytes(struct vcpu *vcpu, const struct exit_info *exit)
{
	if (vcpu->decoded_bytes != 0)
		return vcpu->decoded_bytes;
	if (exit->kind == EXIT_IO)
		return (unsigned)(svm_of(vcpu)->vmcb->exit_info2 - rip_read(vcpu));
	if (hv_caps.nrip_save)
		return (unsigned)(svm_of(vcpu)->vmcb->next_rip - rip_read(vcpu));
	return looked_up_bytes(vcpu, exit->kind);
}

void svm_step_skip(struct vcpu *vcpu)
{
	step_abandon(vcpu);
}
