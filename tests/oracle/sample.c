/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/sample.h"

void sample_decode(struct sample *sample)
{
	sample->decoded = decode_insn(sample->bytes, 15, sample->code_bytes, &sample->insn);
	sample->known = sample->decoded && decode_operands(&sample->insn, &sample->operands);
}

static uint64_t address_mask(const struct insn *insn)
{
	return insn->address_bytes == 8 ? UINT64_MAX
					: (UINT64_C(1) << (8 * insn->address_bytes)) - 1;
}

static enum segment_index default_segment(const struct insn *insn, const struct said_operand *said)
{
	bool is_stack = said->base == 4 || said->base == 5;

	(void)insn;
	return is_stack ? SEGMENT_SS : SEGMENT_DS;
}

static bool same_segment(const struct sample *sample, const struct insn_memory *memory,
			 const struct said_operand *said)
{
	if (said->segment >= 0)
		return said->segment == (int)memory->segment;
	return memory->segment == default_segment(&sample->insn, said);
}

static bool same_index(const struct insn_memory *memory, const struct said_operand *said)
{
	/* XLAT: no oracle writes AL. */
	if (memory->index_kind == INSN_INDEX_AL)
		return said->index == INSN_NO_REGISTER;
	if (memory->index != said->index)
		return false;
	return memory->index == INSN_NO_REGISTER || 1u << memory->scale == said->scale;
}

static bool same_address(const struct sample *sample, const struct insn_memory *memory,
			 const struct said_operand *said)
{
	uint64_t difference = (uint64_t)memory->displacement ^ (uint64_t)said->displacement;

	return memory->present && memory->base == said->base && same_index(memory, said) &&
	       (memory->index_kind == INSN_INDEX_VECTOR) == said->vector_index &&
	       memory->rip_relative == said->rip_relative && same_segment(sample, memory, said) &&
	       (difference & address_mask(&sample->insn)) == 0;
}

/* Of two operands, the oracle's first is ours for either. */
static const struct insn_operand *matching(const struct sample *sample,
					   const struct said_operand *said)
{
	const struct insn_operands *operands = &sample->operands;

	if (same_address(sample, &operands->memory.memory, said))
		return &operands->memory;
	return same_address(sample, &operands->other.memory, said) ? &operands->other
								   : &operands->memory;
}

static enum disagreement compare_operand(const struct sample *sample,
					 const struct said_operand *said)
{
	const struct insn_operand *operand = matching(sample, said);
	bool is_accessed = operand->reads || operand->writes;

	if (!same_address(sample, &operand->memory, said))
		return ADDRESS;
	if (is_accessed && operand->bytes != 0 && said->bytes != 0 && operand->bytes != said->bytes)
		return SIZE;
	if (is_accessed && said->is_access_said && operand->writes != said->writes)
		return ACCESS;
	return AGREED;
}

static enum disagreement compare_operands(const struct sample *sample)
{
	enum disagreement result = AGREED;

	for (unsigned i = 0; i < sample->said.count && result == AGREED; i++)
		result = compare_operand(sample, &sample->said.operands[i]);
	if (result == AGREED && sample->said.count == 0 && sample->insn.memory.present)
		return ADDRESS;
	return result;
}

/*
 * decode_insn() gives a length to every opcode of a map and leaves it to the CPU whether it exists; in the first legacy
 * map all exist.
 */
static bool claims_to_exist(const struct sample *sample)
{
	return sample->known && sample->insn.encoding == INSN_LEGACY &&
	       (sample->insn.map == INSN_MAP_PRIMARY || sample->insn.lock);
}

enum disagreement sample_compare(const struct sample *sample)
{
	bool they_refuse = sample->said.length <= 0 || sample->said.bad;
	bool we_refuse = !sample->decoded || (sample->known && sample->operands.undefined);

	if (they_refuse)
		return !we_refuse && claims_to_exist(sample) ? ONLY_THEY_REFUSE : AGREED;
	if (we_refuse)
		return ONLY_WE_REFUSE;
	if (sample->said.length != sample->insn.bytes)
		return LENGTH;
	if (!sample->known)
		return sample->said.count != 0 ? ONLY_THEY_KNOW : AGREED;
	return compare_operands(sample);
}
