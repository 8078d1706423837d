/* SPDX-License-Identifier: BSD-2-Clause */
/* An instruction as it grows out of random numbers: its bytes, its segments and registers. */
#ifndef TESTS_GUESTS_EMULATE_MAKER_H
#define TESTS_GUESTS_EMULATE_MAKER_H

#include "tests/guests/emulate/forms.h"

/* The instruction as it grows, and the registers that have a meaning already. */
struct maker {
	uint64_t *random;
	const struct case_limits *limits;
	const struct form *form;
	struct test_case *out;
	uint8_t operand_bytes; /* of the operand size */
	uint8_t bytes;	       /* of the operand in memory */
	uint8_t address_bytes, code_bytes;
	uint8_t rex;
	bool lock, repeats;
	int segment; /* of the override, -1: none */
	uint32_t pinned;
	int rip_at; /* where a displacement from RIP is to be patched in, or -1 */
	uint64_t rip_target;
};

enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

/* Random numbers. any_value(): often one at an edge. */
uint64_t any(struct maker *make);
uint32_t below(struct maker *make, uint32_t limit);
bool one_in(struct maker *make, uint32_t count);
uint64_t any_value(struct maker *make);

uint64_t cut(uint64_t value, uint32_t bytes);
bool is_64bit(const struct maker *make);
void put(struct maker *make, uint64_t value, uint32_t bytes);

uint64_t base_of_selector(uint16_t selector);
void make_segments(struct maker *make);
uint64_t segment_base(const struct maker *make, int segment);
void make_bases(struct maker *make);
int effective_segment(const struct maker *make, int implied);
uint64_t offset_of(const struct maker *make, int segment, uint64_t address);
void pin_pointer(struct maker *make, uint32_t reg, uint64_t value);
void make_registers(struct maker *make);
bool is_pinned(const struct maker *make, uint32_t reg);

#endif
