/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/uart_port.h"

#include <stddef.h>

#include "core/line.h"

static bool is_hidden(const struct line *line)
{
	return line->is_hidden && line->uart.registers == NULL;
}

static bool has_port(const struct line *line, uint16_t port)
{
	return is_hidden(line) && port >= line->uart.port &&
	       port < line->uart.port + UART_REGISTERS;
}

bool uart_port_is_any(void)
{
	return is_hidden(&line_serial) || is_hidden(&line_gdb);
}

bool uart_port_is_trapped(uint16_t port)
{
	return has_port(&line_serial, port) || has_port(&line_gdb, port);
}

/*
 * All ones, as where nothing answers, but for the line's status: idle, and nothing received. The firmware may have a driver on
 * the port since before we came, and those wait for ever where each status bit is set. Whoever looks for a UART finds
 * none, since no register keeps what is written.
 */
uint8_t uart_port_read(uint16_t port)
{
	const struct line *line = has_port(&line_serial, port) ? &line_serial : &line_gdb;

	return port - line->uart.port == UART_LSR ? UART_LSR_THR_EMPTY | UART_LSR_IDLE : 0xff;
}

void uart_port_write(uint16_t port, uint8_t value)
{
	(void)port;
	(void)value;
}
