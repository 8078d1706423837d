/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/line.h"

struct line line_serial, line_gdb;

bool line_open(struct line *line, const struct uart *uart, uint32_t baud)
{
	line->uart = *uart;
	line->baud = baud;
	line->is_open = uart_is_there(uart);
	if (line->is_open)
		uart_init(uart, baud);
	return line->is_open;
}

bool line_is_same(const struct line *line, const struct line *other)
{
	return line->uart.port == other->uart.port && line->uart.registers == other->uart.registers;
}

bool line_has_byte(const struct line *line)
{
	return line->is_open && uart_has_byte(&line->uart);
}

uint8_t line_get(const struct line *line)
{
	return uart_receive(&line->uart);
}

bool line_can_put(const struct line *line)
{
	return line->is_open && uart_can_send(&line->uart);
}

void line_put(const struct line *line, uint8_t byte)
{
	uart_send(&line->uart, byte);
}

void line_wake(const struct line *line)
{
	if (line->is_open)
		uart_init(&line->uart, line->baud);
}
