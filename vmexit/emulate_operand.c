/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_operand.h"

#include <stddef.h>

#include "core/events.h"
#include "mm/guest_copy.h"
#include "vmexit/decode_operands.h"
#include "vmexit/emulate_alu.h"
#include "vmexit/guest_physical.h"
#include "vmexit/guest_segment.h"

/* --- what ends an emulation ---------------------------------------------------------------- */

bool emulate_native(struct emulation *em)
{
	em->result = EMULATE_NATIVE;
	return false;
}

bool emulate_raise(struct emulation *em, enum exception_vector vector)
{
	em->result = EMULATE_RESUME;
	if (vector == VECTOR_UD)
		events_raise_ud(em->vcpu);
	else
		events_raise_error(em->vcpu, vector, 0);
	return false;
}

static bool raise_guest_fault(struct emulation *em, enum segment_index segment,
			      const struct guest_fault *fault)
{
	switch (fault->kind) {
	case GUEST_FAULT_PAGE:
		em->result = EMULATE_RESUME;
		events_raise_pf(em->vcpu, fault->address.v, fault->error_code);
		return false;
	case GUEST_FAULT_NOT_CANONICAL:
		return emulate_raise(em, segment == SEGMENT_SS ? VECTOR_SS : VECTOR_GP);
	case GUEST_FAULT_NOT_MEMORY:
		break;
	}
	return emulate_native(em);
}

/* --- memory -------------------------------------------------------------------------------- */

static bool linear_address(struct emulation *em, enum segment_index segment, uint64_t offset,
			   unsigned bytes, unsigned access, gva_t *gva)
{
	/* CMPXCHG16B has a rule of its own. */
	unsigned alignment = bytes > 8 ? 1 : bytes;

	switch (guest_linear(em->vcpu, segment, offset, bytes, access, alignment, gva)) {
	case GUEST_SEGMENT_GP:
		return emulate_raise(em, VECTOR_GP);
	case GUEST_SEGMENT_SS:
		return emulate_raise(em, VECTOR_SS);
	case GUEST_SEGMENT_AC:
		return emulate_raise(em, VECTOR_AC);
	case GUEST_SEGMENT_GOOD:
		break;
	}
	if (bytes > 8 && (gva->v & (bytes - 1)) != 0)
		return emulate_raise(em, VECTOR_GP);
	return true;
}

/* Each part is on the target or ordinary memory; a third thing is the CPU's affair. */
static bool place(struct emulation *em, struct emulate_operand *operand)
{
	const struct guest_span *span = &operand->span;

	for (unsigned i = 0; i < 2 && span->bytes[i] != 0; i++) {
		operand->on_target[i] = em->target->covers != NULL &&
					em->target->covers(em->target->context, span->gpa[i]);
		if (operand->on_target[i])
			em->on_target = true;
		else if (!guest_copy_is_ram(span->gpa[i], span->bytes[i]))
			return emulate_native(em);
	}
	return true;
}

bool operand_open(struct emulation *em, enum segment_index segment, uint64_t offset, unsigned bytes,
		  unsigned access, struct emulate_operand *out)
{
	struct guest_fault fault;
	gva_t gva;

	*out = (struct emulate_operand){ 0 };
	if (!linear_address(em, segment, offset, bytes, access, &gva))
		return false;
	if (!guest_translate(em->vcpu, gva, bytes, access, &out->span, &fault))
		return raise_guest_fault(em, segment, &fault);
	out->address = gva;
	return place(em, out);
}

bool operand_read(struct emulation *em, const struct emulate_operand *operand, void *to)
{
	const struct guest_span *span = &operand->span;
	uint8_t *bytes = to;
	bool ok = true;

	for (unsigned i = 0; i < 2 && span->bytes[i] != 0 && ok; i++) {
		if (operand->on_target[i])
			ok = em->target->read(em->target->context, span->gpa[i], bytes,
					      span->bytes[i]);
		else
			ok = guest_copy_in(bytes, span->gpa[i], span->bytes[i]);
		bytes += span->bytes[i];
	}
	return ok || emulate_native(em);
}

void operand_write(struct emulation *em, const struct emulate_operand *operand, const void *from)
{
	const struct guest_span *span = &operand->span;
	const uint8_t *bytes = from;

	for (unsigned i = 0; i < 2 && span->bytes[i] != 0; i++) {
		if (operand->on_target[i])
			em->target->write(em->target->context, span->gpa[i], bytes, span->bytes[i]);
		else
			(void)!guest_physical_write(em->vcpu, span->gpa[i], bytes,
						    span->bytes[i]); /* place() has asked */
		bytes += span->bytes[i];
	}
}

uint64_t operand_offset(struct emulation *em, int64_t moved_by)
{
	const struct insn_memory *memory = &em->insn->memory;
	uint64_t offset = (uint64_t)memory->displacement + (uint64_t)moved_by;

	if (memory->rip_relative)
		offset += rip_read(em->vcpu) + em->insn->bytes;
	if (memory->base != INSN_NO_REGISTER)
		offset += gpr_read(em->vcpu, memory->base);
	if (memory->index != INSN_NO_REGISTER)
		offset += gpr_read(em->vcpu, memory->index) << memory->scale;
	return alu_cut(offset, em->insn->address_bytes);
}

/* --- registers ----------------------------------------------------------------------------- */

uint64_t operand_reg_read(struct emulation *em, unsigned reg, unsigned bytes)
{
	struct insn_gpr gpr = insn_gpr(em->insn, (uint8_t)reg, bytes);

	return alu_cut(gpr_read(em->vcpu, gpr.number) >> (gpr.high_byte ? 8 : 0), bytes);
}

void operand_reg_write(struct emulation *em, unsigned reg, unsigned bytes, uint64_t value)
{
	struct insn_gpr gpr = insn_gpr(em->insn, (uint8_t)reg, bytes);
	unsigned shift = gpr.high_byte ? 8 : 0;
	uint64_t mask = alu_cut(~UINT64_C(0), bytes) << shift;

	if (bytes < 4)
		value = (gpr_read(em->vcpu, gpr.number) & ~mask) | (value << shift & mask);
	gpr_write(em->vcpu, gpr.number, alu_cut(value, bytes < 4 ? 8 : bytes));
}

uint64_t operand_pointer_read(struct emulation *em, unsigned reg, unsigned bytes)
{
	return alu_cut(gpr_read(em->vcpu, reg), bytes);
}

void operand_pointer_write(struct emulation *em, unsigned reg, unsigned bytes, uint64_t value)
{
	if (bytes == 2)
		value = (gpr_read(em->vcpu, reg) & ~UINT64_C(0xffff)) | (value & 0xffff);
	gpr_write(em->vcpu, reg, alu_cut(value, bytes == 2 ? 8 : bytes));
}
