// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_exceptions/ints.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { VECTORS = 256, PLAIN = 0x31, CODE_MAX = 8, VECTOR_NP = 11, GATE_TRAP_3 = 0xef };

struct gates {
	const char *name;
	uint8_t type;
};

static const struct gates gates[] = {
	{ "interrupt-0", 0x8e }, { "interrupt-3", 0xee }, { "trap-3", 0xef }, { "absent-3", 0x6e },
	{ "task-3", 0xe5 },	 { "call-3", 0xec },	  { "none", 0 },
};

/* INT n pushes no error code, whatever n is: the entry is that of a vector that has none. */
static void set_gate(uint32_t vector, uint8_t type)
{
	struct arena_gate *gate = arena_gate(vector);
	const uint64_t entry = trial_entry(PLAIN);

	gate->type = type;
	gate->ist = 0;
	gate->offset_0 = (uint16_t)entry;
	gate->offset_16 = (uint16_t)(entry >> 16);
	gate->offset_32 = (uint32_t)(entry >> 32);
}

/* What INT n came to, with n taken out of it, so that all that is regular is the same. */
static void describe(struct trial_text *text, const struct trial *trial, uint32_t vector)
{
	const struct trial_event *event = &trial->events[0];

	text->length = 0;
	if (!trial->count) {
		trial_print(text, "nothing");
	} else if (event->frame.vector == PLAIN) {
		trial_print_event(text, trial, event);
	} else {
		const uint64_t error = event->frame.error - 8 * vector;

		trial_print(text, " vector %lu error 8n+%lx offset %lx flags %lx",
			    event->frame.vector, error, event->frame.rip - trial->start,
			    event->frame.rflags);
	}
}

static bool is_same(const struct trial_text *a, const struct trial_text *b)
{
	return a->length == b->length &&
	       !CompareMem((void *)(UINTN)a->text, (void *)(UINTN)b->text, a->length);
}

static void one(struct trial_text *text, enum trial_mode mode, const struct gates *kind,
		uint32_t vector, uint64_t flags)
{
	const uint8_t code[] = { 0xcd, (uint8_t)vector };
	struct trial trial;

	set_gate(vector, kind->type);
	trial_init(&trial, mode, code, sizeof(code));
	trial.in.rflags |= flags;
	trial_run(&trial);
	arena_reset();
	describe(text, &trial, vector);
}

static void row(enum trial_mode mode, const struct gates *kind, uint64_t flags)
{
	struct trial_text key, first = { .length = 0 }, next;
	const bool is_refused = kind->type != GATE_INTERRUPT_3 && kind->type != GATE_TRAP_3 &&
				(kind->type != GATE_INTERRUPT || trial_is_user(mode));
	uint32_t from = 0;

	for (uint32_t vector = 0; vector <= VECTORS; vector++) {
		/* TRIAL_END is how a trial ends, and #NP and #GP are what comes if it is refused. */
		const bool is_needed = vector == TRIAL_END ||
				       (is_refused && (vector == VECTOR_NP || vector == VECTOR_GP));

		if (is_needed)
			continue;
		if (vector < VECTORS)
			one(&next, mode, kind, vector, flags);
		if (vector < VECTORS && first.length && is_same(&first, &next))
			continue;
		if (first.length) {
			key.length = 0;
			trial_print(&key, "int.%s%s.%s.from-%u", kind->name,
				    flags & TRIAL_TF ? "-step" : "", trial_mode_name(mode), from);
			fact(key.text, "to %u:%s", vector - 1, first.text);
		}
		first = next;
		from = vector;
	}
}

struct insn {
	const char *name;
	uint8_t bytes[CODE_MAX];
	uint32_t count, vector;
	uint64_t flags;
};

static const struct insn insns[] = {
	{ "int3", { 0xcc }, 1, 3, 0 },
	{ "int1", { 0xf1 }, 1, 1, 0 },
	{ "into", { 0xce }, 1, 4, 0x800 },
	{ "into-not", { 0xce }, 1, 4, 0 },
	{ "int3-prefixed", { 0x66, 0xf3, 0xcc }, 3, 3, 0 },
	{ "int1-prefixed", { 0x66, 0xf3, 0xf1 }, 3, 1, 0 },
	{ "int3-locked", { 0xf0, 0xcc }, 2, 3, 0 },
	{ "bound", { 0x62, 0x03 }, 2, 5, 0 },
};

static void others(void)
{
	for (uint32_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		for (uint32_t kind = 0; kind < sizeof(gates) / sizeof(gates[0]); kind++) {
			for (enum trial_mode mode = 0; mode < TRIAL_MODES; mode++) {
				struct trial_text key = { .length = 0 };
				struct trial trial;

				arena_gate(insns[i].vector)->type = gates[kind].type;
				trial_init(&trial, mode, insns[i].bytes, insns[i].count);
				trial.in.rflags |= insns[i].flags;
				/* Of BOUND: below what it finds at RBX, or at what BX and DI make. */
				trial.in.gpr[TRIAL_RAX] = 0x8000;
				trial_run(&trial);
				arena_reset();
				trial_print(&key, "soft.%s.%s.%s", insns[i].name, gates[kind].name,
					    trial_mode_name(mode));
				trial_fact(key.text, &trial);
			}
		}
	}
}

void facts_ints(void)
{
	for (enum trial_mode mode = 0; mode < TRIAL_MODES; mode++) {
		for (uint32_t kind = 0; kind < sizeof(gates) / sizeof(gates[0]); kind++)
			row(mode, &gates[kind], 0);
	}
	row(TRIAL_64_0, &gates[1], TRIAL_TF);
	row(TRIAL_32_3, &gates[1], TRIAL_TF);
	others();
}
