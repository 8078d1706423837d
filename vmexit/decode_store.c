/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/decode_store.h"

#define RAX 0

static bool opcode_store_kind(const struct insn *insn, enum store_kind *kind)
{
	switch (insn->opcode & 0xfe) {
	case 0x88:
	case 0xa2:
		*kind = STORE_REGISTER;
		return true;
	case 0xc6:
		*kind = STORE_IMMEDIATE;
		return (insn->reg & 7) == 0; /* /7 is XABORT and XBEGIN */
	case 0x86:
		*kind = STORE_EXCHANGE;
		return true;
	case 0xaa:
		*kind = STORE_STRING;
		return true;
	}
	return false;
}

bool decode_store(const struct insn *insn, struct store *out)
{
	*out = (struct store){ 0 };
	if (insn->map != INSN_MAP_PRIMARY || insn->encoding > INSN_REX2 || !insn->memory.present ||
	    !opcode_store_kind(insn, &out->kind))
		return false;
	if (insn->lock && out->kind != STORE_EXCHANGE)
		return false; /* #UD: not ours to raise */
	out->bytes = (insn->opcode & 1) != 0 ? insn->operand_bytes : 1;
	out->repeat = out->kind == STORE_STRING && (insn->rep || insn->repne);
	out->immediate = (uint64_t)insn->immediate;
	out->reg = insn->has_modrm && out->kind != STORE_IMMEDIATE ? insn->reg : RAX;
	if (out->bytes == 1 && !insn->rex && out->reg >= 4 && out->reg < 8) {
		out->reg = (uint8_t)(out->reg - 4);
		out->high_byte = true;
	}
	return true;
}
