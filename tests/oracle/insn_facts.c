/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/insn_facts.h"

static bool is_legacy_prefix(uint8_t byte)
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
	}
	return false;
}

static bool is_rex(const struct sample *sample, unsigned at)
{
	return sample->code_bytes == 8 && (sample->bytes[at] & 0xf0) == 0x40;
}

/* The first byte that is neither a legacy prefix nor REX. */
static unsigned opcode_place(const struct sample *sample)
{
	unsigned at = 0;

	while (at < 14 && (is_legacy_prefix(sample->bytes[at]) || is_rex(sample, at)))
		at++;
	return at;
}

bool facts_has_opcode_byte(const struct sample *sample, uint8_t byte)
{
	return sample->bytes[opcode_place(sample)] == byte;
}

bool facts_prefix_before_vector(const struct sample *sample)
{
	unsigned at = opcode_place(sample);
	uint8_t byte = sample->bytes[at];
	bool has_prefix = sample->insn.lock || sample->insn.rep || sample->insn.repne ||
			  sample->insn.operand_override || sample->insn.rex;

	return !sample->decoded && at > 0 && has_prefix &&
	       (byte == 0xc4 || byte == 0xc5 || byte == 0x62 || byte == 0x8f || byte == 0xd5);
}

static bool is_legacy_0f(const struct sample *sample)
{
	return sample->decoded && sample->insn.encoding <= INSN_REX2 &&
	       sample->insn.map == INSN_MAP_0F;
}

bool facts_is_ud(const struct sample *sample)
{
	return is_legacy_0f(sample) && (sample->insn.opcode == 0x0b ||
					sample->insn.opcode == 0xb9 || sample->insn.opcode == 0xff);
}

bool facts_is_mov_cr(const struct sample *sample)
{
	return is_legacy_0f(sample) && (sample->insn.opcode == 0x20 || sample->insn.opcode == 0x22);
}

bool facts_no_control_register(const struct sample *sample)
{
	uint8_t reg = sample->insn.reg;

	return facts_is_mov_cr(sample) && reg != 0 && reg != 2 && reg != 3 && reg != 4 && reg != 8;
}

bool facts_no_such_prefix(const struct sample *sample)
{
	return sample->decoded && sample->insn.encoding <= INSN_REX2 &&
	       sample->insn.map != INSN_MAP_PRIMARY && sample->insn.simd != INSN_SIMD_NONE;
}

bool facts_is_x87_register(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && (sample->insn.opcode & 0xf8) == 0xd8 &&
	       sample->insn.mod == 3;
}

static bool is_mov_segment(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && (sample->insn.opcode & 0xfd) == 0x8c;
}

bool facts_is_extended_segment(const struct sample *sample)
{
	return is_mov_segment(sample) && sample->insn.reg >= 8;
}

bool facts_prefix_is_apart(const struct sample *sample)
{
	static const uint8_t prefixes[4] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned at = opcode_place(sample);

	if (sample->insn.encoding != INSN_LEGACY || sample->insn.map == INSN_MAP_PRIMARY ||
	    sample->insn.simd == INSN_SIMD_NONE)
		return false;
	/* One REX may stand between them, as the encoding wants it. */
	if (at > 0 && is_rex(sample, at - 1))
		at--;
	return at > 0 && sample->bytes[at - 1] != prefixes[sample->insn.simd];
}

bool facts_is_string(const struct insn *insn)
{
	if (insn->map != INSN_MAP_PRIMARY)
		return false;
	return (insn->opcode >= 0x6c && insn->opcode <= 0x6f) ||
	       (insn->opcode >= 0xa4 && insn->opcode <= 0xaf && (insn->opcode & 0xfe) != 0xa8);
}

bool facts_no_segment_register(const struct sample *sample)
{
	uint8_t member = sample->insn.reg & 7;

	return sample->decoded && is_mov_segment(sample) &&
	       (member > 5 || (member == 1 && sample->insn.opcode == 0x8e));
}

bool facts_is_vsib(const struct sample *sample)
{
	return sample->known && sample->operands.memory.memory.index_kind == INSN_INDEX_VECTOR;
}

bool facts_is_mpx(const struct sample *sample)
{
	return is_legacy_0f(sample) && (sample->insn.opcode & 0xfe) == 0x1a;
}
