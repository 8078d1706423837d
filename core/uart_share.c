/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/uart_share.h"

#include <stddef.h>

#include "arch/x86/insn.h"
#include "core/lock.h"

#define LOCK_TRIES    1000000u /* whoever has it is stuck: a panic goes on all the same */
#define LOOKS_MAX     64u
#define IER_ALL	      (UART_IER_RECEIVED | UART_IER_THR_EMPTY | UART_IER_LINE | UART_IER_MODEM)
#define FCR_TRIGGER   0xc0u
#define MCR_PASSED    (UART_MCR_DTR | UART_MCR_RTS | 0x04u | 0x20u) /* OUT1, automatic flow control */
#define MSR_CHANGES   0x0fu
#define DIVISOR_FIRST 12u /* 9600 baud */

static bool lock(struct uart_share *share)
{
	for (uint32_t tries = 0; tries < LOCK_TRIES; tries++) {
		if (lock_try(&share->lock))
			return true;
		cpu_pause();
	}
	return false;
}

static bool has_received(const struct uart_share *share)
{
	return share->received_head != share->received_tail;
}

static uint32_t received_count(const struct uart_share *share)
{
	return share->received_tail - share->received_head;
}

static bool has_held(const struct uart_share *share)
{
	return share->held_head != share->held_tail;
}

static bool has_fifos(const struct uart_share *share)
{
	return (share->fcr & UART_FCR_ENABLE) != 0;
}

static bool is_looped(const struct uart_share *share)
{
	return (share->mcr & UART_MCR_LOOP) != 0;
}

/* --- whether the guest's UART interrupts ------------------------------------------------------ */

/* What IIR says, without the FIFOs' bits. PC16550D: "Interrupt Identification Register", the priorities. */
static uint8_t cause(const struct uart_share *share)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };

	if ((share->ier & UART_IER_LINE) != 0 && share->errors != 0)
		return UART_IIR_LINE;
	if ((share->ier & UART_IER_RECEIVED) != 0 && has_received(share)) {
		/* Those who are fewer than the trigger have waited long enough, by the time anybody asks. */
		return has_fifos(share) && received_count(share) < triggers[share->fcr >> 6]
			       ? UART_IIR_TIMEOUT
			       : UART_IIR_RECEIVED;
	}
	if ((share->ier & UART_IER_THR_EMPTY) != 0 && share->thr_interrupt)
		return UART_IIR_THR_EMPTY;
	if ((share->ier & UART_IER_MODEM) != 0 && share->modem_changes != 0)
		return UART_IIR_MODEM;
	return UART_IIR_NONE;
}

/* True when it begins. On a PC OUT2 lets it out. */
static bool begins_to_interrupt(struct uart_share *share)
{
	bool is = cause(share) != UART_IIR_NONE && (share->mcr & UART_MCR_OUT2) != 0 &&
		  !is_looped(share);
	bool begins = is && !share->is_interrupting;

	share->is_interrupting = is;
	if (begins)
		share->read_since = 0;
	return begins;
}

/* Bytes for which there is no room stay in the UART, and would keep it interrupting. */
static uint8_t wanted_interrupts(const struct uart_share *share)
{
	return received_count(share) == UART_SHARE_RECEIVED ? IER_ALL & ~UART_IER_RECEIVED
							    : IER_ALL;
}

static void set_interrupts(struct uart_share *share, uint8_t interrupts)
{
	if (share->interrupts != interrupts)
		uart_write(share->uart, UART_IER, interrupts);
	share->interrupts = interrupts;
}

/* At the end of all that may change it. */
static void unlock(struct uart_share *share, bool was_locked)
{
	bool begins = begins_to_interrupt(share);

	if (share->interrupts != 0)
		set_interrupts(share, wanted_interrupts(share));
	if (was_locked)
		lock_release(&share->lock);
	if (begins)
		share->interrupt();
}

/* --- the UART -------------------------------------------------------------------------------- */

/* What comes is for the one who has the keyboard. A full ring loses it, as a FIFO does. */
static void take_key(struct uart_share *share, uint8_t byte)
{
	if (byte == UART_SHARE_ESCAPE) {
		share->keys_are_ours = !share->keys_are_ours;
		share->keys_changed = true;
	} else if (!share->keys_are_ours) {
		share->received[share->received_tail++ % UART_SHARE_RECEIVED] = byte;
	} else if (share->keys_tail - share->keys_head < UART_SHARE_KEYS) {
		share->keys[share->keys_tail++ % UART_SHARE_KEYS] = byte;
	}
}

static void send(struct uart_share *share, uint8_t byte)
{
	uart_write(share->uart, UART_DATA, byte);
	share->room--;
}

#define ROOM_FOR_NEWLINE 2u

/* One of the guest's bytes. False: not now. */
static bool send_guest(struct uart_share *share, uint8_t byte)
{
	if (share->in_line || share->room <= (share->is_open ? ROOM_FOR_NEWLINE : 0))
		return false;
	if (share->is_open) {
		send(share, '\r');
		send(share, '\n');
	}
	share->is_open = false;
	send(share, byte);
	return true;
}

static void send_held(struct uart_share *share)
{
	while (has_held(share) &&
	       send_guest(share, share->held[share->held_head % UART_SHARE_HELD]))
		share->held_head++;
}

static void note_thr(struct uart_share *share)
{
	bool is_empty = share->room == UART_FIFO_BYTES && !has_held(share) && !share->in_line;

	if (is_empty && !share->thr_empty)
		share->thr_interrupt = true;
	share->thr_empty = is_empty;
}

static void note_call(struct uart_share *share)
{
	atomic_store(&share->called_tsc, rdtsc());
}

/*
 * One look: false if nothing had come. The guest's bytes stay in the UART while there is no room for them. What has come since
 * IIR was read has interrupted as well, though IIR does not say so any more once it is dealt with.
 */
static bool look_once(struct uart_share *share)
{
	uint8_t status = uart_read(share->uart, UART_LSR), modem;

	if (status == 0xff)
		return false;
	if ((status & (UART_LSR_READY | UART_LSR_ERRORS)) != 0 ||
	    ((status & UART_LSR_THR_EMPTY) != 0 && share->room != UART_FIFO_BYTES))
		note_call(share);
	share->errors |= status & UART_LSR_ERRORS;
	share->is_idle = (status & UART_LSR_IDLE) != 0;
	if ((status & UART_LSR_THR_EMPTY) != 0)
		share->room = UART_FIFO_BYTES;
	modem = uart_read(share->uart, UART_MSR);
	if ((modem & MSR_CHANGES) != 0)
		note_call(share);
	share->modem_changes |= modem & MSR_CHANGES;
	share->modem = modem & (uint8_t)~MSR_CHANGES;
	if ((status & UART_LSR_READY) == 0 || received_count(share) == UART_SHARE_RECEIVED)
		return false;
	take_key(share, uart_read(share->uart, UART_DATA));
	return true;
}

/*
 * Until it interrupts no longer, so that its next interrupt is one: reading IIR takes the one for an empty THR back, the others
 * go with their cause.
 */
static void look(struct uart_share *share)
{
	for (unsigned looks = 0; looks < LOOKS_MAX; looks++) {
		bool calls = (uart_read(share->uart, UART_IIR) & UART_IIR_NONE) == 0;

		if (calls)
			note_call(share);
		if (!look_once(share) && !calls)
			break;
	}
	send_held(share);
	note_thr(share);
}

/* With the FIFOs on, whatever the guest thinks: the trigger is its own. */
static void set_up(struct uart_share *share)
{
	uart_write(share->uart, UART_FCR, (share->fcr & FCR_TRIGGER) | UART_FCR_ENABLE);
	uart_write(share->uart, UART_MCR, (share->mcr & MCR_PASSED) | UART_MCR_OUT2);
}

void uart_share_begin(struct uart_share *share, const struct uart *uart, void (*interrupt)(void))
{
	share->uart = uart;
	share->interrupt = interrupt;
	share->lcr = UART_LCR_8N1;
	share->mcr = UART_MCR_DTR | UART_MCR_RTS;
	share->divisor[0] = DIVISOR_FIRST;
	share->after_newline = true;
	share->thr_empty = true;
	uart_write(uart, UART_IER, 0);
	set_up(share);
}

void uart_share_wake(struct uart_share *share)
{
	lock_release(&share->lock); /* whoever held it is gone */
	share->ier = share->fcr = share->mcr = 0;
	share->lcr = UART_LCR_8N1;
	share->in_line = share->breaks_line = share->is_interrupting = false;
	share->room = share->interrupts = 0;
	share->held_head = share->held_tail;
	set_up(share);
}

void uart_share_look(struct uart_share *share)
{
	bool locked = lock(share);

	look(share);
	unlock(share, locked);
}

uint64_t uart_share_called(const struct uart_share *share)
{
	return atomic_load(&share->called_tsc);
}

void uart_share_listen(struct uart_share *share, bool on)
{
	set_interrupts(share, on ? wanted_interrupts(share) : 0);
}

/* --- the guest ------------------------------------------------------------------------------- */

/*
 * Behind a FIFO that has been read empty the line is low until more has come. A driver that leaves its handler with more to
 * be read, since it has been in there for long, counts on the edge that follows.
 */
static uint8_t read_data(struct uart_share *share)
{
	if (!has_received(share))
		return 0;
	if (++share->read_since >= (has_fifos(share) ? UART_FIFO_BYTES : 1))
		share->is_interrupting = false;
	return share->received[share->received_head++ % UART_SHARE_RECEIVED];
}

static uint8_t read_cause(struct uart_share *share)
{
	uint8_t value = cause(share);

	if (value == UART_IIR_THR_EMPTY)
		share->thr_interrupt = false;
	return value | (has_fifos(share) ? UART_IIR_FIFOS : 0);
}

static uint8_t read_line_status(struct uart_share *share)
{
	uint8_t value = share->errors;

	share->errors = 0;
	if (has_received(share))
		value |= UART_LSR_READY;
	if (share->thr_empty)
		value |= UART_LSR_THR_EMPTY | (share->is_idle ? UART_LSR_IDLE : 0);
	return value;
}

/* Looped, the outputs are the inputs. PC16550D: "Modem Control Register", bit 4. */
static uint8_t read_modem(struct uart_share *share)
{
	uint8_t value = share->modem | share->modem_changes, mcr = share->mcr;

	share->modem_changes = 0;
	if (!is_looped(share))
		return value;
	return (uint8_t)((mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4);
}

static uint8_t read_register(struct uart_share *share, unsigned reg)
{
	bool divisor = (share->lcr & UART_LCR_DLAB) != 0;

	switch (reg) {
	case UART_DATA:
		return divisor ? share->divisor[0] : read_data(share);
	case UART_IER:
		return divisor ? share->divisor[1] : share->ier;
	case UART_IIR:
		return read_cause(share);
	case UART_LCR:
		return share->lcr;
	case UART_MCR:
		return share->mcr;
	case UART_LSR:
		return read_line_status(share);
	case UART_MSR:
		return read_modem(share);
	default:
		return share->scratch;
	}
}

uint8_t uart_share_read(struct uart_share *share, unsigned reg)
{
	bool locked = lock(share);
	uint8_t value;

	look(share);
	value = read_register(share, reg);
	unlock(share, locked);
	return value;
}

/* More than the ring holds: a driver that does not look whether there is room loses it on the UART, too. */
static void write_data(struct uart_share *share, uint8_t byte)
{
	if (is_looped(share)) {
		if (received_count(share) < UART_SHARE_RECEIVED)
			share->received[share->received_tail++ % UART_SHARE_RECEIVED] = byte;
		return;
	}
	share->thr_interrupt = false;
	share->after_newline = byte == '\n';
	share->thr_empty = false;
	if (!has_held(share) && send_guest(share, byte))
		return;
	if (share->held_tail - share->held_head < UART_SHARE_HELD)
		share->held[share->held_tail++ % UART_SHARE_HELD] = byte;
}

/* Switching it on while THR is empty interrupts at once. */
static void write_ier(struct uart_share *share, uint8_t value)
{
	uint8_t on = value & (uint8_t)~share->ier;

	share->ier = value & IER_ALL;
	if ((on & UART_IER_THR_EMPTY) != 0 && share->thr_empty)
		share->thr_interrupt = true;
}

static void write_fcr(struct uart_share *share, uint8_t value)
{
	bool changes = ((share->fcr ^ value) & UART_FCR_ENABLE) != 0;

	share->fcr = (value & UART_FCR_ENABLE) != 0 ? value & (FCR_TRIGGER | UART_FCR_ENABLE) : 0;
	if (changes || (value & UART_FCR_CLEAR_RX) != 0)
		share->received_head = share->received_tail;
	if (changes || (value & UART_FCR_CLEAR_TX) != 0)
		share->held_head = share->held_tail;
	set_up(share);
}

/* The rate and the form of a byte are the guest's, once it has set both. */
static void write_lcr(struct uart_share *share, uint8_t value)
{
	bool sets_divisor = (share->lcr & UART_LCR_DLAB) != 0 && (value & UART_LCR_DLAB) == 0;
	uint8_t form = value & (uint8_t)~UART_LCR_DLAB;

	share->lcr = value;
	if (sets_divisor && (share->divisor[0] | share->divisor[1]) != 0) {
		uart_write(share->uart, UART_LCR, form | UART_LCR_DLAB);
		uart_write(share->uart, UART_DATA, share->divisor[0]);
		uart_write(share->uart, UART_IER, share->divisor[1]);
	}
	uart_write(share->uart, UART_LCR, form);
}

static void write_register(struct uart_share *share, unsigned reg, uint8_t value)
{
	bool divisor = (share->lcr & UART_LCR_DLAB) != 0;

	switch (reg) {
	case UART_DATA:
		if (divisor)
			share->divisor[0] = value;
		else
			write_data(share, value);
		break;
	case UART_IER:
		if (divisor)
			share->divisor[1] = value;
		else
			write_ier(share, value);
		break;
	case UART_FCR:
		write_fcr(share, value);
		break;
	case UART_LCR:
		write_lcr(share, value);
		break;
	case UART_MCR:
		share->mcr = value & 0x3f;
		set_up(share);
		break;
	case UART_SCRATCH:
		share->scratch = value;
		break;
	default:
		break; /* read only */
	}
}

void uart_share_write(struct uart_share *share, unsigned reg, uint8_t value)
{
	bool locked = lock(share);

	look(share);
	write_register(share, reg, value);
	note_thr(share);
	unlock(share, locked);
}

/* --- the hypervisor -------------------------------------------------------------------------- */

/* The guest is silent, or has just ended a line: nothing of it is cut. */
static bool may_begin(struct uart_share *share, uint64_t patience)
{
	if (has_held(share))
		return false;
	if (share->after_newline || share->is_open)
		return true;
	if (share->wants_since == 0)
		share->wants_since = rdtsc() | 1;
	share->breaks_line = rdtsc() - share->wants_since >= patience;
	return share->breaks_line;
}

bool uart_share_can_put(struct uart_share *share, uint64_t patience)
{
	bool locked = lock(share), can;

	look(share);
	/* Room for what ends the guest's line, too. */
	can = share->in_line ? share->room > 0
			     : share->room > ROOM_FOR_NEWLINE && may_begin(share, patience);
	unlock(share, locked);
	return can;
}

void uart_share_put(struct uart_share *share, uint8_t byte)
{
	bool locked = lock(share);

	if (!share->in_line && share->breaks_line) {
		send(share, '\r');
		send(share, '\n');
	}
	share->breaks_line = false;
	share->wants_since = 0;
	share->is_open = false;
	send(share, byte);
	share->in_line = byte != '\n';
	/* What the guest has sent meanwhile comes next. */
	if (!share->in_line && !has_held(share))
		share->after_newline = true;
	note_thr(share);
	unlock(share, locked);
}

void uart_share_rest(struct uart_share *share)
{
	bool locked = lock(share);

	share->is_open |= share->in_line;
	share->in_line = false;
	look(share);
	unlock(share, locked);
}

bool uart_share_has_key(struct uart_share *share)
{
	bool locked = lock(share), has;

	look(share);
	has = share->keys_head != share->keys_tail;
	unlock(share, locked);
	return has;
}

uint8_t uart_share_key(struct uart_share *share)
{
	bool locked = lock(share);
	uint8_t key = share->keys[share->keys_head++ % UART_SHARE_KEYS];

	unlock(share, locked);
	return key;
}

bool uart_share_keys_changed(struct uart_share *share, bool *are_ours)
{
	bool locked = lock(share), changed = share->keys_changed;

	share->keys_changed = false;
	*are_ours = share->keys_are_ours;
	unlock(share, locked);
	return changed;
}
