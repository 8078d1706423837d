// SPDX-License-Identifier: BSD-2-Clause
/*
 * Facts about exceptions: what raises them, what they push, and what becomes of those that cannot be delivered.
 *
 *   facts_exceptions.efi [reset KIND]
 *
 * reset: end in a triple fault of one of the kinds of facts_exceptions/reset.c.
 */
#include "tests/guests/facts_exceptions/delivery.h"
#include "tests/guests/facts_exceptions/hardware.h"
#include "tests/guests/facts_exceptions/ints.h"
#include "tests/guests/facts_exceptions/reset.h"
#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/quiet.h"

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	fact_begin("exceptions");
	if (!arena_prepare()) {
		fact("arena", "absent");
	} else if (probe_has_word(options, "reset")) {
		facts_reset(options);
	} else {
		quiet_begin();
		arena_enter();
		facts_ints();
		facts_hardware();
		facts_delivery();
		arena_leave();
		quiet_end();
	}
	fact_end();
	return probe_end();
}
