/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions that the hypervisor emulates, as a table. */
#ifndef TESTS_GUESTS_EMULATE_FORMS_H
#define TESTS_GUESTS_EMULATE_FORMS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/guests/emulate/cases.h"

enum kind {
	PLAIN,
	SHIFT,	/* by an immediate, CL or one */
	DOUBLE, /* SHLD, SHRD */
	BIT,	/* bit number in a register */
	OFFSET, /* MOV with an absolute address */
	EXCHANGE,
	PAIR,
	PUSH,
	POP,
	STRING,
};

/* Of operands in memory: a byte, the operand size, or as the name says. */
enum width { BYTE, FULL, WORD, DWORD };
enum immediate { NONE, IMM8, IMMZ };

enum {
	LOGICAL = FLAG_AF,
	BITS = FLAG_OF | FLAG_SF | FLAG_AF | FLAG_PF,
};

struct form {
	const char *name;
	uint8_t map, opcode;
	int8_t digit; /* /digit, or -1: a register */
	enum width width;
	enum immediate immediate;
	enum kind kind;
	bool lockable, modifies;
	uint16_t undefined;
};

extern const struct form forms[];
extern const uint32_t form_count;

#endif
