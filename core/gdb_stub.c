/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/gdb_stub.h"

#include "arch/x86/cr.h"
#include "core/format.h"
#include "core/gdb_regs.h"
#include "core/gdb_text.h"
#include "core/string.h"

/* What an answer without words says. Only that it is one counts. */
#define ERROR_MALFORMED	 1u
#define ERROR_REFUSED	 2u
#define ERROR_ADDRESS	 14u

#define COMMAND_BYTES	 256u
#define SAY_BYTES	 1024u
/* Of memory in one packet: two digits a byte. */
#define MEMORY_BYTES_MAX (GDB_PACKET_BYTES / 2)

struct packet {
	struct gdb_stub *stub;
	struct gdb_reader in;
	struct gdb_writer out;
};

void gdb_stub_init(struct gdb_stub *stub, const struct gdb_target *target,
		   void (*put)(void *line, uint8_t byte), void *line)
{
	*stub = (struct gdb_stub){ .target = target,
				   .run_cpu = GDB_ALL_CPUS,
				   .stop = { .signal = 5 } };
	gdb_link_init(&stub->link, put, line);
}

/* --- answers --- */

static enum gdb_verdict answer(struct packet *packet)
{
	gdb_link_send(&packet->stub->link, packet->out.buffer, packet->out.used);
	return GDB_STAY;
}

static enum gdb_verdict say(struct packet *packet, const char *text)
{
	packet->out.used = 0;
	gdb_put(&packet->out, text);
	return answer(packet);
}

/* To an unknown command the answer is empty: GDB asks another way. */
static enum gdb_verdict unknown(struct packet *packet)
{
	return say(packet, "");
}

static enum gdb_verdict fail(struct packet *packet, unsigned number, const char *why)
{
	char text[8];

	if (packet->stub->error_text) {
		packet->out.used = 0;
		gdb_put(&packet->out, "E.");
		gdb_put(&packet->out, why);
		return answer(packet);
	}
	format_string(text, sizeof(text), "E%02x", number);
	return say(packet, text);
}

static enum gdb_verdict malformed(struct packet *packet)
{
	return fail(packet, ERROR_MALFORMED, "malformed packet");
}

static enum gdb_verdict done(struct packet *packet, const char *why_not)
{
	return why_not == NULL ? say(packet, "OK") : fail(packet, ERROR_REFUSED, why_not);
}

void gdb_stub_refuse_overlong(struct gdb_stub *stub)
{
	struct packet packet = { .stub = stub,
				 .out = { .buffer = stub->answer, .bytes = sizeof(stub->answer) } };

	fail(&packet, ERROR_MALFORMED, "the packet is longer than PacketSize");
}

/* --- threads --- */

static void put_thread(struct packet *packet, unsigned cpu)
{
	gdb_put_number(&packet->out, cpu + 1);
}

/* A thread: -1 is all, 0 any. False: there is none such. */
static bool read_thread(struct packet *packet, unsigned any, unsigned *cpu)
{
	uint64_t thread;

	if (gdb_skip(&packet->in, "-1")) {
		*cpu = GDB_ALL_CPUS;
		return true;
	}
	thread = gdb_number(&packet->in);
	if (packet->in.bad || thread > packet->stub->target->cpus())
		return false;
	*cpu = thread == 0 ? any : (unsigned)thread - 1;
	return true;
}

static enum gdb_verdict set_thread(struct packet *packet)
{
	struct gdb_stub *stub = packet->stub;
	bool for_registers = gdb_skip(&packet->in, "g");
	unsigned cpu;

	if (!for_registers && !gdb_skip(&packet->in, "c"))
		return unknown(packet);
	if (!read_thread(packet, for_registers ? stub->stop.cpu : GDB_ALL_CPUS, &cpu) ||
	    !gdb_at_end(&packet->in))
		return malformed(packet);
	if (!for_registers)
		stub->run_cpu = cpu;
	else if (cpu != GDB_ALL_CPUS)
		stub->reg_cpu = stub->monitor_cpu = cpu;
	return say(packet, "OK");
}

static enum gdb_verdict is_alive(struct packet *packet)
{
	unsigned cpu;

	if (!read_thread(packet, 0, &cpu) || !gdb_at_end(&packet->in))
		return fail(packet, ERROR_REFUSED, "there is no such CPU");
	return say(packet, "OK");
}

static enum gdb_verdict list_threads(struct packet *packet)
{
	for (unsigned cpu = 0; cpu < packet->stub->target->cpus(); cpu++) {
		gdb_put(&packet->out, cpu == 0 ? "m" : ",");
		put_thread(packet, cpu);
	}
	return answer(packet);
}

static enum gdb_verdict describe_thread(struct packet *packet)
{
	unsigned cpu;
	char text[40];
	const struct regs_sync *state;
	int length;

	if (!read_thread(packet, 0, &cpu) || cpu == GDB_ALL_CPUS || !gdb_at_end(&packet->in))
		return malformed(packet);
	state = packet->stub->target->state(cpu);
	length = (int)format_string(text, sizeof(text), "CPU %u%s", cpu,
				    state == NULL ? " waits for SIPI" : "");
	gdb_put_hex(&packet->out, text, (size_t)length);
	return answer(packet);
}

/* --- why it stands still --- */

static void put_register(struct packet *packet, const struct regs_sync *state, unsigned number)
{
	uint8_t value[GDB_REG_BYTES_MAX];

	if (state != NULL && gdb_reg_read(state, number, value)) {
		gdb_put_hex(&packet->out, value, gdb_reg_bytes(number));
		return;
	}
	for (unsigned i = 0; i < gdb_reg_bytes(number); i++)
		gdb_put(&packet->out, "xx");
}

/* What GDB looks at in any stop: without them it would ask for all registers, a sixth of a second of a line at 115200. */
static void put_frame(struct packet *packet, unsigned cpu)
{
	static const uint8_t expedited[] = { GDB_REG_RBP, GDB_REG_RSP, GDB_REG_RIP };
	const struct regs_sync *state = packet->stub->target->state(cpu);
	char number[4];

	for (unsigned i = 0; state != NULL && i < ARRAY_COUNT(expedited); i++) {
		format_string(number, sizeof(number), "%02x:", expedited[i]);
		gdb_put(&packet->out, number);
		put_register(packet, state, expedited[i]);
		gdb_put(&packet->out, ";");
	}
}

static void put_stop(struct packet *packet)
{
	static const char *const watches[GDB_BREAK_KINDS] = { [GDB_WATCH_WRITE] = "watch:",
							      [GDB_WATCH_READ] = "rwatch:",
							      [GDB_WATCH_ACCESS] = "awatch:" };
	const struct gdb_stop *stop = &packet->stub->stop;
	char text[8];

	format_string(text, sizeof(text), "T%02x", stop->signal & 0xff);
	gdb_put(&packet->out, text);
	if (stop->kind == GDB_STOP_SOFTWARE)
		gdb_put(&packet->out, "swbreak:;");
	if (stop->kind == GDB_STOP_HARDWARE)
		gdb_put(&packet->out, "hwbreak:;");
	if (stop->kind == GDB_STOP_WATCH && watches[stop->watch] != NULL) {
		gdb_put(&packet->out, watches[stop->watch]);
		gdb_put_number(&packet->out, stop->address);
		gdb_put(&packet->out, ";");
	}
	put_frame(packet, stop->cpu);
	gdb_put(&packet->out, "thread:");
	put_thread(packet, stop->cpu);
	gdb_put(&packet->out, ";");
}

void gdb_stub_note_stop(struct gdb_stub *stub, const struct gdb_stop *stop)
{
	stub->stop = *stop;
	stub->reg_cpu = stub->monitor_cpu = stop->cpu;
}

void gdb_stub_report_stop(struct gdb_stub *stub, const struct gdb_stop *stop)
{
	struct packet packet = { .stub = stub,
				 .out = { .buffer = stub->answer, .bytes = sizeof(stub->answer) } };

	gdb_stub_note_stop(stub, stop);
	put_stop(&packet);
	answer(&packet);
}

/* --- registers --- */

static enum gdb_verdict read_registers(struct packet *packet)
{
	const struct regs_sync *state = packet->stub->target->state(packet->stub->reg_cpu);

	for (unsigned i = 0; i < gdb_regs_count(); i++)
		put_register(packet, state, i);
	return answer(packet);
}

static enum gdb_verdict read_register(struct packet *packet)
{
	uint64_t number = gdb_number(&packet->in);

	if (!gdb_at_end(&packet->in) || number >= gdb_regs_count())
		return malformed(packet);
	put_register(packet, packet->stub->target->state(packet->stub->reg_cpu), (unsigned)number);
	return answer(packet);
}

/* One register into the state; what is not available is not written ('x' digits, or no such register there). */
static const char *take_register(struct packet *packet, struct regs_sync *state, unsigned number)
{
	uint8_t value[GDB_REG_BYTES_MAX] = { 0 }, old[GDB_REG_BYTES_MAX];
	unsigned bytes = gdb_reg_bytes(number);

	if (gdb_skip(&packet->in, "xx")) {
		for (unsigned i = 1; i < bytes; i++)
			packet->in.bad |= !gdb_skip(&packet->in, "xx");
		return NULL;
	}
	gdb_hex(&packet->in, value, bytes);
	if (packet->in.bad || !gdb_reg_read(state, number, old) || memcmp(value, old, bytes) == 0)
		return NULL;
	return gdb_reg_write(state, number, value) ? NULL : "the register has fewer bits";
}

/* What was taken so far is forgotten: the state is read anew where it is dirty. */
static enum gdb_verdict store(struct packet *packet, struct regs_sync *state, const char *why_not)
{
	unsigned cpu = packet->stub->reg_cpu;

	if (packet->in.bad || !gdb_at_end(&packet->in) || why_not != NULL) {
		packet->stub->target->forget(cpu);
		return why_not == NULL ? malformed(packet) : fail(packet, ERROR_REFUSED, why_not);
	}
	return done(packet, state->dirty == 0 ? NULL : packet->stub->target->store(cpu));
}

static enum gdb_verdict write_registers(struct packet *packet)
{
	struct regs_sync *state = packet->stub->target->state(packet->stub->reg_cpu);
	const char *why_not = NULL;

	if (state == NULL)
		return fail(packet, ERROR_REFUSED, "the CPU waits for a SIPI");
	for (unsigned i = 0; i < gdb_regs_count() && why_not == NULL && !packet->in.bad; i++)
		why_not = take_register(packet, state, i);
	return store(packet, state, why_not);
}

static enum gdb_verdict write_register(struct packet *packet)
{
	struct regs_sync *state = packet->stub->target->state(packet->stub->reg_cpu);
	uint64_t number = gdb_number(&packet->in);

	gdb_expect(&packet->in, '=');
	if (packet->in.bad || number >= gdb_regs_count())
		return malformed(packet);
	if (state == NULL)
		return fail(packet, ERROR_REFUSED, "the CPU waits for a SIPI");
	return store(packet, state, take_register(packet, state, (unsigned)number));
}

/* --- memory --- */

static bool read_range(struct packet *packet, uint64_t *address, uint64_t *bytes)
{
	*address = gdb_number(&packet->in);
	gdb_expect(&packet->in, ',');
	*bytes = gdb_number(&packet->in);
	return !packet->in.bad;
}

static enum gdb_verdict read_memory(struct packet *packet)
{
	const struct gdb_stub *stub = packet->stub;
	uint8_t bytes[64];
	uint64_t address, left;
	size_t wanted, got;

	if (!read_range(packet, &address, &left) || !gdb_at_end(&packet->in))
		return malformed(packet);
	if (left > MEMORY_BYTES_MAX)
		left = MEMORY_BYTES_MAX;
	do {
		wanted = left < sizeof(bytes) ? left : sizeof(bytes);
		got = packet->stub->target->read(stub->reg_cpu, stub->physical, address, bytes,
						 wanted);
		gdb_put_hex(&packet->out, bytes, got);
		address += got;
		left -= got;
	} while (left != 0 && got == wanted);
	if (packet->out.used == 0 && left != 0)
		return fail(packet, ERROR_ADDRESS, "no memory there");
	return answer(packet);
}

static enum gdb_verdict write_bytes(struct packet *packet, uint64_t address, const void *from,
				    size_t bytes)
{
	const struct gdb_stub *stub = packet->stub;

	if (packet->stub->target->write(stub->reg_cpu, stub->physical, address, from, bytes) !=
	    bytes)
		return fail(packet, ERROR_ADDRESS, "no memory there");
	return say(packet, "OK");
}

/* The digits become bytes where they are: two of them make one. */
static enum gdb_verdict write_memory(struct packet *packet, bool binary)
{
	struct gdb_stub *stub = packet->stub;
	uint64_t address, bytes;
	char *data;

	if (!read_range(packet, &address, &bytes))
		return malformed(packet);
	gdb_expect(&packet->in, ':');
	if (packet->in.bad || bytes > GDB_PACKET_BYTES)
		return malformed(packet);
	data = stub->link.in + (packet->in.at - stub->link.in);
	if (!binary)
		gdb_hex(&packet->in, data, bytes);
	else if (bytes == (size_t)(packet->in.end - packet->in.at))
		packet->in.at = packet->in.end;
	else
		packet->in.bad = true;
	if (!gdb_at_end(&packet->in))
		return malformed(packet);
	return write_bytes(packet, address, data, bytes);
}

/* --- breakpoints --- */

static enum gdb_verdict change_breakpoint(struct packet *packet, bool insert)
{
	uint64_t kind = gdb_number(&packet->in), address, bytes;

	gdb_expect(&packet->in, ',');
	if (!read_range(packet, &address, &bytes))
		return malformed(packet);
	/*
	 * x86 has no breakpoint on reads alone. Where there is none GDB takes one on accesses, and goes on by itself if the value
	 * has changed; to one on accesses under this name it would report each write as a read.
	 */
	if (kind >= GDB_BREAK_KINDS || kind == GDB_WATCH_READ)
		return unknown(packet);
	/* Conditions and commands are not offered: GDB sends none. */
	if (!gdb_at_end(&packet->in))
		return malformed(packet);
	return done(packet,
		    packet->stub->target->change_break(packet->stub->reg_cpu, (enum gdb_break)kind,
						       address, bytes, insert));
}

/* --- going on --- */

static void act(struct gdb_stub *stub, unsigned cpu, enum gdb_action action)
{
	for (unsigned i = 0; i < stub->target->cpus(); i++) {
		if (cpu != GDB_ALL_CPUS && cpu != i)
			continue;
		stub->actions[i] = (uint8_t)action;
		stub->ranges[i] = (struct gdb_range){ 0 };
	}
}

/* `c [address]`, `s [address]`. */
static enum gdb_verdict resume_from(struct packet *packet, enum gdb_action action)
{
	struct gdb_stub *stub = packet->stub;
	unsigned cpu = stub->run_cpu == GDB_ALL_CPUS ? stub->stop.cpu : stub->run_cpu;
	struct regs_sync *state = packet->stub->target->state(cpu);
	uint64_t rip;

	if (!gdb_at_end(&packet->in)) {
		rip = gdb_number(&packet->in);
		if (!gdb_at_end(&packet->in))
			return malformed(packet);
		if (state == NULL)
			return fail(packet, ERROR_REFUSED, "the CPU waits for a SIPI");
		if (!gdb_reg_write(state, GDB_REG_RIP, (const uint8_t *)&rip))
			return fail(packet, ERROR_REFUSED, "RIP is not there");
		if (packet->stub->target->store(cpu) != NULL)
			return fail(packet, ERROR_REFUSED, "the address is refused");
	}
	act(stub, GDB_ALL_CPUS, GDB_CONTINUE);
	if (action == GDB_STEP)
		act(stub, cpu, GDB_STEP);
	return GDB_RESUME;
}

static bool read_step_range(struct packet *packet, struct gdb_range *range)
{
	range->from = gdb_number(&packet->in);
	gdb_expect(&packet->in, ',');
	range->to = gdb_number(&packet->in);
	return !packet->in.bad && range->from <= range->to;
}

static bool read_action(struct packet *packet, enum gdb_action *action, struct gdb_range *range)
{
	bool with_signal = false;

	*range = (struct gdb_range){ 0 };
	if (gdb_skip(&packet->in, "r")) {
		*action = GDB_STEP;
		return read_step_range(packet, range);
	}
	if (gdb_skip(&packet->in, "c"))
		*action = GDB_CONTINUE;
	else if (gdb_skip(&packet->in, "s"))
		*action = GDB_STEP;
	else if (gdb_skip(&packet->in, "C"))
		*action = GDB_CONTINUE, with_signal = true;
	else if (gdb_skip(&packet->in, "S"))
		*action = GDB_STEP, with_signal = true;
	else
		return false;
	/* There are no signals to deliver to a CPU. */
	if (with_signal)
		(void)gdb_number(&packet->in);
	return !packet->in.bad;
}

/* For each CPU the leftmost action that names it counts; it stays where none does. */
static enum gdb_verdict resume_each(struct packet *packet)
{
	struct gdb_stub *stub = packet->stub;
	bool decided[VM_MAX_CPUS] = { false };

	act(stub, GDB_ALL_CPUS, GDB_HOLD);
	while (gdb_skip(&packet->in, ";")) {
		enum gdb_action action = GDB_HOLD;
		unsigned cpu = GDB_ALL_CPUS;
		struct gdb_range range;

		if (!read_action(packet, &action, &range) ||
		    (gdb_skip(&packet->in, ":") && !read_thread(packet, stub->stop.cpu, &cpu)))
			return malformed(packet);
		for (unsigned i = 0; i < stub->target->cpus(); i++) {
			if (decided[i] || (cpu != GDB_ALL_CPUS && cpu != i))
				continue;
			decided[i] = true;
			stub->actions[i] = (uint8_t)action;
			stub->ranges[i] = range;
		}
	}
	return gdb_at_end(&packet->in) ? GDB_RESUME : malformed(packet);
}

/* --- queries --- */

static enum gdb_verdict supported(struct packet *packet)
{
	char word[64];

	/* A new peer, after one that has just vanished: it waits for acknowledgments, this one's among them. */
	if (packet->stub->link.no_ack) {
		packet->stub->link.no_ack = false;
		packet->stub->link.put(packet->stub->link.line, '+');
	}
	while (gdb_skip(&packet->in, ":") || gdb_skip(&packet->in, ";")) {
		if (gdb_skip(&packet->in, "error-message+"))
			packet->stub->error_text = true;
		else
			gdb_word(&packet->in, ';', word, sizeof(word));
		packet->in.bad = false; /* a long word is one that we do not know */
	}
	gdb_put(&packet->out, "PacketSize=");
	gdb_put_number(&packet->out, GDB_PACKET_BYTES);
	gdb_put(&packet->out, ";QStartNoAckMode+;vContSupported+;swbreak+;hwbreak+;"
			      "qXfer:features:read+;qXfer:memory-map:read+");
	return answer(packet);
}

/* "OFFSET,LENGTH" of a document: 'm' before a part, 'l' before the last one. */
static enum gdb_verdict transfer(struct packet *packet,
				 size_t (*read)(size_t offset, char *buffer, size_t bytes))
{
	uint64_t offset, bytes;
	size_t got;

	if (!read_range(packet, &offset, &bytes) || !gdb_at_end(&packet->in))
		return malformed(packet);
	/* Escapes double a byte on the line, not in PacketSize. */
	if (bytes > GDB_PACKET_BYTES - 1)
		bytes = GDB_PACKET_BYTES - 1;
	got = read(offset, packet->out.buffer + 1, bytes);
	packet->out.buffer[0] = got == bytes ? 'm' : 'l';
	packet->out.used = got + 1;
	return answer(packet);
}

static size_t read_description(size_t offset, char *buffer, size_t bytes)
{
	return gdb_regs_describe(true, offset, buffer, bytes);
}

static void say_output(void *context, const char *text)
{
	struct packet *packet = context;
	size_t bytes = 0;

	while (text[bytes] != 0) {
		packet->out.used = 0;
		gdb_put(&packet->out, "O");
		for (bytes = 0; bytes < SAY_BYTES && text[bytes] != 0; bytes++)
			gdb_put_hex(&packet->out, &text[bytes], 1);
		answer(packet);
		text += bytes;
		bytes = 0;
	}
}

static bool is_word(const char *line, const char *word)
{
	while (*word != 0 && *line == *word) {
		line++;
		word++;
	}
	return *line == *word;
}

/* `monitor phys` and `monitor virt` say which addresses are meant from then on; the rest is the monitor's. */
static enum gdb_verdict command(struct packet *packet)
{
	char line[COMMAND_BYTES];
	size_t bytes = (size_t)(packet->in.end - packet->in.at) / 2;

	if (bytes >= sizeof(line))
		return fail(packet, ERROR_MALFORMED, "the command is too long");
	gdb_hex(&packet->in, line, bytes);
	if (!gdb_at_end(&packet->in))
		return malformed(packet);
	line[bytes] = 0;
	if (is_word(line, "phys"))
		packet->stub->physical = true;
	else if (is_word(line, "virt"))
		packet->stub->physical = false;
	else
		packet->stub->target->command(&packet->stub->monitor_cpu, line, say_output, packet);
	return say(packet, "OK");
}

static enum gdb_verdict query(struct packet *packet)
{
	struct gdb_reader *in = &packet->in;

	if (gdb_skip(in, "Supported"))
		return supported(packet);
	if (gdb_skip(in, "Xfer:features:read:target.xml:"))
		return transfer(packet, read_description);
	if (gdb_skip(in, "Xfer:memory-map:read::"))
		return transfer(packet, packet->stub->target->memory_map);
	if (gdb_skip(in, "fThreadInfo"))
		return list_threads(packet);
	if (gdb_skip(in, "sThreadInfo"))
		return say(packet, "l");
	if (gdb_skip(in, "ThreadExtraInfo,"))
		return describe_thread(packet);
	if (gdb_skip(in, "Rcmd,"))
		return command(packet);
	if (gdb_skip(in, "Attached"))
		return say(packet, "1");
	if (gdb_skip(in, "Symbol"))
		return say(packet, "OK");
	if (gdb_skip(in, "C") && gdb_at_end(in)) {
		gdb_put(&packet->out, "QC");
		put_thread(packet, packet->stub->stop.cpu);
		return answer(packet);
	}
	return unknown(packet);
}

static enum gdb_verdict set(struct packet *packet)
{
	if (!gdb_skip(&packet->in, "StartNoAckMode") || !gdb_at_end(&packet->in))
		return unknown(packet);
	packet->stub->link.no_ack = true;
	return say(packet, "OK");
}

static enum gdb_verdict multi_letter(struct packet *packet)
{
	if (gdb_skip(&packet->in, "Cont?"))
		return say(packet, "vCont;c;C;s;S;r");
	if (gdb_skip(&packet->in, "Cont"))
		return resume_each(packet);
	if (gdb_skip(&packet->in, "Kill")) {
		say(packet, "OK");
		return GDB_KILL;
	}
	return unknown(packet); /* vMustReplyEmpty among them */
}

static enum gdb_verdict detach(struct packet *packet)
{
	say(packet, "OK");
	packet->stub->link.no_ack = false;
	packet->stub->physical = false;
	act(packet->stub, GDB_ALL_CPUS, GDB_CONTINUE);
	return GDB_DETACH;
}

/* `C` and `S`: a signal, then perhaps an address. */
static enum gdb_verdict resume_with_signal(struct packet *packet, enum gdb_action action)
{
	(void)gdb_number(&packet->in);
	if (packet->in.bad)
		return malformed(packet);
	if (!gdb_at_end(&packet->in))
		gdb_expect(&packet->in, ';');
	return packet->in.bad ? malformed(packet) : resume_from(packet, action);
}

static enum gdb_verdict handle(struct packet *packet, char letter)
{
	switch (letter) {
	case '?':
		put_stop(packet);
		return answer(packet);
	case 'g':
		return gdb_at_end(&packet->in) ? read_registers(packet) : malformed(packet);
	case 'G':
		return write_registers(packet);
	case 'p':
		return read_register(packet);
	case 'P':
		return write_register(packet);
	case 'm':
		return read_memory(packet);
	case 'M':
		return write_memory(packet, false);
	case 'X':
		return write_memory(packet, true);
	case 'Z':
		return change_breakpoint(packet, true);
	case 'z':
		return change_breakpoint(packet, false);
	case 'c':
		return resume_from(packet, GDB_CONTINUE);
	case 's':
		return resume_from(packet, GDB_STEP);
	case 'C':
		return resume_with_signal(packet, GDB_CONTINUE);
	case 'S':
		return resume_with_signal(packet, GDB_STEP);
	case 'H':
		return set_thread(packet);
	case 'T':
		return is_alive(packet);
	case 'q':
		return query(packet);
	case 'Q':
		return set(packet);
	case 'v':
		return multi_letter(packet);
	case 'D':
		return detach(packet);
	case 'k':
		return GDB_KILL;
	default:
		return unknown(packet);
	}
}

enum gdb_verdict gdb_stub_packet(struct gdb_stub *stub)
{
	const char *in = stub->link.in;
	struct packet packet = { .stub = stub,
				 .in = { .at = in, .end = in + stub->link.in_bytes },
				 .out = { .buffer = stub->answer, .bytes = sizeof(stub->answer) } };

	if (stub->link.in_bytes == 0)
		return unknown(&packet);
	packet.in.at++;
	return handle(&packet, in[0]);
}
