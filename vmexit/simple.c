/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/simple.h"

#include "arch/x86/insn.h"
#include "vmexit/debug_met.h"
#include "vmexit/step.h"

/* The CPU has checked CR4.OSXSAVE; index and value are the hardware's to judge. */
enum exit_verdict xsetbv_cpl0_exit(struct vcpu *vcpu)
{
	uint64_t value = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RAX) |
			 regs_fixed_read(&vcpu->regs, REG_RDX) << 32;

	/* APX is hidden; on AMD-V, where XSETBV does not exit, no CPU has it. */
	if ((value & XCR0_APX) != 0 ||
	    !xsetbv_safe((uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX), value)) {
		events_raise_gp(vcpu, 0);
		return VERDICT_RESUME;
	}
	return VERDICT_NEXT_INSN;
}

/*
 * The privilege level should have been checked as well (SDM: "Relative Priority of Faults and VM Exits"), but an emulator
 * exits first.
 */
enum exit_verdict xsetbv_exit(struct vcpu *vcpu)
{
	if (cpl_read(vcpu) == 0)
		return xsetbv_cpl0_exit(vcpu);
	events_raise_gp(vcpu, 0);
	return VERDICT_RESUME;
}

/* INVD would also throw away what the hypervisor has written: write it back instead. */
enum exit_verdict invd_exit(struct vcpu *vcpu)
{
	(void)vcpu;
	wbinvd();
	return VERDICT_NEXT_INSN;
}

enum exit_verdict virtualization_insn_exit(struct vcpu *vcpu)
{
	events_raise_ud(vcpu);
	return VERDICT_RESUME;
}

/* Intercepted only for a reason that has its own kind; what is left goes back to the guest. */
enum exit_verdict exception_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	bool is_int1 = exit->exception.insn_bytes != 0; /* DR6 stays as it is */
	struct event event = { .valid = true,
			       .has_error = exit->exception.has_error,
			       .has_payload = exit->exception.vector == VECTOR_PF ||
					      (exit->exception.vector == VECTOR_DB && !is_int1),
			       .vector = exit->exception.vector,
			       .insn_bytes = exit->exception.insn_bytes,
			       .type = is_int1 ? EVENT_PRIVILEGED_SOFT_EXCEPTION : EVENT_EXCEPTION,
			       .error_code = exit->exception.error_code,
			       .payload = exit->exception.payload };

	if (event.vector == VECTOR_DB && !is_int1 && vcpu->loan.is_lent &&
	    !debug_met_exception(vcpu, &event))
		return VERDICT_RESUME;
	step_abandon(vcpu);
	events_raise(vcpu, &event);
	return VERDICT_RESUME;
}
