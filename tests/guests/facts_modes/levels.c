// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_modes/levels.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trip.h"

/* Where a piece runs: 64-bit mode, compatibility mode of 32 bits (STRICT: where the CPU is), of 16 bits. */
enum { WIDE = 1, NARROW_32 = 2, NARROW_16 = 4, ANY = 7, STRICT = 8 };
#define CR4_LA57      UINT64_C(0x1000)
#define MSR_FSBASE    0xc0000100u
#define MSR_LSTAR     0xc0000082u
#define BEYOND_48     UINT64_C(0x0000800000000000)
#define BEYOND_48_TOP UINT64_C(0xffff7fffffffffff)
#define BEYOND_57     UINT64_C(0x0100000000000000)
#define BEYOND_57_TOP UINT64_C(0xfeffffffffffffff)

struct piece {
	const char *name;
	const char *bytes;
	uint8_t count, where;
	uint64_t b, c;
};

#define CODE(bytes) (bytes), sizeof(bytes) - 1

/* [RBX]; INT 0x30 follows each. B is from the data's address on where the name ends in "-scratch". */
static const struct piece pieces[] = {
	/* MOV RAX,CR4; XOR EAX,0x1000; MOV CR4,RAX */
	{ "toggle", CODE("\x0f\x20\xe0\x35\x00\x10\x00\x00\x0f\x22\xe0"), WIDE | STRICT, 0, 0 },
	/* MOV EAX,CR4; AND EAX,0x1000 */
	{ "cr4", CODE("\x0f\x20\xe0\x25\x00\x10\x00\x00"), WIDE | NARROW_32, 0, 0 },
	/* The same of CR4.PAE */
	{ "pae-off", CODE("\x0f\x20\xe0\x83\xe0\xdf\x0f\x22\xe0"), STRICT, 0, 0 },
	/* MOV AL,[RBX], MOV [RBX],AL, PREFETCHT0, INVLPG */
	{ "read-48", CODE("\x8a\x03"), WIDE, BEYOND_48, 0 },
	{ "read-48-top", CODE("\x8a\x03"), WIDE, BEYOND_48_TOP, 0 },
	{ "read-57", CODE("\x8a\x03"), WIDE, BEYOND_57, 0 },
	{ "read-57-top", CODE("\x8a\x03"), WIDE, BEYOND_57_TOP, 0 },
	{ "read-scratch", CODE("\x8a\x03"), WIDE | NARROW_32, 0, 0 },
	{ "write-48", CODE("\x88\x03"), WIDE, BEYOND_48, 0 },
	{ "write-57", CODE("\x88\x03"), WIDE, BEYOND_57, 0 },
	{ "prefetch-57", CODE("\x0f\x18\x0b"), WIDE, BEYOND_57, 0 },
	{ "invlpg-48", CODE("\x0f\x01\x3b"), WIDE, BEYOND_48, 0 },
	{ "invlpg-57", CODE("\x0f\x01\x3b"), WIDE, BEYOND_57, 0 },
	{ "lgdt-48", CODE("\x0f\x01\x13"), WIDE, BEYOND_48, 0 },
	/* MOV EAX,0; MOV EDX,0x00ff0000; WRMSR; RDMSR */
	{ "fsbase-57", CODE("\x31\xc0\xba\x00\x00\xff\x00\x0f\x30\x0f\x32"), WIDE, 0, MSR_FSBASE },
	{ "fsbase-58", CODE("\x31\xc0\xba\x00\x00\x00\x01\x0f\x30\x0f\x32"), WIDE, 0, MSR_FSBASE },
	{ "lstar-58", CODE("\x31\xc0\xba\x00\x00\x00\x01\x0f\x30\x0f\x32"), WIDE, 0, MSR_LSTAR },
	/* XOR EAX,EAX; CPUID; XOR EBX,EBX; and what follows is of the mode that it came from */
	{ "cpuid", CODE("\x31\xc0\x0f\xa2\x31\xdb\x48\x90"), WIDE | NARROW_32, 0, 0 },
	{ "efer", CODE("\x0f\x32\x48"), WIDE | NARROW_32, 0, 0xc0000080 },
	{ "dec-or-rex", CODE("\x31\xc0\x48\xff\xc0"), ANY, 0, 0 },
	{ "arpl-or-movsxd", CODE("\x31\xc0\x63\xc0\xb0\x55"), ANY, 0, 0 },
	{ "pusha", CODE("\x60\x61"), ANY, 0, 0 },
	{ "into", CODE("\xb0\x7f\x04\x01\xce"), ANY, 0, 0 },
	{ "bound", CODE("\x62\x03"), NARROW_32, 0, 0 },
	{ "push-es", CODE("\x06\x07"), ANY, 0, 0 },
	{ "daa", CODE("\xb0\x1a\x27"), ANY, 0, 0 },
	{ "aam-0", CODE("\xd4\x00"), ANY, 0, 0 },
	{ "salc", CODE("\xd6"), ANY, 0, 0 },
	{ "sysenter", CODE("\x0f\x34"), ANY, 0, 0 },
	{ "int3", CODE("\xcc"), ANY, 0, 0 },
	{ "icebp", CODE("\xf1"), ANY, 0, 0 },
	{ "ud2", CODE("\x0f\x0b"), ANY, 0, 0 },
	{ "div-0", CODE("\x31\xc9\xf7\xf1"), ANY, 0, 0 },
	{ "cli", CODE("\xfa"), ANY, 0, 0 },
	{ "swapgs", CODE("\x0f\x01\xf8\x0f\x01\xf8"), ANY, 0, 0 },
	{ "vmcall", CODE("\x31\xc0\x0f\x01\xc1"), ANY, 0, 0 },
	{ "vmmcall", CODE("\x31\xc0\x0f\x01\xd9"), ANY, 0, 0 },
	/* PUSHF, with TF back by POPF, and a CPUID that is stepped */
	{ "step", CODE("\x9c\x58\x80\xcc\x01\x50\x9d\x90\x90"), ANY, 0, 0 },
	{ "step-cpuid", CODE("\x9c\x58\x80\xcc\x01\x50\x31\xc0\x9d\x0f\xa2\x90"), ANY, 0, 0 },
	/* Beyond 4 GiB the offsets of compatibility mode begin again: MOV AL,[EBX+0x70000000] */
	{ "wrap-scratch", CODE("\x8a\x83\x00\x00\x00\x70\x30\xc0"), NARROW_32, 0x90000000, 0 },
};

static bool has_la57(void)
{
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	if (regs[0] < 7)
		return false;
	probe_cpuid(7, 0, regs);
	return (regs[2] >> 16 & 1) != 0;
}

static bool ends_in_scratch(const char *name)
{
	uint32_t dash = 0;

	for (uint32_t i = 0; name[i]; i++)
		dash = name[i] == '-' ? i : dash;
	return name[dash] == '-' && name[dash + 1] == 's' && name[dash + 2] == 'c';
}

static void run(const struct piece *piece, enum trip_mode mode, uint32_t levels)
{
	uint8_t code[64];
	struct trip trip = { .mode = mode, .cr4_set = levels == 5 ? CR4_LA57 : 0 };
	struct trip_end end;

	CopyMem(code, (void *)(UINTN)piece->bytes, piece->count);
	code[piece->count] = 0xcd;
	code[piece->count + 1] = TRIP_DONE;
	trip.code = code;
	trip.bytes = piece->count + 2u;
	trip.regs[TRIP_B] =
		piece->b + (ends_in_scratch(piece->name) ? (uint64_t)trip_scratch() : 0);
	trip.regs[TRIP_C] = piece->c;
	trip_run(&trip, &end);
	fact_line("%slevels-%u.%s.%s = vector %u error 0x%lx ip %lu cr2 0x%lx a 0x%x d 0x%x",
		  fact_cpu(), levels, trip_mode_name(mode), piece->name, end.vector, end.error,
		  end.ip, end.cr2, (uint32_t)end.regs[TRIP_A], (uint32_t)end.regs[TRIP_D]);
}

static void run_all(enum trip_mode mode, uint32_t where, uint32_t levels)
{
	for (uint32_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		if (pieces[i].where & where)
			run(&pieces[i], mode, levels);
	}
}

bool levels_init(void)
{
	return trip_init();
}

void levels_print(bool is_lax)
{
	const struct {
		enum trip_mode mode;
		uint32_t where;
	} modes[] = {
		{ TRIP_LONG_64, WIDE },
		{ TRIP_LONG_32, is_lax ? NARROW_32 : NARROW_32 | STRICT },
		{ TRIP_LONG_16, NARROW_16 },
		{ TRIP_USER_64, WIDE },
		{ TRIP_USER_LONG_32, NARROW_32 },
	};

	for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		run_all(modes[i].mode, modes[i].where, 4);
	if (!has_la57()) {
		fact_line("%slevels-5 = absent", fact_cpu());
		return;
	}
	for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		run_all(modes[i].mode, modes[i].where, 5);
}
