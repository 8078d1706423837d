/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/store_quick.h"

#define REX_MASK	     0xf0u
#define REX		     0x40u
#define REX_W		     0x08u
#define REX_R		     0x04u
#define OPCODE_MOV_STORE     0x89u
#define OPCODE_MOV_IMMEDIATE 0xc7u
#define MODRM_REG	     0x38u
#define SIB_BASE	     0x07u
#define SIB_NO_BASE	     0x05u

#define TIMES2(...)	     __VA_ARGS__, __VA_ARGS__
#define TIMES8(...)	     TIMES2(TIMES2(TIMES2(__VA_ARGS__)))

/*
 * By ModR/M, its bytes and those of SIB and displacement. SDM: "32-Bit Addressing Forms with the ModR/M Byte". 0 for
 * registers.
 */
static const uint8_t operand_bytes[256] = {
	TIMES8(1, 1, 1, 1, 2, 5, 1, 1),
	TIMES8(2, 2, 2, 2, 3, 2, 2, 2),
	TIMES8(5, 5, 5, 5, 6, 5, 5, 5),
};

/* "32-Bit Addressing Forms with the SIB Byte": without a base there is a displacement of 32 bits. */
static inline bool has_no_base(uint64_t modrm_sib)
{
	return (modrm_sib & 0xc7) == 0x04 && (modrm_sib >> 8 & SIB_BASE) == SIB_NO_BASE;
}

static inline uint32_t word_at(uint64_t low, uint64_t high, unsigned at)
{
	unsigned __int128 all = (unsigned __int128)high << 64 | low;

	return (uint32_t)(all >> (8 * at));
}

struct store_quick store_quick_decode(uint64_t low, uint64_t high)
{
	struct store_quick store = { .bytes = 1 };
	uint64_t insn = low; /* from the opcode on */
	uint8_t modrm;

	if ((low & REX_MASK) == REX) {
		if (UNLIKELY((low & REX_W) != 0))
			return (struct store_quick){ 0 };
		store.bytes = 2;
		store.reg = (uint8_t)((low & REX_R) << 1);
		insn = low >> 8;
	}
	modrm = (uint8_t)(insn >> 8);
	store.reg |= modrm >> 3 & 7;
	store.bytes = (uint8_t)(store.bytes + operand_bytes[modrm]);
	if (UNLIKELY(has_no_base(insn >> 8)))
		store.bytes = (uint8_t)(store.bytes + 4);
	if (UNLIKELY(operand_bytes[modrm] == 0))
		return (struct store_quick){ 0 };
	if (LIKELY((uint8_t)insn == OPCODE_MOV_STORE))
		return store;
	if ((uint8_t)insn != OPCODE_MOV_IMMEDIATE || (modrm & MODRM_REG) != 0)
		return (struct store_quick){ 0 };
	store.is_immediate = true;
	store.immediate = word_at(low, high, store.bytes);
	store.bytes = (uint8_t)(store.bytes + 4);
	return store;
}
