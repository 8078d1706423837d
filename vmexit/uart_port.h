/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports of UARTs that are the hypervisor's, where the guest finds none, or that it shares with the guest. */
#ifndef VMEXIT_UART_PORT_H
#define VMEXIT_UART_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* For the bitmaps. */
bool uart_port_is_trapped(uint16_t port);
bool uart_port_is_any(void);

/* What the guest reads from such a port, and writes to it. */
uint8_t uart_port_read(uint16_t port);
void uart_port_write(uint16_t port, uint8_t value);

/* The guest's UART of line_serial, which is shared, begins to interrupt. */
void uart_port_interrupt(void);

#endif
