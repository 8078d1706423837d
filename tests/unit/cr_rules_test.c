/* SPDX-License-Identifier: BSD-2-Clause */
// sources: arch/x86/cr_rules.c
/* The rules of the manuals, case by case. */
#include "arch/x86/cr_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct x86_limits limits = { .cr4 = BITS64(24, 0) & ~CR4_VMXE, .maxphyaddr = 46 };

static void cr3_has_reserved_bits_above_maxphyaddr(void **state)
{
	static const struct {
		uint64_t value, cr4;
		bool stored, lam, legal;
	} cases[] = {
		{ 0x1000, 0, false, false, true },
		{ BIT64(45) | 0xfff, 0, false, false, true },
		{ BIT64(46), 0, false, false, false },
		{ BIT64(62), 0, false, false, false },
		{ BIT64(62), 0, false, true, true },
		{ BIT64(61), 0, true, true, true },
		{ BIT64(60), 0, false, true, false },
		/* bit 63 asks not to flush; no register holds it */
		{ CR3_NOFLUSH | 5, 0, false, false, false },
		{ CR3_NOFLUSH | 5, CR4_PCIDE, false, false, true },
		{ CR3_NOFLUSH | 5, CR4_PCIDE, true, false, false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		struct x86_limits mine = limits;

		mine.lam = cases[i].lam;
		assert_int_equal(cr3_is_legal(cases[i].value, cases[i].cr4, cases[i].stored, &mine),
				 cases[i].legal);
	}
	assert_int_equal(cr3_stored(CR3_NOFLUSH | 0x1005), 0x1005);
	assert_int_equal(cr3_pcid(0x1005, CR4_PCIDE), 5);
	assert_int_equal(cr3_pcid(0x1005, 0), 0);
}

static void a_write_of_cr3_flushes_its_pcid(void **state)
{
	(void)state;
	assert_int_equal(cr3_write_flushes(0x1000, 0), TLB_PCID);
	assert_int_equal(cr3_write_flushes(0x1001, CR4_PCIDE), TLB_PCID);
	assert_int_equal(cr3_write_flushes(0x1001 | CR3_NOFLUSH, CR4_PCIDE), TLB_NOTHING);
}

static void cr4_changes_are_checked(void **state)
{
	const uint64_t pae = CR4_PAE, pcid = CR4_PAE | CR4_PCIDE;
	const uint64_t lma = EFER_LMA | EFER_LME;
	const struct {
		uint64_t old, value, cr0, cr3, efer;
		bool legal;
	} cases[] = {
		{ 0, CR4_PSE, 0, 0, 0, true },
		{ 0, CR4_VMXE, 0, 0, 0, false },
		{ 0, BIT64(15), 0, 0, 0, true }, /* these limits have it */
		{ 0, BIT64(40), 0, 0, 0, false },
		/* IA-32e mode needs PAE, and keeps LA57 */
		{ pae, 0, CR0_PG, 0, lma, false },
		{ pae, 0, CR0_PG, 0, EFER_LME, true },
		{ pae, pae | CR4_LA57, CR0_PG, 0, lma, false },
		{ pae | CR4_LA57, pae, CR0_PG, 0, lma, false },
		{ 0, CR4_LA57, 0, 0, 0, true },
		/* PCIDs: in IA-32e mode, from PCID 0 */
		{ pae, pcid, CR0_PG, 0x1000, lma, true },
		{ pae, pcid, CR0_PG, 0x1001, lma, false },
		{ pae, pcid, CR0_PG, 0x1000, 0, false },
		{ pcid, pcid, CR0_PG, 0x1001, lma, true },
		{ pcid, pae, CR0_PG, 0x1001, lma, true },
		/* CET needs WP */
		{ pae, pae | CR4_CET, CR0_PG, 0, lma, false },
		{ pae, pae | CR4_CET, CR0_PG | CR0_WP, 0, lma, true },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++)
		assert_int_equal(cr4_change_is_legal(cases[i].old, cases[i].value, cases[i].cr0,
						     cases[i].cr3, cases[i].efer, &limits),
				 cases[i].legal);
}

/* SDM: "Operations that Invalidate TLBs and Paging-Structure Caches", MOV to CR4. */
static void cr4_changes_flush(void **state)
{
	static const struct {
		uint64_t old, value;
		enum tlb_scope scope;
	} cases[] = {
		{ 0, 0, TLB_NOTHING },	       { CR4_PGE, 0, TLB_ALL },
		{ 0, CR4_PGE, TLB_ALL },       { CR4_PCIDE, 0, TLB_ALL },
		{ 0, CR4_PCIDE, TLB_NOTHING }, { 0, CR4_PAE, TLB_PCID },
		{ CR4_PAE, 0, TLB_PCID },      { 0, CR4_SMEP, TLB_PCID },
		{ CR4_SMEP, 0, TLB_NOTHING },  { 0, CR4_SMAP, TLB_NOTHING },
		{ CR4_PSE, 0, TLB_PCID },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++)
		assert_int_equal(cr4_change_flushes(cases[i].old, cases[i].value), cases[i].scope);
}

/* SDM: "INVPCID", exceptions and operation. */
static void invpcid_checks_type_and_descriptor(void **state)
{
	static const uint64_t bad = UINT64_C(0x0000800000000000);
	static const struct {
		uint64_t type, pcid, address, cr4;
		bool legal;
		enum tlb_scope scope;
	} cases[] = {
		{ 0, 5, 0x1000, CR4_PCIDE, true, TLB_ADDRESS },
		{ 0, 5, 0x1000, 0, false, 0 },
		{ 0, 0, 0x1000, 0, true, TLB_ADDRESS },
		{ 0, 0, bad, CR4_PCIDE, false, 0 },
		{ 0, 0, bad, CR4_PCIDE | CR4_LA57, true, TLB_ADDRESS },
		{ 0, 0x1000, 0, CR4_PCIDE, false, 0 },
		{ 1, 0xfff, bad, CR4_PCIDE, true, TLB_PCID },
		{ 1, 1, 0, 0, false, 0 },
		{ 1, 0, 0, 0, true, TLB_PCID },
		{ 1, BIT64(63), 0, CR4_PCIDE, false, 0 },
		{ 2, 7, bad, 0, true, TLB_ALL },
		{ 2, 0x1000, 0, 0, false, 0 },
		{ 3, 7, bad, 0, true, TLB_NOT_GLOBAL },
		{ 4, 0, 0, CR4_PCIDE, false, 0 },
		{ UINT64_MAX, 0, 0, CR4_PCIDE, false, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++) {
		const struct invpcid_descriptor descriptor = { cases[i].pcid, cases[i].address };
		enum tlb_scope scope = TLB_NOTHING;

		assert_int_equal(invpcid_is_legal(cases[i].type, &descriptor, cases[i].cr4, &scope),
				 cases[i].legal);
		assert_int_equal(scope, cases[i].scope);
	}
}

static void present_pdptes_have_reserved_bits(void **state)
{
	uint64_t pdptr[4] = { 0x1001, 0, 0, 0x2001 | BITS64(11, 9) | BITS64(4, 3) };

	(void)state;
	assert_true(pdptr_is_legal(pdptr, 46));
	pdptr[1] = UINT64_MAX & ~UINT64_C(1); /* not present */
	assert_true(pdptr_is_legal(pdptr, 46));
	for (unsigned bit = 1; bit < 64; bit++) {
		bool reserved = bit <= 2 || (bit >= 5 && bit <= 8) || bit >= 46;

		pdptr[2] = BIT64(bit) | 1;
		assert_int_equal(pdptr_is_legal(pdptr, 46), !reserved);
	}
}

/* SDM: "PDPTE Registers". */
static void pdptes_are_loaded_with_paging_and_cache_control(void **state)
{
	const uint64_t on = CR0_PE | CR0_PG;
	const struct {
		uint64_t old_cr0, cr0, old_cr4, cr4, efer;
		bool loads;
	} cases[] = {
		{ CR0_PE, on, CR4_PAE, CR4_PAE, 0, true },
		{ on, on | CR0_CD, CR4_PAE, CR4_PAE, 0, true },
		{ on | CR0_CD | CR0_NW, on | CR0_CD, CR4_PAE, CR4_PAE, 0, true },
		{ on, on | CR0_TS, CR4_PAE, CR4_PAE, 0, false },
		{ on, on, 0, CR4_PAE, 0, true },
		{ on, on, CR4_PAE, CR4_PAE | CR4_PGE, 0, true },
		{ on, on, CR4_PAE | CR4_PSE, CR4_PAE, 0, true },
		{ on, on, CR4_PAE, CR4_PAE | CR4_SMEP, 0, true },
		{ on, on, CR4_PAE, CR4_PAE | CR4_SMAP, 0, false },
		/* other paging modes have none */
		{ CR0_PE, on, CR4_PAE, CR4_PAE, EFER_LMA, false },
		{ CR0_PE, on, CR4_PSE, CR4_PSE, 0, false },
		{ on, CR0_PE, CR4_PAE, CR4_PAE, 0, false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_COUNT(cases); i++)
		assert_int_equal(pdptr_is_reloaded(cases[i].old_cr0, cases[i].cr0, cases[i].old_cr4,
						   cases[i].cr4, cases[i].efer),
				 cases[i].loads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cr3_has_reserved_bits_above_maxphyaddr),
		cmocka_unit_test(a_write_of_cr3_flushes_its_pcid),
		cmocka_unit_test(cr4_changes_are_checked),
		cmocka_unit_test(cr4_changes_flush),
		cmocka_unit_test(invpcid_checks_type_and_descriptor),
		cmocka_unit_test(present_pdptes_have_reserved_bits),
		cmocka_unit_test(pdptes_are_loaded_with_paging_and_cache_control),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
