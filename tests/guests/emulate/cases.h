/* SPDX-License-Identifier: BSD-2-Clause */
/* Random instructions of the forms that the hypervisor emulates, with the state of the CPU in which they find their operand. */
#ifndef TESTS_GUESTS_EMULATE_CASES_H
#define TESTS_GUESTS_EMULATE_CASES_H

#include "tests/guests/emulate/run.h"

enum mode { MODE_64_0, MODE_64_3, MODE_32_3, MODE_16_3 };

enum { INSN_MAX = 15 };

struct test_case {
	const char *name;
	uint32_t form;
	enum mode mode;
	uint8_t bytes[INSN_MAX + 8];
	uint32_t count, code_offset;
	struct cpu_state in;
	uint8_t rights[WORLD_PAGES];
	uint64_t undefined; /* flags that the SDM calls undefined after this instruction */
	bool modifies;	    /* reads and writes the same memory */
	uint64_t places[2]; /* where the operands begin */
};

/* Machines whose CPU is known not to be as the manuals say; emulate.c has the list. */
struct case_limits {
	bool qemu, bochs;
};

enum { CASE_FORMS_MAX = 256 };

uint32_t case_form_count(void);
const char *case_form_name(uint32_t form);

/* False: these random numbers make no instruction; try the next ones. */
bool case_make(uint64_t *random, const struct case_limits *limits, struct test_case *out);

#endif
