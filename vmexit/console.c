/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/console.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/exit_watch.h"
#include "core/gdb_stub.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/start.h"
#include "vmexit/attention.h"
#include "vmexit/debug_break.h"
#include "vmexit/debug_step.h"
#include "vmexit/debug_target.h"
#include "vmexit/monitor_console.h"
#include "vmexit/reset.h"
#include "vmexit/stop.h"

/* A packet comes byte by byte: so long the next one is waited for while the guest runs. */
#define NEXT_BYTE_MS 5u

/* One CPU at a time: with the lock while the guest runs, the leader of a stop without. */
static struct {
	_Atomic(uint32_t) lock;
	bool is_ready;
	bool is_attached;    /* somebody has spoken to us, and not said good-bye */
	bool has_packet;     /* a whole one has come while the guest ran */
	bool is_interrupted; /* by Ctrl-C */
	bool owes_stop;	     /* the last packet let the guest go on: its answer is why it stopped */
	struct gdb_stub stub;
} console;

/* The boot CPU is the last one to enter the guest, and leads. */
void console_begin(struct vcpu *vcpu, bool waits)
{
	const struct stop_event event = { .reason = STOP_ASKED };

	attention_begin(vcpu);
	if (vcpu->index == 0 && line_is_trapped(&line_serial))
		monitor_console_open(&line_serial);
	if (!line_gdb.is_open && !line_is_trapped(&line_serial))
		return;
	if (waits && vcpu->index == 0)
		stop_want(vcpu, &event);
	/* The others look whether they may. */
	atomic_fetch_or(&vcpu->kick.reasons, KICK_DEBUG);
}

static void put(void *line, uint8_t byte)
{
	line_put_patiently(line, byte);
}

static void prepare(void)
{
	if (console.is_ready)
		return;
	gdb_stub_init(&console.stub, &debug_target, put, &line_gdb);
	console.is_ready = true;
}

/* --- while the guest runs -------------------------------------------------------------------- */

static bool next_byte(uint8_t *byte)
{
	const uint64_t start = rdtsc(), patience = (uint64_t)NEXT_BYTE_MS * host_values.tsc_khz;

	while (!line_has_byte(&line_gdb)) {
		if (rdtsc() - start > patience)
			return false;
		cpu_pause();
	}
	*byte = line_get(&line_gdb);
	return true;
}

/* Whether the guest is to stop. */
static bool collect(void)
{
	uint8_t byte;

	prepare();
	while (!console.has_packet && !console.is_interrupted && next_byte(&byte)) {
		switch (gdb_link_byte(&console.stub.link, byte)) {
		case GDB_LINK_PACKET:
			console.has_packet = true;
			break;
		case GDB_LINK_INTERRUPT:
			if (console.is_attached)
				console.is_interrupted = true;
			break;
		case GDB_LINK_OVERLONG:
			gdb_stub_refuse_overlong(&console.stub);
			break;
		case GDB_LINK_NOTHING:
		case GDB_LINK_BROKEN:
		case GDB_LINK_REPEAT:
			break;
		}
	}
	return console.has_packet || console.is_interrupted;
}

/* Whether the guest is to stop, for whomever. */
static bool look_at_lines(void)
{
	bool gdb_wants = line_has_byte(&line_gdb) && collect();

	return (monitor_console_wants() && monitor_console_attend()) || gdb_wants;
}

void console_attend(struct vcpu *vcpu)
{
	const struct stop_event event = { .reason = STOP_ASKED };

	if (!line_has_byte(&line_gdb) && !monitor_console_wants())
		return;
	/* In a stop the lines are its leader's. */
	if (stop_is_on(&vcpu->vm->stop) || !lock_try(&console.lock))
		return;
	/* An NMI for what is read here is nobody else's. */
	attention_hold();
	if (!stop_is_on(&vcpu->vm->stop) && look_at_lines())
		stop_want(vcpu, &event);
	attention_release();
	lock_release(&console.lock);
}

/* --- while it stands still ------------------------------------------------------------------- */

static struct gdb_stop why(const struct vcpu *leader)
{
	const struct stop_event *event = &leader->stop_event;
	struct gdb_stop stop = { .cpu = leader->index, .signal = 5, .kind = GDB_STOP_PLAIN };

	switch (event->reason) {
	case STOP_NONE:
	case STOP_STEP:
		break;
	case STOP_ASKED:
		stop.signal = 2;
		break;
	case STOP_SOFTWARE:
		stop.kind = GDB_STOP_SOFTWARE;
		break;
	case STOP_HARDWARE:
		stop.kind = GDB_STOP_HARDWARE;
		break;
	case STOP_WATCH:
		stop.kind = GDB_STOP_WATCH;
		stop.watch = (enum gdb_break)event->watch;
		stop.address = event->address;
		break;
	}
	return stop;
}

static void say_why(const struct gdb_stop *stop)
{
	/* A packet that came before it: whoever sent that did not wait for the answer. */
	if (console.owes_stop && !console.has_packet)
		gdb_stub_report_stop(&console.stub, stop);
	else
		gdb_stub_note_stop(&console.stub, stop);
	console.owes_stop = false;
}

/* `is_aside`: for gdb it has never stood still, and each CPU does on what it did. */
static void let_go(struct vcpu *leader, bool is_aside)
{
	struct vm *vm = leader->vm;
	bool is_watching = debug_break_is_any();

	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		const struct gdb_range *range = &console.stub.ranges[i];

		is_watching |= console.stub.actions[i] == GDB_STEP;
		if (is_aside)
			continue;
		stop_hold(&vm->vcpus[i]->seat, console.stub.actions[i] == GDB_HOLD);
		debug_step_set(vm->vcpus[i], console.stub.actions[i] == GDB_STEP, range->from,
			       range->to);
	}
	exit_watch_set(EXIT_WATCH_DEBUG, is_watching);
	debug_target_forget();
}

/* Each session begins with this one: of the one before, if its peer has just vanished, nothing stays. */
static bool is_first_packet(const struct gdb_link *link)
{
	static const char first[] = "qSupported";

	for (unsigned i = 0; i < sizeof(first) - 1; i++) {
		if (link->in[i] != first[i])
			return false;
	}
	return true;
}

/* Whether the guest goes on. */
static bool answer(struct vcpu *leader)
{
	if (!console.is_attached)
		monitor_console_forget();
	console.is_attached = true;
	if (is_first_packet(&console.stub.link))
		debug_break_clear(leader);
	switch (gdb_stub_packet(&console.stub)) {
	case GDB_STAY:
		return false;
	case GDB_RESUME:
		console.owes_stop = true;
		break;
	case GDB_DETACH:
		debug_break_clear(leader);
		monitor_console_forget();
		console.is_attached = false;
		break;
	case GDB_KILL:
		log_info("cpu %u: the debugger resets the machine", leader->index);
		log_set_synchronous();
		reset_machine(leader);
	}
	let_go(leader, false);
	return true;
}

/* Whether a packet has come. */
static bool listen(struct vcpu *leader)
{
	if (!line_has_byte(&line_gdb)) {
		stop_look_around(leader);
		return false;
	}
	switch (gdb_link_byte(&console.stub.link, line_get(&line_gdb))) {
	case GDB_LINK_PACKET:
		return true;
	case GDB_LINK_OVERLONG:
		gdb_stub_refuse_overlong(&console.stub);
		break;
	case GDB_LINK_NOTHING:
	case GDB_LINK_BROKEN:
	case GDB_LINK_INTERRUPT: /* it stands still */
	case GDB_LINK_REPEAT:
		break;
	}
	return false;
}

static void act_as(enum gdb_action others, unsigned cpu, enum gdb_action action)
{
	for (unsigned i = 0; i < VM_MAX_CPUS; i++) {
		console.stub.actions[i] = (uint8_t)others;
		console.stub.ranges[i] = (struct gdb_range){ 0 };
	}
	console.stub.actions[cpu] = (uint8_t)action;
}

/* Whether the guest goes on. Where GDB runs it, a command goes by without its noticing. */
static bool serve_monitor(struct vcpu *leader, bool is_for_command)
{
	enum monitor_wish wish = monitor_console_serve(console.is_attached);
	unsigned cpu = monitor_console_cpu();

	if (console.is_attached ? !is_for_command : wish == MONITOR_WISH_STAY)
		return false;
	if (!console.is_attached)
		act_as(wish == MONITOR_WISH_STEP ? GDB_HOLD : GDB_CONTINUE, cpu,
		       wish == MONITOR_WISH_STEP ? GDB_STEP : GDB_CONTINUE);
	let_go(leader, console.is_attached);
	return true;
}

/* For a command of the monitor, and nothing else. */
static bool is_for_command(const struct vcpu *leader)
{
	return leader->stop_event.reason == STOP_ASKED && !console.has_packet &&
	       !console.is_interrupted && monitor_console_has_line();
}

/* Whoever waits there has not got it; the log knows by itself what to do with such a line. */
static void report_dropped(const struct vcpu *leader, const char *whose, struct line *line)
{
	uint32_t dropped = line_take_dropped(line);

	if (dropped != 0)
		log_warn("cpu %u: %s line did not take %u bytes", leader->index, whose, dropped);
}

void console_session(struct vcpu *leader)
{
	const struct gdb_stop stop = why(leader);
	bool for_command = is_for_command(leader), goes_on = false;

	/* All its bytes are read here: no NMI is to tell of them. */
	attention_hold();
	prepare();
	debug_target_lead(leader);
	monitor_console_lead(leader);
	leader->stop_event.reason = STOP_NONE;
	console.is_interrupted = false;
	if (!for_command || !console.is_attached)
		say_why(&stop);
	if (!console.is_attached)
		monitor_console_stopped(&stop, for_command);
	while (!goes_on) {
		if (console.has_packet || listen(leader)) {
			console.has_packet = false;
			goes_on = answer(leader);
		} else {
			goes_on = serve_monitor(leader, for_command);
			attention_say_keys();
		}
	}
	report_dropped(leader, "the debugger's", &line_gdb);
	report_dropped(leader, "the monitor's", &line_serial);
	attention_release();
}
