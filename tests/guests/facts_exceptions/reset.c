// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_exceptions/reset.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { VECTOR_DF = 8, VECTOR_UD_BIT = 6, ABSENT = ARENA_DATA + 0xf000 };

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* #DF has no gate, or no stack, or nothing has. */
void facts_reset(const char *options)
{
	static const uint8_t ud[] = { 0x0f, 0x0b }, read[] = { 0x8b, 0x03 },
			     cpuid[] = { 0x0f, 0xa2 };
	const struct table_register none = { 0, 0 };
	const bool is_user = probe_has_word(options, "user");
	const enum trial_mode mode = is_user ? TRIAL_64_3 : TRIAL_64_0;
	struct trial trial;

	fact("reset.cpus", "%u", probe_cpu_count);
	fact_end();
	arena_enter();
	if (probe_has_word(options, "gate")) {
		trial_init(&trial, mode, ud, sizeof(ud));
		arena_gate(VECTOR_UD_BIT)->type = 0;
		arena_gate(VECTOR_DF)->type = 0;
		arena_gate(13)->type = 0;
		arena_gate(11)->type = 0;
	} else if (probe_has_word(options, "stack")) {
		trial_init(&trial, mode, read, sizeof(read));
		trial.in.gpr[TRIAL_RBX] = ABSENT;
		arena_page(ABSENT, 0);
		arena_gate(14)->ist = 3;
		arena_gate(VECTOR_DF)->ist = 3;
		arena_tss()->ist[2] = ABSENT + ARENA_PAGE;
	} else {
		/* A trap of the hypervisor's own making, if there is one. */
		trial_init(&trial, mode, cpuid, sizeof(cpuid));
		trial.in.rflags |= TRIAL_TF;
		__asm__ volatile("lidt %0" : : "m"(none));
	}
	trial_run(&trial);
}
