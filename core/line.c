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

bool line_open_boot(struct line *line, const struct boot_line *from)
{
	const struct uart uart = { .port = (uint16_t)from->address };

	line->pin = from->pin;
	line->io_apic = from->io_apic;
	return line_open(line, &uart, from->baud);
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

/* PC: the UART's interrupt passes through OUT2. */
void line_listen(const struct line *line, bool on)
{
	uart_write(&line->uart, UART_IER, on ? UART_IER_RECEIVED : 0);
}

/* With FIFOs bytes have time; it interrupts from the first one on. */
static void prepare_input(const struct line *line)
{
	uart_write(&line->uart, UART_FCR, UART_FCR_ENABLE);
	uart_write(&line->uart, UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
}

void line_hide(struct line *line)
{
	line->is_hidden = line->is_open;
	if (!line->is_open)
		return;
	line_listen(line, false);
	prepare_input(line);
}

void line_wake(const struct line *line)
{
	if (!line->is_open)
		return;
	uart_init(&line->uart, line->baud);
	if (line->is_hidden)
		prepare_input(line);
}
