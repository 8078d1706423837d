/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A place to try code in: page tables, descriptor tables, stacks and exception entries of its own, at the same addresses
 * on every run. All of it, and all RAM below 4 GiB, is mapped one to one; the arena by pages that a probe may change.
 * lib/trial.h runs code there.
 */
#ifndef TESTS_GUESTS_LIB_ARENA_H
#define TESTS_GUESTS_LIB_ARENA_H

#include <stdbool.h>
#include <stdint.h>

/* 2 MiB aligned; what is where in it, each a multiple of 64 KiB for the sake of 16-bit segments. */
enum {
	ARENA_BASE = 0x3000000,
	ARENA_CODE = ARENA_BASE,
	ARENA_DATA = ARENA_BASE + 0x10000,
	ARENA_STACK = ARENA_BASE + 0x20000,  /* of the code that is tried */
	ARENA_RSP0 = ARENA_BASE + 0x30000,   /* of exceptions that come from CPL 3 */
	ARENA_IST = ARENA_BASE + 0x40000,    /* seven of 8 KiB */
	ARENA_TABLES = ARENA_BASE + 0x50000, /* GDT, IDT and TSS, a page each two */
	ARENA_PAGING = ARENA_BASE + 0x60000,
	ARENA_BYTES = 0x70000,
	ARENA_PAGE = 0x1000,
	ARENA_GDT = ARENA_TABLES,
	ARENA_IDT = ARENA_TABLES + 0x2000,
	ARENA_TSS = ARENA_TABLES + 0x4000,
	ARENA_STACK_TOP = ARENA_STACK + 0x8000,
	ARENA_RSP0_TOP = ARENA_RSP0 + 0x8000,
	ARENA_IST_BYTES = 0x2000,
};

/* In this order SYSCALL and SYSRET find theirs. The 16-bit segments begin at ARENA_CODE, _STACK and _DATA. */
enum {
	ARENA_CODE64 = 0x08,
	ARENA_FLAT = 0x10,
	ARENA_CODE32 = 0x18,
	ARENA_CODE16 = 0x20,
	ARENA_STACK16 = 0x28,
	ARENA_DATA16 = 0x30,
	ARENA_USER_CODE32 = 0x43,
	ARENA_USER_FLAT = 0x4b,
	ARENA_USER_CODE64 = 0x53,
	ARENA_USER_CODE16 = 0x5b,
	ARENA_USER_STACK16 = 0x63,
	ARENA_USER_DATA16 = 0x6b,
	ARENA_TR = 0x70,
	ARENA_SPARE = 0x80, /* from here on the probe's own */
	ARENA_GDT_BYTES = 0x200,
	ARENA_IDT_BYTES = 0x1000,
};

/* Rights of a page, as its entry has them. */
enum { ARENA_PRESENT = 1, ARENA_WRITABLE = 2, ARENA_USER = 4, ARENA_ALL = 7 };
/* Bytes of a gate. */
enum { GATE_INTERRUPT = 0x8e, GATE_TRAP = 0x8f, GATE_INTERRUPT_3 = 0xee };

struct arena_gate {
	uint16_t offset_0, selector;
	uint8_t ist, type;
	uint16_t offset_16;
	uint32_t offset_32, reserved;
};

struct arena_tss {
	uint32_t reserved_0;
	uint64_t rsp[3], reserved_1, ist[7], reserved_2;
	uint16_t reserved_3, io_map;
	uint8_t io_bits[0x2001];
} __attribute__((packed));

/* Once, with boot services. False: no memory there, or 5-level paging. */
bool arena_prepare(void);
/*
 * On this CPU from here on: the arena's tables, SMEP and SMAP off, CR0.WP on. Any probe function that
 * needs no boot service may be called.
 */
void arena_enter(void);
/* Back to what it was, but for the task register, which stays the arena's. */
void arena_leave(void);

/* Descriptors, gates and pages as they are after arena_enter(): all pages with all rights, no I/O allowed at CPL 3. */
void arena_reset(void);
/* `rights`: the access byte, and in bits 12 to 15 G, D, L and AVL. */
void arena_segment(uint32_t selector, uint32_t base, uint32_t limit, uint32_t rights);
struct arena_gate *arena_gate(uint32_t vector);
struct arena_tss *arena_tss(void);
/* The page's rights; other bits (no-execute, reserved ones) may be among them. */
void arena_page(uint64_t linear, uint64_t rights);

#endif
