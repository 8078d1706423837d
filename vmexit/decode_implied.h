/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that an opcode implies, and its use of the stack: part of decode_operands(). */
#ifndef VMEXIT_DECODE_IMPLIED_H
#define VMEXIT_DECODE_IMPLIED_H

#include "vmexit/decode_operands.h"

/* Of a push or pop. SDM: "Default Operand Size in 64-Bit Mode"; in it, 66 makes 2 bytes of 8. */
unsigned decode_stack_bytes(const struct insn *insn);

/* Of a near call, jump or return, which ignore 66 in 64-bit mode: insn->differs_on_amd. */
unsigned decode_branch_bytes(const struct insn *insn);

/* Fill out->memory (where ModRM addresses none), out->other, out->repeat and out->stack. */
void decode_implied_operands(const struct insn *insn, struct insn_operands *out);

#endif
