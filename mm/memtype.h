/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The effective memory type of physical memory, from the MTRRs. A pure function over a copy of the registers.
 * SDM: "Memory Type Range Registers (MTRRs)", "MTRR Precedences", "System-Management Range Register Interface".
 */
#ifndef MM_MEMTYPE_H
#define MM_MEMTYPE_H

#include "arch/x86/bits.h"
#include "mm/page_format.h"

#define MEMTYPE_VARIABLE_MAX 32u
#define MEMTYPE_FIXED_COUNT  11u

/* A copy of one CPU's MTRRs; the fixed ones in the order of their MSR indices (64K, 16K x2, 4K x8). */
struct mtrr_state {
	uint64_t cap;
	uint64_t def_type;
	uint64_t fixed[MEMTYPE_FIXED_COUNT];
	uint64_t base[MEMTYPE_VARIABLE_MAX];
	uint64_t mask[MEMTYPE_VARIABLE_MAX];
	uint64_t smrr_base, smrr_mask; /* 0 where there is no SMRR */
	uint32_t variable_count;
	uint32_t maxphyaddr;
};

/* MTRRs are off (MTRRdefType.E = 0): everything is UC. */
bool mtrr_enabled(const struct mtrr_state *mtrr);

/* The type at `address`. */
enum memtype mtrr_type(const struct mtrr_state *mtrr, uint64_t address);

/*
 * The type at `address`, and in *end how far it surely goes on (exclusive; at least to the next 4 KiB boundary;
 * capped at 1 << maxphyaddr). Repeated calls from 0 walk the whole map in few steps.
 */
enum memtype mtrr_range(const struct mtrr_state *mtrr, uint64_t address, uint64_t *end);

/* Whether two states give the same types everywhere. */
bool mtrr_same_map(const struct mtrr_state *a, const struct mtrr_state *b);

/* The type that an access gets from MTRR type and PAT type. SDM: "Selecting Memory Types for Pentium III and More Recent Processor Families". */
enum memtype memtype_combine(enum memtype mtrr, unsigned pat);

#endif
