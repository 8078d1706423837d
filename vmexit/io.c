/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/io.h"

#include <stddef.h>

#include "arch/x86/cr.h"
#include "arch/x86/debug.h"
#include "arch/x86/port.h"
#include "vmexit/debug_met.h"
#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/suspend.h"
#include "vmexit/uart_port.h"

bool io_traps_port(const struct vm *vm, uint16_t port)
{
	return sleep_has_port(&vm->sleep_machine, port) || uart_port_is_trapped(port);
}

bool io_traps_any(const struct vm *vm)
{
	return vm->sleep_machine.register_count != 0 || uart_port_is_any();
}

static bool has_uart(uint16_t port, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		if (uart_port_is_trapped((uint16_t)(port + i)))
			return true;
	}
	return false;
}

/* A UART has eight bits a register: a wider access is one to each, as on the bus it was made for. */
static uint32_t read_bytes(uint16_t port, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		value |= (uint32_t)(uart_port_is_trapped(at) ? uart_port_read(at) : inb(at))
			 << 8 * i;
	}
	return value;
}

static void write_bytes(uint16_t port, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		if (uart_port_is_trapped(at))
			uart_port_write(at, (uint8_t)(value >> 8 * i));
		else
			outb(at, (uint8_t)(value >> 8 * i));
	}
}

static uint32_t port_read(void *context, uint16_t port, unsigned bytes)
{
	(void)context;
	return has_uart(port, bytes) ? read_bytes(port, bytes) : port_in(port, bytes);
}

static void port_write(void *context, uint16_t port, uint32_t value, unsigned bytes)
{
	struct vcpu *vcpu = context;

	if (has_uart(port, bytes))
		write_bytes(port, value, bytes);
	else if (sleep_is_request(&vcpu->vm->sleep_machine, port, bytes, value))
		suspend(vcpu, port, bytes, value);
	else
		port_out(port, bytes, value);
}

/* --- breakpoints on ports -------------------------------------------------------------------- */

/* An I/O breakpoint is a trap after the instruction. SDM: "I/O Breakpoint Exception Conditions" and "Debug Registers". */
static bool trap_breakpoints(struct vcpu *vcpu, uint16_t port, unsigned bytes)
{
	uint64_t address[DEBUG_REGS], hit;

	if (cr4_read_bits(vcpu, CR4_DE) == 0)
		return false;
	for (unsigned i = 0; i < DEBUG_REGS; i++)
		address[i] = debug_address_read(vcpu, i);
	hit = debug_met(dr7_read(vcpu), address, DEBUG_TOUCH_PORT, port, bytes);
	if (hit != 0)
		events_raise_db(vcpu, hit);
	return hit != 0;
}

/* --- INS and OUTS ---------------------------------------------------------------------------- */

/* Breakpoints on their memory, the guest's and the debugger's, and on the port: met behind each iteration. */
static bool accessed(void *context, gva_t linear, unsigned bytes, bool write)
{
	struct vcpu *vcpu = context;
	uint64_t met = debug_hardware_met(vcpu, write ? DEBUG_TOUCH_WRITE : DEBUG_TOUCH_READ,
					  linear.v, bytes);
	uint64_t left = debug_met_behind(vcpu, met);

	if (left != 0)
		events_raise_db(vcpu, left);
	if (trap_breakpoints(vcpu, (uint16_t)regs_fixed_read(&vcpu->regs, REG_RDX), bytes))
		return true;
	return met != 0;
}

/*
 * What the emulator leaves to the CPU (memory that no RAM is behind) the CPU cannot have, as it would exit again. No system
 * puts itself to sleep in that way.
 */
static enum exit_verdict string_exit(struct vcpu *vcpu)
{
	const struct emulate_target target = { .context = vcpu,
					       .traps_ports = true,
					       .accessed = accessed,
					       .port_read = port_read,
					       .port_write = port_write };
	struct insn insn;

	if (!guest_fetch_insn(vcpu, &insn))
		return VERDICT_RESUME; /* another CPU has just taken it away */
	switch (emulate_insn(vcpu, &insn, &target)) {
	case EMULATE_DONE:
		return VERDICT_NEXT_INSN;
	case EMULATE_RESUME:
		return VERDICT_RESUME;
	case EMULATE_NATIVE:
		break;
	}
	events_raise_gp(vcpu, 0);
	return VERDICT_RESUME;
}

/* --- IN and OUT ------------------------------------------------------------------------------ */

static void load_accumulator(struct vcpu *vcpu, unsigned bytes, uint32_t value)
{
	uint64_t kept = bytes == 4 ? 0 : ~(BIT64(8 * bytes) - 1);
	uint64_t old = regs_fixed_read(&vcpu->regs, REG_RAX);

	regs_fixed_write(&vcpu->regs, REG_RAX, (old & kept) | value);
}

/* The CPU has checked the privilege level and the permission bits. */
enum exit_verdict io_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	uint16_t port = exit->io.port;
	unsigned bytes = exit->io.bytes;

	if (exit->io.string)
		return string_exit(vcpu);
	if (exit->io.in)
		load_accumulator(vcpu, bytes, port_read(vcpu, port, bytes));
	else
		port_write(vcpu, port, (uint32_t)regs_fixed_read(&vcpu->regs, REG_RAX), bytes);
	(void)trap_breakpoints(vcpu, port, bytes);
	return VERDICT_NEXT_INSN;
}
