/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/store_quick.h"

#define REX_MASK	     0xf0u
#define REX		     0x40u
#define REX_W		     0x08u
#define REX_R		     0x04u
#define OPCODE_MOV_STORE     0x89u
#define OPCODE_MOV_IMMEDIATE 0xc7u

/* SDM: "ModR/M and SIB Bytes", 32-bit and 64-bit addressing forms. Bytes from ModR/M to the end of the displacement. */
static unsigned operand_bytes(uint8_t modrm, uint8_t sib)
{
	unsigned mod = modrm >> 6, rm = modrm & 7;
	unsigned bytes = rm == 4 ? 2 : 1;

	if (mod == 1)
		return bytes + 1;
	if (mod == 2)
		return bytes + 4;
	if (rm == 5 || (rm == 4 && (sib & 7) == 5))
		return bytes + 4;
	return bytes;
}

bool store_quick_decode(const uint8_t *bytes, unsigned count, unsigned code_bytes,
			struct store_quick *store)
{
	unsigned at = 0;
	uint8_t rex = 0, opcode;

	if (count < 8 || code_bytes == 2) /* near a page's end the other decoder looks on */
		return false;
	if (code_bytes == 8 && (bytes[0] & REX_MASK) == REX)
		rex = bytes[at++];
	opcode = bytes[at++];
	if ((rex & REX_W) != 0 || bytes[at] >= 0xc0)
		return false;
	store->reg = (uint8_t)((bytes[at] >> 3 & 7) | (rex & REX_R) << 1);
	store->is_immediate = opcode == OPCODE_MOV_IMMEDIATE;
	if (!store->is_immediate && opcode != OPCODE_MOV_STORE)
		return false;
	if (store->is_immediate && (bytes[at] & 0x38) != 0)
		return false;
	at += operand_bytes(bytes[at], bytes[at + 1]);
	if (store->is_immediate) {
		if (at + 4 > count)
			return false;
		__builtin_memcpy(&store->immediate, bytes + at, 4);
		at += 4;
	}
	store->bytes = (uint8_t)at;
	return at <= count;
}
