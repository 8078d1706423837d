/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/nested_fault.h"

#include "arch/x86/insn.h"
#include "core/kick.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/vendor.h"
#include "vmexit/apic_access.h"
#include "vmexit/step.h"

#define LOG_INTERVAL_CYCLES UINT64_C(2000000000) /* about a second */

void tdp_flush_all(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	vendor->flush_tdp(vcpu);
	kick_others(vcpu, KICK_TLB_FLUSH);
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *other = vm->vcpus[i];

		while (other != vcpu && atomic_load(&other->in_guest) != 0 &&
		       (atomic_load(&other->kick.reasons) & KICK_TLB_FLUSH) != 0)
			cpu_pause();
	}
}

static void log_hidden_write(struct vcpu *vcpu, gpa_t gpa)
{
	static _Atomic(uint64_t) last;
	uint64_t now = rdtsc();

	if (atomic_load(&last) != 0 && now - atomic_load(&last) < LOG_INTERVAL_CYCLES)
		return;
	atomic_store(&last, now);
	log_warn("cpu %u: write to the hypervisor's memory at 0x%llx goes nowhere (%llu before)",
		 vcpu->index, (unsigned long long)gpa.v, (unsigned long long)vcpu->hidden_writes);
}

static enum exit_verdict touch(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	enum tdp_touch result;

	lock_acquire(&vm->lock);
	result = tdp_mmu_touch(&vm->tdp, gpa);
	if (result == TDP_TOUCH_RECYCLED) {
		tdp_flush_all(vcpu);
		tdp_mmu_flushed(&vm->tdp);
	}
	lock_release(&vm->lock);
	if (result != TDP_TOUCH_REFUSED)
		return VERDICT_RESUME;
	if (gpa.v < vm->tdp.end)
		return VERDICT_FATAL;
	/* Beyond the MAXPHYADDR that the guest was shown; on a CPU of that size a reserved bit. */
	events_raise_gp(vcpu, 0);
	return VERDICT_RESUME;
}

enum exit_verdict nested_fault_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	gpa_t gpa = exit->fault.gpa;

	if (apic_is_page(vcpu, gpa) && exit->fault.write && !exit->fault.during_walk)
		return apic_write_exit(vcpu, gpa);
	if (tdp_mmu_is_hidden(&vcpu->vm->tdp, gpa)) {
		log_hidden_write(vcpu, gpa);
		step_begin(vcpu, STEP_HIDDEN_WRITE, gpa);
		return VERDICT_RESUME;
	}
	/* The page of an APIC that this CPU does not have there (moved, off, x2APIC): plain memory to it. */
	if (exit->fault.present && exit->fault.write && apic_was_page(vcpu, gpa)) {
		step_begin(vcpu, STEP_PLAIN, gpa);
		return VERDICT_RESUME;
	}
	return touch(vcpu, gpa);
}
