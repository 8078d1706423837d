/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/every_insn.h"

#include <string.h>

#include "arch/x86/bits.h"
#include "tests/oracle/random_insn.h"

/* Digits of a number in a mixed base. */
static unsigned digit(unsigned *number, unsigned base)
{
	unsigned value = *number % base;

	*number /= base;
	return value;
}

/* A memory operand with a one-byte displacement, in one of four a register. */
static uint8_t with_operand(uint8_t random)
{
	return (random & 0xc0) == 0xc0 ? random : (uint8_t)((random & 0x3f) | 0x40);
}

static void legacy(unsigned number, unsigned *code_bytes, uint8_t *bytes)
{
	static const char prefixes[][3] = { "",	    "\x66", "\xf3",	"\xf2",
					    "\xf0", "\x48", "\x66\x48", "\xf3\x48" };
	static const char maps[][3] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };
	const char *prefix = prefixes[digit(&number, 8)], *map = maps[digit(&number, 4)];
	uint8_t opcode = (uint8_t)digit(&number, 256), reg = (uint8_t)digit(&number, 8);
	size_t at = strlen(prefix);

	*code_bytes = 2u << digit(&number, 3);
	memcpy(bytes, prefix, at);
	memcpy(bytes + at, map, strlen(map));
	at += strlen(map);
	bytes[at] = opcode;
	bytes[at + 1] = (uint8_t)((with_operand(bytes[at + 1]) & 0xc7) | reg << 3);
}

static void rex2(unsigned number, unsigned *code_bytes, uint8_t *bytes)
{
	*code_bytes = 8;
	bytes[0] = 0xd5;
	bytes[1] = (uint8_t)((bytes[1] & 0x77) | digit(&number, 2) << 7 | digit(&number, 2) << 3);
	bytes[2] = (uint8_t)digit(&number, 256);
	bytes[3] = with_operand(bytes[3]);
}

/* The first two bytes behind C4 and 8F. */
static void rxb_map(unsigned map, unsigned code_bytes, uint8_t *bytes)
{
	bytes[0] = (uint8_t)((bytes[0] & 0xe0) | (code_bytes == 8 ? 0 : 0xc0) | map);
}

static void vex(unsigned number, unsigned *code_bytes, uint8_t *bytes)
{
	unsigned map = 1 + digit(&number, 3);

	*code_bytes = digit(&number, 2) == 0 ? 8 : 4;
	bytes[0] = 0xc4;
	rxb_map(map, *code_bytes, bytes + 1);
	bytes[2] = (uint8_t)(0x78 | digit(&number, 4) | digit(&number, 2) << 2 |
			     digit(&number, 2) << 7);
	bytes[3] = (uint8_t)digit(&number, 256);
	bytes[4] = with_operand(bytes[4]);
}

static void xop(unsigned number, unsigned *code_bytes, uint8_t *bytes)
{
	unsigned map = 8 + digit(&number, 3);

	*code_bytes = digit(&number, 2) == 0 ? 8 : 4;
	bytes[0] = 0x8f;
	rxb_map(map, *code_bytes, bytes + 1);
	bytes[2] = (uint8_t)(0x78 | digit(&number, 2) << 2 | digit(&number, 2) << 7);
	bytes[3] = (uint8_t)digit(&number, 256);
	bytes[4] = with_operand(bytes[4]);
}

static void evex(unsigned number, unsigned *code_bytes, uint8_t *bytes)
{
	*code_bytes = 8;
	bytes[0] = 0x62;
	bytes[1] = (uint8_t)((bytes[1] & 0xf0) | (1 + digit(&number, 6)));
	bytes[2] = (uint8_t)(0x7c | digit(&number, 4) | digit(&number, 2) << 7);
	bytes[3] = (uint8_t)(0x08 | digit(&number, 2) << 4 | digit(&number, 3) << 5);
	bytes[4] = (uint8_t)digit(&number, 256);
	bytes[5] = with_operand(bytes[5]);
}

bool every_insn(unsigned number, unsigned *code_bytes, uint8_t bytes[15])
{
	static const struct {
		unsigned count;
		void (*make)(unsigned number, unsigned *code_bytes, uint8_t *bytes);
	} encodings[] = {
		{ 8 * 4 * 256 * 8 * 3, legacy },   { 2 * 2 * 256, rex2 },
		{ 3 * 2 * 4 * 2 * 2 * 256, vex },  { 3 * 2 * 2 * 2 * 256, xop },
		{ 6 * 4 * 2 * 2 * 3 * 256, evex },
	};

	random_bytes(bytes);
	for (unsigned i = 0; i < ARRAY_COUNT(encodings); i++) {
		if (number < encodings[i].count) {
			encodings[i].make(number, code_bytes, bytes);
			return true;
		}
		number -= encodings[i].count;
	}
	return false;
}
