/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uart.h"

#include <stddef.h>

#include "arch/x86/insn.h"

#define NOBODY 0xffu

uint8_t uart_read(const struct uart *uart, unsigned reg)
{
	const volatile uint8_t *at = uart->registers + (uintptr_t)reg * uart->stride;

	if (uart->registers == NULL)
		return inb((uint16_t)(uart->port + reg));
	return uart->width == 4 ? (uint8_t) * (const volatile uint32_t *)at : *at;
}

void uart_write(const struct uart *uart, unsigned reg, uint8_t value)
{
	volatile uint8_t *at = uart->registers + (uintptr_t)reg * uart->stride;

	if (uart->registers == NULL)
		outb((uint16_t)(uart->port + reg), value);
	else if (uart->width == 4)
		*(volatile uint32_t *)at = value;
	else
		*at = value;
}

bool uart_is_there(const struct uart *uart)
{
	return (uart->port != 0 || uart->registers != NULL) && uart_read(uart, UART_LSR) != NOBODY;
}

void uart_init(const struct uart *uart, uint32_t baud)
{
	uint32_t divisor = baud == 0 ? 1 : UART_CLOCK_HZ / baud;

	if (divisor == 0)
		divisor = 1;
	uart_write(uart, UART_LCR, UART_LCR_8N1 | UART_LCR_DLAB);
	uart_write(uart, UART_DATA, (uint8_t)divisor);
	uart_write(uart, UART_IER, (uint8_t)(divisor >> 8));
	uart_write(uart, UART_LCR, UART_LCR_8N1);
}

/* The guest may be setting the baud rate: then the data register is the divisor. */
static bool has_status(const struct uart *uart, uint8_t bit)
{
	uint8_t status = uart_read(uart, UART_LSR);

	if ((uart_read(uart, UART_LCR) & UART_LCR_DLAB) != 0)
		return false;
	return status != NOBODY && (status & bit) != 0;
}

bool uart_can_send(const struct uart *uart)
{
	return has_status(uart, UART_LSR_THR_EMPTY);
}

void uart_send(const struct uart *uart, uint8_t byte)
{
	uart_write(uart, UART_DATA, byte);
}

bool uart_has_byte(const struct uart *uart)
{
	return has_status(uart, UART_LSR_READY);
}

uint8_t uart_receive(const struct uart *uart)
{
	return uart_read(uart, UART_DATA);
}
