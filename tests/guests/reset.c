// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ends in a triple fault: no IDT, then an exception.
 *
 *   reset.efi [other]     other: on CPU 1
 */
#include "tests/guests/lib/probe.h"

static void fault_thrice(void *argument)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = { 0, 0 };

	(void)argument;
	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	probe_print("PROBE: a triple fault now\n");
	if (probe_has_word(options, "other"))
		probe_start_cpu(1, fault_thrice, NULL, &probe_startup_usual);
	else
		fault_thrice(NULL);
	probe_stall(3000000);
	probe_check(false, "reset", "still there");
	return probe_end();
}
