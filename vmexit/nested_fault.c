/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/nested_fault.h"

#include "arch/x86/debug.h"
#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/kick.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/vendor.h"
#include "vmexit/apic_access.h"
#include "vmexit/debug_break.h"
#include "vmexit/emulate_call.h"
#include "vmexit/io_apic.h"
#include "vmexit/step.h"

#define RESEND_POLLS 65536u

/* A CPU in the host looks at its reasons before it enters the guest: only one in the guest is disturbed, and waited for. */
static void start_flush(struct vcpu *vcpu, struct vcpu *other)
{
	if (other == vcpu || atomic_load(&other->online) == 0)
		return;
	atomic_fetch_or(&other->kick.reasons, KICK_TLB_FLUSH);
	if (atomic_load(&other->in_guest) != 0)
		kick_send(other, KICK_TLB_FLUSH);
}

static bool still_flushes(struct vcpu *other)
{
	return atomic_load(&other->in_guest) != 0 &&
	       (atomic_load(&other->kick.reasons) & KICK_TLB_FLUSH) != 0;
}

static void wait_for_flush(struct vcpu *vcpu, struct vcpu *other)
{
	/* Sends once more only if the first has been lost. */
	for (uint32_t polls = 1; other != vcpu && still_flushes(other); polls++) {
		if (polls % RESEND_POLLS == 0)
			kick_send(other, KICK_TLB_FLUSH);
		cpu_pause();
	}
}

void tdp_flush_all(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	tdp_flush_own(vcpu);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		start_flush(vcpu, vm->vcpus[i]);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		wait_for_flush(vcpu, vm->vcpus[i]);
}

void tdp_flush_own(struct vcpu *vcpu)
{
	flush_model_flushed(&vcpu->vm->tdp.model, vcpu->index);
	vendor->flush_tdp(vcpu);
}

static void log_hidden_write(struct vcpu *vcpu, gpa_t gpa)
{
	static _Atomic(uint64_t) last;
	const uint64_t second = UINT64_C(1000) * host_values.tsc_khz;
	uint64_t now = rdtsc(), before = atomic_load(&last);

	/* Once a second, also where another CPU's clock is ahead. */
	if (before != 0 && (now - before < second || before - now < second))
		return;
	if (!atomic_compare_exchange_strong(&last, &before, now))
		return;
	log_warn("cpu %u: write to the hypervisor's memory at 0x%llx goes nowhere (%llu before)",
		 vcpu->index, (unsigned long long)gpa.v, (unsigned long long)vcpu->hidden_writes);
}

static unsigned rights_needed(const struct exit_info *exit)
{
	if (exit->fault.fetch)
		return exit->fault.user ? RIGHT_EXEC_USER : RIGHT_EXEC_SUPERVISOR;
	return exit->fault.write ? RIGHT_READ | RIGHT_WRITE : RIGHT_READ;
}

/* Not mapped yet; or allowed by now, and the CPU has used what it had from before. */
static enum exit_verdict touch(struct vcpu *vcpu, const struct exit_info *exit)
{
	struct vm *vm = vcpu->vm;
	gpa_t gpa = exit->fault.gpa;
	enum tdp_touch result;
	bool is_allowed;

	lock_acquire(&vm->lock);
	result = tdp_mmu_touch(&vm->tdp, gpa);
	if (result == TDP_TOUCH_RECYCLED) {
		tdp_flush_all(vcpu);
		tdp_mmu_flushed(&vm->tdp);
	}
	/* Or it has come to be tracked, emulated or an APIC's since we looked: then it faults again. */
	is_allowed = tdp_mmu_allows(&vm->tdp, gpa, rights_needed(exit)) ||
		     (exit->fault.write && page_track_is_closed(&vm->track, gpa)) ||
		     emulate_call_is_page(gpa);
	lock_release(&vm->lock);
	if (is_allowed) {
		step_drop_frames(vcpu);
		tdp_flush_own(vcpu);
		return VERDICT_RESUME;
	}
	if (gpa.v < vm->tdp.end)
		return VERDICT_FATAL;
	/* Beyond the MAXPHYADDR that the guest was shown; on a CPU of that size a reserved bit. */
	events_raise_gp(vcpu, 0);
	return VERDICT_RESUME;
}

bool tdp_frame_is_plain(struct vcpu *vcpu, gpa_t gpa)
{
	return !tdp_mmu_is_hidden(&vcpu->vm->tdp, gpa) &&
	       !page_track_is_closed(&vcpu->vm->track, gpa) && !emulate_call_is_page(gpa);
}

static bool is_tracked(struct vcpu *vcpu, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	bool is_closed;

	lock_acquire(&vm->lock);
	is_closed = page_track_is_closed(&vm->track, gpa);
	lock_release(&vm->lock);
	return is_closed;
}

/* A breakpoint on one of its registers is met by the CPU only. */
static enum exit_verdict write_apic(struct vcpu *vcpu, gpa_t gpa)
{
	if (LIKELY(!debug_has_data_breakpoint(debug_hardware_dr7(vcpu))))
		return apic_write_exit(vcpu, gpa);
	step_begin(vcpu, STEP_APIC_WRITE, gpa);
	return VERDICT_RESUME;
}

enum exit_verdict nested_fault_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	gpa_t gpa = exit->fault.gpa;

	if (apic_is_page(vcpu, gpa) && exit->fault.write && !exit->fault.during_walk)
		return write_apic(vcpu, gpa);
	if (exit->fault.fetch && !exit->fault.during_walk && debug_break_is_page(gpa))
		return debug_break_exit(vcpu, gpa);
	if (tdp_mmu_is_hidden(&vcpu->vm->tdp, gpa)) {
		log_hidden_write(vcpu, gpa);
		step_begin(vcpu, STEP_HIDDEN_WRITE, gpa);
		return VERDICT_RESUME;
	}
	if (exit->fault.write && is_tracked(vcpu, gpa)) {
		step_begin(vcpu, exit->fault.during_walk ? STEP_TRACKED_WALK : STEP_TRACKED, gpa);
		return VERDICT_RESUME;
	}
	/* The page of an APIC that this CPU does not have there (moved, off, x2APIC): plain memory to it. */
	if (exit->fault.present && exit->fault.write && apic_was_page(vcpu, gpa)) {
		step_begin(vcpu, STEP_PLAIN, gpa);
		return VERDICT_RESUME;
	}
	if (emulate_call_is_page(gpa))
		return emulate_call_exit(vcpu, exit);
	if (io_apic_is_page(gpa))
		return io_apic_exit(vcpu, exit);
	return touch(vcpu, exit);
}
