/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/suspend.h"

#include "arch/x86/apic.h"
#include "arch/x86/port.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/deadline.h"
#include "core/kick.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "core/wake.h"
#include "vmexit/step.h"

#define DRAIN_POLLS	 1000000u
/* How long to wait for the other CPUs, and for the machine to fall asleep after the write. */
#define GATHER_US	 1000000u
#define GATHER_RESEND_US 10000u
#define FALL_ASLEEP_US	 1000000u
/* With two registers to write, sleep begins with the second one. */
#define FIRST_OF_TWO_US	 1000u

#define STATUS_WAKE	 BIT32(7) /* WAK_STS, in the last byte */

/* --- every CPU ------------------------------------------------------------------------------- */

static void leave(struct vcpu *vcpu)
{
	vendor->cpu_disable(vcpu->cpu);
	vcpu->cpu->enabled = false;
	/* What this CPU has written is in memory before the power goes. */
	wbinvd();
}

static void come_back(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	if (vendor->cpu_enable(cpu, &cpu->failure) != CORE_OK)
		hv_panic("cpu %u: %s", cpu->index, cpu->failure.text);
	cpu->enabled = true;
	vendor->vcpu_reload(vcpu);
}

void suspend_take_part(struct vcpu *vcpu)
{
	struct sleep *sleep = &vcpu->vm->sleep;

	if (!sleep_is_leaving(sleep))
		return;
	step_cancel(vcpu);
	leave(vcpu);
	sleep_park(sleep);
	while (!sleep_unpark(sleep))
		cpu_pause();
	come_back(vcpu);
}

/* --- the CPU that puts the machine to sleep --------------------------------------------------- */

/* Not to a CPU that waits for a SIPI on VT-x, where an NMI waits as well: that one gets a SIPI, which means nothing to others. */
static void call(struct vcpu *vcpu, struct vcpu *other)
{
	kick_send(other, KICK_SLEEP);
	if (hv_caps.vmx && *(volatile enum activity *)&other->activity == ACTIVITY_WAIT_SIPI)
		apic_send(vcpu->apic_base_hardware, vcpu->cpu->apic_page, other->apic_id,
			  ICR_MODE_STARTUP | ICR_ASSERT | wake_sipi_vector(vcpu->vm));
}

static uint32_t call_all(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint32_t called = 0;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other == vcpu || atomic_load(&other->online) == 0)
			continue;
		called++;
		call(vcpu, other);
	}
	return called;
}

/* Called once more only if not all have come: the ones that have do not mind. */
static bool gather(struct vcpu *vcpu)
{
	struct sleep *sleep = &vcpu->vm->sleep;
	uint64_t deadline = deadline_in_us(GATHER_US), resend = deadline_in_us(GATHER_RESEND_US);
	uint32_t called = call_all(vcpu);

	while (sleep_parked(sleep) < called) {
		if (deadline_is_over(deadline))
			return false;
		if (deadline_is_over(resend)) {
			call_all(vcpu);
			resend = deadline_in_us(GATHER_RESEND_US);
		}
		cpu_pause();
	}
	return true;
}

static bool has_woken(const struct boot_sleep *machine)
{
	for (uint32_t i = 0; i < machine->register_count; i++) {
		uint16_t port = machine->registers[i].status;

		/* Of two bytes, both: a register of 16 bits need not know accesses to one half. */
		if (port != 0 && ((machine->registers[i].bytes == 2 ? inw(port) >> 8 : inb(port)) &
				  STATUS_WAKE) != 0)
			return true;
	}
	return false;
}

static bool has_second_block(const struct boot_sleep *machine)
{
	return machine->register_count > 1 &&
	       machine->registers[0].status != machine->registers[1].status;
}

/* The write is done, and we are still here: is sleep on its way, or is it not coming (a wake event was there already)? */
static bool await_sleep(const struct boot_sleep *machine)
{
	uint64_t deadline =
		deadline_in_us(has_second_block(machine) ? FIRST_OF_TWO_US : FALL_ASLEEP_US);

	while (!has_woken(machine)) {
		if (deadline_is_over(deadline))
			return false;
		cpu_pause();
	}
	return true;
}

static void write_alone(struct vcpu *vcpu, uint16_t port, unsigned bytes, uint32_t value)
{
	struct vm *vm = vcpu->vm;
	bool has_answer;

	if (!gather(vcpu))
		log_warn("cpu %u: not all CPUs have stopped before S3", vcpu->index);
	log_debug("cpu %u: into S3", vcpu->index);
	log_drain(DRAIN_POLLS);
	wake_arm(vm);
	leave(vcpu);
	port_out(port, bytes, value);
	has_answer = await_sleep(&vm->sleep_machine);
	/* Without one the power may still go: then the firmware had better find us. */
	if (has_answer)
		wake_disarm(vm);
	come_back(vcpu);
	log_info("cpu %u: S3 was asked for, and the machine is still awake", vcpu->index);
	log_drain(DRAIN_POLLS);
}

void suspend(struct vcpu *vcpu, uint16_t port, unsigned bytes, uint32_t value)
{
	struct sleep *sleep = &vcpu->vm->sleep;

	/* Two at once: this one takes part in the other's, and its own write counts for nothing. */
	if (!sleep_begin(sleep))
		return;
	step_cancel(vcpu);
	write_alone(vcpu, port, bytes, value);
	sleep_give_up(sleep);
}
