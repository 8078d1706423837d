/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode_system.h"

/* The opcode, compared under a mask: bits of ModRM that vary are 0 there. */
struct system_opcode {
	uint8_t bytes;
	bool has_memory; /* may have a memory operand: only the full decoder knows the length */
	uint32_t value, mask;
};

/* In the order of memory: the first opcode byte is the lowest. */
static const struct system_opcode system_opcodes[SYSTEM_INSN_COUNT] = {
	[SYSTEM_CPUID] = { 2, false, 0xa20f, 0xffff },
	[SYSTEM_RDMSR] = { 2, false, 0x320f, 0xffff },
	[SYSTEM_WRMSR] = { 2, false, 0x300f, 0xffff },
	[SYSTEM_XSETBV] = { 3, false, 0xd1010f, 0xffffff },
	[SYSTEM_VMCALL] = { 3, false, 0xc1010f, 0xffffff },
	[SYSTEM_VMMCALL] = { 3, false, 0xd9010f, 0xffffff },
	[SYSTEM_INVD] = { 2, false, 0x080f, 0xffff },
	[SYSTEM_CLTS] = { 2, false, 0x060f, 0xffff },
	[SYSTEM_LMSW] = { 3, true, 0x30010f, 0x38ffff },
	[SYSTEM_SMSW] = { 3, true, 0x20010f, 0x38ffff },
	[SYSTEM_MOV_CR] = { 3, false, 0x00200f, 0x00fdff },
	[SYSTEM_IRET] = { 1, false, 0xcf, 0xff },
	[SYSTEM_HLT] = { 1, false, 0xf4, 0xff },
};

static bool is_prefix(uint8_t byte, unsigned code_bytes)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64 ... 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	case 0x40 ... 0x4f:
		return code_bytes == 8;
	}
	return false;
}

static inline bool opcode_is_at(const uint8_t *bytes, unsigned count,
				const struct system_opcode *opcode)
{
	uint32_t value = 0;
	unsigned i;

	if (LIKELY(count >= sizeof(value)))
		__builtin_memcpy(&value, bytes, sizeof(value));
	else if (count >= opcode->bytes)
		for (i = 0; i < opcode->bytes; i++)
			value |= (uint32_t)bytes[i] << (8 * i);
	return (value & opcode->mask) == opcode->value;
}

/* Behind prefixes, or with a memory operand. */
static __attribute__((noinline)) unsigned system_length_slow(const uint8_t *bytes, unsigned count,
							     unsigned code_bytes,
							     const struct system_opcode *opcode)
{
	unsigned at = 0;
	struct insn insn;

	/* No opcode here begins like a prefix. */
	while (!opcode_is_at(bytes + at, count - at, opcode)) {
		if (at == count || !is_prefix(bytes[at], code_bytes))
			return 0;
		at++;
	}
	if (!opcode->has_memory)
		return at + opcode->bytes;
	return decode_insn(bytes, count, code_bytes, &insn) ? insn.bytes : 0;
}

unsigned decode_system_length(const uint8_t *bytes, unsigned count, unsigned code_bytes,
			      enum system_insn which)
{
	const struct system_opcode *opcode = &system_opcodes[which];

	if (count > INSN_MAX_BYTES)
		count = INSN_MAX_BYTES;
	if (LIKELY(opcode_is_at(bytes, count, opcode)) && !opcode->has_memory)
		return opcode->bytes;
	return system_length_slow(bytes, count, code_bytes, opcode);
}

bool decode_cr_access(const struct insn *insn, struct cr_operands *out)
{
	*out = (struct cr_operands){ .gpr = insn->rm };
	if (insn->map != INSN_MAP_0F || insn->encoding > INSN_REX2)
		return false;
	switch (insn->opcode) {
	case 0x20:
	case 0x22:
		out->operation = insn->opcode == 0x20 ? CR_OPERATION_READ : CR_OPERATION_WRITE;
		out->cr = insn->lock && insn->reg < 8 ? insn->reg + 8 : insn->reg;
		return true;
	case 0x06:
		out->operation = CR_OPERATION_CLTS;
		return true;
	case 0x01:
		out->operation = (insn->reg & 7) == 6 ? CR_OPERATION_LMSW : CR_OPERATION_SMSW;
		return (insn->reg & 7) == 6 || (insn->reg & 7) == 4;
	}
	return false;
}
