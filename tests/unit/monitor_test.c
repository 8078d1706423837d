/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/monitor.c core/monitor_args.c core/monitor_cpu.c core/monitor_memory.c core/monitor_regs.c core/monitor_run.c core/monitor_stats.c core/trace.c core/exit_watch.c core/format.c
/* Each command and what it says. */
#include "core/monitor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fake_monitor.h"

static struct monitor monitor;
static char said[65536];
static size_t said_bytes;

static void say(void *context, const char *text)
{
	size_t bytes = strlen(text);

	(void)context;
	assert_true(said_bytes + bytes < sizeof(said));
	memcpy(said + said_bytes, text, bytes + 1);
	said_bytes += bytes;
}

static int reset(void **state)
{
	(void)state;
	fake_monitor_reset();
	monitor_init(&monitor, &fake_machine);
	monitor.say = say;
	return 0;
}

static const char *run(const char *line)
{
	said_bytes = 0;
	said[0] = 0;
	monitor_line_run(&monitor, line);
	return said;
}

static void says(const char *line, const char *expected)
{
	if (strcmp(run(line), expected) != 0)
		fail_msg("\"%s\" says \"%s\", not \"%s\"", line, said, expected);
}

static void mentions(const char *line, const char *expected)
{
	if (strstr(run(line), expected) == NULL)
		fail_msg("\"%s\" says \"%s\", without \"%s\"", line, said, expected);
}

static void what_is_no_command_is_refused(void **state)
{
	(void)state;
	says("", "");
	says("   ", "");
	says("frobnicate", "there is no such command; `help` lists them\n");
	says("s", "more than one command begins so\n");
	says("17", "a command begins with a letter\n");
	says("regs,1", "there is no such command; `help` lists them\n");
	mentions("versio", " on a table, 3 CPUs\n");
	says("version 1", "version: there are more words than that\n");
}

static void each_command_is_helped_with(void **state)
{
	static const char *const names[] = {
		"cpus",	 "regs",  "sregs", "msr",    "x",     "walk",	  "maps",
		"bt",	 "break", "watch", "stop",   "cont",  "step",	  "stats",
		"trace", "track", "log",   "inject", "reset", "poweroff", "version",
	};
	char line[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
		snprintf(line, sizeof(line), "help %s", names[i]);
		assert_ptr_equal(strstr(run(line), names[i]), said);
		snprintf(line, sizeof(line), "\n%s ", names[i]);
		mentions("help", line);
	}
	says("help nothing", "help: there is no such command; `help` lists them\n");
	says("help x y", "help: there are more words than that\n");
}

static void cpus_are_shown_and_chosen(void **state)
{
	(void)state;
	target.state[0].sregs.segments[SEGMENT_CS] =
		(struct segment){ .selector = 0xf000, .rights = 0x9b };
	target.state[1].sregs.cr0 = CR0_PE | CR0_PG;
	target.state[1].sregs.efer = EFER_LMA | EFER_LME;
	target.state[1].sregs.cr3 = 0xabc000;
	target.state[1].sregs.segments[SEGMENT_CS].rights = SEGMENT_L;
	target.state[1].sregs.segments[SEGMENT_SS].rights = 3 << SEGMENT_DPL_SHIFT;
	says("cpus",
	     "* cpu 0   APIC 0   real mode     CPL 0  RIP f000:0000000000001000  CR3 0000000000000000\n"
	     "  cpu 1   APIC 2   64-bit        CPL 3  RIP 0000:0000000000001001  CR3 0000000000abc000\n"
	     "  cpu 2   APIC 4   the CPU waits for a SIPI\n");
	says("cpu", "cpu 0\n");
	says("cpu 3", "cpu: there is no such CPU\n");
	says("cpu 1 2", "cpu: there are more words than that\n");
	says("cpu", "cpu 0\n");
	says("cpu 1", "cpu 1\n");
	says("cpu", "cpu 1\n");
	says("cpu 2", "cpu 2\n");
	says("regs", "regs: the CPU waits for a SIPI\n");
	says("step", "step: the guest is not stopped\n");
	says("bt", "bt: the CPU waits for a SIPI\n");
	says("inject nmi", "inject: the CPU waits for a SIPI\n");
	says("break 5", "break: the CPU waits for a SIPI\n");
	says("x rsp", "x: this CPU has no registers now: it waits for a SIPI\n");
}

static void registers_are_shown(void **state)
{
	(void)state;
	target.state[1].regs.gpr[REG_RBX] = 0x1234;
	target.state[1].regs.rflags = RFLAGS_FIXED | RFLAGS_ZF | RFLAGS_IF;
	target.state[1].sregs.cr4 = CR4_PAE | CR4_SMEP;
	target.state[1].sregs.segments[SEGMENT_GS].base = 0xffff888000000000;
	mentions("regs 1", "rax 0000000000000000  rbx 0000000000001234  rcx");
	mentions("regs 1", "rflags 0000000000000242 ZF IF\n");
	mentions("regs 1", "rip 0000:0000000000001001\n");
	mentions("sregs 1", "gs   0000 base ffff888000000000 limit 00000000 rights 00000\n");
	mentions("sregs 1", "cr4    0000000000100020 PAE SMEP\n");
	says("regs 9", "regs: there is no such CPU\n");
	says("regs x", "regs: there is no register of that name\n");
	says("msr 0x10", "msr 0x10 is 0x0000000000000000\n");
	says("msr 0x10 rip+1", "msr 0x10 becomes 0x0000000000001001\n");
	says("msr 0x10", "msr 0x10 is 0x0000000000001001\n");
	says("msr 0x11", "msr: #GP: there is no such MSR\n");
	says("msr 0x11 5", "msr: #GP: no such MSR, or not that value\n");
	says("msr 0x100000000", "msr: the number of an MSR has 32 bits\n");
	says("msr", "msr: a number is missing\n");
	says("msr 0x10 5 6", "msr: there are more words than that\n");
	assert_int_equal(machine.msr, 0x1001);
}

static void memory_is_shown(void **state)
{
	(void)state;
	memcpy(target.memory, "Hello, world\0zz\xfe\xff", 17);
	says("x 0x1000", "0000000000001000: 77202c6f6c6c6548\n");
	says("x/4xb 0x1000", "0000000000001000: 48 65 6c 6c  Hell\n");
	says("x/2xh 0x1000", "0000000000001000: 6548 6c6c\n");
	says("x/2xw gva 0x1000+4", "0000000000001004: 77202c6f 646c726f\n");
	says("x/2db 0x100f", "000000000000100f:  -2  -1\n");
	says("x/1ub 0x100f", "000000000000100f:  254\n");
	says("x/3c 0x1000", "0000000000001000: 'H' 'e' 'l'\n");
	says("x/s 0x1000", "0000000000001000: \"Hello, world\"\n");
	says("x/20xb 0x2ff0",
	     "0000000000002ff0: 90 97 9e a5 ac b3 ba c1 c8 cf d6 dd e4 eb f2 f9  ................\n"
	     "0000000000003000: no memory\n");
	says("x/2xg 0x2ff8", "0000000000002ff8: f9f2ebe4ddd6cfc8\n0000000000003000: no memory\n");
	says("x 0", "0000000000000000: no memory\n");
	run("cpu 1");
	says("x 0x1000", "0000000000001000: no memory\n");
	says("x/4xb 0x10001000", "0000000010001000: 48 65 6c 6c  Hell\n");
	says("x/4xb gpa 0x1000", "0000000000001000: 48 65 6c 6c  Hell\n");
	says("x/4xb hpa 0x101000", "0000000000101000: 48 65 6c 6c  Hell\n");
	says("x/q 0", "x: the format is a count, x d u c or s, and b h w or g\n");
	says("x/0 0", "x: that is nothing, or more than 64 KiB\n");
	says("x/8193g 0", "x: that is nothing, or more than 64 KiB\n");
	says("x/99999999999999999999g 0", "x: that is nothing, or more than 64 KiB\n");
	says("x", "x: a number is missing\n");
	says("x gpa", "x: a number is missing\n");
}

static void walks_are_shown(void **state)
{
	(void)state;
	run("cpu 1");
	says("walk 0x1234", "paging\n"
			    "  PDE       at 0000000000005000: 0000000000006007 P RW US\n"
			    "  PTE       at 0000000000006008: 8000000000007063 P RW A D NX\n"
			    "  0000000000001234 -> gpa 0000000010001234, page of 4 KiB\n"
			    "EPT\n"
			    "  EPT PDE   at 0000000000005000: 0000000000006007 R W X\n"
			    "  EPT PTE   at 0000000000006008: 0000000000007037 R W X WB\n"
			    "  0000000010001234 -> hpa 0000000010001234, page of 4 KiB\n");
	says("walk 0xbad", "paging\n"
			   "  PDE       at 0000000000005000: 0000000000006007 P RW US\n"
			   "  0000000000000bad: not present\n");
	assert_null(strstr(run("walk gpa 5"), "paging"));
	says("walk hpa 5", "walk: nothing translates a host-physical address\n");
	says("walk", "walk: a number is missing\n");
	says("maps",
	     "0000000000000000-00000000000fffff rwx WB  1 MiB in pages of 4 KiB\n"
	     "0000000000200000-00000000003fffff r-- WB  2 MiB in pages of 4 KiB, hidden: all ones\n"
	     "0000000040000000-ffffffffffffffff rwx     17179869183 GiB in pages of 1 GiB\n");
}

static void put_frame(uint64_t at, uint64_t frame, uint64_t address)
{
	memcpy(target.memory + at - FAKE_BASE, &frame, 8);
	memcpy(target.memory + at - FAKE_BASE + 8, &address, 8);
}

static void return_addresses_are_found(void **state)
{
	(void)state;
	target.state[0].sregs.efer = EFER_LMA;
	target.state[0].sregs.segments[SEGMENT_CS].rights = SEGMENT_L;
	target.state[0].regs.gpr[REG_RBP] = 0x1100;
	put_frame(0x1100, 0x1200, 0xaaa);
	put_frame(0x1200, 0, 0xbbb);
	says("bt", "#0  0000000000001000  frame 0000000000001100\n"
		   "#1  0000000000000aaa  frame 0000000000001200\n"
		   "#2  0000000000000bbb  frame 0000000000000000\n");
	says("bt 1", "#0  0000000000001000  frame 0000000000001100\n");
	says("bt 65", "bt: at most 64 frames are shown\n");
	put_frame(0x1200, 0x1100, 0xbbb); /* a circle ends */
	says("bt", "#0  0000000000001000  frame 0000000000001100\n"
		   "#1  0000000000000aaa  frame 0000000000001200\n");
}

static void breakpoints_come_and_go(void **state)
{
	(void)state;
	says("break", "no breakpoints and no watchpoints\n");
	says("break 0x1234", " 0: execution of 0000000000001234\n");
	says("watch 0x2000 3", " 1: writes to 0000000000002000, 3 bytes\n");
	says("watch r 0x2000..0x3000", " 2: reads of 0000000000002000, 4096 bytes\n");
	says("watch rw 4k 1", " 3: accesses to 0000000000001000, 1 bytes\n");
	assert_int_equal(target.breakpoints[GDB_BREAK_HARDWARE], 1);
	assert_int_equal(target.breakpoints[GDB_WATCH_WRITE], 1);
	assert_int_equal(target.breakpoints[GDB_WATCH_READ], 1);
	assert_int_equal(target.breakpoints[GDB_WATCH_ACCESS], 1);
	says("watch 0 5", "watch: not there\n");
	says("break 1 2", "break: there are more words than that\n");
	says("delete 1", "");
	says("delete 1", "delete: there is none of that number\n");
	says("delete 32", "delete: there is none of that number\n");
	says("watch", " 0: execution of 0000000000001234\n"
		      " 2: reads of 0000000000002000, 4096 bytes\n"
		      " 3: accesses to 0000000000001000, 1 bytes\n");
	says("delete all", "");
	says("break", "no breakpoints and no watchpoints\n");
	for (unsigned i = 0; i < GDB_BREAK_KINDS; i++)
		assert_int_equal(target.breakpoints[i], 0);
	for (unsigned i = 0; i < MONITOR_BREAKS; i++)
		run("break 1");
	says("break 1", "break: there are 32 already\n");
}

static void the_guest_is_stopped_and_stepped(void **state)
{
	(void)state;
	says("cont", "cont: the guest is not stopped\n");
	says("step", "step: the guest is not stopped\n");
	says("stop 1", "stop: there are more words than that\n");
	assert_false(monitor.stopped);
	mentions("stop", "the guest is stopped");
	assert_true(monitor.stopped);
	says("step 0x10", "");
	assert_int_equal(monitor.steps, 16);
	monitor.steps = 0;
	says("step 1000001", "step: at most 1000000 steps\n");
	assert_int_equal(monitor.steps, 0);
	says("cont", "");
	assert_false(monitor.stopped);
	said_bytes = 0;
	monitor_report_stop(&monitor, &(struct gdb_stop){ .cpu = 1,
							  .kind = GDB_STOP_WATCH,
							  .watch = GDB_WATCH_WRITE,
							  .address = 0x5000 });
	assert_string_equal(said, "cpu 1: one of the writes to 0000000000005000: RIP "
				  "0000:0000000000001001\n");
	assert_true(monitor.stopped);
	assert_int_equal(monitor.cpu, 1);
	monitor.in_gdb = true;
	says("cont", "cont: GDB runs the guest: use its own commands\n");
	says("step", "step: GDB runs the guest: use its own commands\n");
	says("stop", "stop: GDB runs the guest: use its own commands\n");
}

static unsigned gdb_cpu;

static const char *run_in_gdb(unsigned cpu, const char *line)
{
	said_bytes = 0;
	said[0] = 0;
	monitor_line_run_in_gdb(&monitor, &cpu, line);
	gdb_cpu = cpu;
	return said;
}

/* Lines of GDB's mean the CPU of its thread, and leave the monitor's own choice alone. */
static void lines_of_gdb_follow_its_thread(void **state)
{
	(void)state;
	target.state[0].regs.rip = 0x111000;
	target.state[1].regs.rip = 0x222000;
	says("cpu 0", "cpu 0\n");
	assert_non_null(strstr(run_in_gdb(1, "regs"), "222000"));
	assert_non_null(strstr(run_in_gdb(0, "regs"), "111000"));
	assert_non_null(strstr(run_in_gdb(0, "regs 1"), "222000"));
	assert_string_equal(run_in_gdb(1, "cpu"), "cpu 1\n");
	assert_non_null(strstr(run_in_gdb(1, "cpus"), "\n* cpu 1 "));
	assert_string_equal(run_in_gdb(2, "regs"), "regs: the CPU waits for a SIPI\n");
	/* Its address is one of this CPU's. */
	assert_non_null(strstr(run_in_gdb(1, "x/xb 0x10001007"), "31"));
	assert_null(strstr(run_in_gdb(0, "x/xb 0x10001007"), "31"));
	assert_string_equal(run_in_gdb(0, "cpu 1"), "cpu 1\n");
	assert_int_equal(gdb_cpu, 1);
	assert_string_equal(run_in_gdb(0, "cpu 9"), "cpu: there is no such CPU\n");
	assert_int_equal(gdb_cpu, 0);
	says("cpu", "cpu 0\n");
	mentions("regs", "111000");
	/* Beside GDB the monitor has a choice of its own. */
	says("cpu 1", "cpu 1\n");
	assert_non_null(strstr(run_in_gdb(0, "regs"), "111000"));
	mentions("regs", "222000");
	says("cpu", "cpu 1\n");
}

static void events_are_injected(void **state)
{
	const struct regs_sync_events *events = &target.stored[0].events;

	(void)state;
	says("inject nmi", "");
	assert_int_equal(events->nmi_pending, 1);
	assert_int_equal(events->valid, 0);
	says("inject 256", "inject: a vector is at most 255\n");
	says("inject 14 0x10000", "inject: an error code has 16 bits\n");
	says("inject 6 1", "inject: there are more words than that\n");
	assert_int_equal(events->valid, 0);
	says("inject 14 2 0xdead000", "");
	assert_int_equal(events->vector, 14);
	assert_int_equal(events->error_code, 2);
	assert_int_equal(events->payload, 0xdead000);
	assert_int_equal(events->type, EVENT_EXCEPTION);
	assert_true(events->valid && events->has_error && events->has_payload);
	says("inject 6", "inject: another event is to be delivered first\n");
	target.state[0].events.valid = 0;
	says("inject 0x31", "");
	assert_int_equal(events->type, EVENT_EXTERNAL);
	assert_int_equal(events->has_error, 0);
	target.state[0].events.valid = 0;
	target.state[0].regs.rip = 0xbad;
	says("inject 6", "inject: RIP is bad\n");
}

static void exits_are_counted_and_rated(void **state)
{
	(void)state;
	machine.exits[0][0] = 1000;
	machine.exits[1][0] = 500;
	machine.exits[1][2] = 7;
	machine.now = 1000000; /* a second */
	mentions("stats", "CPUID                          1500         1500\n");
	mentions("stats", "NMI                               7            0\n");
	assert_null(strstr(run("stats"), "I/O"));
	machine.exits[1][0] += 100;
	machine.now += 500000;
	says("stats 1", "exit                          count   per second       cycles\n"
			"CPUID                           600          200\n"
			"NMI                               7            0\n"
			"all                             607          200\n");
	says("stats 3", "stats: there is no such CPU\n");
	says("stats live 1", "stats: there are more words than that\n");
	monitor.stopped = true;
	says("stats live", "stats: nothing changes while the guest is stopped\n");
	assert_false(monitor.live);
	monitor.stopped = false;
	mentions("stats live", "a key ends this\n");
	assert_true(monitor.live);
	machine.exits[0][2] += 1000;
	machine.exits[0][0] += 500;
	machine.now += 500000;
	said[said_bytes = 0] = 0;
	monitor_tick(&monitor);
	assert_string_equal(said, "");
	machine.now += 500000;
	monitor_tick(&monitor);
	assert_string_equal(
		said,
		"\x1b[H\x1b[Jexits: 1500/s on 3 CPUs; a key ends this\n"
		"NMI                  ########################################       1000/s\n"
		"CPUID                ####################                            500/s\n");
}

static void the_trace_is_dumped(void **state)
{
	struct trace_record *record;

	(void)state;
	says("trace", "the trace is off: 0 exits kept, 0 older ones gone\n");
	says("trace sideways", "trace: on, off, or dump\n");
	says("trace on now", "trace: there are more words than that\n");
	assert_false(trace_is_on());
	says("trace on", "the trace is on\n");
	assert_true(trace_is_on());
	record = trace_add(0);
	*record = (struct trace_record){ .tsc = 5000, .rip = 0x1234, .detail = 0xd, .kind = 0 };
	trace_finish(0, 5100);
	record = trace_add(1);
	*record = (struct trace_record){ .tsc = 2000000, .rip = 0xffffffff81000000, .kind = 1 };
	trace_finish(1, 2000300);
	says("trace dump",
	     "trace: begin cpus=3 tsc-khz=1000 exits=2 older=0\n"
	     "trace: 0.000000000 cpu0 rip=1234 cycles=100 [CPUID] detail=d\n"
	     "trace: 1.995000000 cpu1 rip=ffffffff81000000 cycles=300 [I/O port] detail=0\n"
	     "trace: end\n");
	says("trace dump 1",
	     "trace: begin cpus=3 tsc-khz=1000 exits=1 older=1\n"
	     "trace: 0.000000000 cpu1 rip=ffffffff81000000 cycles=300 [I/O port] detail=0\n"
	     "trace: end\n");
	machine.exits[0][0] = 1;
	mentions("stats", "CPUID                             1         1000          100\n");
	says("trace off", "the trace is off\n");
	assert_false(trace_is_on());
	says("trace", "the trace is off: 2 exits kept, 0 older ones gone\n");
}

static void writes_are_tracked(void **state)
{
	(void)state;
	says("track", "nothing is tracked\n");
	says("track 0x5000", "track: a number is missing\n");
	says("track 0x5000 8", "");
	says("track 0x6000 8", "track: no more\n");
	says("track", "0000000000005000-0000000000005007: 0 writes\n");
	machine.track.writes = 2;
	machine.track.cpu = 1;
	machine.track.written_gpa = 0x5004;
	machine.track.written_bytes = 2;
	machine.track.first[0] = 0xab;
	says("track", "0000000000005000-0000000000005007: 2 writes, the last one by cpu 1 at "
		      "0000000000005004: 2 bytes, ab 00\n");
	says("track off", "");
	says("track", "nothing is tracked\n");
}

static void the_machine_is_reset_and_switched_off(void **state)
{
	(void)state;
	says("log", "one\ntwo\n");
	says("reset now", "reset: there are more words than that\n");
	assert_int_equal(machine.resets, 0);
	run("reset");
	assert_int_equal(machine.resets, 1);
	says("poweroff", "poweroff: the machine does not say how\n");
	assert_int_equal(machine.power_offs, 1);
}

static void words_are_offered(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; monitor_word(NULL, "", 0, i) != NULL; i++)
		;
	assert_in_range(i, 22, 40);
	assert_string_equal(monitor_word(NULL, "trace ", 6, 2), "dump");
	assert_string_equal(monitor_word(NULL, "trace ", 6, 3), "rax");
	assert_string_equal(monitor_word(NULL, "break ", 6, 0), "rax");
	assert_string_equal(monitor_word(NULL, "help ", 5, 0), "help");
	assert_string_equal(monitor_word(NULL, "x/5 ", 4, 1), "gpa");
	assert_null(monitor_word(NULL, "nothing ", 8, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_no_command_is_refused, reset),
		cmocka_unit_test_setup(each_command_is_helped_with, reset),
		cmocka_unit_test_setup(cpus_are_shown_and_chosen, reset),
		cmocka_unit_test_setup(registers_are_shown, reset),
		cmocka_unit_test_setup(memory_is_shown, reset),
		cmocka_unit_test_setup(walks_are_shown, reset),
		cmocka_unit_test_setup(return_addresses_are_found, reset),
		cmocka_unit_test_setup(breakpoints_come_and_go, reset),
		cmocka_unit_test_setup(the_guest_is_stopped_and_stepped, reset),
		cmocka_unit_test_setup(lines_of_gdb_follow_its_thread, reset),
		cmocka_unit_test_setup(events_are_injected, reset),
		cmocka_unit_test_setup(exits_are_counted_and_rated, reset),
		cmocka_unit_test_setup(the_trace_is_dumped, reset),
		cmocka_unit_test_setup(writes_are_tracked, reset),
		cmocka_unit_test_setup(the_machine_is_reset_and_switched_off, reset),
		cmocka_unit_test_setup(words_are_offered, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
