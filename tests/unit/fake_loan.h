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
	return read_debug_address(index);
}

void debug_registers_write(struct vcpu *which, const uint64_t address[DEBUG_REGS], uint64_t dr6,
			   uint64_t dr7)
{
	write_debug_addresses(address);
	dr6_write(which, dr6);
	dr7_write(which, dr7);
}

/* Breakpoints that any access meets. */
static uint64_t fake_met;

uint64_t debug_hardware_met(struct vcpu *which, enum debug_touch touch, uint64_t linear,
			    unsigned bytes)
{
	(void)which, (void)touch, (void)linear, (void)bytes;
	return fake_met;
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
