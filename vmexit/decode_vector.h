/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory operands of SSE, AVX, AVX-512, AVX10, AMX and BMI instructions: part of decode_operands(). */
#ifndef VMEXIT_DECODE_VECTOR_H
#define VMEXIT_DECODE_VECTOR_H

#include "vmexit/decode_operands.h"

/*
 * What the instruction does to the operand that ModRM addresses, `operand->memory` being insn->memory at the call; with
 * EVEX, also its displacement. False: no opcode of the tables here. Map 4 of EVEX is not theirs.
 */
MUST_CHECK bool decode_vector_operand(const struct insn *insn, struct insn_operand *operand);

#endif
