/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A CPU in any state: mode, privilege, registers, descriptors, page tables; and back from whatever exception ends it. Everything
 * that such code can reach lies below 1 MiB, one block for each CPU: 64 KiB for the code itself (the arena), and 64 KiB for what
 * brings it there and back. Outside real mode only the first four frames of the arena are used, at all its addresses in turn.
 */
#ifndef TESTS_GUESTS_ROBUST_ENGINE_H
#define TESTS_GUESTS_ROBUST_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

enum { ENGINE_CPUS_MAX = 2, ARENA_BYTES = 0x10000, ARENA_PAGES = 16, ARENA_FRAMES = 4 };
enum { PAGE_BYTES = 4096, ENGINE_VECTORS = 64, GDT_ENTRIES = 48, GDT_RANDOM = 21 };

enum robust_paging { PAGING_LONG, PAGING_32, PAGING_PAE, PAGING_REAL };

/* engine.asm knows the offsets. */
struct robust_state {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint32_t cs, ss, ds, es, fs, gs;
	uint64_t vector, error;
	uint64_t cr2, dr6, cr0, cr4;
};

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

enum {
	FLAG_TF = 0x100,
	FLAG_IF = 0x200,
	FLAG_DF = 0x400,
	FLAG_IOPL = 0x3000,
	FLAG_NT = 0x4000,
	FLAG_RF = 0x10000,
	FLAG_VM = 0x20000,
	FLAG_AC = 0x40000,
	FLAG_VIF = 0x80000,
	FLAG_VIP = 0x100000,
};

enum {
	SELECTOR_CODE64_0 = 0x18, /* from here in the order that SYSCALL and SYSENTER demand */
	SELECTOR_DATA_0 = 0x20,
	SELECTOR_CODE32_3 = 0x2b,
	SELECTOR_DATA_3 = 0x33,
	SELECTOR_CODE64_3 = 0x3b,
	SELECTOR_CODE32_0 = 0x48,
	SELECTOR_CODE16_0 = 0x50, /* those of 16 bits begin at the arena */
	SELECTOR_DATA16_0 = 0x58,
	SELECTOR_CODE16_3 = 0x63,
	SELECTOR_DATA16_3 = 0x6b,
	SELECTOR_TASK = 0x70,	/* in long mode two entries */
	SELECTOR_TASK_2 = 0x78, /* outside it: another task, which ends at once */
	SELECTOR_TASK_DF = 0x80,
	SELECTOR_LDT = 0x88,
};

/* Rights of pages, as their entries have them; NX outside 32-bit paging only. */
#define PAGE_PRESENT  UINT64_C(1)
#define PAGE_WRITABLE UINT64_C(2)
#define PAGE_USER     UINT64_C(4)
#define PAGE_NX	      (UINT64_C(1) << 63)

/* What a step wants, beside its registers. */
struct robust_world {
	enum robust_paging paging;
	uint64_t cr0, cr4;		  /* engine_build() adds what the mode needs */
	uint64_t entries[ARENA_PAGES];	  /* 0: the frame of its turn, all rights */
	uint64_t random_gdt[GDT_ENTRIES]; /* from GDT_RANDOM on */
	bool is_user;			  /* pages of entry 0 are user pages */
};

struct engine {
	uint64_t arena, control;
	struct robust_world *world;
};

/* False: the memory is not free. */
bool engine_prepare(struct engine *engine, uint32_t cpu);
/* Tables and descriptors anew for a world. */
void engine_build(struct engine *engine, struct robust_world *world);
/* Until the exception that ends it. */
void engine_run(struct engine *engine, const struct robust_state *in, struct robust_state *out);
/* The root of this world's page tables. */
uint64_t engine_cr3(const struct engine *engine);
/* What the tasks' segments have become: to be hashed. */
const uint64_t *engine_tasks(const struct engine *engine, uint32_t *count);
/* A descriptor as the CPU would find it now; 0: none. */
uint64_t engine_descriptor(const struct engine *engine, uint32_t selector);
/* The byte that the code sees at a linear address of the arena; NULL: not in the arena's own frames. */
uint8_t *engine_byte(const struct engine *engine, uint64_t linear);
/* Whether a port is one that may be touched. */
bool engine_port_is_safe(uint32_t port, uint32_t bytes);
/* After the last step: the task register agrees with the GDT, as whoever comes next may look it up there. */
void engine_leave(struct engine *engine);

#endif
