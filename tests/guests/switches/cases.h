/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions of tests/guests/switches.c. */
#ifndef TESTS_GUESTS_SWITCHES_CASES_H
#define TESTS_GUESTS_SWITCHES_CASES_H

#include <stdbool.h>
#include <stdint.h>

enum {
	CODE32 = 0x08,
	DATA32 = 0x10,
	SEL_A = 0x18,
	SEL_B = 0x20,
	SEL_A16 = 0x28,
	SEL_B16 = 0x30,
	SEL_GATE = 0x38,
	SEL_STACK16 = 0x40,
	SEL_CODE_LOW = 0x48,
	SEL_LAST = 0x50, /* nobody leaves for long mode on a 16-bit task */
	GDT_BYTES = 0x58,
};

enum { VECTORS = 0x60, VECTOR_B = 0x40, VECTOR_B16 = 0x41, VECTOR_86 = 0x50, VECTOR_GATE = 0x51 };
enum {
	TF = 0x100,
	IF = 0x200,
	IOPL_SHIFT = 12,
	NT = 0x4000,
	RF = 0x10000,
	VM = 0x20000,
	VIP = 0x100000
};

struct test {
	const char *name;
	uint8_t bytes[8];
	uint32_t count;
	bool from16, to16;
	bool nested;	 /* IRET */
	bool breakpoint; /* on the incoming task's first instruction */
	bool exception;	 /* through the task gate */
	/* In virtual-8086 mode: */
	bool vm86;
	bool loads; /* words from the stack */
	bool iret;
	uint32_t loaded; /* flags besides TF */
	uint32_t eflags;
};

/* The last one has no name. */
extern const struct test switch_tests[] __attribute__((visibility("hidden")));

#endif
