/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes that are mostly instructions: prefixes, maps and the newer encodings get their share. */
#ifndef TESTS_ORACLE_RANDOM_INSN_H
#define TESTS_ORACLE_RANDOM_INSN_H

#include <stdint.h>

/* The same seed gives the same sequence. */
void random_insn_seed(uint64_t seed);

/* 15 random bytes. */
void random_bytes(uint8_t bytes[15]);

/* 15 bytes for a code segment of code_bytes. */
void random_insn(unsigned code_bytes, uint8_t bytes[15]);

#endif
