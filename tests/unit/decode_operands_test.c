// sources: vmexit/decode.c vmexit/decode_implied.c vmexit/decode_operands.c vmexit/decode_vector.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* What the comparison with other decoders cannot see: implied operands, the stack, #UD, registers, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vmexit/decode_operands.h"

#define NONE INSN_NO_REGISTER

static unsigned from_hex(const char *hex, uint8_t bytes[32])
{
	unsigned count = 0;

	while (*hex != '\0') {
		char *end;

		bytes[count++] = (uint8_t)strtoul(hex, &end, 16);
		hex = end;
		while (*hex == ' ')
			hex++;
	}
	return count;
}

static struct insn decoded(unsigned code_bytes, const char *hex)
{
	uint8_t bytes[32];
	unsigned count = from_hex(hex, bytes);
	struct insn insn;

	if (!decode_insn(bytes, count, code_bytes, &insn) || insn.bytes != count)
		fail_msg("%u-bit %s is refused", 8 * code_bytes, hex);
	return insn;
}

static struct insn_operands operands_of(unsigned code_bytes, const char *hex)
{
	struct insn insn = decoded(code_bytes, hex);
	struct insn_operands operands;

	if (!decode_operands(&insn, &operands))
		fail_msg("%u-bit %s is not known", 8 * code_bytes, hex);
	return operands;
}

/* --- operands -------------------------------------------------------------------------------- */

#define R  true, false
#define W  false, true
#define RW true, true
#define NO false, false

struct operand_case {
	unsigned code_bytes;
	const char *hex;
	unsigned bytes;
	bool reads, writes;
	uint8_t base;
	enum segment_index segment;
};

/* clang-format off */
static const struct operand_case operand_cases[] = {
	/* sizes and accesses of the general instructions */
	{ 8, "00 00",			1,  RW, 0, SEGMENT_DS },
	{ 8, "66 01 00",		2,  RW, 0, SEGMENT_DS },
	{ 8, "48 39 00",		8,  R,  0, SEGMENT_DS },
	{ 8, "80 38 11",		1,  R,  0, SEGMENT_DS },
	{ 8, "48 83 00 11",		8,  RW, 0, SEGMENT_DS },
	{ 8, "8d 00",			0,  NO, 0, SEGMENT_DS },
	{ 8, "88 00",			1,  W,  0, SEGMENT_DS },
	{ 8, "48 c7 00 11 22 33 44",	8,  W,  0, SEGMENT_DS },
	{ 8, "48 0f b6 00",		1,  R,  0, SEGMENT_DS },
	{ 8, "48 0f bf 00",		2,  R,  0, SEGMENT_DS },
	{ 8, "48 63 00",		4,  R,  0, SEGMENT_DS },
	{ 4, "63 00",			2,  RW, 0, SEGMENT_DS },
	{ 8, "8c 18",			2,  W,  0, SEGMENT_DS },
	{ 8, "f7 18",			4,  RW, 0, SEGMENT_DS },
	{ 8, "f7 20",			4,  R,  0, SEGMENT_DS },
	{ 8, "f6 00 11",		1,  R,  0, SEGMENT_DS },
	{ 8, "ff 30",			8,  R,  0, SEGMENT_DS },
	{ 8, "66 ff 30",		2,  R,  0, SEGMENT_DS },
	{ 8, "66 48 ff 30",		8,  R,  0, SEGMENT_DS },
	{ 8, "8f 04 24",		8,  W,  4, SEGMENT_SS },
	{ 4, "ff 18",			6,  R,  0, SEGMENT_DS },
	{ 4, "62 00",			8,  R,  0, SEGMENT_DS },
	{ 8, "0f 90 00",		1,  W,  0, SEGMENT_DS },
	{ 8, "0f b1 00",		4,  RW, 0, SEGMENT_DS },
	{ 8, "0f c7 08",		8,  RW, 0, SEGMENT_DS },
	{ 8, "48 0f c7 08",		16, RW, 0, SEGMENT_DS },
	{ 4, "0f c7 08",		8,  RW, 0, SEGMENT_DS },
	{ 8, "0f ae 00",		512, W, 0, SEGMENT_DS },
	{ 8, "0f ae 20",		0,  RW, 0, SEGMENT_DS },
	{ 8, "0f 01 10",		10, R,  0, SEGMENT_DS },
	{ 4, "0f 01 00",		6,  W,  0, SEGMENT_DS },
	{ 8, "0f 01 38",		0,  NO, 0, SEGMENT_DS },
	{ 8, "dd 30",			108, W, 0, SEGMENT_DS },
	{ 2, "dd 37",			94, W,  3, SEGMENT_DS },
	{ 8, "db 28",			10, R,  0, SEGMENT_DS },
	/* the opcode implies them */
	{ 8, "a2 11 22 33 44 55 66 77 88", 1, W, NONE, SEGMENT_DS },
	{ 8, "64 48 a1 11 22 33 44 55 66 77 88", 8, R, NONE, SEGMENT_FS },
	{ 8, "f3 48 ab",		8,  W,  7, SEGMENT_ES },
	{ 4, "64 a4",			1,  W,  7, SEGMENT_ES },
	{ 4, "66 a7",			2,  R,  7, SEGMENT_ES },
	{ 4, "af",			4,  R,  7, SEGMENT_ES },
	{ 8, "65 48 ad",		8,  R,  6, SEGMENT_GS },
	{ 8, "48 6d",			4,  W,  7, SEGMENT_ES },
	{ 2, "2e 6f",			2,  R,  6, SEGMENT_CS },
	{ 8, "d7",			1,  R,  3, SEGMENT_DS },
	{ 8, "0f f7 c1",		8,  W,  7, SEGMENT_DS },
	{ 8, "64 66 0f f7 c1",		16, W,  7, SEGMENT_FS },
	{ 8, "c5 f9 f7 c1",		16, W,  7, SEGMENT_DS },
	{ 8, "0f 01 fc",		64, W,  0, SEGMENT_DS },
	{ 8, "0f 01 c8",		1,  R,  0, SEGMENT_DS },
	{ 8, "f3 0f ae f1",		1,  R,  1, SEGMENT_DS },
	/* vectors */
	{ 8, "0f 6f 00",		8,  R,  0, SEGMENT_DS },
	{ 8, "c5 fe 7f 00",		32, W,  0, SEGMENT_DS },
	{ 8, "62 f1 7c 48 29 00",	64, W,  0, SEGMENT_DS },
	{ 8, "62 f1 7c 58 58 00",	4,  R,  0, SEGMENT_DS },
	{ 8, "c5 f8 ae 18",		4,  W,  0, SEGMENT_DS },
	/* APX: new data destinations leave memory alone */
	{ 8, "62 f4 7c 08 01 00",	4,  RW, 0, SEGMENT_DS },
	{ 8, "62 f4 7c 18 01 00",	4,  R,  0, SEGMENT_DS },
	{ 8, "62 f4 7c 0c 40 00",	4,  W,  0, SEGMENT_DS },
	{ 8, "d5 19 89 00",		8,  W,  24, SEGMENT_DS },
};
/* clang-format on */

static void operands(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(operand_cases); i++) {
		const struct operand_case *c = &operand_cases[i];
		struct insn_operands all = operands_of(c->code_bytes, c->hex);
		const struct insn_operand *operand = &all.memory;

		if (all.undefined || !operand->memory.present || operand->bytes != c->bytes ||
		    operand->reads != c->reads || operand->writes != c->writes ||
		    operand->memory.base != c->base || operand->memory.segment != c->segment)
			fail_msg("%s: bytes %u reads %d writes %d base %u segment %d", c->hex,
				 operand->bytes, operand->reads, operand->writes,
				 operand->memory.base, (int)operand->memory.segment);
	}
}

static void second_operands(void **state)
{
	struct insn_operands all = operands_of(4, "64 66 a5");

	(void)state;
	assert_true(all.other.reads && !all.other.writes);
	assert_int_equal(all.other.bytes, 2);
	assert_int_equal(all.other.memory.base, 6);
	assert_int_equal(all.other.memory.segment, SEGMENT_FS);
	all = operands_of(8, "66 0f 38 f8 0a"); /* MOVDIR64B */
	assert_true(all.memory.reads && all.other.writes);
	assert_int_equal(all.memory.bytes, 64);
	assert_int_equal(all.other.bytes, 64);
	assert_int_equal(all.other.memory.base, 1);
	assert_int_equal(all.other.memory.segment, SEGMENT_ES);
	assert_false(operands_of(8, "ab").other.memory.present);
}

static void repeats(void **state)
{
	(void)state;
	assert_true(operands_of(8, "f3 a4").repeat);
	assert_true(operands_of(8, "f2 ae").repeat);
	assert_false(operands_of(8, "a4").repeat);
	assert_false(operands_of(8, "f3 89 00").repeat); /* XRELEASE */
}

static void indices(void **state)
{
	struct insn_operands all = operands_of(8, "d7");

	(void)state;
	assert_int_equal(all.memory.memory.index_kind, INSN_INDEX_AL);
	all = operands_of(8, "62 e2 7d 41 92 04 20"); /* VGATHERDPS zmm16 {k1}, [rax + zmm20] */
	assert_int_equal(all.memory.memory.index_kind, INSN_INDEX_VECTOR);
	assert_int_equal(all.memory.memory.index, 20);
	assert_true(all.memory.partial);
	all = operands_of(8, "c4 e2 7b 4b 04 08"); /* TILELOADD */
	assert_int_equal(all.memory.memory.index_kind, INSN_INDEX_TILE);
	assert_true(operands_of(8, "0f ab 00").memory.bit_offset);
	assert_false(operands_of(8, "0f ba 28 11").memory.bit_offset);
}

/* SDM: "Compressed Displacement (disp8*N) Support in EVEX". */
static void displacements(void **state)
{
	static const struct {
		const char *hex;
		int64_t displacement;
	} cases[] = {
		{ "62 f1 7c 48 58 40 ff", -64 }, { "62 f1 7c 58 58 40 02", 8 },
		{ "62 f1 ff 08 58 40 01", 8 },	 { "62 f2 7d 48 8a 40 03", 12 },
		{ "62 f2 7e 48 31 40 01", 16 },	 { "62 f1 7c 48 58 80 01 00 00 00", 1 },
		{ "62 f4 7c 08 01 40 01", 1 },	 { "c5 fc 58 40 01", 1 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct insn_operands all = operands_of(8, cases[i].hex);

		if (all.memory.memory.displacement != cases[i].displacement)
			fail_msg("%s: %lld", cases[i].hex,
				 (long long)all.memory.memory.displacement);
	}
}

/* --- stack ----------------------------------------------------------------------------------- */

struct stack_case {
	unsigned code_bytes;
	const char *hex;
	bool reads, writes;
	unsigned bytes, count;
	bool frame;
};

static const struct stack_case stack_cases[] = {
	{ 8, "50", W, 8, 1, false },
	{ 8, "66 50", W, 2, 1, false },
	{ 4, "50", W, 4, 1, false },
	{ 2, "50", W, 2, 1, false },
	{ 8, "58", R, 8, 1, false },
	{ 4, "60", W, 4, 8, false },
	{ 4, "66 61", R, 2, 8, false },
	{ 8, "68 11 22 33 44", W, 8, 1, false },
	{ 8, "9c", W, 8, 1, false },
	{ 8, "9d", R, 8, 1, false },
	{ 8, "c3", R, 8, 1, false },
	{ 8, "66 c3", R, 8, 1, false },
	{ 4, "66 c3", R, 2, 1, false },
	{ 8, "e8 11 22 33 44", W, 8, 1, false },
	{ 8, "ff 10", W, 8, 1, false },
	{ 8, "ff 30", W, 8, 1, false },
	{ 8, "ff 20", NO, 0, 0, false },
	{ 8, "8f 00", R, 8, 1, false },
	{ 8, "c8 10 00 00", W, 8, 1, false },
	{ 8, "c8 10 00 03", W, 8, 4, true },
	{ 8, "c9", NO, 8, 0, true },
	{ 8, "0f a0", W, 8, 1, false },
	{ 8, "0f a9", R, 8, 1, false },
	{ 4, "06", W, 4, 1, false },
	{ 8, "48 cf", R, 0, 0, false },
	{ 8, "cc", W, 0, 0, false },
	{ 8, "62 f4 7c 18 ff f1", W, 8, 2, false },
	{ 8, "90", NO, 0, 0, false },
};

static void stacks(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(stack_cases); i++) {
		const struct stack_case *c = &stack_cases[i];
		struct insn_stack stack = operands_of(c->code_bytes, c->hex).stack;

		if (stack.reads != c->reads || stack.writes != c->writes ||
		    stack.bytes != c->bytes || stack.count != c->count || stack.frame != c->frame)
			fail_msg("%u-bit %s: reads %d writes %d bytes %u count %u frame %d",
				 8 * c->code_bytes, c->hex, stack.reads, stack.writes, stack.bytes,
				 stack.count, stack.frame);
	}
}

/* --- #UD ------------------------------------------------------------------------------------- */

static void undefined(void **state)
{
	static const char *const undefined_cases[] = {
		"f0 89 00",	  "f0 01 c0", "f0 39 00", "f0 8b 00", "f0 0f a3 00",
		"f0 0f ba 20 11", "f0 d0 00", "f0 90",	  "f0 0f a2", "8d c0",
		"ff 38",	  "ff d8",    "fe 10",	  "c6 08 11", "8f e0",
		"8e c8",	  "8e 30",    "8c 30",	  "0f 20 c8", "0f 0b",
		"0f b9 00",	  "0f c3 c0", "0f c7 c8", "0f b2 c0", "0f 00 38",
	};
	static const char *const defined_cases[] = {
		"f0 01 00",	  "f0 87 00", "f0 0f b1 00", "f0 0f c7 08", "f0 0f ab 00",
		"f0 0f ba 28 11", "f0 f7 18", "f0 fe 08",    "f0 80 00 11", "8d 00",
		"f0 0f 20 c0",	  "8e d8",    "c6 f8 11",    "0f c7 f0",
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(undefined_cases); i++)
		if (!operands_of(8, undefined_cases[i]).undefined)
			fail_msg("%s is no #UD", undefined_cases[i]);
	for (unsigned i = 0; i < ARRAY_COUNT(defined_cases); i++)
		if (operands_of(8, defined_cases[i]).undefined)
			fail_msg("%s is #UD", defined_cases[i]);
	/* A gather without a SIB byte, and with one. */
	assert_true(operands_of(8, "c4 e2 79 92 00").undefined);
	assert_false(operands_of(8, "c4 e2 79 92 04 00").undefined);
}

static void unknown(void **state)
{
	static const char *const cases[] = { "0f 1a 00", "8f e9 78 12 c1", "0f 38 7f 00",
					     "c4 e2 78 98 00" };

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct insn insn = decoded(8, cases[i]);
		struct insn_operands all;

		assert_false(decode_operands(&insn, &all));
	}
}

static enum insn_fault fault_of(unsigned code_bytes, const char *hex)
{
	uint8_t bytes[32];
	unsigned count = from_hex(hex, bytes);
	struct insn insn;

	return decode_insn(bytes, count, code_bytes, &insn) ? INSN_FAULT_NONE : insn.fault;
}

static void faults(void **state)
{
	(void)state;
	assert_int_equal(fault_of(8, "89 00"), INSN_FAULT_NONE);
	assert_int_equal(fault_of(8, "89"), INSN_FAULT_TRUNCATED);
	assert_int_equal(fault_of(8, "c4 e1"), INSN_FAULT_TRUNCATED);
	assert_int_equal(fault_of(8, "0f 04"), INSN_FAULT_UNDEFINED);
	assert_int_equal(fault_of(8, "66 c5 f8 58 c1"), INSN_FAULT_UNDEFINED);
	assert_int_equal(fault_of(8, "62"), INSN_FAULT_TRUNCATED);
	assert_int_equal(fault_of(8, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 89 00"),
			 INSN_FAULT_TOO_LONG);
	assert_int_equal(fault_of(8, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 0f 04"),
			 INSN_FAULT_TOO_LONG);
	assert_int_equal(fault_of(8, "d5 00 40"), INSN_FAULT_UNDEFINED);
	assert_int_equal(fault_of(8, "d5 00 0f"), INSN_FAULT_UNDEFINED);
	assert_int_equal(fault_of(8, "d5 80 80 00 00 00 00"), INSN_FAULT_UNDEFINED);
}

/* --- registers ------------------------------------------------------------------------------- */

static void byte_registers(void **state)
{
	struct insn insn = decoded(8, "88 20");

	(void)state;
	assert_int_equal(insn_gpr(&insn, insn.reg, 1).number, 0);
	assert_true(insn_gpr(&insn, insn.reg, 1).high_byte);
	assert_int_equal(insn_gpr(&insn, insn.reg, 4).number, 4);
	assert_false(insn_gpr(&insn, insn.reg, 4).high_byte);
	insn = decoded(8, "40 88 20");
	assert_int_equal(insn_gpr(&insn, insn.reg, 1).number, 4);
	assert_false(insn_gpr(&insn, insn.reg, 1).high_byte);
	insn = decoded(8, "d5 44 88 20");
	assert_int_equal(insn_gpr(&insn, insn.reg, 1).number, 28);
	insn = decoded(8, "62 f4 7c 08 00 20");
	assert_false(insn_gpr(&insn, insn.reg, 1).high_byte);
}

static void vendors(void **state)
{
	(void)state;
	assert_true(decoded(8, "66 e8 11 22 33 44").differs_on_amd);
	assert_true(decoded(8, "66 ff 10").differs_on_amd);
	assert_false(decoded(8, "66 ff 30").differs_on_amd);
	assert_false(decoded(8, "e8 11 22 33 44").differs_on_amd);
	assert_false(decoded(4, "66 e8 11 22").differs_on_amd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands),	 cmocka_unit_test(second_operands),
		cmocka_unit_test(repeats),	 cmocka_unit_test(indices),
		cmocka_unit_test(displacements), cmocka_unit_test(stacks),
		cmocka_unit_test(undefined),	 cmocka_unit_test(unknown),
		cmocka_unit_test(faults),	 cmocka_unit_test(byte_registers),
		cmocka_unit_test(vendors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
