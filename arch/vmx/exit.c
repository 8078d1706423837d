/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/exit.h"

#include "arch/vmx/enable.h"
#include "arch/vmx/event_info.h"
#include "arch/vmx/events.h"
#include "arch/vmx/exit_decode.h"
#include "arch/vmx/guest_state.h"
#include "arch/x86/msr.h"
#include "core/exception.h"
#include "vmexit/debug_met.h"
#include "vmexit/step.h"

static void decode_exception(struct exit_info *exit, uint32_t intr_info)
{
	uint32_t error_code = 0;

	if ((intr_info & INTR_INFO_ERROR_CODE) != 0)
		error_code = vmcs_read32(VMCS_EXIT_ERROR_CODE);
	vmx_decode_exception(intr_info, error_code, exit->raw_info[0],
			     vmcs_read32(VMCS_EXIT_INSN_BYTES), exit);
	if (exit->kind == EXIT_NMI)
		exception_return_from_nmi();
}

/*
 * Through a task gate, the new task is the event's delivery, and the handler retires what is
 * queued. An IRET has unblocked NMIs whatever becomes of it.
 */
static void decode_task_switch(struct exit_info *exit, uint32_t idt_vectoring)
{
	uint32_t state = vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY), error_code = 0;
	bool valid = (idt_vectoring & INTR_INFO_VALID) != 0;

	if (valid && (idt_vectoring & INTR_INFO_ERROR_CODE) != 0)
		error_code = vmcs_read32(VMCS_IDT_VECTORING_ERROR_CODE);
	vmx_decode_task_switch(exit->raw_info[0], idt_vectoring, error_code,
			       vmcs_read32(VMCS_EXIT_INSN_BYTES), exit);
	if (exit->task.source == TASK_SWITCH_IRET)
		vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, state & ~INTERRUPTIBILITY_NMI);
	else if (valid && vmx_event_decode(idt_vectoring, 0, 0).type == EVENT_NMI)
		vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY, state | INTERRUPTIBILITY_NMI);
}

/*
 * Debug registers are lent, and the stepped instruction has met a breakpoint on data: its trap is still to come, behind the
 * monitor trap flag. The debugger's is taken out of it here. SDM: "Priority Among Concurrent Events".
 */
static void take_pending_breakpoints(struct vcpu *vcpu)
{
	uint64_t pending = vmcs_read(VMCS_GUEST_PENDING_DEBUG);
	uint64_t met = pending & PENDING_DEBUG_BREAKPOINTS, left;

	if (met == 0)
		return;
	left = debug_met_behind(vcpu, met);
	pending &= ~PENDING_DEBUG_BREAKPOINTS;
	if (left == 0)
		pending &= ~PENDING_DEBUG_ENABLED_BREAKPOINT;
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, pending | left);
}

/* Everything but the most frequent exits, which need nothing but their name. */
__attribute__((noinline)) static void decode_detail(struct vcpu *vcpu, struct exit_info *exit,
						    uint32_t idt_vectoring)
{
	uint32_t reason = (uint32_t)exit->raw_reason;
	uint64_t qualification = vmcs_read(VMCS_EXIT_QUALIFICATION);

	exit->raw_info[0] = qualification;
	switch (reason & REASON_BASIC) {
	case REASON_EXCEPTION_OR_NMI:
		decode_exception(exit, vmcs_read32(VMCS_EXIT_INTR_INFO));
		break;
	case REASON_SIPI:
		exit->sipi.vector = (uint8_t)qualification;
		break;
	case REASON_TASK_SWITCH:
		decode_task_switch(exit, idt_vectoring);
		return;
	case REASON_CR_ACCESS:
		vmx_decode_cr(qualification, exit);
		return;
	case REASON_DR_ACCESS:
		vmx_decode_dr(qualification, exit);
		return;
	case REASON_IO:
		vmx_decode_io(qualification, exit);
		return;
	case REASON_MONITOR_TRAP_FLAG:
		if (UNLIKELY(vcpu->loan.is_lent))
			take_pending_breakpoints(vcpu);
		return;
	case REASON_EPT_VIOLATION:
		if ((qualification & EPT_VIOLATION_LINEAR_VALID) != 0)
			exit->raw_info[1] = vmcs_read(VMCS_EXIT_LINEAR_ADDRESS);
		vmx_decode_ept_violation(qualification, vmcs_read64(VMCS_EXIT_GPA),
					 cpl_read(vcpu) == 3, exit);
		break;
	case REASON_PREEMPTION_TIMER:
		vmcs_write32(VMCS_GUEST_PREEMPTION_TIMER, vmx_timer_period());
		break;
	case REASON_EPT_MISCONFIGURATION:
		exit->raw_info[1] = vmcs_read64(VMCS_EXIT_GPA);
		break;
	default:
		break;
	}
	if (vmx_must_block_nmi(reason, qualification, idt_vectoring))
		vmcs_write32(VMCS_GUEST_INTERRUPTIBILITY,
			     vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) | INTERRUPTIBILITY_NMI);
}

void vmx_exit_decode_rest(struct vcpu *vcpu, struct exit_info *exit)
{
	uint32_t idt_vectoring;

	exit->kind = vmx_exit_kind((uint32_t)exit->raw_reason);
	if (LIKELY(exit->kind <=
		   EXIT_XSETBV)) /* an instruction that needs no more, and delivers no event */
		return;
	/* A failed entry leaves the field as it was. */
	idt_vectoring = exit->kind == EXIT_ENTRY_FAILED ? 0 : vmcs_read32(VMCS_IDT_VECTORING_INFO);
	if ((idt_vectoring & INTR_INFO_VALID) != 0)
		vmx_events_requeue(vcpu, idt_vectoring);
	decode_detail(vcpu, exit, idt_vectoring);
}

/*
 * A trap after the instruction, with data breakpoints that MOV SS held back. DEBUGCTL.BTF allows it
 * for branches only, and nothing that is skipped is one.
 */
static void single_step(struct vcpu *vcpu)
{
	uint64_t held = vmcs_read(VMCS_GUEST_PENDING_DEBUG);

	if ((vmcs_read64(VMCS_GUEST_DEBUGCTL) & DEBUGCTL_BTF) != 0)
		return;
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	events_raise_db(vcpu, DR6_BS | debug_met_behind(vcpu, held & PENDING_DEBUG_BREAKPOINTS));
}

/*
 * Before RIP moves on, by reading the VMCS where the cache has nothing: this is the hottest path
 * there is.
 */
static uint64_t current_rip(const struct vcpu *vcpu)
{
	return regs_is_available(&vcpu->regs, REG_RIP) ? vcpu->regs.rip : vmcs_read(VMCS_GUEST_RIP);
}

static bool is_in_shadow(const struct vcpu *vcpu)
{
	if (UNLIKELY(regs_is_available(&vcpu->regs, REG_INTERRUPT_SHADOW)))
		return vcpu->regs.interrupt_shadow != 0;
	return (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & INTERRUPTIBILITY_SHADOW) != 0;
}

/* TF, or RF, which covers one instruction only. */
static bool has_debug_flags(const struct vcpu *vcpu)
{
	uint64_t rflags = vcpu->regs.rflags;

	if (LIKELY(!regs_is_available(&vcpu->regs, REG_RFLAGS)))
		rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	return (rflags & (RFLAGS_TF | RFLAGS_RF)) != 0;
}

/* The seldom cases, one of them or all together. */
__attribute__((noinline)) static void skip_with_care(struct vcpu *vcpu, uint64_t rip,
						     unsigned bytes)
{
	rip_write(vcpu, vmx_next_rip(rip, bytes, mode_is_64bit(vcpu)));
	if (is_in_shadow(vcpu))
		interrupt_shadow_write(vcpu, 0);
	if ((rflags_read(vcpu) & RFLAGS_TF) != 0)
		single_step(vcpu);
	if ((rflags_read(vcpu) & RFLAGS_RF) != 0)
		rflags_write(vcpu, rflags_read(vcpu) & ~RFLAGS_RF);
}

void vmx_skip_instruction(struct vcpu *vcpu)
{
	/* Not every exit comes with a length: who emulated the instruction has decoded it. */
	unsigned bytes = vcpu->decoded_bytes;
	uint64_t rip = current_rip(vcpu), next;

	if (UNLIKELY(vcpu->step_kind != STEP_NONE))
		step_abandon(vcpu); /* its instruction is done */
	if (LIKELY(bytes == 0))
		bytes = vmcs_read32(VMCS_EXIT_INSN_BYTES);
	next = rip + bytes;
	if (UNLIKELY((next ^ rip) >> 32 != 0 || is_in_shadow(vcpu) || has_debug_flags(vcpu))) {
		skip_with_care(vcpu, rip, bytes);
		return;
	}
	vcpu->regs.rip = next;
	regs_mark_dirty(&vcpu->regs, REG_RIP);
}
