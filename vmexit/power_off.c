/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/power_off.h"

#include "arch/x86/insn.h"

/* Of the byte of SLP_TYP and SLP_EN. ACPI: "PM1 Control Registers", "Sleep Control Register". */
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE	 0x1cu
#define SLEEP_ENABLE	 BIT32(5)
#define WAIT_PAUSES	 10000000u

/* In PM1 it is the upper byte; the lower one stays as it is. */
static void write_register(const struct boot_sleep_register *reg, uint32_t bits)
{
	uint16_t value;

	if (reg->bytes == 1) {
		outb(reg->control, (uint8_t)bits);
		return;
	}
	value = inw(reg->control);
	value = (uint16_t)((value & ~((SLEEP_TYPE | SLEEP_ENABLE) << 8)) | bits << 8);
	outw(reg->control, value);
}

bool power_off(const struct vm *vm)
{
	const struct boot_sleep *off = &vm->power_off;

	for (uint32_t i = 0; i < off->register_count; i++)
		write_register(&off->registers[i],
			       (uint32_t)off->registers[i].type << SLEEP_TYPE_SHIFT);
	for (uint32_t i = 0; i < off->register_count; i++)
		write_register(&off->registers[i],
			       (uint32_t)off->registers[i].type << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
	for (uint32_t i = 0; i < WAIT_PAUSES && off->register_count != 0; i++)
		cpu_pause();
	return off->register_count != 0;
}
