/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the next instruction is, before it is executed: what a bare machine would not survive, or what would leave the single step,
 * is not executed; what tells time or what is hidden is kept out of the results.
 */
#ifndef TESTS_GUESTS_ROBUST_LOOK_H
#define TESTS_GUESTS_ROBUST_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/robust/engine.h"

enum { INSN_BYTES_MAX = 15 };

enum look_verdict {
	LOOK_RUN,
	LOOK_RUN_LOOSE, /* only where a hypervisor is to answer, and what comes of it is not compared */
	LOOK_END,	/* the step ends before it */
};

/* Which registers are set to a constant after it. */
enum look_forget { FORGET_NOTHING, FORGET_RAX_RDX, FORGET_RAX_RDX_RCX, FORGET_CPUID };

struct look {
	enum look_verdict verdict;
	enum look_forget forget;
	uint32_t opcode_at; /* where behind the prefixes the opcode is */
	bool is_wrmsr;	    /* of MSR RCX */
	bool is_halt;
};

struct look_state {
	const struct robust_state *state;
	const struct robust_world *world;
	const struct engine *engine;
	uint32_t bits; /* of the code: 16, 32, 64 */
	uint32_t cpl;
	uint64_t cr4_bits; /* that this CPU has */
	bool has_timer;	   /* HLT will be ended */
};

/* Patches RFLAGS on the stack of POPF and IRET, so that the single step goes on. */
struct look look_at(const struct look_state *ls, const uint8_t *bytes, uint32_t count);

/* Whether this MSR may be written at random, and restored. */
bool look_msr_is_safe(uint32_t msr);

#endif
