/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long an x86 instruction is and what it addresses: a pure function over bytes, no vcpu. It
 * knows all encodings (legacy, REX, REX2, VEX, EVEX, XOP) well enough for lengths and memory
 * operands, and the few instructions that exits are about well enough to say what they do. It does
 * not say whether a CPU has an instruction. SDM: "Instruction Format".
 */
#ifndef VMEXIT_DECODE_H
#define VMEXIT_DECODE_H

#include "arch/x86/bits.h"
#include "arch/x86/segment.h"

#define INSN_MAX_BYTES	 15u
#define INSN_NO_REGISTER 0xffu

enum insn_encoding {
	INSN_LEGACY, /* also with REX */
	INSN_REX2,
	INSN_VEX,
	INSN_EVEX,
	INSN_XOP,
};

/* Opcode maps as VEX and EVEX number them. */
enum insn_map {
	INSN_MAP_PRIMARY = 0,
	INSN_MAP_0F = 1,
	INSN_MAP_0F38 = 2,
	INSN_MAP_0F3A = 3,
	INSN_MAP_4 = 4, /* EVEX: legacy instructions as promoted by APX */
	INSN_MAP_5 = 5,
	INSN_MAP_6 = 6,
	INSN_MAP_7 = 7,
	INSN_MAP_XOP8 = 8,
	INSN_MAP_XOP9 = 9,
	INSN_MAP_XOPA = 10,
};

/* Why there is no instruction. */
enum insn_fault {
	INSN_FAULT_NONE,
	INSN_FAULT_TRUNCATED, /* the bytes are too few: fetch more */
	INSN_FAULT_TOO_LONG,  /* more than 15 bytes: #GP(0) */
	INSN_FAULT_UNDEFINED, /* #UD whatever follows */
};

/* The mandatory prefix of an opcode: legacy prefixes, or the field of VEX, EVEX and XOP. */
enum insn_simd_prefix {
	INSN_SIMD_NONE = 0,
	INSN_SIMD_66 = 1,
	INSN_SIMD_F3 = 2,
	INSN_SIMD_F2 = 3,
};

/* How the index counts. */
enum insn_index {
	INSN_INDEX_GPR,
	INSN_INDEX_AL,	   /* XLAT: the low byte of rAX */
	INSN_INDEX_VECTOR, /* VSIB: an address for each element of a vector register */
	INSN_INDEX_TILE,   /* AMX: the distance of rows */
};

/* A memory operand: segment:[base + index * 2^scale + displacement]. */
struct insn_memory {
	bool present;
	bool rip_relative; /* to the next instruction */
	uint8_t base;	   /* GPR number or INSN_NO_REGISTER */
	uint8_t index;	   /* the same; of a vector register with VSIB */
	uint8_t scale;	   /* log2 */
	enum segment_index segment;
	enum insn_index index_kind; /* decode_operands() knows other than INSN_INDEX_GPR */
	int64_t displacement;	    /* EVEX: disp8 not multiplied */
};

/* Opcode and map (with reg & 7 in a group, and the SIMD prefix where it selects) tell which instruction it is. */
struct insn {
	enum insn_fault fault;
	uint8_t bytes; /* total length */
	enum insn_encoding encoding;
	enum insn_map map;
	uint8_t opcode;
	bool lock, rep, repne; /* F0; F3 or F2, the last one counts */
	bool operand_override; /* 66 */
	bool rex;	       /* REX or REX2: byte registers 4-7 are SPL-DIL */
	bool has_modrm;
	uint8_t mod, reg, rm;  /* reg and rm with their extension bits, as of general registers */
	uint8_t code_bytes;    /* of the mode: 2, 4 or 8 */
	uint8_t operand_bytes; /* by the prefixes; byte forms and pushes know better */
	uint8_t address_bytes;
	uint8_t immediate_bytes;
	int64_t immediate; /* sign extended */
	bool has_segment; /* an override that counts, for the operand that ModRM or the opcode names */
	enum segment_index segment;
	bool w; /* REX.W and its like in the newer encodings */
	enum insn_simd_prefix simd;
	uint8_t vector_bytes; /* VEX, EVEX, XOP: 16, 32, 64; 0: reserved length */
	uint8_t vvvv;	      /* VEX, EVEX, XOP: register number 0-31, as it is meant */
	bool evex_b;	/* broadcast; rounding without memory; in map 4 a new data destination */
	uint8_t opmask; /* EVEX: k1-k7, 0 none */
	/*
	 * A near branch with 66 in 64-bit mode. Intel ignores the prefix, and so do the lengths and sizes here; AMD takes
	 * 16-bit offsets, targets and pushes. Only the CPU itself executes it.
	 */
	bool differs_on_amd;
	struct insn_memory memory;
};

/*
 * Decode one instruction for a code segment of `code_bytes` (2, 4, or 8 in 64-bit mode). False: the
 * bytes are too few, or no instruction; out->fault says which, and the rest of `out` is not valid. True: the length and
 * the fields are right, but the CPU may still raise #UD; see decode_operands().
 */
MUST_CHECK bool decode_insn(const uint8_t *bytes, unsigned count, unsigned code_bytes,
			    struct insn *out);

#endif
