/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/regs_check.h"

#include "arch/x86/cr.h"
#include "arch/x86/cr_rules.h"
#include "arch/x86/xsave.h"
#include "core/events.h"
#include "core/string.h"

#define REFUSE_IF(condition, name)               \
	do {                                     \
		if (condition)                   \
			return REGS_SYNC_##name; \
	} while (0)

/* Go on unless something is wrong already. */
#define CHECK(call)                                     \
	do {                                            \
		enum regs_sync_reason reason_ = (call); \
                                                        \
		if (reason_ != REGS_SYNC_OK)            \
			return reason_;                 \
	} while (0)

#define RFLAGS_RESERVED (BITS64(63, 22) | BIT64(15) | BIT64(5) | BIT64(3))
#define VECTORS(a)	BIT32(VECTOR_##a)

static bool is_long(const struct regs_sync *state)
{
	return (state->sregs.efer & EFER_LMA) != 0;
}

static bool is_protected(const struct regs_sync *state)
{
	return (state->sregs.cr0 & CR0_PE) != 0;
}

static bool is_vm86(const struct regs_sync *state)
{
	return (state->regs.rflags & RFLAGS_VM) != 0;
}

/* --- REGS ---------------------------------------------------------------------------------- */

static enum regs_sync_reason check_regs(const struct regs_sync *state)
{
	const struct regs_sync_sregs *sregs = &state->sregs;
	bool is_64bit = is_long(state) && (sregs->segments[SEGMENT_CS].rights & SEGMENT_L) != 0;
	unsigned bits = (sregs->cr4 & CR4_LA57) != 0 ? 57 : 48;

	REFUSE_IF(is_64bit && !is_canonical(state->regs.rip, bits), RIP_NOT_CANONICAL);
	REFUSE_IF(!is_64bit && state->regs.rip >> 32 != 0, RIP_ABOVE_4G);
	REFUSE_IF((state->regs.rflags & RFLAGS_RESERVED) != 0, RFLAGS_RESERVED);
	REFUSE_IF((state->regs.rflags & RFLAGS_FIXED) == 0, RFLAGS_RESERVED);
	REFUSE_IF(is_vm86(state) && (is_long(state) || !is_protected(state)), RFLAGS_VM_MODE);
	return REGS_SYNC_OK;
}

/* --- SREGS --------------------------------------------------------------------------------- */

static enum regs_sync_reason check_control(const struct regs_sync_sregs *sregs,
					   const struct x86_limits *limits)
{
	uint64_t cr0 = sregs->cr0, cr4 = sregs->cr4, efer = sregs->efer;
	bool lma = (efer & EFER_LMA) != 0;

	REFUSE_IF((cr0 & ~CR0_DEFINED) != 0 || (cr0 & CR0_ET) == 0, CR0_RESERVED);
	REFUSE_IF((cr0 & CR0_PG) != 0 && (cr0 & CR0_PE) == 0, CR0_PG_WITHOUT_PE);
	REFUSE_IF((cr0 & CR0_NW) != 0 && (cr0 & CR0_CD) == 0, CR0_NW_WITHOUT_CD);
	REFUSE_IF((efer & ~limits->efer) != 0, EFER_RESERVED);
	REFUSE_IF(lma != ((efer & EFER_LME) != 0 && (cr0 & CR0_PG) != 0), EFER_LMA_WRONG);
	REFUSE_IF(lma && (cr4 & CR4_PAE) == 0, EFER_LMA_WITHOUT_PAE);
	REFUSE_IF((cr4 & ~limits->cr4) != 0, CR4_RESERVED);
	REFUSE_IF((cr4 & CR4_PCIDE) != 0 && !lma, CR4_PCIDE_OUTSIDE_LONG_MODE);
	REFUSE_IF((cr4 & CR4_CET) != 0 && (cr0 & CR0_WP) == 0, CR4_CET_WITHOUT_WP);
	REFUSE_IF(!cr3_is_legal(sregs->cr3, cr4, true, limits), CR3_RESERVED);
	REFUSE_IF(sregs->cr8 > 15, CR8_RESERVED);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_pdptr(const struct regs_sync_sregs *sregs,
					 const struct regs_check_env *env)
{
	REFUSE_IF(sregs->pdptr_valid > 1, FLAG);
	if (sregs->pdptr_valid == 0)
		return REGS_SYNC_OK;
	REFUSE_IF(!is_pae_paging(sregs->cr0, sregs->cr4, sregs->efer), PDPTR_WITHOUT_PAE);
	/* Under nested paging on AMD-V they are looked at when they are used. */
	REFUSE_IF(env->vmx && !pdptr_is_legal(sregs->pdptr, env->limits->maxphyaddr),
		  PDPTR_RESERVED);
	return REGS_SYNC_OK;
}

#define RIGHTS_DEFINED UINT32_C(0x1f0ff)

static bool is_usable(const struct segment *segment)
{
	return (segment->rights & SEGMENT_UNUSABLE) == 0;
}

/* Without meaning there, so that nothing is lost: the VMCB has no such flag, and keeps the CPL beside SS. */
static enum regs_sync_reason check_unusable(const struct segment *segment, enum segment_index index,
					    const struct regs_check_env *env)
{
	uint32_t more = segment->rights & ~SEGMENT_UNUSABLE;

	if (index == SEGMENT_SS)
		more &= ~SEGMENT_DPL;
	REFUSE_IF(!env->vmx && more != 0, SEGMENT_RESERVED);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_base(const struct regs_sync *state, enum segment_index index,
					const struct regs_check_env *env)
{
	const struct segment *segment = &state->sregs.segments[index];
	bool has_64bits = index == SEGMENT_FS || index == SEGMENT_GS || index == SEGMENT_TR ||
			  (index == SEGMENT_LDTR && is_usable(segment));

	if (has_64bits)
		REFUSE_IF(!is_canonical(segment->base, env->limits->canonical_bits), SEGMENT_BASE);
	else if (index == SEGMENT_CS || is_usable(segment))
		REFUSE_IF(env->vmx && segment->base >> 32 != 0, SEGMENT_BASE);
	return REGS_SYNC_OK;
}

/* Limit bits 11:0 not all ones: G is 0; bits 31:20 not all zeros: G is 1. */
static enum regs_sync_reason check_limit(const struct segment *segment)
{
	bool granular = (segment->rights & SEGMENT_G) != 0;

	REFUSE_IF(granular && (segment->limit & 0xfff) != 0xfff, SEGMENT_GRANULARITY);
	REFUSE_IF(!granular && segment->limit >> 20 != 0, SEGMENT_GRANULARITY);
	return REGS_SYNC_OK;
}

/* What a descriptor that is in use has, whatever it describes. */
static enum regs_sync_reason check_common(const struct segment *segment, bool system,
					  const struct regs_check_env *env)
{
	REFUSE_IF((segment->rights & ~RIGHTS_DEFINED) != 0, SEGMENT_RESERVED);
	REFUSE_IF(((segment->rights & SEGMENT_S) == 0) != system, SEGMENT_SYSTEM);
	REFUSE_IF((segment->rights & SEGMENT_P) == 0, SEGMENT_NOT_PRESENT);
	return env->vmx ? check_limit(segment) : REGS_SYNC_OK;
}

static enum regs_sync_reason check_code(const struct regs_sync *state,
					const struct regs_check_env *env)
{
	const struct segment *cs = &state->sregs.segments[SEGMENT_CS];
	uint32_t type = cs->rights & SEGMENT_TYPE;
	unsigned dpl = segment_dpl(cs), ss_dpl = segment_dpl(&state->sregs.segments[SEGMENT_SS]);
	const uint32_t big = SEGMENT_L | SEGMENT_DB, conforming = 4;

	REFUSE_IF(!is_usable(cs), SEGMENT_IS_UNUSABLE);
	CHECK(check_common(cs, false, env));
	REFUSE_IF(is_long(state) && (cs->rights & big) == big, SEGMENT_LONG_AND_BIG);
	/* Data of a flat real mode stays until a far jump. */
	REFUSE_IF((type & SEGMENT_TYPE_CODE) == 0 && type != 3, SEGMENT_WRONG_TYPE);
	if (!env->vmx)
		return REGS_SYNC_OK;
	REFUSE_IF((type & SEGMENT_TYPE_ACCESSED) == 0, SEGMENT_WRONG_TYPE);
	if (type == 3)
		REFUSE_IF(dpl != 0, SEGMENT_WRONG_DPL);
	else if ((type & conforming) == 0)
		REFUSE_IF(dpl != ss_dpl, SEGMENT_WRONG_DPL);
	else
		REFUSE_IF(dpl > ss_dpl, SEGMENT_WRONG_DPL);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_stack(const struct regs_sync *state,
					 const struct regs_check_env *env)
{
	const struct segment *ss = &state->sregs.segments[SEGMENT_SS];
	uint32_t type = ss->rights & SEGMENT_TYPE;
	uint32_t cs_type = state->sregs.segments[SEGMENT_CS].rights & SEGMENT_TYPE;

	REFUSE_IF((!is_protected(state) || (env->vmx && cs_type == 3)) && segment_dpl(ss) != 0,
		  SEGMENT_WRONG_DPL);
	if (!is_usable(ss))
		return check_unusable(ss, SEGMENT_SS, env);
	CHECK(check_common(ss, false, env));
	REFUSE_IF(env->vmx && type != 3 && type != 7, SEGMENT_WRONG_TYPE);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_data(const struct segment *segment, enum segment_index index,
					const struct regs_check_env *env)
{
	uint32_t type = segment->rights & SEGMENT_TYPE;
	const uint32_t readable = 2;

	if (!is_usable(segment))
		return check_unusable(segment, index, env);
	CHECK(check_common(segment, false, env));
	if (!env->vmx)
		return REGS_SYNC_OK;
	REFUSE_IF((type & SEGMENT_TYPE_ACCESSED) == 0, SEGMENT_WRONG_TYPE);
	REFUSE_IF((type & SEGMENT_TYPE_CODE) != 0 && (type & readable) == 0, SEGMENT_WRONG_TYPE);
	return REGS_SYNC_OK;
}

/* Code, stack and data in virtual-8086 mode. */
static enum regs_sync_reason check_vm86(const struct segment *segment, enum segment_index index,
					const struct regs_check_env *env)
{
	const uint32_t rights = SEGMENT_P | SEGMENT_DPL | SEGMENT_S | 3;

	/* AMD-V asks for the privilege level alone. */
	REFUSE_IF(index == SEGMENT_SS && segment_dpl(segment) != 3, SEGMENT_VM86);
	if (!env->vmx)
		return check_data(segment, index, env);
	REFUSE_IF(segment->base != (uint64_t)segment->selector << 4, SEGMENT_VM86);
	REFUSE_IF(segment->limit != 0xffff || segment->rights != rights, SEGMENT_VM86);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_tr(const struct regs_sync *state,
				      const struct regs_check_env *env)
{
	const struct segment *tr = &state->sregs.segments[SEGMENT_TR];
	uint32_t type = tr->rights & SEGMENT_TYPE;

	if (!env->vmx) /* firmware has none */
		return is_usable(tr) ? check_common(tr, true, env)
				     : check_unusable(tr, SEGMENT_TR, env);
	REFUSE_IF(!is_usable(tr), SEGMENT_IS_UNUSABLE);
	REFUSE_IF((tr->selector & SELECTOR_TI) != 0, SEGMENT_SELECTOR);
	CHECK(check_common(tr, true, env));
	REFUSE_IF(type != SEGMENT_TYPE_TSS_BUSY &&
			  (is_long(state) || type != SEGMENT_TYPE_TSS16_BUSY),
		  SEGMENT_WRONG_TYPE);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_ldtr(const struct segment *ldtr,
					const struct regs_check_env *env)
{
	if (!is_usable(ldtr))
		return check_unusable(ldtr, SEGMENT_LDTR, env);
	REFUSE_IF((ldtr->selector & SELECTOR_TI) != 0, SEGMENT_SELECTOR);
	CHECK(check_common(ldtr, true, env));
	REFUSE_IF((ldtr->rights & SEGMENT_TYPE) != SEGMENT_TYPE_LDT, SEGMENT_WRONG_TYPE);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_segments(const struct regs_sync *state,
					    const struct regs_check_env *env)
{
	const struct segment *segments = state->sregs.segments;

	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		CHECK(check_base(state, (enum segment_index)i, env));
	CHECK(check_tr(state, env));
	CHECK(check_ldtr(&segments[SEGMENT_LDTR], env));
	if (!is_vm86(state)) {
		CHECK(check_code(state, env));
		CHECK(check_stack(state, env));
	}
	for (unsigned i = 0; i <= SEGMENT_GS; i++) {
		if (is_vm86(state))
			CHECK(check_vm86(&segments[i], (enum segment_index)i, env));
		else if (i != SEGMENT_CS && i != SEGMENT_SS)
			CHECK(check_data(&segments[i], (enum segment_index)i, env));
	}
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_sregs(const struct regs_sync *state,
					 const struct regs_check_env *env)
{
	const struct regs_sync_sregs *sregs = &state->sregs;

	CHECK(check_pdptr(sregs, env));
	REFUSE_IF(!is_canonical(sregs->gdtr.base, env->limits->canonical_bits), TABLE_BASE);
	REFUSE_IF(!is_canonical(sregs->idtr.base, env->limits->canonical_bits), TABLE_BASE);
	return check_segments(state, env);
}

/* --- EVENTS -------------------------------------------------------------------------------- */

static bool has_error_code(uint8_t vector)
{
	const uint32_t vectors = VECTORS(DF) | VECTORS(TS) | VECTORS(NP) | VECTORS(SS) |
				 VECTORS(GP) | VECTORS(PF) | VECTORS(AC) | VECTORS(CP) |
				 VECTORS(VC) | VECTORS(SX);

	return (BIT32(vector) & vectors) != 0;
}

/* INT3 and INTO are soft events; AMD-V has vectors of its own. */
static bool is_exception(uint8_t vector, const struct regs_check_env *env)
{
	const uint32_t amd = VECTORS(HV) | VECTORS(VC) | VECTORS(SX);
	const uint32_t both = VECTORS(DE) | VECTORS(DB) | VECTORS(BR) | VECTORS(UD) | VECTORS(NM) |
			      VECTORS(DF) | VECTORS(TS) | VECTORS(NP) | VECTORS(SS) | VECTORS(GP) |
			      VECTORS(PF) | VECTORS(MF) | VECTORS(AC) | VECTORS(MC) | VECTORS(XM) |
			      VECTORS(CP);
	const uint32_t intel = VECTORS(VE);

	/* An entry refuses its error code where CET is not. */
	if (vector == VECTOR_CP && (env->limits->cr4 & CR4_CET) == 0)
		return false;
	return vector < 32 && (BIT32(vector) & (both | (env->vmx ? intel : amd))) != 0;
}

static enum regs_sync_reason check_exception(const struct regs_sync *state,
					     const struct regs_check_env *env)
{
	const struct regs_sync_events *events = &state->events;
	const uint64_t db = DR6_BREAKPOINTS | DR6_ACTIVE_LOW | DR6_BD | DR6_BS | DR6_BT;

	REFUSE_IF(!is_exception(events->vector, env), EVENT_VECTOR);
	REFUSE_IF(events->has_error != 0 && !has_error_code(events->vector), EVENT_ERROR_CODE);
	/* Real mode has none. */
	REFUSE_IF(events->has_error == 0 && has_error_code(events->vector) && is_protected(state),
		  EVENT_ERROR_CODE);
	REFUSE_IF(events->has_error != 0 && events->error_code >> 16 != 0, EVENT_ERROR_BITS);
	if (events->has_payload == 0)
		return REGS_SYNC_OK;
	REFUSE_IF(events->vector != VECTOR_PF && events->vector != VECTOR_DF &&
			  events->vector != VECTOR_DB,
		  EVENT_PAYLOAD);
	REFUSE_IF(events->vector == VECTOR_DB && (events->payload & ~db) != 0, EVENT_PAYLOAD);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_soft(const struct regs_sync_events *events,
					const struct regs_check_env *env)
{
	/* AMD-V goes back to the instruction instead. */
	REFUSE_IF(!env->vmx, EVENT_TYPE);
	REFUSE_IF(events->type == EVENT_PRIVILEGED_SOFT_EXCEPTION && events->vector != VECTOR_DB,
		  EVENT_VECTOR);
	REFUSE_IF(events->type == EVENT_SOFT_EXCEPTION && events->vector != VECTOR_BP &&
			  events->vector != VECTOR_OF,
		  EVENT_VECTOR);
	REFUSE_IF(events->insn_bytes < 1 || events->insn_bytes > 15, EVENT_LENGTH);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_event(const struct regs_sync *state,
					 const struct regs_check_env *env)
{
	const struct regs_sync_events *events = &state->events;
	bool soft = events->type >= EVENT_SOFT_INTERRUPT;

	REFUSE_IF(events->type == 1 || events->type > EVENT_SOFT_EXCEPTION, EVENT_TYPE);
	REFUSE_IF(!soft && events->insn_bytes != 0, EVENT_LENGTH);
	if (events->type == EVENT_EXCEPTION)
		return check_exception(state, env);
	REFUSE_IF(events->has_error != 0, EVENT_ERROR_CODE);
	REFUSE_IF(events->has_payload != 0, EVENT_PAYLOAD);
	if (soft)
		return check_soft(events, env);
	if (events->type == EVENT_NMI) {
		REFUSE_IF(events->vector != VECTOR_NMI, EVENT_VECTOR);
		/*
		 * On AMD-V one whose delivery was interrupted blocks already. Some CPUs refuse an entry with STI's
		 * shadow as well.
		 */
		REFUSE_IF(env->vmx && (events->nmi_blocked != 0 || events->interrupt_shadow != 0),
			  EVENT_BLOCKED);
		return REGS_SYNC_OK;
	}
	REFUSE_IF((state->regs.rflags & RFLAGS_IF) == 0 || events->interrupt_shadow != 0,
		  EVENT_BLOCKED);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_shadow(const struct regs_sync *state,
					  const struct regs_check_env *env)
{
	uint32_t shadow = state->events.interrupt_shadow;
	uint32_t known = env->vmx ? SHADOW_STI | SHADOW_MOV_SS : SHADOW_STI;

	REFUSE_IF(shadow == (SHADOW_STI | SHADOW_MOV_SS), SHADOW_BOTH);
	REFUSE_IF((shadow & ~known) != 0, SHADOW_RESERVED);
	REFUSE_IF(env->vmx && shadow == SHADOW_STI && (state->regs.rflags & RFLAGS_IF) == 0,
		  SHADOW_STI_WITHOUT_IF);
	return REGS_SYNC_OK;
}

static enum regs_sync_reason check_events(const struct regs_sync *state,
					  const struct regs_check_env *env)
{
	const struct regs_sync_events *events = &state->events;

	REFUSE_IF(events->valid > 1 || events->has_error > 1 || events->has_payload > 1 ||
			  events->nmi_pending > 1 || events->nmi_blocked > 1,
		  FLAG);
	CHECK(check_shadow(state, env));
	return events->valid != 0 ? check_event(state, env) : REGS_SYNC_OK;
}

/* --- DEBUG --------------------------------------------------------------------------------- */

#define DR6_VARIABLE (DR6_BREAKPOINTS | DR6_ACTIVE_LOW | DR6_BD | DR6_BS | DR6_BT)
#define DR7_ZERO     (BITS64(63, 32) | BITS64(15, 14) | BIT64(12))

static enum regs_sync_reason check_debug(const struct regs_sync_debug *debug)
{
	REFUSE_IF((debug->dr6 & ~DR6_VARIABLE) != (DR6_INIT & ~DR6_VARIABLE), DR6_RESERVED);
	REFUSE_IF((debug->dr7 & DR7_ZERO) != 0 || (debug->dr7 & DR7_INIT) == 0, DR7_RESERVED);
	return REGS_SYNC_OK;
}

/* --- XSAVE --------------------------------------------------------------------------------- */

static enum regs_sync_reason check_xsave(const struct regs_sync_xsave *xsave_set,
					 const struct regs_check_env *env)
{
	const uint8_t *area = xsave_set->area;
	uint64_t header[8];
	uint32_t mxcsr;

	REFUSE_IF(env->limits->xcr0 == 0, XSAVE_ABSENT);
	REFUSE_IF(!xcr0_is_legal(xsave_set->xcr0, env->limits), XCR0_ILLEGAL);
	REFUSE_IF(xsave_set->bytes != xsave_bytes(xsave_set->xcr0, env->limits) ||
			  xsave_set->bytes > REGS_SYNC_XSAVE_BYTES,
		  XSAVE_SIZE);
	memcpy(header, area + XSAVE_HEADER, sizeof(header));
	memcpy(&mxcsr, area + XSAVE_MXCSR, sizeof(mxcsr));
	REFUSE_IF((header[0] & ~xsave_set->xcr0) != 0, XSAVE_COMPONENTS);
	for (unsigned i = 1; i < ARRAY_COUNT(header); i++)
		REFUSE_IF(header[i] != 0, XSAVE_HEADER_FORM);
	REFUSE_IF((mxcsr & ~env->mxcsr_mask) != 0, XSAVE_MXCSR_BITS);
	return REGS_SYNC_OK;
}

/* ------------------------------------------------------------------------------------------- */

enum regs_sync_reason regs_check_state(const struct regs_sync *state, bool with_xsave,
				       const struct regs_check_env *env)
{
	/* What the mode depends on comes first. */
	CHECK(check_control(&state->sregs, env->limits));
	CHECK(check_regs(state));
	CHECK(check_sregs(state, env));
	CHECK(check_events(state, env));
	CHECK(check_debug(&state->debug));
	return with_xsave ? check_xsave(&state->xsave, env) : REGS_SYNC_OK;
}
