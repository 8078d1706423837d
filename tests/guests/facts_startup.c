// SPDX-License-Identifier: BSD-2-Clause
/*
 * INIT and SIPI: which of them start a CPU, out of what, how often, where, and what state they leave.
 *
 *   facts_startup.efi [rounds N] [patient] [no-nmi] [x2apic]
 *
 *   rounds   how often all other CPUs are restarted in a row
 *   patient  no SIPI follows its INIT at once (on VT-x one that does is lost)
 *   no-nmi   no CPU is in its NMI handler when the INIT comes (Bochs's AMD-V: docs/emulators.md)
 *   x2apic   all CPUs are in x2APIC mode
 */
#include "tests/guests/facts_startup/state.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { ICR_INIT = 0x4500, ICR_DEASSERT = 0x8500, ICR_STARTUP = 0x4600 };
enum { ICR_OTHERS = 0xc0000, MSR_APIC_BASE = 0x1b };
enum { STUBS = 3, JOIN_MS = 20000 };

extern const uint8_t startup_stub_start[] __attribute__((visibility("hidden")));
extern const uint8_t startup_stub_end[] __attribute__((visibility("hidden")));
extern const uint8_t startup_stub_data[] __attribute__((visibility("hidden")));

static EFI_PHYSICAL_ADDRESS stubs[STUBS]; /* pages below 1 MiB */
static bool is_patient, leaves_nmi_out;
static uint32_t began;

static struct stub_data *data_of(uint32_t stub)
{
	return (struct stub_data *)(stubs[stub] +
				    (uint64_t)(startup_stub_data - startup_stub_start));
}

static bool prepare_stubs(void)
{
	for (uint32_t i = 0; i < STUBS; i++) {
		stubs[i] = 0x9f000;
		if (EFI_ERROR(BS->AllocatePages(AllocateMaxAddress, EfiLoaderCode, 1, &stubs[i])))
			return false;
		CopyMem((void *)stubs[i], (void *)(UINTN)startup_stub_start,
			(UINTN)(startup_stub_end - startup_stub_start));
	}
	return true;
}

static uint32_t entries(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < STUBS; i++)
		sum += ((volatile struct stub_data *)data_of(i))->count;
	return sum;
}

/* Until there were so many, or for long enough that no more come. */
static uint32_t wait_entries(uint32_t before, uint32_t count)
{
	for (uint32_t i = 0; i < 20000 && entries() - before < count; i++)
		probe_stall(100);
	return entries() - before;
}

static uint32_t entries_later(uint32_t before)
{
	probe_stall(20000);
	return entries() - before;
}

static uint32_t id_of(uint32_t cpu)
{
	return probe_cpus[cpu].apic_id;
}

static void send_init(uint32_t cpu)
{
	probe_icr(id_of(cpu), ICR_INIT);
}

static void send_sipi(uint32_t cpu, uint32_t stub)
{
	probe_icr(id_of(cpu), ICR_STARTUP | (uint32_t)(stubs[stub] >> 12));
}

/* Back to wait-for-SIPI and on to the stub, where it halts. */
static uint32_t restart(uint32_t cpu, uint32_t stub, uint32_t init_us, uint32_t sipi_us,
			uint32_t sipis)
{
	const uint32_t before = entries();

	send_init(cpu);
	probe_stall(init_us);
	for (uint32_t i = 0; i < sipis; i++) {
		send_sipi(cpu, stub);
		probe_stall(sipi_us);
	}
	if (sipis)
		wait_entries(before, 1);
	return entries_later(before);
}

/* --- delays --- */

static void try_delays(uint32_t cpu)
{
	static const uint32_t delays[] = { 0, 1, 5, 20, 50, 200, 1000, 10000 };
	static const uint32_t counts[] = { 0, 1, 2, 9 };

	for (uint32_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		if (is_patient && delays[i] < 1000)
			continue;
		for (uint32_t j = 0; j < sizeof(counts) / sizeof(counts[0]); j++)
			fact_line("cpu%u.sipi.after-%u.times-%u = started %u", cpu, delays[i],
				  counts[j],
				  restart(cpu, i % STUBS, delays[i], delays[i] / 5, counts[j]));
	}
	fact_line("cpu%u.sipi.far-apart = started %u", cpu, restart(cpu, 0, 10000, 20000, 2));
}

static void try_vectors(uint32_t cpu)
{
	for (uint32_t i = 0; i < STUBS; i++) {
		restart(cpu, i, 10000, 200, 2);
		fact_line("cpu%u.vector.%u = CS %u", cpu, i,
			  data_of(i)->selectors[0] == stubs[i] >> 4);
	}
}

/* --- SIPIs and INITs that do nothing, or nothing yet --- */

static void try_ignored(uint32_t cpu)
{
	uint32_t before;

	restart(cpu, 0, 10000, 200, 1);
	before = entries();
	for (uint32_t i = 0; i < 20; i++)
		send_sipi(cpu, 1);
	fact_line("cpu%u.sipi.to-started = started %u", cpu, entries_later(before));
	for (uint32_t i = 0; i < 20; i++)
		probe_icr(id_of(cpu), ICR_DEASSERT);
	send_sipi(cpu, 1);
	fact_line("cpu%u.deassert = started %u", cpu, entries_later(before));
	send_init(cpu);
	probe_stall(10000);
	fact_line("cpu%u.init-alone = started %u", cpu, entries_later(before));
	probe_icr(id_of(cpu), ICR_DEASSERT);
	probe_stall(1000);
	send_sipi(cpu, 2);
	fact_line("cpu%u.init-deassert-sipi = started %u at %u", cpu, wait_entries(before, 1),
		  data_of(2)->selectors[0] == stubs[2] >> 4);
	for (uint32_t i = 0; i < 5; i++) {
		send_init(cpu);
		probe_stall(is_patient ? 10000 : 100 * i);
	}
	send_sipi(cpu, 0);
	fact_line("cpu%u.five-inits = started %u", cpu, entries_later(before) - 1);
	/* Two other APIC IDs that nobody has. */
	probe_icr(0x7d, ICR_INIT);
	probe_icr(0x7d, ICR_STARTUP | (uint32_t)(stubs[0] >> 12));
	fact_line("cpu%u.to-nobody = started %u", cpu, entries_later(before) - 2);
}

/* --- what a CPU can be doing when the INIT comes --- */

static void say_began(void)
{
	__atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
}

static void spin(void *argument)
{
	(void)argument;
	say_began();
	for (;;)
		__asm__ volatile("pause");
}

static void halt_off(void *argument)
{
	(void)argument;
	say_began();
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void halt_on(void *argument)
{
	(void)argument;
	say_began();
	for (;;)
		__asm__ volatile("sti; hlt");
}

static void wait_in_mwait(void *argument)
{
	static uint64_t line __attribute__((aligned(64)));
	uint32_t regs[4];

	(void)argument;
	probe_cpuid(1, 0, regs);
	say_began();
	for (;;) {
		if (!(regs[2] & 8)) {
			__asm__ volatile("pause");
			continue;
		}
		__asm__ volatile("monitor" : : "a"(&line), "c"(0), "d"(0));
		__asm__ volatile("mwait" : : "a"(0), "c"(0));
	}
}

static void read_cpuid(void *argument)
{
	uint32_t regs[4];

	(void)argument;
	say_began();
	for (;;)
		probe_cpuid(1, 0, regs);
}

static void in_nmi(struct probe_cpu *cpu)
{
	if (cpu->index == 0)
		return;
	say_began();
	for (;;)
		__asm__ volatile("pause");
}

static void handle_nmi(void *argument)
{
	(void)argument;
	probe_nmi_hook = in_nmi;
	probe_icr(probe_this_cpu()->apic_id, 0x4400);
	for (;;)
		__asm__ volatile("pause");
}

/* It waits for a SIPI by its own doing. */
static void init_self(void *argument)
{
	(void)argument;
	say_began();
	send_init(probe_this_cpu()->index);
	for (;;)
		__asm__ volatile("pause");
}

static void try_deeds(uint32_t cpu)
{
	static const struct {
		const char *name;
		probe_function function;
		bool exits, restarts;
	} deeds[] = {
		{ "spinning", spin, false, false },
		{ "halted", halt_off, false, false },
		{ "halted-interruptible", halt_on, false, false },
		{ "mwait", wait_in_mwait, false, false },
		{ "in-nmi", handle_nmi, false, false },
		{ "init-self", init_self, false, true },
		{ "cpuid", read_cpuid, true, false },
	};

	for (uint32_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		const uint32_t before = entries();
		uint32_t without, with;

		if ((is_patient && deeds[i].exits) ||
		    (leaves_nmi_out && deeds[i].function == handle_nmi))
			continue;
		began = 0;
		probe_start_and_wait(cpu, deeds[i].function, NULL);
		for (uint32_t j = 0; j < 20000 && !__atomic_load_n(&began, __ATOMIC_SEQ_CST); j++)
			probe_stall(100);
		probe_nmi_hook = NULL;
		send_sipi(cpu, 0);
		probe_stall(2000);
		/* Its own INIT may come later than our SIPI. */
		for (uint32_t j = 0; deeds[i].restarts && j < 200 && entries() == before; j++) {
			probe_stall(10000);
			send_sipi(cpu, 0);
		}
		without = entries() - before;
		with = restart(cpu, 0, 10000, 200, 2);
		fact_line("cpu%u.out-of.%s = before INIT %u, after %u", cpu, deeds[i].name, without,
			  with);
	}
}

/* --- several at once --- */

static void try_broadcasts(void)
{
	const uint32_t others = probe_cpu_count - 1;
	uint32_t before = entries();

	probe_icr(0, ICR_OTHERS | ICR_INIT);
	probe_stall(10000);
	probe_icr(0, ICR_OTHERS | ICR_STARTUP | (uint32_t)(stubs[0] >> 12));
	wait_entries(before, others);
	fact_line("others = started %u", entries_later(before));
	before = entries();
	probe_icr(0, ICR_OTHERS | ICR_STARTUP | (uint32_t)(stubs[0] >> 12));
	fact_line("others.again = started %u", entries_later(before));
}

static void try_rounds(uint32_t rounds)
{
	uint32_t good = 0;

	for (uint32_t round = 0; round < rounds; round++) {
		const uint32_t before = entries();

		for (uint32_t i = 1; i < probe_cpu_count; i++)
			send_init(i);
		if (is_patient)
			probe_stall(10000);
		for (uint32_t i = 1; i < probe_cpu_count; i++)
			send_sipi(i, round % STUBS);
		good += wait_entries(before, probe_cpu_count - 1) == probe_cpu_count - 1;
	}
	fact_line("rounds = good %u", good);
}

/* --- the state --- */

/*
 * The SIPI that comes after the first one has been ignored then. QEMU's CPU, if the host gives it no time meanwhile, finds
 * it together with the INIT to come, and is started by it.
 */
static void wait_for_spins(uint32_t count)
{
	const uint32_t before = __atomic_load_n(&state_spins, __ATOMIC_SEQ_CST);

	while (__atomic_load_n(&state_spins, __ATOMIC_SEQ_CST) - before < count)
		probe_stall(100);
}

static void try_state(uint32_t cpu)
{
	static const struct probe_startup init_only = { 10000, 0, 0 };
	struct stub_data *data = data_of(0);
	const uint64_t trampoline = probe_trampoline_page();

	state_is_spoiled = 0;
	probe_start_and_wait(cpu, state_spoil, NULL);
	while (!__atomic_load_n(&state_is_spoiled, __ATOMIC_SEQ_CST))
		probe_stall(100);
	wait_for_spins(1000);
	data->tries_limits = 1;
	data->go_on[1] = (uint16_t)(trampoline >> 4);
	probe_start_cpu(cpu, state_print_rest, NULL, &init_only);
	send_sipi(cpu, 0);
	probe_check(probe_join(cpu, JOIN_MS), "state", "CPU %u", cpu);
	probe_print("PROBE: stub at 0x%lx, trampoline at 0x%lx, entries %u\n", (uint64_t)data,
		    trampoline, data->count);
	data->tries_limits = 0;
	data->go_on[1] = 0;
	state_print_stub(data);
}

static void enter_x2apic(void *argument)
{
	(void)argument;
	probe_wrmsr(MSR_APIC_BASE, probe_rdmsr(MSR_APIC_BASE) | 0x400);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	is_patient = probe_has_word(options, "patient");
	leaves_nmi_out = probe_has_word(options, "no-nmi");
	probe_check(prepare_stubs(), "stubs", "no memory below 1 MiB");
	if (probe_has_word(options, "x2apic")) {
		for (uint32_t i = 1; i < probe_cpu_count; i++) {
			probe_start_and_wait(i, enter_x2apic, NULL);
			probe_join(i, JOIN_MS);
		}
		enter_x2apic(NULL);
	}
	fact_begin("startup");
	fact_line("first = started %u", restart(1, 0, 10000, 200, 2));
	try_state(1);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		try_delays(i);
		try_vectors(i);
		try_ignored(i);
		try_deeds(i);
	}
	try_broadcasts();
	try_rounds((uint32_t)probe_number(options, "rounds", 50));
	fact_end();
	return probe_end();
}
