// sources: core/line.c core/uart_share.c arch/x86/uart.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* A serial line over a UART whose registers lie in memory, here the test's own. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/caps.h"
#include "core/deadline.h"
#include "core/line.h"

struct host_values host_values;
static uint32_t registers[UART_REGISTERS]; /* four bytes each, as many SoCs have them */
static struct line line;

static void fill(uint32_t value)
{
	for (unsigned i = 0; i < UART_REGISTERS; i++)
		registers[i] = value;
}

static bool open_with(uint8_t stride, uint8_t width, uint32_t baud)
{
	const struct uart uart = { .registers = (volatile uint8_t *)registers,
				   .stride = stride,
				   .width = width };

	return line_open(&line, &uart, baud);
}

static void opens_at_the_rate(void **state)
{
	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 9600));
	assert_int_equal(registers[UART_DATA], 12);
	assert_int_equal(registers[UART_IER], 0);
	assert_int_equal(registers[UART_LCR], UART_LCR_8N1);
	assert_true(open_with(4, 4, 0));
	assert_int_equal(registers[UART_DATA], 1);
	assert_true(open_with(4, 4, 50));
	assert_int_equal(registers[UART_DATA], 2304 & 0xff);
	assert_int_equal(registers[UART_IER], 2304 >> 8);
}

static void nobody_answers(void **state)
{
	const struct uart none = { .port = 0 };

	(void)state;
	fill(UINT32_MAX);
	assert_false(open_with(4, 1, 115200));
	assert_int_equal(registers[UART_LCR], UINT32_MAX);
	assert_false(line_has_byte(&line));
	assert_false(line_can_put(&line));
	line_wake(&line);
	assert_int_equal(registers[UART_LCR], UINT32_MAX);
	assert_false(line_open(&line, &none, 115200));
}

/* Accesses have the stride and width that were said: neighbours stay as they are. */
static void widths(void **state)
{
	uint8_t *bytes = (uint8_t *)registers;

	(void)state;
	memset(registers, 0, sizeof(registers));
	assert_true(open_with(1, 1, 115200));
	assert_int_equal(bytes[UART_DATA], 1);
	assert_int_equal(bytes[UART_LCR], UART_LCR_8N1);
	assert_int_equal(bytes[UART_MCR], 0);
	fill(0x5a5a5a00);
	assert_true(open_with(4, 1, 115200));
	assert_int_equal(registers[UART_DATA], 0x5a5a5a01);
	assert_true(open_with(4, 4, 115200));
	assert_int_equal(registers[UART_DATA], 1);
}

static void bytes_by_looking(void **state)
{
	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 115200));
	assert_false(line_has_byte(&line));
	assert_false(line_can_put(&line));
	registers[UART_LSR] = UART_LSR_THR_EMPTY;
	assert_true(line_can_put(&line));
	assert_false(line_has_byte(&line));
	line_put(&line, 'x');
	assert_int_equal(registers[UART_DATA], 'x');
	registers[UART_LSR] = UART_LSR_READY;
	registers[UART_DATA] = 'y';
	assert_true(line_has_byte(&line));
	assert_false(line_can_put(&line));
	assert_int_equal(line_get(&line), 'y');
}

/* While somebody sets the divisor the data register is none. */
static void not_during_the_divisor(void **state)
{
	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 115200));
	registers[UART_LSR] = UART_LSR_THR_EMPTY | UART_LSR_READY;
	registers[UART_LCR] |= UART_LCR_DLAB;
	assert_false(line_can_put(&line));
	assert_false(line_has_byte(&line));
	registers[UART_LCR] = UART_LCR_8N1;
	assert_true(line_can_put(&line));
	registers[UART_LSR] = 0xff; /* it went away */
	assert_false(line_can_put(&line));
	assert_false(line_has_byte(&line));
}

static void after_sleep(void **state)
{
	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 57600));
	fill(0);
	line_wake(&line);
	assert_int_equal(registers[UART_DATA], 2);
	assert_int_equal(registers[UART_LCR], UART_LCR_8N1);
}

/* For a test, a second of this many cycles. */
static void set_second(uint32_t cycles)
{
	host_values.tsc_khz = cycles / 1000;
	line.is_stuck = false;
	line.dropped = 0;
}

/* It takes nothing: the first byte is waited for, those behind it are not. */
static void a_stuck_line_is_given_up(void **state)
{
	const uint32_t second = 20000000, bytes = 1000;
	uint64_t start;

	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 115200));
	set_second(second);
	start = rdtsc();
	line_put_patiently(&line, 'x');
	assert_true(rdtsc() - start > UINT64_C(3) * second);
	start = rdtsc();
	for (uint32_t i = 0; i < bytes; i++)
		line_put_patiently(&line, 'y');
	assert_true(rdtsc() - start < (uint64_t)bytes * second / 10);
	assert_true(line.is_stuck);
	assert_int_not_equal(registers[UART_DATA], 'x');
	assert_int_not_equal(registers[UART_DATA], 'y');
	/* And again it takes bytes. */
	registers[UART_LSR] = UART_LSR_THR_EMPTY;
	line_put_patiently(&line, 'z');
	assert_int_equal(registers[UART_DATA], 'z');
	assert_false(line.is_stuck);
	assert_int_equal(line_take_dropped(&line), bytes + 1);
	assert_int_equal(line_take_dropped(&line), 0);
	/* The next time it is waited for anew. */
	registers[UART_LSR] = 0;
	start = rdtsc();
	line_put_patiently(&line, 'x');
	assert_true(rdtsc() - start > UINT64_C(3) * second);
	assert_int_equal(line_take_dropped(&line), 1);
}

/* What a FIFO holds takes longer than that at so low a rate. */
static void a_slow_line_is_waited_for(void **state)
{
	const uint32_t second = 1000000;
	uint64_t start;

	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 50));
	set_second(second);
	start = rdtsc();
	line_put_patiently(&line, 'x');
	assert_true(rdtsc() - start > UINT64_C(9) * second);
	assert_int_equal(line_take_dropped(&line), 1);
}

static void *become_ready(void *argument)
{
	(void)argument;
	usleep(20000);
	*(volatile uint32_t *)&registers[UART_LSR] = UART_LSR_THR_EMPTY;
	return NULL;
}

static void a_line_that_comes_to_it_loses_nothing(void **state)
{
	pthread_t thread;

	(void)state;
	fill(0);
	assert_true(open_with(4, 4, 115200));
	set_second(4000000000);
	assert_int_equal(pthread_create(&thread, NULL, become_ready, NULL), 0);
	line_put_patiently(&line, 'x');
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(registers[UART_DATA], 'x');
	assert_int_equal(line_take_dropped(&line), 0);
}

static void a_shut_line_takes_nothing(void **state)
{
	(void)state;
	fill(UINT32_MAX);
	assert_false(open_with(4, 1, 115200));
	set_second(1000000);
	line_put_patiently(&line, 'x');
	assert_int_equal(registers[UART_DATA], UINT32_MAX);
	assert_int_equal(line_take_dropped(&line), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_at_the_rate),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(widths),
		cmocka_unit_test(bytes_by_looking),
		cmocka_unit_test(after_sleep),
		cmocka_unit_test(not_during_the_divisor),
		cmocka_unit_test(a_stuck_line_is_given_up),
		cmocka_unit_test(a_slow_line_is_waited_for),
		cmocka_unit_test(a_line_that_comes_to_it_loses_nothing),
		cmocka_unit_test(a_shut_line_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
