// SPDX-License-Identifier: BSD-2-Clause
/*
 * The other CPUs started by INIT and SIPI over and over, without the pauses that real ones want,
 * out of whatever they are doing.
 *
 *   startup.efi [rounds N] [x2apic] [patient] [lossy]
 *
 * patient: with the usual pauses; on VT-x, as bare, a SIPI that follows its INIT at once is lost.
 * lossy: Bochs, which drops an INIT that comes while the CPU is in VMX root operation.
 */
#include "tests/guests/lib/probe.h"

enum { MSR_APIC_BASE = 0x1b, ICR_INIT = 0x4500, ICR_DEASSERT = 0x8500, ICR_STARTUP = 0x4600 };
enum { APIC_BASE_X2APIC = 0x400, JOIN_MS = 20000 };

static const struct probe_startup at_once = { 0, 0, 2 }, once = { 0, 0, 1 }, many = { 0, 0, 9 };
static const struct probe_startup *startups[] = { &at_once, &once, &many };

static bool is_patient, is_lossy, use_x2apic;
static uint64_t hidden_page;
static uint32_t began;

static void say_began(void)
{
	__atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
}

/* --- what a CPU can be doing when the INIT comes --- */

static void do_nothing(void *argument)
{
	(void)argument;
	say_began();
}

static void spin(void *argument)
{
	(void)argument;
	say_began();
	for (;;)
		__asm__ volatile("pause");
}

static void halt_forever(void *argument)
{
	(void)argument;
	say_began();
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void exit_much(void *argument)
{
	uint32_t regs[4];

	(void)argument;
	say_began();
	for (;;)
		probe_cpuid(1, 0, regs);
}

/* EOI, without a look at IA32_APIC_BASE each time, which exits. */
static void write_apic(void *argument)
{
	const uint64_t base = probe_apic_base();
	volatile uint32_t *eoi = (volatile uint32_t *)((base & 0xffffff000ull) + 0xb0);

	(void)argument;
	say_began();
	for (;;) {
		if ((base & 0x400) != 0)
			probe_wrmsr(0x80b, 0);
		else
			*eoi = 0;
	}
}

static void step_much(void *argument)
{
	(void)argument;
	say_began();
	for (;;)
		*(volatile uint64_t *)hidden_page = 1;
}

static const struct {
	const char *name;
	probe_function function;
	bool exits;
} deeds[] = {
	{ "start", do_nothing, false },		 { "start-spinning", spin, false },
	{ "start-halted", halt_forever, false }, { "start-exiting", exit_much, true },
	{ "start-apic", write_apic, false },	 { "start-stepping", step_much, true },
};

static bool wait_until_began(uint32_t count)
{
	for (uint32_t i = 0; i < JOIN_MS * 10; i++) {
		if (__atomic_load_n(&began, __ATOMIC_SEQ_CST) == count)
			return true;
		probe_stall(100);
	}
	return false;
}

/* Each round enters the function once, however many SIPIs there are. */
static bool start_all(probe_function function, uint32_t round)
{
	const struct probe_startup *startup =
		is_patient ? &probe_startup_usual : startups[round % 3];

	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		began = 0;
		probe_start_cpu(i, function, NULL, startup);
		if (!wait_until_began(1))
			return probe_check(false, "came", "cpu %u round %u", i, round);
	}
	return true;
}

static void check_deed(uint32_t which, uint32_t rounds)
{
	uint64_t before[PROBE_CPUS_MAX] = { 0 };
	uint32_t round = 0;
	bool good = true;

	for (uint32_t i = 0; i < probe_cpu_count; i++)
		before[i] = probe_entries(i);
	while (good && round < rounds)
		good = start_all(deeds[which].function, round++);
	/* A SIPI more than needed would still start it again. */
	probe_stall(20000);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		good = good && probe_entries(i) == before[i] + rounds;
	probe_check(good, deeds[which].name, "%u rounds, cpu 1 entered %lu times", round,
		    probe_entries(1) - before[1]);
}

/* --- SIPIs that must not start anything --- */

static void check_ignored(void)
{
	const uint64_t before = probe_entries(1);

	start_all(spin, 1);
	for (int i = 0; i < 20; i++) {
		probe_icr(probe_cpus[1].apic_id, ICR_STARTUP | 0x9e);
		probe_icr(probe_cpus[1].apic_id, ICR_DEASSERT);
	}
	probe_stall(20000);
	probe_check(probe_entries(1) == before + 1, "sipi-ignored", "%lu",
		    probe_entries(1) - before);
}

/* --- x2APIC --- */

static void enter_x2apic(void *argument)
{
	(void)argument;
	probe_wrmsr(MSR_APIC_BASE, probe_rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	say_began();
}

static uint32_t id_seen;

/* The mode outlives an INIT. */
static void look_at_apic(void *argument)
{
	(void)argument;
	id_seen = probe_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC ? (uint32_t)probe_rdmsr(0x802)
								: 0xfffffff;
	say_began();
}

static bool has_x2apic(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	return (regs[2] >> 21) & 1;
}

static void check_x2apic(void)
{
	start_all(enter_x2apic, 0);
	enter_x2apic(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		began = 0;
		probe_start_cpu(i, look_at_apic, NULL,
				is_patient ? &probe_startup_usual : &at_once);
		probe_check(wait_until_began(1) && id_seen == probe_cpus[i].apic_id, "x2apic-id",
			    "cpu %u: 0x%x", i, id_seen);
	}
}

/* Any reserved RAM will do; hidden.c looks closer. */
static void find_hidden_page(void)
{
	UINTN count, key, entry_bytes;
	UINT32 version;
	const uint8_t *map = (void *)LibMemoryMap(&count, &key, &entry_bytes, &version);
	static uint64_t own;

	hidden_page = (uint64_t)&own;
	for (UINTN i = 0; i < count; i++) {
		const EFI_MEMORY_DESCRIPTOR *entry = (const void *)(map + i * entry_bytes);

		if (entry->Type == EfiReservedMemoryType && entry->NumberOfPages >= 768 &&
		    entry->NumberOfPages < 8192 &&
		    *(volatile uint64_t *)entry->PhysicalStart == ~UINT64_C(0))
			hidden_page = entry->PhysicalStart;
	}
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const uint32_t rounds = (uint32_t)probe_number(options, "rounds", 100);

	is_patient = probe_has_word(options, "patient");
	is_lossy = probe_has_word(options, "lossy");
	use_x2apic = probe_has_word(options, "x2apic");
	find_hidden_page();
	probe_print("PROBE: hidden page 0x%lx\n", hidden_page);
	if (use_x2apic && probe_check(has_x2apic(), "x2apic", ""))
		check_x2apic();
	for (uint32_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		if (!is_lossy || !deeds[i].exits)
			check_deed(i, rounds);
	}
	check_ignored();
	return probe_end();
}
