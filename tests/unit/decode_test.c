// sources: vmexit/decode.c vmexit/decode_store.c vmexit/decode_system.c
/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder against hand-made cases; tests/oracle compares it with other decoders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmexit/decode_store.h"
#include "vmexit/decode_system.h"

#define NONE INSN_NO_REGISTER

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned random_below(unsigned limit)
{
	return (unsigned)((random64() >> 33) % limit);
}

/* "0f a2" -> bytes; returns how many. */
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

/* --- lengths ------------------------------------------------------------------------------- */

struct length_case {
	unsigned code_bytes;
	const char *hex;
	unsigned bytes; /* 0: no instruction */
};

static const struct length_case length_cases[] = {
	/* prefixes */
	{ 8, "66 67 f2 f3 2e 36 3e 26 64 65 f0 90", 12 },
	{ 8, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", 15 },
	{ 8, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", 0 },
	{ 8, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 b8 11 22", 0 },
	{ 8, "66 66 66 66 66 66 66 66 66 66 66 66 b8 11 22", 15 },
	{ 8, "48 66 b8 11 22 33 44", 5 }, /* a REX before another prefix does not count */
	{ 8, "66 48 b8 11 22 33 44 55 66 77 88", 11 },
	{ 8, "40 48 b8 11 22 33 44 55 66 77 88", 11 },
	{ 8, "48 40 b8 11 22 33 44", 7 },
	{ 4, "48", 1 },
	{ 4, "b8 11 22 33 44", 5 },
	{ 4, "66 b8 11 22", 4 },
	{ 2, "b8 11 22", 3 },
	{ 2, "66 b8 11 22 33 44", 6 },
	/* address size, moffs */
	{ 8, "a1 11 22 33 44 55 66 77 88", 9 },
	{ 8, "67 a1 11 22 33 44", 6 },
	{ 8, "48 a3 11 22 33 44 55 66 77 88", 10 },
	{ 4, "a1 11 22 33 44", 5 },
	{ 4, "67 a1 11 22", 4 },
	{ 2, "a1 11 22", 3 },
	{ 2, "67 a1 11 22 33 44", 6 },
	{ 8, "67 8b 04 25 11 22 33 44", 8 },
	/* 16-bit ModRM */
	{ 2, "8b 07", 2 },
	{ 2, "8b 06 11 22", 4 },
	{ 2, "8b 46 11", 3 },
	{ 2, "8b 86 11 22", 4 },
	{ 2, "8b c6", 2 },
	{ 2, "67 8b 05 11 22 33 44", 7 },
	{ 4, "67 8b 04", 3 },
	/* 32-bit ModRM and SIB */
	{ 4, "8b 04 24", 3 },
	{ 4, "8b 05 11 22 33 44", 6 },
	{ 4, "8b 04 25 11 22 33 44", 7 }, /* no base */
	{ 4, "8b 44 25 11", 4 },
	{ 4, "8b 84 25 11 22 33 44", 7 },
	{ 8, "41 8b 04 25 11 22 33 44", 8 }, /* R13 as base needs a displacement too */
	{ 8, "41 8b 05 11 22 33 44", 7 },
	{ 8, "41 8b 04 24", 4 },
	/* immediates */
	{ 8, "c8 11 22 33", 4 },
	{ 4, "9a 11 22 33 44 55 66", 7 },
	{ 4, "66 ea 11 22 33 44", 6 },
	{ 2, "ea 11 22 33 44", 5 },
	{ 8, "9a 11 22 33 44 55 66", 0 },
	{ 8, "48 c7 c0 11 22 33 44", 7 },
	{ 8, "66 c7 00 11 22", 5 },
	{ 8, "66 48 c7 00 11 22 33 44", 8 },
	{ 8, "f6 00 11", 3 },
	{ 8, "f6 10", 2 },
	{ 8, "f7 08 11 22 33 44", 6 },
	{ 8, "66 f7 00 11 22", 5 },
	{ 8, "f7 d8", 2 },
	{ 8, "68 11 22 33 44", 5 },
	{ 8, "66 68 11 22", 4 },
	{ 8, "c2 11 22", 3 },
	{ 8, "e8 11 22 33 44", 5 },
	{ 8, "0f 84 11 22 33 44", 6 },
	{ 4, "66 0f 84 11 22", 5 },
	{ 4, "82 c0 11", 3 },
	{ 8, "82 c0 11", 0 },
	/* maps */
	{ 8, "0f a2", 2 },
	{ 8, "0f 22 18", 3 }, /* MOV CR3: the mod field is ignored */
	{ 8, "0f 0f c1 9e", 4 },
	{ 8, "0f 38 f1 05 11 22 33 44", 8 },
	{ 8, "66 0f 3a 0f c1 05", 6 },
	{ 8, "66 0f 78 c0 01 02", 6 }, /* EXTRQ */
	{ 8, "0f 78 c1", 3 },
	{ 8, "0f 24 c0", 0 },
	{ 8, "0f 04", 0 },
	{ 8, "c7 f8 11 22 33 44", 6 }, /* XBEGIN */
	{ 8, "0f ba 20 11", 4 },
	/* VEX against LES and LDS, EVEX against BOUND, XOP against POP */
	{ 4, "c5 f8 77", 3 },
	{ 4, "c4 00", 2 },
	{ 4, "c5 84 24 11 22 33 44", 7 },
	{ 4, "c4 e2 79 00 c1", 5 },
	{ 8, "c5 f8 77", 3 },
	{ 8, "c5 38 58 08", 4 },
	{ 8, "c4 41 38 58 08", 5 },
	{ 8, "c4 e3 79 0f c1 05", 6 },
	{ 8, "c4 e0 79 0f c1 05", 0 },
	{ 8, "66 c5 f8 58 c1", 0 },
	{ 8, "48 c5 f8 58 c1", 0 },
	{ 8, "f0 c5 f8 58 c1", 0 },
	{ 8, "67 c5 f8 58 00", 5 },
	{ 8, "c5 f9 70 c1 05", 5 },
	{ 4, "62 00", 2 },
	{ 4, "62 f1 7c 48 58 c1", 6 },
	{ 8, "62 f1 7c 48 58 48 01", 7 },
	{ 8, "62 f1 7c 48 58 88 11 22 33 44", 10 },
	{ 8, "62 f3 75 48 03 c2 05", 7 },
	{ 8, "62 f5 7c 48 58 c1", 6 },
	{ 8, "62 f4 7d 08 81 c0 11 22", 8 },
	{ 8, "62 f4 7c 08 81 c0 11 22 33 44", 10 },
	{ 8, "62 f0 7c 48 58 c1", 0 },
	{ 8, "8f c0", 2 },
	{ 8, "8f 04 24", 3 },
	{ 8, "8f e8 78 c0 c1 05", 6 },
	{ 8, "8f e9 78 01 c9", 5 },
	{ 8, "8f ea 78 10 c1 11 22 33 44", 9 },
	/* REX2 against AAD */
	{ 4, "d5 0a", 2 },
	{ 8, "d5 10 8b 00", 4 },
	{ 8, "d5 80 a2", 3 },
	{ 8, "d5 08 b8 11 22 33 44 55 66 77 88", 11 },
	{ 8, "d5 00 a1 11 22 33 44 55 66 77 88", 11 }, /* JMPABS */
	{ 8, "48 d5 10 8b 00", 0 },
	/* not in 64-bit mode */
	{ 4, "06", 1 },
	{ 8, "06", 0 },
	{ 8, "27", 0 },
	{ 8, "ce", 0 },
	{ 4, "d6", 1 },
	{ 8, "d6", 0 },
};

static void lengths(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(length_cases); i++) {
		const struct length_case *c = &length_cases[i];
		uint8_t bytes[32];
		unsigned count = from_hex(c->hex, bytes);
		struct insn insn;
		bool ok = decode_insn(bytes, count, c->code_bytes, &insn);

		if (ok != (c->bytes != 0) || (ok && insn.bytes != c->bytes))
			fail_msg("%u-bit %s: length %u, not %u", 8 * c->code_bytes, c->hex,
				 ok ? insn.bytes : 0, c->bytes);
	}
}

/* The bytes are copied to the end of a heap block, so that ASan sees any read behind them. */
static void too_few_bytes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(length_cases); i++) {
		const struct length_case *c = &length_cases[i];
		uint8_t bytes[32];

		(void)from_hex(c->hex, bytes);
		for (unsigned count = 0; count < c->bytes; count++) {
			uint8_t *exact = malloc(count + 1);
			struct insn insn;

			memcpy(exact + 1, bytes, count);
			assert_false(decode_insn(exact + 1, count, c->code_bytes, &insn));
			free(exact);
		}
	}
}

/* --- memory operands ----------------------------------------------------------------------- */

struct memory_case {
	unsigned code_bytes;
	const char *hex;
	unsigned address_bytes;
	uint8_t base, index, scale;
	enum segment_index segment;
	int64_t displacement;
	bool rip_relative;
};

static const struct memory_case memory_cases[] = {
	{ 2, "8b 00", 2, 3, 6, 0, SEGMENT_DS, 0, false },
	{ 2, "8b 42 fe", 2, 5, 6, 0, SEGMENT_SS, -2, false },
	{ 2, "8b 06 34 12", 2, NONE, NONE, 0, SEGMENT_DS, 0x1234, false },
	{ 2, "26 8b 47 10", 2, 3, NONE, 0, SEGMENT_ES, 0x10, false },
	{ 2, "67 8b 44 4d 08", 4, 5, 1, 1, SEGMENT_SS, 8, false },
	{ 4, "8b 04 24", 4, 4, NONE, 0, SEGMENT_SS, 0, false },
	{ 4, "8b 04 8d 00 00 00 80", 4, NONE, 1, 2, SEGMENT_DS, INT32_MIN, false },
	{ 4, "8b 05 78 56 34 12", 4, NONE, NONE, 0, SEGMENT_DS, 0x12345678, false },
	{ 4, "64 8b 45 00", 4, 5, NONE, 0, SEGMENT_FS, 0, false },
	{ 4, "64 2e 8b 45 00", 4, 5, NONE, 0, SEGMENT_CS, 0, false },
	{ 8, "8b 05 fc ff ff ff", 8, NONE, NONE, 0, SEGMENT_DS, -4, true },
	{ 8, "67 8b 05 fc ff ff ff", 4, NONE, NONE, 0, SEGMENT_DS, -4, true },
	{ 8, "4f 8b 04 e4", 8, 12, 12, 3, SEGMENT_DS, 0, false },
	{ 8, "8b 04 24", 8, 4, NONE, 0, SEGMENT_SS, 0, false },
	{ 8, "41 8b 45 01", 8, 13, NONE, 0, SEGMENT_DS, 1, false },
	{ 8, "65 2e 8b 00", 8, 0, NONE, 0, SEGMENT_GS, 0, false },
	{ 8, "2e 8b 00", 8, 0, NONE, 0, SEGMENT_DS, 0, false },
	{ 8, "a1 88 77 66 55 44 33 22 11", 8, NONE, NONE, 0, SEGMENT_DS, 0x1122334455667788,
	  false },
	{ 4, "65 a3 00 00 e0 fe", 4, NONE, NONE, 0, SEGMENT_GS, (int32_t)0xfee00000, false },
	{ 8, "64 f3 48 ab", 8, 7, NONE, 0, SEGMENT_ES, 0, false },
	{ 8, "d5 10 8b 00", 8, 16, NONE, 0, SEGMENT_DS, 0, false },
	{ 8, "d5 33 8b 44 00 08", 8, 24, 24, 0, SEGMENT_DS, 8, false },
	{ 8, "c4 a1 78 58 04 90", 8, 0, 10, 2, SEGMENT_DS, 0, false },
};

static void memory_operands(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(memory_cases); i++) {
		const struct memory_case *c = &memory_cases[i];
		uint8_t bytes[32];
		unsigned count = from_hex(c->hex, bytes);
		struct insn insn;

		assert_true(decode_insn(bytes, count, c->code_bytes, &insn));
		assert_int_equal(insn.bytes, count);
		if (!insn.memory.present || insn.address_bytes != c->address_bytes ||
		    insn.memory.base != c->base || insn.memory.index != c->index ||
		    insn.memory.scale != c->scale || insn.memory.segment != c->segment ||
		    insn.memory.displacement != c->displacement ||
		    insn.memory.rip_relative != c->rip_relative)
			fail_msg("%s: base %u index %u scale %u segment %d displacement %lld",
				 c->hex, insn.memory.base, insn.memory.index, insn.memory.scale,
				 (int)insn.memory.segment, (long long)insn.memory.displacement);
	}
}

/* --- system instructions ------------------------------------------------------------------- */

struct system_case {
	enum system_insn which;
	const char *hex; /* as short as it goes */
};

static const struct system_case system_cases[] = {
	{ SYSTEM_CPUID, "0f a2" },	{ SYSTEM_RDMSR, "0f 32" },
	{ SYSTEM_WRMSR, "0f 30" },	{ SYSTEM_XSETBV, "0f 01 d1" },
	{ SYSTEM_VMCALL, "0f 01 c1" },	{ SYSTEM_VMMCALL, "0f 01 d9" },
	{ SYSTEM_INVD, "0f 08" },	{ SYSTEM_CLTS, "0f 06" },
	{ SYSTEM_LMSW, "0f 01 f0" },	{ SYSTEM_LMSW, "0f 01 37" },
	{ SYSTEM_LMSW, "0f 01 77 10" }, { SYSTEM_SMSW, "0f 01 e0" },
	{ SYSTEM_MOV_CR, "0f 20 c0" },	{ SYSTEM_MOV_CR, "0f 22 18" },
	{ SYSTEM_IRET, "cf" },		{ SYSTEM_HLT, "f4" },
};

static void system_lengths(void **state)
{
	static const unsigned modes[3] = { 2, 4, 8 };

	(void)state;
	for (unsigned i = 0; i < 3 * ARRAY_COUNT(system_cases); i++) {
		const struct system_case *c = &system_cases[i / 3];
		uint8_t bytes[32];
		unsigned count = from_hex(c->hex, bytes);

		for (unsigned which = 0; which < SYSTEM_INSN_COUNT; which++)
			assert_int_equal(decode_system_length(bytes, count, modes[i % 3],
							      (enum system_insn)which),
					 which == (unsigned)c->which ? count : 0);
		for (unsigned fewer = 0; fewer < count; fewer++)
			assert_int_equal(decode_system_length(bytes, fewer, modes[i % 3], c->which),
					 0);
	}
}

static void system_prefixes(void **state)
{
	static const uint8_t many[17] = { 0x66, 0x67, 0x66, 0x67, 0x66, 0x67, 0x66, 0x67, 0x66,
					  0x67, 0x66, 0x67, 0x66, 0x0f, 0xa2, 0x0f, 0xa2 };
	static const uint8_t rex[] = { 0x48, 0x0f, 0xa2 };
	static const uint8_t iret[] = { 0x48, 0xcf };

	(void)state;
	assert_int_equal(decode_system_length(many, 17, 8, SYSTEM_CPUID), 15);
	assert_int_equal(decode_system_length(many, 14, 8, SYSTEM_CPUID), 0);
	assert_int_equal(decode_system_length(rex, 3, 8, SYSTEM_CPUID), 3);
	assert_int_equal(decode_system_length(rex, 3, 4, SYSTEM_CPUID), 0); /* DEC EAX */
	assert_int_equal(decode_system_length(iret, 2, 8, SYSTEM_IRET), 2);
	assert_int_equal(decode_system_length(many, 0, 8, SYSTEM_CPUID), 0);
}

/* The quick path and the full decoder agree whenever the quick one says something. */
static void system_length_is_decoded_length(void **state)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0x2e, 0x64, 0x41, 0x48, 0xf2, 0xf3 };

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		const struct system_case *c =
			&system_cases[random_below(ARRAY_COUNT(system_cases))];
		unsigned code_bytes = 2u << random_below(3), count = random_below(8);
		uint8_t bytes[64];
		struct insn insn;

		for (unsigned i = 0; i < count; i++)
			bytes[i] = prefixes[random_below(ARRAY_COUNT(prefixes))];
		count += from_hex(c->hex, bytes + count);
		if (decode_system_length(bytes, count, code_bytes, c->which) == 0)
			continue;
		assert_true(decode_insn(bytes, count, code_bytes, &insn));
		assert_int_equal(insn.bytes,
				 decode_system_length(bytes, count, code_bytes, c->which));
	}
}

static struct insn decoded(unsigned code_bytes, const char *hex)
{
	uint8_t bytes[32];
	unsigned count = from_hex(hex, bytes);
	struct insn insn;

	assert_true(decode_insn(bytes, count, code_bytes, &insn));
	return insn;
}

static void check_cr(unsigned code_bytes, const char *hex, enum cr_operation operation, unsigned cr,
		     unsigned gpr)
{
	struct insn insn = decoded(code_bytes, hex);
	struct cr_operands operands;

	assert_true(decode_cr_access(&insn, &operands));
	assert_int_equal(operands.operation, operation);
	assert_int_equal(operands.cr, cr);
	assert_int_equal(operands.gpr, gpr);
}

static void cr_accesses(void **state)
{
	struct cr_operands operands;
	struct insn insn;

	(void)state;
	check_cr(8, "0f 22 d8", CR_OPERATION_WRITE, 3, 0);
	check_cr(8, "41 0f 22 c7", CR_OPERATION_WRITE, 0, 15);
	check_cr(8, "0f 20 e1", CR_OPERATION_READ, 4, 1);
	check_cr(8, "44 0f 22 c1", CR_OPERATION_WRITE, 8, 1);
	check_cr(4, "f0 0f 20 c2", CR_OPERATION_READ, 8, 2);
	check_cr(4, "0f 01 f3", CR_OPERATION_LMSW, 0, 3);
	check_cr(4, "0f 01 e3", CR_OPERATION_SMSW, 0, 3);
	check_cr(4, "0f 06", CR_OPERATION_CLTS, 0, 0);
	insn = decoded(8, "0f 01 31");
	assert_true(decode_cr_access(&insn, &operands));
	assert_true(insn.memory.present);
	insn = decoded(8, "0f 01 d1");
	assert_false(decode_cr_access(&insn, &operands));
	insn = decoded(8, "0f 21 c0");
	assert_false(decode_cr_access(&insn, &operands));
	insn = decoded(8, "20 c0");
	assert_false(decode_cr_access(&insn, &operands));
}

/* --- stores -------------------------------------------------------------------------------- */

struct store_case {
	unsigned code_bytes;
	const char *hex;
	bool is_store;
	enum store_kind kind;
	unsigned bytes;
	unsigned reg;
	bool high_byte, repeat;
	uint64_t immediate;
};

static const struct store_case store_cases[] = {
	{ 8, "89 08", true, STORE_REGISTER, 4, 1, false, false, 0 },
	{ 8, "4c 89 38", true, STORE_REGISTER, 8, 15, false, false, 0 },
	{ 8, "66 89 08", true, STORE_REGISTER, 2, 1, false, false, 0 },
	{ 8, "88 20", true, STORE_REGISTER, 1, 0, true, false, 0 },
	{ 8, "40 88 20", true, STORE_REGISTER, 1, 4, false, false, 0 },
	{ 4, "88 38", true, STORE_REGISTER, 1, 3, true, false, 0 },
	{ 8, "44 88 20", true, STORE_REGISTER, 1, 12, false, false, 0 },
	{ 8, "d5 40 89 00", true, STORE_REGISTER, 4, 16, false, false, 0 },
	{ 2, "89 07", true, STORE_REGISTER, 2, 0, false, false, 0 },
	{ 8, "c7 00 fe ff ff ff", true, STORE_IMMEDIATE, 4, 0, false, false,
	  UINT64_C(0xfffffffffffffffe) },
	{ 8, "48 c7 00 01 00 00 80", true, STORE_IMMEDIATE, 8, 0, false, false,
	  UINT64_C(0xffffffff80000001) },
	{ 8, "c6 00 12", true, STORE_IMMEDIATE, 1, 0, false, false, 0x12 },
	{ 8, "66 c7 05 00 00 00 00 34 12", true, STORE_IMMEDIATE, 2, 0, false, false, 0x1234 },
	{ 8, "a3 b0 00 e0 fe 00 00 00 00", true, STORE_REGISTER, 4, 0, false, false, 0xfee000b0 },
	{ 4, "a2 b0 00 00 00", true, STORE_REGISTER, 1, 0, false, false, 0xb0 },
	{ 8, "87 0a", true, STORE_EXCHANGE, 4, 1, false, false, 0 },
	{ 8, "f0 87 0a", true, STORE_EXCHANGE, 4, 1, false, false, 0 },
	{ 8, "86 2a", true, STORE_EXCHANGE, 1, 1, true, false, 0 },
	{ 8, "f3 ab", true, STORE_STRING, 4, 0, false, true, 0 },
	{ 8, "48 ab", true, STORE_STRING, 8, 0, false, false, 0 },
	{ 4, "aa", true, STORE_STRING, 1, 0, false, false, 0 },
	/* no stores, or not simple ones */
	{ 8, "89 c8", false, 0, 0, 0, false, false, 0 },
	{ 8, "8b 08", false, 0, 0, 0, false, false, 0 },
	{ 8, "01 08", false, 0, 0, 0, false, false, 0 },
	{ 8, "a1 b0 00 e0 fe 00 00 00 00", false, 0, 0, 0, false, false, 0 },
	{ 8, "c7 f8 00 00 00 00", false, 0, 0, 0, false, false, 0 },
	{ 8, "c7 08 00 00 00 00", false, 0, 0, 0, false, false, 0 },
	{ 8, "f0 89 08", false, 0, 0, 0, false, false, 0 },
	{ 8, "0f c3 08", false, 0, 0, 0, false, false, 0 },
	{ 8, "0f 88 00 00 00 00", false, 0, 0, 0, false, false, 0 },
	{ 8, "c5 f8 29 00", false, 0, 0, 0, false, false, 0 },
	{ 8, "a5", false, 0, 0, 0, false, false, 0 },
	{ 8, "87 c8", false, 0, 0, 0, false, false, 0 },
};

static void stores(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(store_cases); i++) {
		const struct store_case *c = &store_cases[i];
		struct insn insn = decoded(c->code_bytes, c->hex);
		struct store store;

		if (decode_store(&insn, &store) != c->is_store)
			fail_msg("%s: a store?", c->hex);
		if (!c->is_store)
			continue;
		if (store.kind != c->kind || store.bytes != c->bytes || store.reg != c->reg ||
		    store.high_byte != c->high_byte || store.repeat != c->repeat)
			fail_msg("%s: kind %d bytes %u reg %u", c->hex, (int)store.kind,
				 store.bytes, store.reg);
		if (store.kind == STORE_IMMEDIATE)
			assert_int_equal(store.immediate, c->immediate);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths),
		cmocka_unit_test(too_few_bytes),
		cmocka_unit_test(memory_operands),
		cmocka_unit_test(system_lengths),
		cmocka_unit_test(system_prefixes),
		cmocka_unit_test(system_length_is_decoded_length),
		cmocka_unit_test(cr_accesses),
		cmocka_unit_test(stores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
