/* SPDX-License-Identifier: BSD-2-Clause */
/* What explains differences with more than one oracle. */
#ifndef TESTS_ORACLE_INSN_FACTS_H
#define TESTS_ORACLE_INSN_FACTS_H

#include "tests/oracle/sample.h"

bool facts_prefix_before_vector(const struct sample *sample);
/* Whether `byte` stands behind the legacy prefixes. */
bool facts_has_opcode_byte(const struct sample *sample, uint8_t byte);
bool facts_is_ud(const struct sample *sample);
bool facts_no_control_register(const struct sample *sample);
bool facts_no_segment_register(const struct sample *sample);
bool facts_is_mpx(const struct sample *sample);
bool facts_is_vsib(const struct sample *sample);
bool facts_no_such_prefix(const struct sample *sample);
bool facts_is_mov_cr(const struct sample *sample);
bool facts_is_x87_register(const struct sample *sample);
bool facts_is_extended_segment(const struct sample *sample);
/* A SIMD prefix decides, and another byte stands between it and the opcode or its REX. */
bool facts_prefix_is_apart(const struct sample *sample);
bool facts_is_string(const struct insn *insn);

#endif
