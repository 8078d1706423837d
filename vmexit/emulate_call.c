/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_call.h"

#include "arch/x86/insn.h"
#include "core/lock.h"
#include "mm/guest_copy.h"
#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"
#include "vmexit/nested_fault.h"
#include "vmexit/step.h"

#define NO_FRAME (~UINT64_C(0))

/* RDX. */
enum { FRAME_RELEASE, FRAME_TRAP, FRAME_COUNT };

static _Atomic(uint64_t) frame = NO_FRAME; /* changed under vm->lock */
static _Atomic(uint32_t) emulation_lock;   /* one emulation at a time */
static _Atomic(uint64_t) emulation_count;

/* --- the hypercall ------------------------------------------------------------------------- */

/* Called with the map's lock held. */
static bool change(struct vcpu *vcpu, gpa_t gpa, bool trap)
{
	unsigned rights = trap ? 0 : RIGHT_READ | RIGHT_WRITE | RIGHT_EXEC;
	uint64_t expected = trap ? NO_FRAME : gpa.v;
	bool changed = false;

	if (atomic_load(&frame) != expected)
		return false;
	/* Known before the first fault, and until the last one. */
	if (trap)
		atomic_store(&frame, gpa.v);
	if (!tdp_mmu_protect(&vcpu->vm->tdp, gpa, PAGE_BYTES, rights, &changed)) {
		atomic_store(&frame, expected);
		return false;
	}
	if (changed) {
		tdp_flush_all(vcpu);
		tdp_mmu_flushed(&vcpu->vm->tdp);
	}
	if (!trap)
		atomic_store(&frame, NO_FRAME);
	return true;
}

bool emulate_call(struct vcpu *vcpu, uint64_t *result)
{
	gpa_t gpa = { regs_fixed_read(&vcpu->regs, REG_RCX) };
	uint64_t what = regs_fixed_read(&vcpu->regs, REG_RDX);
	bool ok;

	if (cpl_read(vcpu) != 0)
		return false;
	*result = what == FRAME_COUNT ? atomic_load(&emulation_count) : EMULATE_CALL_REFUSED;
	if (what > FRAME_TRAP || (gpa.v & (PAGE_BYTES - 1)) != 0 ||
	    !guest_copy_is_ram(gpa, PAGE_BYTES))
		return true;
	lock_acquire(&vcpu->vm->lock);
	ok = change(vcpu, gpa, what == FRAME_TRAP);
	lock_release(&vcpu->vm->lock);
	if (ok)
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
	switch (bytes) {
	case 1:
		return inb(port);
	case 2:
		return inw(port);
	default:
		return inl(port);
	}
}

static void port_write(void *context, uint16_t port, uint32_t value, unsigned bytes)
{
	(void)context;
	switch (bytes) {
	case 1:
		outb(port, (uint8_t)value);
		break;
	case 2:
		outw(port, (uint16_t)value);
		break;
	default:
		outl(port, value);
		break;
	}
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

	/* During a native step the other half of the operand is meant. */
	if (vcpu->step_kind == STEP_NONE && !exit->fault.during_walk && !exit->fault.fetch)
		result = emulate(vcpu);
	switch (result) {
	case EMULATE_DONE:
		return VERDICT_NEXT_INSN;
	case EMULATE_RESUME:
		return VERDICT_RESUME;
	case EMULATE_NATIVE:
		break;
	}
	step_begin(vcpu, STEP_PLAIN, exit->fault.gpa);
	return VERDICT_RESUME;
}
