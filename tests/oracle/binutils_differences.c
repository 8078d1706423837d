/* SPDX-License-Identifier: BSD-2-Clause */
/* Where binutils 2.44 is known to differ from the manuals, or says less. */
#include "tests/oracle/sample.h"

#include <stddef.h>
#include <string.h>

#include "tests/oracle/insn_facts.h"

static bool lock(const struct sample *sample)
{
	return sample->decoded && sample->insn.lock;
}

static bool too_long(const struct sample *sample)
{
	return !sample->decoded && sample->insn.fault == INSN_FAULT_TOO_LONG;
}

static bool is_xlat(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && sample->insn.opcode == 0xd7;
}

static bool is_salc(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && sample->insn.opcode == 0xd6;
}

/* "rex.W" or "data16 rex.B": the bytes up to a REX that another prefix follows, as an instruction of its own. */
static bool stray_rex(const struct sample *sample)
{
	const char *rex = strstr(sample->said.text, "rex");

	return rex != NULL && strchr(rex, ' ') == NULL;
}

static bool test_register(const struct sample *sample)
{
	return !sample->decoded && strstr(sample->said.text, ",tr") != NULL;
}

static bool test_register_source(const struct sample *sample)
{
	return !sample->decoded && strstr(sample->said.text, "mov ") != NULL &&
	       strstr(sample->said.text, " tr") != NULL;
}

/* INC and DEC of row 4 behind REX2, or REX2 alone before an escape. */
static bool rex2_row(const struct sample *sample)
{
	return !sample->decoded && facts_has_opcode_byte(sample, 0xd5);
}

static bool fwait(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && sample->insn.opcode == 0x9b;
}

static bool wide_far_pointer(const struct sample *sample)
{
	unsigned member = sample->insn.reg & 7;

	if (sample->insn.map == INSN_MAP_PRIMARY)
		return sample->insn.opcode == 0xff && (member == 3 || member == 5) &&
		       sample->insn.w;
	return sample->insn.map == INSN_MAP_0F && sample->insn.w &&
	       sample->insn.operand_bytes == 8 && sample->insn.opcode >= 0xb2 &&
	       sample->insn.opcode <= 0xb5;
}

static bool notrack(const struct sample *sample)
{
	return strstr(sample->said.text, "notrack") != NULL;
}

static bool movsxd(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_PRIMARY && sample->insn.opcode == 0x63 &&
	       sample->insn.w;
}

static bool masked_cfcmov(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_4 && strstr(sample->said.text, "cfcmov") != NULL &&
	       (sample->insn.opmask & 3) != 0;
}

/* Ours is #UD: the operands must be registers. */
static bool push2(const struct sample *sample)
{
	return sample->insn.map == INSN_MAP_4 && sample->insn.memory.present &&
	       (sample->insn.opcode == 0x8f || sample->insn.opcode == 0xff);
}

static bool xop_registers(const struct sample *sample)
{
	return sample->insn.encoding == INSN_XOP && sample->code_bytes != 8;
}

static bool lwp(const struct sample *sample)
{
	return sample->insn.encoding == INSN_XOP && sample->insn.opcode == 0x12;
}

static bool evex_prefix(const struct sample *sample)
{
	return sample->insn.encoding == INSN_EVEX && sample->insn.simd != INSN_SIMD_66;
}

static bool is_3dnow(const struct sample *sample)
{
	return sample->insn.encoding <= INSN_REX2 && sample->insn.map == INSN_MAP_0F &&
	       sample->insn.opcode == 0x0f;
}

const struct difference binutils_differences[] = {
	{ ONLY_WE_REFUSE, "LOCK",
	  "it prints the prefix and does not judge; SDM \"LOCK\", and Capstone agrees", lock },
	{ ONLY_WE_REFUSE, "SIMD prefix, LOCK or REX before VEX, EVEX, XOP, REX2",
	  "it prints the prefix and does not judge; SDM \"#UD Equations for VEX\"",
	  facts_prefix_before_vector },
	{ ONLY_WE_REFUSE, "PUSH2 and POP2 of memory", "APX \"PUSH2\": #UD unless ModRM.mod is 3",
	  push2 },
	{ ONLY_WE_REFUSE, "UD0, UD1, UD2", "SDM \"UD\": they raise #UD", facts_is_ud },
	{ ONLY_WE_REFUSE, "control register that does not exist",
	  "SDM \"MOV Control Registers\": #UD", facts_no_control_register },
	{ ONLY_WE_REFUSE, "MOV to CS, and segment registers 6 and 7", "SDM \"MOV\": #UD",
	  facts_no_segment_register },
	{ ONLY_WE_REFUSE, "MOV from test registers", "gone since the Pentium", test_register },
	{ ONLY_WE_REFUSE, "MOV to test registers", "gone since the Pentium", test_register_source },
	{ ONLY_WE_REFUSE, "REX2 with a reserved row",
	  "APX \"REX2 Prefix\": #UD for rows 4, 7, A, E, and 3, 8 of map 1", rex2_row },
	{ ONLY_WE_REFUSE, "REX before another prefix",
	  "it prints it alone; SDM \"REX Prefixes\": ignored there", stray_rex },
	{ ONLY_WE_REFUSE, "a prefix that selects no instruction",
	  "SDM opcode maps: empty place behind 66, F2 or F3", facts_no_such_prefix },
	{ ONLY_WE_REFUSE, "more than 15 bytes",
	  "it prints the prefixes alone; SDM \"Instruction Format\"", too_long },
	{ ONLY_THEY_REFUSE, "SALC",
	  "undocumented opcode D6, which all CPUs have outside 64-bit mode", is_salc },
	{ ONLY_THEY_REFUSE, "reserved x87 register forms",
	  "no memory; decode_operands() makes no claim", facts_is_x87_register },
	{ ONLY_THEY_REFUSE, "FWAIT joined with an x87 instruction",
	  "an instruction of its own; SDM \"FSTENV\"", fwait },
	{ LENGTH, "REX before another prefix",
	  "it prints it alone; SDM \"REX Prefixes\": ignored there", stray_rex },
	{ LENGTH, "FWAIT joined with an x87 instruction",
	  "an instruction of its own; SDM \"FSTENV\"", fwait },
	{ ONLY_THEY_KNOW, "MPX", "gone from new CPUs; left to the CPU", facts_is_mpx },
	{ ONLY_THEY_KNOW, "LWP", "writes a buffer of its own; left to the CPU", lwp },
	{ ONLY_THEY_KNOW, "EVEX with a SIMD prefix that selects nothing",
	  "SDM \"VRSQRT14PS\", \"VPSHLD\", \"VMOVD\": only 66", evex_prefix },
	{ ADDRESS, "NOTRACK hides a second segment override",
	  "SDM \"Instruction Prefixes\": one of the group; FS for us", notrack },
	{ ADDRESS, "XOP.R, X and B outside 64-bit mode",
	  "APM \"XOP\": must be set there; it prints R8-R15", xop_registers },
	{ SIZE, "far pointers with REX.W",
	  "SDM \"LSS\", \"CALL\", \"JMP\": m16:64; it prints m16:32", wide_far_pointer },
	{ SIZE, "MOVSXD with REX.W and 66", "SDM \"MOVSXD\": REX.W makes it r64, r/m32", movsxd },
	{ SIZE, "3DNow! behind 66", "APM \"3DNow!\": 8 bytes, 66 does nothing", is_3dnow },
	{ ACCESS, "CFCMOVcc with a mask", "its mask looks like an operand; APX: reserved bits",
	  masked_cfcmov },
	{ ACCESS, "XLAT", "its one operand is read", is_xlat },
	{ .name = NULL },
};

/* In code of compilers: their traps, and the last of some REX bytes in a table between functions. */
const struct difference compiled_differences[] = {
	{ ONLY_WE_REFUSE, "UD0, UD1, UD2", "SDM \"UD\": they raise #UD", facts_is_ud },
	{ LENGTH, "REX before another prefix",
	  "it prints it alone; SDM \"REX Prefixes\": ignored there", stray_rex },
	{ .name = NULL },
};
