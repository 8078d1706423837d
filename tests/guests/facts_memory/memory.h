/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of facts_memory.c, and the window that they look through: pages of 4 KiB at an address of their own. */
#ifndef TESTS_GUESTS_FACTS_MEMORY_MEMORY_H
#define TESTS_GUESTS_FACTS_MEMORY_MEMORY_H

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { PAGE = 4096, WINDOW_PAGES = 8, SCRATCH_PAGES = 8 };
enum {
	PTE_P = 1,
	PTE_W = 2,
	PTE_U = 4,
	PTE_PWT = 8,
	PTE_PCD = 16,
	PTE_A = 32,
	PTE_D = 64,
	PTE_PAT = 128,
	PTE_KEY_SHIFT = 59
};
#define PTE_NX (1ull << 63)

enum { MSR_MTRRCAP = 0xfe, MSR_MTRR_FIRST = 0x200, MSR_PAT = 0x277, MSR_MTRR_DEF = 0x2ff };
enum { MTRR_DEF_ENABLE = 1 << 11, MTRR_DEF_FIXED = 1 << 10, MTRR_MASK_VALID = 1 << 11 };

/* Memory of the probe, page aligned. */
extern uint8_t memory_scratch[SCRATCH_PAGES * PAGE];

/* The window: this CPU's tables with one slot more, until memory_unmap(). */
void memory_map(void);
void memory_unmap(void);
/* The linear address of a page of the window, which leads to `frame` with these bits of an entry. */
volatile uint8_t *memory_window(unsigned page, uint64_t frame, uint64_t bits);
/* Its entries, from the PML4's (3) down to the page's (0). */
volatile uint64_t *memory_entry(unsigned page, unsigned level);
void memory_flush_tlb(void);

/* WRMSR; false: #GP. */
bool memory_wrmsr(uint32_t msr, uint64_t value);
bool memory_rdmsr(uint32_t msr, uint64_t *value);
/* What a function met: "ok", or "pf e=.." and so on. */
const char *memory_try(probe_function function, void *argument);

void memory_mtrrs(void);
void memory_pat(void);
void memory_types(void);
void memory_types_of_all(void);
void memory_caches(void);
void memory_code(void);
void memory_code_of_another(void);
void memory_bits(void);
void memory_rights(void);
void memory_devices(void);

#endif
