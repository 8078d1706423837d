// sources: vmexit/decode.c vmexit/decode_implied.c vmexit/decode_operands.c vmexit/decode_store.c
// sources: vmexit/decode_system.c vmexit/decode_vector.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any bytes, in any mode: the decoder reads no byte too many and its answers agree with each other.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "vmexit/decode_operands.h"

#include "vmexit/decode_store.h"
#include "vmexit/decode_system.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
	if (!condition)
		abort();
}

static void check_insn(const struct insn *insn, unsigned count)
{
	struct cr_operands operands;
	struct store store;

	check(insn->bytes >= 1 && insn->bytes <= INSN_MAX_BYTES && insn->bytes <= count);
	check(insn->memory.base < 32 || insn->memory.base == INSN_NO_REGISTER);
	check(insn->memory.index < 32 || insn->memory.index == INSN_NO_REGISTER);
	check(insn->memory.segment <= SEGMENT_GS && insn->memory.scale < 4);
	if (decode_store(insn, &store)) {
		check(store.reg < 32 && store.bytes <= 8 && insn->memory.present);
		check(!store.high_byte || store.reg < 4);
	}
	if (decode_cr_access(insn, &operands))
		check(operands.cr < 32 && operands.gpr < 32);
}

static void check_operand(const struct insn_operand *operand)
{
	const struct insn_memory *memory = &operand->memory;

	check(operand->bytes <= 512);
	if (!memory->present) {
		check(!operand->reads && !operand->writes && operand->bytes == 0);
		return;
	}
	check(memory->base < 32 || memory->base == INSN_NO_REGISTER);
	check(memory->index < 32 || memory->index == INSN_NO_REGISTER);
	check(memory->segment <= SEGMENT_GS && memory->scale < 4);
}

static void check_operands(const struct insn *insn)
{
	struct insn_operands operands;
	struct insn_gpr gpr = insn_gpr(insn, insn->reg, 1);
	bool known = decode_operands(insn, &operands);

	check(!gpr.high_byte || (gpr.number < 4 && !insn->rex && insn->encoding == INSN_LEGACY));
	if (!known)
		return;
	check_operand(&operands.memory);
	check_operand(&operands.other);
	check(!operands.undefined || (!operands.stack.reads && !operands.stack.writes));
	check(operands.stack.bytes <= 8 && operands.stack.count <= 32);
	check(!insn->memory.present || operands.memory.memory.present);
}

/* What was refused for want of bytes is judged for good with 15 of them. */
static void check_refusal(const struct insn *insn, const uint8_t *bytes, unsigned count,
			  unsigned code_bytes)
{
	uint8_t more[INSN_MAX_BYTES] = { 0 };
	struct insn longer;

	check(insn->fault != INSN_FAULT_NONE);
	check((insn->fault == INSN_FAULT_TRUNCATED) <= (count < INSN_MAX_BYTES));
	check(insn->fault != INSN_FAULT_TOO_LONG || count >= INSN_MAX_BYTES);
	memcpy(more, bytes, count < INSN_MAX_BYTES ? count : INSN_MAX_BYTES);
	check(decode_insn(more, INSN_MAX_BYTES, code_bytes, &longer) ||
	      longer.fault != INSN_FAULT_TRUNCATED);
	if (insn->fault == INSN_FAULT_UNDEFINED)
		check(longer.fault == INSN_FAULT_UNDEFINED);
}

static void check_system(const uint8_t *bytes, unsigned count, unsigned code_bytes)
{
	unsigned matches = 0, length;
	struct insn insn;

	for (unsigned which = 0; which < SYSTEM_INSN_COUNT; which++) {
		length = decode_system_length(bytes, count, code_bytes, (enum system_insn)which);
		if (length == 0)
			continue;
		matches++;
		check(decode_insn(bytes, count, code_bytes, &insn) && insn.bytes == length);
	}
	check(matches <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct insn insn, longer;
	unsigned count, code_bytes;
	uint8_t more[32] = { 0 };

	if (size < 1 || size > 24)
		return 0;
	code_bytes = 2u << data[0] % 3;
	data++;
	count = (unsigned)size - 1;
	check_system(data, count, code_bytes);
	if (!decode_insn(data, count, code_bytes, &insn)) {
		check_refusal(&insn, data, count, code_bytes);
		return 0;
	}
	check(insn.fault == INSN_FAULT_NONE);
	check_insn(&insn, count);
	check_operands(&insn);
	/* What follows an instruction does not matter, nor does what is cut off behind it. */
	check(decode_insn(data, insn.bytes, code_bytes, &longer) && longer.bytes == insn.bytes);
	memcpy(more, data, count);
	check(decode_insn(more, sizeof(more), code_bytes, &longer) && longer.bytes == insn.bytes);
	return 0;
}
