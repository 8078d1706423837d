/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/attention.h"

#include "arch/x86/insn.h"
#include "arch/x86/io_apic.h"
#include "core/caps.h"
#include "core/exit_watch.h"
#include "core/line.h"
#include "core/log.h"

#include "vmexit/io_apic.h"

/*
 * So long after a byte was seen an NMI may still come for it. On its way it is some microseconds; but an emulated machine may
 * stand still meanwhile, and QEMU's I/O APIC sends one for each byte, edge or not.
 */
#define OWED_MS	  20u
#define NMI_IDS	  0xffu /* APIC IDs that a redirection entry has room for */
#define LINES_MAX 2u

enum method { METHOD_NONE, METHOD_TIMER, METHOD_NMI, METHOD_EXITS };

/* (b) written by the boot CPU before others run, then constant */
static struct {
	enum method method;		    /* (b) */
	const struct line *line[LINES_MAX]; /* (b) those that have input */
	unsigned line_count;		    /* (b) */
	uint32_t apic_id;		    /* (b) of the boot CPU, to which NMIs go */
	_Atomic(uint32_t) holders;
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

static enum method choose(struct vm *vm)
{
	if (attention.line_count == 0)
		return METHOD_NONE;
	if (hv_caps.input_timer)
		return METHOD_TIMER;
	if (attention.apic_id < NMI_IDS && has_pins() && keep_pins(vm))
		return METHOD_NMI;
	log_warn(
		"input on the serial line is noticed at exits only: its interrupt pin is not known");
	return METHOD_EXITS;
}

static void add_line(const struct line *line)
{
	if (line->is_hidden)
		attention.line[attention.line_count++] = line;
}

void attention_prepare(struct vm *vm)
{
	add_line(&line_gdb);
	add_line(&line_serial);
	attention.apic_id = cpuid_apic_id();
	attention.method = choose(vm);
}

bool attention_by_timer(void)
{
	return attention.method == METHOD_TIMER;
}

/* While nobody listens. */
__attribute__((weak)) void console_attend(struct vcpu *vcpu)
{
	(void)vcpu;
	for (unsigned i = 0; i < attention.line_count; i++) {
		while (line_has_byte(attention.line[i]))
			(void)line_get(attention.line[i]);
	}
}

static void listen(bool on)
{
	for (unsigned i = 0; i < attention.line_count; i++)
		line_listen(attention.line[i], on);
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
	listen(true);
}

void attention_wake(void)
{
	line_wake(&line_gdb); /* the other one is the log's, too, and has been woken */
	if (attention.method != METHOD_NMI)
		return;
	atomic_store(&attention.holders, 0);

	io_apic_wake();
	listen(true);
}

/* --- looking --------------------------------------------------------------------------------- */

static bool has_byte(void)
{
	for (unsigned i = 0; i < attention.line_count; i++) {
		if (line_has_byte(attention.line[i]))
			return true;
	}
	return false;
}

enum exit_verdict attention_exit(struct vcpu *vcpu)
{
	console_attend(vcpu);
	return VERDICT_RESUME;
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
	if (attention.method == METHOD_NMI && atomic_fetch_sub(&attention.holders, 1) == 1)
		listen(true);
}

/* A clock that is behind the one that saw it says the same. */
static bool was_seen(void)
{
	uint64_t then = atomic_load(&attention.seen_tsc), now = rdtsc();

	return then != 0 && (now < then || now - then <= (uint64_t)OWED_MS * host_values.tsc_khz);
}

bool attention_take_nmi(struct vcpu *vcpu)
{
	bool is_ours;

	if (attention.method != METHOD_NMI || vcpu->index != 0)
		return false;
	is_ours = was_seen() || has_byte();
	attention_hold();
	console_attend(vcpu);
	attention_release();
	return is_ours;
}
