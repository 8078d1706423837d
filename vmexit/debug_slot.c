/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/debug_slot.h"

#include <stddef.h>

#include "arch/x86/cr.h"
#include "vmexit/guest_memory.h"

/* --- the debugger ---------------------------------------------------------------------------- */

static enum debug_kind kind_of(enum gdb_break kind)
{
	return kind == GDB_BREAK_HARDWARE ? DEBUG_EXECUTE : DEBUG_ACCESS;
}

static struct debug_slot *find(struct vm *vm, enum debug_kind kind, uint64_t address,
			       uint64_t bytes)
{
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		struct debug_slot *slot = &vm->debug.slot[i];

		if (slot->is_used && slot->kind == kind && slot->address == address &&
		    slot->bytes == bytes)
			return slot;
	}
	return NULL;
}

const char *debug_slot_insert(struct vm *vm, enum gdb_break kind, uint64_t address, uint64_t bytes)
{
	const struct debug_slot wanted = {
		.is_used = true, .kind = kind_of(kind), .bytes = (uint8_t)bytes, .address = address
	};

	if (!debug_slot_is_legal(wanted.kind, address, bytes))
		return "accesses are watched in 1, 2, 4 or 8 bytes at a multiple of that";
	if (find(vm, wanted.kind, address, bytes) != NULL)
		return NULL;
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		if (vm->debug.slot[i].is_used)
			continue;
		vm->debug.slot[i] = wanted;
		vm->debug.changes++;
		return NULL;
	}
	return "the CPUs have four debug registers, and all are in use";
}

bool debug_slot_remove(struct vm *vm, enum gdb_break kind, uint64_t address, uint64_t bytes)
{
	struct debug_slot *slot = find(vm, kind_of(kind), address, bytes);

	if (slot == NULL)
		return false;
	slot->is_used = false;
	vm->debug.changes++;
	return true;
}

void debug_slot_clear(struct vm *vm)
{
	for (unsigned i = 0; i < DEBUG_REGS; i++) {
		if (vm->debug.slot[i].is_used)
			vm->debug.changes++;
		vm->debug.slot[i].is_used = false;
	}
	atomic_store(&vm->debug.said, 0);
}

/* --- a CPU that goes on ---------------------------------------------------------------------- */

/* RF would keep the guest's own breakpoint on it away as well: that exception is delivered first, and its handler sets RF. */
static void pass(struct vcpu *vcpu)
{
	if (rip_read(vcpu) != vcpu->loan.met_rip ||
	    find(vcpu->vm, DEBUG_EXECUTE, guest_linear_rip(vcpu).v, 1) == NULL)
		return;
	if (vcpu->loan.met_again != 0)
		events_raise_db(vcpu, vcpu->loan.met_again);
	else
		rflags_write(vcpu, rflags_read(vcpu) | RFLAGS_RF);
}

void debug_slot_look(struct vcpu *vcpu)
{
	/* One that waits for its SIPI does not stand still while they change: it looks when it is started. */
	if (vcpu->activity == ACTIVITY_RUNNING)
		debug_loan_follow(vcpu);
	/* Not yet, if it is the reason of the stop that comes now. */
	if (!vcpu->loan.is_met || vcpu->stop_event.reason != STOP_NONE)
		return;
	vcpu->loan.is_met = false;
	pass(vcpu);
}
