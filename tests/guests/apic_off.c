// SPDX-License-Identifier: BSD-2-Clause
/*
 * A CPU whose APIC is off, soft-disabled, or elsewhere is still reached when the guest-physical map changes, and reaches
 * the others: one tracks and releases a page again and again, which returns only when all others have forgotten it,
 * while the other spins with interrupts disabled.
 *
 *   apic_off.efi [changes N]
 */
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/track_ask.h"

enum { PAGE = 4096, MSR_APIC_BASE = 0x1b, APIC_SVR = 0xf0 };

static uint8_t *page, *elsewhere;
static bool is_amd;
static uint64_t changes, apic_base;
static uint32_t ready, is_done, failures;

static uint64_t ask(uint64_t operation, const void *at)
{
	return track_ask(is_amd, operation, (uint64_t)at, 0);
}

static void change_often(void)
{
	for (uint64_t i = 0; i < changes; i++) {
		if (ask(TRACK_CALL_ADD, page) != 1 || ask(TRACK_CALL_REMOVE, page) != 1)
			failures++;
	}
}

/* --- what the other CPU does to its APIC --- */

static void leave_on(void)
{
}

static void soft_disable(void)
{
	probe_apic_write(APIC_SVR, 0xff);
}

static void turn_off(void)
{
	probe_wrmsr(MSR_APIC_BASE, apic_base & ~UINT64_C(0x800));
}

static void move_to_ram(void)
{
	probe_wrmsr(MSR_APIC_BASE, (apic_base & 0xfff) | (uint64_t)elsewhere);
}

static void move_and_turn_off(void)
{
	move_to_ram();
	probe_wrmsr(MSR_APIC_BASE, probe_rdmsr(MSR_APIC_BASE) & ~UINT64_C(0x800));
}

static void turn_off_and_on(void)
{
	turn_off();
	probe_wrmsr(MSR_APIC_BASE, apic_base);
}

static const struct {
	const char *name;
	void (*function)(void);
} deeds[] = {
	{ "on", leave_on },
	{ "soft-disabled", soft_disable },
	{ "off", turn_off },
	{ "moved", move_to_ram },
	{ "moved-off", move_and_turn_off },
	{ "off-and-on", turn_off_and_on },
};

static uint32_t which;
static bool changes_itself;

/* Nothing here exits: only an NMI makes this CPU look. */
static void other_cpu(void *argument)
{
	(void)argument;
	deeds[which].function();
	__atomic_store_n(&ready, 1, __ATOMIC_SEQ_CST);
	if (changes_itself)
		change_often();
	else
		while (!__atomic_load_n(&is_done, __ATOMIC_SEQ_CST))
			__asm__ volatile("pause");
	probe_wrmsr(MSR_APIC_BASE, apic_base);
}

static void check(const char *how)
{
	ready = is_done = failures = 0;
	probe_start_and_wait(1, other_cpu, NULL);
	while (!__atomic_load_n(&ready, __ATOMIC_SEQ_CST))
		__asm__ volatile("pause");
	if (!changes_itself) {
		change_often();
		__atomic_store_n(&is_done, 1, __ATOMIC_SEQ_CST);
	}
	probe_check(probe_join(1, 60000) && !failures, deeds[which].name, "%s: %u failures", how,
		    failures);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint32_t regs[4];

	changes = probe_number(options, "changes", 200);
	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	apic_base = probe_rdmsr(MSR_APIC_BASE) & ~UINT64_C(0x100);
	page = AllocatePool(3 * PAGE);
	page = (uint8_t *)(((uint64_t)page + PAGE - 1) & ~UINT64_C(0xfff));
	elsewhere = page + PAGE;
	for (which = 0; which < sizeof(deeds) / sizeof(deeds[0]); which++) {
		changes_itself = false;
		check("is reached");
		changes_itself = true;
		check("reaches");
	}
	return probe_end();
}
