/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The debug registers of one CPU shared by two: the guest, which is to see them as if they were its alone, and the debugger.
 * Pure functions; whose values are where is core/debug_loan.h's.
 *
 * The hardware has four breakpoints. Those that the guest has enabled stay at their indexes; the debugger's take those that the
 * guest has not. Where there are too few the guest wins. SDM: "Debug Registers"; APM volume 2: "Debug Registers".
 */
#ifndef CORE_DEBUG_REGS_H
#define CORE_DEBUG_REGS_H

#include <stdbool.h>
#include <stdint.h>

#define DEBUG_REGS 4u

/* The encoding of R/W in DR7. There is none for reads alone. */
enum debug_kind {
	DEBUG_EXECUTE = 0,
	DEBUG_WRITE = 1,
	DEBUG_IO = 2, /* the guest's only, with CR4.DE */
	DEBUG_ACCESS = 3,
};

/* One of the debugger's. */
struct debug_slot {
	bool is_used;
	enum debug_kind kind;
	uint8_t bytes;	  /* 1, 2, 4, 8; of execution 1 */
	uint64_t address; /* linear, a multiple of `bytes` */
};

/* Whether there can be such a one. */
bool debug_slot_is_legal(enum debug_kind kind, uint64_t address, uint64_t bytes);

#define DEBUG_NO_SLOT UINT8_MAX

/* What the hardware is to hold. */
struct debug_merged {
	uint64_t address[DEBUG_REGS];
	uint64_t dr7;
	uint8_t slot[DEBUG_REGS]; /* whose the index is: a debugger's slot, or DEBUG_NO_SLOT */
	uint8_t missing;	  /* the debugger's that found no index: a bit each */
};

/*
 * `dr7` and `address` are the guest's. GD stays out of the hardware, as whoever lends traps MOV DR anyway. An index that
 * nobody has enabled keeps what the guest has there: DR6 may tell of a breakpoint that is not enabled.
 */
void debug_merge(uint64_t dr7, const uint64_t address[DEBUG_REGS],
		 const struct debug_slot slots[DEBUG_REGS], struct debug_merged *merged);

/* What a debug exception means. `happened`: bits of DR6 that are news (1 = happened, also for those that are low then). */
struct debug_hits {
	bool is_guests;	  /* it is to be delivered to the guest, */
	uint64_t payload; /* with these bits of DR6, none of which is the debugger's */
	/* The guest's own on the instruction that the debugger stops at: it is to meet them later. */
	uint64_t again;
	uint8_t met_before; /* the debugger's that are met before the instruction (execution): a bit each */
	uint8_t met_behind; /* behind it (data) */
};

/*
 * The guest's trap of the instruction before comes before a breakpoint on the next one, which is met again behind the handler.
 * So is the guest's own breakpoint on the instruction that the debugger stops at. SDM: "Priority Among Concurrent Events".
 */
void debug_classify(uint64_t dr7, const struct debug_merged *merged, uint64_t happened,
		    struct debug_hits *hits);

/*
 * For a #DB of which nothing is told: a machine may leave the bits out of DR6 when the hypervisor intercepts it. `rip` is the
 * linear address of the next instruction, `is_stepped` the guest's TF. 0: no reason is known.
 */
uint64_t debug_guess(const struct debug_merged *merged, uint64_t rip, bool is_stepped);

/* What an access to a debug register is. */
enum debug_access {
	DEBUG_ACCESS_OK,
	DEBUG_ACCESS_UNDEFINED, /* #UD */
	DEBUG_ACCESS_FORBIDDEN, /* #GP(0) */
	DEBUG_ACCESS_DETECTED,	/* #DB with BD: DR7.GD guards them all */
};

/*
 * MOV to or from a debug register, in the order in which the CPU looks. DR4 and DR5 become DR6 and DR7 where CR4.DE allows
 * it. `value` is what is written, 0 for a read. SDM: "MOV—Move to/from Debug Registers".
 */
enum debug_access debug_access_check(unsigned *number, bool write, uint64_t value, uint64_t dr7,
				     uint64_t cr4, unsigned cpl);

#endif
