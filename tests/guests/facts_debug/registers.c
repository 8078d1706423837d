// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_debug/registers.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { CODE_BYTES = 6, DR7_GD = 0x2000 };
#define CR4_DE	 UINT64_C(8)
#define DR7_INIT UINT64_C(0x400)

static const uint64_t values[] = {
	0,
	0x1,
	0xff,
	0x10000,
	0x12345678,
	0x400,
	0xffff0ff0,
	0xffffffff & ~(uint64_t)DR7_GD,
	0xfff0ffff & ~(uint64_t)DR7_GD,
	0x100000000,
	0x7fffffffffff,
	0x8000000000000000,
	0xffff800000000000,
	0xffffffffffffffff & ~(uint64_t)DR7_GD,
};

/* MOV DRn, RAX; MOV RCX, DRn; whatever may go wrong. */
static void write_and_read(struct trial *trial, enum trial_mode mode, uint32_t reg, uint64_t value)
{
	const uint8_t modrm = (uint8_t)(0xc0 | reg << 3);
	const uint8_t code[CODE_BYTES] = { 0x0f, 0x23, modrm, 0x0f, 0x21, (uint8_t)(modrm | 1) };

	trial_init(trial, mode, code, sizeof(code));
	trial->keeps_dr6 = reg == 4 || reg == 6;
	trial->in.gpr[TRIAL_RAX] = value;
	trial->in.gpr[TRIAL_RCX] = UINT64_C(0xa5a5a5a5a5a5a5a5);
	trial_run(trial);
}

static void write_fact(const char *prefix, enum trial_mode mode, uint32_t reg, uint64_t value)
{
	struct trial_text key = { .length = 0 };
	struct trial trial;

	write_and_read(&trial, mode, reg, value);
	trial_print(&key, "%s.dr%u.0x%lx.%s", prefix, reg, value, trial_mode_name(mode));
	if (trial.ended && !trial.count)
		fact(key.text, "0x%lx", trial.last.gpr[TRIAL_RCX]);
	else
		trial_fact(key.text, &trial);
}

static void reset_registers(void)
{
	__asm__ volatile("mov %0, %%dr7" : : "r"(DR7_INIT));
	__asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3"
			 :
			 : "r"((uint64_t)ARENA_BASE + ARENA_BYTES));
}

static void writes(void)
{
	for (uint32_t reg = 0; reg < 8; reg++) {
		for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			write_fact("write", TRIAL_64_0, reg, values[i]);
			reset_registers();
		}
		for (enum trial_mode mode = TRIAL_64_3; mode < TRIAL_MODES; mode++) {
			write_fact("write", mode, reg, 0xfffff00f);
			reset_registers();
		}
	}
	/* What is not there at all. */
	for (uint32_t reg = 0; reg < 8; reg++) {
		static const uint8_t rex[] = { 0x44 };
		uint8_t code[] = { rex[0], 0x0f, 0x21, (uint8_t)(0xc0 | reg << 3) };
		struct trial_text key = { .length = 0 };
		struct trial trial;

		trial_init(&trial, TRIAL_64_0, code, sizeof(code));
		trial_run(&trial);
		trial_print(&key, "read.dr%u", reg + 8);
		trial_fact(key.text, &trial);
	}
}

/* Each bit of DR6 and DR7 alone. */
static void bits(void)
{
	for (uint32_t bit = 0; bit < 33; bit++) {
		if (bit == 13)
			continue;
		write_fact("bit", TRIAL_64_0, 6, UINT64_C(1) << bit);
		write_fact("bit", TRIAL_64_0, 7, UINT64_C(1) << bit);
		reset_registers();
	}
}

static void aliases(void)
{
	const uint64_t cr4 = probe_cr4();

	for (uint32_t on = 0; on < 2; on++) {
		const char *prefix = on ? "de" : "no-de";

		probe_set_cr4(on ? cr4 | CR4_DE : cr4 & ~CR4_DE);
		for (enum trial_mode mode = TRIAL_64_0; mode < TRIAL_MODES; mode++) {
			write_fact(prefix, mode, 4, 0xf);
			write_fact(prefix, mode, 5, DR7_INIT | 0x100);
			reset_registers();
		}
		/* Of an enabled breakpoint: R/W = 2 is for I/O ports, or undefined. */
		write_fact(prefix, TRIAL_64_0, 7, DR7_INIT | 0x20000);
	}
	probe_set_cr4(cr4);
	reset_registers();
}

struct detect {
	const char *name;
	uint8_t code[4];
	uint32_t bytes;
};

/* Any MOV DR is caught when DR7.GD is set, which the exception clears. */
static const struct detect detects[] = {
	{ "read-dr0", { 0x0f, 0x21, 0xc0 }, 3 },  { "write-dr0", { 0x0f, 0x23, 0xc0 }, 3 },
	{ "read-dr3", { 0x0f, 0x21, 0xd8 }, 3 },  { "read-dr4", { 0x0f, 0x21, 0xe0 }, 3 },
	{ "write-dr5", { 0x0f, 0x23, 0xe8 }, 3 }, { "read-dr6", { 0x0f, 0x21, 0xf0 }, 3 },
	{ "write-dr6", { 0x0f, 0x23, 0xf0 }, 3 }, { "read-dr7", { 0x0f, 0x21, 0xf8 }, 3 },
	{ "write-dr7", { 0x0f, 0x23, 0xf8 }, 3 }, { "cpuid", { 0x0f, 0xa2 }, 2 },
};

static void general_detect(enum trial_mode mode, const struct detect *detect, uint64_t flags)
{
	struct trial_text key = { .length = 0 };
	struct trial trial;

	trial_init(&trial, mode, detect->code, detect->bytes);
	trial.in.rflags |= flags;
	trial.in.gpr[TRIAL_RAX] = DR7_INIT;
	trial.dr7 = DR7_INIT | DR7_GD;
	trial_run(&trial);
	trial_print(&key, "detect.%s%s.%s", detect->name,
		    flags & TRIAL_TF   ? "-step"
		    : flags & TRIAL_RF ? "-rf"
				       : "",
		    trial_mode_name(mode));
	trial_fact(key.text, &trial);
	trial_print(&key, ".dr7");
	fact(key.text, "0x%lx", trial.dr7_after);
}

static void detections(void)
{
	for (uint32_t i = 0; i < sizeof(detects) / sizeof(detects[0]); i++) {
		general_detect(TRIAL_64_0, &detects[i], 0);
		general_detect(TRIAL_64_0, &detects[i], TRIAL_TF);
		general_detect(TRIAL_64_0, &detects[i], TRIAL_RF);
		general_detect(TRIAL_64_3, &detects[i], 0);
		general_detect(TRIAL_32_0, &detects[i], 0);
		general_detect(TRIAL_16_0, &detects[i], 0);
		reset_registers();
	}
}

/* What earlier exceptions have left in DR6, at a later one that the CPU or the hypervisor delivers. */
static void left_over(void)
{
	static const struct detect steps[] = {
		{ "nop", { 0x90 }, 1 },
		{ "cpuid", { 0x0f, 0xa2 }, 2 },
		{ "int1", { 0xf1 }, 1 },
	};

	for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct trial_text key = { .length = 0 };
		struct trial trial;

		trial_init(&trial, TRIAL_64_0, steps[i].code, steps[i].bytes);
		trial.in.rflags |= i < 2 ? TRIAL_TF : 0;
		trial.keeps_dr6 = true;
		__asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffffaff5)));
		trial_run(&trial);
		trial_print(&key, "left-over.%s.64.0", steps[i].name);
		trial_fact(key.text, &trial);
	}
}

void facts_registers(void)
{
	reset_registers();
	writes();
	bits();
	aliases();
	detections();
	left_over();
	reset_registers();
}
