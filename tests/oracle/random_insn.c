/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/random_insn.h"

#include <string.h>

#include "arch/x86/bits.h"

static uint64_t state;

void random_insn_seed(uint64_t seed)
{
	state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static uint64_t random64(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned below(unsigned limit)
{
	return (unsigned)((random64() >> 33) % limit);
}

static unsigned legacy_prefixes(uint8_t *bytes, unsigned most)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66,
					    0x66, 0x67, 0x67, 0xf0, 0xf2, 0xf3 };
	unsigned count = below(most + 1);

	for (unsigned i = 0; i < count; i++)
		bytes[i] = prefixes[below(ARRAY_COUNT(prefixes))];
	return count;
}

static unsigned maybe_rex(unsigned code_bytes, uint8_t *bytes)
{
	if (code_bytes != 8 || below(2) == 0)
		return 0;
	bytes[0] = (uint8_t)(0x40 | below(16));
	return 1;
}

/* Escapes to the legacy maps, behind what may stand before them. */
static void legacy(unsigned code_bytes, uint8_t *bytes)
{
	unsigned at = legacy_prefixes(bytes, 2);

	at += maybe_rex(code_bytes, bytes + at);
	if (below(3) == 0)
		return;
	bytes[at] = 0x0f;
	if (below(3) == 0)
		bytes[at + 1] = below(2) == 0 ? 0x38 : 0x3a;
}

/* Prefixes that are #UD before VEX and its like are rare. */
static unsigned vector_prefixes(uint8_t *bytes)
{
	static const uint8_t harmless[] = { 0x67, 0x64, 0x2e };

	if (below(16) == 0)
		return legacy_prefixes(bytes, 1);
	if (below(4) != 0)
		return 0;
	bytes[0] = harmless[below(ARRAY_COUNT(harmless))];
	return 1;
}

/* Outside 64-bit mode the first byte behind C4, C5 and 62 must look like a register ModRM. */
static void vex(unsigned code_bytes, uint8_t *bytes)
{
	unsigned at = vector_prefixes(bytes);
	uint8_t high = code_bytes == 8 ? 0 : 0xc0;

	if (below(3) == 0) {
		bytes[at] = 0xc5;
		bytes[at + 1] |= high;
		return;
	}
	bytes[at] = 0xc4;
	bytes[at + 1] =
		(uint8_t)((bytes[at + 1] & 0xe0) | high | (1 + below(below(8) == 0 ? 7 : 3)));
	if (below(4) != 0)
		bytes[at + 2] |= 0x78; /* vvvv: no register */
}

static void evex(unsigned code_bytes, uint8_t *bytes)
{
	unsigned at = vector_prefixes(bytes);
	uint8_t high = code_bytes == 8 ? 0 : 0xc0;

	bytes[at] = 0x62;
	/* The APX bits are set every fourth time. */
	bytes[at + 1] =
		(uint8_t)((bytes[at + 1] & (below(4) == 0 ? 0xf8 : 0xf0)) | high | (1 + below(6)));
	if (below(4) != 0)
		bytes[at + 2] |= 4;
	if (below(2) == 0)
		bytes[at + 2] |= 0x78;
	if (below(2) == 0)
		bytes[at + 3] |= 8;
	if (below(2) == 0)
		bytes[at + 3] &= 0x6f; /* neither broadcast nor zeroing */
	if (below(2) == 0)
		bytes[at + 5] =
			(uint8_t)((bytes[at + 5] & 0x3f) | 0x40); /* a one-byte displacement */
}

/* Map 4: L and the mask must be zero or mean something else. */
static void promoted(uint8_t *bytes)
{
	bytes[0] = 0x62;
	bytes[1] = (uint8_t)((bytes[1] & 0xf8) | 4);
	bytes[2] = (uint8_t)((bytes[2] & 0xfc) | (below(2) == 0 ? 0 : below(4)));
	bytes[3] = (uint8_t)(8 | (below(2) == 0 ? 0x10 : 0) | (below(4) == 0 ? 4 : 0));
	if (below(2) == 0)
		bytes[2] |= 0x78;
}

static void rex2(uint8_t *bytes)
{
	unsigned at = legacy_prefixes(bytes, 1);

	bytes[at] = 0xd5;
}

static void xop(unsigned code_bytes, uint8_t *bytes)
{
	unsigned at = vector_prefixes(bytes);

	bytes[at] = 0x8f;
	bytes[at + 1] = (uint8_t)((bytes[at + 1] & 0xe0) | (8 + below(3)));
	if (code_bytes != 8)
		bytes[at + 1] |= 0xc0;
	bytes[at + 2] &= 0xfc;
}

void random_bytes(uint8_t bytes[15])
{
	uint64_t words[2] = { random64(), random64() };

	memcpy(bytes, words, 15);
}

void random_insn(unsigned code_bytes, uint8_t bytes[15])
{
	random_bytes(bytes);
	switch (below(16)) {
	case 0 ... 1:
		break;
	case 2 ... 8:
		legacy(code_bytes, bytes);
		break;
	case 9 ... 10:
		vex(code_bytes, bytes);
		break;
	case 11 ... 12:
		evex(code_bytes, bytes);
		break;
	case 13:
		if (code_bytes == 8)
			promoted(bytes);
		break;
	case 14:
		if (code_bytes == 8)
			rex2(bytes);
		break;
	case 15:
		xop(code_bytes, bytes);
		break;
	}
}
