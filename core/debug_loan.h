/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest lends its debug registers to the debugger, CPU by CPU, for as long as that has breakpoints in them: then DR0 to
 * DR3 and DR7 of the CPU hold what debug_merge() makes of both, MOV DR and #DB exit, and what the guest believes to be there
 * is here. While nothing is lent nothing is trapped, and the registers are the guest's own.
 *
 *   the debugger                 slots of the VM, and a count of their changes       (in a stop, its leader)
 *   each CPU, before it enters   debug_loan_follow(): begins, goes on with others, or ends
 *   the back end                 DR6 and DR7 of the register cache are those here; it stores what debug_loan_store() says
 *
 * On the CPU whose loan it is.
 */
#ifndef CORE_DEBUG_LOAN_H
#define CORE_DEBUG_LOAN_H

#include <stdatomic.h>

#include "arch/x86/debug.h"
#include "core/debug_regs.h"

struct vcpu;

/* The debugger's, for all CPUs. Written by the leader of a stop, while nobody else runs the guest. */
struct debug_slots {
	struct debug_slot slot[DEBUG_REGS];
	uint32_t changes;	/* 0: there were never any */
	_Atomic(uint32_t) said; /* in the log: a CPU had no place for one of them */
};

/* One CPU's. */
struct debug_loan {
	bool is_lent;
	uint32_t changes;			/* that it has followed */
	uint64_t address[DEBUG_REGS], dr6, dr7; /* the guest's, while lent */
	struct debug_merged merged;		/* what the hardware has, while lent */
	bool is_met;				/* it stops before the instruction at `met_rip`, */
	uint64_t met_rip;
	uint64_t met_again; /* which the guest has breakpoints of its own on */
};

/* The host has just taken the CPU over: DR7 is as after reset from here on, and what can be in it is known. */
void debug_loan_init(void);

/* The guest's DR0 to DR3. */
uint64_t debug_address_read(const struct vcpu *vcpu, unsigned index);
/* All of the guest's. */
void debug_registers_write(struct vcpu *vcpu, const uint64_t address[DEBUG_REGS], uint64_t dr6,
			   uint64_t dr7);

/* DR7 as the hardware has it, the debugger's breakpoints with the guest's: for whoever makes an access in the CPU's place. */
uint64_t debug_hardware_dr7(struct vcpu *vcpu);

/* Which of them such an access meets, as bits of DR6. `linear` is its first byte. */
uint64_t debug_hardware_met(struct vcpu *vcpu, enum debug_touch touch, uint64_t linear,
			    unsigned bytes);

/*
 * The CPU gets its registers back, until the slots change: the debugger's breakpoints are not met on it, which the log says,
 * and what the guest does with the registers exits no more.
 */
void debug_loan_give_back(struct vcpu *vcpu);

/* The slots may have changed: begin, merge anew, or end. */
void debug_loan_follow(struct vcpu *vcpu);

/* The back end stores the guest's DR7: DR0 to DR3 of the CPU are loaded, and what its DR7 is to be is returned. */
uint64_t debug_loan_store(struct vcpu *vcpu, uint64_t dr7);

#endif
