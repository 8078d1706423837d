/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/gdb_stub.c core/gdb_link.c core/gdb_regs.c core/gdb_text.c core/format.c
/* Each packet and its answer, as the manual of GDB has them. */
#include "core/gdb_stub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/gdb_regs.h"

#include "fake_target.h"

static struct gdb_stub stub;
/* The peer's end of the line takes our packets apart again. */
static struct gdb_link peer;
static char answers[64][GDB_PACKET_BYTES + 1];
static unsigned answer_count;

static void to_peer(void *line, uint8_t byte)
{
	(void)line;
	if (gdb_link_byte(&peer, byte) != GDB_LINK_PACKET)
		return;
	assert_true(answer_count < 64);
	memcpy(answers[answer_count++], peer.in, peer.in_bytes + 1);
}

static void nowhere(void *line, uint8_t byte)
{
	(void)line, (void)byte;
}

static int reset(void **state)
{
	(void)state;
	fake_target_reset();
	gdb_link_init(&peer, nowhere, NULL);
	gdb_stub_init(&stub, &fake_ops, to_peer, NULL);
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .cpu = 0, .signal = 5 });
	answer_count = 0;
	return 0;
}

static enum gdb_verdict send_bytes(const void *packet, size_t bytes)
{
	answer_count = 0;
	memcpy(stub.link.in, packet, bytes);
	stub.link.in_bytes = (uint32_t)bytes;
	return gdb_stub_packet(&stub);
}

static enum gdb_verdict send(const char *packet)
{
	return send_bytes(packet, strlen(packet));
}

static void expect(const char *packet, const char *answer)
{
	assert_int_equal(send(packet), GDB_STAY);
	assert_int_equal(answer_count, 1);
	if (strcmp(answers[0], answer) != 0)
		fail_msg("\"%s\" is answered with \"%s\", not \"%s\"", packet, answers[0], answer);
}

static void resumes(const char *packet, unsigned first, unsigned second)
{
	assert_int_equal(send(packet), GDB_RESUME);
	assert_int_equal(answer_count, 0);
	assert_int_equal(stub.actions[0], first);
	assert_int_equal(stub.actions[1], second);
}

static void what_is_unknown_is_answered_with_nothing(void **state)
{
	(void)state;
	expect("vMustReplyEmpty", "");
	expect("", "");
	expect("!", "");
	expect("qTStatus", "");
	expect("vFile:open", "");
	expect("QNonStop:1", "");
	expect("Hx0", "");
	expect("R00", "");
	expect("Z9,1000,1", "");
}

static void what_is_supported_is_said(void **state)
{
	(void)state;
	assert_int_equal(send("qSupported:multiprocess+;swbreak+;xmlRegisters=i386"), GDB_STAY);
	assert_non_null(strstr(answers[0], "PacketSize=1000;"));
	assert_non_null(strstr(answers[0], "QStartNoAckMode+"));
	assert_non_null(strstr(answers[0], "qXfer:features:read+"));
	assert_non_null(strstr(answers[0], "qXfer:memory-map:read+"));
	assert_false(stub.error_text);
	assert_int_equal(
		send("qSupported:a-word-that-is-longer-than-all-those-that-are-known-to-us-"
		     "or-to-anybody+;error-message+"),
		GDB_STAY);
	assert_true(stub.error_text);
	expect("m0,1", "E.no memory there");
	expect("vCont?", "vCont;c;C;s;S;r");
	expect("QStartNoAckMode", "OK");
	assert_true(stub.link.no_ack);
}

static void each_cpu_is_a_thread(void **state)
{
	(void)state;
	expect("qfThreadInfo", "m1,2,3");
	expect("qsThreadInfo", "l");
	expect("qC", "QC1");
	expect("T3", "OK");
	expect("T4", "E02");
	expect("qThreadExtraInfo,1", "4350552030");
	expect("qThreadExtraInfo,3", "435055203220776169747320666f722053495049");
	expect("qThreadExtraInfo,9", "E01");
	expect("Hg2", "OK");
	expect("p10", "0110000000000000");
	expect("Hg4", "E01");
	expect("Hgz", "E01");
	expect("Hg", "E01");
	/* Refused ones change nothing. */
	expect("p10", "0110000000000000");
	expect("Hg0", "OK");
	expect("p10", "0010000000000000");
	expect("Hg-1", "OK");
	expect("p10", "0010000000000000");
}

#define FRAME_0 "06:0030000000000000;07:0020000000000000;10:0010000000000000;"
#define FRAME_1 "06:0130000000000000;07:0120000000000000;10:0110000000000000;"

/* And where: RBP, RSP and RIP of that CPU, if it has any. */
static void a_stop_says_why(void **state)
{
	(void)state;
	expect("?", "T05" FRAME_0 "thread:1;");
	answer_count = 0;
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .cpu = 1, .signal = 2 });
	assert_string_equal(answers[0], "T02" FRAME_1 "thread:2;");
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .cpu = 1,
							.signal = 5,
							.kind = GDB_STOP_WATCH,
							.watch = GDB_WATCH_ACCESS,
							.address = 0xffff800000001234 });
	assert_string_equal(answers[1], "T05awatch:ffff800000001234;" FRAME_1 "thread:2;");
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .signal = 5, .kind = GDB_STOP_SOFTWARE });
	assert_string_equal(answers[2], "T05swbreak:;" FRAME_0 "thread:1;");
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .signal = 5, .kind = GDB_STOP_HARDWARE });
	expect("?", "T05hwbreak:;" FRAME_0 "thread:1;");
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .cpu = 2, .signal = 5 });
	expect("?", "T05thread:3;");
}

static void registers_are_read_and_written(void **state)
{
	size_t digits;

	(void)state;
	assert_int_equal(send("g"), GDB_STAY);
	digits = strlen(answers[0]);
	assert_memory_equal(answers[0] + 2 * 128, "0010000000000000", 16); /* RIP */
	/* The same back: nothing changes. */
	memmove(answers[0] + 1, answers[0], digits + 1);
	answers[0][0] = 'G';
	assert_int_equal(send(answers[0]), GDB_STAY);
	assert_string_equal(answers[0], "OK");
	expect("P0=8877665544332211", "OK");
	assert_int_equal(target.stored[0].regs.gpr[REG_RAX], 0x1122334455667788);
	expect("p0", "8877665544332211");
	expect("Pf=ff00000000000000", "OK");
	assert_int_equal(target.stored[0].regs.gpr[15], 0xff);
}

static void bad_registers_change_nothing(void **state)
{
	static struct fake_target before;

	(void)state;
	before = target;
	expect("p", "E01");
	expect("pzz", "E01");
	expect("pffff", "E01");
	expect("p00000000000000000", "E01");
	expect("P0=88", "E01");
	expect("P0=88776655443322110", "E01");
	expect("P0", "E01");
	expect("Pffff=00", "E01");
	expect("G00", "E01");
	expect("G", "E01");
	expect("gx", "E01");
	/* The CPU refuses it. */
	expect("P10=ad0b000000000000", "E02");
	/* A selector of 17 bits. */
	expect("P12=00000100", "E02");
	assert_memory_equal(&target, &before, sizeof(target));
}

static void a_cpu_that_waits_has_no_registers(void **state)
{
	(void)state;
	expect("Hg3", "OK");
	expect("p0", "xxxxxxxxxxxxxxxx");
	expect("P0=0000000000000000", "E02");
	assert_int_equal(send("g"), GDB_STAY);
	assert_int_equal(strspn(answers[0], "x"), strlen(answers[0]));
}

static void memory_is_read_as_far_as_it_goes(void **state)
{
	(void)state;
	expect("m1000,4", "00070e15");
	expect("m1001,0", "");
	expect("m2fff,10", "f9");
	expect("m3000,1", "E0e");
	expect("mfff,2", "E0e");
	expect("m1000", "E01");
	expect("m1000,", "E01");
	expect("m,4", "E01");
	expect("m1000,4,", "E01");
	expect("m11112222333344445,1", "E01");
	assert_int_equal(send("m1000,ffffffffffffffff"), GDB_STAY);
	assert_int_equal(strlen(answers[0]), GDB_PACKET_BYTES);
	expect("mffffffffffffffff,2", "E0e");
	/* CPU 1 has it elsewhere; physically it is where it was. */
	expect("Hg2", "OK");
	expect("m1000,4", "E0e");
	expect("m10001000,4", "00070e15");
	stub.physical = true;
	expect("m1000,4", "00070e15");
}

static void memory_is_written(void **state)
{
	(void)state;
	expect("M1000,3:a1B2c3", "OK");
	assert_memory_equal(target.memory, "\xa1\xb2\xc3\x15", 4);
	assert_int_equal(send_bytes("X1001,4:a\0}#", 12), GDB_STAY);
	assert_string_equal(answers[0], "OK");
	assert_memory_equal(target.memory,
			    "\xa1"
			    "a\0}#",
			    5);
	expect("X1000,0:", "OK");
}

static void bad_writes_change_nothing(void **state)
{
	static struct fake_target before;

	(void)state;
	before = target;
	expect("M1000,3:a1b2", "E01");
	expect("M1000,3:a1b2c3d4", "E01");
	expect("M1000,3:a1b2zz", "E01");
	expect("M1000,3", "E01");
	expect("M1000:00", "E01");
	expect("X1000,3:", "E01");
	expect("X1000,3:ab", "E01");
	expect("X1000,3:abcd", "E01");
	expect("X1000,ffffffffffffffff:ab", "E01");
	expect("M1000,8000000000000001:ab", "E01");
	expect("M0,1:00", "E0e");
	assert_memory_equal(&target, &before, sizeof(target));
}

static void breakpoints_come_and_go(void **state)
{
	(void)state;
	expect("Z0,1000,1", "OK");
	expect("Z1,1000,1", "OK");
	expect("Z4,1000,8", "OK");
	assert_int_equal(target.breakpoints[GDB_BREAK_SOFTWARE], 1);
	assert_int_equal(target.breakpoints[GDB_WATCH_ACCESS], 1);
	expect("z0,1000,1", "OK");
	assert_int_equal(target.breakpoints[GDB_BREAK_SOFTWARE], 0);
	expect("Z0,0,1", "E02");
	expect("Z0,1000", "E01");
	expect("Z0,1000,1;X", "E01");
	expect("Z,1000,1", "E01");
}

static void cpus_go_on_as_they_are_told(void **state)
{
	(void)state;
	resumes("vCont;c", GDB_CONTINUE, GDB_CONTINUE);
	resumes("vCont;s:1;c", GDB_STEP, GDB_CONTINUE);
	resumes("vCont;s:2", GDB_HOLD, GDB_STEP);
	resumes("vCont;c:2;s:-1", GDB_STEP, GDB_CONTINUE);
	resumes("vCont;S05:1;C02:2", GDB_STEP, GDB_CONTINUE);
	resumes("c", GDB_CONTINUE, GDB_CONTINUE);
	resumes("s", GDB_STEP, GDB_CONTINUE);
	resumes("C05", GDB_CONTINUE, GDB_CONTINUE);
	resumes("S05", GDB_STEP, GDB_CONTINUE);
	expect("Hc2", "OK");
	resumes("s", GDB_CONTINUE, GDB_STEP);
	resumes("s1005", GDB_CONTINUE, GDB_STEP);
	assert_int_equal(target.stored[1].regs.rip, 0x1005);
	resumes("S05;1006", GDB_CONTINUE, GDB_STEP);
	assert_int_equal(target.stored[1].regs.rip, 0x1006);
	expect("vCont;t", "E01");
	expect("vCont;s:9", "E01");
	expect("vCont;", "E01");
	expect("cbad", "E02");
	expect("cz", "E01");
	expect("C", "E01");
	expect("C05:1", "E01");
	expect("Hc3", "OK");
	expect("s1000", "E02");
}

static void expect_range(unsigned cpu, uint64_t from, uint64_t to)
{
	assert_int_equal(stub.ranges[cpu].from, from);
	assert_int_equal(stub.ranges[cpu].to, to);
}

static void a_step_may_have_a_range(void **state)
{
	(void)state;
	resumes("vCont;r401000,401010:1;c", GDB_STEP, GDB_CONTINUE);
	expect_range(0, 0x401000, 0x401010);
	expect_range(1, 0, 0);
	resumes("vCont;rffffffff81000000,ffffffff81000001", GDB_STEP, GDB_STEP);
	expect_range(1, 0xffffffff81000000, 0xffffffff81000001);
	/* Nothing of it is left to the next step. */
	resumes("vCont;s:1;r5,5:2", GDB_STEP, GDB_STEP);
	expect_range(0, 0, 0);
	expect_range(1, 5, 5);
	resumes("vCont;r1000,2000:2", GDB_HOLD, GDB_STEP);
	resumes("s", GDB_STEP, GDB_CONTINUE);
	expect_range(0, 0, 0);
	expect_range(1, 0, 0);
	expect("vCont;r", "E01");
	expect("vCont;r1000", "E01");
	expect("vCont;r1000:1", "E01");
	expect("vCont;r1000,:1", "E01");
	expect("vCont;r1000,fff:1", "E01");
	expect("vCont;r1000,2000:9", "E01");
	expect("vCont;r1000,2000;x", "E01");
}

static void the_end_is_said(void **state)
{
	(void)state;
	stub.link.no_ack = true;
	assert_int_equal(send("D"), GDB_DETACH);
	assert_string_equal(answers[0], "OK");
	assert_int_equal(stub.actions[1], GDB_CONTINUE);
	assert_false(stub.link.no_ack);
	assert_int_equal(send("k"), GDB_KILL);
	assert_int_equal(answer_count, 0);
	assert_int_equal(send("vKill;1"), GDB_KILL);
	assert_string_equal(answers[0], "OK");
}

static void commands_go_to_the_monitor(void **state)
{
	unsigned said = 0;

	(void)state;
	expect("qRcmd,63707573", "OK");
	assert_string_equal(target.command, "cpus");
	assert_int_equal(target.command_cpu, 0);
	/* It is about the thread that is looked at. */
	expect("Hg2", "OK");
	expect("qRcmd,72656773", "OK");
	assert_string_equal(target.command, "regs");
	assert_int_equal(target.command_cpu, 1);
	expect("Hg1", "OK");
	expect("qRcmd,72656773", "OK");
	assert_int_equal(target.command_cpu, 0);
	gdb_stub_report_stop(&stub, &(struct gdb_stop){ .cpu = 1, .signal = 2 });
	expect("qRcmd,72656773", "OK");
	assert_int_equal(target.command_cpu, 1);
	expect("Hg1", "OK");
	/* GDB names a thread only when it reads something: a CPU can be chosen, and the registers are still the thread's. */
	expect("qRcmd,6370752031", "OK");
	expect("qRcmd,72656773", "OK");
	assert_int_equal(target.command_cpu, 1);
	assert_int_equal(stub.reg_cpu, 0);
	expect("Hg1", "OK");
	expect("qRcmd,72656773", "OK");
	assert_int_equal(target.command_cpu, 0);
	expect("qRcmd,6370757", "E01");
	expect("qRcmd,zz", "E01");
	/* "fill 5000" */
	assert_int_equal(send("qRcmd,66696c6c2035303030"), GDB_STAY);
	for (unsigned i = 0; i + 1 < answer_count; i++) {
		assert_int_equal(answers[i][0], 'O');
		said += (unsigned)strlen(answers[i] + 1) / 2;
	}
	assert_int_equal(said, 5000);
	assert_string_equal(answers[answer_count - 1], "OK");
}

static void documents_come_in_parts(void **state)
{
	static char whole[64 * 1024];
	size_t used = 0;

	(void)state;
	do {
		char packet[80];

		snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,3e7", used);
		assert_int_equal(send(packet), GDB_STAY);
		strcpy(whole + used, answers[0] + 1);
		used += strlen(answers[0] + 1);
	} while (answers[0][0] == 'm');
	assert_int_equal(answers[0][0], 'l');
	assert_non_null(strstr(whole, "</target>"));
	expect("qXfer:features:read:target.xml:100000,10", "l");
	expect("qXfer:features:read:other.xml:0,10", "");
	expect("qXfer:features:read:target.xml:0", "E01");
	expect("qXfer:memory-map:read::0,1000", "l<memory-map/>");
	expect("qXfer:memory-map:read::1,3", "mmem");
}

static void too_long_is_said(void **state)
{
	(void)state;
	gdb_stub_refuse_overlong(&stub);
	assert_string_equal(answers[0], "E01");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_unknown_is_answered_with_nothing, reset),
		cmocka_unit_test_setup(what_is_supported_is_said, reset),
		cmocka_unit_test_setup(each_cpu_is_a_thread, reset),
		cmocka_unit_test_setup(a_stop_says_why, reset),
		cmocka_unit_test_setup(registers_are_read_and_written, reset),
		cmocka_unit_test_setup(bad_registers_change_nothing, reset),
		cmocka_unit_test_setup(a_cpu_that_waits_has_no_registers, reset),
		cmocka_unit_test_setup(memory_is_read_as_far_as_it_goes, reset),
		cmocka_unit_test_setup(memory_is_written, reset),
		cmocka_unit_test_setup(bad_writes_change_nothing, reset),
		cmocka_unit_test_setup(breakpoints_come_and_go, reset),
		cmocka_unit_test_setup(cpus_go_on_as_they_are_told, reset),
		cmocka_unit_test_setup(a_step_may_have_a_range, reset),
		cmocka_unit_test_setup(the_end_is_said, reset),
		cmocka_unit_test_setup(commands_go_to_the_monitor, reset),
		cmocka_unit_test_setup(documents_come_in_parts, reset),
		cmocka_unit_test_setup(too_long_is_said, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
