// SPDX-License-Identifier: BSD-2-Clause
/*
 * Facts about interrupts and NMIs: when they are taken, in which order, by which CPU, and what they wake.
 *
 *   facts_interrupts.efi
 */
#include "tests/guests/facts_interrupts/order.h"
#include "tests/guests/facts_interrupts/others.h"
#include "tests/guests/facts_interrupts/timers.h"
#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/quiet.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	probe_begin(image, table);
	fact_begin("interrupts");
	quiet_begin();
	if (arena_prepare()) {
		arena_enter();
		facts_order();
		facts_timers();
		arena_leave();
	} else {
		fact("arena", "absent");
	}
	facts_others();
	quiet_end();
	fact_end();
	return probe_end();
}
