// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_cr/faults.h"

#include "tests/guests/facts_cr/snippet.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

#define CR4_TSD	    UINT64_C(0x4)
#define CR4_OSFXSR  UINT64_C(0x200)
#define CR4_UMIP    UINT64_C(0x800)
#define CR4_OSXSAVE UINT64_C(0x40000)

enum { ANYWHERE = 0, USER_ONLY = 1 };
enum { GPR_A, CRS = 16 };

/* All memory operands are [BX], [EBX] or [RBX] with 16-bit ones not used: the scratch bytes. */
struct instruction {
	const char *name;
	const char *bytes;
	uint8_t count;
	uint8_t where; /* USER_ONLY: at CPL 0 it would do something */
	uint32_t a, c, d;
};

#define CODE(bytes) (bytes), sizeof(bytes) - 1

static const struct instruction instructions[] = {
	{ "hlt", CODE("\xf4"), USER_ONLY, 0, 0, 0 },
	{ "cli", CODE("\xfa"), USER_ONLY, 0, 0, 0 },
	{ "clts", CODE("\x0f\x06"), USER_ONLY, 0, 0, 0 },
	{ "clts.lock", CODE("\xf0\x0f\x06"), ANYWHERE, 0, 0, 0 },
	{ "lmsw", CODE("\x0f\x01\xf0"), USER_ONLY, 0, 0, 0 },
	{ "lmsw.lock", CODE("\xf0\x0f\x01\xf0"), ANYWHERE, 0, 0, 0 },
	{ "invd", CODE("\x0f\x08"), USER_ONLY, 0, 0, 0 },
	{ "wbinvd", CODE("\x0f\x09"), ANYWHERE, 0, 0, 0 },
	{ "wbinvd.lock", CODE("\xf0\x0f\x09"), ANYWHERE, 0, 0, 0 },
	{ "invlpg", CODE("\x0f\x01\x3b"), ANYWHERE, 0, 0, 0 },
	{ "invlpg.lock", CODE("\xf0\x0f\x01\x3b"), ANYWHERE, 0, 0, 0 },
	{ "rdmsr", CODE("\x0f\x32"), ANYWHERE, 0, 0xfe, 0 },
	{ "rdmsr.lock", CODE("\xf0\x0f\x32"), ANYWHERE, 0, 0xfe, 0 },
	{ "rdmsr.unknown", CODE("\x0f\x32"), ANYWHERE, 0, 0x12345678, 0 },
	{ "wrmsr.unknown", CODE("\x0f\x30"), ANYWHERE, 0, 0x12345678, 0 },
	{ "wrmsr.lock", CODE("\xf0\x0f\x30"), ANYWHERE, 0, 0x12345678, 0 },
	{ "wrmsr.mtrrcap", CODE("\x0f\x30"), ANYWHERE, 0, 0xfe, 0 },
	{ "rdpmc.unknown", CODE("\x0f\x33"), ANYWHERE, 0, 0x3fffffff, 0 },
	{ "cpuid", CODE("\x0f\xa2"), ANYWHERE, 0, 0, 0 },
	{ "cpuid.lock", CODE("\xf0\x0f\xa2"), ANYWHERE, 0, 0, 0 },
	{ "xgetbv", CODE("\x0f\x01\xd0"), ANYWHERE, 0, 0, 0 },
	{ "xgetbv.5", CODE("\x0f\x01\xd0"), ANYWHERE, 0, 5, 0 },
	{ "xgetbv.lock", CODE("\xf0\x0f\x01\xd0"), ANYWHERE, 0, 0, 0 },
	{ "xsetbv.0", CODE("\x0f\x01\xd1"), ANYWHERE, 0, 0, 0 },
	{ "xsetbv.2", CODE("\x0f\x01\xd1"), ANYWHERE, 2, 0, 0 },
	{ "xsetbv.5", CODE("\x0f\x01\xd1"), ANYWHERE, 5, 0, 0 },
	{ "xsetbv.high", CODE("\x0f\x01\xd1"), ANYWHERE, 7, 0, 0x80000000 },
	{ "xsetbv.bit19", CODE("\x0f\x01\xd1"), ANYWHERE, 0x80007, 0, 0 },
	{ "xsetbv.xcr1", CODE("\x0f\x01\xd1"), ANYWHERE, 7, 1, 0 },
	{ "xsetbv.lock", CODE("\xf0\x0f\x01\xd1"), ANYWHERE, 7, 0, 0 },
	{ "xsetbv.66", CODE("\x66\x0f\x01\xd1"), ANYWHERE, 0, 0, 0 },
	{ "xsetbv.f3", CODE("\xf3\x0f\x01\xd1"), ANYWHERE, 0, 0, 0 },
	{ "monitor.hint", CODE("\x0f\x01\xc8"), ANYWHERE, 0, 1, 0 },
	{ "mwait.hint", CODE("\x0f\x01\xc9"), ANYWHERE, 0, 2, 0 },
	{ "mwait", CODE("\x0f\x01\xc9"), USER_ONLY, 0, 0, 0 },
	{ "vmcall.lock", CODE("\xf0\x0f\x01\xc1"), ANYWHERE, 0, 0, 0 },
	{ "vmlaunch", CODE("\x0f\x01\xc2"), ANYWHERE, 0, 0, 0 },
	{ "vmresume", CODE("\x0f\x01\xc3"), ANYWHERE, 0, 0, 0 },
	{ "vmxoff", CODE("\x0f\x01\xc4"), ANYWHERE, 0, 0, 0 },
	{ "vmxon", CODE("\xf3\x0f\xc7\x33"), ANYWHERE, 0, 0, 0 },
	{ "vmclear", CODE("\x66\x0f\xc7\x33"), ANYWHERE, 0, 0, 0 },
	{ "vmptrld", CODE("\x0f\xc7\x33"), ANYWHERE, 0, 0, 0 },
	{ "vmptrst", CODE("\x0f\xc7\x3b"), ANYWHERE, 0, 0, 0 },
	{ "vmread", CODE("\x0f\x78\xc8"), ANYWHERE, 0, 0, 0 },
	{ "vmwrite", CODE("\x0f\x79\xc8"), ANYWHERE, 0, 0, 0 },
	{ "vmfunc", CODE("\x0f\x01\xd4"), ANYWHERE, 0, 0, 0 },
	{ "invept", CODE("\x66\x0f\x38\x80\x03"), ANYWHERE, 0, 0, 0 },
	{ "invvpid", CODE("\x66\x0f\x38\x81\x03"), ANYWHERE, 0, 0, 0 },
	{ "invpcid.type", CODE("\x66\x0f\x38\x82\x03"), ANYWHERE, 9, 0, 0 },
	{ "invpcid", CODE("\x66\x0f\x38\x82\x03"), ANYWHERE, 2, 0, 0 },
	{ "getsec", CODE("\x0f\x37"), ANYWHERE, 0, 0, 0 },
	{ "rsm", CODE("\x0f\xaa"), ANYWHERE, 0, 0, 0 },
	{ "vmrun", CODE("\x0f\x01\xd8"), ANYWHERE, 0, 0, 0 },
	{ "vmload", CODE("\x0f\x01\xda"), ANYWHERE, 0, 0, 0 },
	{ "vmsave", CODE("\x0f\x01\xdb"), ANYWHERE, 0, 0, 0 },
	{ "stgi", CODE("\x0f\x01\xdc"), ANYWHERE, 0, 0, 0 },
	{ "clgi", CODE("\x0f\x01\xdd"), ANYWHERE, 0, 0, 0 },
	{ "skinit", CODE("\x0f\x01\xde"), ANYWHERE, 0, 0, 0 },
	{ "invlpga", CODE("\x0f\x01\xdf"), ANYWHERE, 0, 0, 0 },
	{ "rdtscp", CODE("\x0f\x01\xf9\x31\xc0\x31\xc9\x31\xd2"), ANYWHERE, 0, 0, 0 },
	{ "rdtsc", CODE("\x0f\x31\x31\xc0\x31\xd2"), ANYWHERE, 0, 0, 0 },
	{ "rdpid", CODE("\xf3\x0f\xc7\xf8"), ANYWHERE, 0, 0, 0 },
	{ "ud0", CODE("\x0f\xff\x03"), ANYWHERE, 0, 0, 0 },
	{ "ud1", CODE("\x0f\xb9\x03"), ANYWHERE, 0, 0, 0 },
	{ "sgdt", CODE("\x0f\x01\x03"), ANYWHERE, 0, 0, 0 },
	{ "sidt", CODE("\x0f\x01\x0b"), ANYWHERE, 0, 0, 0 },
	{ "sldt", CODE("\x0f\x00\xc0"), ANYWHERE, 0, 0, 0 },
	{ "str", CODE("\x0f\x00\xc8"), ANYWHERE, 0, 0, 0 },
	{ "smsw", CODE("\x0f\x01\xe0"), ANYWHERE, 0, 0, 0 },
	{ "lgdt", CODE("\x0f\x01\x13"), USER_ONLY, 0, 0, 0 },
	{ "lldt", CODE("\x0f\x00\xd0"), ANYWHERE, 0, 0, 0 },
	{ "ltr.null", CODE("\x0f\x00\xd8"), ANYWHERE, 0, 0, 0 },
	{ "in", CODE("\xe4\x80\xb0\x00"), ANYWHERE, 0, 0, 0 },
	{ "in.lock", CODE("\xf0\xe4\x80"), ANYWHERE, 0, 0, 0 },
	{ "int1", CODE("\xf1"), ANYWHERE, 0, 0, 0 },
	{ "int3", CODE("\xcc"), ANYWHERE, 0, 0, 0 },
	{ "iret.lock", CODE("\xf0\xcf"), ANYWHERE, 0, 0, 0 },
	{ "swapgs.lock", CODE("\xf0\x0f\x01\xf8"), ANYWHERE, 0, 0, 0 },
	{ "sysret.lock", CODE("\xf0\x0f\x07"), ANYWHERE, 0, 0, 0 },
	{ "encls", CODE("\x0f\x01\xcf"), ANYWHERE, 0xff, 0, 0 },
	{ "clac", CODE("\x0f\x01\xca"), ANYWHERE, 0, 0, 0 },
	{ "xsaves", CODE("\x0f\xc7\x2b"), USER_ONLY, 0, 0, 0 },
	{ "wrpkru.c", CODE("\x0f\x01\xef"), ANYWHERE, 0, 1, 0 },
	{ "fsgsbase", CODE("\xf3\x0f\xae\xc0"), ANYWHERE, 0, 0, 0 },
};

/* A segment register, a base or a table's address may be there: it is no fact. */
static bool is_address(const char *name)
{
	return (name[0] == 's' && name[1] == 't') || (name[0] == 'f' && name[1] == 's');
}

static void run_one(const struct instruction *insn, const struct trip *mode, const char *when)
{
	struct snippet snippet = { .count = 0 };
	struct trip trip = *mode;
	struct trip_end end;

	trip.regs[TRIP_A] = insn->a;
	trip.regs[TRIP_B] = (uint64_t)trip_scratch();
	trip.regs[TRIP_C] = insn->c;
	trip.regs[TRIP_D] = insn->d;
	SetMem(trip_scratch(), 64, 0);
	snippet_bytes(&snippet, insn->bytes, insn->count);
	snippet_end(&snippet);
	snippet_run(&snippet, &trip, &end);
	fact_line("%s%s%s.%s = vector %u error 0x%lx ip %lu a 0x%x", fact_cpu(),
		  trip_mode_name(mode->mode), when, insn->name, end.vector, end.error, end.ip,
		  end.vector == TRIP_DONE && !is_address(insn->name) ? (uint32_t)end.regs[TRIP_A]
								     : 0);
}

static bool has(uint32_t leaf, uint32_t reg, uint32_t bit)
{
	uint32_t regs[4];

	probe_cpuid(leaf, 0, regs);
	return (regs[reg] >> bit & 1) != 0;
}

static void print_instructions(void)
{
	const uint64_t umip = has(7, 2, 2) ? CR4_UMIP : 0,
		       osxsave = has(1, 2, 26) ? CR4_OSXSAVE : 0;

	for (uint32_t i = 0; i < TRIP_MODES; i++) {
		const struct trip plain = { .mode = i };
		const struct trip closed = { .mode = i, .cr4_set = CR4_TSD | umip | osxsave };

		/* In 16-bit code the operands would be others. */
		if (i == TRIP_LONG_16 || i == TRIP_FLAT_16 || i == TRIP_REAL_16)
			continue;
		for (uint32_t j = 0; j < sizeof(instructions) / sizeof(instructions[0]); j++) {
			if (i < TRIP_USER_64 && instructions[j].where == USER_ONLY)
				continue;
			run_one(&instructions[j], &plain, "");
			run_one(&instructions[j], &closed, ".closed");
		}
	}
}

/* MOV to and from each control register: #UD comes before #GP; LOCK is AMD's way to CR8 outside 64-bit mode. */
static void print_registers(enum trip_mode mode, bool is_write, bool locked)
{
	const uint32_t count = mode == TRIP_LONG_64 || mode == TRIP_USER_64 ? CRS : 8;

	for (uint32_t cr = 0; cr < count; cr++) {
		struct snippet snippet = { .count = 0 };
		struct trip trip = { .mode = mode };
		struct trip_end end;

		/* What a write at CPL 0 does is asked elsewhere; QEMU may not look at LOCK. */
		if (is_write && mode < TRIP_USER_64 && (cr == 3 || cr == 4 || (cr == 0 && !locked)))
			continue;
		if (locked)
			snippet_bytes(&snippet, "\xf0", 1);
		if (is_write)
			snippet_write_cr(&snippet, cr, GPR_A);
		else
			snippet_read_cr(&snippet, cr, GPR_A);
		snippet_end(&snippet);
		snippet_run(&snippet, &trip, &end);
		fact_line("%s%s.mov.%s%s.cr%u = vector %u error 0x%lx ip %lu", fact_cpu(),
			  trip_mode_name(mode), is_write ? "to" : "from", locked ? ".lock" : "", cr,
			  end.vector, end.error, end.ip);
	}
}

/* CR0.TS, EM and MP against FNOP, WAIT, EMMS, XORPS and FXSAVE. */
static void print_fpu(enum trip_mode mode, bool osfxsr)
{
	static const struct instruction users[] = {
		{ "fnop", CODE("\xd9\xd0"), ANYWHERE, 0, 0, 0 },
		{ "wait", CODE("\x9b"), ANYWHERE, 0, 0, 0 },
		{ "emms", CODE("\x0f\x77"), ANYWHERE, 0, 0, 0 },
		{ "xorps", CODE("\x0f\x57\xc0"), ANYWHERE, 0, 0, 0 },
		{ "ldmxcsr.lock", CODE("\xf0\x0f\xae\x13"), ANYWHERE, 0, 0, 0 },
	};

	for (uint32_t i = 0; i < 8; i++) {
		const struct trip trip = { .mode = mode,
					   .cr0_clear = 0xe,
					   .cr0_set = i << 1,
					   .cr4_set = osfxsr ? CR4_OSFXSR : 0 };
		char when[16] = ".fpu.0";

		when[5] = (char)('0' + i);
		if (osfxsr) {
			when[6] = '.';
			when[7] = 's';
		}
		for (uint32_t j = 0; j < sizeof(users) / sizeof(users[0]); j++)
			run_one(&users[j], &trip, when);
	}
}

void faults_print(void)
{
	static const enum trip_mode modes[] = { TRIP_LONG_64, TRIP_PAE_32, TRIP_USER_64,
						TRIP_USER_32 };

	print_instructions();
	for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		for (uint32_t j = 0; j < 4; j++)
			print_registers(modes[i], j & 1, j & 2);
		print_fpu(modes[i], false);
		print_fpu(modes[i], true);
	}
}
