/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/monitor_console.h"

#include "core/exit_watch.h"
#include "core/monitor.h"
#include "core/monitor_line.h"
#include "core/string.h"
#include "vmexit/monitor_machine.h"

/* One CPU at a time: the one that attends to the lines, or the leader of a stop. */
static struct {
	struct line *line; /* NULL: none */
	bool is_ready;
	bool has_line; /* entered, not yet run */
	char entered[MONITOR_LINE_BYTES];
	struct monitor monitor;
	struct monitor_line editor;
} console;

static void put(void *context, const char *text, size_t bytes)
{
	(void)context;
	for (size_t i = 0; i < bytes; i++)
		line_put_patiently(console.line, (uint8_t)text[i]);
}

/* A terminal wants a carriage return with each line feed. */
static void say(void *context, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			put(context, "\r", 1);
		put(context, text, 1);
	}
}

static void prepare(void)
{
	if (!console.is_ready)
		monitor_init(&console.monitor, &monitor_machine);
	console.is_ready = true;
}

void monitor_console_open(struct line *line)
{
	static const struct monitor_line_owner owner = { .prompt = "solovisor> ",
							 .put = put,
							 .word = monitor_word };

	prepare();
	console.line = line;
	monitor_line_init(&console.editor, &owner);
}

/* --- while the guest runs -------------------------------------------------------------------- */

bool monitor_console_wants(void)
{
	return console.line != NULL && (console.has_line || line_has_byte(console.line) ||
					monitor_is_due(&console.monitor));
}

static void set_live(bool live)
{
	console.monitor.live = live;
	exit_watch_set(EXIT_WATCH_LIVE, live);
}

/* Whether a line is entered with it. */
static bool take_byte(uint8_t byte)
{
	switch (monitor_line_byte(&console.editor, byte)) {
	case MONITOR_LINE_ENTERED:
		memcpy(console.entered, console.editor.text, sizeof(console.entered));
		console.has_line = true;
		return true;
	case MONITOR_LINE_GIVEN_UP:
		monitor_line_show(&console.editor);
		break;
	case MONITOR_LINE_NOTHING:
		break;
	}
	return false;
}

bool monitor_console_attend(void)
{
	console.monitor.say = say;
	while (!console.has_line && line_has_byte(console.line)) {
		uint8_t byte = line_get(console.line);

		if (!console.monitor.live) {
			take_byte(byte);
			continue;
		}
		/* Whatever it is: it ends this. */
		set_live(false);
		monitor_line_show(&console.editor);
	}
	monitor_tick(&console.monitor);
	return console.has_line;
}

/* --- while it stands still ------------------------------------------------------------------- */

void monitor_console_lead(struct vcpu *leader)
{
	prepare();
	monitor_machine_lead(leader);
}

bool monitor_console_has_line(void)
{
	return console.has_line;
}

void monitor_console_stopped(const struct gdb_stop *stop, bool for_command)
{
	struct monitor *monitor = &console.monitor;

	if (console.line == NULL)
		return;
	/* Between two of the steps that it was told to make nothing is said; a command speaks for itself. */
	if (monitor->steps > 1 && !for_command && stop->kind == GDB_STOP_PLAIN) {
		monitor->steps--;
		return;
	}
	monitor->steps = 0;
	if (for_command)
		return;
	monitor->say = say;
	say(NULL, "\n");
	monitor_report_stop(monitor, stop);
	monitor_line_show(&console.editor);
}

static void run(bool gdb_runs_guest)
{
	struct monitor *monitor = &console.monitor;

	console.has_line = false;
	monitor->say = say;
	monitor->in_gdb = gdb_runs_guest;
	monitor_line_run(monitor, console.entered);
	if (monitor->live)
		set_live(true);
	else if (monitor->steps == 0)
		monitor_line_show(&console.editor);
}

static enum monitor_wish wish(void)
{
	struct monitor *monitor = &console.monitor;

	if (monitor->steps != 0)
		return MONITOR_WISH_STEP;
	return monitor->stopped ? MONITOR_WISH_STAY : MONITOR_WISH_CONTINUE;
}

enum monitor_wish monitor_console_serve(bool gdb_runs_guest)
{
	if (console.line == NULL)
		return MONITOR_WISH_STAY;
	if (!console.has_line && line_has_byte(console.line))
		take_byte(line_get(console.line));
	if (console.has_line)
		run(gdb_runs_guest);
	return wish();
}

unsigned monitor_console_cpu(void)
{
	return console.monitor.cpu;
}

void monitor_console_forget(void)
{
	console.monitor.stopped = false;
	console.monitor.steps = 0;
	memset(console.monitor.breaks, 0, sizeof(console.monitor.breaks));
}

void monitor_console_command(unsigned *cpu, const char *line,
			     void (*say_to_gdb)(void *context, const char *text), void *context)
{
	struct monitor *monitor = &console.monitor;

	monitor->say = say_to_gdb;
	monitor->context = context;
	monitor_line_run_in_gdb(monitor, cpu, line);
}
