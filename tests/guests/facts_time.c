// SPDX-License-Identifier: BSD-2-Clause
/*
 * The time-stamp counter: never backwards on a CPU nor across CPUs, written directly and through IA32_TSC_ADJUST, read
 * with an ID, and forbidden by CR4.TSD.
 *
 *   facts_time.efi [rounds N]
 */
#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { MSR_TSC = 0x10, MSR_TSC_ADJUST = 0x3b, MSR_TSC_AUX = 0xc0000103 };
enum {
	CR4_TSD = 1 << 2,
	CR4_PCE = 1 << 8,
	LEAF7_EBX_TSC_ADJUST = 1 << 1,
	EXT_EDX_RDTSCP = 1 << 27
};

/* Far more than passes between two instructions here, far less than what is written. */
static const uint64_t near_cycles = 1ull << 36, far_cycles = 1ull << 44;

static uint64_t rdtscp(uint32_t *aux)
{
	uint32_t low, high;

	__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(*aux));
	return (uint64_t)high << 32 | low;
}

/* --- forwards only --- */

static void exiting(unsigned which)
{
	uint32_t regs[4];

	switch (which % 4) {
	case 0:
		probe_cpuid(0, 0, regs);
		break;
	case 1:
		(void)probe_rdmsr(0x1b);
		break;
	case 2:
		(void)probe_inb(0x80);
		break;
	default:
		break;
	}
}

static void one_cpu(uint64_t rounds)
{
	uint64_t before = probe_rdtsc(), now, by_msr = 0, back = 0, stood = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		exiting((unsigned)i);
		now = probe_rdtsc();
		back += now < before;
		stood += now == before;
		by_msr = probe_rdmsr(MSR_TSC);
		back += by_msr < now;
		before = by_msr;
	}
	fact_line("%stime.back = %lu", fact_cpu(), back);
	fact_line("%stime.stood = %s", fact_cpu(), stood == 0 ? "never" : "at times");
}

static uint64_t turn; /* counts on: even the boot CPU's, odd the other's */
static volatile uint64_t last_tsc;
static uint64_t turns, backwards;

/* One after the other: what the one has read is before what the other reads. */
static void take_turns(void *argument)
{
	uint64_t mine = (uint64_t)argument, now;

	for (uint64_t i = mine; i < turns; i += 2) {
		while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != i)
			__asm__ volatile("pause");
		now = probe_rdtsc();
		backwards += now < last_tsc;
		last_tsc = now;
		__atomic_store_n(&turn, i + 1, __ATOMIC_RELEASE);
	}
}

static void across_cpus(uint64_t rounds)
{
	turns = rounds & ~1ull;
	probe_check(probe_start_and_wait(1, take_turns, (void *)1), "start", "CPU 1");
	take_turns((void *)0);
	probe_check(probe_join(1, 60000), "join", "CPU 1");
	fact_line("time.across.back = %lu", backwards);
}

/* --- written --- */

static void do_write_tsc(void *argument)
{
	probe_wrmsr(MSR_TSC, *(uint64_t *)argument);
}

static void do_write_adjust(void *argument)
{
	probe_wrmsr(MSR_TSC_ADJUST, *(uint64_t *)argument);
}

static const char *distance(uint64_t from, uint64_t to)
{
	if (to - from < near_cycles)
		return "near";
	if (to - from - far_cycles < near_cycles)
		return "far";
	return "elsewhere";
}

static void writes(void)
{
	uint64_t old = probe_rdtsc(), wanted = old + far_cycles, back;
	struct probe_fault fault;
	bool ok = probe_try(do_write_tsc, &wanted, &fault);

	fact_line("%stime.write = %s %s", fact_cpu(), ok ? "ok" : "gp",
		  distance(old, probe_rdtsc()));
	back = probe_rdtsc() - far_cycles;
	if (ok)
		probe_wrmsr(MSR_TSC, back);
	fact_line("%stime.write.back = %s", fact_cpu(), distance(old, probe_rdtsc()));
}

static void adjusts(void)
{
	uint32_t regs[4];
	uint64_t old, tsc = probe_rdtsc(), value;
	struct probe_fault fault;
	bool ok;

	probe_cpuid(7, 0, regs);
	fact_line("%stime.adjust = %s", fact_cpu(),
		  (regs[1] & LEAF7_EBX_TSC_ADJUST) != 0 ? "present" : "absent");
	if ((regs[1] & LEAF7_EBX_TSC_ADJUST) == 0)
		return;
	old = probe_rdmsr(MSR_TSC_ADJUST);
	value = old + far_cycles;
	ok = probe_try(do_write_adjust, &value, &fault);
	fact_line("%stime.adjust.write = %s %s", fact_cpu(), ok ? "ok" : "gp",
		  distance(tsc, probe_rdtsc()));
	fact_line("%stime.adjust.read = %s", fact_cpu(),
		  probe_rdmsr(MSR_TSC_ADJUST) == value ? "as written" : "not as written");
	(void)probe_try(do_write_adjust, &old, &fault);
	/* A write of the counter is seen in it as well. */
	value = probe_rdtsc() + far_cycles;
	(void)probe_try(do_write_tsc, &value, &fault);
	fact_line("%stime.adjust.of_write = %s", fact_cpu(),
		  distance(old, probe_rdmsr(MSR_TSC_ADJUST)));
	probe_wrmsr(MSR_TSC_ADJUST, old);
}

static void with_id(void)
{
	uint32_t regs[4], aux;
	uint64_t old;

	probe_cpuid(0x80000001, 0, regs);
	if ((regs[3] & EXT_EDX_RDTSCP) == 0) {
		fact_line("%stime.rdtscp = absent", fact_cpu());
		return;
	}
	old = probe_rdmsr(MSR_TSC_AUX);
	probe_wrmsr(MSR_TSC_AUX, 0x89abcdef);
	fact_line("%stime.rdtscp = %s", fact_cpu(), distance(probe_rdtsc(), rdtscp(&aux)));
	fact_line("%stime.rdtscp.aux = 0x%x", fact_cpu(), aux);
	probe_wrmsr(MSR_TSC_AUX, old);
}

static void look(void *argument)
{
	one_cpu((uint64_t)argument);
	with_id();
	writes();
	adjusts();
}

/* --- forbidden --- */

static void privileges(void)
{
	static const struct {
		const char *name;
		uint8_t code[3];
		uint8_t bytes;
	} insns[] = { { "rdtsc", { 0x0f, 0x31 }, 2 },
		      { "rdtscp", { 0x0f, 0x01, 0xf9 }, 3 },
		      { "rdpmc", { 0x0f, 0x33 }, 2 } };
	static const uint64_t cr4_bits[] = { 0, CR4_TSD, CR4_PCE };
	static struct trial trial;
	uint64_t cr4;

	if (!arena_prepare()) {
		fact_line("time.privilege = absent");
		return;
	}
	arena_enter();
	cr4 = probe_cr4();
	for (unsigned i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		for (unsigned j = 0; j < 3; j++) {
			for (unsigned mode = 0; mode < TRIAL_MODES; mode++) {
				trial_init(&trial, (enum trial_mode)mode, insns[i].code,
					   insns[i].bytes);
				/* No such counter: #GP where it is allowed at all. */
				trial.in.gpr[TRIAL_RCX] = 0x12345;
				probe_set_cr4((cr4 & ~(uint64_t)(CR4_TSD | CR4_PCE)) | cr4_bits[j]);
				trial_run(&trial);
				probe_set_cr4(cr4);
				fact_line("time.privilege.%s.%u.%s = %s %u", insns[i].name, j,
					  trial_mode_name((enum trial_mode)mode),
					  trial.ended ? "ok" : "fault",
					  trial.count == 0
						  ? 0
						  : (unsigned)trial.events[0].frame.vector);
			}
		}
	}
	arena_leave();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint64_t rounds = probe_number(options, "rounds", 5000);

	fact_begin("time");
	privileges();
	look((void *)rounds);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, look, (void *)rounds), "start", "CPU %u", i);
		probe_check(probe_join(i, 60000), "join", "CPU %u", i);
	}
	if (probe_cpu_count > 1)
		across_cpus(rounds);
	fact_end();
	return probe_end();
}
