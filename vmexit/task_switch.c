/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SDM: "Task Switching" names the steps and says which faults belong to which task. So the work has
 * three parts: prepare reads and checks everything and may fault in the old task; commit writes
 * memory and registers and cannot fail; qualify loads the segments, and its faults are the new
 * task's.
 */
#include "vmexit/task_switch.h"

#include "core/debug_loan.h"
#include "core/pdptr.h"
#include "core/string.h"
#include "core/vendor.h"
#include "vmexit/debug_met.h"
#include "vmexit/guest_memory.h"
#include "vmexit/step.h"

/* --- task state segments ------------------------------------------------------------------- */

#define TSS_MAX_BYTES  104u
#define TSS_LINK_BYTES 2u
#define TSS_TRAP       0x64u
#define TSS_TRAP_T     UINT32_C(1)

/* Offsets. GPRs lie in the order of their numbers, segments in that of enum segment_index. */
struct tss_layout {
	uint8_t bytes; /* the least size */
	uint8_t width; /* of a register */
	uint8_t ip, flags, gprs, segments, segment_count, ldt;
	uint8_t saved_end; /* what is saved reaches from ip to here */
	uint8_t loaded;	   /* what is loaded reaches from here to the end */
	uint8_t cr3;	   /* 0: there is none, nor a trap word */
};

/* SDM: "16-Bit Task-State Segment (TSS)". */
static const struct tss_layout tss16 = {
	.bytes = 44,
	.width = 2,
	.ip = 0x0e,
	.flags = 0x10,
	.gprs = 0x12,
	.segments = 0x22,
	.segment_count = 4,
	.saved_end = 0x2a,
	.loaded = 0x0e,
	.ldt = 0x2a,
};

/* SDM: "Task-State Segment (TSS)". */
static const struct tss_layout tss32 = {
	.bytes = TSS_MAX_BYTES,
	.width = 4,
	.cr3 = 0x1c,
	.ip = 0x20,
	.flags = 0x24,
	.gprs = 0x28,
	.segments = 0x48,
	.segment_count = 6,
	.saved_end = 0x60,
	.loaded = 0x1c,
	.ldt = 0x60,
};

#define TYPE_TSS_BUSY 0x2u
#define TYPE_TSS_32   0x8u

static const struct tss_layout *layout_of(uint32_t rights)
{
	return (rights & TYPE_TSS_32) != 0 ? &tss32 : &tss16;
}

static uint32_t get(const uint8_t *tss, unsigned offset, unsigned bytes)
{
	uint32_t value = 0;

	memcpy(&value, tss + offset, bytes);
	return value;
}

static void put(uint8_t *tss, unsigned offset, unsigned bytes, uint32_t value)
{
	memcpy(tss + offset, &value, bytes);
}

/* --- one switch ---------------------------------------------------------------------------- */

struct task_switch {
	struct vcpu *vcpu;
	const struct exit_info *exit;
	enum task_switch_source source;
	uint32_t external; /* bit EXT of the error codes */
	struct segment old_tr, new_tr;
	const struct tss_layout *old, *new;
	gva_t old_descriptor, new_descriptor;
	uint8_t saved[TSS_MAX_BYTES]; /* the old TSS, with the state to be written */
	uint8_t state[TSS_MAX_BYTES]; /* the new one */
	bool load_cr3, load_pdptr;
	uint64_t pdptr[4];
	unsigned cpl;  /* of the new task, unless it is in virtual-8086 mode */
	uint64_t met;  /* breakpoints in debug registers, as bits of DR6 */
	uint64_t trap; /* the guest's of them, and BT */
};

#define ERROR_EXTERNAL 1u

static bool has_link(const struct task_switch *ts)
{
	return ts->source == TASK_SWITCH_CALL || ts->source == TASK_SWITCH_GATE;
}

/* Each of the functions that return bool has raised an exception when it returns false. */

static bool raise_selector(const struct task_switch *ts, enum exception_vector vector,
			   uint16_t selector)
{
	uint32_t code = (uint32_t)(selector & ~SELECTOR_RPL);

	events_raise_error(ts->vcpu, vector, code | ts->external);
	return false;
}

static bool raise_fault(const struct task_switch *ts, const struct guest_fault *fault)
{
	if (fault->kind == GUEST_FAULT_PAGE)
		events_raise_pf(ts->vcpu, fault->address.v, fault->error_code);
	else
		events_raise_gp(ts->vcpu, ts->external);
	return false;
}

static gva_t at(uint64_t base, uint64_t offset)
{
	return (gva_t){ (uint32_t)(base + offset) };
}

/* The CPU would have made this access. */
static void touch(struct task_switch *ts, gva_t gva, unsigned bytes, bool write)
{
	ts->met |= debug_hardware_met(ts->vcpu, write ? DEBUG_TOUCH_WRITE : DEBUG_TOUCH_READ, gva.v,
				      bytes);
}

/* Once DR7 is another they would not be known as the guest's. */
static void settle_met(struct task_switch *ts)
{
	ts->trap |= debug_met_behind(ts->vcpu, ts->met);
	ts->met = 0;
}

/* Where there is no memory, reads give ones and writes are lost, as on an empty bus. */

static bool system_read(const struct task_switch *ts, gva_t gva, void *to, unsigned bytes)
{
	struct guest_fault fault;

	if (guest_read(ts->vcpu, gva, to, bytes, ACCESS_IMPLICIT, &fault))
		return true;
	if (fault.kind != GUEST_FAULT_NOT_MEMORY)
		return raise_fault(ts, &fault);
	memset(to, 0xff, bytes);
	return true;
}

static bool memory_write(const struct task_switch *ts, gva_t gva, const void *from, unsigned bytes,
			 unsigned access)
{
	struct guest_fault fault;

	return guest_write(ts->vcpu, gva, from, bytes, access, &fault) ||
	       fault.kind == GUEST_FAULT_NOT_MEMORY || raise_fault(ts, &fault);
}

static bool system_probe(const struct task_switch *ts, gva_t gva, unsigned bytes)
{
	struct guest_fault fault;

	return guest_write_probe(ts->vcpu, gva, bytes, ACCESS_IMPLICIT, &fault) ||
	       fault.kind == GUEST_FAULT_NOT_MEMORY || raise_fault(ts, &fault);
}

/* The write was probed: another CPU can still take the page away, and then loses the bytes. */
static void write_probed(const struct task_switch *ts, gva_t gva, const void *from, unsigned bytes)
{
	struct guest_fault fault;
	bool written = guest_write(ts->vcpu, gva, from, bytes, ACCESS_IMPLICIT, &fault);

	(void)written;
}

/* --- descriptors --------------------------------------------------------------------------- */

#define DESCRIPTOR_BYTES  8u
#define DESCRIPTOR_RIGHTS 5u /* the byte with type, S, DPL and P */

static bool is_null(uint16_t selector)
{
	return (selector & ~SELECTOR_RPL) == 0;
}

/* False: outside its table. Nothing is raised. */
static bool find_descriptor(struct vcpu *vcpu, uint16_t selector, gva_t *address)
{
	const struct segment *ldtr = segment_read(vcpu, SEGMENT_LDTR);
	struct table_register gdtr = gdtr_read(vcpu);
	bool is_local = (selector & SELECTOR_TI) != 0;
	uint32_t offset = (uint32_t)(selector & ~(SELECTOR_TI | SELECTOR_RPL));
	uint32_t limit = is_local ? ldtr->limit : gdtr.limit;

	if (is_local && (ldtr->rights & SEGMENT_UNUSABLE) != 0)
		return false;
	*address = at(is_local ? ldtr->base : gdtr.base, offset);
	return offset + DESCRIPTOR_BYTES - 1 <= limit;
}

static bool read_descriptor(struct task_switch *ts, uint16_t selector, gva_t address,
			    struct segment *segment)
{
	uint64_t descriptor;

	if (!system_read(ts, address, &descriptor, sizeof(descriptor)))
		return false;
	touch(ts, address, sizeof(descriptor), false);
	*segment = segment_from_descriptor(selector, &descriptor, false);
	return true;
}

/* --- prepare ------------------------------------------------------------------------------- */

/* SDM: "Exception Conditions Checked During a Task Switch", the first five. */
static bool prepare_new_tss(struct task_switch *ts)
{
	bool is_return = ts->source == TASK_SWITCH_IRET;
	enum exception_vector bad = is_return ? VECTOR_TS : VECTOR_GP;
	uint16_t selector = ts->exit->task.selector;
	uint32_t rights;

	if (is_null(selector) || (selector & SELECTOR_TI) != 0 ||
	    !find_descriptor(ts->vcpu, selector, &ts->new_descriptor))
		return raise_selector(ts, bad, selector);
	if (!read_descriptor(ts, selector, ts->new_descriptor, &ts->new_tr))
		return false;
	rights = ts->new_tr.rights;
	/* Types 1, 3, 9 and 11; bit 1 is the busy flag. */
	if ((rights & SEGMENT_S) != 0 || (rights & 5) != 1 ||
	    ((rights & TYPE_TSS_BUSY) != 0) != is_return)
		return raise_selector(ts, bad, selector);
	if ((rights & SEGMENT_P) == 0)
		return raise_selector(ts, VECTOR_NP, selector);
	ts->new = layout_of(rights);
	if (ts->new_tr.limit < ts->new->bytes - 1u)
		return raise_selector(ts, VECTOR_TS, selector);
	if (!system_read(ts, at(ts->new_tr.base, 0), ts->state, ts->new->bytes))
		return false;
	touch(ts, at(ts->new_tr.base, ts->new->loaded), ts->new->bytes - ts->new->loaded, false);
	return true;
}

/* What the old task's registers are after the instruction that switches. */
static void collect_state(struct task_switch *ts)
{
	struct vcpu *vcpu = ts->vcpu;
	const struct tss_layout *tss = ts->old;
	uint64_t flags = rflags_read(vcpu);
	unsigned i;

	/* The task that returns is no longer nested. */
	if (ts->source == TASK_SWITCH_IRET)
		flags &= ~RFLAGS_NT;
	put(ts->saved, tss->ip, tss->width, (uint32_t)(rip_read(vcpu) + ts->exit->task.insn_bytes));
	put(ts->saved, tss->flags, tss->width, (uint32_t)flags);
	for (i = 0; i < 8; i++)
		put(ts->saved, tss->gprs + i * tss->width, tss->width, (uint32_t)gpr_read(vcpu, i));
	/* A selector's upper half in a 32-bit TSS is reserved and stays. */
	for (i = 0; i < tss->segment_count; i++)
		put(ts->saved, tss->segments + i * tss->width, 2,
		    segment_read(vcpu, (enum segment_index)i)->selector);
}

static bool prepare_old_tss(struct task_switch *ts)
{
	const struct tss_layout *tss;
	unsigned bytes;

	ts->old_tr = *segment_read(ts->vcpu, SEGMENT_TR);
	ts->old = tss = layout_of(ts->old_tr.rights);
	bytes = (unsigned)(tss->saved_end - tss->ip);
	/*
	 * TR may hold what was never in the GDT (at reset): its descriptor is at its place all the
	 * same.
	 */
	ts->old_descriptor = at(gdtr_read(ts->vcpu).base, ts->old_tr.selector & UINT32_C(0xfff8));
	if (ts->old_tr.limit < tss->saved_end - 1u)
		return raise_selector(ts, VECTOR_TS, ts->old_tr.selector);
	if (!system_read(ts, at(ts->old_tr.base, tss->ip), ts->saved + tss->ip, bytes))
		return false;
	collect_state(ts);
	return system_probe(ts, at(ts->old_tr.base, tss->ip), bytes);
}

/* All other memory that commit will write. */
static bool prepare_marks(struct task_switch *ts)
{
	bool leaves_old = ts->source == TASK_SWITCH_JMP || ts->source == TASK_SWITCH_IRET;

	if (leaves_old && !system_probe(ts, at(ts->old_descriptor.v, DESCRIPTOR_RIGHTS), 1))
		return false;
	if (ts->source != TASK_SWITCH_IRET &&
	    !system_probe(ts, at(ts->new_descriptor.v, DESCRIPTOR_RIGHTS), 1))
		return false;
	return !has_link(ts) || system_probe(ts, at(ts->new_tr.base, 0), TSS_LINK_BYTES);
}

/* A reserved bit in a present entry is #GP(0), as for MOV to CR3. */
static bool prepare_pdptr(struct task_switch *ts, uint64_t cr3)
{
	if (pdptr_load(cr3, ts->pdptr))
		return true;
	events_raise_gp(ts->vcpu, ts->external);
	return false;
}

/*
 * CR3 is loaded only where it is in use. A fault here finds the old task whole, though the SDM
 * allows less.
 */
static bool prepare_cr3(struct task_switch *ts)
{
	ts->load_cr3 = ts->new->cr3 != 0 && (cr0_read(ts->vcpu) & CR0_PG) != 0;
	ts->load_pdptr = ts->load_cr3 && (cr4_read(ts->vcpu) & CR4_PAE) != 0;
	return !ts->load_pdptr || prepare_pdptr(ts, get(ts->state, ts->new->cr3, 4));
}

static bool prepare(struct task_switch *ts)
{
	return prepare_new_tss(ts) && prepare_old_tss(ts) && prepare_marks(ts) && prepare_cr3(ts);
}

/* --- commit: memory ------------------------------------------------------------------------ */

static void set_busy(struct task_switch *ts, gva_t descriptor, bool busy)
{
	gva_t address = at(descriptor.v, DESCRIPTOR_RIGHTS);
	struct guest_fault fault;
	uint8_t rights;

	if (!guest_read(ts->vcpu, address, &rights, 1, ACCESS_IMPLICIT, &fault))
		return;
	rights = (uint8_t)(busy ? rights | TYPE_TSS_BUSY : rights & ~TYPE_TSS_BUSY);
	write_probed(ts, address, &rights, 1);
	touch(ts, address, 1, true);
}

static void commit_memory(struct task_switch *ts)
{
	const struct tss_layout *old = ts->old;
	unsigned saved = (unsigned)(old->saved_end - old->ip);

	if (ts->source == TASK_SWITCH_JMP || ts->source == TASK_SWITCH_IRET)
		set_busy(ts, ts->old_descriptor, false);
	write_probed(ts, at(ts->old_tr.base, old->ip), ts->saved + old->ip, saved);
	touch(ts, at(ts->old_tr.base, old->ip), saved, true);
	if (has_link(ts)) {
		write_probed(ts, at(ts->new_tr.base, 0), &ts->old_tr.selector, TSS_LINK_BYTES);
		touch(ts, at(ts->new_tr.base, 0), TSS_LINK_BYTES, true);
	}
	if (ts->source == TASK_SWITCH_IRET) /* where the selector comes from */
		touch(ts, at(ts->old_tr.base, 0), TSS_LINK_BYTES, false);
	else
		set_busy(ts, ts->new_descriptor, true);
	/* A task may return to itself: what it finds is what was saved. */
	if (ts->old_tr.base == ts->new_tr.base)
		memcpy(ts->state + old->ip, ts->saved + old->ip, saved);
}

/* --- commit: registers --------------------------------------------------------------------- */

#define RFLAGS_LOADABLE	 UINT64_C(0x003f7fd5)
#define DR7_LOCAL	 UINT64_C(0x155) /* L0-L3 and LE */

/* Rights of data and stack in virtual-8086 mode, and of a flat code segment less its DPL. */
#define RIGHTS_VM86	 0xf3u
#define RIGHTS_FLAT_CODE (SEGMENT_G | SEGMENT_DB | SEGMENT_P | SEGMENT_S | 0xbu)

static void commit_flags(struct task_switch *ts)
{
	uint64_t flags = get(ts->state, ts->new->flags, ts->new->width) & RFLAGS_LOADABLE;

	if (has_link(ts))
		flags |= RFLAGS_NT;
	rflags_write(ts->vcpu, flags | RFLAGS_FIXED);
}

static uint16_t new_selector(const struct task_switch *ts, unsigned index)
{
	if (index >= ts->new->segment_count)
		return 0;
	return (uint16_t)get(ts->state, ts->new->segments + index * ts->new->width, 2);
}

/*
 * Selectors are the new task's at once, but the hidden parts only when their descriptors have been
 * found good. Until then a fault's delivery must find a state that VM entry accepts: CS is flat,
 * the others unusable, CPL is right.
 */
static void commit_selectors(struct task_switch *ts)
{
	uint32_t dpl;
	unsigned i;

	ts->cpl = new_selector(ts, SEGMENT_CS) & SELECTOR_RPL;
	dpl = ts->cpl << SEGMENT_DPL_SHIFT;
	for (i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		struct segment segment = { .selector = new_selector(ts, i),
					   .rights = SEGMENT_UNUSABLE | dpl };

		if (i == SEGMENT_CS) {
			segment.limit = UINT32_MAX;
			segment.rights = RIGHTS_FLAT_CODE | dpl;
		}
		segment_write(ts->vcpu, (enum segment_index)i, &segment);
	}
	segment_write(ts->vcpu, SEGMENT_LDTR,
		      &(struct segment){ .selector = (uint16_t)get(ts->state, ts->new->ldt, 2),
					 .rights = SEGMENT_UNUSABLE });
}

static void commit_vm86_segments(const struct task_switch *ts)
{
	unsigned i;

	for (i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		uint16_t selector = new_selector(ts, i);

		segment_write(ts->vcpu, (enum segment_index)i,
			      &(struct segment){ .selector = selector,
						 .base = (uint64_t)selector << 4,
						 .limit = 0xffff,
						 .rights = RIGHTS_VM86 });
	}
}

static void commit_gprs(struct task_switch *ts)
{
	const struct tss_layout *tss = ts->new;
	/* SDM: "Mixing 16-Bit and 32-Bit TSSs": undefined; ones is what emulated CPUs show. */
	uint32_t upper = tss->width == 2 ? UINT32_C(0xffff0000) : 0;
	unsigned i;

	for (i = 0; i < 8; i++)
		gpr_write(ts->vcpu, i,
			  get(ts->state, tss->gprs + i * tss->width, tss->width) | upper);
}

static void commit_cr3(struct task_switch *ts)
{
	if (!ts->load_cr3)
		return;
	cr3_write(ts->vcpu, get(ts->state, ts->new->cr3, 4));
	if (ts->load_pdptr)
		pdptr_write(ts->vcpu, ts->pdptr);
	vendor->flush_linear(ts->vcpu);
}

static void commit_registers(struct task_switch *ts)
{
	struct vcpu *vcpu = ts->vcpu;

	ts->new_tr.rights |= TYPE_TSS_BUSY;
	segment_write(vcpu, SEGMENT_TR, &ts->new_tr);
	cr0_write(vcpu, cr0_read(vcpu) | CR0_TS);
	commit_cr3(ts);
	commit_flags(ts);
	rip_write(vcpu, get(ts->state, ts->new->ip, ts->new->width));
	commit_gprs(ts);
	dr7_write(vcpu, dr7_read(vcpu) & ~DR7_LOCAL);
	interrupt_shadow_write(vcpu, 0);
	commit_selectors(ts);
	if ((rflags_read(vcpu) & RFLAGS_VM) != 0)
		commit_vm86_segments(ts);
}

/* --- qualify ------------------------------------------------------------------------------- */

#define TYPE_WRITABLE	 0x2u /* of data */
#define TYPE_READABLE	 0x2u /* of code */
#define TYPE_EXPAND_DOWN 0x4u
#define TYPE_CONFORMING	 0x4u

static bool is_code(const struct segment *segment)
{
	return (segment->rights & SEGMENT_TYPE_CODE) != 0;
}

/* The descriptor of a code or data segment; all that is wrong with it so far is #TS. */
static bool load_descriptor(struct task_switch *ts, uint16_t selector, gva_t *address,
			    struct segment *segment)
{
	if (!find_descriptor(ts->vcpu, selector, address))
		return raise_selector(ts, VECTOR_TS, selector);
	if (!read_descriptor(ts, selector, *address, segment))
		return false;
	if ((segment->rights & SEGMENT_S) == 0)
		return raise_selector(ts, VECTOR_TS, selector);
	return true;
}

/*
 * The descriptor is good: mark it accessed, in memory too, and make it the register's hidden part.
 */
static bool accept_descriptor(struct task_switch *ts, enum segment_index index, gva_t address,
			      struct segment *segment)
{
	uint8_t rights;

	if ((segment->rights & SEGMENT_TYPE_ACCESSED) == 0) {
		segment->rights |= SEGMENT_TYPE_ACCESSED;
		rights = (uint8_t)segment->rights;
		if (!memory_write(ts, at(address.v, DESCRIPTOR_RIGHTS), &rights, 1,
				  ACCESS_IMPLICIT))
			return false;
		touch(ts, at(address.v, DESCRIPTOR_RIGHTS), 1, true);
	}
	segment_write(ts->vcpu, index, segment);
	return true;
}

static bool qualify_ldt(struct task_switch *ts)
{
	uint16_t selector = segment_read(ts->vcpu, SEGMENT_LDTR)->selector;
	struct segment segment;
	gva_t address;

	if (is_null(selector))
		return true;
	if ((selector & SELECTOR_TI) != 0 || !find_descriptor(ts->vcpu, selector, &address))
		return raise_selector(ts, VECTOR_TS, selector);
	if (!read_descriptor(ts, selector, address, &segment))
		return false;
	if ((segment.rights & (SEGMENT_S | SEGMENT_TYPE | SEGMENT_P)) !=
	    (SEGMENT_TYPE_LDT | SEGMENT_P))
		return raise_selector(ts, VECTOR_TS, selector);
	segment_write(ts->vcpu, SEGMENT_LDTR, &segment);
	return true;
}

static bool qualify_code(struct task_switch *ts)
{
	uint16_t selector = segment_read(ts->vcpu, SEGMENT_CS)->selector;
	struct segment segment;
	gva_t address;
	bool is_allowed;

	if (is_null(selector))
		return raise_selector(ts, VECTOR_TS, selector);
	if (!load_descriptor(ts, selector, &address, &segment))
		return false;
	is_allowed = (segment.rights & TYPE_CONFORMING) != 0 ? segment_dpl(&segment) <= ts->cpl
							     : segment_dpl(&segment) == ts->cpl;
	if (!is_code(&segment) || !is_allowed)
		return raise_selector(ts, VECTOR_TS, selector);
	if ((segment.rights & SEGMENT_P) == 0)
		return raise_selector(ts, VECTOR_NP, selector);
	return accept_descriptor(ts, SEGMENT_CS, address, &segment);
}

static bool qualify_stack(struct task_switch *ts)
{
	uint16_t selector = segment_read(ts->vcpu, SEGMENT_SS)->selector;
	struct segment segment;
	gva_t address;

	if (is_null(selector))
		return raise_selector(ts, VECTOR_TS, selector);
	if (!load_descriptor(ts, selector, &address, &segment))
		return false;
	if (is_code(&segment) || (segment.rights & TYPE_WRITABLE) == 0)
		return raise_selector(ts, VECTOR_TS, selector);
	if ((segment.rights & SEGMENT_P) == 0)
		return raise_selector(ts, VECTOR_SS, selector);
	if (segment_dpl(&segment) != ts->cpl || (selector & SELECTOR_RPL) != ts->cpl)
		return raise_selector(ts, VECTOR_TS, selector);
	return accept_descriptor(ts, SEGMENT_SS, address, &segment);
}

static bool qualify_data(struct task_switch *ts, enum segment_index index)
{
	uint16_t selector = segment_read(ts->vcpu, index)->selector;
	struct segment segment;
	gva_t address;
	unsigned dpl;

	if (is_null(selector))
		return true;
	if (!load_descriptor(ts, selector, &address, &segment))
		return false;
	if (is_code(&segment) && (segment.rights & TYPE_READABLE) == 0)
		return raise_selector(ts, VECTOR_TS, selector);
	dpl = segment_dpl(&segment);
	if (!(is_code(&segment) && (segment.rights & TYPE_CONFORMING) != 0) &&
	    (ts->cpl > dpl || (selector & SELECTOR_RPL) > dpl))
		return raise_selector(ts, VECTOR_TS, selector);
	if ((segment.rights & SEGMENT_P) == 0)
		return raise_selector(ts, VECTOR_NP, selector);
	return accept_descriptor(ts, index, address, &segment);
}

/* Whether a push of `bytes` at `offset` stays in the stack segment. SDM: "Limit Checking". */
static bool is_in_stack(const struct segment *stack, uint32_t offset, unsigned bytes)
{
	uint32_t top = (stack->rights & SEGMENT_DB) != 0 ? UINT32_MAX : 0xffff;
	uint64_t last = (uint64_t)offset + bytes - 1;

	if ((stack->rights & TYPE_EXPAND_DOWN) != 0)
		return offset > stack->limit && last <= top;
	return last <= stack->limit;
}

/* A fault that came through a task gate finds its error code on the new task's stack. */
static bool push_error_code(struct task_switch *ts)
{
	const struct segment *stack = segment_read(ts->vcpu, SEGMENT_SS);
	uint32_t mask = (stack->rights & SEGMENT_DB) != 0 ? UINT32_MAX : 0xffff;
	uint32_t esp = (uint32_t)gpr_read(ts->vcpu, REG_RSP);
	uint32_t pushed = (esp - ts->new->width) & mask;

	if (ts->source != TASK_SWITCH_GATE || !ts->exit->task.has_error)
		return true;
	if (!is_in_stack(stack, pushed, ts->new->width))
		return raise_selector(ts, VECTOR_SS, 0);
	if (!memory_write(ts, at(stack->base, pushed), &ts->exit->task.error_code, ts->new->width,
			  0))
		return false;
	touch(ts, at(stack->base, pushed), ts->new->width, true);
	gpr_write(ts->vcpu, REG_RSP, (esp & ~mask) | pushed);
	return true;
}

static bool qualify_segments(struct task_switch *ts)
{
	if (!qualify_ldt(ts))
		return false;
	if ((rflags_read(ts->vcpu) & RFLAGS_VM) != 0)
		return true;
	return qualify_code(ts) && qualify_stack(ts) && qualify_data(ts, SEGMENT_DS) &&
	       qualify_data(ts, SEGMENT_ES) && qualify_data(ts, SEGMENT_FS) &&
	       qualify_data(ts, SEGMENT_GS);
}

/* --- the event behind a gate --------------------------------------------------------------- */

/* SDM: "Error Code": EXT is clear only for INT n, INT3 and INTO; INT1 alone has a length and EXT. */
static uint32_t external_bit(const struct vcpu *vcpu, const struct exit_info *exit)
{
	const struct event *event = &vcpu->events.pending;

	if (exit->task.source != TASK_SWITCH_GATE)
		return 0;
	if (event->valid && event->type == EVENT_PRIVILEGED_SOFT_EXCEPTION)
		return ERROR_EXTERNAL;
	return exit->task.insn_bytes == 0 ? ERROR_EXTERNAL : 0;
}

/*
 * The new task is its handler: it is delivered. An exception stays until the segments are loaded,
 * since a fault in that is one during its delivery, perhaps a double fault.
 */
static void retire_event(const struct task_switch *ts, bool is_done)
{
	struct events *events = &ts->vcpu->events;

	if (ts->source == TASK_SWITCH_IRET)
		nmi_blocked_write(ts->vcpu, false);
	if (ts->source != TASK_SWITCH_GATE || !events->pending.valid)
		return;
	if (events->pending.type == EVENT_NMI)
		nmi_blocked_write(ts->vcpu, true);
	if (is_done || events->pending.type != EVENT_EXCEPTION)
		events->pending.valid = false;
}

enum exit_verdict task_switch_exit(struct vcpu *vcpu, const struct exit_info *exit)
{
	struct task_switch ts = {
		.vcpu = vcpu,
		.exit = exit,
		.source = exit->task.source,
		.external = external_bit(vcpu, exit),
	};
	bool is_good;

	step_drop_frames(vcpu);
	if (!prepare(&ts))
		return VERDICT_RESUME;
	commit_memory(&ts);
	settle_met(&ts);
	commit_registers(&ts);
	retire_event(&ts, false);
	is_good = qualify_segments(&ts) && push_error_code(&ts);
	settle_met(&ts);
	/* A fault of the new task takes the place of its traps. */
	if (!is_good)
		return VERDICT_RESUME;
	retire_event(&ts, true);
	/* The debug trap precedes the new task's first instruction. */
	if (ts.new->cr3 != 0 && (get(ts.state, TSS_TRAP, 4) & TSS_TRAP_T) != 0)
		ts.trap |= DR6_BT;
	if (ts.trap != 0)
		events_raise_db(vcpu, ts.trap);
	return VERDICT_RESUME;
}
