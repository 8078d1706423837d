/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/fact.h"

#include "tests/guests/lib/probe.h"

enum { LINE_BYTES = 512, WAITING_MAX = 8, NOBODY = -1 };

static const char *fact_name = "";
static uint32_t fact_count;
static int32_t owner = NOBODY;
/* Lines of handlers that interrupted the owner: printed by it when its own is done. */
static char waiting[WAITING_MAX][LINE_BYTES];
static uint32_t waiting_count, waiting_lost;

/* Not from GS, which a probe may have changed. */
static int32_t this_apic_id(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	return (int32_t)(regs[1] >> 24);
}

static uint32_t count_of(const uint32_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

static void keep(const char *line)
{
	const uint32_t at = count_of(&waiting_count);

	if (at == WAITING_MAX) {
		__atomic_add_fetch(&waiting_lost, 1, __ATOMIC_SEQ_CST);
		return;
	}
	CopyMem(waiting[at], line, LINE_BYTES);
	__atomic_store_n(&waiting_count, at + 1, __ATOMIC_SEQ_CST);
}

/* A handler may come at any point, also while its predecessor's line is printed. */
static void print_waiting(void)
{
	uint32_t done = 0, count;

	do {
		count = count_of(&waiting_count);
		while (done < count)
			probe_print("%s\n", waiting[done++]);
	} while (!__atomic_compare_exchange_n(&waiting_count, &count, 0, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	if (count_of(&waiting_lost))
		probe_print("FACT: lost.lines = %u\n", count_of(&waiting_lost));
}

/* False: this CPU has it already, below in its stack. */
static bool take_turn(int32_t self)
{
	int32_t expected = NOBODY;

	while (!__atomic_compare_exchange_n(&owner, &expected, self, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST)) {
		if (expected == self)
			return false;
		expected = NOBODY;
		__asm__ volatile("pause");
	}
	return true;
}

static void print_line(const char *line)
{
	const int32_t self = this_apic_id();

	if (!take_turn(self)) {
		keep(line);
		return;
	}
	probe_print("%s\n", line);
	for (;;) {
		print_waiting();
		__atomic_store_n(&owner, NOBODY, __ATOMIC_SEQ_CST);
		if (!count_of(&waiting_count) || !take_turn(self))
			return;
	}
}

static UINTN append(char *line, UINTN at, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	at += probe_vformat(line + at, LINE_BYTES - at, format, arguments);
	va_end(arguments);
	return at;
}

/* With the sum of its bytes: a character may get lost on the way. */
static void print_fact(char *line)
{
	uint8_t sum = 0;
	UINTN at = 0;

	while (line[at] != 0)
		sum = (uint8_t)(sum + (uint8_t)line[at++]);
	append(line, at, " #%x%x", sum >> 4, sum & 15);
	__atomic_add_fetch(&fact_count, 1, __ATOMIC_SEQ_CST);
	print_line(line);
}

void fact(const char *key, const char *format, ...)
{
	char line[LINE_BYTES];
	const UINTN at = append(line, 0, "FACT: %s = ", key);
	va_list arguments;

	va_start(arguments, format);
	probe_vformat(line + at, LINE_BYTES - at, format, arguments);
	va_end(arguments);
	print_fact(line);
}

void fact_line(const char *format, ...)
{
	char line[LINE_BYTES];
	const UINTN at = append(line, 0, "FACT: ");
	va_list arguments;

	va_start(arguments, format);
	probe_vformat(line + at, LINE_BYTES - at, format, arguments);
	va_end(arguments);
	print_fact(line);
}

void fact_begin(const char *name)
{
	fact_name = name;
	fact_count = 0;
	probe_print("FACT: begin %s\n", name);
}

void fact_end(void)
{
	probe_print("FACT: end %s lines=%u\n", fact_name, fact_count);
}

const char *fact_cpu(void)
{
	static const char names[PROBE_CPUS_MAX][8] = { "cpu0.",	 "cpu1.",  "cpu2.",  "cpu3.",
						       "cpu4.",	 "cpu5.",  "cpu6.",  "cpu7.",
						       "cpu8.",	 "cpu9.",  "cpu10.", "cpu11.",
						       "cpu12.", "cpu13.", "cpu14.", "cpu15." };

	return names[probe_this_cpu()->index];
}
