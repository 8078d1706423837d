/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/uart_port.h"

#include <stddef.h>

#include "arch/x86/apic.h"
#include "arch/x86/io_apic.h"
#include "core/line.h"
#include "core/vcpu.h"
#include "vmexit/io_apic.h"

static bool has_ports(const struct line *line)
{
	return line_is_trapped(line) && line->uart.registers == NULL;
}

static bool has_port(const struct line *line, uint16_t port)
{
	return has_ports(line) && port >= line->uart.port &&
	       port < line->uart.port + UART_REGISTERS;
}

bool uart_port_is_any(void)
{
	return has_ports(&line_serial) || has_ports(&line_gdb);
}

bool uart_port_is_trapped(uint16_t port)
{
	return has_port(&line_serial, port) || has_port(&line_gdb, port);
}

static const struct line *line_of(uint16_t port)
{
	return has_port(&line_serial, port) ? &line_serial : &line_gdb;
}

/*
 * Hidden: all ones, as where nothing answers, but for the line's status: idle, and nothing received. The firmware may have a
 * driver on the port since before we came, and those wait for ever where each status bit is set. Whoever looks for a UART
 * finds none, since no register keeps what is written.
 */
uint8_t uart_port_read(uint16_t port)
{
	const struct line *line = line_of(port);
	unsigned reg = (unsigned)port - line->uart.port;

	if (line->share != NULL)
		return uart_share_read(line->share, reg);
	return reg == UART_LSR ? UART_LSR_THR_EMPTY | UART_LSR_IDLE : 0xff;
}

void uart_port_write(uint16_t port, uint8_t value)
{
	const struct line *line = line_of(port);

	if (line->share != NULL)
		uart_share_write(line->share, (unsigned)port - line->uart.port, value);
}

/*
 * The UART's own interrupt is ours, so the guest gets another, as its redirection entry says: that has its vector, mode and
 * destination where the interrupt command has them. SDM: "Interrupt Command Register (ICR)"; 82093AA: "I/O Redirection Table
 * Registers". With the entry masked, the guest may use the 8259, which sees the UART: it is to see an edge.
 */
void uart_port_interrupt(void)
{
	const uint64_t entry = io_apic_guest_entry(line_serial.pin);
	const struct cpu *cpu = cpu_self();

	if ((entry & REDIRECT_MASKED) != 0) {
		line_listen(&line_serial, false);
		line_listen(&line_serial, true);
	} else if ((entry & REDIRECT_MODE) <= REDIRECT_MODE_LOWEST) {
		apic_send(cpu->vcpu->apic_base_hardware, cpu->apic_page,
			  (uint32_t)(entry >> REDIRECT_ID_SHIFT),
			  (uint32_t)(entry & (REDIRECT_VECTOR | REDIRECT_MODE | REDIRECT_LOGICAL)) |
				  ICR_ASSERT);
	}
}
