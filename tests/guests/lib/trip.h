/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A few instructions in another mode of the CPU, from its own page tables, descriptors and gates, until an exception ends
 * them. One CPU at a time.
 */
#ifndef TESTS_GUESTS_LIB_TRIP_H
#define TESTS_GUESTS_LIB_TRIP_H

#include <stdbool.h>
#include <stdint.h>

enum trip_mode {
	TRIP_LONG_64,
	TRIP_LONG_32, /* compatibility mode */
	TRIP_LONG_16, /* the same, 16-bit code */
	TRIP_PAE_32,  /* protected mode with PAE paging */
	TRIP_PSE_32,  /* with 32-bit paging */
	TRIP_FLAT_32, /* without paging */
	TRIP_FLAT_16, /* the same, 16-bit code */
	TRIP_REAL_16,
	TRIP_USER_64, /* CPL 3 of 64-bit mode */
	TRIP_USER_LONG_32,
	TRIP_USER_32, /* of PAE paging */
	TRIP_MODES,
};

/* INT with it is how instructions come back that nothing else ends. */
enum { TRIP_DONE = 0x30, TRIP_CODE_MAX = 2048 };
enum { TRIP_A, TRIP_B, TRIP_C, TRIP_D, TRIP_SI, TRIP_DI, TRIP_REGS };

struct trip {
	enum trip_mode mode;
	uint64_t cr0_set, cr0_clear,
		cr4_set; /* changes of what the mode needs; CR4.LA57: 5 levels */
	uint64_t efer_set;
	uint32_t rflags; /* besides bit 1 */
	uint64_t regs[TRIP_REGS];
	const uint8_t *code;
	uint32_t bytes;
};

struct trip_end {
	uint32_t vector;
	uint64_t error; /* 0 where there is none */
	uint64_t ip;	/* from the first instruction */
	uint64_t cr2;
	uint64_t regs[TRIP_REGS]; /* 32 bits of them outside long mode */
};

/* With the firmware. False: no memory below 1 MiB. */
bool trip_init(void);
void trip_run(const struct trip *trip, struct trip_end *end);

const char *trip_mode_name(enum trip_mode mode);
bool trip_is_long(enum trip_mode mode);

/* The task's I/O permission bitmap: TRIP_PORTS bits, all set at first. */
enum { TRIP_PORTS = 0x400 };
uint8_t *trip_io_bitmap(void);
/* The first of some bytes on the data page that instructions may use, and their physical address. */
enum { TRIP_SCRATCH = 512 };
uint8_t *trip_scratch(void);

#endif
