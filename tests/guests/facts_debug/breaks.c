// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_debug/breaks.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { CODE_MAX = 20, BREAKPOINTS = 4, DATA = 0x100, PAGE_END = 0xffc };
/* DR7's R/W and length codes. */
enum kind { EXECUTE, WRITE, PORT, ACCESS };
enum { LENGTH_1 = 0, LENGTH_2 = 1, LENGTH_8 = 2, LENGTH_4 = 3 };
enum { APIC_EOI_ADDRESS = 0xfee000b0 };
#define CR4_DE	 UINT64_C(8)
#define DR7_INIT UINT64_C(0x400)

struct breakpoint {
	enum kind kind;
	uint32_t length;
	uint32_t at; /* an offset from the code's start, from ARENA_DATA, or a port */
};

struct code {
	const char *name;
	uint8_t bytes[CODE_MAX];
	uint32_t count;
};

static uint64_t address_of(const struct breakpoint *breakpoint)
{
	if (breakpoint->kind == EXECUTE)
		return ARENA_CODE + TRIAL_OFFSET + breakpoint->at;
	if (breakpoint->kind == PORT || breakpoint->at >= ARENA_BASE)
		return breakpoint->at;
	return ARENA_DATA + breakpoint->at;
}

static void set_address(uint32_t index, uint64_t address)
{
	switch (index) {
	case 0:
		__asm__ volatile("mov %0, %%dr0" : : "r"(address));
		break;
	case 1:
		__asm__ volatile("mov %0, %%dr1" : : "r"(address));
		break;
	case 2:
		__asm__ volatile("mov %0, %%dr2" : : "r"(address));
		break;
	default:
		__asm__ volatile("mov %0, %%dr3" : : "r"(address));
		break;
	}
}

static void clear(void)
{
	for (uint32_t i = 0; i < BREAKPOINTS; i++)
		set_address(i, ARENA_BASE + ARENA_BYTES);
}

/* The bits of DR7 without the one that switches it on. */
static uint64_t dr7_of(uint32_t index, const struct breakpoint *breakpoint)
{
	return (uint64_t)(breakpoint->kind | breakpoint->length << 2) << (16 + 4 * index);
}

static void run(const char *prefix, struct trial *trial, const struct code *code,
		const struct breakpoint *breakpoint)
{
	const uint64_t flags = trial->in.rflags;
	struct trial_text key = { .length = 0 };

	if (breakpoint) {
		set_address(0, address_of(breakpoint));
		trial->dr7 = DR7_INIT | 1 | dr7_of(0, breakpoint);
	}
	trial_run(trial);
	trial->dr7 = 0;
	clear();
	trial_print(&key, "%s.%s", prefix, code->name);
	if (breakpoint)
		trial_print(&key, ".at-0x%lx-%u", (uint64_t)breakpoint->at, breakpoint->length);
	trial_print(&key, "%s%s.%s", flags & TRIAL_TF ? ".step" : "", flags & TRIAL_RF ? ".rf" : "",
		    trial_mode_name(trial->mode));
	trial_fact(key.text, trial);
}

static void init(struct trial *trial, enum trial_mode mode, const struct code *code)
{
	trial_init(trial, mode, code->bytes, code->count);
	trial->in.gpr[TRIAL_RBX] += DATA;
	trial->in.gpr[TRIAL_RSI] += DATA;
	trial->in.gpr[TRIAL_RDI] += DATA;
	trial->in.gpr[TRIAL_RAX] = 0;
	trial->in.gpr[TRIAL_RCX] = 6;
}

/* --- on instructions --- */

/* Two bytes each, so that what follows is at 2; all of CPL 0, and what is not there is #UD. */
static const struct code instructions[] = {
	{ "nop", { 0x66, 0x90, 0x90, 0x90 }, 4 },
	{ "cpuid", { 0x0f, 0xa2, 0x90, 0x90 }, 4 },
	{ "rdtsc", { 0x0f, 0x31, 0x90 }, 3 },
	{ "wbinvd", { 0x0f, 0x09, 0x90 }, 3 },
	{ "invd", { 0x0f, 0x08, 0x90 }, 3 },
	{ "in", { 0xe4, 0x61, 0x90 }, 3 },
	{ "out", { 0xe6, 0x80, 0x90 }, 3 },
	{ "ud2", { 0x0f, 0x0b }, 2 },
	{ "clts", { 0x0f, 0x06, 0x90 }, 3 },
	{ "two-cpuid", { 0x0f, 0xa2, 0x0f, 0xa2 }, 4 },
	{ "sti-cpuid", { 0x90, 0xfb, 0x0f, 0xa2, 0xfa }, 5 },
	{ "ss-cpuid", { 0x8e, 0xd0, 0x0f, 0xa2, 0x90 }, 5 },
	{ "cpuid-int3", { 0x0f, 0xa2, 0xcc }, 3 },
	{ "jump", { 0xeb, 0x00, 0x0f, 0xa2, 0x90 }, 5 },
};

static void on_instruction(enum trial_mode mode, const struct code *code, uint32_t at,
			   uint64_t flags)
{
	const struct breakpoint breakpoint = { EXECUTE, LENGTH_1, at };
	struct trial trial;

	init(&trial, mode, code);
	trial.in.gpr[TRIAL_RAX] = trial.in.ss;
	trial.in.rflags |= flags;
	run("execute", &trial, code, &breakpoint);
}

static void on_instructions(bool full, bool flat)
{
	for (uint32_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		const struct code *code = &instructions[i];

		for (uint32_t at = 0; at < 3; at++)
			on_instruction(TRIAL_64_0, code, at, 0);
		on_instruction(TRIAL_64_0, code, 0, TRIAL_RF);
		on_instruction(TRIAL_64_0, code, 2, TRIAL_RF);
		on_instruction(TRIAL_64_0, code, 0, TRIAL_TF);
		on_instruction(TRIAL_64_0, code, 2, TRIAL_TF);
		on_instruction(TRIAL_64_0, code, 0, TRIAL_TF | TRIAL_RF);
		if (!full && i > 1)
			continue;
		for (enum trial_mode mode = TRIAL_64_3; mode < (flat ? TRIAL_16_0 : TRIAL_MODES);
		     mode++) {
			on_instruction(mode, code, 0, 0);
			on_instruction(mode, code, 2, 0);
		}
	}
}

/* Several at once, and those that are not switched on. */
static void combinations(void)
{
	static const struct code code = { "cpuid", { 0x0f, 0xa2, 0x90, 0x90 }, 4 };
	static const struct breakpoint here = { EXECUTE, LENGTH_1, 2 };

	for (uint32_t enabled = 0; enabled < 256; enabled += 15) {
		struct trial_text key = { .length = 0 };
		struct trial trial;

		init(&trial, TRIAL_64_0, &code);
		for (uint32_t i = 0; i < BREAKPOINTS; i++)
			set_address(i, address_of(&here));
		trial.dr7 = DR7_INIT | enabled;
		trial_run(&trial);
		clear();
		trial_print(&key, "combined.0x%x", enabled);
		trial_fact(key.text, &trial);
	}
}

/* --- on data --- */

static const struct code data_codes[] = {
	{ "stosb", { 0xaa, 0x90 }, 2 },
	{ "stosd", { 0xab, 0x90 }, 2 },
	{ "lodsd", { 0xad, 0x90 }, 2 },
	{ "movsd", { 0xa5, 0x90 }, 2 },
	{ "rep-stosb", { 0xf3, 0xaa, 0x90 }, 3 },
	{ "rep-movsb", { 0xf3, 0xa4, 0x90 }, 3 },
	{ "rep-lodsb", { 0xf3, 0xac, 0x90 }, 3 },
	{ "stosd-cpuid", { 0xab, 0x0f, 0xa2, 0x90 }, 4 },
	{ "stosd-cli-in", { 0xab, 0xfa, 0xe4, 0x61, 0x90 }, 5 },
	{ "stosd-int3", { 0xab, 0xcc, 0x90 }, 3 },
	{ "stosd-ud2", { 0xab, 0x0f, 0x0b }, 3 },
};

static const struct code port_codes[] = {
	{ "outsb", { 0x6e, 0x90 }, 2 },
	{ "insb", { 0x6c, 0x90 }, 2 },
	{ "rep-outsb", { 0xf3, 0x6e, 0x90 }, 3 },
	{ "rep-insb", { 0xf3, 0x6c, 0x90 }, 3 },
	{ "in", { 0xe4, 0x80, 0x90 }, 3 },
	{ "out", { 0xe6, 0x80, 0x90 }, 3 },
	{ "in-dx-word", { 0x66, 0xed, 0x90 }, 3 },
	{ "out-dx", { 0xee, 0x90 }, 2 },
};

static void on_data(enum trial_mode mode, const struct code *code,
		    const struct breakpoint *breakpoint, uint64_t flags)
{
	struct trial trial;

	init(&trial, mode, code);
	trial.in.gpr[TRIAL_RDX] = 0x80;
	trial.in.rflags |= flags;
	run(breakpoint->kind == ACCESS	? "access"
	    : breakpoint->kind == WRITE ? "write-to"
					: "port",
	    &trial, code, breakpoint);
}

static void on_datas(bool full)
{
	static const struct breakpoint breakpoints[] = {
		{ WRITE, LENGTH_1, DATA },	{ WRITE, LENGTH_1, DATA + 3 },
		{ WRITE, LENGTH_4, DATA },	{ ACCESS, LENGTH_1, DATA },
		{ ACCESS, LENGTH_2, DATA + 1 }, { ACCESS, LENGTH_4, DATA + 6 },
		{ ACCESS, LENGTH_8, DATA },	{ ACCESS, LENGTH_1, DATA + 4 },
	};

	for (uint32_t i = 0; i < sizeof(data_codes) / sizeof(data_codes[0]); i++) {
		for (uint32_t j = 0; j < sizeof(breakpoints) / sizeof(breakpoints[0]); j++) {
			on_data(TRIAL_64_0, &data_codes[i], &breakpoints[j], 0);
			if (j == 1 || j == 3)
				on_data(TRIAL_64_0, &data_codes[i], &breakpoints[j], TRIAL_TF);
		}
		if (!full && i > 4)
			continue;
		for (enum trial_mode mode = TRIAL_64_3; mode < TRIAL_MODES; mode++)
			on_data(mode, &data_codes[i], &breakpoints[3], 0);
	}
}

static void on_ports(void)
{
	static const struct breakpoint breakpoints[] = {
		{ PORT, LENGTH_1, 0x80 },
		{ PORT, LENGTH_4, 0x82 },
		{ PORT, LENGTH_1, 0x81 },
		{ ACCESS, LENGTH_1, DATA + 2 },
	};
	const uint64_t cr4 = probe_cr4();

	for (uint32_t i = 0; i < sizeof(port_codes) / sizeof(port_codes[0]); i++) {
		for (uint32_t j = 0; j < sizeof(breakpoints) / sizeof(breakpoints[0]); j++) {
			probe_set_cr4(cr4 | CR4_DE);
			on_data(TRIAL_64_0, &port_codes[i], &breakpoints[j], 0);
			on_data(TRIAL_64_0, &port_codes[i], &breakpoints[j], TRIAL_TF);
			if (j == 0) {
				on_data(TRIAL_64_3, &port_codes[i], &breakpoints[j], TRIAL_IOPL3);
				on_data(TRIAL_32_0, &port_codes[i], &breakpoints[j], 0);
				on_data(TRIAL_16_0, &port_codes[i], &breakpoints[j], 0);
			}
			probe_set_cr4(cr4);
		}
	}
}

/* The access reaches over the end of a page. */
static void across_pages(void)
{
	static const struct code code = { "stosq-cross", { 0x48, 0xab, 0x90 }, 3 };
	static const struct breakpoint breakpoints[] = {
		{ WRITE, LENGTH_1, PAGE_END },	   { WRITE, LENGTH_4, PAGE_END },
		{ WRITE, LENGTH_1, PAGE_END + 4 }, { WRITE, LENGTH_1, PAGE_END + 7 },
		{ WRITE, LENGTH_1, PAGE_END + 8 },
	};

	for (uint32_t i = 0; i < sizeof(breakpoints) / sizeof(breakpoints[0]); i++) {
		for (uint32_t absent = 0; absent < 2; absent++) {
			struct trial trial;

			init(&trial, TRIAL_64_0, &code);
			trial.in.gpr[TRIAL_RDI] = ARENA_DATA + PAGE_END;
			if (absent)
				arena_page(ARENA_DATA + ARENA_PAGE, 0);
			run(absent ? "absent" : "across", &trial, &code, &breakpoints[i]);
			arena_reset();
		}
	}
}

/* MOV SS from memory that is watched: the trap waits for the next instruction to be done, whatever that is. */
static const struct code held_codes[] = {
	{ "nop", { 0x8e, 0x13, 0x90, 0x90 }, 4 },
	{ "cpuid", { 0x8e, 0x13, 0x0f, 0xa2, 0x90 }, 5 },
	{ "rdtsc", { 0x8e, 0x13, 0x0f, 0x31, 0x90 }, 5 },
	{ "in", { 0x8e, 0x13, 0xe4, 0x61, 0x90 }, 5 },
	{ "int3", { 0x8e, 0x13, 0xcc, 0x90 }, 4 },
	{ "int1", { 0x8e, 0x13, 0xf1, 0x90 }, 4 },
	{ "int", { 0x8e, 0x13, 0xcd, 0x42, 0x90 }, 5 },
	{ "ud2", { 0x8e, 0x13, 0x0f, 0x0b }, 4 },
	{ "vmcall", { 0x8e, 0x13, 0x0f, 0x01, 0xc1 }, 5 },
	{ "vmmcall", { 0x8e, 0x13, 0x0f, 0x01, 0xd9 }, 5 },
	{ "wbinvd", { 0x8e, 0x13, 0x0f, 0x09, 0x90 }, 5 },
	{ "ss", { 0x8e, 0x13, 0x8e, 0x13, 0x90, 0x90 }, 6 },
	{ "sti", { 0x8e, 0x13, 0xfb, 0x0f, 0xa2, 0xfa }, 6 },
	{ "mov-dr", { 0x8e, 0x13, 0x0f, 0x21, 0xf1, 0x90 }, 6 },
};

static void held_back(void)
{
	static const struct breakpoint breakpoint = { ACCESS, LENGTH_2, DATA };

	for (uint32_t i = 0; i < sizeof(held_codes) / sizeof(held_codes[0]); i++) {
		for (uint32_t j = 0; j < 3; j++) {
			const enum trial_mode mode = j == 2 ? TRIAL_32_0 : TRIAL_64_0;
			struct trial trial;

			init(&trial, mode, &held_codes[i]);
			*(uint16_t *)(UINTN)(ARENA_DATA + DATA) = (uint16_t)trial.in.ss;
			trial.in.rflags |= j == 1 ? TRIAL_TF : 0;
			run("held", &trial, &held_codes[i], &breakpoint);
		}
	}
}

/* A store to the local APIC, which a hypervisor may have to execute itself. */
static void on_apic(void)
{
	static const struct code code = { "apic-eoi", { 0x89, 0x03, 0x90 }, 3 };
	static const struct breakpoint breakpoint = { WRITE, LENGTH_4, APIC_EOI_ADDRESS };

	if ((probe_apic_base() & ~UINT64_C(0xfff)) != (APIC_EOI_ADDRESS & ~0xfffu) ||
	    (probe_apic_base() & 0xc00) != 0x800) {
		fact("apic", "absent");
		return;
	}
	for (uint32_t i = 0; i < 4; i++) {
		struct trial trial;

		init(&trial, i < 2 ? TRIAL_64_0 : TRIAL_32_0, &code);
		trial.in.gpr[TRIAL_RBX] = APIC_EOI_ADDRESS;
		trial.in.rflags |= i & 1 ? TRIAL_TF : 0;
		run("write-to", &trial, &code, &breakpoint);
		run("plain", &trial, &code, NULL);
	}
}

void facts_breaks(bool full, bool flat)
{
	clear();
	on_instructions(full, flat);
	combinations();
	on_datas(full);
	on_ports();
	across_pages();
	held_back();
	on_apic();
	clear();
}
