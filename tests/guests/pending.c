// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts that are pending in a CPU's APIC when an INIT comes: they are gone.
 * SDM: "Local APIC State After an INIT Reset".
 *
 *   pending.efi [rounds N] [x2apic] [patient]        patient as in startup.c
 */
#include "tests/guests/lib/probe.h"

enum { MSR_APIC_BASE = 0x1b, APIC_BASE_X2APIC = 0x400, MSR_X2APIC = 0x800 };
enum { APIC_SVR = 0xf0, APIC_ISR = 0x100, APIC_IRR = 0x200, APIC_WORDS = 8 };
enum { SVR_RESET = 0xff, SVR_ENABLED = 0x1ff, ICR_FIXED = 0x4000 };
enum { WAIT_MS = 20000 };

static const struct probe_startup at_once = { 0, 0, 2 };
/* One in each of the words but the first. */
static const uint8_t vectors[] = { 0x31, 0x52, 0x73, 0x91, 0xb4, 0xd5, 0xf6 };
enum { VECTORS = sizeof(vectors) };

static bool is_patient, use_x2apic;

/* What the other CPU says, phase by phase. */
static struct {
	uint32_t phase;
	uint32_t svr, irr[APIC_WORDS], isr[APIC_WORDS];
	uint64_t taken;
} seen;

static uint32_t read_register(uint32_t offset)
{
	return use_x2apic ? (uint32_t)probe_rdmsr(MSR_X2APIC + (offset >> 4))
			  : probe_apic_read(offset);
}

static void write_register(uint32_t offset, uint32_t value)
{
	if (use_x2apic)
		probe_wrmsr(MSR_X2APIC + (offset >> 4), value);
	else
		probe_apic_write(offset, value);
}

static void enter_x2apic(void)
{
	if (use_x2apic)
		probe_wrmsr(MSR_APIC_BASE, probe_rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
}

static void say(uint32_t phase)
{
	__atomic_store_n(&seen.phase, phase, __ATOMIC_SEQ_CST);
}

static bool wait_for(uint32_t phase)
{
	for (uint32_t i = 0; i < WAIT_MS * 10; i++) {
		if (__atomic_load_n(&seen.phase, __ATOMIC_SEQ_CST) == phase)
			return true;
		probe_stall(100);
	}
	return false;
}

static bool all_pending(void)
{
	bool all = true;

	for (uint32_t i = 0; i < VECTORS; i++) {
		const uint32_t word = read_register(APIC_IRR + (vectors[i] / 32u) * 16);

		all = all && ((word >> vectors[i] % 32u) & 1) != 0;
	}
	return all;
}

static void collect(void *argument)
{
	(void)argument;
	enter_x2apic();
	write_register(APIC_SVR, SVR_ENABLED);
	say(1);
	while (!all_pending())
		__asm__ volatile("pause");
	say(2);
	for (;;)
		__asm__ volatile("pause");
}

static uint64_t taken(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < VECTORS; i++)
		sum += probe_this_cpu()->counts[vectors[i]];
	return sum;
}

static void look(void *argument)
{
	const uint64_t before = taken();

	(void)argument;
	seen.svr = read_register(APIC_SVR);
	for (uint32_t i = 0; i < APIC_WORDS; i++) {
		seen.irr[i] = read_register(APIC_IRR + i * 16);
		seen.isr[i] = read_register(APIC_ISR + i * 16);
	}
	write_register(APIC_SVR, SVR_ENABLED);
	for (uint32_t i = 0; i < 1000; i++)
		__asm__ volatile("sti; pause; cli");
	seen.taken = taken() - before;
	say(3);
}

static void send_all(void)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		if (use_x2apic)
			probe_wrmsr(MSR_X2APIC + 0x30,
				    (uint64_t)probe_cpus[1].apic_id << 32 | ICR_FIXED | vectors[i]);
		else
			probe_icr(probe_cpus[1].apic_id, ICR_FIXED | vectors[i]);
	}
}

static bool is_clear(void)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < APIC_WORDS; i++)
		bits |= seen.irr[i] | seen.isr[i];
	return bits == 0;
}

static bool check_round(const struct probe_startup *startup, uint32_t round)
{
	probe_start_cpu(1, collect, NULL, startup);
	if (!wait_for(1))
		return probe_check(false, "started", "round %u", round);
	send_all();
	if (!wait_for(2))
		return probe_check(false, "pending", "round %u", round);
	probe_start_cpu(1, look, NULL, startup);
	if (!wait_for(3))
		return probe_check(false, "looked", "round %u", round);
	if (seen.svr == SVR_RESET && seen.taken == 0 && is_clear())
		return true;
	return probe_check(false, "gone", "round %u: SVR 0x%x IRR 0x%x 0x%x 0x%x, %lu taken", round,
			   seen.svr, seen.irr[1], seen.irr[4], seen.irr[7], seen.taken);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const uint32_t rounds = (uint32_t)probe_number(options, "rounds", 100);
	bool good = true;

	is_patient = probe_has_word(options, "patient");
	use_x2apic = probe_has_word(options, "x2apic");
	enter_x2apic();
	for (uint32_t round = 0; good && round < rounds; round++)
		good = check_round(is_patient ? &probe_startup_usual : &at_once, round);
	probe_check(good, "pending-gone", "%u rounds", rounds);
	return probe_end();
}
