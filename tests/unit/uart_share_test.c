// sources: core/uart_share.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* One UART for two, over a model of a 16550 with its interrupt line and a guest with an interrupt-driven driver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/uart_share.h"

#define WIRE_BYTES (1u << 21)

/* --- the model of the UART ------------------------------------------------------------------- */

static struct {
	uint8_t ier, fcr, lcr, mcr, divisor[2];
	uint8_t errors, changes;
	uint8_t rx[UART_FIFO_BYTES], tx[UART_FIFO_BYTES];
	unsigned rx_count, tx_count;
	bool thr_pending, line; /* the interrupt's */
	unsigned calls;		/* times that it rose */
} model;

static char wire[WIRE_BYTES];
static unsigned wire_bytes;
static struct uart_share share;
static const struct uart uart = { .port = 0x3f8 };
static unsigned interrupts;

static void (*after_iir)(void); /* happens between that look and the next register */

static uint8_t model_cause(void)
{
	if ((model.ier & UART_IER_LINE) != 0 && model.errors != 0)
		return UART_IIR_LINE;
	if ((model.ier & UART_IER_RECEIVED) != 0 && model.rx_count != 0)
		return UART_IIR_RECEIVED;
	if ((model.ier & UART_IER_THR_EMPTY) != 0 && model.thr_pending)
		return UART_IIR_THR_EMPTY;
	if ((model.ier & UART_IER_MODEM) != 0 && model.changes != 0)
		return UART_IIR_MODEM;
	return UART_IIR_NONE;
}

static void model_update(void)
{
	bool line = model_cause() != UART_IIR_NONE && (model.mcr & UART_MCR_OUT2) != 0;

	model.calls += line && !model.line;
	model.line = line;
}

uint8_t uart_read(const struct uart *of, unsigned reg)
{
	uint8_t value = 0;

	assert_ptr_equal(of, &uart);
	assert_false((model.lcr & UART_LCR_DLAB) != 0);
	switch (reg) {
	case UART_DATA:
		assert_true(model.rx_count > 0);
		value = model.rx[0];
		memmove(model.rx, model.rx + 1, --model.rx_count);
		break;
	case UART_IIR:
		value = model_cause();
		if (value == UART_IIR_THR_EMPTY)
			model.thr_pending = false;
		if (after_iir != NULL)
			after_iir();
		break;
	case UART_LSR:
		value = (uint8_t)(model.errors | (model.rx_count != 0 ? UART_LSR_READY : 0) |
				  (model.tx_count == 0 ? UART_LSR_THR_EMPTY | UART_LSR_IDLE : 0));
		model.errors = 0;
		break;
	case UART_MSR:
		value = 0xb0 | model.changes;
		model.changes = 0;
		break;
	default:
		fail();
	}
	model_update();
	return value;
}

void uart_write(const struct uart *of, unsigned reg, uint8_t value)
{
	bool divisor = (model.lcr & UART_LCR_DLAB) != 0;

	assert_ptr_equal(of, &uart);
	switch (reg) {
	case UART_DATA:
		if (divisor) {
			model.divisor[0] = value;
			break;
		}
		assert_true(model.tx_count < UART_FIFO_BYTES); /* else it would be lost */
		model.tx[model.tx_count++] = value;
		model.thr_pending = false;
		break;
	case UART_IER:
		if (divisor) {
			model.divisor[1] = value;
			break;
		}
		if ((value & ~model.ier & UART_IER_THR_EMPTY) != 0 && model.tx_count == 0)
			model.thr_pending = true;
		model.ier = value;
		break;
	case UART_FCR:
		model.fcr = value;
		break;
	case UART_LCR:
		model.lcr = value;
		break;
	case UART_MCR:
		assert_int_equal(value & UART_MCR_LOOP, 0);
		model.mcr = value;
		break;
	default:
		fail();
	}
	model_update();
}

/* The line takes so many bytes off the UART. */
static void transmit(unsigned bytes)
{
	while (bytes-- > 0 && model.tx_count > 0) {
		wire[wire_bytes++] = (char)model.tx[0];
		memmove(model.tx, model.tx + 1, --model.tx_count);
		if (model.tx_count == 0)
			model.thr_pending = true;
	}
	wire[wire_bytes] = '\0';
	model_update();
}

static bool arrive(uint8_t byte)
{
	if (model.rx_count == UART_FIFO_BYTES)
		return false;
	model.rx[model.rx_count++] = byte;
	model_update();
	return true;
}

/* As the hypervisor does: each rise of the line makes it look. */
static void serve(void)
{
	while (model.calls > 0) {
		model.calls = 0;
		uart_share_look(&share);
		model_update();
	}
}

static void count_interrupt(void)
{
	interrupts++;
}

static void begin(void)
{
	memset(&model, 0, sizeof(model));
	memset(&share, 0, sizeof(share));
	wire_bytes = interrupts = 0;
	uart_share_begin(&share, &uart, count_interrupt);
	uart_share_listen(&share, true);
	serve();
	assert_false(model.line);
}

static uint8_t in(unsigned reg)
{
	uint8_t value = uart_share_read(&share, reg);

	serve();
	return value;
}

static void out(unsigned reg, uint8_t value)
{
	uart_share_write(&share, reg, value);
	serve();
}

/* As a driver opens it. */
static void guest_opens(void)
{
	out(UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR_RX | UART_FCR_CLEAR_TX | 0x80);
	out(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
}

static bool hypervisor_says(const char *text, uint64_t patience)
{
	for (; *text != '\0'; text++) {
		while (!uart_share_can_put(&share, patience)) {
			if (!share.in_line)
				return false;
			transmit(1);
			serve();
		}
		uart_share_put(&share, (uint8_t)*text);
		serve();
	}
	return true;
}

/* --- what the guest finds -------------------------------------------------------------------- */

/* The tests by which drivers look for a UART: IER and the scratch register keep bits, the loop shows MCR in MSR. */
static void it_is_a_16550(void **state)
{
	(void)state;
	begin();
	out(UART_IER, 0);
	assert_int_equal(in(UART_IER), 0);
	out(UART_IER, 0xff);
	assert_int_equal(in(UART_IER), 0x0f);
	out(UART_IER, 0);
	out(UART_SCRATCH, 0xa5);
	assert_int_equal(in(UART_SCRATCH), 0xa5);
	out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(in(UART_MSR)&0xf0, 0x90);
	out(UART_DATA, 'l');
	assert_int_equal(in(UART_LSR)&UART_LSR_READY, UART_LSR_READY);
	assert_int_equal(in(UART_DATA), 'l');
	assert_int_equal(model.tx_count, 0);
	out(UART_MCR, UART_MCR_OUT2);
	assert_int_equal(in(UART_MSR)&0xf0, 0xb0);
	out(UART_FCR, UART_FCR_ENABLE);
	assert_int_equal(in(UART_IIR), UART_IIR_FIFOS | UART_IIR_NONE);
	out(UART_FCR, 0);
	assert_int_equal(in(UART_IIR), UART_IIR_NONE);
	assert_int_equal(in(UART_LSR), UART_LSR_THR_EMPTY | UART_LSR_IDLE);
}

static void the_rate_is_the_guests(void **state)
{
	(void)state;
	begin();
	out(UART_LCR, UART_LCR_DLAB | 0x02);
	out(UART_DATA, 0x34);
	out(UART_IER, 0x12);
	assert_int_equal(in(UART_DATA), 0x34);
	assert_int_equal(in(UART_IER), 0x12);
	assert_int_equal(model.divisor[0], 0); /* not before it is whole */
	assert_int_equal(model.tx_count, 0);
	out(UART_LCR, 0x02);
	assert_int_equal(model.divisor[0], 0x34);
	assert_int_equal(model.divisor[1], 0x12);
	assert_int_equal(model.lcr, 0x02);
	assert_int_equal(in(UART_IER), 0);
}

static void received(void **state)
{
	(void)state;
	begin();
	guest_opens();
	arrive('a');
	serve();
	assert_int_equal(interrupts, 0); /* not asked for */
	assert_int_equal(in(UART_LSR)&UART_LSR_READY, UART_LSR_READY);
	out(UART_IER, UART_IER_RECEIVED);
	assert_int_equal(interrupts, 1); /* what waits interrupts at once */
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_TIMEOUT);
	assert_int_equal(in(UART_DATA), 'a');
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_NONE);
	for (unsigned i = 0; i < 8; i++)
		arrive((uint8_t)('0' + i));
	serve();
	assert_int_equal(interrupts, 2);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_RECEIVED);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(in(UART_DATA), '0' + i);
	assert_int_equal(in(UART_LSR)&UART_LSR_READY, 0);
	assert_int_equal(interrupts, 2);
	/* OUT2 is what lets it out. */
	out(UART_MCR, 0);
	arrive('x');
	serve();
	assert_int_equal(interrupts, 2);
	out(UART_MCR, UART_MCR_OUT2);
	assert_int_equal(interrupts, 3);
}

/*
 * A FIFO that has been read empty makes the line low until the next byte: a driver that leaves its handler with more to be
 * read, having been there for long, is called again.
 */
static void more_to_read_calls_again(void **state)
{
	const unsigned bytes = 1000, turn = 100;
	unsigned got = 0;

	(void)state;
	begin();
	guest_opens();
	out(UART_IER, UART_IER_RECEIVED);
	for (unsigned i = 0; i < bytes; i++) {
		arrive((uint8_t)('A' + i % 26));
		serve();
	}
	assert_int_equal(interrupts, 1);
	while (interrupts != 0 && got < bytes) {
		interrupts = 0;
		for (unsigned i = 0; i < turn; i++)
			assert_int_equal(in(UART_DATA), 'A' + got++ % 26);
	}
	assert_int_equal(got, bytes);
	/* Without FIFOs it is one byte that is in there. */
	out(UART_FCR, 0);
	out(UART_IER, UART_IER_RECEIVED);
	arrive('a');
	arrive('b');
	serve();
	interrupts = 0;
	assert_int_equal(in(UART_DATA), 'a');
	assert_int_equal(interrupts, 1);
	assert_int_equal(in(UART_DATA), 'b');
	assert_int_equal(interrupts, 1);
}

static void errors_and_modem(void **state)
{
	(void)state;
	begin();
	guest_opens();
	out(UART_IER, UART_IER_LINE | UART_IER_MODEM);
	model.errors = 0x02;
	model_update();
	serve();
	assert_int_equal(interrupts, 1);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_LINE);
	assert_int_equal(in(UART_LSR)&UART_LSR_ERRORS, 0x02);
	assert_int_equal(in(UART_LSR)&UART_LSR_ERRORS, 0);
	model.changes = 0x01;
	model_update();
	serve();
	assert_int_equal(interrupts, 2);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_MODEM);
	assert_int_equal(in(UART_MSR), 0xb1);
	assert_int_equal(in(UART_MSR), 0xb0);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_NONE);
}

static void empty_thr_interrupts(void **state)
{
	(void)state;
	begin();
	guest_opens();
	out(UART_IER, UART_IER_THR_EMPTY);
	assert_int_equal(interrupts, 1);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_THR_EMPTY);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_NONE); /* told once */
	for (unsigned i = 0; i < UART_FIFO_BYTES; i++)
		out(UART_DATA, (uint8_t)('a' + i));
	assert_int_equal(in(UART_LSR)&UART_LSR_THR_EMPTY, 0);
	transmit(15);
	serve();
	assert_int_equal(interrupts, 1);
	transmit(1);
	serve();
	assert_int_equal(interrupts, 2);
	assert_int_equal(in(UART_IIR)&UART_IIR_CAUSE, UART_IIR_THR_EMPTY);
	assert_string_equal(wire, "abcdefghijklmnop");
}

/* More than the guest reads: it stays in the UART, which does not interrupt for it, and nothing is lost. */
static void no_room(void **state)
{
	unsigned sent = 0, got = 0;

	(void)state;
	begin();
	guest_opens();
	while (arrive((uint8_t)(sent % 26 + 'a'))) {
		sent++;
		serve();
	}
	assert_int_equal(sent, UART_SHARE_RECEIVED + UART_FIFO_BYTES);
	assert_false(model.line);
	while ((in(UART_LSR)&UART_LSR_READY) != 0) {
		assert_int_equal(in(UART_DATA), got % 26 + 'a');
		got++;
	}
	assert_int_equal(got, sent);
	arrive('z');
	serve();
	assert_int_equal(in(UART_DATA), 'z');
}

static void byte_comes(void)
{
	after_iir = NULL;
	model.rx[model.rx_count++] = 'q';
}

static void thr_runs_empty(void)
{
	after_iir = NULL;
	model.tx_count = 0;
	model.thr_pending = true;
}

static void modem_changes(void)
{
	after_iir = NULL;
	model.changes = 1;
}

/* The UART interrupts right behind the look at IIR, and its reason is gone before the next: it has interrupted all the same. */
static void a_call_is_never_missed(void **state)
{
	static void (*const events[])(void) = { byte_comes, thr_runs_empty, modem_changes };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		begin();
		guest_opens();
		if (events[i] == thr_runs_empty)
			out(UART_DATA, 'a');
		atomic_store(&share.called_tsc, 0);
		uart_share_look(&share);
		assert_int_equal(uart_share_called(&share), 0); /* nothing has */
		after_iir = events[i];
		uart_share_look(&share);
		assert_int_not_equal(uart_share_called(&share), 0);
	}
}

/* --- two on one line ------------------------------------------------------------------------- */

static void lines_are_whole(void **state)
{
	(void)state;
	begin();
	guest_opens();
	for (const char *c = "guest one\n"; *c != '\0'; c++)
		out(UART_DATA, (uint8_t)*c);
	transmit(5);
	serve();
	/* The guest writes on while the hypervisor's line has only begun. */
	transmit(5);
	assert_true(uart_share_can_put(&share, UINT64_MAX));
	uart_share_put(&share, 'h');
	for (const char *c = "guest two"; *c != '\0'; c++)
		out(UART_DATA, (uint8_t)*c);
	assert_int_equal(in(UART_LSR) & (UART_LSR_THR_EMPTY | UART_LSR_IDLE), 0);
	assert_true(hypervisor_says("yper\r\n", UINT64_MAX));
	for (unsigned i = 0; i < 8; i++) {
		transmit(4);
		serve();
	}
	assert_string_equal(wire, "guest one\nhyper\r\nguest two");
	/* In the middle of the guest's line: only without patience, and then not in its middle. */
	assert_false(hypervisor_says("again\r\n", UINT64_MAX));
	assert_true(hypervisor_says("again\r\n", 0));
	transmit(32);
	serve();
	assert_string_equal(wire, "guest one\nhyper\r\nguest two\r\nagain\r\n");
}

/* A prompt has no end: the guest goes on below it. */
static void a_prompt_holds_nobody_up(void **state)
{
	(void)state;
	begin();
	guest_opens();
	assert_true(hypervisor_says("> ", UINT64_MAX));
	out(UART_DATA, 'a');
	transmit(16);
	serve();
	assert_string_equal(wire, "> ");
	uart_share_rest(&share);
	transmit(16);
	serve();
	assert_string_equal(wire, "> \r\na");
	out(UART_DATA, '\n');
	assert_true(hypervisor_says("> k", UINT64_MAX));
	uart_share_rest(&share);
	serve();
	assert_true(hypervisor_says("ey\r\n", UINT64_MAX)); /* its own line goes on */
	out(UART_DATA, 'b');
	transmit(16);
	serve();
	assert_string_equal(wire, "> \r\na\n> key\r\nb");
	assert_true((in(UART_LSR)&UART_LSR_THR_EMPTY) != 0);
}

static void escape_gives_the_keyboard(void **state)
{
	const char *typed = "ab\035cd\035ef";
	bool ours;

	(void)state;
	begin();
	guest_opens();
	assert_false(uart_share_keys_changed(&share, &ours));
	for (const char *c = typed; *c != '\0'; c++) {
		arrive((uint8_t)*c);
		serve();
	}
	assert_true(uart_share_keys_changed(&share, &ours));
	assert_false(ours);
	assert_true(uart_share_has_key(&share));
	assert_int_equal(uart_share_key(&share), 'c');
	assert_int_equal(uart_share_key(&share), 'd');
	assert_false(uart_share_has_key(&share));
	for (const char *c = "abef"; *c != '\0'; c++)
		assert_int_equal(in(UART_DATA), *c);
	assert_int_equal(in(UART_LSR)&UART_LSR_READY, 0);
}

/* --- everything at once ---------------------------------------------------------------------- */

#define GUEST_BYTES 200000u

static struct {
	unsigned sent, got;
	bool sends;
} guest;

static char guest_text(unsigned i)
{
	return i % 61 == 60 ? '\n' : (char)('A' + i % 53);
}

/* What the guest's handler does: until there is no cause any more. */
static void guest_handler(void)
{
	uint8_t why;

	while (((why = in(UART_IIR)) & UART_IIR_NONE) == 0) {
		if ((why & UART_IIR_CAUSE) == UART_IIR_THR_EMPTY) {
			for (unsigned i = 0; i < UART_FIFO_BYTES && guest.sent < GUEST_BYTES; i++)
				out(UART_DATA, (uint8_t)guest_text(guest.sent++));
			continue;
		}
		while ((in(UART_LSR)&UART_LSR_READY) != 0) {
			assert_int_equal(in(UART_DATA), guest_text(guest.got));
			guest.got++;
		}
	}
}

/* Out of what came over the wire, the hypervisor's lines; what is left is the guest's, to the byte. */
static unsigned take_lines(unsigned *lines)
{
	const char *line = "solovisor: a line\r\n";
	unsigned at = 0, text = 0;

	for (*lines = 0; at < wire_bytes;) {
		if (strncmp(wire + at, line, strlen(line)) == 0) {
			at += (unsigned)strlen(line);
			++*lines;
			continue;
		}
		assert_int_equal(wire[at], guest_text(text));
		at++;
		text++;
	}
	return text;
}

static void both_directions_complete(void **state)
{
	const char *line = "solovisor: a line\r\n";
	unsigned said = 0, lines, typed = 0, done = 0;

	(void)state;
	srand(5);
	begin();
	guest_opens();
	memset(&guest, 0, sizeof(guest));
	out(UART_IER, UART_IER_RECEIVED | UART_IER_THR_EMPTY);
	for (unsigned turn = 0; turn < 60 * GUEST_BYTES; turn++) {
		transmit((unsigned)rand() % 4);
		if (typed < GUEST_BYTES && rand() % 3 == 0)
			typed += arrive((uint8_t)guest_text(typed));
		if (rand() % 8 != 0)
			serve();
		if (rand() % 4 == 0 && uart_share_can_put(&share, UINT64_MAX)) {
			uart_share_put(&share, (uint8_t)line[said]);
			said = (said + 1) % (unsigned)strlen(line);
		}
		if (interrupts != 0) {
			interrupts = 0;
			guest_handler();
		}
		if (guest.sent == GUEST_BYTES && guest.got == GUEST_BYTES && model.tx_count == 0 &&
		    said == 0 && done++ > 100)
			break;
	}
	assert_int_equal(guest.sent, GUEST_BYTES);
	assert_int_equal(guest.got, GUEST_BYTES);
	assert_int_equal(take_lines(&lines), GUEST_BYTES);
	assert_true(lines > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_a_16550),
		cmocka_unit_test(the_rate_is_the_guests),
		cmocka_unit_test(received),
		cmocka_unit_test(more_to_read_calls_again),
		cmocka_unit_test(errors_and_modem),
		cmocka_unit_test(empty_thr_interrupts),
		cmocka_unit_test(no_room),
		cmocka_unit_test(a_call_is_never_missed),
		cmocka_unit_test(lines_are_whole),
		cmocka_unit_test(a_prompt_holds_nobody_up),
		cmocka_unit_test(escape_gives_the_keyboard),
		cmocka_unit_test(both_directions_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
