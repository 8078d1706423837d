/* SPDX-License-Identifier: BSD-2-Clause */
/* Operands of an instruction under emulation: general registers, and memory on and beside the trapped frames. */
#ifndef VMEXIT_EMULATE_OPERAND_H
#define VMEXIT_EMULATE_OPERAND_H

#include "vmexit/emulate.h"
#include "vmexit/emulate_form.h"
#include "vmexit/guest_memory.h"

#define EMULATE_OPERAND_BYTES 16u

struct emulation {
	struct vcpu *vcpu;
	const struct insn *insn;
	const struct emulate_target *target;
	struct emulate_form form;
	bool on_target;		    /* an operand that has been opened lies there */
	bool is_met;		    /* target->accessed() has said so */
	enum emulate_result result; /* why a step has returned false */
};

/* Memory of up to 16 bytes that has an address and may be accessed. */
struct emulate_operand {
	gva_t address;
	struct guest_span span;
	bool on_target[2];
};

/*
 * Check and translate segment:offset for reading, or with ACCESS_WRITE for writing and reading. False: em->result says how
 * to go on, and an exception that is due has been raised. Opening changes nothing but accessed and dirty bits.
 */
MUST_CHECK bool operand_open(struct emulation *em, enum segment_index segment, uint64_t offset,
			     unsigned bytes, unsigned access, struct emulate_operand *out);
/* False: em->result is EMULATE_NATIVE. */
MUST_CHECK bool operand_read(struct emulation *em, const struct emulate_operand *operand, void *to);
void operand_write(struct emulation *em, const struct emulate_operand *operand, const void *from);

/* Offset of insn->memory in its segment, cut to the address size; `moved_by` is added before that. */
uint64_t operand_offset(struct emulation *em, int64_t moved_by);

/*
 * A register operand of `bytes`: AH to BH without REX, upper parts kept by writes of 8 and 16 bits and cleared by those of
 * 32. SDM: "General-Purpose Registers in 64-Bit Mode".
 */
uint64_t operand_reg_read(struct emulation *em, unsigned reg, unsigned bytes);
void operand_reg_write(struct emulation *em, unsigned reg, unsigned bytes, uint64_t value);
/* rCX, rSI, rDI and rSP as the address size (of the stack) has them. */
uint64_t operand_pointer_read(struct emulation *em, unsigned reg, unsigned bytes);
void operand_pointer_write(struct emulation *em, unsigned reg, unsigned bytes, uint64_t value);

/* Raise what emulate_insn() finds by itself; always false, with em->result set. */
bool emulate_raise(struct emulation *em, enum exception_vector vector);
bool emulate_native(struct emulation *em);

#endif
