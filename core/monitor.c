/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor.h"

#include "core/format.h"
#include "core/monitor_cpu.h"
#include "core/monitor_memory.h"
#include "core/monitor_regs.h"
#include "core/monitor_run.h"
#include "core/monitor_stats.h"

#define SAY_BYTES 241u

const char monitor_waits_for_sipi[] = "the CPU waits for a SIPI";

static const char *command_help(struct monitor *monitor, struct monitor_args *args);

/* In the order of `help`. */
static const struct monitor_command commands[] = {
	{ "help",
	  "[CMD]",
	  "what commands there are, or what one of them does",
	  NULL,
	  { NULL },
	  command_help },
	{ "cpus",
	  "",
	  "each CPU: APIC ID, mode, privilege level, where it is",
	  NULL,
	  { NULL },
	  monitor_command_cpus },
	{ "cpu",
	  "[N]",
	  "which CPU the commands mean; choose another",
	  NULL,
	  { NULL },
	  monitor_command_cpu },
	{ "regs", "[CPU]", "general registers, RIP, RFLAGS", NULL, { NULL }, monitor_command_regs },
	{ "sregs",
	  "[CPU]",
	  "segments, descriptor tables, control and debug registers",
	  NULL,
	  { NULL },
	  monitor_command_sregs },
	{ "msr",
	  "N [VALUE]",
	  "read or write a model-specific register",
	  "As the guest would on this CPU: what it may not do is refused.\n",
	  { NULL },
	  monitor_command_msr },
	{ "x",
	  "[/FMT] [gva|gpa|hpa] ADDR",
	  "show memory",
	  "FMT is a count, x d u c or s (a text), and b h w or g: 1, 2, 4 or 8 bytes.\n"
	  "gva (as this CPU maps it) if nothing is said; gpa by physical addresses, without the\n"
	  "hypervisor's memory; hpa with it. Example: x/16xb gva rsp+8\n",
	  { "gva", "gpa", "hpa" },
	  monitor_command_examine },
	{ "walk",
	  "[gva|gpa] ADDR",
	  "every table entry that translates an address",
	  "gva: by the guest's tables, then by EPT or NPT; gpa: by EPT or NPT alone.\n",
	  { "gva", "gpa" },
	  monitor_command_walk },
	{ "maps",
	  "",
	  "the guest-physical map: ranges with rights, types and page sizes",
	  NULL,
	  { NULL },
	  monitor_command_maps },
	{ "bt",
	  "[COUNT]",
	  "return addresses, by frame pointers",
	  NULL,
	  { NULL },
	  monitor_command_bt },
	{ "break",
	  "[ADDR]",
	  "stop before the instruction there; or list",
	  "Four of them in debug registers, of which the guest sees nothing; more by their pages.\n",
	  { NULL },
	  monitor_command_break },
	{ "watch",
	  "[[w|r|rw] ADDR BYTES]",
	  "stop at writes, reads or both; or list",
	  "BYTES or a range ADDR..END. Writes: of any size. Both: 1, 2, 4 or 8 bytes, aligned, in a\n"
	  "debug register; reads alone no CPU can tell.\n",
	  { "w", "r", "rw" },
	  monitor_command_watch },
	{ "delete",
	  "N|all",
	  "take a breakpoint or watchpoint away",
	  NULL,
	  { "all" },
	  monitor_command_delete },
	{ "stop", "", "stop the guest and leave it stopped", NULL, { NULL }, monitor_command_stop },
	{ "cont", "", "let it go on", NULL, { NULL }, monitor_command_cont },
	{ "step",
	  "[COUNT]",
	  "execute instructions on this CPU alone",
	  NULL,
	  { NULL },
	  monitor_command_step },
	{ "stats",
	  "[CPU|live]",
	  "exits by reason: count, rate since the last time, cycles",
	  "Cycles are those of the exits that are in the trace. live: drawn each second.\n",
	  { "live" },
	  monitor_command_stats },
	{ "trace",
	  "[on|off|dump [COUNT]]",
	  "record exits; show the newest COUNT, or all",
	  "scripts/trace-report makes pictures of a saved dump.\n",
	  { "on", "off", "dump" },
	  monitor_command_trace },
	{ "track",
	  "[GPA BYTES|off]",
	  "count the writes to a range of RAM; or list, or end",
	  "Whole pages are tracked; BYTES or a range GPA..END.\n",
	  { "off" },
	  monitor_command_track },
	{ "log", "", "the newest lines of the log", NULL, { NULL }, monitor_command_log },
	{ "inject",
	  "nmi|VECTOR [ERROR] [VALUE]",
	  "deliver an event to the guest on this CPU",
	  "ERROR is the error code where there is one, VALUE CR2 of #PF, DR6 of #DB.\n",
	  { "nmi" },
	  monitor_command_inject },
	{ "reset", "", "reset the machine", NULL, { NULL }, monitor_command_reset },
	{ "poweroff", "", "switch the machine off", NULL, { NULL }, monitor_command_poweroff },
	{ "version", "", "which Solovisor this is", NULL, { NULL }, monitor_command_version },
};

void monitor_init(struct monitor *monitor, const struct monitor_target *target)
{
	*monitor = (struct monitor){ .target = target };
}

void monitor_say(const struct monitor *monitor, const char *format, ...)
{
	char text[SAY_BYTES];
	struct format_arguments arguments;

	va_start(arguments.list, format);
	format_string_v(text, sizeof(text), format, &arguments);
	va_end(arguments.list);
	monitor->say(monitor->context, text);
}

struct regs_sync *monitor_state(const struct monitor *monitor, unsigned cpu)
{
	return monitor->target->gdb->state(cpu);
}

unsigned monitor_args_cpu(const struct monitor *monitor, struct monitor_args *args)
{
	if (!monitor_args_more(args))
		return monitor->cpu;
	return (unsigned)monitor_args_number_up_to(args, monitor->target->gdb->cpus() - 1,
						   "there is no such CPU");
}

/* --- the table ------------------------------------------------------------------------------- */

/* How many characters of `text` are the name of a command, with what may follow it at once. */
static size_t name_bytes(const char *text)
{
	size_t bytes = 0;

	while (text[bytes] >= 'a' && text[bytes] <= 'z')
		bytes++;
	return bytes;
}

static bool begins_with(const char *name, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (name[i] != text[i])
			return false;
	}
	return true;
}

/* By its name, or by what no other name begins with. */
static const struct monitor_command *find(const char *text, size_t bytes, const char **why)
{
	const struct monitor_command *found = NULL;

	*why = bytes == 0 ? "a command begins with a letter"
			  : "there is no such command; `help` lists them";
	for (size_t i = 0; i < ARRAY_COUNT(commands) && bytes != 0; i++) {
		if (!begins_with(commands[i].name, text, bytes))
			continue;
		if (commands[i].name[bytes] == '\0')
			return &commands[i];
		if (found != NULL) {
			*why = "more than one command begins so";
			return NULL;
		}
		found = &commands[i];
	}
	return found;
}

static void say_usage(const struct monitor *monitor, const struct monitor_command *command)
{
	char left[48];

	format_string(left, sizeof(left), "%s %s", command->name, command->usage);
	monitor_say(monitor, "%-34s %s\n", left, command->summary);
}

static const char *command_help(struct monitor *monitor, struct monitor_args *args)
{
	const struct monitor_command *command;
	const char *why;
	size_t bytes;

	if (!monitor_args_more(args)) {
		for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
			say_usage(monitor, &commands[i]);
		return NULL;
	}
	bytes = name_bytes(args->at);
	command = find(args->at, bytes, &why);
	args->at += bytes;
	if (command == NULL)
		return why;
	why = monitor_args_end(args);
	if (why != NULL)
		return why;
	say_usage(monitor, command);
	if (command->more != NULL)
		monitor_say(monitor, "%s", command->more);
	return NULL;
}

void monitor_line_run(struct monitor *monitor, const char *line)
{
	struct monitor_args args = { .at = line };
	const struct monitor_command *command;
	const char *why;
	size_t bytes;

	if (!monitor_args_more(&args))
		return;
	bytes = name_bytes(args.at);
	command = find(args.at, bytes, &why);
	args.at += bytes;
	if (command == NULL) {
		monitor_say(monitor, "%s\n", why);
		return;
	}
	/* Between a name and its arguments is a blank, but for x/FMT. */
	if (*args.at != '\0' && *args.at != ' ' && *args.at != '/') {
		monitor_say(monitor, "there is no such command; `help` lists them\n");
		return;
	}
	args.state = monitor_state(monitor, monitor->cpu);
	(void)monitor_args_more(&args);
	why = command->run(monitor, &args);
	if (why != NULL)
		monitor_say(monitor, "%s: %s\n", command->name, why);
}

void monitor_line_run_in_gdb(struct monitor *monitor, unsigned *cpu, const char *line)
{
	const unsigned own_cpu = monitor->cpu;

	monitor->in_gdb = true;
	monitor->cpu = *cpu;
	monitor_line_run(monitor, line);
	*cpu = monitor->cpu;
	monitor->cpu = own_cpu;
}

/* --- completion ------------------------------------------------------------------------------ */

static const char *command_name(unsigned number)
{
	return number < ARRAY_COUNT(commands) ? commands[number].name : NULL;
}

const char *monitor_word(void *context, const char *text, size_t word, unsigned number)
{
	const struct monitor_command *command;
	const char *why;
	unsigned words = 0;

	(void)context;
	if (word == 0)
		return command_name(number);
	command = find(text, name_bytes(text), &why);
	if (command == NULL)
		return NULL;
	if (command->run == command_help)
		return command_name(number);
	while (words < MONITOR_WORDS && command->words[words] != NULL)
		words++;
	return number < words ? command->words[number] : monitor_reg_name(number - words);
}
