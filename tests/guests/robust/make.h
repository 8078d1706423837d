/* SPDX-License-Identifier: BSD-2-Clause */
/* A step from a seed and its number: mode, privilege, registers, tables, and code for it. */
#ifndef TESTS_GUESTS_ROBUST_MAKE_H
#define TESTS_GUESTS_ROBUST_MAKE_H

#include "tests/guests/robust/engine.h"

enum { CODE_BYTES_MAX = 64 };

/* What all steps of a run share. */
struct make_setup {
	uint64_t seed;
	uint64_t cr4_bits;    /* that this CPU has */
	uint64_t hidden;      /* physical address of memory that is not to be seen, or 0 */
	uint64_t far_address; /* physical address of nothing at all */
};

struct robust_step {
	struct robust_world world;
	struct robust_state state;
	uint8_t code[CODE_BYTES_MAX];
	uint32_t code_bytes;
	uint64_t code_linear;
	uint32_t opcode_at; /* plain: where the instruction's opcode is to be */
	uint32_t insns;	    /* at most so many, single-stepped */
	bool is_plain;	    /* one instruction without TF, INT3 behind it */
	bool has_timer;	    /* an interrupt of the local APIC comes a little later */
	bool is_wild; /* what a bare machine may not survive, or what is hidden: only with "wild" */
	uint32_t mode; /* for the statistics */
};

enum { MAKE_MODES = 15 };
extern const char *const make_mode_names[MAKE_MODES];

void make_step(const struct make_setup *setup, const struct engine *engine, uint64_t number,
	       struct robust_step *step);
/* What the arena holds before each step, but for the code. */
void make_arena(const struct make_setup *setup, const struct engine *engine, uint64_t *arena);

#endif
