/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/oracle/capstone_oracle.h"

#include <stdio.h>
#include <string.h>

#include <capstone/capstone.h>

static csh handles[3];
static cs_insn *theirs[3];

bool capstone_open(void)
{
	static const cs_mode modes[3] = { CS_MODE_16, CS_MODE_32, CS_MODE_64 };

	for (unsigned i = 0; i < 3; i++) {
		if (cs_open(CS_ARCH_X86, modes[i], &handles[i]) != CS_ERR_OK)
			return false;
		cs_option(handles[i], CS_OPT_DETAIL, CS_OPT_ON);
		theirs[i] = cs_malloc(handles[i]);
	}
	return true;
}

static uint8_t gpr_number(x86_reg reg)
{
	static const x86_reg numbers[3][16] = {
		{ X86_REG_AX, X86_REG_CX, X86_REG_DX, X86_REG_BX, X86_REG_SP, X86_REG_BP,
		  X86_REG_SI, X86_REG_DI },
		{ X86_REG_EAX, X86_REG_ECX, X86_REG_EDX, X86_REG_EBX, X86_REG_ESP, X86_REG_EBP,
		  X86_REG_ESI, X86_REG_EDI, X86_REG_R8D, X86_REG_R9D, X86_REG_R10D, X86_REG_R11D,
		  X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D },
		{ X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX, X86_REG_RSP, X86_REG_RBP,
		  X86_REG_RSI, X86_REG_RDI, X86_REG_R8, X86_REG_R9, X86_REG_R10, X86_REG_R11,
		  X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15 },
	};

	for (unsigned width = 0; width < 3; width++)
		for (uint8_t i = 0; i < 16 && reg != X86_REG_INVALID; i++)
			if (numbers[width][i] == reg)
				return i;
	return INSN_NO_REGISTER;
}

static int segment_number(x86_reg reg)
{
	static const x86_reg segments[6] = { X86_REG_ES, X86_REG_CS, X86_REG_SS,
					     X86_REG_DS, X86_REG_FS, X86_REG_GS };

	for (int i = 0; i < 6; i++)
		if (segments[i] == reg)
			return i;
	return -1;
}

static void say_index(x86_reg reg, struct said_operand *out)
{
	static const x86_reg first[3] = { X86_REG_XMM0, X86_REG_YMM0, X86_REG_ZMM0 };

	out->index = gpr_number(reg);
	for (unsigned i = 0; i < 3; i++)
		if (reg >= first[i] && reg < first[i] + 32) {
			out->index = (uint8_t)(reg - first[i]);
			out->vector_index = true;
		}
}

static void say_operand(const cs_x86_op *operand, struct said_operand *out)
{
	*out = (struct said_operand){
		.bytes = operand->size,
		.segment = segment_number(operand->mem.segment),
		.base = gpr_number(operand->mem.base),
		.rip_relative =
			operand->mem.base == X86_REG_RIP || operand->mem.base == X86_REG_EIP,
		.scale = (unsigned)operand->mem.scale,
		.displacement = operand->mem.disp,
		.is_access_said = operand->access != 0,
		.reads = (operand->access & CS_AC_READ) != 0,
		.writes = (operand->access & CS_AC_WRITE) != 0,
	};
	say_index(operand->mem.index, out);
}

void capstone_say(struct sample *sample)
{
	unsigned mode = (unsigned)__builtin_ctz(sample->code_bytes) - 1;
	const uint8_t *at = sample->bytes;
	struct said_insn *said = &sample->said;
	uint64_t address = 0;
	size_t left = 15;
	const cs_x86 *detail;

	*said = (struct said_insn){ 0 };
	if (!cs_disasm_iter(handles[mode], &at, &left, &address, theirs[mode]))
		return;
	said->length = theirs[mode]->size;
	snprintf(said->mnemonic, sizeof(said->mnemonic), "%s", theirs[mode]->mnemonic);
	snprintf(said->text, sizeof(said->text), "%s %.100s", theirs[mode]->mnemonic,
		 theirs[mode]->op_str);
	detail = &theirs[mode]->detail->x86;
	for (unsigned i = 0; i < detail->op_count && said->count < 2; i++)
		if (detail->operands[i].type == X86_OP_MEM)
			say_operand(&detail->operands[i], &said->operands[said->count++]);
}
