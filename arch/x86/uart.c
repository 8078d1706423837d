/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86/uart.h"

#include "arch/x86/insn.h"

#define UART_DATA	      0
#define UART_LINE_CONTROL     3
#define UART_LINE_STATUS      5

#define LINE_CONTROL_8N1      0x03
#define LINE_CONTROL_DLAB     0x80
#define LINE_STATUS_THR_EMPTY 0x20
#define UART_CLOCK_HZ	      115200u /* 1.8432 MHz / 16 */

bool uart_is_there(uint16_t port)
{
	return port != 0 && inb((uint16_t)(port + UART_LINE_STATUS)) != 0xff;
}

void uart_init(uint16_t port, uint32_t baud)
{
	uint32_t divisor = baud == 0 ? 1 : UART_CLOCK_HZ / baud;

	if (divisor == 0)
		divisor = 1;
	outb((uint16_t)(port + UART_LINE_CONTROL), LINE_CONTROL_8N1 | LINE_CONTROL_DLAB);
	outb(port, (uint8_t)divisor);
	outb((uint16_t)(port + 1), (uint8_t)(divisor >> 8));
	outb((uint16_t)(port + UART_LINE_CONTROL), LINE_CONTROL_8N1);
}

bool uart_can_send(uint16_t port)
{
	uint8_t status = inb((uint16_t)(port + UART_LINE_STATUS));

	/* The guest may be setting the baud rate: then the data port is the divisor. */
	if ((inb((uint16_t)(port + UART_LINE_CONTROL)) & LINE_CONTROL_DLAB) != 0)
		return false;
	return status != 0xff && (status & LINE_STATUS_THR_EMPTY) != 0;
}

void uart_send(uint16_t port, uint8_t byte)
{
	outb((uint16_t)(port + UART_DATA), byte);
}
