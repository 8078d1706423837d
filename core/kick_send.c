/* SPDX-License-Identifier: BSD-2-Clause */
/* The half of core/kick.h that touches the APIC. */
#include "core/kick.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "core/vcpu.h"

void kick_send(struct vcpu *target, uint32_t reason)
{
	struct cpu *self = cpu_self();

	if (!kick_record(&target->kick, reason, rdtsc()))
		return;
	/* The APIC's mode is this CPU's own, and only it can change it. */
	apic_send_nmi(self->vcpu->apic_base_hardware, self->apic_page, target->apic_id);
}

void kick_others(struct vcpu *self, uint32_t reason)
{
	struct vm *vm = self->vm;

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i] != self && atomic_load(&vm->vcpus[i]->online) != 0)
			kick_send(vm->vcpus[i], reason);
	}
}
