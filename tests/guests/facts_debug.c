// SPDX-License-Identifier: BSD-2-Clause
/*
 * Facts about debugging: debug registers, single steps, breakpoints, and which exception comes first.
 *
 *   facts_debug.efi [full] [flat]
 *
 * full: every instruction in every mode and way. flat: no instruction breakpoint where the code segment's base is not 0, as QEMU
 * itself dies of it (docs/emulators.md).
 */
#include "tests/guests/facts_debug/breaks.h"
#include "tests/guests/facts_debug/registers.h"
#include "tests/guests/facts_debug/steps.h"
#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/quiet.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const bool full = probe_has_word(options, "full");

	fact_begin("debug");
	if (arena_prepare()) {
		quiet_begin();
		arena_enter();
		facts_registers();
		facts_breaks(full, probe_has_word(options, "flat"));
		facts_steps(full);
		arena_leave();
		quiet_end();
	} else {
		fact("arena", "absent");
	}
	fact_end();
	return probe_end();
}
