/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where Capstone 4.0.2 is known to differ from the manuals. What binutils can say too is compared with it as well, for
 * the same instruction: a difference here that were ours would be one there.
 */
#include "tests/oracle/sample.h"

#include <stddef.h>
#include <string.h>

#include "tests/oracle/insn_facts.h"

static bool is_64bit(const struct sample *sample)
{
	return sample->code_bytes == 8;
}

static bool is_legacy(const struct sample *sample)
{
	return sample->insn.encoding == INSN_LEGACY;
}

static bool says(const struct sample *sample, const char *const *mnemonics)
{
	for (; *mnemonics != NULL; mnemonics++)
		if (strstr(sample->said.text, *mnemonics) != NULL)
			return true;
	return false;
}

/* --- refused or not -------------------------------------------------------------------------- */

static bool locks_other_forms(const struct sample *sample)
{
	return sample->decoded && sample->insn.lock;
}

/* --- lengths --------------------------------------------------------------------------------- */

static bool near_branch(const struct sample *sample)
{
	return sample->insn.differs_on_amd;
}

static bool hides_66(const struct sample *sample)
{
	return sample->insn.operand_override && (sample->insn.rep || sample->insn.repne);
}

static bool rounding(const struct sample *sample)
{
	return sample->insn.encoding == INSN_EVEX && sample->insn.mod == 3 &&
	       sample->said.length == sample->insn.bytes + 1;
}

static bool evex_with_b(const struct sample *sample)
{
	bool has_sib = (sample->insn.rm & 7) == 4 && sample->said.length + 1 == sample->insn.bytes;
	bool is_rip =
		sample->insn.memory.rip_relative && sample->said.length + 4 == sample->insn.bytes;

	return sample->insn.encoding == INSN_EVEX && (has_sib || is_rip);
}

static bool sse4a(const struct sample *sample)
{
	return is_legacy(sample) && sample->insn.map == INSN_MAP_0F &&
	       sample->insn.opcode == 0x78 && sample->said.length + 2 == sample->insn.bytes;
}

static bool xop_immediate(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_XOPA && sample->code_bytes == 2 &&
	       sample->said.length + 2 == sample->insn.bytes;
}

static bool wide_and_override(const struct sample *sample)
{
	return is_legacy(sample) && is_64bit(sample) && sample->insn.w &&
	       (sample->insn.address_bytes == 4 || sample->insn.operand_override);
}

/* --- addresses ------------------------------------------------------------------------------- */

static bool ignored_segment(const struct sample *sample)
{
	return is_64bit(sample) && sample->said.count != 0 &&
	       sample->said.operands[0].segment >= 0 &&
	       sample->said.operands[0].segment < SEGMENT_FS;
}

static bool string_without_segment(const struct sample *sample)
{
	return is_64bit(sample) && facts_is_string(&sample->insn);
}

/* Its EVEX rows differ in the vector length, and in the scale of a short displacement. */
static bool evex_row(const struct sample *sample)
{
	const struct said_operand *said = &sample->said.operands[0];

	return sample->insn.encoding == INSN_EVEX && sample->said.count != 0 &&
	       (said->vector_index || sample->insn.mod == 1 ||
		sample->operands.memory.memory.index_kind == INSN_INDEX_VECTOR);
}

/* --- sizes ----------------------------------------------------------------------------------- */

static bool overlooks_prefix(const struct sample *sample)
{
	return facts_prefix_is_apart(sample) ||
	       (sample->code_bytes == 2 && sample->insn.simd != INSN_SIMD_NONE) ||
	       (sample->insn.w && sample->insn.address_bytes == 4);
}

static bool reserved_length(const struct sample *sample)
{
	return sample->insn.encoding == INSN_EVEX && sample->insn.vector_bytes == 0;
}

static bool is_group15(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_0F && sample->insn.opcode == 0xae && sample->insn.rep;
}

static bool is_3dnow(const struct sample *sample)
{
	return is_legacy(sample) && sample->insn.map == INSN_MAP_0F && sample->insn.opcode == 0x0f;
}

static bool wide_port(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && (sample->insn.opcode & 0xfc) == 0x6c &&
	       sample->insn.w;
}

static bool far_pointer(const struct sample *sample)
{
	static const char *const mnemonics[] = { "lds ", "les ",   "lfs ",  "lgs ",
						 "lss ", "lcall ", "ljmp ", NULL };

	return says(sample, mnemonics);
}

static bool whole_register(const struct sample *sample)
{
	static const char *const mnemonics[] = { "punpckl", "comiss", "comisd", "lsl ", NULL };

	return says(sample, mnemonics);
}

static bool x87_state(const struct sample *sample)
{
	static const char *const mnemonics[] = { "fnsave", "frstor", "fldenv",	"fnstenv",
						 "fnstsw", "fxsave", "fxrstor", NULL };

	return says(sample, mnemonics);
}

static bool movsxd_16(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && sample->insn.opcode == 0x63 &&
	       sample->insn.operand_override;
}

static bool is_evex(const struct sample *sample)
{
	return sample->insn.encoding == INSN_EVEX;
}

static bool vex_w_outside_64bit(const struct sample *sample)
{
	return sample->insn.encoding == INSN_VEX && sample->insn.w && !is_64bit(sample);
}

/* --- accesses -------------------------------------------------------------------------------- */

static bool store_said_read(const struct sample *sample)
{
	return sample->operands.memory.writes && !sample->said.operands[0].writes;
}

static bool test_said_write(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && strstr(sample->said.text, "test") != NULL;
}

static bool is_f3_7e(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_0F && sample->insn.opcode == 0x7e && sample->insn.rep;
}

const struct difference capstone_differences[] = {
	{ ONLY_WE_REFUSE, "SIMD prefix, LOCK or REX before VEX, EVEX, XOP",
	  "SDM \"#UD Equations for VEX\": #UD", facts_prefix_before_vector },
	{ ONLY_WE_REFUSE, "LOCK with other forms of a lockable mnemonic",
	  "SDM \"LOCK\": only with a destination in memory", locks_other_forms },
	{ ONLY_WE_REFUSE, "UD0, UD1, UD2",
	  "SDM \"UD\": they raise #UD; binutils gives the same length", facts_is_ud },
	{ ONLY_WE_REFUSE, "control register that does not exist",
	  "SDM \"MOV Control Registers\": #UD", facts_no_control_register },
	{ ONLY_WE_REFUSE, "MOV to CS", "SDM \"MOV\": #UD", facts_no_segment_register },
	{ ONLY_WE_REFUSE, "VSIB without a SIB byte or with 16-bit addresses",
	  "SDM \"VSIB Memory Addressing\": #UD", facts_is_vsib },
	{ ONLY_WE_REFUSE, "a prefix that selects no instruction",
	  "SDM opcode maps: empty place behind 66, F2 or F3", facts_no_such_prefix },
	{ ONLY_WE_REFUSE, "REX.W and 67 taken for 66", "SDM \"INVPCID\": only with 66",
	  wide_and_override },
	{ ONLY_THEY_REFUSE, "LOCK MOV CR", "APM \"MOV CRn\": CR8 on AMD", facts_is_mov_cr },
	{ ONLY_THEY_REFUSE, "reserved x87 register forms",
	  "no memory; decode_operands() makes no claim", facts_is_x87_register },
	{ ONLY_THEY_REFUSE, "REX.R with a segment register",
	  "SDM \"MOV\": the reg field has three bits", facts_is_extended_segment },
	{ ONLY_THEY_REFUSE, "MOV offset behind 66 and F2 or F3",
	  "SDM \"MOV\": a repeat prefix is ignored", hides_66 },
	{ ONLY_THEY_KNOW, "a prefix that selects no instruction",
	  "SDM opcode maps: empty place behind 66, F2 or F3", facts_no_such_prefix },
	{ ONLY_THEY_KNOW, "EVEX with the reserved vector length", "SDM \"EVEX.L'L\": #UD for 3",
	  reserved_length },
	{ ONLY_THEY_KNOW, "REX.W and 67 taken for 66", "SDM opcode maps: empty place without 66",
	  wide_and_override },
	{ ONLY_THEY_KNOW, "MPX", "gone from new CPUs, NOP for Capstone; left to the CPU",
	  facts_is_mpx },
	{ LENGTH, "UD0 and UD1 without ModRM", "SDM \"UD\": with ModRM; binutils agrees",
	  facts_is_ud },
	{ LENGTH, "near branch behind 66 in 64-bit mode", "AMD's reading; insn.differs_on_amd",
	  near_branch },
	{ LENGTH, "66 together with F2 or F3", "SDM \"Legacy Prefixes\": both act", hides_66 },
	{ LENGTH, "EVEX rounding control", "one byte too many for a register form with EVEX.b",
	  rounding },
	{ LENGTH, "EVEX operand with B: SIB or RIP overlooked",
	  "SDM \"Encodings for 32-Bit and 64-Bit\": rm 4 and 5 whatever B is", evex_with_b },
	{ LENGTH, "EXTRQ and INSERTQ", "APM \"EXTRQ\": two immediates; VMREAD for Capstone",
	  sse4a },
	{ LENGTH, "XOP map 10 in 16-bit mode", "APM \"BEXTR (immediate form)\": four bytes always",
	  xop_immediate },
	{ LENGTH, "REX.W with 66 or 67", "SDM \"REX.W\": it wins over 66", wide_and_override },
	{ ADDRESS, "CS, DS, ES, SS override in 64-bit mode", "SDM \"Legacy Prefixes\": ignored",
	  ignored_segment },
	{ ADDRESS, "string operand without its segment", "SDM \"STOS\" and others: ES:RDI",
	  string_without_segment },
	{ ADDRESS, "EVEX with another vector length or VSIB",
	  "rows of its table; binutils agrees with us", evex_row },
	{ ADDRESS, "3DNow! with an unknown last byte",
	  "APM \"3DNow!\": the operand is there all the same", is_3dnow },
	{ SIZE, "PTWRITE, CLRSSBSY", "younger than Capstone 4: XSAVE, XSAVEOPT for it",
	  is_group15 },
	{ SIZE, "INS and OUTS with REX.W and 66",
	  "SDM \"OUTS\": 4 bytes at most, REX.W wins over 66", wide_port },
	{ SIZE, "REX.W with 66 or 67", "SDM \"REX.W\": it wins over 66", wide_and_override },
	{ SIZE, "mandatory prefix not next to the opcode",
	  "SDM \"Instruction Prefixes\": any order", overlooks_prefix },
	{ SIZE, "66 together with F2 or F3", "SDM \"Legacy Prefixes\": both act", hides_66 },
	{ SIZE, "far pointer", "SDM \"LDS\", \"CALL\": m16:16, m16:32, m16:64", far_pointer },
	{ SIZE, "PUNPCKL, COMIS, LSL read less than a register", "SDM: m32; m32 and m64; m16",
	  whole_register },
	{ SIZE, "x87 state", "SDM \"FNSAVE\", \"FNSTENV\", \"FNSTSW\", \"FXSAVE\"", x87_state },
	{ SIZE, "MOVSXD behind 66", "SDM \"MOVSXD\": r16, r/m16", movsxd_16 },
	{ SIZE, "EVEX", "scalars, W and L'L taken from other rows of its table", is_evex },
	{ SIZE, "VEX.W outside 64-bit mode", "SDM \"VPEXTRQ\" and others: ignored",
	  vex_w_outside_64bit },
	{ ACCESS, "store whose operand is said to be read",
	  "its table of accesses; binutils names it as destination", store_said_read },
	{ ACCESS, "TEST whose operand is said to be written", "SDM \"TEST\"", test_said_write },
	{ ACCESS, "MOVQ with F3 and REX.W", "SDM \"MOVQ\": the load, F3 0F 7E", is_f3_7e },
	{ ACCESS, "PTWRITE, CLRSSBSY", "younger than Capstone 4: XSAVE, XSAVEOPT for it",
	  is_group15 },
	{ .name = NULL },
};
