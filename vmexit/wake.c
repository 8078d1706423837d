/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/wake.h"

#include "arch/x86/apic.h"
#include "core/caps.h"
#include "core/cpu.h"
#include "core/deadline.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/startup.h"
#include "core/vendor.h"
#include "core/wake.h"
#include "vmexit/apic_base.h"
#include "vmexit/attention.h"
#include "vmexit/init_sipi.h"
#include "vmexit/memtype_change.h"
#include "vmexit/stop.h"

/* SDM: "MP Initialization Protocol Algorithm for MP Systems". */
#define AFTER_INIT_US 10000u
#define AFTER_SIPI_US 200u
#define DRAIN_POLLS   1000000u
#define ALL_AWAKE_US  1000000u

#define RIGHTS_CODE16 (SEGMENT_P | SEGMENT_S | 0xbu)
#define RIGHTS_CODE32 (RIGHTS_CODE16 | SEGMENT_G | SEGMENT_DB)
#define RIGHTS_DATA32 (SEGMENT_P | SEGMENT_S | 0x3u | SEGMENT_G | SEGMENT_DB)
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10

/* --- every CPU ------------------------------------------------------------------------------- */

/* Nothing of what the CPU was doing counts any more. */
static void forget(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	cpu->nmi_handled = cpu->nmi_count;
	vcpu->regs = (struct regs){ .available = ~UINT64_C(0), .cr0 = CR0_ET };
	vcpu->kick = (struct kick_box){ 0 };
	atomic_store(&vcpu->startup, 0);
	atomic_store(&vcpu->in_guest, 0);
	atomic_store(&vcpu->online, 0);
	vcpu->apic_id = cpu->apic_id;
	vcpu->apic_followed = false;
	vcpu->icr_is_carried = false;
	vcpu->loan = (struct debug_loan){ 0 };
}

static void enter_virtualization(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	vcpu->apic_base = vcpu->apic_base_hardware = rdmsr(MSR_APIC_BASE);
	if (vendor->cpu_enable(cpu, &cpu->failure) != CORE_OK)
		hv_panic("after S3, cpu %u: %s", cpu->index, cpu->failure.text);
	cpu->enabled = true;
	vendor->vcpu_init(vcpu);
	apic_base_begin(vcpu);
	vcpu_reset_but_apic(vcpu);
	atomic_store(&vcpu->online, 1);
}

static void __attribute__((noreturn)) run(struct vcpu *vcpu)
{
	vendor->run(vcpu, &vcpu->cpu->failure);
	hv_panic("the run loop of CPU %u came back", vcpu->index);
}

/* Where the guest's own INIT would have left it: the hardware's has. */
static void __attribute__((noreturn)) wait_for_guest(struct vcpu *vcpu)
{
	enter_virtualization(vcpu);
	atomic_store(&vcpu->startup, STARTUP_WAITING);
	vcpu_set_activity(vcpu, ACTIVITY_WAIT_SIPI);
	atomic_fetch_add(&vcpu->vm->sleep.woken, 1);
	run(vcpu);
}

/* --- the first one --------------------------------------------------------------------------- */

static void send_all(struct vcpu *vcpu, uint32_t low)
{
	struct vm *vm = vcpu->vm;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i] != vcpu && atomic_load(&vm->vcpus[i]->online) == 0)
			apic_send(vcpu->apic_base_hardware, vcpu->cpu->apic_page,
				  vm->vcpus[i]->apic_id, low);
	}
}

static bool are_all_awake(struct vm *vm, uint64_t us)
{
	uint64_t deadline = deadline_in_us(us);

	while (atomic_load(&vm->sleep.woken) + 1 < vm->vcpu_count) {
		if (deadline_is_over(deadline))
			return false;
		cpu_pause();
	}
	return true;
}

/* The firmware has left them somewhere. They are in our hands before the guest can start them. */
static void wake_others(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint32_t sipi = ICR_MODE_STARTUP | ICR_ASSERT | wake_sipi_vector(vm);

	if (vm->vcpu_count == 1)
		return;
	send_all(vcpu, ICR_MODE_INIT | ICR_ASSERT);
	deadline_wait_us(AFTER_INIT_US);
	send_all(vcpu, sipi);
	if (are_all_awake(vm, AFTER_SIPI_US))
		return;
	send_all(vcpu, sipi);
	if (!are_all_awake(vm, ALL_AWAKE_US))
		hv_panic("after S3: only %u of %u CPUs came back",
			 atomic_load(&vm->sleep.woken) + 1, vm->vcpu_count);
}

/* ACPI: "Transitioning from the Sleeping to the Working State", "Waking Vector". */
static void go_to_vector(struct vcpu *vcpu, struct facs_wake wake)
{
	struct segment cs = { wake.address & 0xffff0, 0xffff, RIGHTS_CODE16,
			      (uint16_t)(wake.address >> 4) };
	struct segment data = { 0, UINT32_MAX, RIGHTS_DATA32, SELECTOR_DATA };

	if (!wake.is_protected) {
		segment_write(vcpu, SEGMENT_CS, &cs);
		rip_write(vcpu, wake.address & 0xf);
		return;
	}
	cs = (struct segment){ 0, UINT32_MAX, RIGHTS_CODE32, SELECTOR_CODE };
	cr0_write(vcpu, CR0_PE | CR0_ET);
	segment_write(vcpu, SEGMENT_CS, &cs);
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		if (i != SEGMENT_CS)
			segment_write(vcpu, (enum segment_index)i, &data);
	}
	rip_write(vcpu, (uint32_t)wake.address);
}

static void __attribute__((noreturn)) wake_machine(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct facs_wake wake = wake_target(vm);

	log_wake();
	atomic_store(&vm->lock, 0);
	atomic_store(&vm->sleep.woken, 0);
	wake_disarm(vm);
	for (uint32_t i = 0; i < vm->vcpu_count; i++)
		forget(vm->vcpus[i]);
	stop_forget_all(vm);
	memtype_restart(vm);
	enter_virtualization(vcpu);
	go_to_vector(vcpu, wake);
	vcpu_set_activity(vcpu, ACTIVITY_RUNNING);
	wake_others(vcpu);
	attention_wake();
	sleep_end(&vm->sleep);
	log_info("awake after S3: %u CPUs, the guest goes on at 0x%llx", vm->vcpu_count,
		 (unsigned long long)wake.address);
	/* No exits would send it bit by bit before the guest's own lines. */
	log_drain(DRAIN_POLLS);
	run(vcpu);
}

void wake_cpu(struct cpu *cpu)
{
	struct vcpu *vcpu = cpu->vcpu;

	cpu_load_after_reset(cpu);
	if (sleep_is_first(&vcpu->vm->sleep))
		wake_machine(vcpu);
	wait_for_guest(vcpu);
}
