/* SPDX-License-Identifier: BSD-2-Clause */
/* Every opcode of every encoding with every prefix that selects, once; operands and immediates are random. */
#ifndef TESTS_ORACLE_EVERY_INSN_H
#define TESTS_ORACLE_EVERY_INSN_H

#include <stdbool.h>
#include <stdint.h>

/* The instruction with this number, from 0. False: there are no more. */
bool every_insn(unsigned number, unsigned *code_bytes, uint8_t bytes[15]);

#endif
