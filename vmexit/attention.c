/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/attention.h"

#include "arch/x86/insn.h"
#include "arch/x86/io_apic.h"
#include "core/caps.h"
#include "core/exit_watch.h"
#include "core/line.h"
#include "core/log.h"

#include "vmexit/console.h"
#include "vmexit/io_apic.h"
#include "vmexit/uart_port.h"

/*
 * So long after a byte was seen an NMI may still come for it. On its way it is some microseconds; but an emulated machine may
 * stand still meanwhile, and QEMU's I/O APIC sends one for each byte, edge or not.
 */
#define OWED_MS	    20u
/* The same for a byte that no NMI has come for yet. */
#define UNJUDGED_MS 1000u
#define NMI_IDS	    0xffu /* APIC IDs that a redirection entry has room for */
#define LINES_MAX   2u

enum method { METHOD_NONE, METHOD_TIMER, METHOD_NMI, METHOD_EXITS };

/* (b) written by the boot CPU before others run, then constant */
static struct {
	enum method method;		    /* (b) */
	const struct line *line[LINES_MAX]; /* (b) those that have input */
	unsigned line_count;		    /* (b) */
	uint32_t apic_id;		    /* (b) of the boot CPU, to which NMIs go */
	_Atomic(uint32_t) holders;
	uint64_t judged_tsc;	    /* the boot CPU's: when it last had an NMI */
	_Atomic(uint64_t) seen_tsc; /* when a byte was last seen, 0: not yet */
} attention;

static bool has_pins(void)
{
	for (unsigned i = 0; i < attention.line_count; i++) {
		if (attention.line[i]->pin == BOOT_NO_PIN)
			return false;
	}
	return true;
}

static bool keep_pins(struct vm *vm)
{
	for (unsigned i = 0; i < attention.line_count; i++) {
		if (!io_apic_keep(vm, attention.line[i]->io_apic, attention.line[i]->pin))
			return false;
	}
	return true;
}

static bool can_use_nmi(struct vm *vm)
{
	return attention.apic_id < NMI_IDS && has_pins() && keep_pins(vm);
}

static enum method choose(struct vm *vm, bool shares)
{
	if (attention.line_count == 0)
		return METHOD_NONE;
	if (shares && can_use_nmi(vm)) {
		line_share(&line_serial, uart_port_interrupt);
		return METHOD_NMI;
	}
	if (shares) {
		log_error(
			"serial-mode: the UART's interrupt pin is not known, so it is not shared");
		attention.line_count--;
	}
	if (attention.line_count == 0)
		return METHOD_NONE;
	if (hv_caps.input_timer)
		return METHOD_TIMER;
	if (can_use_nmi(vm))
		return METHOD_NMI;
	log_warn(
		"input on the serial line is noticed at exits only: its interrupt pin is not known");
	return METHOD_EXITS;
}

void attention_prepare(struct vm *vm)
{
	bool shares = line_serial.is_open && line_serial.mode == BOOT_SERIAL_SHARE;

	attention.line_count = 0;
	if (line_gdb.is_hidden)
		attention.line[attention.line_count++] = &line_gdb;
	if (line_serial.is_hidden || shares)
		attention.line[attention.line_count++] = &line_serial;
	attention.apic_id = cpuid_apic_id();
	attention.method = choose(vm, shares);
}

bool attention_by_timer(void)
{
	return attention.method == METHOD_TIMER;
}

/* Unless the log is in the middle of a line the hypervisor has said all. */
static void attend(struct vcpu *vcpu)
{
	console_attend(vcpu);
	if (line_serial.share != NULL && (exit_watchers() & EXIT_WATCH_LOG) == 0)
		uart_share_rest(line_serial.share);
}

/* One that is shared interrupts whenever it has reason to: it is looked at in the guest's name, too. */
static void listen(bool on)
{
	for (unsigned i = 0; i < attention.line_count; i++) {
		if (attention.line[i]->is_hidden)
			line_listen(attention.line[i], on);
	}
}

static void begin_to_listen(void)
{
	for (unsigned i = 0; i < attention.line_count; i++)
		line_listen(attention.line[i], true);
}

static void route(void)
{
	for (unsigned i = 0; i < attention.line_count; i++)
		io_apic_set_entry(attention.line[i]->pin,
				  REDIRECT_MODE_NMI | (uint64_t)attention.apic_id
							      << REDIRECT_ID_SHIFT);
}

/* The boot CPU is the last one to enter the guest: from now on it is we who get its NMIs. */
void attention_begin(struct vcpu *vcpu)
{
	if (attention.method == METHOD_EXITS)
		exit_watch_set(EXIT_WATCH_LINE, true);
	if (attention.method != METHOD_NMI || vcpu->index != 0)
		return;
	route();
	begin_to_listen();
}

void attention_wake(void)
{
	line_wake(&line_gdb); /* the other one is the log's, too, and has been woken */
	if (attention.method != METHOD_NMI)
		return;
	atomic_store(&attention.holders, 0);

	io_apic_wake();
	begin_to_listen();
}

/* --- looking --------------------------------------------------------------------------------- */

static bool has_byte(void)
{
	for (unsigned i = 0; i < attention.line_count; i++) {
		if (attention.line[i]->is_hidden && line_has_byte(attention.line[i]))
			return true;
	}
	return false;
}

void attention_look(struct vcpu *vcpu)
{
	attend(vcpu);
}

/* Nothing interrupts from here on: only what has come by now can have an NMI on its way. */
void attention_hold(void)
{
	if (attention.method != METHOD_NMI || atomic_fetch_add(&attention.holders, 1) != 0)
		return;
	listen(false);
	if (has_byte())
		atomic_store(&attention.seen_tsc, rdtsc());
}

void attention_release(void)
{
	if (attention.method != METHOD_NMI || atomic_fetch_sub(&attention.holders, 1) != 1)
		return;
	/* Whatever has come meanwhile. */
	atomic_store(&attention.seen_tsc, rdtsc());
	listen(true);
}

/* A clock that is behind the one that saw it says the same. */
static bool was_lately(uint64_t then)
{
	uint64_t now = rdtsc();

	return then != 0 && (now < then || now - then <= (uint64_t)OWED_MS * host_values.tsc_khz);
}

/*
 * Seen since the last NMI was judged, however long ago, within reason: a machine may have stood still since. Or lately.
 */
static bool explains(uint64_t then, uint64_t judged)
{
	return was_lately(then) ||
	       (then > judged && rdtsc() - then <= (uint64_t)UNJUDGED_MS * host_values.tsc_khz);
}

static bool has_called(void)
{
	uint64_t judged = attention.judged_tsc;

	attention.judged_tsc = rdtsc();
	if (line_serial.share != NULL && explains(uart_share_called(line_serial.share), judged))
		return true;
	return explains(atomic_load(&attention.seen_tsc), judged) || has_byte();
}

void attention_say_keys(void)
{
	bool are_ours;

	if (line_serial.share != NULL && uart_share_keys_changed(line_serial.share, &are_ours))
		log_info(are_ours ? "the keyboard is the hypervisor's, Ctrl-] gives it back"
				  : "the keyboard is the guest's");
}

bool attention_take_nmi(struct vcpu *vcpu)
{
	bool is_ours;

	if (attention.method != METHOD_NMI || vcpu->index != 0)
		return false;
	if (line_serial.share != NULL)
		uart_share_look(line_serial.share);
	is_ours = has_called();
	attention_hold();
	attend(vcpu);
	attention_release();
	attention_say_keys();
	return is_ours;
}
