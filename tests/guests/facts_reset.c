// SPDX-License-Identifier: BSD-2-Clause
/*
 * One way to reset the machine.
 *
 *   facts_reset.efi cf9 VALUE | port92 | keyboard | triple | init [other]
 *
 * VALUE is in decimal; init: an INIT to the boot CPU; other: CPU 1 does it.
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { PORT_A20 = 0x92, PORT_RESET = 0xcf9, KBC_STATUS = 0x64, KBC_PULSE_RESET = 0xfe };
enum { ICR_INIT = 0x4500 };

static void triple_fault(void)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	__asm__ volatile("lidt %0\n\tint3" : : "m"(none));
}

static void reset(void *argument)
{
	const char *options = argument;
	const uint8_t value = (uint8_t)probe_number(options, "cf9", 0);

	if (value) {
		probe_outb(PORT_RESET, value & 0xfb);
		probe_outb(PORT_RESET, value);
	} else if (probe_has_word(options, "port92")) {
		probe_outb(PORT_A20, (probe_inb(PORT_A20) & ~1u) & 0xff);
		probe_outb(PORT_A20, probe_inb(PORT_A20) | 1);
	} else if (probe_has_word(options, "keyboard")) {
		probe_outb(KBC_STATUS, KBC_PULSE_RESET);
	} else if (probe_has_word(options, "triple")) {
		triple_fault();
	} else if (probe_has_word(options, "init")) {
		probe_icr(probe_cpus[0].apic_id, ICR_INIT);
	}
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	static char options[256];
	const char *given = probe_begin(image, table);

	CopyMem(options, (void *)(UINTN)given, sizeof(options));
	fact_begin("reset");
	fact("way", "%s", options);
	fact_end();
	if (probe_has_word(options, "other"))
		probe_start_cpu(1, reset, options, &probe_startup_usual);
	else
		reset(options);
	probe_stall(3000000);
	return probe_end();
}
