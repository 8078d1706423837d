/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/line.h"

#include <stddef.h>

#include "core/caps.h"
#include "core/deadline.h"

/* So long a line of ours waits for the end of one of the guest's. */
#define PATIENCE_MS   50u
/* A byte waits for those before it: a FIFO of them, each with its start and stop bit, and the guest's on a shared line. */
#define STUCK_US      3000000u
#define FIFO_BITS     (2 * UART_FIFO_BYTES * 10)
#define US_PER_SECOND UINT64_C(1000000)

struct line line_serial, line_gdb;

static struct uart_share share;
static bool serial_is_begun;

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
	struct uart uart = { .port = 0 };

	/* Before and after the switch to our own tables it is found 1:1. */
	if (from->stride != 0) {
		uart.registers = (volatile uint8_t *)(uintptr_t)from->address;
		uart.stride = (uint8_t)from->stride;
		uart.width = (uint8_t)from->width;
	} else {
		uart.port = (uint16_t)from->address;
	}
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
	if (line->share != NULL)
		return uart_share_has_key(line->share);
	return line->is_open && uart_has_byte(&line->uart);
}

uint8_t line_get(const struct line *line)
{
	return line->share != NULL ? uart_share_key(line->share) : uart_receive(&line->uart);
}

bool line_can_put(const struct line *line)
{
	if (line->share != NULL)
		return uart_share_can_put(line->share, (uint64_t)PATIENCE_MS * host_values.tsc_khz);
	return line->is_open && uart_can_send(&line->uart);
}

bool line_is_begun(const struct line *line)
{
	return line == &line_serial && serial_is_begun;
}

void line_put(const struct line *line, uint8_t byte)
{
	if (line == &line_serial)
		serial_is_begun = byte != '\n';
	if (line->share != NULL)
		uart_share_put(line->share, byte);
	else
		uart_send(&line->uart, byte);
}

static bool wait_until_it_takes(const struct line *line)
{
	uint64_t baud = line->baud != 0 ? line->baud : UART_CLOCK_HZ;
	uint64_t deadline = deadline_in_us(STUCK_US + FIFO_BITS * US_PER_SECOND / baud);

	while (!line_can_put(line)) {
		if (deadline_is_over(deadline))
			return false;
		cpu_pause();
	}
	return true;
}

void line_put_patiently(struct line *line, uint8_t byte)
{
	line->is_stuck = line->is_stuck ? !line_can_put(line) : !wait_until_it_takes(line);
	if (line->is_stuck)
		line->dropped++;
	else
		line_put(line, byte);
}

uint32_t line_take_dropped(struct line *line)
{
	uint32_t dropped = line->dropped;

	line->dropped = 0;
	return dropped;
}

/* PC: the UART's interrupt passes through OUT2. */
void line_listen(const struct line *line, bool on)
{
	if (line->share != NULL)
		uart_share_listen(line->share, on);
	else
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

void line_share(struct line *line, void (*interrupt)(void))
{
	if (!line->is_open)
		return;
	line->share = &share;
	uart_share_begin(&share, &line->uart, interrupt);
}

void line_wake(const struct line *line)
{
	if (!line->is_open)
		return;
	uart_init(&line->uart, line->baud);
	if (line->is_hidden)
		prepare_input(line);
	if (line->share != NULL)
		uart_share_wake(line->share);
}
