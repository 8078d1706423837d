/* SPDX-License-Identifier: BSD-2-Clause */
/* A 16550 UART at I/O ports or in memory: its registers, and bytes by looking. */
#ifndef ARCH_X86_UART_H
#define ARCH_X86_UART_H

#include <stdbool.h>
#include <stdint.h>

/* Registers. With UART_LCR_DLAB the first two are the divisor. */
#define UART_DATA	    0u
#define UART_IER	    1u /* interrupt enable */
#define UART_IIR	    2u /* read: interrupt identification */
#define UART_FCR	    2u /* write: FIFO control */
#define UART_LCR	    3u /* line control */
#define UART_MCR	    4u /* modem control */
#define UART_LSR	    5u /* line status */
#define UART_MSR	    6u /* modem status */
#define UART_SCRATCH	    7u
#define UART_REGISTERS	    8u

#define UART_IER_RECEIVED   0x01u
#define UART_IER_THR_EMPTY  0x02u
#define UART_IER_LINE	    0x04u
#define UART_IER_MODEM	    0x08u
#define UART_IIR_NONE	    0x01u
#define UART_IIR_CAUSE	    0x0fu
#define UART_IIR_MODEM	    0x00u
#define UART_IIR_THR_EMPTY  0x02u
#define UART_IIR_RECEIVED   0x04u
#define UART_IIR_LINE	    0x06u
#define UART_IIR_TIMEOUT    0x0cu
#define UART_IIR_FIFOS	    0xc0u
#define UART_FCR_ENABLE	    0x01u
#define UART_FCR_CLEAR_RX   0x02u
#define UART_FCR_CLEAR_TX   0x04u
#define UART_LCR_8N1	    0x03u
#define UART_LCR_DLAB	    0x80u
#define UART_MCR_DTR	    0x01u
#define UART_MCR_RTS	    0x02u
#define UART_MCR_OUT2	    0x08u /* lets interrupts out, on a PC */
#define UART_MCR_LOOP	    0x10u
#define UART_LSR_READY	    0x01u /* a byte was received */
#define UART_LSR_ERRORS	    0x1eu /* overrun, parity, framing, break */
#define UART_LSR_THR_EMPTY  0x20u
#define UART_LSR_IDLE	    0x40u /* THR and the shift register are empty */
#define UART_LSR_FIFO_ERROR 0x80u

#define UART_FIFO_BYTES	    16u
#define UART_CLOCK_HZ	    115200u /* 1.8432 MHz / 16 */

struct uart {
	volatile uint8_t *registers; /* in memory, mapped uncached; NULL: at `port` */
	uint16_t port;		     /* 0 as well: there is none */
	uint8_t stride;		     /* in memory: bytes from one register to the next, 1, 2 or 4 */
	uint8_t width;		     /* in memory: bytes of an access, 1 or 4 */
};

uint8_t uart_read(const struct uart *uart, unsigned reg);
void uart_write(const struct uart *uart, unsigned reg, uint8_t value);

/* Whether anything answers. */
bool uart_is_there(const struct uart *uart);

/* Set 8 data bits, no parity, one stop bit and the baud rate (0: as fast as can be); interrupts of the UART stay as they are. */
void uart_init(const struct uart *uart, uint32_t baud);

/* Whether the transmitter takes another byte now; where nothing answers (0xff) it never does. */
bool uart_can_send(const struct uart *uart);
void uart_send(const struct uart *uart, uint8_t byte);

/* Whether a byte was received; false where nothing answers. */
bool uart_has_byte(const struct uart *uart);
/* Only if there is one. */
uint8_t uart_receive(const struct uart *uart);

#endif
