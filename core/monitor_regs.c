/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_regs.h"

#include "core/string.h"

struct named {
	const char *name;
	uint16_t offset;
	uint8_t bytes;
};

#define FIELD(text, member)                                                                       \
	{                                                                                         \
		text, offsetof(struct regs_sync, member), sizeof(((struct regs_sync *)0)->member) \
	}
#define GPR(text, index)	  FIELD(text, regs.gpr[index])
#define SEGMENT(text, index)	  FIELD(text, sregs.segments[index].selector)
#define SEGMENT_BASE(text, index) FIELD(text, sregs.segments[index].base)

static const struct named registers[] = {
	GPR("rax", 0),
	GPR("rcx", 1),
	GPR("rdx", 2),
	GPR("rbx", 3),
	GPR("rsp", 4),
	GPR("rbp", 5),
	GPR("rsi", 6),
	GPR("rdi", 7),
	GPR("r8", 8),
	GPR("r9", 9),
	GPR("r10", 10),
	GPR("r11", 11),
	GPR("r12", 12),
	GPR("r13", 13),
	GPR("r14", 14),
	GPR("r15", 15),
	FIELD("rip", regs.rip),
	FIELD("rflags", regs.rflags),
	SEGMENT("es", SEGMENT_ES),
	SEGMENT("cs", SEGMENT_CS),
	SEGMENT("ss", SEGMENT_SS),
	SEGMENT("ds", SEGMENT_DS),
	SEGMENT("fs", SEGMENT_FS),
	SEGMENT("gs", SEGMENT_GS),
	SEGMENT("ldtr", SEGMENT_LDTR),
	SEGMENT("tr", SEGMENT_TR),
	SEGMENT_BASE("fs_base", SEGMENT_FS),
	SEGMENT_BASE("gs_base", SEGMENT_GS),
	SEGMENT_BASE("tr_base", SEGMENT_TR),
	FIELD("gdt", sregs.gdtr.base),
	FIELD("idt", sregs.idtr.base),
	FIELD("cr0", sregs.cr0),
	FIELD("cr2", sregs.cr2),
	FIELD("cr3", sregs.cr3),
	FIELD("cr4", sregs.cr4),
	FIELD("cr8", sregs.cr8),
	FIELD("efer", sregs.efer),
	FIELD("dr0", debug.dr[0]),
	FIELD("dr1", debug.dr[1]),
	FIELD("dr2", debug.dr[2]),
	FIELD("dr3", debug.dr[3]),
	FIELD("dr6", debug.dr6),
	FIELD("dr7", debug.dr7),
};

static bool is_name(const char *name, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (name[i] != text[i])
			return false;
	}
	return name[bytes] == '\0';
}

bool monitor_reg_find(const char *name, size_t bytes, unsigned *number)
{
	for (*number = 0; *number < ARRAY_COUNT(registers); ++*number) {
		if (is_name(registers[*number].name, name, bytes))
			return true;
	}
	return false;
}

uint64_t monitor_reg_value(const struct regs_sync *state, unsigned number)
{
	uint64_t value = 0;

	memcpy(&value, (const uint8_t *)state + registers[number].offset, registers[number].bytes);
	return value;
}

const char *monitor_reg_name(unsigned number)
{
	return number < ARRAY_COUNT(registers) ? registers[number].name : NULL;
}
