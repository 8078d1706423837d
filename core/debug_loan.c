/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/debug_loan.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/vendor.h"

/* All but 15, 14, 12 and 11, of which some CPUs have the last. */
#define DR7_DEFINED (BITS64(31, 0) & ~UINT64_C(0xd800))

/* Reserved bits read as zero, or fault; an emulator may keep them. SDM: "Debug Control Register (DR7)". */
void debug_loan_init(void)
{
	const uint64_t never = DR7_ENABLES | DR7_GD; /* here: every CPU has them */
	uint64_t kept = DR7_DEFINED;

	if (write_dr7_safe(UINT32_MAX & ~never))
		kept = read_dr7();
	write_dr7(DR7_INIT);
	host_values.dr7_bits = (uint32_t)(kept | never);
}

uint64_t debug_address_read(const struct vcpu *vcpu, unsigned index)
{
	return vcpu->loan.is_lent ? vcpu->loan.address[index] : read_debug_address(index);
}

static uint64_t hardware_address(const struct vcpu *vcpu, unsigned index)
{
	return vcpu->loan.is_lent ? vcpu->loan.merged.address[index] : read_debug_address(index);
}

uint64_t debug_hardware_dr7(struct vcpu *vcpu)
{
	return vcpu->loan.is_lent ? vcpu->loan.merged.dr7 : dr7_read(vcpu);
}

uint64_t debug_hardware_met(struct vcpu *vcpu, enum debug_touch touch, uint64_t linear,
			    unsigned bytes)
{
	uint64_t dr7 = debug_hardware_dr7(vcpu), address[DEBUG_REGS];

	if ((dr7 & DR7_ENABLES) == 0)
		return 0;
	for (unsigned i = 0; i < DEBUG_REGS; i++)
		address[i] = hardware_address(vcpu, i);
	return debug_met(dr7, address, touch, linear, bytes);
}

/* --- the hardware ---------------------------------------------------------------------------- */

static void say_missing(struct vcpu *vcpu, uint8_t missing)
{
	struct debug_slots *slots = &vcpu->vm->debug;

	if (atomic_exchange(&slots->said, 1) == 0)
		log_warn(
			"cpu %u: the guest uses the debug registers: none is left for the breakpoint at 0x%llx",
			vcpu->index,
			(unsigned long long)slots->slot[__builtin_ctz(missing)].address);
}

uint64_t debug_loan_store(struct vcpu *vcpu, uint64_t dr7)
{
	struct debug_loan *loan = &vcpu->loan;

	loan->dr7 = dr7;
	debug_merge(dr7, loan->address, vcpu->vm->debug.slot, &loan->merged);
	if (UNLIKELY(loan->merged.missing != 0))
		say_missing(vcpu, loan->merged.missing);
	write_debug_addresses(loan->merged.address);
	return loan->merged.dr7;
}

void debug_registers_write(struct vcpu *vcpu, const uint64_t address[DEBUG_REGS], uint64_t dr6,
			   uint64_t dr7)
{
	if (vcpu->loan.is_lent) {
		for (unsigned i = 0; i < DEBUG_REGS; i++)
			vcpu->loan.address[i] = address[i];
		vendor->debug_lent(vcpu, debug_loan_store(vcpu, dr7));
	} else {
		write_debug_addresses(address);
	}
	dr6_write(vcpu, dr6);
	dr7_write(vcpu, dr7);
}

/* --- beginning and end ----------------------------------------------------------------------- */

static bool is_any(const struct debug_slots *slots)
{
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		if (slots->slot[i].is_used)
			return true;
	}
	return false;
}

/* Dirty: the entry puts them where they belong now. */
static void begin(struct vcpu *vcpu)
{
	uint64_t dr6 = dr6_read(vcpu), dr7 = dr7_read(vcpu);

	for (unsigned i = 0; i < DEBUG_REGS; i++)
		vcpu->loan.address[i] = read_debug_address(i);
	vcpu->loan.is_lent = true;
	vendor->debug_lent(vcpu, debug_loan_store(vcpu, dr7));
	dr6_write(vcpu, dr6);
	dr7_write(vcpu, dr7);
}

static void end(struct vcpu *vcpu)
{
	uint64_t dr6 = dr6_read(vcpu), dr7 = dr7_read(vcpu);

	write_debug_addresses(vcpu->loan.address);
	vcpu->loan.is_lent = false;
	vendor->debug_lent(vcpu, dr7);
	dr6_write(vcpu, dr6);
	dr7_write(vcpu, dr7);
}

void debug_loan_give_back(struct vcpu *vcpu)
{
	if (!vcpu->loan.is_lent)
		return;
	end(vcpu);
	log_warn("cpu %u: MOV DR in memory that cannot be read: without the debugger's breakpoints",
		 vcpu->index);
}

void debug_loan_follow(struct vcpu *vcpu)
{
	const struct debug_slots *slots = &vcpu->vm->debug;
	struct debug_loan *loan = &vcpu->loan;

	if (LIKELY(loan->changes == slots->changes))
		return;
	loan->changes = slots->changes;
	if (!is_any(slots)) {
		if (loan->is_lent)
			end(vcpu);
	} else if (!loan->is_lent) {
		begin(vcpu);
	} else {
		vendor->debug_lent(vcpu, debug_loan_store(vcpu, dr7_read(vcpu)));
	}
}
