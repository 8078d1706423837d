/* SPDX-License-Identifier: BSD-2-Clause */
/* Nobody has lent any debug register: they are the guest's own (core/debug_loan.h). For one program's main file. */
#ifndef TESTS_UNIT_FAKE_LOAN_H
#define TESTS_UNIT_FAKE_LOAN_H

#include <stdlib.h>

#include "arch/x86/insn.h"
#include "core/vcpu.h"
#include "vmexit/debug_met.h"

uint64_t debug_address_read(const struct vcpu *which, unsigned index)
{
	(void)which;
	switch (index) {
	case 0:
		return read_dr0();
	case 1:
		return read_dr1();
	case 2:
		return read_dr2();
	default:
		return read_dr3();
	}
}

void debug_registers_write(struct vcpu *which, const uint64_t address[DEBUG_REGS], uint64_t dr6,
			   uint64_t dr7)
{
	write_dr0(address[0]);
	write_dr1(address[1]);
	write_dr2(address[2]);
	write_dr3(address[3]);
	dr6_write(which, dr6);
	dr7_write(which, dr7);
}

uint64_t debug_hardware_dr7(struct vcpu *which)
{
	return dr7_read(which);
}

uint64_t debug_loan_store(struct vcpu *which, uint64_t dr7)
{
	(void)which, (void)dr7;
	abort();
}

bool debug_met_exception(struct vcpu *which, struct event *event)
{
	(void)which, (void)event;
	abort();
}

uint64_t debug_met_behind(struct vcpu *which, uint64_t met)
{
	(void)which;
	return met;
}

#endif
