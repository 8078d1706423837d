/* SPDX-License-Identifier: BSD-2-Clause */
/* An instruction as an oracle says it, in one form for all of them. */
#ifndef TESTS_ORACLE_OPERAND_TEXT_H
#define TESTS_ORACLE_OPERAND_TEXT_H

#include <stdbool.h>
#include <stdint.h>

struct said_operand {
	unsigned bytes;	     /* 0: not said */
	int segment;	     /* -1: not said */
	uint8_t base, index; /* INSN_NO_REGISTER: none */
	bool vector_index, rip_relative;
	unsigned scale; /* 1, 2, 4, 8 */
	int64_t displacement;
	bool is_access_said, reads, writes;
};

struct said_insn {
	int length; /* 0 or less: refused */
	bool bad;   /* an operand or prefix is said to be wrong */
	char text[160];
	char mnemonic[32];
	unsigned count;
	struct said_operand operands[2];
};

/* Parse a line of tests/oracle/opcodes.c. */
void said_insn_parse(const char *line, struct said_insn *out);

#endif
