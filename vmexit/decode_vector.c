/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode_vector.h"

#include <stddef.h>

/* Bytes of the operand; V is the vector length, 16 for the legacy encodings. */
enum vector_size {
	S_0, /* an address only, or as many bytes as a tile has */
	S_1,
	S_2,
	S_4,
	S_8,
	S_16,
	S_32,
	S_64,
	S_V,
	S_V2, /* V / 2 */
	S_V4,
	S_V8,
	S_W,	/* 8 with W, else 4 */
	S_R,	/* a general register: the same, but W counts in 64-bit mode only */
	S_VW,	/* V with W, else V / 2 */
	S_DUP,	/* 8 of 16, else V */
	S_KEY,	/* a handle of Key Locker: 48 or 64 */
	S_MASK, /* 8 or 2, behind 66 4 or 1: KMOV */
};

#define STORE	BIT32(0)
#define MODIFY	BIT32(1) /* reads and writes */
#define HALF	BIT32(2) /* broadcast elements of 2 bytes without W */
#define ELEMENT BIT32(3) /* a one-byte displacement counts elements: compress, expand */
#define BYTES	BIT32(4) /* a one-byte displacement counts bytes with EVEX as well */
#define VSIB	BIT32(5)
#define MASKED	BIT32(6) /* by a vector register */
#define TILE	BIT32(7)

/* Encodings and SIMD prefixes for which a row counts, as bits. */
#define L	BIT32(INSN_LEGACY)
#define V	BIT32(INSN_VEX)
#define E	BIT32(INSN_EVEX)
#define X	BIT32(INSN_XOP)
#define VE	(V | E)
#define LV	(L | V)
#define LVE	(L | V | E)
#define NP	BIT32(INSN_SIMD_NONE)
#define P66	BIT32(INSN_SIMD_66)
#define F3	BIT32(INSN_SIMD_F3)
#define F2	BIT32(INSN_SIMD_F2)
#define ANY	(NP | P66 | F3 | F2)

struct vector_rule {
	uint8_t first, last; /* opcodes */
	uint8_t encodings, simd;
	uint8_t size, flags;
};

/* clang-format off */

/* SDM: "Two-Byte Opcode Map" and each instruction's "Instruction Operand Encoding" (tuple type). */
static const struct vector_rule rules_0f[] = {
	{ 0x10, 0x10, LVE, NP | P66, S_V, 0 },		{ 0x10, 0x10, LVE, F3, S_4, 0 },
	{ 0x10, 0x10, LVE, F2, S_8, 0 },		{ 0x11, 0x11, LVE, NP | P66, S_V, STORE },
	{ 0x11, 0x11, LVE, F3, S_4, STORE },		{ 0x11, 0x11, LVE, F2, S_8, STORE },
	{ 0x12, 0x12, LVE, NP | P66, S_8, 0 },		{ 0x12, 0x12, LVE, F3, S_V, 0 },
	{ 0x12, 0x12, LVE, F2, S_DUP, 0 },		{ 0x13, 0x13, LVE, NP | P66, S_8, STORE },
	{ 0x14, 0x15, LVE, NP | P66, S_V, 0 },		{ 0x16, 0x16, LVE, NP | P66, S_8, 0 },
	{ 0x16, 0x16, LVE, F3, S_V, 0 },		{ 0x17, 0x17, LVE, NP | P66, S_8, STORE },
	{ 0x28, 0x28, LVE, NP | P66, S_V, 0 },		{ 0x29, 0x29, LVE, NP | P66, S_V, STORE },
	{ 0x2a, 0x2a, L, NP | P66, S_8, 0 },		{ 0x2a, 0x2a, LVE, F3 | F2, S_R, 0 },
	{ 0x2b, 0x2b, LVE, NP | P66, S_V, STORE },	{ 0x2b, 0x2b, L, F3, S_4, STORE },
	{ 0x2b, 0x2b, L, F2, S_8, STORE },		{ 0x2c, 0x2d, L, NP, S_8, 0 },
	{ 0x2c, 0x2d, L, P66, S_V, 0 },			{ 0x2c, 0x2d, LVE, F3, S_4, 0 },
	{ 0x2c, 0x2d, LVE, F2, S_8, 0 },		{ 0x2e, 0x2f, LVE, NP, S_4, 0 },
	{ 0x2e, 0x2f, LVE, P66, S_8, 0 },		{ 0x2e, 0x2f, E, F3, S_4, 0 },
	{ 0x2e, 0x2f, E, F2, S_8, 0 },			{ 0x51, 0x51, LVE, NP | P66, S_V, 0 },
	{ 0x51, 0x53, LVE, F3, S_4, 0 },		{ 0x51, 0x51, LVE, F2, S_8, 0 },
	{ 0x52, 0x53, LV, NP, S_V, 0 },			{ 0x54, 0x59, LVE, NP | P66, S_V, 0 },
	{ 0x58, 0x5a, LVE, F3, S_4, 0 },		{ 0x58, 0x5a, LVE, F2, S_8, 0 },
	{ 0x5a, 0x5a, LVE, NP, S_V2, 0 },		{ 0x5a, 0x5a, LVE, P66, S_V, 0 },
	{ 0x5b, 0x5b, LVE, NP | P66 | F3, S_V, 0 },	{ 0x5c, 0x5f, LVE, NP | P66, S_V, 0 },
	{ 0x5c, 0x5f, LVE, F3, S_4, 0 },		{ 0x5c, 0x5f, LVE, F2, S_8, 0 },
	{ 0x60, 0x62, L, NP, S_4, 0 },			{ 0x60, 0x6d, LVE, P66, S_V, 0 },
	{ 0x63, 0x6b, L, NP, S_8, 0 },			{ 0x6e, 0x6e, L, NP, S_R, 0 },
	{ 0x6e, 0x6e, LVE, P66, S_R, 0 },		{ 0x6f, 0x70, L, NP, S_8, 0 },
	{ 0x6f, 0x70, LVE, P66 | F3, S_V, 0 },		{ 0x6f, 0x6f, E, F2, S_V, 0 },
	{ 0x70, 0x70, LVE, F2, S_V, 0 },		{ 0x71, 0x73, E, P66, S_V, 0 },
	{ 0x74, 0x76, L, NP, S_8, 0 },			{ 0x74, 0x76, LVE, P66, S_V, 0 },
	{ 0x78, 0x79, E, NP, S_V, 0 },			{ 0x78, 0x7b, E, P66, S_VW, 0 },
	{ 0x78, 0x79, E, F3, S_4, 0 },			{ 0x78, 0x79, E, F2, S_8, 0 },
	{ 0x7a, 0x7a, E, F3, S_VW, 0 },			{ 0x7a, 0x7a, E, F2, S_V, 0 },
	{ 0x7b, 0x7b, E, F3 | F2, S_R, 0 },		{ 0x7c, 0x7d, LV, P66 | F2, S_V, 0 },
	{ 0x7e, 0x7e, L, NP, S_R, STORE },		{ 0x7e, 0x7e, LVE, P66, S_R, STORE },
	{ 0x7e, 0x7e, LV, F3, S_8, 0 },		{ 0x7e, 0x7e, E, F3, S_W, 0 },			{ 0x7f, 0x7f, L, NP, S_8, STORE },
	{ 0x7f, 0x7f, LVE, P66 | F3, S_V, STORE },	{ 0x7f, 0x7f, E, F2, S_V, STORE },
	{ 0x90, 0x90, VE, NP | P66, S_MASK, BYTES },	{ 0x91, 0x91, VE, NP | P66, S_MASK, STORE | BYTES },
	{ 0xc2, 0xc2, LVE, NP | P66, S_V, 0 },		{ 0xc2, 0xc2, LVE, F3, S_4, 0 },
	{ 0xc2, 0xc2, LVE, F2, S_8, 0 },		{ 0xc4, 0xc4, L, NP, S_2, 0 },
	{ 0xc4, 0xc4, LVE, P66, S_2, 0 },		{ 0xc6, 0xc6, LVE, NP | P66, S_V, 0 },
	{ 0xd0, 0xd0, LV, P66 | F2, S_V, 0 },		{ 0xd1, 0xd5, L, NP, S_8, 0 },
	{ 0xd1, 0xd3, LVE, P66, S_16, 0 },		{ 0xd4, 0xd5, LVE, P66, S_V, 0 },
	{ 0xd6, 0xd6, LV, P66, S_8, STORE },		{ 0xd6, 0xd6, E, P66, S_W, STORE },		{ 0xd8, 0xe5, L, NP, S_8, 0 },
	{ 0xd8, 0xe0, LVE, P66, S_V, 0 },		{ 0xe1, 0xe2, LVE, P66, S_16, 0 },
	{ 0xe3, 0xe6, LVE, P66, S_V, 0 },		{ 0xe6, 0xe6, LV, F3, S_V2, 0 },
	{ 0xe6, 0xe6, E, F3, S_VW, 0 },			{ 0xe6, 0xe6, LVE, F2, S_V, 0 },
	{ 0xe7, 0xe7, L, NP, S_8, STORE },		{ 0xe7, 0xe7, LVE, P66, S_V, STORE },
	{ 0xe8, 0xef, L, NP, S_8, 0 },			{ 0xe8, 0xef, LVE, P66, S_V, 0 },
	{ 0xf0, 0xf0, LV, F2, S_V, 0 },			{ 0xf1, 0xf6, L, NP, S_8, 0 },
	{ 0xf1, 0xf3, LVE, P66, S_16, 0 },		{ 0xf4, 0xf6, LVE, P66, S_V, 0 },
	{ 0xf8, 0xfe, L, NP, S_8, 0 },			{ 0xf8, 0xfe, LVE, P66, S_V, 0 },
};

/* SDM: "Three-Byte Opcode Map: 08H-FFH (First Two Bytes are 0F 38H)". */
static const struct vector_rule rules_0f38[] = {
	{ 0x00, 0x0b, L, NP, S_8, 0 },			{ 0x00, 0x0b, LVE, P66, S_V, 0 },
	{ 0x0c, 0x0f, VE, P66, S_V, 0 },		{ 0x10, 0x10, L, P66, S_V, 0 },
	{ 0x10, 0x12, E, P66, S_V, 0 },			{ 0x13, 0x13, VE, P66, S_V2, 0 },
	{ 0x14, 0x15, L | E, P66, S_V, 0 },		{ 0x16, 0x16, VE, P66, S_V, 0 },
	{ 0x17, 0x17, LV, P66, S_V, 0 },		{ 0x10, 0x10, E, F3, S_V2, STORE },
	{ 0x11, 0x11, E, F3, S_V4, STORE },		{ 0x12, 0x12, E, F3, S_V8, STORE },
	{ 0x13, 0x13, E, F3, S_V2, STORE },		{ 0x14, 0x14, E, F3, S_V4, STORE },
	{ 0x15, 0x15, E, F3, S_V2, STORE },		{ 0x18, 0x18, VE, P66, S_4, 0 },
	{ 0x19, 0x19, VE, P66, S_8, 0 },		{ 0x1a, 0x1a, VE, P66, S_16, 0 },
	{ 0x1b, 0x1b, E, P66, S_32, 0 },		{ 0x1c, 0x1e, L, NP, S_8, 0 },
	{ 0x1c, 0x1f, LVE, P66, S_V, 0 },		{ 0x20, 0x20, LVE, P66, S_V2, 0 },
	{ 0x21, 0x21, LVE, P66, S_V4, 0 },		{ 0x22, 0x22, LVE, P66, S_V8, 0 },
	{ 0x23, 0x23, LVE, P66, S_V2, 0 },		{ 0x24, 0x24, LVE, P66, S_V4, 0 },
	{ 0x25, 0x25, LVE, P66, S_V2, 0 },		{ 0x20, 0x20, E, F3, S_V2, STORE },
	{ 0x21, 0x21, E, F3, S_V4, STORE },		{ 0x22, 0x22, E, F3, S_V8, STORE },
	{ 0x23, 0x23, E, F3, S_V2, STORE },		{ 0x24, 0x24, E, F3, S_V4, STORE },
	{ 0x25, 0x25, E, F3, S_V2, STORE },		{ 0x26, 0x27, E, P66 | F3, S_V, 0 },
	{ 0x28, 0x2b, LVE, P66, S_V, 0 },		{ 0x2c, 0x2d, V, P66, S_V, MASKED },
	{ 0x2c, 0x2c, E, P66, S_V, 0 },			{ 0x2d, 0x2d, E, P66, S_W, 0 },
	{ 0x2e, 0x2f, V, P66, S_V, STORE | MASKED },	{ 0x30, 0x30, LVE, P66, S_V2, 0 },
	{ 0x31, 0x31, LVE, P66, S_V4, 0 },		{ 0x32, 0x32, LVE, P66, S_V8, 0 },
	{ 0x33, 0x33, LVE, P66, S_V2, 0 },		{ 0x34, 0x34, LVE, P66, S_V4, 0 },
	{ 0x35, 0x35, LVE, P66, S_V2, 0 },		{ 0x30, 0x30, E, F3, S_V2, STORE },
	{ 0x31, 0x31, E, F3, S_V4, STORE },		{ 0x32, 0x32, E, F3, S_V8, STORE },
	{ 0x33, 0x33, E, F3, S_V2, STORE },		{ 0x34, 0x34, E, F3, S_V4, STORE },
	{ 0x35, 0x35, E, F3, S_V2, STORE },		{ 0x36, 0x36, VE, P66, S_V, 0 },
	{ 0x37, 0x40, LVE, P66, S_V, 0 },		{ 0x41, 0x41, LV, P66, S_V, 0 },
	{ 0x42, 0x42, E, P66, S_V, 0 },			{ 0x43, 0x43, E, P66, S_W, 0 },
	{ 0x44, 0x44, E, P66, S_V, 0 },			{ 0x45, 0x47, VE, P66, S_V, 0 },
	{ 0x49, 0x49, VE, NP, S_64, BYTES },		{ 0x49, 0x49, VE, P66, S_64, STORE | BYTES },
	{ 0x4a, 0x4b, VE, P66 | F2, S_0, TILE | BYTES },{ 0x4b, 0x4b, VE, F3, S_0, TILE | STORE | BYTES },
	{ 0x4c, 0x4c, E, P66, S_V, 0 },			{ 0x4d, 0x4d, E, P66, S_W, 0 },
	{ 0x4e, 0x4e, E, P66, S_V, 0 },			{ 0x4f, 0x4f, E, P66, S_W, 0 },
	{ 0x50, 0x51, VE, ANY, S_V, 0 },		{ 0x52, 0x52, VE, NP | P66 | F3, S_V, 0 },
	{ 0x53, 0x53, VE, P66, S_V, 0 },		{ 0x52, 0x53, E, F2, S_16, 0 },
	{ 0x54, 0x55, E, P66, S_V, 0 },			{ 0x58, 0x58, VE, P66, S_4, 0 },
	{ 0x59, 0x59, VE, P66, S_8, 0 },		{ 0x5a, 0x5a, VE, P66, S_16, 0 },
	{ 0x5b, 0x5b, E, P66, S_32, 0 },		{ 0x62, 0x62, E, P66, S_V, ELEMENT | HALF },
	{ 0x63, 0x63, E, P66, S_V, STORE | ELEMENT | HALF },
	{ 0x64, 0x67, E, P66, S_V, 0 },			{ 0x68, 0x68, E, F2, S_V, 0 },
	{ 0x6e, 0x6f, VE, NP | P66, S_0, TILE | BYTES },
	{ 0x70, 0x73, E, P66, S_V, 0 },			{ 0x72, 0x72, VE, F3 | F2, S_V, 0 },
	{ 0x74, 0x74, E, NP | F3 | F2, S_V, HALF },	{ 0x75, 0x77, E, P66, S_V, 0 },
	{ 0x78, 0x78, VE, P66, S_1, 0 },		{ 0x79, 0x79, VE, P66, S_2, 0 },
	{ 0x7d, 0x7f, E, P66, S_V, 0 },			{ 0x83, 0x83, E, P66, S_V, 0 },
	{ 0x88, 0x89, E, P66, S_V, ELEMENT },		{ 0x8a, 0x8b, E, P66, S_V, STORE | ELEMENT },
	{ 0x8c, 0x8c, V, P66, S_V, MASKED },		{ 0x8d, 0x8d, E, P66, S_V, 0 },
	{ 0x8e, 0x8e, V, P66, S_V, STORE | MASKED },	{ 0x8f, 0x8f, E, P66, S_V, 0 },
	{ 0x90, 0x93, VE, P66, S_W, VSIB | MASKED },	{ 0x96, 0x98, VE, P66, S_V, 0 },
	{ 0x99, 0x99, VE, P66, S_W, 0 },		{ 0x9a, 0x9a, VE, P66, S_V, 0 },
	{ 0x9a, 0x9b, E, F2, S_16, 0 },			{ 0x9b, 0x9b, VE, P66, S_W, 0 },
	{ 0x9c, 0x9c, VE, P66, S_V, 0 },		{ 0x9d, 0x9d, VE, P66, S_W, 0 },
	{ 0x9e, 0x9e, VE, P66, S_V, 0 },		{ 0x9f, 0x9f, VE, P66, S_W, 0 },
	{ 0xa0, 0xa3, E, P66, S_W, STORE | VSIB | MASKED },
	{ 0xa6, 0xa8, VE, P66, S_V, 0 },		{ 0xa9, 0xa9, VE, P66, S_W, 0 },
	{ 0xaa, 0xaa, VE, P66, S_V, 0 },		{ 0xaa, 0xab, E, F2, S_16, 0 },
	{ 0xab, 0xab, VE, P66, S_W, 0 },		{ 0xac, 0xac, VE, P66, S_V, 0 },
	{ 0xad, 0xad, VE, P66, S_W, 0 },		{ 0xae, 0xae, VE, P66, S_V, 0 },
	{ 0xaf, 0xaf, VE, P66, S_W, 0 },		{ 0xb0, 0xb0, V, ANY, S_V, 0 },
	{ 0xb1, 0xb1, V, P66 | F3, S_2, 0 },		{ 0xb4, 0xb8, VE, P66, S_V, 0 },
	{ 0xb9, 0xb9, VE, P66, S_W, 0 },		{ 0xba, 0xba, VE, P66, S_V, 0 },
	{ 0xbb, 0xbb, VE, P66, S_W, 0 },		{ 0xbc, 0xbc, VE, P66, S_V, 0 },
	{ 0xbd, 0xbd, VE, P66, S_W, 0 },		{ 0xbe, 0xbe, VE, P66, S_V, 0 },
	{ 0xbf, 0xbf, VE, P66, S_W, 0 },		{ 0xc4, 0xc4, E, P66, S_V, 0 },
	{ 0xc8, 0xcd, L, NP, S_V, 0 },			{ 0xc8, 0xc8, E, P66, S_V, 0 },
	{ 0xca, 0xca, E, P66, S_V, 0 },			{ 0xcb, 0xcb, E, P66, S_W, 0 },
	{ 0xcc, 0xcc, E, P66, S_V, 0 },			{ 0xcd, 0xcd, E, P66, S_W, 0 },
	{ 0xcf, 0xcf, LVE, P66, S_V, 0 },		{ 0xd2, 0xd3, VE, NP | P66 | F3, S_V, 0 },
	{ 0xda, 0xda, VE, ANY, S_V, 0 },		{ 0xdb, 0xdb, LV, P66, S_V, 0 },
	{ 0xdc, 0xdf, LVE, P66, S_V, 0 },		{ 0xd8, 0xd8, L, F3, S_KEY, 0 },
	{ 0xdc, 0xdf, L, F3, S_KEY, 0 },		{ 0xe0, 0xef, VE, P66, S_R, MODIFY | BYTES },
	{ 0xf2, 0xf3, VE, NP, S_R, BYTES },		{ 0xf5, 0xf5, VE, NP | F3 | F2, S_R, BYTES },
	{ 0xf6, 0xf6, VE, F2, S_R, BYTES },		{ 0xf7, 0xf7, VE, ANY, S_R, BYTES },
};

/* SDM: "Three-Byte Opcode Map: 00H-FFH (First two bytes are 0F 3AH)". */
static const struct vector_rule rules_0f3a[] = {
	{ 0x00, 0x01, VE, P66, S_V, 0 },		{ 0x02, 0x02, V, P66, S_V, 0 },
	{ 0x03, 0x03, E, P66, S_V, 0 },			{ 0x04, 0x05, VE, P66, S_V, 0 },
	{ 0x06, 0x06, V, P66, S_V, 0 },			{ 0x08, 0x09, LVE, P66, S_V, 0 },
	{ 0x08, 0x08, E, NP | F2, S_V, HALF },		{ 0x0a, 0x0a, LVE, P66, S_4, 0 },
	{ 0x0a, 0x0a, E, NP, S_2, 0 },			{ 0x0b, 0x0b, LVE, P66, S_8, 0 },
	{ 0x0c, 0x0f, LVE, P66, S_V, 0 },		{ 0x0f, 0x0f, L, NP, S_8, 0 },
	{ 0x14, 0x14, LVE, P66, S_1, STORE },		{ 0x15, 0x15, LVE, P66, S_2, STORE },
	{ 0x16, 0x16, LVE, P66, S_R, STORE },		{ 0x17, 0x17, LVE, P66, S_4, STORE },
	{ 0x18, 0x18, VE, P66, S_16, 0 },		{ 0x19, 0x19, VE, P66, S_16, STORE },
	{ 0x1a, 0x1a, E, P66, S_32, 0 },		{ 0x1b, 0x1b, E, P66, S_32, STORE },
	{ 0x1d, 0x1d, VE, P66, S_V2, STORE },		{ 0x1e, 0x1f, E, P66, S_V, 0 },
	{ 0x20, 0x20, LVE, P66, S_1, 0 },		{ 0x21, 0x21, LVE, P66, S_4, 0 },
	{ 0x22, 0x22, LVE, P66, S_R, 0 },		{ 0x23, 0x23, E, P66, S_V, 0 },
	{ 0x25, 0x26, E, P66, S_V, 0 },			{ 0x26, 0x26, E, NP | F2, S_V, HALF },
	{ 0x27, 0x27, E, P66, S_W, 0 },			{ 0x27, 0x27, E, NP, S_2, 0 },
	{ 0x38, 0x38, VE, P66, S_16, 0 },		{ 0x39, 0x39, VE, P66, S_16, STORE },
	{ 0x3a, 0x3a, E, P66, S_32, 0 },		{ 0x3b, 0x3b, E, P66, S_32, STORE },
	{ 0x3e, 0x3f, E, P66, S_V, 0 },			{ 0x40, 0x41, LV, P66, S_V, 0 },
	{ 0x42, 0x42, LVE, P66, S_V, 0 },		{ 0x42, 0x42, E, F3, S_V, 0 },
	{ 0x43, 0x43, E, P66, S_V, 0 },			{ 0x44, 0x44, LVE, P66, S_V, 0 },
	{ 0x46, 0x46, V, P66, S_V, 0 },			{ 0x48, 0x4c, V, P66, S_V, 0 },
	{ 0x50, 0x50, E, P66, S_V, 0 },			{ 0x51, 0x51, E, P66, S_W, 0 },
	{ 0x52, 0x52, E, P66, S_V, 0 },			{ 0x52, 0x52, E, NP | F2, S_V, HALF },
	{ 0x53, 0x53, E, P66, S_W, 0 },			{ 0x53, 0x53, E, NP, S_2, 0 },
	{ 0x54, 0x54, E, P66, S_V, 0 },			{ 0x55, 0x55, E, P66, S_W, 0 },
	{ 0x56, 0x56, E, P66, S_V, 0 },			{ 0x56, 0x56, E, NP | F2, S_V, HALF },
	{ 0x57, 0x57, E, P66, S_W, 0 },			{ 0x57, 0x57, E, NP, S_2, 0 },
	{ 0x5c, 0x5f, V, P66, S_V, 0 },			{ 0x60, 0x63, LV, P66, S_16, 0 },
	{ 0x66, 0x66, E, P66, S_V, 0 },			{ 0x66, 0x66, E, NP | F2, S_V, HALF },
	{ 0x67, 0x67, E, P66, S_W, 0 },			{ 0x67, 0x67, E, NP, S_2, 0 },
	{ 0x68, 0x69, V, P66, S_V, 0 },			{ 0x6a, 0x6a, V, P66, S_4, 0 },
	{ 0x6b, 0x6b, V, P66, S_8, 0 },			{ 0x6c, 0x6d, V, P66, S_V, 0 },
	{ 0x6e, 0x6e, V, P66, S_4, 0 },			{ 0x6f, 0x6f, V, P66, S_8, 0 },
	{ 0x70, 0x73, E, P66, S_V, 0 },			{ 0x78, 0x79, V, P66, S_V, 0 },
	{ 0x7a, 0x7a, V, P66, S_4, 0 },			{ 0x7b, 0x7b, V, P66, S_8, 0 },
	{ 0x7c, 0x7d, V, P66, S_V, 0 },			{ 0x7e, 0x7e, V, P66, S_4, 0 },
	{ 0x7f, 0x7f, V, P66, S_8, 0 },			{ 0xc2, 0xc2, E, NP | F2, S_V, HALF },
	{ 0xc2, 0xc2, E, F3, S_2, 0 },			{ 0xcc, 0xcc, L, NP, S_V, 0 },
	{ 0xce, 0xcf, LVE, P66, S_V, 0 },		{ 0xde, 0xde, V, P66, S_V, 0 },
	{ 0xdf, 0xdf, LV, P66, S_V, 0 },		{ 0xf0, 0xf0, VE, F2, S_R, BYTES },
};

/* Intel AVX512-FP16 and AVX10.2 specifications: maps 5 and 6. */
static const struct vector_rule rules_map5[] = {
	{ 0x10, 0x10, E, F3, S_2, 0 },			{ 0x11, 0x11, E, F3, S_2, STORE },
	{ 0x18, 0x18, E, NP | F3 | F2, S_V, HALF },	{ 0x1b, 0x1b, E, NP | F3 | F2, S_V, HALF },
	{ 0x1d, 0x1d, E, NP, S_4, 0 },			{ 0x1d, 0x1d, E, P66, S_V, 0 },
	{ 0x1e, 0x1e, E, F2, S_V2, 0 },			{ 0x2a, 0x2a, E, F3, S_R, 0 },
	{ 0x2c, 0x2d, E, F3, S_2, 0 },			{ 0x2e, 0x2f, E, NP | F3, S_2, 0 },
	{ 0x2f, 0x2f, E, P66, S_2, 0 },			{ 0x51, 0x51, E, NP | P66, S_V, HALF },
	{ 0x51, 0x51, E, F3, S_2, 0 },			{ 0x58, 0x59, E, NP | P66, S_V, HALF },
	{ 0x58, 0x5a, E, F3, S_2, 0 },			{ 0x5a, 0x5a, E, NP, S_V4, HALF },
	{ 0x5a, 0x5a, E, P66, S_V, 0 },			{ 0x5a, 0x5a, E, F2, S_8, 0 },
	{ 0x5b, 0x5b, E, NP, S_V, 0 },			{ 0x5b, 0x5b, E, P66 | F3, S_V2, HALF },
	{ 0x5c, 0x5f, E, NP | P66, S_V, HALF },		{ 0x5c, 0x5f, E, F3, S_2, 0 },
	{ 0x68, 0x6b, E, NP | F2, S_V, HALF },		{ 0x68, 0x6b, E, P66, S_V, 0 },
	{ 0x6c, 0x6d, E, NP, S_V, 0 },			{ 0x6c, 0x6d, E, P66, S_VW, 0 },
	{ 0x6c, 0x6d, E, F3, S_4, 0 },			{ 0x6c, 0x6d, E, F2, S_8, 0 },
	{ 0x6e, 0x6e, E, P66 | F3, S_2, 0 },		{ 0x6f, 0x6f, E, F3 | F2, S_V, 0 },
	{ 0x74, 0x74, E, NP | F3 | F2, S_V, HALF },	{ 0x78, 0x79, E, NP, S_V2, HALF },
	{ 0x78, 0x7b, E, P66, S_V4, HALF },		{ 0x78, 0x79, E, F3, S_2, 0 },
	{ 0x7a, 0x7a, E, F2, S_V, 0 },			{ 0x7b, 0x7b, E, F3, S_R, 0 },
	{ 0x7c, 0x7c, E, NP | P66, S_V, HALF },		{ 0x7d, 0x7d, E, ANY, S_V, HALF },
	{ 0x7e, 0x7e, E, P66 | F3, S_2, STORE },		{ 0xf8, 0xf9, VE, NP | P66, S_0, TILE | BYTES },
};

static const struct vector_rule rules_map6[] = {
	{ 0x13, 0x13, E, NP, S_2, 0 },			{ 0x13, 0x13, E, P66, S_V2, HALF },
	{ 0x2c, 0x2c, E, NP | P66, S_V, HALF },		{ 0x2d, 0x2d, E, P66, S_2, 0 },
	{ 0x42, 0x42, E, NP | P66, S_V, HALF },		{ 0x43, 0x43, E, P66, S_2, 0 },
	{ 0x4c, 0x4c, E, NP | P66, S_V, HALF },		{ 0x4d, 0x4d, E, P66, S_2, 0 },
	{ 0x4e, 0x4e, E, NP | P66, S_V, HALF },		{ 0x4f, 0x4f, E, P66, S_2, 0 },
	{ 0x56, 0x56, E, F3 | F2, S_V, 0 },		{ 0x57, 0x57, E, F3 | F2, S_4, 0 },
	{ 0x96, 0x98, E, NP | P66, S_V, HALF },		{ 0x99, 0x99, E, P66, S_2, 0 },
	{ 0x9a, 0x9a, E, NP | P66, S_V, HALF },		{ 0x9b, 0x9b, E, P66, S_2, 0 },
	{ 0x9c, 0x9c, E, NP | P66, S_V, HALF },		{ 0x9d, 0x9d, E, P66, S_2, 0 },
	{ 0x9e, 0x9e, E, NP | P66, S_V, HALF },		{ 0x9f, 0x9f, E, P66, S_2, 0 },
	{ 0xa6, 0xa8, E, NP | P66, S_V, HALF },		{ 0xa9, 0xa9, E, P66, S_2, 0 },
	{ 0xaa, 0xaa, E, NP | P66, S_V, HALF },		{ 0xab, 0xab, E, P66, S_2, 0 },
	{ 0xac, 0xac, E, NP | P66, S_V, HALF },		{ 0xad, 0xad, E, P66, S_2, 0 },
	{ 0xae, 0xae, E, NP | P66, S_V, HALF },		{ 0xaf, 0xaf, E, P66, S_2, 0 },
	{ 0xb6, 0xb8, E, NP | P66, S_V, HALF },		{ 0xb9, 0xb9, E, P66, S_2, 0 },
	{ 0xba, 0xba, E, NP | P66, S_V, HALF },		{ 0xbb, 0xbb, E, P66, S_2, 0 },
	{ 0xbc, 0xbc, E, NP | P66, S_V, HALF },		{ 0xbd, 0xbd, E, P66, S_2, 0 },
	{ 0xbe, 0xbe, E, NP | P66, S_V, HALF },		{ 0xbf, 0xbf, E, P66, S_2, 0 },
	{ 0xd6, 0xd6, E, F3 | F2, S_V, 0 },		{ 0xd7, 0xd7, E, F3 | F2, S_4, 0 },
};

/* APM volumes 3, 4 and 6: XOP and TBM. LWP is left out: it has memory of its own. */
static const struct vector_rule rules_xop8[] = {
	{ 0x85, 0xcf, X, NP, S_V, 0 },			{ 0xec, 0xef, X, NP, S_V, 0 },
};

static const struct vector_rule rules_xop9[] = {
	{ 0x01, 0x02, X, NP, S_R, 0 },			{ 0x80, 0x81, X, NP, S_V, 0 },
	{ 0x82, 0x82, X, NP, S_4, 0 },			{ 0x83, 0x83, X, NP, S_8, 0 },
	{ 0x90, 0xe3, X, NP, S_V, 0 },
};

static const struct vector_rule rules_xopa[] = {
	{ 0x10, 0x10, X, NP, S_R, 0 },
};

/* clang-format on */

struct rule_set {
	const struct vector_rule *rules;
	unsigned count;
};

#define RULE_SET(rules)                     \
	{                                   \
		rules, ARRAY_COUNT((rules)) \
	}

static const struct rule_set rule_sets[] = {
	[INSN_MAP_0F] = RULE_SET(rules_0f),	[INSN_MAP_0F38] = RULE_SET(rules_0f38),
	[INSN_MAP_0F3A] = RULE_SET(rules_0f3a), [INSN_MAP_5] = RULE_SET(rules_map5),
	[INSN_MAP_6] = RULE_SET(rules_map6),	[INSN_MAP_XOP8] = RULE_SET(rules_xop8),
	[INSN_MAP_XOP9] = RULE_SET(rules_xop9), [INSN_MAP_XOPA] = RULE_SET(rules_xopa),
};

static const struct vector_rule *find_rule(const struct insn *insn)
{
	/* REX2 carries map 0F as it is. */
	uint32_t encoding = BIT32(insn->encoding == INSN_REX2 ? (unsigned)INSN_LEGACY
							      : (unsigned)insn->encoding);
	const struct rule_set *set = &rule_sets[insn->map];
	unsigned i;

	for (i = 0; i < set->count; i++) {
		const struct vector_rule *rule = &set->rules[i];

		if (insn->opcode >= rule->first && insn->opcode <= rule->last &&
		    (rule->encodings & encoding) != 0 && (rule->simd & BIT32(insn->simd)) != 0)
			return rule;
	}
	return NULL;
}

static unsigned fixed_or_vector_bytes(enum vector_size size, unsigned vector_bytes)
{
	switch (size) {
	case S_0:
		return 0;
	case S_1:
	case S_2:
	case S_4:
	case S_8:
	case S_16:
	case S_32:
	case S_64:
		return 1u << (size - S_1);
	case S_V2:
		return vector_bytes / 2;
	case S_V4:
		return vector_bytes / 4;
	case S_V8:
		return vector_bytes / 8;
	case S_DUP:
		return vector_bytes == 16 ? 8 : vector_bytes;
	default:
		return vector_bytes;
	}
}

static unsigned operand_bytes(const struct insn *insn, enum vector_size size)
{
	unsigned vector_bytes = insn->encoding == INSN_LEGACY || insn->encoding == INSN_REX2
					? 16
					: insn->vector_bytes;

	switch (size) {
	case S_W:
		return insn->w ? 8 : 4;
	case S_R:
		return insn->w && insn->code_bytes == 8 ? 8 : 4;
	case S_VW:
		return insn->w ? vector_bytes : vector_bytes / 2;
	case S_KEY:
		return ((insn->opcode == 0xd8 ? insn->reg : insn->opcode) & 2) != 0 ? 64 : 48;
	case S_MASK:
		return (insn->simd == INSN_SIMD_66 ? 1u : 2u) << (insn->w ? 2 : 0);
	default:
		return fixed_or_vector_bytes(size, vector_bytes);
	}
}

static unsigned element_bytes(const struct insn *insn, const struct vector_rule *rule)
{
	if ((rule->flags & (HALF | ELEMENT)) == (HALF | ELEMENT))
		return insn->w ? 2 : 1;
	if ((rule->flags & HALF) != 0 && !insn->w)
		return 2;
	return insn->w ? 8 : 4;
}

/* SDM: "Compressed Displacement (disp8*N) Support in EVEX". */
static void scale_displacement(const struct insn *insn, const struct vector_rule *rule,
			       struct insn_operand *operand)
{
	if (insn->encoding != INSN_EVEX || insn->mod != 1 || (rule->flags & BYTES) != 0)
		return;
	operand->memory.displacement *=
		(rule->flags & ELEMENT) != 0 ? element_bytes(insn, rule) : operand->bytes;
}

/* SDM: "Vector SIB (VSIB) Memory Addressing": all 32 vector registers, also the one whose number means none elsewhere. */
static void take_vector_index(const struct insn *insn, struct insn_memory *memory)
{
	uint8_t index = memory->index == INSN_NO_REGISTER ? 4 : memory->index & 15;

	memory->index_kind = INSN_INDEX_VECTOR;
	memory->index = insn->encoding == INSN_EVEX ? index | (insn->vvvv & 16) : index;
}

/* LDMXCSR and STMXCSR. */
static bool vex_mxcsr(const struct insn *insn, struct insn_operand *operand)
{
	uint8_t member = insn->reg & 7;

	operand->bytes = 4;
	operand->reads = member == 2;
	operand->writes = member == 3;
	return member == 2 || member == 3;
}

static void apply_rule(const struct insn *insn, const struct vector_rule *rule,
		       struct insn_operand *operand)
{
	bool is_broadcast = insn->encoding == INSN_EVEX && insn->evex_b;

	operand->bytes =
		(uint16_t)(is_broadcast ? element_bytes(insn, rule)
					: operand_bytes(insn, (enum vector_size)rule->size));
	operand->writes = (rule->flags & (STORE | MODIFY)) != 0;
	operand->reads = (rule->flags & STORE) == 0;
	operand->partial = insn->opmask != 0 || (rule->flags & MASKED) != 0;
	scale_displacement(insn, rule, operand);
	if ((rule->flags & VSIB) != 0)
		take_vector_index(insn, &operand->memory);
	if ((rule->flags & TILE) != 0)
		operand->memory.index_kind = INSN_INDEX_TILE;
}

static bool is_gather_prefetch(const struct insn *insn)
{
	return insn->encoding == INSN_EVEX && insn->map == INSN_MAP_0F38 &&
	       (insn->opcode == 0xc6 || insn->opcode == 0xc7);
}

bool decode_vector_operand(const struct insn *insn, struct insn_operand *operand)
{
	const struct vector_rule *rule;

	if (insn->map >= ARRAY_COUNT(rule_sets))
		return false;
	if (insn->encoding == INSN_VEX && insn->map == INSN_MAP_0F && insn->opcode == 0xae)
		return vex_mxcsr(insn, operand);
	if (is_gather_prefetch(insn)) {
		operand->memory.displacement *= insn->mod == 1 ? insn->w ? 8 : 4 : 1;
		take_vector_index(insn, &operand->memory);
		return true;
	}
	rule = find_rule(insn);
	/* A vector length that is reserved: no size to give. */
	if (rule == NULL || (insn->encoding >= INSN_VEX && insn->vector_bytes == 0))
		return false;
	apply_rule(insn, rule, operand);
	return true;
}
