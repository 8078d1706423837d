/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One UART for two. The guest's driver finds a 16550 as it expects it; behind that are the UART itself, the hypervisor's lines,
 * which go out whole between the guest's bytes, and an escape key that gives the keyboard to the hypervisor and back.
 *
 * All registers that the guest sees are kept here. The UART's own interrupts are always on and come to the hypervisor
 * (vmexit/attention.h); when the guest's UART would interrupt, a function that the caller has given does it. Pure but for the
 * accesses to the UART (arch/x86/uart.h), and locked inside.
 * National Semiconductor PC16550D: "Registers", "FIFO Interrupt Mode Operation".
 */
#ifndef CORE_UART_SHARE_H
#define CORE_UART_SHARE_H

#include <stdatomic.h>

#include "arch/x86/uart.h"

#define UART_SHARE_ESCAPE   0x1du /* Ctrl-] */
#define UART_SHARE_RECEIVED 4096u /* bytes for the guest that it has not read; a power of two */
#define UART_SHARE_KEYS	    256u  /* for the hypervisor; the same */
#define UART_SHARE_HELD	    256u /* of the guest while a line of the hypervisor goes out; the same */

struct uart_share {
	_Atomic(uint32_t) lock;
	const struct uart *uart; /* NULL: not shared */
	void (*interrupt)(void); /* begins to interrupt the guest; called without the lock */

	/* What the guest has written; LCR.DLAB and MCR.LOOP never reach the UART. */
	uint8_t ier, lcr, mcr, fcr, scratch, divisor[2];
	bool thr_interrupt; /* THR has become empty, and the guest has not been told */
	bool thr_empty;	    /* as the guest sees it */
	bool is_interrupting;
	unsigned read_since;   /* bytes that the guest has read since its UART began to interrupt */
	uint8_t interrupts;    /* that the UART lets out, its own IER */
	bool is_idle;	       /* LSR: the UART has sent everything */
	uint8_t errors;	       /* of the line: LSR's bits, until they are read */
	uint8_t modem_changes; /* MSR's low half, until it is read */
	uint8_t modem;	       /* MSR's high half */

	uint8_t received[UART_SHARE_RECEIVED];
	uint8_t keys[UART_SHARE_KEYS];
	uint8_t held[UART_SHARE_HELD];
	uint32_t received_head, received_tail; /* they count on, the index is their low bits */
	uint32_t keys_head, keys_tail;
	uint32_t held_head, held_tail;

	_Atomic(uint64_t) called_tsc;

	unsigned room;	      /* bytes that the UART takes at once */
	bool in_line;	      /* a line of the hypervisor is going out */
	bool breaks_line;     /* it had to begin in the middle of one of the guest's */
	bool is_open;	      /* the hypervisor's last line has no end yet: a prompt */
	bool after_newline;   /* the guest's last byte ended a line, or it has sent none */
	uint64_t wants_since; /* TSC: the hypervisor waits for the end of the guest's line */
	bool keys_are_ours;   /* the keyboard is the hypervisor's */
	bool keys_changed;    /* and nobody has said so yet */
};

/* The UART is set up already; from now on it is shared. */
void uart_share_begin(struct uart_share *share, const struct uart *uart, void (*interrupt)(void));
/* After S3: what the guest has set up is its to set up again. */
void uart_share_wake(struct uart_share *share);

/* Look at the UART: take what has come, send what waits. To be called when it has interrupted. */
void uart_share_look(struct uart_share *share);
/* When anybody has last seen it interrupt (TSC, 0: never yet). */
uint64_t uart_share_called(const struct uart_share *share);
/* Let no interrupt out, or all again: what is pending then interrupts anew. */
void uart_share_listen(struct uart_share *share, bool on);

/* The guest reads or writes a register. */
uint8_t uart_share_read(struct uart_share *share, unsigned reg);
void uart_share_write(struct uart_share *share, unsigned reg, uint8_t value);

/*
 * The hypervisor's lines, byte by byte and each ended by a newline. A line begins after one of the guest's, for which it waits
 * until `patience` TSC cycles have gone by since it was first asked for.
 */
bool uart_share_can_put(struct uart_share *share, uint64_t patience);
void uart_share_put(struct uart_share *share, uint8_t byte);

/* Nothing more comes for now, not even the end of a line that was begun: the guest goes on, on a line of its own. */
void uart_share_rest(struct uart_share *share);

/* Keys for the hypervisor. */
bool uart_share_has_key(struct uart_share *share);
uint8_t uart_share_key(struct uart_share *share);
/* Once after each change: whose the keyboard is now. False: there was none. */
bool uart_share_keys_changed(struct uart_share *share, bool *are_ours);

#endif
