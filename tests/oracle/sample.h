/* SPDX-License-Identifier: BSD-2-Clause */
/* One instruction as the decoder and an oracle see it, and what they disagree about. */
#ifndef TESTS_ORACLE_SAMPLE_H
#define TESTS_ORACLE_SAMPLE_H

#include "tests/oracle/operand_text.h"
#include "vmexit/decode_operands.h"

enum disagreement {
	AGREED,
	ONLY_WE_REFUSE,	  /* no instruction, or one that is #UD on every CPU */
	ONLY_THEY_REFUSE, /* although decode_operands() knows it */
	ONLY_THEY_KNOW,	  /* decode_operands() does not, and there is an operand in memory */
	LENGTH,
	ADDRESS, /* of a memory operand, or whether there is one */
	SIZE,
	ACCESS,
	DISAGREEMENT_COUNT,
};

struct sample {
	uint8_t bytes[15];
	unsigned code_bytes;
	struct insn insn;
	bool decoded, known;
	struct insn_operands operands;
	struct said_insn said;
	enum disagreement disagreement;
};

/* Decode sample->bytes. */
void sample_decode(struct sample *sample);

/* With sample->said filled: what is not the same first. */
enum disagreement sample_compare(const struct sample *sample);

/* A difference that is known, with whose word counts. */
struct difference {
	enum disagreement disagreement;
	const char *name, *reason;
	bool (*applies)(const struct sample *sample);
};

/* Lists that end with a NULL name. */
extern const struct difference capstone_differences[];
extern const struct difference binutils_differences[];
extern const struct difference compiled_differences[];

#endif
