// sources: vmexit/io.c vmexit/uart_port.c core/line.c core/uart_share.c core/sleep.c arch/x86/uart.c arch/x86/debug.c
/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86/apic.h"
#include "core/caps.h"
#include "core/line.h"
#include "vmexit/debug_met.h"
#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/io_apic.h"
#include "vmexit/suspend.h"
#include "vmexit/uart_port.h"

/* What the exit itself calls: nothing here does. */
uint64_t cr4_read_bits(struct vcpu *vcpu, uint64_t mask)
{
	(void)vcpu, (void)mask;
	abort();
}

uint64_t debug_address_read(const struct vcpu *which, unsigned index)
{
	(void)which, (void)index;
	return 0;
}

uint64_t debug_hardware_address(const struct vcpu *which, unsigned index)
{
	(void)which, (void)index;
	abort();
}

uint64_t debug_hardware_dr7(struct vcpu *which)
{
	(void)which;
	abort();
}

uint64_t debug_met_behind(struct vcpu *which, uint64_t met)
{
	(void)which, (void)met;
	abort();
}

uint64_t dr7_read(struct vcpu *vcpu)
{
	(void)vcpu;
	abort();
}

void events_raise_gp(struct vcpu *vcpu, uint32_t error_code)
{
	(void)vcpu, (void)error_code;
	abort();
}

void events_raise_db(struct vcpu *vcpu, uint64_t bits)
{
	(void)vcpu, (void)bits;
	abort();
}

bool guest_fetch_insn(struct vcpu *vcpu, struct insn *out)
{
	(void)vcpu, (void)out;
	abort();
}

enum emulate_result emulate_insn(struct vcpu *vcpu, const struct insn *insn,
				 const struct emulate_target *target)
{
	(void)vcpu, (void)insn, (void)target;
	abort();
}

void suspend(struct vcpu *vcpu, uint16_t port, unsigned bytes, uint32_t value)
{
	(void)vcpu, (void)port, (void)bytes, (void)value;
	abort();
}

struct hv_caps hv_caps;
struct host_values host_values;

void apic_send(uint64_t apic_base, volatile uint8_t *page, uint32_t apic_id, uint32_t low)
{
	(void)apic_base, (void)page, (void)apic_id, (void)low;
	abort();
}

uint64_t io_apic_guest_entry(uint32_t pin)
{
	(void)pin;
	abort();
}

#define ENABLE(n)     (UINT64_C(1) << 2 * (n))
#define KIND(n, kind) ((uint64_t)(kind) << (16 + 4 * (n)))
#define LEN(n, len)   ((uint64_t)(len) << (18 + 4 * (n)))

static void io_breakpoints(void **state)
{
	const uint64_t at[4] = { 0x604, 0x605, 0x608, 0x607 };
	uint64_t io = ENABLE(0) | KIND(0, 2);

	(void)state;
	assert_int_equal(io_breakpoints_met(io, at, 0x604, 1), 1);
	assert_int_equal(io_breakpoints_met(io, at, 0x603, 2), 1);
	assert_int_equal(io_breakpoints_met(io, at, 0x601, 4), 1);
	assert_int_equal(io_breakpoints_met(io, at, 0x605, 2), 0);
	assert_int_equal(io_breakpoints_met(io, at, 0x600, 4), 0);
	/* The length widens it, and cuts the address. */
	assert_int_equal(io_breakpoints_met(io | LEN(0, 1), at, 0x605, 1), 1);
	assert_int_equal(io_breakpoints_met(ENABLE(3) | KIND(3, 2) | LEN(3, 3), at, 0x604, 1), 8);
	assert_int_equal(io_breakpoints_met(ENABLE(3) | KIND(3, 2) | LEN(3, 3), at, 0x608, 1), 0);
	/* Not enabled, or of another kind. */
	assert_int_equal(io_breakpoints_met(KIND(0, 2), at, 0x604, 1), 0);
	for (unsigned kind = 0; kind < 4; kind++)
		assert_int_equal(io_breakpoints_met(ENABLE(0) | KIND(0, kind), at, 0x604, 1),
				 kind == 2);
	assert_int_equal(io_breakpoints_met(ENABLE(1) << 1 | KIND(1, 2) | io, at, 0x604, 2), 3);
}

/* The UARTs that are ours, and no other port beside them. */
static void hidden_uarts(void **state)
{
	static struct vm vm;

	(void)state;
	assert_false(io_traps_any(&vm));
	line_gdb.uart.port = 0x2f8;
	assert_false(io_traps_port(&vm, 0x2f8));
	line_gdb.is_hidden = true;
	assert_true(io_traps_any(&vm));
	for (uint32_t port = 0; port < 0x10000; port++)
		assert_int_equal(io_traps_port(&vm, (uint16_t)port), port >= 0x2f8 && port < 0x300);
	for (uint16_t reg = 0; reg < UART_REGISTERS; reg++)
		assert_int_equal(uart_port_read((uint16_t)(0x2f8 + reg)),
				 reg == UART_LSR ? 0x60 : 0xff);
	line_serial.uart.port = 0x3f8;
	line_serial.is_hidden = true;
	assert_true(io_traps_port(&vm, 0x3ff));
	assert_int_equal(uart_port_read(0x3f8 + UART_LSR), 0x60);
	assert_int_equal(uart_port_read(0x3f8 + UART_LCR), 0xff);
	/* In memory: no port is meant. */
	line_serial.uart.registers = (volatile uint8_t *)&vm;
	assert_false(io_traps_port(&vm, 0x3f8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(io_breakpoints),
		cmocka_unit_test(hidden_uarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
