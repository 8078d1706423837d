/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instruction of the guest, executed in software because an operand in memory lies where the guest may not go by
 * itself: a register page, a tracked frame. All other operands are ordinary guest memory, with the rights and faults that
 * the CPU would find there. What is not known here is left to the CPU, never guessed.
 */
#ifndef VMEXIT_EMULATE_H
#define VMEXIT_EMULATE_H

#include "core/vcpu.h"
#include "mm/addr.h"
#include "vmexit/decode.h"

/* How many iterations of a repeated string instruction one exit may do; the guest comes again for the rest. */
#define EMULATE_ITERATIONS 64u

/*
 * What stands behind the trapped frames. The caller serializes all emulation on one frame, over the whole of emulate_insn():
 * then a read-modify-write is one, with LOCK or without. No access crosses a frame.
 */
struct emulate_target {
	void *context;
	/* Whether this guest-physical address lies in a trapped frame; the same for the whole frame. NULL: there is none. */
	bool (*covers)(void *context, gpa_t gpa);
	/* False: let the CPU do the whole instruction; nothing may have happened then. */
	bool (*read)(void *context, gpa_t gpa, void *to, unsigned bytes);
	/* Cannot fail: everything has been checked by now. */
	void (*write)(void *context, gpa_t gpa, const void *from, unsigned bytes);
	/* INS and OUTS are ours wherever their memory is: the port is what is trapped. */
	bool traps_ports;
	/*
	 * What they have accessed of memory, one iteration each: what no CPU has met is met here. True: nothing more of the
	 * instruction before the guest, or whoever else, has been told. NULL: nobody wants to know.
	 */
	bool (*accessed)(void *context, gva_t address, unsigned bytes, bool write);
	/* So is any other string instruction on RAM: its code is what is trapped. */
	bool traps_strings;
	/* I/O ports of 1, 2 or 4 bytes, for INS and OUTS with memory in a trapped frame; both or none. */
	uint32_t (*port_read)(void *context, uint16_t port, unsigned bytes);
	void (*port_write)(void *context, uint16_t port, uint32_t value, unsigned bytes);
};

enum emulate_result {
	EMULATE_DONE, /* complete but for RIP and what follows from it: VERDICT_NEXT_INSN */
	EMULATE_RESUME, /* an exception is pending, or the guest goes on with a repeated instruction: VERDICT_RESUME */
	EMULATE_NATIVE, /* nothing has happened: the CPU has to execute it */
};

/*
 * Execute `insn`, which is the instruction at CS:RIP. Either all of its effects happen (of one iteration, if it is
 * repeated) or none but an exception. EMULATE_DONE sets vcpu->decoded_bytes. RFLAGS.TF, RF and the interrupt shadow are
 * seen to here between iterations and by the verdict after the instruction. SDM: "Repeat String Operation Prefix",
 * "Single-Step Exception Condition", "Masking Instruction Breakpoints" for RF.
 */
MUST_CHECK enum emulate_result emulate_insn(struct vcpu *vcpu, const struct insn *insn,
					    const struct emulate_target *target);

#endif
