/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_register.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "vmexit/guest_memory.h"
#include "vmexit/step.h"

#define OPCODE_READ  0x21u
#define OPCODE_WRITE 0x23u

/* False: another CPU has changed the instruction since. It is executed again, as what it is now. */
static bool find_gpr(struct vcpu *vcpu, const struct exit_info *exit, unsigned *gpr)
{
	struct insn insn;

	*gpr = exit->dr.gpr;
	if (exit->dr.has_gpr)
		return true;
	if (!guest_fetch_insn(vcpu, &insn)) {
		/* Another CPU has taken it away, or it is in a ROM and would exit for ever: it is the CPU's. */
		debug_loan_give_back(vcpu);
		return false;
	}
	if (insn.map != INSN_MAP_0F || insn.encoding > INSN_REX2 || insn.reg != exit->dr.dr ||
	    insn.opcode != (exit->dr.write ? OPCODE_WRITE : OPCODE_READ))
		return false;
	*gpr = insn.rm;
	vcpu->decoded_bytes = insn.bytes;
	return true;
}

static uint64_t read(struct vcpu *vcpu, unsigned number)
{
	if (number < DEBUG_REGS)
		return debug_address_read(vcpu, number);
	return number == 6 ? dr6_read(vcpu) : dr7_read(vcpu);
}

/* Which bits of DR6 can be written is this CPU's to say: the host uses it for nothing. */
static uint64_t written_dr6(uint64_t value)
{
	write_dr6(value);
	return read_dr6();
}

static void write(struct vcpu *vcpu, unsigned number, uint64_t value)
{
	uint64_t address[DEBUG_REGS], dr7 = dr7_read(vcpu);

	if (number == 6) {
		dr6_write(vcpu, written_dr6(value));
		return;
	}
	for (unsigned i = 0; i < DEBUG_REGS; i++)
		address[i] = debug_address_read(vcpu, i);
	if (number < DEBUG_REGS)
		address[number] = value;
	else
		dr7 = (value & host_values.dr7_bits) | DR7_INIT;
	debug_registers_write(vcpu, address, dr6_read(vcpu), dr7);
}

static enum exit_verdict access(struct vcpu *vcpu, unsigned number, bool is_write, unsigned gpr)
{
	uint64_t value = is_write ? gpr_read(vcpu, gpr) : 0;

	switch (debug_access_check(&number, is_write, value, dr7_read(vcpu), cr4_read(vcpu),
				   cpl_read(vcpu))) {
	case DEBUG_ACCESS_UNDEFINED:
		events_raise_ud(vcpu);
		return VERDICT_RESUME;
	case DEBUG_ACCESS_FORBIDDEN:
		events_raise_gp(vcpu, 0);
		return VERDICT_RESUME;
	case DEBUG_ACCESS_DETECTED:
		events_raise_db(vcpu, DR6_BD);
		return VERDICT_RESUME;
	case DEBUG_ACCESS_OK:
		break;
	}
	if (is_write)
		write(vcpu, number, value);
	else
		gpr_write(vcpu, gpr, read(vcpu, number));
	return VERDICT_NEXT_INSN;
}

enum exit_verdict dr_access_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	unsigned gpr;

	if (!find_gpr(vcpu, exit, &gpr))
		return VERDICT_RESUME;
	/* Its end would put back the DR6 that it began with. */
	step_abandon(vcpu);
	return access(vcpu, exit->dr.dr, exit->dr.write, gpr);
}
