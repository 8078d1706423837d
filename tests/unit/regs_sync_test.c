/* SPDX-License-Identifier: BSD-2-Clause */
// sources: core/regs_sync.c core/regs_check.c core/regs.c core/pdptr.c
// sources: arch/x86/cr_rules.c arch/x86/xsave.c
/* What a user may change of a vCPU: all of a set or nothing, with the reason. */
#include "core/regs_sync.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_user.h"

static struct regs_sync user;

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_unreachable();
}

static void start(bool vmx)
{
	fake_cpu_reset(vmx);
	memset(&user, 0, sizeof(user));
	user.valid = REGS_SYNC_ALL;
	regs_sync_to_user(&cpu.vcpu, &user);
	assert_int_equal(user.valid, REGS_SYNC_ALL);
	user.dirty = REGS_SYNC_ALL;
}

static int start_vmx(void **state)
{
	(void)state;
	start(true);
	return 0;
}

/* --- states to begin with ------------------------------------------------------------------ */

static struct segment *segment(enum segment_index index)
{
	return &user.sregs.segments[index];
}

static void real_mode(void)
{
	user.sregs.cr0 = CR0_ET;
	user.sregs.cr4 = 0;
	user.sregs.efer = 0;
	user.regs.rip = 0x7c00;
	for (unsigned i = 0; i <= SEGMENT_GS; i++)
		user.sregs.segments[i] = (struct segment){ 0, 0xffff, 0x93, 0 };
	segment(SEGMENT_CS)->rights = 0x9b;
}

static void protected_mode(void)
{
	user.sregs.cr0 &= ~CR0_PG;
	user.sregs.efer &= ~(EFER_LMA | EFER_LME);
	user.regs.rip = 0x401000;
	segment(SEGMENT_CS)->rights = 0xc09b;
}

static void pae_paging(void)
{
	protected_mode();
	user.sregs.cr0 |= CR0_PG;
	user.sregs.cr3 = 0x2000;
}

static void data_in_cs(void)
{
	real_mode();
	segment(SEGMENT_CS)->rights = 0x93;
}

static void with_ldt(void)
{
	*segment(SEGMENT_LDTR) = (struct segment){ 0x8000, 0xff, 0x82, 0x50 };
}

static void vm86(void)
{
	protected_mode();
	user.regs.rip = 0x7c00;
	user.regs.rflags |= RFLAGS_VM;
	for (unsigned i = 0; i <= SEGMENT_GS; i++)
		user.sregs.segments[i] = (struct segment){ 0x12340, 0xffff, 0xf3, 0x1234 };
}

static void user_mode(void)
{
	user.regs.rip = 0x401000;
	*segment(SEGMENT_CS) = (struct segment){ 0, UINT32_MAX, 0xa0fb, 0x33 };
	*segment(SEGMENT_SS) = (struct segment){ 0, UINT32_MAX, 0xc0f3, 0x2b };
}

static void event(enum event_type type, unsigned vector, bool has_error)
{
	user.events.valid = 1;
	user.events.type = (uint8_t)type;
	user.events.vector = (uint8_t)vector;
	user.events.has_error = has_error;
	user.events.insn_bytes = type >= EVENT_SOFT_INTERRUPT;
}

static void page_fault(void)
{
	event(EVENT_EXCEPTION, VECTOR_PF, true);
	user.events.error_code = 6;
	user.events.has_payload = 1;
	user.events.payload = 0x1234;
}

static void debug_trap(void)
{
	event(EVENT_EXCEPTION, VECTOR_DB, false);
	user.events.has_payload = 1;
	user.events.payload = DR6_BS | 3;
}

static void external(void)
{
	event(EVENT_EXTERNAL, 0x31, false);
}

static void nmi(void)
{
	event(EVENT_NMI, VECTOR_NMI, false);
}

static void int3(void)
{
	event(EVENT_SOFT_EXCEPTION, VECTOR_BP, false);
}

static void shadow_of_sti(void)
{
	user.events.interrupt_shadow = SHADOW_STI;
}

/* The area keeps SSE state, and there is no bit for it. */
static void only_x87(void)
{
	user.xsave.xcr0 = XCR0_X87;
	user.xsave.bytes = XSAVE_LEGACY_BYTES;
	user.xsave.area[XSAVE_XSTATE_BV] = 1;
	user.xsave.area[160] = 0x77;
}

static void avx512(void)
{
	user.xsave.xcr0 |= XCR0_AVX512;
	user.xsave.bytes = 2688;
}

/* --- malformed sets ------------------------------------------------------------------------ */

enum vendors { BOTH, VMX, SVM };

struct malformed {
	void (*base)(void); /* a good state to begin with, NULL: as it is */
	void *field;
	unsigned bytes;
	uint64_t and, or ; /* what makes it bad */
	enum regs_sync_reason reason;
	enum vendors vendors;
};

#define FIELD(name) &user.name, sizeof(user.name)
#define SEG(index, name) \
	&user.sregs.segments[SEGMENT_##index].name, sizeof(user.sregs.segments[0].name)
#define SET(bits)     UINT64_MAX, (bits)
#define CLEAR(bits)   ~(uint64_t)(bits), 0
#define VALUE(value)  0, (value)
#define NOT_CANONICAL UINT64_C(0x0800000000000000)

static const struct malformed malformed[] = {
	{ NULL, FIELD(dirty), SET(BIT32(5)), REGS_SYNC_SET_UNKNOWN, BOTH },
	{ NULL, FIELD(dirty), SET(BIT32(31)), REGS_SYNC_SET_UNKNOWN, BOTH },
	/* REGS */
	{ NULL, FIELD(regs.rip), VALUE(0x0000800000000000), REGS_SYNC_RIP_NOT_CANONICAL, BOTH },
	{ NULL, FIELD(regs.rip), VALUE(NOT_CANONICAL), REGS_SYNC_RIP_NOT_CANONICAL, BOTH },
	{ protected_mode, FIELD(regs.rip), VALUE(0x100000000), REGS_SYNC_RIP_ABOVE_4G, BOTH },
	{ real_mode, FIELD(regs.rip), SET(BIT64(63)), REGS_SYNC_RIP_ABOVE_4G, BOTH },
	{ NULL, FIELD(regs.rflags), CLEAR(RFLAGS_FIXED), REGS_SYNC_RFLAGS_RESERVED, BOTH },
	{ NULL, FIELD(regs.rflags), SET(BIT64(3)), REGS_SYNC_RFLAGS_RESERVED, BOTH },
	{ NULL, FIELD(regs.rflags), SET(BIT64(15)), REGS_SYNC_RFLAGS_RESERVED, BOTH },
	{ NULL, FIELD(regs.rflags), SET(BIT64(22)), REGS_SYNC_RFLAGS_RESERVED, BOTH },
	{ NULL, FIELD(regs.rflags), SET(BIT64(63)), REGS_SYNC_RFLAGS_RESERVED, BOTH },
	{ NULL, FIELD(regs.rflags), SET(RFLAGS_VM), REGS_SYNC_RFLAGS_VM_MODE, BOTH },
	{ real_mode, FIELD(regs.rflags), SET(RFLAGS_VM), REGS_SYNC_RFLAGS_VM_MODE, BOTH },
	/* CR0, CR4, EFER, CR3, CR8 */
	{ NULL, FIELD(sregs.cr0), SET(BIT64(32)), REGS_SYNC_CR0_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr0), SET(BIT64(6)), REGS_SYNC_CR0_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr0), CLEAR(CR0_ET), REGS_SYNC_CR0_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr0), CLEAR(CR0_PE), REGS_SYNC_CR0_PG_WITHOUT_PE, BOTH },
	{ protected_mode, FIELD(regs.rflags), SET(RFLAGS_VM), REGS_SYNC_SEGMENT_VM86, BOTH },
	{ real_mode, FIELD(sregs.cr0), SET(CR0_PG), REGS_SYNC_CR0_PG_WITHOUT_PE, BOTH },
	{ NULL, FIELD(sregs.cr0), SET(CR0_NW), REGS_SYNC_CR0_NW_WITHOUT_CD, BOTH },
	{ NULL, FIELD(sregs.cr0), CLEAR(CR0_PG), REGS_SYNC_EFER_LMA_WRONG, BOTH },
	{ NULL, FIELD(sregs.cr4), SET(CR4_VMXE), REGS_SYNC_CR4_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr4), SET(CR4_FRED), REGS_SYNC_CR4_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr4), SET(BIT64(63)), REGS_SYNC_CR4_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr4), CLEAR(CR4_PAE), REGS_SYNC_EFER_LMA_WITHOUT_PAE, BOTH },
	{ protected_mode, FIELD(sregs.cr4), SET(CR4_PCIDE), REGS_SYNC_CR4_PCIDE_OUTSIDE_LONG_MODE,
	  BOTH },
	{ real_mode, FIELD(sregs.cr4), SET(CR4_CET), REGS_SYNC_CR4_CET_WITHOUT_WP, BOTH },
	{ NULL, FIELD(sregs.efer), SET(EFER_SVME), REGS_SYNC_EFER_RESERVED, BOTH },
	{ NULL, FIELD(sregs.efer), SET(BIT64(1)), REGS_SYNC_EFER_RESERVED, BOTH },
	{ NULL, FIELD(sregs.efer), CLEAR(EFER_LMA), REGS_SYNC_EFER_LMA_WRONG, BOTH },
	{ NULL, FIELD(sregs.efer), CLEAR(EFER_LME), REGS_SYNC_EFER_LMA_WRONG, BOTH },
	{ protected_mode, FIELD(sregs.efer), SET(EFER_LMA), REGS_SYNC_EFER_LMA_WRONG, BOTH },
	{ NULL, FIELD(sregs.cr3), SET(BIT64(40)), REGS_SYNC_CR3_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr3), SET(CR3_NOFLUSH), REGS_SYNC_CR3_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr3), SET(CR3_LAM_U48), REGS_SYNC_CR3_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr8), VALUE(16), REGS_SYNC_CR8_RESERVED, BOTH },
	{ NULL, FIELD(sregs.cr8), SET(BIT64(63)), REGS_SYNC_CR8_RESERVED, BOTH },
	/* PDPTEs */
	{ NULL, FIELD(sregs.pdptr_valid), VALUE(1), REGS_SYNC_PDPTR_WITHOUT_PAE, BOTH },
	{ NULL, FIELD(sregs.pdptr_valid), VALUE(2), REGS_SYNC_FLAG, BOTH },
	{ protected_mode, FIELD(sregs.pdptr_valid), VALUE(1), REGS_SYNC_PDPTR_WITHOUT_PAE, BOTH },
	{ pae_paging, FIELD(sregs.cr3), VALUE(0x3000), REGS_SYNC_PDPTR_RESERVED, VMX },
	{ pae_paging, FIELD(sregs.pdptr_valid), VALUE(1), REGS_SYNC_PDPTR_MEMORY, SVM },
	/* descriptor tables and segments */
	{ NULL, FIELD(sregs.gdtr.base), VALUE(NOT_CANONICAL), REGS_SYNC_TABLE_BASE, BOTH },
	{ NULL, FIELD(sregs.idtr.base), VALUE(NOT_CANONICAL), REGS_SYNC_TABLE_BASE, BOTH },
	{ NULL, SEG(CS, rights), SET(SEGMENT_UNUSABLE), REGS_SYNC_SEGMENT_IS_UNUSABLE, BOTH },
	{ NULL, SEG(TR, rights), SET(SEGMENT_UNUSABLE), REGS_SYNC_SEGMENT_IS_UNUSABLE, VMX },
	{ NULL, SEG(TR, selector), SET(SELECTOR_TI), REGS_SYNC_SEGMENT_SELECTOR, VMX },
	{ with_ldt, SEG(LDTR, selector), SET(SELECTOR_TI), REGS_SYNC_SEGMENT_SELECTOR, BOTH },
	{ with_ldt, SEG(LDTR, base), VALUE(NOT_CANONICAL), REGS_SYNC_SEGMENT_BASE, BOTH },
	{ data_in_cs, SEG(CS, rights), SET(0x60), REGS_SYNC_SEGMENT_WRONG_DPL, VMX },
	{ NULL, SEG(FS, base), VALUE(NOT_CANONICAL), REGS_SYNC_SEGMENT_BASE, BOTH },
	{ NULL, SEG(GS, base), VALUE(NOT_CANONICAL), REGS_SYNC_SEGMENT_BASE, BOTH },
	{ NULL, SEG(TR, base), VALUE(NOT_CANONICAL), REGS_SYNC_SEGMENT_BASE, BOTH },
	{ NULL, SEG(CS, base), SET(BIT64(32)), REGS_SYNC_SEGMENT_BASE, VMX },
	{ NULL, SEG(SS, base), SET(BIT64(63)), REGS_SYNC_SEGMENT_BASE, VMX },
	{ NULL, SEG(DS, base), SET(BIT64(32)), REGS_SYNC_SEGMENT_BASE, VMX },
	{ NULL, SEG(CS, rights), SET(BIT32(8)), REGS_SYNC_SEGMENT_RESERVED, BOTH },
	{ NULL, SEG(DS, rights), SET(BIT32(31)), REGS_SYNC_SEGMENT_RESERVED, BOTH },
	{ NULL, SEG(LDTR, rights), SET(BIT32(3)), REGS_SYNC_SEGMENT_RESERVED, SVM },
	{ NULL, SEG(CS, rights), CLEAR(SEGMENT_S), REGS_SYNC_SEGMENT_SYSTEM, BOTH },
	{ NULL, SEG(SS, rights), CLEAR(SEGMENT_S), REGS_SYNC_SEGMENT_SYSTEM, BOTH },
	{ NULL, SEG(TR, rights), SET(SEGMENT_S), REGS_SYNC_SEGMENT_SYSTEM, BOTH },
	{ NULL, SEG(CS, rights), CLEAR(SEGMENT_P), REGS_SYNC_SEGMENT_NOT_PRESENT, BOTH },
	{ NULL, SEG(ES, rights), CLEAR(SEGMENT_P), REGS_SYNC_SEGMENT_NOT_PRESENT, BOTH },
	{ NULL, SEG(TR, rights), CLEAR(SEGMENT_P), REGS_SYNC_SEGMENT_NOT_PRESENT, BOTH },
	{ NULL, SEG(LDTR, rights), VALUE(0x80), REGS_SYNC_SEGMENT_WRONG_TYPE, BOTH },
	{ NULL, SEG(CS, rights), SET(SEGMENT_DB), REGS_SYNC_SEGMENT_LONG_AND_BIG, BOTH },
	{ NULL, SEG(CS, rights), VALUE(0xa091), REGS_SYNC_SEGMENT_WRONG_TYPE, BOTH },
	{ NULL, SEG(CS, rights), CLEAR(1), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(CS, rights), SET(0x60), REGS_SYNC_SEGMENT_WRONG_DPL, VMX },
	{ NULL, SEG(CS, rights), SET(0x64), REGS_SYNC_SEGMENT_WRONG_DPL, VMX },
	{ real_mode, SEG(SS, rights), SET(0x20), REGS_SYNC_SEGMENT_WRONG_DPL, SVM },
	{ real_mode, SEG(SS, rights), SET(0x60), REGS_SYNC_SEGMENT_WRONG_DPL, BOTH },
	{ NULL, SEG(SS, rights), SET(8), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(SS, rights), CLEAR(2), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(DS, rights), CLEAR(1), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(GS, rights), VALUE(0xc099), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(TR, rights), VALUE(0x89), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(TR, rights), VALUE(0x83), REGS_SYNC_SEGMENT_WRONG_TYPE, VMX },
	{ NULL, SEG(DS, limit), CLEAR(1), REGS_SYNC_SEGMENT_GRANULARITY, VMX },
	{ NULL, SEG(DS, rights), CLEAR(SEGMENT_G), REGS_SYNC_SEGMENT_GRANULARITY, VMX },
	{ NULL, SEG(TR, limit), SET(BIT32(20)), REGS_SYNC_SEGMENT_GRANULARITY, VMX },
	{ vm86, SEG(SS, rights), CLEAR(0x60), REGS_SYNC_SEGMENT_VM86, BOTH },
	{ vm86, SEG(ES, base), SET(1), REGS_SYNC_SEGMENT_VM86, VMX },
	{ vm86, SEG(CS, limit), VALUE(0xfffff), REGS_SYNC_SEGMENT_VM86, VMX },
	{ vm86, SEG(DS, rights), SET(8), REGS_SYNC_SEGMENT_VM86, VMX },
	/* EVENTS */
	{ NULL, FIELD(events.valid), VALUE(2), REGS_SYNC_FLAG, BOTH },
	{ NULL, FIELD(events.nmi_pending), VALUE(0xff), REGS_SYNC_FLAG, BOTH },
	{ NULL, FIELD(events.nmi_blocked), VALUE(3), REGS_SYNC_FLAG, BOTH },
	{ page_fault, FIELD(events.has_payload), VALUE(4), REGS_SYNC_FLAG, BOTH },
	{ page_fault, FIELD(events.type), VALUE(1), REGS_SYNC_EVENT_TYPE, BOTH },
	{ page_fault, FIELD(events.type), VALUE(7), REGS_SYNC_EVENT_TYPE, BOTH },
	{ int3, FIELD(events.type), VALUE(6), REGS_SYNC_EVENT_TYPE, SVM },
	{ page_fault, FIELD(events.vector), VALUE(32), REGS_SYNC_EVENT_VECTOR, BOTH },
	{ page_fault, FIELD(events.vector), VALUE(VECTOR_NMI), REGS_SYNC_EVENT_VECTOR, BOTH },
	{ page_fault, FIELD(events.vector), VALUE(15), REGS_SYNC_EVENT_VECTOR, BOTH },
	{ page_fault, FIELD(events.vector), VALUE(VECTOR_SX), REGS_SYNC_EVENT_VECTOR, VMX },
	{ page_fault, FIELD(events.vector), VALUE(VECTOR_VE), REGS_SYNC_EVENT_VECTOR, SVM },
	{ nmi, FIELD(events.vector), VALUE(3), REGS_SYNC_EVENT_VECTOR, BOTH },
	{ int3, FIELD(events.vector), VALUE(VECTOR_DB), REGS_SYNC_EVENT_VECTOR, VMX },
	{ int3, FIELD(events.type), VALUE(5), REGS_SYNC_EVENT_VECTOR, VMX },
	{ int3, FIELD(events.insn_bytes), VALUE(0), REGS_SYNC_EVENT_LENGTH, VMX },
	{ int3, FIELD(events.insn_bytes), VALUE(16), REGS_SYNC_EVENT_LENGTH, VMX },
	{ external, FIELD(events.insn_bytes), VALUE(1), REGS_SYNC_EVENT_LENGTH, BOTH },
	{ page_fault, FIELD(events.has_error), VALUE(0), REGS_SYNC_EVENT_ERROR_CODE, BOTH },
	{ debug_trap, FIELD(events.has_error), VALUE(1), REGS_SYNC_EVENT_ERROR_CODE, BOTH },
	{ external, FIELD(events.has_error), VALUE(1), REGS_SYNC_EVENT_ERROR_CODE, BOTH },
	{ page_fault, FIELD(events.error_code), SET(BIT32(16)), REGS_SYNC_EVENT_ERROR_BITS, BOTH },
	{ page_fault, FIELD(events.vector), VALUE(VECTOR_GP), REGS_SYNC_EVENT_PAYLOAD, BOTH },
	{ debug_trap, FIELD(events.payload), SET(BIT64(4)), REGS_SYNC_EVENT_PAYLOAD, BOTH },
	{ nmi, FIELD(events.has_payload), VALUE(1), REGS_SYNC_EVENT_PAYLOAD, BOTH },
	{ external, FIELD(regs.rflags), CLEAR(RFLAGS_IF), REGS_SYNC_EVENT_BLOCKED, BOTH },
	{ external, FIELD(events.interrupt_shadow), VALUE(1), REGS_SYNC_EVENT_BLOCKED, BOTH },
	{ nmi, FIELD(events.nmi_blocked), VALUE(1), REGS_SYNC_EVENT_BLOCKED, VMX },
	{ nmi, FIELD(events.interrupt_shadow), VALUE(SHADOW_MOV_SS), REGS_SYNC_EVENT_BLOCKED, VMX },
	{ nmi, FIELD(events.interrupt_shadow), VALUE(SHADOW_STI), REGS_SYNC_EVENT_BLOCKED, VMX },
	{ NULL, FIELD(events.interrupt_shadow), VALUE(4), REGS_SYNC_SHADOW_RESERVED, BOTH },
	{ NULL, FIELD(events.interrupt_shadow), VALUE(SHADOW_MOV_SS), REGS_SYNC_SHADOW_RESERVED,
	  SVM },
	{ shadow_of_sti, FIELD(regs.rflags), CLEAR(RFLAGS_IF), REGS_SYNC_SHADOW_STI_WITHOUT_IF,
	  VMX },
	{ NULL, FIELD(events.interrupt_shadow), VALUE(3), REGS_SYNC_SHADOW_BOTH, BOTH },
	/* DEBUG */
	{ NULL, FIELD(debug.dr6), SET(BIT64(32)), REGS_SYNC_DR6_RESERVED, BOTH },
	{ NULL, FIELD(debug.dr6), SET(BIT64(12)), REGS_SYNC_DR6_RESERVED, BOTH },
	{ NULL, FIELD(debug.dr6), CLEAR(BIT64(4)), REGS_SYNC_DR6_RESERVED, BOTH },
	{ NULL, FIELD(debug.dr7), SET(BIT64(32)), REGS_SYNC_DR7_RESERVED, BOTH },
	{ NULL, FIELD(debug.dr7), SET(BIT64(14)), REGS_SYNC_DR7_RESERVED, BOTH },
	{ NULL, FIELD(debug.dr7), CLEAR(DR7_INIT), REGS_SYNC_DR7_RESERVED, BOTH },
	/* XSAVE */
	{ NULL, FIELD(xsave.xcr0), CLEAR(XCR0_X87), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ NULL, FIELD(xsave.xcr0), CLEAR(XCR0_SSE), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ NULL, FIELD(xsave.xcr0), SET(XCR0_APX), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ NULL, FIELD(xsave.xcr0), SET(BIT64(63)), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ NULL, FIELD(xsave.xcr0), SET(BIT64(3)), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ NULL, FIELD(xsave.xcr0), SET(BIT64(17)), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ avx512, FIELD(xsave.xcr0), CLEAR(BIT64(6)), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ avx512, FIELD(xsave.xcr0), CLEAR(XCR0_AVX), REGS_SYNC_XCR0_ILLEGAL, BOTH },
	{ NULL, FIELD(xsave.xcr0), SET(XCR0_AVX512), REGS_SYNC_XSAVE_SIZE, BOTH },
	{ NULL, FIELD(xsave.bytes), VALUE(576), REGS_SYNC_XSAVE_SIZE, BOTH },
	{ NULL, FIELD(xsave.bytes), VALUE(UINT64_MAX), REGS_SYNC_XSAVE_SIZE, BOTH },
	{ NULL, FIELD(xsave.area[512]), SET(8), REGS_SYNC_XSAVE_COMPONENTS, BOTH },
	{ NULL, FIELD(xsave.area[519]), SET(0x80), REGS_SYNC_XSAVE_COMPONENTS, BOTH },
	{ NULL, FIELD(xsave.area[527]), SET(0x80), REGS_SYNC_XSAVE_HEADER_FORM, BOTH },
	{ NULL, FIELD(xsave.area[528]), SET(1), REGS_SYNC_XSAVE_HEADER_FORM, BOTH },
	{ NULL, FIELD(xsave.area[575]), SET(1), REGS_SYNC_XSAVE_HEADER_FORM, BOTH },
	{ NULL, FIELD(xsave.area[26]), SET(1), REGS_SYNC_XSAVE_MXCSR_BITS, BOTH },
	{ NULL, FIELD(xsave.area[0]), VALUE(FAKE_BAD_AREA), REGS_SYNC_XSAVE_REFUSED, BOTH },
};

_Static_assert(ARRAY_COUNT(malformed) >= 64, "so many malformed sets at least");

static void spoil(const struct malformed *row)
{
	uint64_t value = 0;

	memcpy(&value, row->field, row->bytes);
	value = (value & row->and) | row->or ;
	memcpy(row->field, &value, row->bytes);
}

static void check_refused(const struct malformed *row, unsigned index, bool vmx)
{
	static struct fake_cpu cpu_before;
	static struct regs_sync user_before;
	enum regs_sync_reason reason;

	start(vmx);
	if (row->base != NULL)
		row->base();
	spoil(row);
	cpu_before = cpu;
	user_before = user;
	fake_flushes = 0;
	reason = regs_sync_from_user(&cpu.vcpu, &user);
	if (reason != row->reason)
		fail_msg("row %u (%s): %s instead of %s", index, vmx ? "VT-x" : "AMD-V",
			 regs_sync_reason_text(reason), regs_sync_reason_text(row->reason));
	assert_memory_equal(&cpu, &cpu_before, sizeof(cpu));
	assert_memory_equal(&user, &user_before, sizeof(user));
	assert_int_equal(fake_flushes, 0);
}

static void malformed_sets_are_refused_and_change_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(malformed); i++) {
		if (malformed[i].vendors != SVM)
			check_refused(&malformed[i], i, true);
		if (malformed[i].vendors != VMX)
			check_refused(&malformed[i], i, false);
	}
}

static void every_reason_has_a_text_of_its_own(void **state)
{
	(void)state;
	for (unsigned i = 0; i < REGS_SYNC_REASON_COUNT; i++) {
		const char *text = regs_sync_reason_text((enum regs_sync_reason)i);

		assert_non_null(text);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(text,
						regs_sync_reason_text((enum regs_sync_reason)j));
	}
}

/* --- good sets ----------------------------------------------------------------------------- */

static void compare_with_cpu(void)
{
	static struct regs_sync again;

	memset(&again, 0, sizeof(again));
	again.valid = REGS_SYNC_ALL;
	regs_sync_to_user(&cpu.vcpu, &again);
	assert_memory_equal(&again.regs, &user.regs, sizeof(user.regs));
	assert_memory_equal(&again.sregs.segments, &user.sregs.segments,
			    sizeof(user.sregs.segments));
	assert_int_equal(again.sregs.cr0, user.sregs.cr0);
	assert_int_equal(again.sregs.cr3, user.sregs.cr3);
	assert_int_equal(again.sregs.cr4, user.sregs.cr4);
	assert_int_equal(again.sregs.efer, user.sregs.efer);
	assert_int_equal(again.sregs.cr8, user.sregs.cr8);
	assert_memory_equal(&again.events, &user.events, sizeof(user.events));
	assert_memory_equal(&again.debug, &user.debug, sizeof(user.debug));
	assert_int_equal(again.xsave.xcr0, user.xsave.xcr0);
	assert_memory_equal(again.xsave.area, user.xsave.area, user.xsave.bytes);
}

static void good_sets_are_accepted_whole(void **state)
{
	static void (*const states[])(void) = { real_mode, protected_mode, pae_paging, vm86,
						user_mode, page_fault,	   debug_trap, external,
						nmi,	   avx512,	   with_ldt,   data_in_cs,
						only_x87 };

	(void)state;
	for (unsigned i = 0; i < 2 * ARRAY_COUNT(states); i++) {
		start(i % 2 != 0);
		states[i / 2]();
		user.regs.gpr[i] = 0x1111111122222222 + i;
		user.debug.dr[i % 4] = 0x5000 + i;
		user.sregs.cr8 = i % 16;
		assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
		assert_int_equal(user.dirty, 0);
		assert_int_equal(cpu.vcpu.regs.dirty & ~cpu.vcpu.regs.available, 0);
		compare_with_cpu();
	}
}

static void only_dirty_sets_are_loaded(void **state)
{
	(void)state;
	user.dirty = REGS_SYNC_DEBUG;
	user.regs.rip = NOT_CANONICAL;
	user.sregs.cr0 = 0;
	user.events.type = 99;
	user.xsave.bytes = 1;
	user.debug.dr[2] = 0x1234;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	assert_int_equal(cpu.dr[2], 0x1234);
	assert_int_equal(cpu.vcpu.regs.rip, UINT64_C(0xffff800000001000));
	assert_int_equal(cpu.vcpu.regs.dirty, REG_BIT(REG_DR6) | REG_BIT(REG_DR7));
}

/* A set that would be good by itself does not fit to the rest of the state. */
static void the_whole_is_checked(void **state)
{
	(void)state;
	external();
	user.dirty = REGS_SYNC_EVENTS;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	user.regs.rflags = RFLAGS_FIXED;
	user.dirty = REGS_SYNC_REGS;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_EVENT_BLOCKED);
	assert_int_equal(user.dirty, REGS_SYNC_REGS);
}

static void a_payload_is_not_delivered_early(void **state)
{
	(void)state;
	page_fault();
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	assert_int_equal(cpu.vcpu.regs.cr2, 0);
	user.valid = REGS_SYNC_EVENTS | REGS_SYNC_SREGS;
	regs_sync_to_user(&cpu.vcpu, &user);
	assert_int_equal(user.events.payload, 0x1234);
	assert_int_equal(user.sregs.cr2, 0);
}

static void pdptes_come_from_memory_or_from_the_user(void **state)
{
	(void)state;
	pae_paging();
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	assert_int_equal(cpu.vcpu.regs.pdptr[1], 0x6001);
	user.dirty = REGS_SYNC_SREGS;
	user.sregs.pdptr_valid = 1;
	user.sregs.pdptr[1] = 0x9001;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	assert_int_equal(cpu.vcpu.regs.pdptr[1], 0x9001);
	assert_int_not_equal(fake_flushes, 0);
}

static void a_cpu_that_waits_is_left_alone(void **state)
{
	(void)state;
	cpu.vcpu.activity = ACTIVITY_WAIT_SIPI;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_CPU_WAITS);
}

static void a_cpu_that_is_stepped_is_left_alone(void **state)
{
	(void)state;
	fake_activations = 0;
	cpu.vcpu.step_kind = 1;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_CPU_STEPS);
	assert_int_equal(fake_activations, 0);
}

static void a_cpu_that_halts_goes_on_where_it_is_put(void **state)
{
	(void)state;
	fake_activations = 0;
	user.dirty = REGS_SYNC_DEBUG | REGS_SYNC_XSAVE;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	assert_int_equal(fake_activations, 0);
	user.dirty = REGS_SYNC_REGS;
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
	assert_int_equal(fake_activations, 1);
}

static void control_protection(void)
{
	event(EVENT_EXCEPTION, VECTOR_CP, true);
}

/* VT-x refuses an entry with its error code, and no AMD CPU without CET would deliver it. */
static void control_protection_needs_cet(void **state)
{
	const uint64_t cr4 = fake_limits.cr4;

	(void)state;
	for (unsigned vmx = 0; vmx < 2; vmx++) {
		start(vmx != 0);
		control_protection();
		assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_OK);
		fake_limits.cr4 &= ~CR4_CET;
		start(vmx != 0);
		control_protection();
		assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_EVENT_VECTOR);
		fake_limits.cr4 = cr4;
	}
}

static void a_cpu_without_xsave_has_no_such_set(void **state)
{
	struct regs_check_env env = { .vmx = true };
	static const struct x86_limits none = {
		.cr4 = UINT64_MAX, .efer = UINT64_MAX, .maxphyaddr = 40, .canonical_bits = 48
	};

	(void)state;
	env.limits = &none;
	regs_sync_init(&none);
	user.valid = REGS_SYNC_ALL;
	regs_sync_to_user(&cpu.vcpu, &user);
	assert_int_equal(user.valid, REGS_SYNC_ALL & ~REGS_SYNC_XSAVE);
	assert_int_equal(regs_sync_from_user(&cpu.vcpu, &user), REGS_SYNC_XSAVE_ABSENT);
	assert_int_equal(regs_check_state(&user, true, &env), REGS_SYNC_XSAVE_ABSENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(malformed_sets_are_refused_and_change_nothing, start_vmx),
		cmocka_unit_test(every_reason_has_a_text_of_its_own),
		cmocka_unit_test_setup(good_sets_are_accepted_whole, start_vmx),
		cmocka_unit_test_setup(only_dirty_sets_are_loaded, start_vmx),
		cmocka_unit_test_setup(the_whole_is_checked, start_vmx),
		cmocka_unit_test_setup(a_payload_is_not_delivered_early, start_vmx),
		cmocka_unit_test_setup(pdptes_come_from_memory_or_from_the_user, start_vmx),
		cmocka_unit_test_setup(a_cpu_that_waits_is_left_alone, start_vmx),
		cmocka_unit_test_setup(a_cpu_that_is_stepped_is_left_alone, start_vmx),
		cmocka_unit_test_setup(a_cpu_that_halts_goes_on_where_it_is_put, start_vmx),
		cmocka_unit_test_setup(control_protection_needs_cet, start_vmx),
		cmocka_unit_test_setup(a_cpu_without_xsave_has_no_such_set, start_vmx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
