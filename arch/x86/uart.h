/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 UART at an I/O port, polled. */
#ifndef ARCH_X86_UART_H
#define ARCH_X86_UART_H

#include <stdbool.h>
#include <stdint.h>

/* Whether anything answers; port 0 is none. */
bool uart_is_there(uint16_t port);

/* Set 8 data bits, no parity, one stop bit and the baud rate; interrupts of the UART stay as they are. */
void uart_init(uint16_t port, uint32_t baud);

/* Whether the transmitter takes another byte now; a port where nothing answers (0xff) never does. */
bool uart_can_send(uint16_t port);
void uart_send(uint16_t port, uint8_t byte);

#endif
