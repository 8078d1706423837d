/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/nmi.h"

#include "core/kick.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "vmexit/attention.h"
#include "vmexit/init_sipi.h"
#include "vmexit/nested_fault.h"
#include "vmexit/step.h"
#include "vmexit/stop.h"
#include "vmexit/suspend.h"

enum exit_verdict nmi_exit(struct vcpu *vcpu)
{
	vcpu->cpu->nmi_count++;
	return VERDICT_RESUME; /* looked at before the entry, with those that came while the host ran */
}

/*
 * The exit is before the IRET: NMIs stay blocked until it is done, so let it execute alone.
 * APM: "IRET Intercept" in "Instruction Intercepts".
 */
enum exit_verdict iret_exit(struct vcpu *vcpu)
{
	step_begin(vcpu, STEP_IRET, (gpa_t){ 0 });
	return VERDICT_RESUME;
}

enum exit_verdict attention_exit(struct vcpu *vcpu)
{
	attention_look(vcpu);
	return VERDICT_RESUME;
}

static void act(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;
	uint64_t count = cpu->nmi_count, arrivals = count - cpu->nmi_handled;
	uint32_t reasons;
	bool guest_nmi;

	cpu->nmi_handled = count;
	guest_nmi = kick_take(&vcpu->kick, arrivals, &reasons);
	if ((reasons & KICK_STOP) != 0)
		hv_stop_cpu();
	/* Whatever the NMI was: several may have become one. */
	if (arrivals != 0 && attention_take_nmi(vcpu))
		guest_nmi = (reasons & KICK_GUEST_NMI) != 0;
	if ((reasons & KICK_SLEEP) != 0)
		suspend_take_part(vcpu);
	if ((reasons & KICK_TLB_FLUSH) != 0) {
		step_drop_frames(vcpu);
		tdp_flush_own(vcpu);
	}
	if ((reasons & KICK_ACTIVITY) != 0)
		startup_apply(vcpu);
	if (guest_nmi && vcpu->activity == ACTIVITY_RUNNING)
		vcpu->events.nmi_pending = true;
	/* Last: what came with it belongs to the state that the debugger sees, and the CPU may have been started by it. */
	if ((reasons & KICK_DEBUG) != 0)
		stop_act(vcpu);
}

void nmi_act(struct vcpu *vcpu)
{
	const struct cpu *cpu = vcpu->cpu;

	while (cpu->nmi_count != cpu->nmi_handled || atomic_load(&vcpu->kick.reasons) != 0) {
		atomic_store(&vcpu->in_guest, 0);
		act(vcpu);
		atomic_store(&vcpu->in_guest, 1);
	}
}
