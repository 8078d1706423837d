/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/emulate/forms.h"

#define ALU(name, base, digit, lock, undefined)                                        \
	{ name, 0, base, -1, BYTE, NONE, PLAIN, lock, lock, undefined },               \
		{ name, 0, base + 1, -1, FULL, NONE, PLAIN, lock, lock, undefined },   \
		{ name, 0, base + 2, -1, BYTE, NONE, PLAIN, false, false, undefined }, \
		{ name, 0, base + 3, -1, FULL, NONE, PLAIN, false, false, undefined }, \
		{ name, 0, 0x80, digit, BYTE, IMM8, PLAIN, lock, lock, undefined },    \
		{ name, 0, 0x81, digit, FULL, IMMZ, PLAIN, lock, lock, undefined },    \
	{                                                                              \
		name, 0, 0x83, digit, FULL, IMM8, PLAIN, lock, lock, undefined         \
	}

#define SHIFTS(name, digit)                                                  \
	{ name, 0, 0xc0, digit, BYTE, IMM8, SHIFT, false, true, 0 },         \
		{ name, 0, 0xc1, digit, FULL, IMM8, SHIFT, false, true, 0 }, \
		{ name, 0, 0xd0, digit, BYTE, NONE, SHIFT, false, true, 0 }, \
		{ name, 0, 0xd1, digit, FULL, NONE, SHIFT, false, true, 0 }, \
		{ name, 0, 0xd2, digit, BYTE, NONE, SHIFT, false, true, 0 }, \
	{                                                                    \
		name, 0, 0xd3, digit, FULL, NONE, SHIFT, false, true, 0      \
	}

#define BITTEST(name, opcode, digit, lock)                                   \
	{ name, 0x0f, opcode, -1, FULL, NONE, BIT, lock, lock, BITS },       \
	{                                                                    \
		name, 0x0f, 0xba, digit, FULL, IMM8, PLAIN, lock, lock, BITS \
	}

#define STRINGS(name, opcode)                                                \
	{ name, 0, opcode, -1, BYTE, NONE, STRING, false, false, 0 },        \
	{                                                                    \
		name, 0, opcode + 1, -1, FULL, NONE, STRING, false, false, 0 \
	}

#define PAIR_OF(name, map, opcode, digit, immediate, kind, lock, modifies, undefined)            \
	{ name, map, opcode, digit, BYTE, immediate, kind, lock, modifies, undefined },          \
	{                                                                                        \
		name, map, opcode + 1, digit, FULL, immediate == NONE ? NONE : IMMZ, kind, lock, \
			modifies, undefined                                                      \
	}

const struct form forms[] = {
	ALU("add", 0x00, 0, true, 0),
	ALU("or", 0x08, 1, true, LOGICAL),
	ALU("adc", 0x10, 2, true, 0),
	ALU("sbb", 0x18, 3, true, 0),
	ALU("and", 0x20, 4, true, LOGICAL),
	ALU("sub", 0x28, 5, true, 0),
	ALU("xor", 0x30, 6, true, LOGICAL),
	ALU("cmp", 0x38, 7, false, 0),
	PAIR_OF("test", 0, 0x84, -1, NONE, PLAIN, false, false, LOGICAL),
	PAIR_OF("xchg", 0, 0x86, -1, NONE, PLAIN, true, true, 0),
	PAIR_OF("mov-store", 0, 0x88, -1, NONE, PLAIN, false, false, 0),
	PAIR_OF("mov-load", 0, 0x8a, -1, NONE, PLAIN, false, false, 0),
	PAIR_OF("mov-offset-load", 0, 0xa0, -1, NONE, OFFSET, false, false, 0),
	PAIR_OF("mov-offset-store", 0, 0xa2, -1, NONE, OFFSET, false, false, 0),
	PAIR_OF("mov-immediate", 0, 0xc6, 0, IMM8, PLAIN, false, false, 0),
	{ "mov-selector", 0, 0x8c, -1, WORD, NONE, PLAIN, false, false, 0 },
	PAIR_OF("test-immediate", 0, 0xf6, 0, IMM8, PLAIN, false, false, LOGICAL),
	PAIR_OF("not", 0, 0xf6, 2, NONE, PLAIN, true, true, 0),
	PAIR_OF("neg", 0, 0xf6, 3, NONE, PLAIN, true, true, 0),
	PAIR_OF("inc", 0, 0xfe, 0, NONE, PLAIN, true, true, 0),
	PAIR_OF("dec", 0, 0xfe, 1, NONE, PLAIN, true, true, 0),
	SHIFTS("rol", 0),
	SHIFTS("ror", 1),
	SHIFTS("rcl", 2),
	SHIFTS("rcr", 3),
	SHIFTS("shl", 4),
	SHIFTS("shr", 5),
	SHIFTS("sal", 6),
	SHIFTS("sar", 7),
	{ "shld", 0x0f, 0xa4, -1, FULL, IMM8, DOUBLE, false, true, 0 },
	{ "shld", 0x0f, 0xa5, -1, FULL, NONE, DOUBLE, false, true, 0 },
	{ "shrd", 0x0f, 0xac, -1, FULL, IMM8, DOUBLE, false, true, 0 },
	{ "shrd", 0x0f, 0xad, -1, FULL, NONE, DOUBLE, false, true, 0 },
	BITTEST("bt", 0xa3, 4, false),
	BITTEST("bts", 0xab, 5, true),
	BITTEST("btr", 0xb3, 6, true),
	BITTEST("btc", 0xbb, 7, true),
	PAIR_OF("cmpxchg", 0x0f, 0xb0, -1, NONE, EXCHANGE, true, true, 0),
	PAIR_OF("xadd", 0x0f, 0xc0, -1, NONE, PLAIN, true, true, 0),
	{ "cmpxchg-pair", 0x0f, 0xc7, 1, FULL, NONE, PAIR, true, true, 0 },
	{ "movzx", 0x0f, 0xb6, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "movzx", 0x0f, 0xb7, -1, WORD, NONE, PLAIN, false, false, 0 },
	{ "movsx", 0x0f, 0xbe, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "movsx", 0x0f, 0xbf, -1, WORD, NONE, PLAIN, false, false, 0 },
	{ "movsxd", 0, 0x63, -1, DWORD, NONE, PLAIN, false, false, 0 },
	{ "cmovo", 0x0f, 0x40, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "cmovae", 0x0f, 0x43, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "cmovbe", 0x0f, 0x46, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "cmovg", 0x0f, 0x4f, -1, FULL, NONE, PLAIN, false, false, 0 },
	{ "setz", 0x0f, 0x94, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "sets", 0x0f, 0x98, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "setp", 0x0f, 0x9a, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "setl", 0x0f, 0x9c, -1, BYTE, NONE, PLAIN, false, false, 0 },
	{ "push", 0, 0xff, 6, FULL, NONE, PUSH, false, false, 0 },
	{ "pop", 0, 0x8f, 0, FULL, NONE, POP, false, false, 0 },
	STRINGS("movs", 0xa4),
	STRINGS("movs", 0xa4),
	STRINGS("cmps", 0xa6),
	STRINGS("cmps", 0xa6),
	STRINGS("stos", 0xaa),
	STRINGS("stos", 0xaa),
	STRINGS("lods", 0xac),
	STRINGS("scas", 0xae),
	STRINGS("scas", 0xae),
	STRINGS("ins", 0x6c),
	STRINGS("outs", 0x6e),
};

const uint32_t form_count = sizeof(forms) / sizeof(forms[0]);

_Static_assert(sizeof(forms) / sizeof(forms[0]) <= CASE_FORMS_MAX, "emulate.c counts them");
