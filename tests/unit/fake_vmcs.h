/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VMCS in an array, and the registers that VT-x leaves in the CPU: what arch/vmx/vmcs.h and arch/x86/insn.h leave to a
 * unit test to define. For one program's main file.
 */
#ifndef TESTS_UNIT_FAKE_VMCS_H
#define TESTS_UNIT_FAKE_VMCS_H

#include "arch/vmx/vmcs.h"
#include "arch/x86/insn.h"

static uint64_t fake_vmcs[0x8000];
static uint64_t fake_cr2, fake_dr6;
static unsigned fake_vmcs_reads, fake_wbinvds;

/* Widths are kept: a 32-bit field does not hold more. */
static uint64_t fake_vmcs_mask(unsigned field)
{
	static const uint64_t masks[4] = { UINT16_MAX, UINT64_MAX, UINT32_MAX, UINT64_MAX };

	return masks[VMCS_WIDTH(field)];
}

bool vmcs_read_raw(unsigned field, uint64_t *value)
{
	fake_vmcs_reads++;
	*value = fake_vmcs[field];
	return field < 0x8000;
}

bool vmcs_write_raw(unsigned field, uint64_t value)
{
	fake_vmcs[field] = value & fake_vmcs_mask(field);
	return (value & ~fake_vmcs_mask(field)) == 0;
}

void vmcs_access_failed(unsigned field, bool write)
{
	fail_msg("VMCS field %x, write %d", field, write);
	__builtin_unreachable();
}

uint64_t read_cr2(void)
{
	return fake_cr2;
}

void write_cr2(uint64_t value)
{
	fake_cr2 = value;
}

uint64_t read_dr6(void)
{
	return fake_dr6;
}

void write_dr6(uint64_t value)
{
	fake_dr6 = value;
}

void wbinvd(void)
{
	fake_wbinvds++;
}

#endif
