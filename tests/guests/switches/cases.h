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

/* As switch.asm has them; the task-state segments and the stack of virtual-8086 mode are in one frame. */
enum {
	BASE = 0x3000000,
	PT = BASE,
	DIRECTORY_1 = BASE + 0x1000,
	DIRECTORY_2 = BASE + 0x2000,
	STATE = BASE + 0x3000,
	TSS_A = STATE,
	TSS_B = STATE + 0x100,
	TSS_A16 = STATE + 0x200,
	TSS_B16 = STATE + 0x300,
	TESTED = BASE + 0x4000,
	IVT = BASE + 0x5000,
	STACKS = BASE + 0x6000, /* to 0x400: of a 16-bit segment; to 0x800: B's; above: A's */
	GDT = BASE + 0x7000,
	IDT = BASE + 0x7200,
	DATA = BASE + 0x7800,
	CODE = BASE + 0x8000,
	NOTES = BASE + 0x9000,
};

/* DR7 for breakpoint 0. */
enum {
	LOCAL = 1,
	GLOBAL = 2,
	WRITES = 1 << 16,
	ACCESSES = 3 << 16,
	BYTES_2 = 1 << 18,
	BYTES_4 = 3 << 18
};

struct test {
	const char *name;
	uint8_t bytes[8];
	uint32_t count;
	bool from16, to16;
	bool nested;	  /* IRET */
	bool breakpoint;  /* on the incoming task's first instruction */
	uint32_t watched; /* a breakpoint in a debug register, on what the switch accesses */
	uint32_t dr7;
	bool exception; /* through the task gate */
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
