/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A place in which one instruction can be executed in any state of the CPU: page tables, descriptors and exception entries of its
 * own. Two worlds show other frames at the same addresses.
 */
#ifndef TESTS_GUESTS_EMULATE_RUN_H
#define TESTS_GUESTS_EMULATE_RUN_H

#include "tests/guests/lib/probe.h"

enum { PAGE = 4096 };

/* run.asm knows the offsets. */
struct cpu_state {
	uint64_t gpr[16]; /* RSP among them */
	uint64_t rip, cs, rflags, ss;
	uint16_t ds, es, fs, gs; /* the latter two are loaded by run_world() */
	uint64_t vector, error, cr2, dr6;
	uint64_t fs_base, gs_base; /* only on the way in, of 64-bit code */
};

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

enum {
	FLAG_CF = 1,
	FLAG_PF = 4,
	FLAG_AF = 0x10,
	FLAG_ZF = 0x40,
	FLAG_SF = 0x80,
	FLAG_TF = 0x100,
	FLAG_DF = 0x400,
	FLAG_OF = 0x800,
	FLAG_IOPL = 0x3000,
	FLAG_RF = 0x10000,
	FLAG_AC = 0x40000,
};

enum { VECTOR_AC = 17 };

/* Linear addresses, the same in both worlds. */
#define WINDOW	    UINT64_C(0x60000000)
#define CODE_PAGE   WINDOW
/* Three pages of data, of which one world has the middle one emulated. */
#define DATA_PAGES  (WINDOW + 4 * PAGE)
#define TARGET_PAGE (WINDOW + 5 * PAGE)
/* Three pages for the other operand, the middle one always plain. */
#define OTHER_PAGES (WINDOW + 8 * PAGE)
enum { WORLD_PAGES = 6, DATA_COUNT = 3, TARGET_INDEX = 1 };

/* Where page `index` of a world is shown. */
static inline uint64_t page_address(uint32_t index)
{
	return index < DATA_COUNT ? DATA_PAGES + index * PAGE
				  : OTHER_PAGES + (index - DATA_COUNT) * PAGE;
}

/* Rights of a page, as its entry has them. */
enum { PAGE_PRESENT = 1, PAGE_WRITABLE = 2, PAGE_USER = 4 };
enum { PAGE_ALL = PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER };

/* Selectors, by privilege level of the code. */
enum {
	SELECTOR_CODE64_0 = 0x80,
	SELECTOR_DATA_0 = 0x88,
	SELECTOR_CODE64_3 = 0x93,
	SELECTOR_DATA_3 = 0x9b,
	SELECTOR_CODE32_3 = 0xa3,
	SELECTOR_CODE16_3 = 0xab,  /* base: WINDOW */
	SELECTOR_DATA16_3 = 0xb3,  /* the same, 64 KiB, a stack of 16 bits */
	SELECTOR_SHORT_3 = 0xbb,   /* ends in the middle of the target page */
	SELECTOR_DOWN_3 = 0xc3,	   /* begins there: expand-down */
	SELECTOR_READ_3 = 0xcb,	   /* flat, read-only */
	SELECTOR_SHORT16_3 = 0xd3, /* as the two above, from WINDOW, for 16-bit code */
	SELECTOR_DOWN16_3 = 0xdb,
	SELECTOR_TSS = 0xe0,
};

/* The target page's offset at which the short and the expand-down segments end and begin. */
enum { SEGMENT_EDGE = 0x800 };

struct world {
	uint8_t *frames[WORLD_PAGES]; /* data, then other */
};

extern struct world worlds[2];

/* False: no memory, or a machine that this does not know. */
bool run_prepare(void);
void run_begin(void);
void run_end(void);

/* Put the instruction at CODE_PAGE + offset, an INT3 behind it. */
void run_code(uint32_t offset, const uint8_t *bytes, uint32_t count);
/* Rights of the pages of both worlds from the next run on. */
void run_rights(const uint8_t rights[WORLD_PAGES]);
/* Execute in a world: `in` until the exception that ends it. */
void run_world(const struct world *world, const struct cpu_state *in, struct cpu_state *out);

/* Have accesses to the second world's target page emulated, or no longer. */
bool run_emulate(bool on);
/* How many times that has happened so far. */
uint64_t run_emulated(void);
/* The hypercall itself. */
uint64_t run_hypercall(uint64_t rcx, uint64_t rdx);

#endif
