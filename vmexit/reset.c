/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/reset.h"

#include <stdint.h>

#include "arch/x86/insn.h"
#include "core/panic.h"
#include "core/vcpu.h"

#define PORT_RESET_CONTROL    0xcf9
#define RESET_COLD	      0x06
#define PORT_KEYBOARD_COMMAND 0x64
#define KEYBOARD_PULSE_RESET  0xfe
#define RESET_WAIT_PAUSES     10000000u

static void wait_for_reset(void)
{
	for (uint32_t i = 0; i < RESET_WAIT_PAUSES; i++)
		cpu_pause();
}

void reset_machine(const struct vcpu *vcpu)
{
	if (vcpu->vm->reset_register != 0) {
		outb((uint16_t)vcpu->vm->reset_register, vcpu->vm->reset_value);
		wait_for_reset();
	}
	outb(PORT_RESET_CONTROL, RESET_COLD);
	wait_for_reset();
	outb(PORT_KEYBOARD_COMMAND, KEYBOARD_PULSE_RESET);
	wait_for_reset();
	hv_panic("the machine did not reset");
}
