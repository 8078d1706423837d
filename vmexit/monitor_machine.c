/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/monitor_machine.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/vendor.h"
#include "vmexit/debug_target.h"
#include "vmexit/exit_trace.h"
#include "vmexit/monitor_read.h"
#include "vmexit/monitor_track.h"
#include "vmexit/monitor_walk.h"
#include "vmexit/msr.h"
#include "vmexit/power_off.h"
#include "vmexit/reset.h"
#include "vmexit/stop.h"

static struct vcpu *leader;

void monitor_machine_lead(struct vcpu *vcpu)
{
	if (leader == NULL)
		trace_init(vcpu->vm->vcpu_count);
	leader = vcpu;
}

static const char *machine(void)
{
	return vendor->name;
}

static uint32_t apic_id(unsigned cpu)
{
	return leader->vm->vcpus[cpu]->apic_id;
}

static uint64_t now(void)
{
	return rdtsc();
}

static uint32_t tsc_khz(void)
{
	return host_values.tsc_khz;
}

/* --- MSRs ------------------------------------------------------------------------------------ */

struct msr_access {
	uint32_t msr;
	bool write;
	uint64_t value;
	bool is_done;
};

/* As if the guest's next instruction were the RDMSR or WRMSR; but its registers and events stay as they are. */
static void access_msr(struct vcpu *vcpu, void *context)
{
	struct msr_access *access = context;
	const struct events events = vcpu->events;
	const uint64_t rax = regs_fixed_read(&vcpu->regs, REG_RAX);
	const uint64_t rcx = regs_fixed_read(&vcpu->regs, REG_RCX);
	const uint64_t rdx = regs_fixed_read(&vcpu->regs, REG_RDX);

	vcpu->events = (struct events){ 0 };
	regs_fixed_write(&vcpu->regs, REG_RCX, access->msr);
	regs_fixed_write(&vcpu->regs, REG_RAX, (uint32_t)access->value);
	regs_fixed_write(&vcpu->regs, REG_RDX, access->value >> 32);
	access->is_done =
		(access->write ? msr_write_exit(vcpu) : msr_read_exit(vcpu)) == VERDICT_NEXT_INSN;
	if (access->is_done)
		access->value = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RAX) |
				regs_fixed_read(&vcpu->regs, REG_RDX) << 32;
	regs_fixed_write(&vcpu->regs, REG_RAX, rax);
	regs_fixed_write(&vcpu->regs, REG_RCX, rcx);
	regs_fixed_write(&vcpu->regs, REG_RDX, rdx);
	vcpu->events = events;
}

static bool msr(unsigned cpu, uint32_t number, bool write, uint64_t *value)
{
	struct msr_access access = { .msr = number, .write = write, .value = *value };

	if (!stop_run_on(leader, leader->vm->vcpus[cpu], access_msr, &access))
		return false;
	*value = access.value;
	debug_target.forget(cpu); /* EFER and others are in its state, too */
	return access.is_done;
}

/* --- memory ---------------------------------------------------------------------------------- */

static void walk(unsigned cpu, bool nested, uint64_t address, struct monitor_walk *done)
{
	struct vm *vm = leader->vm;
	const struct regs_sync *state;

	if (nested) {
		lock_acquire(&vm->lock);
		monitor_walk_map(&vm->tdp, address, done);
		lock_release(&vm->lock);
		return;
	}
	state = debug_target.state(cpu);
	if (state == NULL)
		*done = (struct monitor_walk){ .kind = "no paging", .failure = "no state" };
	else
		monitor_walk_guest(&state->sregs, address, done);
}

static bool map(uint64_t address, struct monitor_map *part)
{
	struct vm *vm = leader->vm;
	bool found;

	lock_acquire(&vm->lock);
	found = monitor_walk_next(&vm->tdp, address, part);
	lock_release(&vm->lock);
	return found;
}

/* --- the hypervisor -------------------------------------------------------------------------- */

static uint64_t exits(unsigned cpu, unsigned kind)
{
	return leader->vm->vcpus[cpu]->exit_counts[kind];
}

static const char *exit_name(unsigned kind)
{
	return kind < EXIT_KIND_COUNT ? exit_kind_name((enum exit_kind)kind) : NULL;
}

static const char *track(uint64_t gpa, uint64_t bytes)
{
	return monitor_track_add(leader, gpa, bytes);
}

static void untrack_all(void)
{
	monitor_track_remove_all(leader);
}

static const char *reset(void)
{
	log_info("cpu %u: the monitor resets the machine", leader->index);
	log_set_synchronous();
	reset_machine(leader);
	return "the machine did not reset";
}

static const char *switch_off(void)
{
	log_info("cpu %u: the monitor switches the machine off", leader->index);
	return power_off(leader->vm) ? "the machine stays on" : "the machine does not say how";
}

const struct monitor_target monitor_machine = {
	.gdb = &debug_target,
	.machine = machine,
	.apic_id = apic_id,
	.now = now,
	.tsc_khz = tsc_khz,
	.msr = msr,
	.read_hpa = monitor_read,
	.walk = walk,
	.map = map,
	.exits = exits,
	.exit_name = exit_name,
	.describe_exit = exit_trace_describe,
	.track = track,
	.untrack_all = untrack_all,
	.tracked = monitor_track_get,
	.log = log_copy,
	.reset = reset,
	.power_off = switch_off,
};
