/* SPDX-License-Identifier: BSD-2-Clause */
/* The instructions that exit on their own account, and what they do to control registers. */
#ifndef VMEXIT_DECODE_SYSTEM_H
#define VMEXIT_DECODE_SYSTEM_H

#include "vmexit/decode.h"

enum system_insn {
	SYSTEM_CPUID,
	SYSTEM_RDMSR,
	SYSTEM_WRMSR,
	SYSTEM_XSETBV,
	SYSTEM_VMCALL,
	SYSTEM_VMMCALL,
	SYSTEM_INVD,
	SYSTEM_CLTS,
	SYSTEM_LMSW,
	SYSTEM_SMSW,
	SYSTEM_MOV_CR, /* both directions */
	SYSTEM_IRET,
	SYSTEM_HLT,
	SYSTEM_INSN_COUNT,
};

/*
 * The length of the instruction if it is `which`, else 0 (also when the bytes are too few). This is
 * on the path of every CPUID and MSR exit of a CPU that does not tell the next RIP: no tables of
 * opcodes are consulted.
 */
unsigned decode_system_length(const uint8_t *bytes, unsigned count, unsigned code_bytes,
			      enum system_insn which);

enum cr_operation {
	CR_OPERATION_WRITE,
	CR_OPERATION_READ,
	CR_OPERATION_CLTS,
	CR_OPERATION_LMSW,
	CR_OPERATION_SMSW,
};

/* For LMSW and SMSW the operand is insn->memory if present, else the GPR. */
struct cr_operands {
	enum cr_operation operation;
	uint8_t cr;
	uint8_t gpr;
};

/* What an instruction does to a control register. LOCK MOV CR0 is CR8 (APM: "MOV CRn"). */
MUST_CHECK bool decode_cr_access(const struct insn *insn, struct cr_operands *out);

#endif
