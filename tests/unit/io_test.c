/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/io.c vmexit/uart_port.c core/line.c core/uart_share.c core/sleep.c arch/x86/uart.c arch/x86/debug.c
#include "vmexit/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdlib.h>

#include <cmocka.h>

#include "arch/x86/apic.h"
#include "arch/x86/cr.h"
#include "arch/x86/debug.h"
#include "core/caps.h"
#include "core/line.h"
#include "vmexit/debug_met.h"
#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/io_apic.h"
#include "vmexit/suspend.h"
#include "vmexit/uart_port.h"

/* --- the guest's registers, and what the exit makes of them --- */

static uint64_t cr4, dr7, address[DEBUG_REGS];
static uint64_t raised;	   /* #DB: bits of DR6 */
static bool was_met;	   /* of an iteration of a string instruction */
static uint64_t debuggers; /* breakpoints that are not the guest's */

uint64_t cr4_read_bits(struct vcpu *which, uint64_t mask)
{
	(void)which;
	return cr4 & mask;
}

uint64_t debug_address_read(const struct vcpu *which, unsigned index)
{
	(void)which;
	return address[index];
}

uint64_t debug_hardware_met(struct vcpu *which, enum debug_touch touch, uint64_t linear,
			    unsigned bytes)
{
	(void)which;
	return debug_met(dr7, address, touch, linear, bytes);
}

uint64_t debug_met_behind(struct vcpu *which, uint64_t met)
{
	(void)which;
	return met & ~debuggers;
}

uint64_t dr7_read(struct vcpu *which)
{
	(void)which;
	return dr7;
}

void events_raise_gp(struct vcpu *vcpu, uint32_t error_code)
{
	(void)vcpu, (void)error_code;
	abort();
}

void events_raise_db(struct vcpu *vcpu, uint64_t bits)
{
	(void)vcpu;
	raised |= bits;
}

bool guest_fetch_insn(struct vcpu *vcpu, struct insn *out)
{
	(void)vcpu, (void)out;
	return true;
}

/* One iteration of INSW, to 0x5000. */
enum emulate_result emulate_insn(struct vcpu *vcpu, const struct insn *insn,
				 const struct emulate_target *target)
{
	(void)vcpu, (void)insn;
	was_met = target->accessed(target->context, (gva_t){ 0x5000 }, 2, true);
	return EMULATE_DONE;
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

static uint64_t raised_by_insw(struct vcpu *vcpu)
{
	const struct exit_info exit = { .io = { .string = true, .in = true, .bytes = 2 } };

	raised = 0;
	assert_int_equal(io_exit(vcpu, &exit), VERDICT_NEXT_INSN);
	return raised;
}

/* Its memory, its port by CR4.DE, both; and what the debugger alone has asked for. */
static void breakpoints_of_strings(void **state)
{
	static struct vcpu vcpu;

	(void)state;
	vcpu.regs.gpr[REG_RDX] = 0xabcd02f9;
	address[0] = 0x5001;
	address[1] = 0x2fa;
	dr7 = 0x400 | ENABLE(0) | KIND(0, 1) | ENABLE(1) | KIND(1, 2);
	cr4 = 0;
	assert_int_equal(raised_by_insw(&vcpu), 1);
	assert_true(was_met);
	cr4 = CR4_DE;
	assert_int_equal(raised_by_insw(&vcpu), 3);
	assert_true(was_met);
	debuggers = 1;
	assert_int_equal(raised_by_insw(&vcpu), 2);
	address[1] = 0x2fb;
	assert_int_equal(raised_by_insw(&vcpu), 0);
	assert_true(was_met);
	debuggers = 0;
	address[0] = 0x5002;
	assert_int_equal(raised_by_insw(&vcpu), 0);
	assert_false(was_met);
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
		cmocka_unit_test(breakpoints_of_strings),
		cmocka_unit_test(hidden_uarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
