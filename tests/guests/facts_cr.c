// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control registers in each mode: what each bit and pair of bits does, LMSW, CLTS, CR8, registers that do not exist, EFER;
 * and which fault comes first.
 *
 *   facts_cr.efi [lax] [pairs] [other]     pairs: in all modes; other: on CPU 1 as well
 */
#include "tests/guests/facts_cr/faults.h"
#include "tests/guests/facts_cr/snippet.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

#define BIT(n)		     (UINT64_C(1) << (n))
#define BITS(high, low)	     ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define CR0_PE		     BIT(0)
#define CR0_WP		     BIT(16)
#define CR0_NW		     BIT(29)
#define CR0_CD		     BIT(30)
#define CR0_PG		     BIT(31)
#define CR4_PSE		     BIT(4)
#define CR4_PAE		     BIT(5)
#define CR4_RESERVED_IN_QEMU (BITS(15, 13) | BIT(19) | BIT(23) | BITS(63, 25))
#define MSR_EFER	     0xc0000080u

enum { GPR_A, GPR_C, GPR_D, GPR_B, PAIR_BITS = 26 };

/* How a write ended: that of the value in RAX, read back in RBX. */
struct outcome {
	uint64_t faults, taken, ignored, other;
};

static uint32_t maxphyaddr;
/* Nothing that QEMU does not survive: reserved bits of CR3 and CR4, CR4.PAE in long mode. */
static bool is_lax;

/* The value that the mode has: EDX brings it back. */
static uint64_t mode_value(const struct trip *trip, uint32_t cr)
{
	struct trip copy = *trip;
	struct snippet snippet = { .count = 0 };
	struct trip_end end;

	snippet_read_cr(&snippet, cr, GPR_A);
	snippet_end(&snippet);
	snippet_run(&snippet, &copy, &end);
	return end.regs[TRIP_A];
}

static void write_cr(const struct trip *mode, uint32_t cr, uint64_t value, uint64_t old,
		     struct trip_end *end)
{
	struct trip trip = *mode;
	struct snippet snippet = { .count = 0 };

	trip.regs[TRIP_A] = value;
	trip.regs[TRIP_D] = old;
	snippet_write_cr(&snippet, cr, GPR_A);
	snippet_read_cr(&snippet, cr, GPR_B);
	snippet_write_cr(&snippet, cr, GPR_D);
	snippet_end(&snippet);
	snippet_run(&snippet, &trip, end);
}

static void add_outcome(struct outcome *all, uint64_t bit, uint64_t value, uint64_t old,
			const struct trip_end *end)
{
	if (end->vector != TRIP_DONE)
		all->faults |= bit;
	else if (end->regs[TRIP_B] == value)
		all->taken |= bit;
	else if (end->regs[TRIP_B] == old)
		all->ignored |= bit;
	else
		all->other |= bit;
}

/* Each fault that is not #GP(0) at the first instruction has a line of its own. */
static void print_unusual(const struct trip *mode, const char *what, uint32_t bit,
			  const struct trip_end *end)
{
	if (end->vector == TRIP_DONE ||
	    (end->vector == VECTOR_GP && end->error == 0 && end->ip == 0))
		return;
	fact_line("%s%s.%s.%u.fault = vector %u error 0x%lx ip %lu", fact_cpu(),
		  trip_mode_name(mode->mode), what, bit, end->vector, end->error, end->ip);
}

static void print_outcome(const struct trip *mode, const char *what, const struct outcome *all)
{
	fact_line("%s%s.%s = faults 0x%lx taken 0x%lx ignored 0x%lx other 0x%lx", fact_cpu(),
		  trip_mode_name(mode->mode), what, all->faults, all->taken, all->ignored,
		  all->other);
}

static void walk_bits(const struct trip *mode, uint32_t cr, const char *what, uint64_t left_alone)
{
	const uint32_t count = mode->mode == TRIP_LONG_64 ? 64 : 32;
	const uint64_t old = mode_value(mode, cr);
	struct outcome all = { .faults = 0 };
	struct trip_end end;

	for (uint32_t i = 0; i < count; i++) {
		if (left_alone & BIT(i))
			continue;
		write_cr(mode, cr, old ^ BIT(i), old, &end);
		add_outcome(&all, BIT(i), old ^ BIT(i), old, &end);
		print_unusual(mode, what, i, &end);
	}
	print_outcome(mode, what, &all);
	if (cr != 3)
		fact_line("%s%s.%s.value = 0x%lx", fact_cpu(), trip_mode_name(mode->mode), what,
			  old);
}

static bool is_paged(enum trip_mode mode)
{
	return mode <= TRIP_PSE_32;
}

/* What would take the page tables away; and what QEMU does not survive. */
static uint64_t cr4_left_alone(enum trip_mode mode)
{
	const uint64_t lax = is_lax ? CR4_RESERVED_IN_QEMU | (trip_is_long(mode) ? CR4_PAE : 0) : 0;

	if (mode == TRIP_PAE_32)
		return CR4_PAE | lax;
	return (mode == TRIP_PSE_32 ? CR4_PAE | CR4_PSE : 0) | lax;
}

static uint64_t cr3_left_alone(enum trip_mode mode)
{
	const uint64_t address = BITS(is_lax ? 63 : maxphyaddr - 1, 12);

	if (!is_paged(mode))
		return 0;
	return mode == TRIP_PAE_32 ? BITS(31, 5)
				   : address | (mode == TRIP_LONG_64 ? 0 : BITS(31, 12));
}

/* A row for each bit: with which other ones it can be toggled. */
static void walk_cr4_pairs(const struct trip *mode)
{
	const uint64_t old = mode_value(mode, 4), left_alone = cr4_left_alone(mode->mode);
	struct trip_end end;

	for (uint32_t i = 0; i < PAIR_BITS; i++) {
		struct outcome all = { .faults = 0 };

		for (uint32_t j = i + 1; j < PAIR_BITS; j++) {
			const uint64_t value = old ^ BIT(i) ^ BIT(j);

			if ((value ^ old) & left_alone)
				continue;
			write_cr(mode, 4, value, old, &end);
			add_outcome(&all, BIT(j), value, old, &end);
		}
		fact_line("%s%s.cr4.with.%u = faults 0x%lx taken 0x%lx other 0x%lx", fact_cpu(),
			  trip_mode_name(mode->mode), i, all.faults, all.taken,
			  all.ignored | all.other);
	}
}

static void write_cr0_combinations(const struct trip *mode)
{
	static const uint64_t toggles[] = {
		CR0_PE,
		CR0_PE | CR0_PG,
		CR0_PE | CR0_CD,
		CR0_CD | CR0_NW,
		CR0_CD | CR0_WP,
		CR0_NW | CR0_WP,
		CR0_CD | BIT(18),
		CR0_CD | CR0_NW | CR0_PE,
		0xe,
		0x1000e,
		CR0_CD | CR0_NW | CR0_PG,
		CR0_CD | CR0_NW | 0xe,
		0x20,
		0x10,
		0xffc0,
	};
	const uint64_t old = mode_value(mode, 0);
	struct trip_end end;

	for (uint32_t i = 0; i < sizeof(toggles) / sizeof(toggles[0]); i++) {
		/* Paging is not for those whose tables are not there. */
		if (!is_paged(mode->mode) && (toggles[i] & CR0_PG))
			continue;
		write_cr(mode, 0, old ^ toggles[i], old, &end);
		fact_line("%s%s.cr0.toggle.0x%lx = vector %u error 0x%lx reads 0x%lx", fact_cpu(),
			  trip_mode_name(mode->mode), toggles[i], end.vector, end.error,
			  end.vector == TRIP_DONE ? end.regs[TRIP_B] : 0);
	}
}

/* LMSW of each value, with CR0's low bits clear and set; CLTS. */
static void write_machine_status(const struct trip *mode)
{
	for (uint32_t i = 0; i < 64; i++) {
		struct trip trip = *mode;
		struct snippet snippet = { .count = 0 };
		struct trip_end end;

		/* There is no way back from PE in real mode: LMSW does not clear it. */
		if (mode->mode == TRIP_REAL_16 && (i & 1))
			continue;
		trip.cr0_set |= i & 16 ? 0xe : 0;
		trip.regs[TRIP_A] = (i & 15) | (i & 32 ? 0xfff0 : 0);
		snippet_bytes(&snippet, "\x0f\x01\xf0", 3); /* LMSW AX */
		snippet_read_cr(&snippet, 0, GPR_B);
		snippet_bytes(&snippet, "\x0f\x01\xe1\x0f\x06", 5); /* SMSW ECX or CX, CLTS */
		snippet_read_cr(&snippet, 0, GPR_D);
		snippet_end(&snippet);
		snippet_run(&snippet, &trip, &end);
		fact_line("%s%s.lmsw.%u = vector %u cr0 0x%lx smsw 0x%lx clts 0x%lx", fact_cpu(),
			  trip_mode_name(mode->mode), i, end.vector, end.regs[TRIP_B],
			  end.regs[TRIP_C] & (mode->mode == TRIP_LONG_64 ? 0xffffffff : 0xffff),
			  end.regs[TRIP_D]);
	}
}

static void run_efer(const struct trip *mode, uint64_t value, uint64_t old, struct trip_end *end)
{
	/* WRMSR, RDMSR, MOV EBX,EAX, MOV EDI,EDX, MOV EAX,ESI, XOR EDX,EDX, WRMSR */
	static const char code_32[] = "\x0f\x30\x0f\x32\x89\xc3\x89\xd7\x89\xf0\x31\xd2\x0f\x30";
	static const char code_16[] =
		"\x0f\x30\x0f\x32\x66\x89\xc3\x66\x89\xd7\x66\x89\xf0\x66\x31\xd2\x0f\x30";
	const bool is_16 = mode->mode == TRIP_LONG_16 || mode->mode == TRIP_FLAT_16 ||
			   mode->mode == TRIP_REAL_16;
	struct snippet snippet = { .count = 0 };
	struct trip trip = *mode;

	/* QEMU does not come back from an exit of a guest with LME but without PG and PAE. */
	trip.cr4_set |= is_lax && !is_paged(mode->mode) ? CR4_PAE : 0;
	trip.regs[TRIP_A] = (uint32_t)value;
	trip.regs[TRIP_D] = value >> 32;
	trip.regs[TRIP_C] = MSR_EFER;
	trip.regs[TRIP_SI] = old;
	snippet_bytes(&snippet, is_16 ? code_16 : code_32,
		      is_16 ? sizeof(code_16) - 1 : sizeof(code_32) - 1);
	snippet_end(&snippet);
	snippet_run(&snippet, &trip, end);
	end->regs[TRIP_B] = (uint32_t)end->regs[TRIP_B] | end->regs[TRIP_DI] << 32;
}

static void walk_efer(const struct trip *mode)
{
	const uint64_t old = trip_is_long(mode->mode) ? 0x500 : 0;
	struct outcome all = { .faults = 0 };
	struct trip_end end;

	for (uint32_t i = 0; i < 64; i++) {
		run_efer(mode, old ^ BIT(i), old, &end);
		add_outcome(&all, BIT(i), old ^ BIT(i), old, &end);
		print_unusual(mode, "efer", i, &end);
	}
	print_outcome(mode, "efer", &all);
}

static void walk_mode(const struct trip *mode, bool pairs)
{
	const uint64_t no_paging = is_paged(mode->mode) ? 0 : CR0_PG;
	struct trip with_wp = *mode;

	walk_bits(mode, 0, "cr0", no_paging);
	write_cr0_combinations(mode);
	walk_bits(mode, 3, "cr3", cr3_left_alone(mode->mode));
	walk_bits(mode, 4, "cr4", cr4_left_alone(mode->mode));
	with_wp.cr0_set = CR0_WP;
	walk_bits(&with_wp, 4, "wp.cr4", cr4_left_alone(mode->mode));
	if (mode->mode == TRIP_LONG_64)
		walk_bits(mode, 8, "cr8", 0);
	if (pairs)
		walk_cr4_pairs(mode);
	write_machine_status(mode);
	walk_efer(mode);
}

static void look(void *argument)
{
	const char *options = argument;

	for (uint32_t i = TRIP_LONG_64; i <= TRIP_REAL_16; i++) {
		const struct trip mode = { .mode = i };

		walk_mode(&mode, i == TRIP_LONG_64 || probe_has_word(options, "pairs"));
	}
	faults_print();
}

static void read_maxphyaddr(void)
{
	uint32_t regs[4];

	probe_cpuid(0x80000008, 0, regs);
	maxphyaddr = regs[0] & 0xff;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	static char options[256];
	const char *given = probe_begin(image, table);

	CopyMem(options, (void *)(UINTN)given, sizeof(options));
	if (!probe_check(trip_init(), "memory", "none below 1 MiB"))
		return probe_end();
	read_maxphyaddr();
	is_lax = probe_has_word(options, "lax");
	fact_begin("cr");
	look(options);
	if (probe_cpu_count > 1 && probe_has_word(options, "other")) {
		probe_check(probe_start_and_wait(1, look, options), "start", "CPU 1");
		probe_check(probe_join(1, 60000), "join", "CPU 1");
	}
	fact_end();
	return probe_end();
}
