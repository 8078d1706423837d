/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/step.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/vendor.h"
#include "mm/layout.h"
#include "vmexit/apic_access.h"
#include "vmexit/debug_break.h"
#include "vmexit/debug_step.h"
#include "vmexit/track.h"

#define APIC_REG_STRIDE 16u
#define APIC_REG_COUNT	(PAGE_BYTES / APIC_REG_STRIDE)

/* How long to wait for another CPU's step: a few of them. Most of the time without the lock, which it needs as well. */
#define BUSY_POLLS	16u
#define BUSY_POLLS_MASK 0x1fu
#define BUSY_PAUSES	100u

static bool kind_has_frame(enum step_kind kind)
{
	return kind != STEP_NONE && kind != STEP_IRET && kind != STEP_SHADOW && kind != STEP_DEBUG;
}

static bool has_frame(const struct vcpu *vcpu)
{
	return kind_has_frame((enum step_kind)vcpu->step_kind);
}

/* What stands in for the frame during the step: of an APIC, the one register that the instruction names. */
static void fill_scratch(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	uint32_t reg = (uint32_t)(gpa.v & (PAGE_BYTES - 1)) & ~(APIC_REG_STRIDE - 1), value;
	uint8_t *scratch = vcpu->step_scratch;

	__builtin_memset(scratch, kind == STEP_HIDDEN_WRITE ? 0xff : 0, PAGE_BYTES);
	if (kind != STEP_APIC_WRITE || reg == APIC_EOI) /* EOI cannot be read */
		return;
	value = apic_read(vcpu->cpu->apic_page, reg);
	__builtin_memcpy(scratch + reg, &value, sizeof(value));
}

static bool is_tracked_kind(enum step_kind kind)
{
	return kind == STEP_TRACKED || kind == STEP_TRACKED_WALK;
}

/* Where the frame leads in the view. With the map's lock. */
static bool open_in_view(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	const struct tdp_mmu *tdp = &vcpu->vm->tdp;
	gpa_t frame = { gpa.v & ~(PAGE_BYTES - 1) };
	hpa_t to = ptr_to_hpa(vcpu->step_scratch);
	unsigned rights = RIGHT_READ | RIGHT_WRITE;
	enum memtype type = MEMTYPE_WB;
	struct page_mapping mapping;

	if (kind == STEP_PLAIN) {
		to = gpa_to_hpa(frame);
		rights = RIGHT_ALL;
		type = MEMTYPE_UC;
	} else if (is_tracked_kind(kind) || kind == STEP_CODE) {
		if (!page_table_lookup(&tdp->table, frame.v, &mapping))
			return false;
		to = mapping.hpa;
		/* The instruction itself may lie there, and the debugger have closed it. */
		rights = mapping.rights | (kind == STEP_CODE ? RIGHT_EXEC : rights);
		if (debug_break_is_page(frame))
			rights |= RIGHT_EXEC;
		type = mapping.type;
	}
	return tdp_view_open(&vcpu->step_view, tdp, frame, to, rights, type);
}

static enum page_track_result open_frame(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	struct vm *vm = vcpu->vm;
	enum page_track_result result = PAGE_TRACK_OPEN;
	bool is_first = !has_frame(vcpu);
	hpa_t root = { 0 };

	lock_acquire(&vm->lock);
	if (is_first)
		root = tdp_view_begin(&vcpu->step_view, &vm->tdp);
	if (is_tracked_kind(kind))
		result =
			page_track_open(&vm->track, &vcpu->track_writer, gpa, kind == STEP_TRACKED);
	else if (kind == STEP_PLAIN && page_track_is_closed(&vm->track, gpa))
		result = PAGE_TRACK_BUSY; /* since we looked: it faults again, and is told */
	if (result == PAGE_TRACK_OPEN && !open_in_view(vcpu, kind, gpa))
		result = PAGE_TRACK_FULL;
	if (result != PAGE_TRACK_OPEN && is_first)
		page_track_close(&vm->track, &vcpu->track_writer, &vm->tdp);
	lock_release(&vm->lock);
	if (result == PAGE_TRACK_OPEN && is_first)
		vendor->set_tdp_root(vcpu, root);
	else if (result == PAGE_TRACK_OPEN)
		vendor->flush_tdp(vcpu);
	return result;
}

/*
 * Another CPU has the frame open for the length of one instruction. Two that wait for each other's both give up, after
 * different times.
 */
static enum page_track_result open_patiently(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	uint32_t polls = BUSY_POLLS + ((uint32_t)rdtsc() & BUSY_POLLS_MASK);
	enum page_track_result result;

	while ((result = open_frame(vcpu, kind, gpa)) == PAGE_TRACK_BUSY && polls-- > 0 &&
	       atomic_load(&vcpu->kick.reasons) == 0) {
		for (unsigned i = 0; i < BUSY_PAUSES; i++)
			cpu_pause();
	}
	return result;
}

/*
 * The rule for when it is full: this instruction would begin again for ever. It walks through more tracked tables than can
 * be open at once; whoever tracks this one is told that it is over.
 */
_Static_assert(PAGE_TRACK_FRAMES >= TDP_VIEW_FRAMES,
	       "the view is what is exhausted first, or as soon");

static void stop_tracking(struct vcpu *vcpu, gpa_t gpa)
{
	gpa_t frame = { ALIGN_DOWN(gpa.v, PAGE_BYTES) };

	log_warn("cpu %u: one instruction needs too many tracked frames: 0x%llx is not any more",
		 vcpu->index, (unsigned long long)frame.v);
	(void)track_remove_region(vcpu, frame, PAGE_BYTES);
}

void step_begin(struct vcpu *vcpu, enum step_kind kind, gpa_t gpa)
{
	enum page_track_result result = PAGE_TRACK_OPEN;
	bool is_over;

	if (vcpu->step_kind != STEP_NONE && !has_frame(vcpu))
		step_cancel(vcpu); /* what it works on is such a frame: that step comes first */
	if (vcpu->step_kind == STEP_NONE && kind_has_frame(kind) && !is_tracked_kind(kind) &&
	    kind != STEP_CODE)
		fill_scratch(vcpu, kind, gpa);
	if (kind_has_frame(kind))
		result = open_patiently(vcpu, kind, gpa);
	if (result == PAGE_TRACK_UNTRACKED) /* meanwhile: the fault was from before */
		vendor->flush_tdp(vcpu);
	if (result != PAGE_TRACK_OPEN) {
		is_over = result == PAGE_TRACK_FULL && is_tracked_kind(kind) &&
			  tdp_view_is_exhausted(&vcpu->step_view, &vcpu->vm->tdp);
		step_cancel(vcpu);
		if (is_over)
			stop_tracking(vcpu, gpa);
		return;
	}
	if (vcpu->step_kind != STEP_NONE)
		return;
	vcpu->step_kind = (uint8_t)kind;
	vcpu->step_gpa = gpa;
	vendor->set_single_step(vcpu, true);
}

static void close_frames(struct vcpu *vcpu, bool complete)
{
	track_close(vcpu, complete);
	vendor->set_tdp_root(vcpu, ptr_to_hpa(vcpu->vm->tdp.table.root));
}

static void end(struct vcpu *vcpu, bool complete)
{
	/* Also an IRET that faults unblocks NMIs. SDM: "Handling Multiple NMIs". */
	if (vcpu->step_kind == STEP_IRET)
		nmi_blocked_write(vcpu, false);
	vendor->set_single_step(vcpu, false);
	if (has_frame(vcpu))
		close_frames(vcpu, complete);
	vcpu->step_kind = STEP_NONE;
	if (UNLIKELY(vcpu->debug_step != DEBUG_STEP_NONE))
		debug_step_ended(vcpu, complete);
}

void step_abandon(struct vcpu *vcpu)
{
	if (vcpu->step_kind != STEP_NONE)
		end(vcpu, false);
}

void step_cancel(struct vcpu *vcpu)
{
	bool blocked = vcpu->step_kind == STEP_IRET;

	step_abandon(vcpu);
	if (blocked)
		nmi_blocked_write(vcpu, true); /* until the next IRET */
}

void step_drop_frames(struct vcpu *vcpu)
{
	if (has_frame(vcpu))
		step_cancel(vcpu);
}

enum exit_verdict step_exit(struct vcpu *vcpu)
{
	uint32_t reg = (uint32_t)(vcpu->step_gpa.v & (PAGE_BYTES - 1)) & ~(APIC_REG_STRIDE - 1),
		 value;

	switch (vcpu->step_kind) {
	case STEP_NONE:
		return VERDICT_FATAL;
	case STEP_HIDDEN_WRITE:
		vcpu->hidden_writes++;
		break;
	case STEP_APIC_WRITE:
		__builtin_memcpy(&value, vcpu->step_scratch + reg, sizeof(value));
		/* What was there before is no command. */
		if (reg != APIC_ICR_LOW ||
		    (vcpu->step_gpa.v & (APIC_REG_STRIDE - 1)) < sizeof(value))
			apic_register_write(vcpu, reg, value);
		break;
	default:
		break;
	}
	end(vcpu, true);
	return VERDICT_RESUME;
}

enum exit_verdict step_interrupted_exit(struct vcpu *vcpu)
{
	if (vcpu->step_kind == STEP_NONE)
		return VERDICT_FATAL;
	step_abandon(vcpu);
	return VERDICT_RESUME;
}
