/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode_operands.h"

bool decode_operands(const struct insn *insn, struct insn_operands *out)
{
	*out = (struct insn_operands){ .memory.memory = insn->memory };
	return false;
}
