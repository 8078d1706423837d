/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's emulation of instructions against the CPU: each instruction is executed on plain memory and, with the same
 * state and contents at the same addresses, on memory of which one page is emulated.
 *
 *   emulate.efi [cases N] [seed N] [qemu | bochs]
 *
 * What ends an instruction, all registers, flags, and the memory around the operands (and now and then all of it) must be the same. Flags that the SDM calls undefined
 * after an instruction are not compared (cases.c has the list), nor upper halves of registers outside 64-bit mode.
 *
 * Where the emulated machines' CPUs are not as the manuals say, no such case is made (or that one detail is not compared):
 *
 * qemu	No alignment check (SDM: "Alignment Check Exception": EFLAGS.AC, CR0.AM and CPL 3 raise #AC; an unaligned load under them
 *	is executed). No segment limits, and no types (SDM: "Limit Checking", "Type Checking": a store through a code segment is
 *	executed in compatibility mode). RF stays set after an instruction that follows IRETQ (SDM: "Instruction-Breakpoint
 *	Exception Condition": the CPU clears it after the instruction). A read-modify-write of a page that is absent or read-only
 *	is reported as a read where it reads first (SDM: "Page-Fault Exceptions"; a CPU reports a write): known_difference().
 *	An address through SS that is not canonical is #GP (SDM: "PUSH", "POP": #SS). The trap of a single step after the last iteration
 *	of a repeated string instruction comes before RIP moves, with rCX = 0, and a second one comes after (SDM: "REP": the
 *	instruction ends when the counter becomes 0).
 * bochs	Version 3.0 ends itself in 64-bit mode on a repeated string instruction with 32-bit addresses, such as 67 F2 4E AA:
 *	"failed assertion cpu_mode != BX_MODE_LONG_64 at faststring.cc:113". REP MOVS of more than a byte copies byte by byte where
 *	source and destination are less than an element apart (SDM: "MOVS": elements): bytes_are_smeared() shows it.
 */
#include "tests/guests/emulate/cases.h"

enum { SHOWN_MAX = 20, MANY = 200000, REACH = 192, FULL_INTERVAL = 256 };
/* So many cases come upon each form. */
enum { ALL_FORMS = 4000 };

static uint32_t bad_count, done_count, fault_count, skipped_count;
static uint64_t emulated_count;
static uint32_t emulated_of[CASE_FORMS_MAX];
static bool is_qemu, is_bochs;

/* --- printing --- */

static void print_state(const char *name, const struct cpu_state *state)
{
	probe_print(
		"PROBE:   %s vector %lu error 0x%lx rip 0x%lx rflags 0x%lx cr2 0x%lx dr6 0x%lx\n",
		name, state->vector, state->error, state->rip, state->rflags, state->cr2,
		state->dr6);
}

static void print_case(uint32_t number, const struct test_case *test, const char *what)
{
	probe_print("PROBE: case %u %s mode %u BAD %s, bytes", number, test->name,
		    (uint32_t)test->mode, what);
	for (uint32_t i = 0; i < test->count; i++)
		probe_print(" %x", test->bytes[i]);
	probe_print("\n");
	print_state("in   ", &test->in);
}

static void print_registers(const struct test_case *test, const struct cpu_state *plain,
			    const struct cpu_state *emulated)
{
	print_state("plain", plain);
	print_state("emul ", emulated);
	for (uint32_t i = 0; i < 16; i++) {
		if (plain->gpr[i] != emulated->gpr[i] || i == RCX || i == RSI || i == RDI)
			probe_print("PROBE:   r%u in 0x%lx plain 0x%lx emul 0x%lx\n", i,
				    test->in.gpr[i], plain->gpr[i], emulated->gpr[i]);
	}
}

/* --- comparing --- */

static bool same_registers(const struct test_case *test, const struct cpu_state *plain,
			   const struct cpu_state *emulated)
{
	const bool is_long = test->mode == MODE_64_0 || test->mode == MODE_64_3;
	const uint64_t mask = is_long ? ~UINT64_C(0) : UINT32_MAX;
	const uint32_t count = is_long ? 16 : 8;

	for (uint32_t i = 0; i < count; i++) {
		if ((plain->gpr[i] ^ emulated->gpr[i]) & mask)
			return false;
	}
	return true;
}

/* The bit of the error code that says what the access was. */
static uint64_t known_difference(const struct test_case *test, const struct cpu_state *plain)
{
	return is_qemu && plain->vector == VECTOR_PF && test->modifies ? 2 : 0;
}

static bool same_end(const struct test_case *test, const struct cpu_state *plain,
		     const struct cpu_state *emulated)
{
	/* A fault leaves the flags as they were. */
	const bool is_complete = plain->vector == VECTOR_BP || plain->vector == VECTOR_DB;
	const uint64_t undefined = is_complete ? test->undefined : 0;

	if (plain->vector != emulated->vector || plain->rip != emulated->rip ||
	    plain->cs != emulated->cs || plain->ss != emulated->ss)
		return false;
	if ((plain->error ^ emulated->error) & ~known_difference(test, plain))
		return false;
	if ((plain->rflags ^ emulated->rflags) & ~undefined)
		return false;
	if (plain->vector == VECTOR_PF && plain->cr2 != emulated->cr2)
		return false;
	return plain->vector != VECTOR_DB || plain->dr6 == emulated->dr6;
}

/* Differences become equal again, for the cases to come. */
static bool same_words(uint32_t page, uint32_t from, uint32_t to)
{
	const uint64_t *one = (const uint64_t *)worlds[0].frames[page];
	uint64_t *two = (uint64_t *)worlds[1].frames[page];
	bool same = true;

	for (uint32_t at = from / 8; at < to / 8; at++) {
		if (one[at] == two[at])
			continue;
		if (same && bad_count < SHOWN_MAX)
			probe_print("PROBE:   page %u offset 0x%x plain 0x%lx emul 0x%lx\n", page,
				    at * 8, one[at], two[at]);
		same = false;
		two[at] = one[at];
	}
	return same;
}

static bool same_pages(void)
{
	bool same = true;

	for (uint32_t i = 0; i < WORLD_PAGES; i++)
		same &= same_words(i, 0, PAGE);
	return same;
}

/* Around one operand, as far as 20 elements reach. */
static bool same_around(uint64_t place)
{
	bool same = true;

	for (uint32_t i = 0; i < WORLD_PAGES; i++) {
		const uint64_t page = page_address(i), first = (place & ~UINT64_C(7)) - REACH,
			       last = (place & ~UINT64_C(7)) + REACH;

		if (last <= page || first >= page + PAGE)
			continue;
		same &= same_words(i, first > page ? (uint32_t)(first - page) : 0,
				   last < page + PAGE ? (uint32_t)(last - page) : PAGE);
	}
	return same;
}

static bool same_memory(uint32_t number, const struct test_case *test)
{
	bool same = same_around(test->places[0]);

	same &= same_around(test->places[1]);
	if (number % FULL_INTERVAL == 0)
		same &= same_pages();
	return same;
}

static void note_bad(uint32_t number, const struct test_case *test, const char *what,
		     const struct cpu_state *plain, const struct cpu_state *emulated)
{
	if (bad_count++ >= SHOWN_MAX)
		return;
	print_case(number, test, what);
	print_registers(test, plain, emulated);
}

/* --- running --- */

static bool run_case(uint32_t number, const struct test_case *test)
{
	struct cpu_state plain, emulated;
	uint64_t count;

	run_code(test->code_offset, test->bytes, test->count);
	run_rights(test->rights);
	probe_outb(0x3ff, (uint8_t)number);
	run_world(&worlds[0], &test->in, &plain);
	probe_outb(0x3ff, (uint8_t)number);
	if (!run_emulate(true))
		return false;
	run_world(&worlds[1], &test->in, &emulated);
	if (!run_emulate(false))
		return false;
	count = run_emulated();
	emulated_of[test->form] += count != emulated_count;
	emulated_count = count;
	fault_count += plain.vector != VECTOR_BP;
	done_count++;
	if (!same_registers(test, &plain, &emulated))
		note_bad(number, test, "registers", &plain, &emulated);
	else if (!same_end(test, &plain, &emulated))
		note_bad(number, test, "end", &plain, &emulated);
	if (!same_memory(number, test))
		note_bad(number, test, "memory", &plain, &emulated);
	return true;
}

static void fill_worlds(uint64_t *random)
{
	for (uint32_t i = 0; i < WORLD_PAGES; i++) {
		for (uint32_t at = 0; at < PAGE / 8; at++) {
			const uint64_t value = probe_random(random);

			((uint64_t *)worlds[0].frames[i])[at] = value;
			((uint64_t *)worlds[1].frames[i])[at] = value;
		}
	}
}

/* The known fault of Bochs: REP MOVSQ to one byte ahead makes eight copies of each quadword's first byte. */
static bool bytes_are_smeared(void)
{
	uint8_t text[24] = "abcdefghijklmnopqrstuvw";
	const uint8_t *from = text;
	uint8_t *to = text + 1;
	uint64_t count = 2;

	__asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
	/* From a quadword to the next only its last byte is carried on. */
	return text[3] != 'c' || text[8] != 'h' || text[10] != 'j';
}

static bool run_cases(uint32_t count, uint64_t random)
{
	const struct case_limits limits = { .qemu = is_qemu, .bochs = is_bochs };
	struct test_case test;

	fill_worlds(&random);
	for (uint32_t i = 0; i < count;) {
		if (!case_make(&random, &limits, &test)) {
			skipped_count++;
			continue;
		}
		if (!run_case(i++, &test))
			return false;
	}
	if (!same_pages())
		bad_count++;
	return true;
}

/* --- the hypercall --- */

static uint64_t vector_at(uint64_t cs, uint64_t ss, uint64_t rip)
{
	const uint8_t rights[WORLD_PAGES] = { PAGE_ALL, PAGE_ALL, PAGE_ALL,
					      PAGE_ALL, PAGE_ALL, PAGE_ALL };
	struct cpu_state in = { .cs = cs, .ss = ss, .rip = rip, .rflags = 2 }, out;

	in.ds = in.es = in.fs = in.gs = (uint16_t)ss;
	in.gpr[RAX] = UINT64_C(0x534f4c4f56454d55);
	in.gpr[RCX] = (uint64_t)worlds[1].frames[TARGET_INDEX];
	in.gpr[RDX] = 1;
	run_rights(rights);
	run_world(&worlds[1], &in, &out);
	return out.vector;
}

/* Who may call it for what, and how code ends it. */
static void check_hypercall(void)
{
	static const uint8_t vmcall[] = { 0x0f, 0x01, 0xc1 }, vmmcall[] = { 0x0f, 0x01, 0xd9 };
	uint8_t *frame = worlds[1].frames[TARGET_INDEX];
	const uint64_t other = (uint64_t)worlds[0].frames[TARGET_INDEX];

	run_code(0, vmcall, sizeof(vmcall));
	run_code(16, vmmcall, sizeof(vmmcall));
	probe_check(vector_at(SELECTOR_CODE64_3, SELECTOR_DATA_3, CODE_PAGE) == VECTOR_UD &&
			    vector_at(SELECTOR_CODE64_3, SELECTOR_DATA_3, CODE_PAGE + 16) ==
				    VECTOR_UD,
		    "cpl-3", "is let through");
	probe_check(run_hypercall(other + 1, 1) && run_hypercall(UINT64_C(0xfee00000), 1) &&
			    run_hypercall(UINT64_C(1) << 45, 1) && run_hypercall(other, 0),
		    "refused", "is not");
	frame[0] = 0xcc;
	probe_check(run_emulate(true) && !run_emulate(true) && run_hypercall(other, 1), "once",
		    "no");
	probe_check(vector_at(SELECTOR_CODE64_0, SELECTOR_DATA_0, TARGET_PAGE) == VECTOR_BP &&
			    !run_emulate(false),
		    "executed", "emulated still");
}

/* None that is always left to the CPU. */
static void check_forms(void)
{
	uint32_t missing = 0;

	for (uint32_t i = 0; i < case_form_count(); i++) {
		if (emulated_of[i])
			continue;
		missing++;
		probe_print("PROBE: %s, form %u, was never emulated\n", case_form_name(i), i);
	}
	probe_check(!missing, "forms", "%u of %u", missing, case_form_count());
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const uint64_t seed = probe_number(options, "seed", 1);
	const uint32_t count = (uint32_t)probe_number(options, "cases", MANY);
	bool good;

	is_qemu = probe_has_word(options, "qemu");
	is_bochs = probe_has_word(options, "bochs");
	if (probe_check(run_prepare(), "prepare", "an unknown machine")) {
		probe_print("PROBE: REP MOVSQ copies %s\n",
			    bytes_are_smeared() ? "bytes" : "quadwords");
		run_begin();
		check_hypercall();
		emulated_count = run_emulated();
		good = run_cases(count, seed * UINT64_C(0x9e3779b97f4a7c15) | 1);
		run_end();
		probe_check(good, "hypercall", "refused");
		probe_print("PROBE: cases=%u faults=%u remade=%u emulated=%lu\n", done_count,
			    fault_count, skipped_count, emulated_count);
		if (count >= ALL_FORMS)
			check_forms();
		probe_check(!bad_count, "same", "%u of %u cases", bad_count, done_count);
	}
	return probe_end();
}
