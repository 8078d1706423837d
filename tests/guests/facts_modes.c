// SPDX-License-Identifier: BSD-2-Clause
/*
 * Modes and the ways between them, on the boot CPU and on one that was restarted: pieces of code in real mode, protected mode
 * of 16 and 32 bits, with and without paging, virtual-8086 mode, and long mode with tables of 4 and 5 levels.
 *
 *   facts_modes.efi [boot] [lax]
 *
 *   lax   without what is not allowed and goes on all the same in QEMU, to nowhere
 *   boot  on the boot CPU only
 */
#include "tests/guests/facts_modes/engine.h"
#include "tests/guests/facts_modes/levels.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/quiet.h"

enum { NAME_BYTES = 28, JOIN_MS = 200000 };
enum { ALL_REAL = 0x40, ALL_32 = 0x41, ALL_VM86 = 0x42 };

/* As snippets.asm lays them out. */
struct snippet {
	uint32_t offset, bytes, mode;
	char name[NAME_BYTES];
};

#define HIDDEN __attribute__((visibility("hidden")))
extern const uint8_t modes_snippets_code[] HIDDEN;
extern const struct snippet modes_snippets[] HIDDEN, modes_snippets_end[] HIDDEN;

static const enum engine_mode real_modes[] = { ENGINE_VM86,	ENGINE_VM86_IOPL,  ENGINE_VME,
					       ENGINE_VME_IOPL, ENGINE_VM86_PAGED, ENGINE_REAL };
static const enum engine_mode modes_32[] = { ENGINE_32, ENGINE_32_USER, ENGINE_32_PAGED,
					     ENGINE_32_PAE };

static const char *const strict[] = { "pg-alone", "nw-alone",	     "cr4-bad",
				      "cr4-vmxe", "lme-without-pae", "efer-lme" };
static bool is_lax;

static bool is_left_out(const struct snippet *snippet)
{
	for (uint32_t i = 0; is_lax && i < sizeof(strict) / sizeof(strict[0]); i++) {
		if (!strcmpa((const CHAR8 *)strict[i], (const CHAR8 *)snippet->name))
			return true;
	}
	return false;
}

static void append(char *text, const char *more)
{
	while (*text)
		text++;
	while (*more)
		*text++ = *more++;
	*text = 0;
}

static void run_in(enum engine_mode mode, const struct snippet *snippet)
{
	char key[80] = "";

	append(key, fact_cpu());
	append(key, engine_mode_name(mode));
	append(key, ".");
	append(key, snippet->name);
	engine_run(key, mode, modes_snippets_code + snippet->offset, snippet->bytes);
}

static void run(const struct snippet *snippet)
{
	switch (snippet->mode) {
	case ALL_REAL:
		for (uint32_t i = 0; i < 6; i++)
			run_in(real_modes[i], snippet);
		break;
	case ALL_VM86:
		for (uint32_t i = 0; i < 5; i++)
			run_in(real_modes[i], snippet);
		break;
	case ALL_32:
		for (uint32_t i = 0; i < 4; i++)
			run_in(modes_32[i], snippet);
		break;
	default:
		run_in((enum engine_mode)snippet->mode, snippet);
		break;
	}
}

static void look(void *argument)
{
	(void)argument;
	for (const struct snippet *snippet = modes_snippets; snippet < modes_snippets_end;
	     snippet++)
		if (!is_left_out(snippet))
			run(snippet);
	levels_print(is_lax);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	is_lax = probe_has_word(options, "lax");
	quiet_begin();
	fact_begin("modes");
	if (probe_check(engine_init() && levels_init(), "area", "it is not free")) {
		__asm__ volatile("cli");
		look(NULL);
		if (probe_cpu_count > 1 && !probe_has_word(options, "boot")) {
			probe_check(probe_start_and_wait(1, look, NULL), "start", "CPU 1");
			probe_check(probe_join(1, JOIN_MS), "join", "CPU 1");
		}
	}
	fact_end();
	quiet_end();
	return probe_end();
}
