// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_io/strings.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trip.h"

/* A port that keeps what is written, and one that nobody listens to. */
enum { PORT_KEEPS = 0x84, PORT_EMPTY = 0x2f0, BUFFER = 256, ITEMS = 8 };
enum { RFLAGS_IOPL_3 = 0x3000 };
#define FNV_START     UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME     UINT64_C(0x100000001b3)
/* The trips' tables end here; the last bytes below it are no RAM. */
#define END_OF_TABLES UINT64_C(0x40000000)

struct form {
	const char *name;
	const char *bytes; /* followed by the INT */
	uint8_t count;
	bool ins;
	bool down;
	bool addresses_16; /* only the low 16 bits of the index count, from the segment's base */
};

#define CODE(bytes) (bytes), sizeof(bytes) - 1

/* CLD or STD comes first. DS and ES are flat but in real mode. */
static const struct form forms[] = {
	{ "insb", CODE("\x6c"), true, false, false },
	{ "insd", CODE("\x6d"), true, false, false },
	{ "insw", CODE("\x66\x6d"), true, false, false },
	{ "outsb", CODE("\x6e"), false, false, false },
	{ "outsd", CODE("\x6f"), false, false, false },
	{ "outsw", CODE("\x66\x6f"), false, false, false },
	{ "rep.insb", CODE("\xf3\x6c"), true, false, false },
	{ "rep.insd", CODE("\xf3\x6d"), true, false, false },
	{ "rep.insw", CODE("\xf3\x66\x6d"), true, false, false },
	{ "rep.outsb", CODE("\xf3\x6e"), false, false, false },
	{ "rep.outsd", CODE("\xf3\x6f"), false, false, false },
	{ "rep.outsw", CODE("\xf3\x66\x6f"), false, false, false },
	{ "repne.outsb", CODE("\xf2\x6e"), false, false, false },
	{ "rexw.insd", CODE("\xf3\x48\x6d"), true, false, false },
	{ "rep.insb.down", CODE("\xf3\x6c"), true, true, false },
	{ "rep.insd.down", CODE("\xf3\x6d"), true, true, false },
	{ "rep.outsd.down", CODE("\xf3\x6f"), false, true, false },
	{ "rep.outsb.es", CODE("\xf3\x26\x6e"), false, false, false },
	{ "rep.outsb.ss", CODE("\xf3\x36\x6e"), false, false, false },
	{ "rep.insb.ds", CODE("\xf3\x3e\x6c"), true, false, false },
	{ "lock.outsb", CODE("\xf0\x6e"), false, false, false },
	{ "rep.insb.67", CODE("\xf3\x67\x6c"), true, false, true },
	{ "rep.outsb.67", CODE("\xf3\x67\x6e"), false, false, true },
};

static uint64_t hash_of(const uint8_t *bytes, uint32_t count)
{
	uint64_t sum = FNV_START;

	for (uint32_t i = 0; i < count; i++)
		sum = (sum ^ bytes[i]) * FNV_PRIME;
	return sum;
}

static void run_form(const struct form *form, struct trip *trip, struct trip_end *end)
{
	uint8_t code[24];

	code[0] = form->down ? 0xfd : 0xfc;
	CopyMem(code + 1, (void *)(UINTN)form->bytes, form->count);
	code[1 + form->count] = 0xcd;
	code[2 + form->count] = TRIP_DONE;
	trip->code = code;
	trip->bytes = 3u + form->count;
	trip_run(trip, end);
}

static bool is_16(enum trip_mode mode)
{
	return mode == TRIP_LONG_16 || mode == TRIP_FLAT_16 || mode == TRIP_REAL_16;
}

/* The scratch bytes as this mode and this instruction address them; false: they do not reach them. */
static bool place(const struct form *form, enum trip_mode mode, uint64_t *index)
{
	const bool long_code = mode == TRIP_LONG_64 || mode == TRIP_USER_64;
	const uint64_t scratch = (uint64_t)trip_scratch() + BUFFER;

	*index = scratch;
	if (mode == TRIP_REAL_16) {
		*index = (scratch & 0xfff) | 0x2000;
		return true;
	}
	/* 16-bit addresses from base 0 lie in somebody's memory. */
	return long_code || is_16(mode) == form->addresses_16;
}

static void print_form(const struct form *form, enum trip_mode mode, uint16_t port)
{
	uint8_t *scratch = trip_scratch();
	struct trip trip = { .mode = mode };
	struct trip_end end;
	uint64_t index;

	if (!place(form, mode, &index))
		return;
	for (uint32_t i = 0; i < TRIP_SCRATCH; i++)
		scratch[i] = (uint8_t)(i * 7 + 3);
	probe_outb(PORT_KEEPS, 0x5a);
	trip.regs[TRIP_C] = ITEMS | (mode == TRIP_LONG_64 ? 0 : UINT64_C(0));
	trip.regs[TRIP_D] = port;
	trip.regs[TRIP_SI] = trip.regs[TRIP_DI] = index;
	run_form(form, &trip, &end);
	fact_line(
		"%s%s.0x%x.%s = vector %u error 0x%lx ip %lu c 0x%lx si +0x%x di +0x%x bytes 0x%lx port 0x%x",
		fact_cpu(), trip_mode_name(mode), port, form->name, end.vector, end.error, end.ip,
		end.regs[TRIP_C], (uint32_t)(end.regs[TRIP_SI] - index),
		(uint32_t)(end.regs[TRIP_DI] - index), hash_of(scratch, TRIP_SCRATCH),
		probe_inb(PORT_KEEPS));
}

/* The fifth item lies behind the last page. */
static void print_fault(const struct form *form, enum trip_mode mode, uint32_t bytes,
			uint64_t end_address, uint32_t number)
{
	struct trip trip = { .mode = mode };
	const uint64_t index = end_address - 4 * bytes;
	struct trip_end end;

	trip.regs[TRIP_C] = ITEMS;
	trip.regs[TRIP_D] = PORT_EMPTY;
	trip.regs[TRIP_SI] = trip.regs[TRIP_DI] = index;
	run_form(form, &trip, &end);
	fact_line(
		"%s%s.edge.%s.%u = vector %u error 0x%lx ip %lu c 0x%lx si +0x%lx di +0x%lx cr2 +0x%lx",
		fact_cpu(), trip_mode_name(mode), form->name, number, end.vector, end.error, end.ip,
		end.regs[TRIP_C], end.regs[TRIP_SI] - index, end.regs[TRIP_DI] - index,
		end.vector == VECTOR_PF ? end.cr2 - end_address : 0);
}

static void print_faults(enum trip_mode mode)
{
	static const struct form edges[] = {
		{ "insb", CODE("\xf3\x6c"), true, false, false },
		{ "insw", CODE("\xf3\x66\x6d"), true, false, false },
		{ "insd", CODE("\xf3\x6d"), true, false, false },
		{ "outsb", CODE("\xf3\x6e"), false, false, false },
		{ "outsw", CODE("\xf3\x66\x6f"), false, false, false },
		{ "outsd", CODE("\xf3\x6f"), false, false, false },
	};
	static const uint8_t sizes[] = { 1, 2, 4, 1, 2, 4 };

	for (uint32_t i = 0; i < sizeof(sizes); i++) {
		print_fault(&edges[i], mode, sizes[i], END_OF_TABLES, 0);
		/* An item on both sides of the edge. */
		if (sizes[i] > 1)
			print_fault(&edges[i], mode, sizes[i], END_OF_TABLES + 1, 1);
	}
	if (mode == TRIP_LONG_64) {
		/* What is not canonical from the first item on. */
		for (uint32_t i = 0; i < sizeof(sizes); i++)
			print_fault(&edges[i], mode, sizes[i],
				    UINT64_C(0x800000000000) + 4 * sizes[i], 2);
	}
}

void strings_print(void)
{
	for (uint32_t mode = TRIP_LONG_64; mode <= TRIP_REAL_16; mode++) {
		for (uint32_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
			print_form(&forms[i], mode, PORT_KEEPS);
			print_form(&forms[i], mode, PORT_EMPTY);
		}
		if (mode <= TRIP_PSE_32 && mode != TRIP_LONG_16)
			print_faults(mode);
	}
}

/* --- CPL 3 --- */

struct access {
	const char *name;
	const char *bytes;
	uint8_t count;
};

static const struct access accesses[] = {
	{ "inb", CODE("\xec") },	   { "inw", CODE("\x66\xed") },
	{ "ind", CODE("\xed") },	   { "outb", CODE("\xee") },
	{ "outw", CODE("\x66\xef") },	   { "outd", CODE("\xef") },
	{ "insb", CODE("\x6c") },	   { "outsd", CODE("\x6f") },
	{ "rep.outsb", CODE("\xf3\x6e") }, { "rep.insd", CODE("\xf3\x6d") },
};

static void print_permission(enum trip_mode mode, const struct access *access, uint16_t port,
			     uint32_t iopl, bool mapped)
{
	struct trip trip = { .mode = mode, .rflags = iopl };
	struct trip_end end;
	const struct form form = { access->name, access->bytes, access->count, true, false, false };

	trip.regs[TRIP_C] = 2;
	trip.regs[TRIP_D] = port;
	trip.regs[TRIP_SI] = trip.regs[TRIP_DI] = mapped ? (uint64_t)trip_scratch() : END_OF_TABLES;
	run_form(&form, &trip, &end);
	fact_line("%s%s.iopl%u.0x%x.%s%s = vector %u error 0x%lx ip %lu c 0x%lx", fact_cpu(),
		  trip_mode_name(mode), iopl >> 12, port, access->name, mapped ? "" : ".absent",
		  end.vector, end.error, end.ip, end.regs[TRIP_C]);
}

void permissions_print(void)
{
	static const enum trip_mode modes[] = { TRIP_USER_64, TRIP_USER_LONG_32, TRIP_USER_32 };
	/* Allowed are 0x2f0 to 0x2f3 and 0x2f6, and the last one of the map. */
	static const uint16_t ports[] = { 0x2ef, 0x2f0, 0x2f1, 0x2f2, 0x2f3,
					  0x2f4, 0x2f6, 0x3ff, 0x400, 0xffff };
	uint8_t *map = trip_io_bitmap();

	map[0x2f0 / 8] = 0xb0;
	map[TRIP_PORTS / 8 - 1] = 0x7f;
	for (uint32_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
		for (uint32_t p = 0; p < sizeof(ports) / sizeof(ports[0]); p++) {
			for (uint32_t a = 0; a < sizeof(accesses) / sizeof(accesses[0]); a++) {
				print_permission(modes[m], &accesses[a], ports[p], 0, true);
				/* The port's fault comes before the page's. */
				if (a >= 6)
					print_permission(modes[m], &accesses[a], ports[p], 0,
							 false);
			}
		}
		for (uint32_t a = 0; a < sizeof(accesses) / sizeof(accesses[0]); a++)
			print_permission(modes[m], &accesses[a], 0x2f4, RFLAGS_IOPL_3, true);
	}
}
