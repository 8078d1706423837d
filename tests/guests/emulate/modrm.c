/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/emulate/modrm.h"

/* 16-bit forms: [BX+SI], [BX+DI], [BP+SI], [BP+DI], [SI], [DI], [BP], [BX]. */
static bool put_modrm16(struct maker *make, uint32_t reg, uint64_t address)
{
	static const uint8_t bases[8] = { RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX };
	static const uint8_t indices[4] = { RSI, RDI, RSI, RDI };
	const uint32_t mod = below(make, 3), rm = below(make, 8), base = bases[rm];
	const bool direct = mod == 0 && rm == 6;
	const int segment = effective_segment(make, base == RBP && !direct ? SEG_SS : SEG_DS);
	uint64_t offset = offset_of(make, segment, address), displacement = any(make);

	put(make, mod << 6 | (reg & 7) << 3 | rm, 1);
	if (direct) {
		put(make, offset, 2);
		return true;
	}
	if (is_pinned(make, base) || (rm < 4 && is_pinned(make, indices[rm])))
		return false;
	displacement = mod == 0	  ? 0
		       : mod == 1 ? (uint64_t)(int8_t)displacement
				  : (uint64_t)(int16_t)displacement;
	put(make, displacement, mod);
	offset -= displacement;
	if (rm < 4) {
		offset -= make->out->in.gpr[indices[rm]];
		make->pinned |= 1u << indices[rm];
	}
	pin_pointer(make, base, offset);
	return true;
}

struct sib {
	bool has_base, has_index;
	uint32_t base, index, scale;
};

/* mod = 0 and base 5 mean a displacement alone: from RIP in 64-bit mode without SIB, else absolute. */
static bool put_displacement_only(struct maker *make, const struct sib *sib, bool from_rip,
				  uint64_t offset)
{
	uint64_t displacement = offset;

	if (from_rip) {
		make->rip_at = (int)make->out->count;
		make->rip_target = offset;
		put(make, 0, 4);
		return true;
	}
	if (sib->has_index) {
		displacement = (uint64_t)(int32_t)any(make);
		if (sib->scale != 0 || is_pinned(make, sib->index))
			return false;
		pin_pointer(make, sib->index, offset - displacement);
	}
	put(make, displacement, 4);
	/* Sign extended in 64-bit addressing. */
	return make->address_bytes == 4 || displacement == (uint64_t)(int32_t)displacement;
}

static bool put_base_and_displacement(struct maker *make, const struct sib *sib, uint32_t mod,
				      uint64_t offset)
{
	uint64_t displacement = any(make);

	if (is_pinned(make, sib->base) || (sib->has_index && is_pinned(make, sib->index)) ||
	    (sib->has_index && sib->index == sib->base))
		return false;
	displacement = mod == 0	  ? 0
		       : mod == 1 ? (uint64_t)(int8_t)displacement
				  : (uint64_t)(int32_t)displacement;
	put(make, displacement, mod == 2 ? 4 : mod);
	offset -= displacement;
	if (sib->has_index) {
		offset -= make->out->in.gpr[sib->index] << sib->scale;
		make->pinned |= 1u << sib->index;
	}
	pin_pointer(make, sib->base, offset);
	return true;
}

/* PUSH and POP relative to RSP, which points to the stack already. */
static bool put_from_rsp(struct maker *make, uint32_t reg, uint64_t address)
{
	const int segment = effective_segment(make, SEG_SS);
	uint64_t rsp = make->out->in.gpr[RSP] + (make->form->kind == POP ? make->bytes : 0);

	put(make, 0x84 | (reg & 7) << 3, 1);
	put(make, 0x24, 1);
	put(make, offset_of(make, segment, address) - rsp, 4);
	return make->address_bytes == 4 ||
	       (int64_t)(offset_of(make, segment, address) - rsp) ==
		       (int32_t)(offset_of(make, segment, address) - rsp);
}

bool put_modrm(struct maker *make, uint32_t reg, uint64_t address)
{
	const uint32_t mod = below(make, 3), rm = below(make, 8);
	const uint32_t sib_byte = below(make, 256), b = make->rex & 1 ? 8 : 0;
	struct sib sib = { .has_base = true, .base = rm + b };
	bool displacement_only;
	uint64_t offset;

	if (make->address_bytes == 2)
		return put_modrm16(make, reg, address);
	/* With REX.X or B the same bytes name R12. */
	if ((make->form->kind == PUSH || make->form->kind == POP) && (make->rex & 3) == 0 &&
	    one_in(make, 4))
		return put_from_rsp(make, reg, address);
	put(make, mod << 6 | (reg & 7) << 3 | rm, 1);
	if (rm == 4) {
		put(make, sib_byte, 1);
		sib.base = (sib_byte & 7) + b;
		sib.index = (sib_byte >> 3 & 7) + (make->rex & 2 ? 8 : 0);
		sib.has_index = sib.index != 4;
		sib.scale = sib_byte >> 6;
	}
	displacement_only = mod == 0 && (sib.base & 7) == 5;
	offset = offset_of(
		make,
		effective_segment(make, !displacement_only && (sib.base == RSP || sib.base == RBP)
						? SEG_SS
						: SEG_DS),
		address);
	if (displacement_only)
		return put_displacement_only(make, &sib, rm == 5 && is_64bit(make), offset);
	return put_base_and_displacement(make, &sib, mod, offset);
}
