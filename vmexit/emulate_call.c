/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_call.h"

#include "arch/x86/port.h"
#include "core/lock.h"
#include "mm/guest_copy.h"
#include "vmexit/emulate_exit.h"
#include "vmexit/guest_memory.h"
#include "vmexit/nested_fault.h"

#define NO_FRAME (~UINT64_C(0))

/* RDX. */
enum { FRAME_RELEASE, FRAME_TRAP, FRAME_COUNT };

static _Atomic(uint64_t) frame = NO_FRAME; /* changed under vm->lock */
static unsigned frame_rights;		   /* that it had; the same */
static _Atomic(uint32_t) emulation_lock;   /* one emulation at a time */
static _Atomic(uint64_t) emulation_count;

/* --- the hypercall ------------------------------------------------------------------------- */

/* These two are called with the map's lock held. */

static bool set_rights(struct vcpu *vcpu, gpa_t gpa, unsigned rights)
{
	bool changed = false;

	if (!tdp_mmu_protect(&vcpu->vm->tdp, gpa, PAGE_BYTES, rights, &changed))
		return false;
	if (changed) {
		tdp_flush_all(vcpu);
		tdp_mmu_flushed(&vcpu->vm->tdp);
	}
	return true;
}

/* The frame is known before the first fault on it, and until after the last one. */
static bool change(struct vcpu *vcpu, gpa_t gpa, bool trap)
{
	struct vm *vm = vcpu->vm;
	struct page_mapping mapping;

	if (!trap) {
		if (atomic_load(&frame) != gpa.v || !set_rights(vcpu, gpa, frame_rights))
			return false;
		atomic_store(&frame, NO_FRAME);
		return true;
	}
	if (atomic_load(&frame) != NO_FRAME || page_track_is_closed(&vm->track, gpa) ||
	    !page_table_lookup(&vm->tdp.table, gpa.v, &mapping))
		return false;
	frame_rights = mapping.rights;
	atomic_store(&frame, gpa.v);
	if (set_rights(vcpu, gpa, 0))
		return true;
	atomic_store(&frame, NO_FRAME);
	return false;
}

static bool change_locked(struct vcpu *vcpu, gpa_t gpa, bool trap)
{
	bool ok;

	lock_acquire(&vcpu->vm->lock);
	ok = change(vcpu, gpa, trap);
	lock_release(&vcpu->vm->lock);
	return ok;
}

bool emulate_call(struct vcpu *vcpu, uint64_t *result)
{
	gpa_t gpa = { regs_fixed_read(&vcpu->regs, REG_RCX) };
	uint64_t what = regs_fixed_read(&vcpu->regs, REG_RDX);

	if (cpl_read(vcpu) != 0)
		return false;
	*result = what == FRAME_COUNT ? atomic_load(&emulation_count) : EMULATE_CALL_REFUSED;
	if (what > FRAME_TRAP || (gpa.v & (PAGE_BYTES - 1)) != 0 ||
	    !guest_copy_is_ram(gpa, PAGE_BYTES))
		return true;
	if (change_locked(vcpu, gpa, what == FRAME_TRAP))
		*result = EMULATE_CALL_DONE;
	return true;
}

/* --- what stands behind the frame: itself ---------------------------------------------------- */

static bool covers(void *context, gpa_t gpa)
{
	(void)context;
	return emulate_call_is_page(gpa);
}

static bool read(void *context, gpa_t gpa, void *to, unsigned bytes)
{
	(void)context;
	return guest_copy_in(to, gpa, bytes);
}

static void write(void *context, gpa_t gpa, const void *from, unsigned bytes)
{
	(void)context;
	(void)!guest_copy_out(gpa, from, bytes);
}

static uint32_t port_read(void *context, uint16_t port, unsigned bytes)
{
	(void)context;
	return port_in(port, bytes);
}

static void port_write(void *context, uint16_t port, uint32_t value, unsigned bytes)
{
	(void)context;
	port_out(port, bytes, value);
}

static const struct emulate_target target = {
	.covers = covers,
	.read = read,
	.write = write,
	.port_read = port_read,
	.port_write = port_write,
};

/* --- faults -------------------------------------------------------------------------------- */

bool emulate_call_is_page(gpa_t gpa)
{
	return (gpa.v & ~(PAGE_BYTES - 1)) == atomic_load(&frame);
}

static enum emulate_result emulate(struct vcpu *vcpu)
{
	enum emulate_result result;
	struct insn insn;

	if (!guest_fetch_insn(vcpu, &insn))
		return EMULATE_NATIVE;
	lock_acquire(&emulation_lock);
	result = emulate_insn(vcpu, &insn, &target);
	lock_release(&emulation_lock);
	if (result != EMULATE_NATIVE)
		atomic_fetch_add(&emulation_count, 1);
	return result;
}

enum exit_verdict emulate_call_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	enum emulate_result result = EMULATE_NATIVE;

	/* Code or page tables: nobody meant that, and another CPU may have been first. */
	if (exit->fault.fetch || exit->fault.during_walk) {
		(void)change_locked(vcpu, (gpa_t){ ALIGN_DOWN(exit->fault.gpa.v, PAGE_BYTES) },
				    false);
		return VERDICT_RESUME;
	}
	/* During a native step the other half of the operand is meant. */
	if (vcpu->step_kind == STEP_NONE)
		result = emulate(vcpu);
	return emulate_exit_or_step(vcpu, result, STEP_PLAIN, exit->fault.gpa);
}
