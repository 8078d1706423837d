/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/regs_sync.h"

#include "arch/x86/cr_rules.h"
#include "arch/x86/xsave.h"
#include "core/caps.h"
#include "core/lock.h"
#include "core/panic.h"
#include "core/pdptr.h"
#include "core/regs_check.h"
#include "core/string.h"
#include "core/vendor.h"

/*
 * What the user gave, where the user cannot change it any more, and the state that was live before: too large for a
 * stack, and one user at a time is enough.
 */
static struct regs_sync copy;
static struct regs_sync_xsave before;
static _Atomic(uint32_t) copy_lock;

static struct x86_limits limits; /* (b) */

void regs_sync_init(const struct x86_limits *cpu_limits)
{
	limits = *cpu_limits;
}

const char *regs_sync_reason_text(enum regs_sync_reason reason)
{
#define REGS_SYNC_TEXT(name, text) [REGS_SYNC_##name] = (text),
	static const char *const texts[REGS_SYNC_REASON_COUNT] = { REGS_SYNC_REASONS(
		REGS_SYNC_TEXT) };
#undef REGS_SYNC_TEXT

	return (unsigned)reason < REGS_SYNC_REASON_COUNT ? texts[reason] : "unknown";
}

/* --- to the user --------------------------------------------------------------------------- */

static void get_regs(struct vcpu *vcpu, struct regs_sync_regs *regs)
{
	for (unsigned i = 0; i < REG_GPR_COUNT; i++)
		regs->gpr[i] = gpr_read_raw(vcpu, i);
	regs->rip = rip_read(vcpu);
	regs->rflags = rflags_read(vcpu);
}

static void get_sregs(struct vcpu *vcpu, struct regs_sync_sregs *sregs)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		sregs->segments[i] = *segment_read(vcpu, (enum segment_index)i);
	sregs->gdtr = gdtr_read(vcpu);
	sregs->idtr = idtr_read(vcpu);
	sregs->cr0 = cr0_read(vcpu);
	sregs->cr2 = cr2_read(vcpu);
	sregs->cr3 = cr3_read(vcpu);
	sregs->cr4 = cr4_read(vcpu);
	sregs->cr8 = read_cr8(); /* the guest's: no TPR is virtualized */
	sregs->efer = efer_read(vcpu);
	sregs->pdptr_valid = is_pae_paging(sregs->cr0, sregs->cr4, sregs->efer);
	memset(sregs->pdptr, 0, sizeof(sregs->pdptr));
	if (sregs->pdptr_valid != 0)
		memcpy(sregs->pdptr, pdptr_read(vcpu), sizeof(sregs->pdptr));
}

static void get_events(struct vcpu *vcpu, struct regs_sync_events *events)
{
	const struct event *pending = &vcpu->events.pending;

	memset(events, 0, sizeof(*events));
	events->nmi_pending = vcpu->events.nmi_pending;
	events->nmi_blocked = nmi_blocked_read(vcpu);
	events->interrupt_shadow = interrupt_shadow_read(vcpu);
	if (!pending->valid)
		return;
	events->valid = 1;
	events->has_error = pending->has_error;
	events->has_payload = pending->has_payload;
	events->vector = pending->vector;
	events->type = (uint8_t)pending->type;
	events->insn_bytes = pending->insn_bytes;
	events->error_code = pending->error_code;
	events->payload = pending->payload;
}

static void get_debug(struct vcpu *vcpu, struct regs_sync_debug *debug)
{
	for (unsigned i = 0; i < DEBUG_REGS; i++)
		debug->dr[i] = debug_address_read(vcpu, i);
	debug->dr6 = dr6_read(vcpu);
	debug->dr7 = dr7_read(vcpu);
}

/* False: there is no XSAVE, or a component that nobody knows yet. */
static bool get_xsave(struct regs_sync_xsave *set)
{
	uint64_t xcr0;

	if (limits.xcr0 == 0)
		return false;
	xcr0 = xcr0_read();
	set->xcr0 = xcr0;
	set->bytes = xsave_bytes(xcr0, &limits);
	if (set->bytes > sizeof(set->area))
		return false;
	memset(set->area, 0, sizeof(set->area));
	if ((xcr0 & XCR0_SSE) == 0)
		fxsave(set->area);
	xsave(set->area, xcr0);
	return true;
}

void regs_sync_to_user(struct vcpu *vcpu, struct regs_sync *user)
{
	uint32_t valid = user->valid & REGS_SYNC_ALL;

	if ((valid & REGS_SYNC_REGS) != 0)
		get_regs(vcpu, &user->regs);
	if ((valid & REGS_SYNC_SREGS) != 0)
		get_sregs(vcpu, &user->sregs);
	if ((valid & REGS_SYNC_EVENTS) != 0)
		get_events(vcpu, &user->events);
	if ((valid & REGS_SYNC_DEBUG) != 0)
		get_debug(vcpu, &user->debug);
	if ((valid & REGS_SYNC_XSAVE) != 0 && !get_xsave(&user->xsave))
		valid &= ~REGS_SYNC_XSAVE;
	user->valid = valid;
}

/* --- from the user: everything that can fail ----------------------------------------------- */

/* The vCPU's own state with what the user has changed in it. */
static void take_copy(struct vcpu *vcpu, const struct regs_sync *user, uint32_t dirty)
{
	copy.valid = REGS_SYNC_ALL & ~REGS_SYNC_XSAVE;
	regs_sync_to_user(vcpu, &copy);
	if ((dirty & REGS_SYNC_REGS) != 0)
		memcpy(&copy.regs, &user->regs, sizeof(copy.regs));
	if ((dirty & REGS_SYNC_SREGS) != 0)
		memcpy(&copy.sregs, &user->sregs, sizeof(copy.sregs));
	if ((dirty & REGS_SYNC_EVENTS) != 0)
		memcpy(&copy.events, &user->events, sizeof(copy.events));
	if ((dirty & REGS_SYNC_DEBUG) != 0)
		memcpy(&copy.debug, &user->debug, sizeof(copy.debug));
	if ((dirty & REGS_SYNC_XSAVE) != 0)
		memcpy(&copy.xsave, &user->xsave, sizeof(copy.xsave));
	/* From here on nobody looks at the user's memory again, the compiler included. */
	atomic_signal_fence(memory_order_seq_cst);
}

/* PDPTEs from memory where the user gives none. False: AMD-V would take others than he gives. */
static bool complete_pdptr(struct regs_sync_sregs *sregs)
{
	uint64_t pdptr[4];

	if (!is_pae_paging(sregs->cr0, sregs->cr4, sregs->efer))
		return true;
	if (sregs->pdptr_valid != 0 && hv_caps.vmx)
		return true;
	pdptr_from_memory(sregs->cr3, pdptr);
	if (sregs->pdptr_valid != 0)
		return memcmp(sregs->pdptr, pdptr, sizeof(pdptr)) == 0;
	memcpy(sregs->pdptr, pdptr, sizeof(pdptr));
	sregs->pdptr_valid = 1;
	return true;
}

static enum regs_sync_reason check_copy(bool with_xsave)
{
	struct regs_check_env env = { .limits = &limits,
				      .vmx = hv_caps.vmx,
				      .mxcsr_mask = MXCSR_MASK_DEFAULT };
	uint32_t mask = 0;

	if (!complete_pdptr(&copy.sregs))
		return REGS_SYNC_PDPTR_MEMORY;
	if (with_xsave && !get_xsave(&before))
		return REGS_SYNC_XSAVE_ABSENT;
	if (with_xsave)
		memcpy(&mask, before.area + XSAVE_MXCSR_MASK, sizeof(mask));
	if (mask != 0)
		env.mxcsr_mask = mask;
	return regs_check_state(&copy, with_xsave, &env);
}

static bool load_xsave(const struct regs_sync_xsave *set)
{
	if (!xsetbv_safe(0, set->xcr0))
		return false;
	if ((set->xcr0 & XCR0_SSE) == 0 && !fxrstor_safe(set->area))
		return false;
	return xrstor_safe(set->area, set->xcr0);
}

/* The CPU's own opinion, and the last thing that can fail. */
static enum regs_sync_reason try_xsave(void)
{
	if (load_xsave(&copy.xsave))
		return REGS_SYNC_OK;
	if (!load_xsave(&before))
		hv_panic("the guest's XSAVE state, just saved, cannot be loaded");
	return REGS_SYNC_XSAVE_REFUSED;
}

/* --- from the user: what cannot fail ------------------------------------------------------- */

static void put_regs(struct vcpu *vcpu, const struct regs_sync_regs *regs)
{
	for (unsigned i = 0; i < REG_GPR_COUNT; i++)
		gpr_write_raw(vcpu, i, regs->gpr[i]);
	rip_write(vcpu, regs->rip);
	rflags_write(vcpu, regs->rflags);
}

static void put_sregs(struct vcpu *vcpu, const struct regs_sync_sregs *sregs)
{
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		segment_write(vcpu, (enum segment_index)i, &sregs->segments[i]);
	gdtr_write(vcpu, sregs->gdtr);
	idtr_write(vcpu, sregs->idtr);
	cr0_write(vcpu, sregs->cr0);
	cr2_write(vcpu, sregs->cr2);
	cr3_write(vcpu, sregs->cr3);
	cr4_write(vcpu, sregs->cr4);
	write_cr8(sregs->cr8);
	efer_write(vcpu, sregs->efer);
	if (sregs->pdptr_valid != 0)
		pdptr_write(vcpu, sregs->pdptr);
	vendor->flush_linear(vcpu);
}

static void put_events(struct vcpu *vcpu, const struct regs_sync_events *events)
{
	vcpu->events.pending = (struct event){
		.valid = events->valid != 0,
		.has_error = events->has_error != 0,
		.has_payload = events->has_payload != 0,
		.vector = events->vector,
		.insn_bytes = events->insn_bytes,
		.type = (enum event_type)events->type,
		.error_code = events->error_code,
		.payload = events->payload,
	};
	vcpu->events.nmi_pending = events->nmi_pending != 0;
	nmi_blocked_write(vcpu, events->nmi_blocked != 0);
	interrupt_shadow_write(vcpu, events->interrupt_shadow);
}

static void put_debug(struct vcpu *vcpu, const struct regs_sync_debug *debug)
{
	debug_registers_write(vcpu, debug->dr, debug->dr6, debug->dr7);
}

static void commit(struct vcpu *vcpu, uint32_t dirty)
{
	if ((dirty & REGS_SYNC_REGS) != 0)
		put_regs(vcpu, &copy.regs);
	if ((dirty & REGS_SYNC_SREGS) != 0)
		put_sregs(vcpu, &copy.sregs);
	if ((dirty & REGS_SYNC_EVENTS) != 0)
		put_events(vcpu, &copy.events);
	if ((dirty & REGS_SYNC_DEBUG) != 0)
		put_debug(vcpu, &copy.debug);
	/* One that halts goes on from its new state: VT-x refuses much of that in a CPU that halts. */
	if ((dirty & (REGS_SYNC_REGS | REGS_SYNC_SREGS | REGS_SYNC_EVENTS)) != 0)
		vendor->activity_changed(vcpu);
}

enum regs_sync_reason regs_sync_from_user(struct vcpu *vcpu, struct regs_sync *user)
{
	uint32_t dirty = *(volatile uint32_t *)&user->dirty;
	bool with_xsave = (dirty & REGS_SYNC_XSAVE) != 0;
	enum regs_sync_reason reason;

	if ((dirty & ~REGS_SYNC_ALL) != 0)
		return REGS_SYNC_SET_UNKNOWN;
	if (vcpu->activity != ACTIVITY_RUNNING)
		return REGS_SYNC_CPU_WAITS;
	/* It would take the new state for what its instruction has done. */
	if (vcpu->step_kind != 0)
		return REGS_SYNC_CPU_STEPS;
	lock_acquire(&copy_lock);
	take_copy(vcpu, user, dirty);
	reason = check_copy(with_xsave);
	if (reason == REGS_SYNC_OK && with_xsave)
		reason = try_xsave();
	if (reason == REGS_SYNC_OK) {
		commit(vcpu, dirty);
		user->dirty = 0;
	}
	lock_release(&copy_lock);
	return reason;
}
