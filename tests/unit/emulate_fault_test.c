/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/emulate.c vmexit/emulate_alu.c vmexit/emulate_form.c vmexit/emulate_operand.c
// sources: vmexit/emulate_string.c vmexit/guest_segment.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: arch/x86/debug.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* Exceptions of emulated instructions: each comes before any effect. */
#include "tests/unit/emulate_test.h"

/* --- faults --------------------------------------------------------------------------------- */

static void segment_faults(void **state)
{
	struct segment *ds = &vcpu.regs.segments[SEGMENT_DS];

	(void)state;
	*gpr(REG_RBX) = *gpr(REG_RBP) = TARGET;
	ds->limit = TARGET + 2;
	RAISES("\x89\x03", VECTOR_GP, 0);	  /* mov [ebx], eax */
	DONE("\x66\x89\x03");			  /* the last byte is inside still */
	RAISES("\x3e\x89\x45\x00", VECTOR_GP, 0); /* mov ds:[ebp], eax */
	vcpu.regs.segments[SEGMENT_SS].limit = TARGET + 2;
	RAISES("\x89\x45\x00", VECTOR_SS, 0);
	*ds = (struct segment){ .limit = TARGET - 1, .rights = 0xc097 }; /* expand-down */
	DONE("\x89\x03");
	ds->limit = TARGET;
	RAISES("\x89\x03", VECTOR_GP, 0);
	ds->limit = 0;
	ds->rights = 0x97; /* of 16 bits: ends at 64 KiB */
	*gpr(REG_RBX) = 0xfffd;
	RAISES("\x89\x03", VECTOR_GP, 0);
	*ds = flat(0x10, 0xc091); /* read-only */
	*gpr(REG_RBX) = TARGET;
	RAISES("\x89\x03", VECTOR_GP, 0);
	DONE("\x8b\x03");
	*ds = flat(0x08, 0xc099); /* code that cannot be read */
	RAISES("\x8b\x03", VECTOR_GP, 0);
	*ds = flat(0x08, 0xc09b); /* that can, but not written */
	*gpr(REG_RBX) = TARGET;
	DONE("\x8b\x0b");
	RAISES("\x89\x0b", VECTOR_GP, 0);
	ds->rights = SEGMENT_UNUSABLE;
	RAISES("\x8b\x03", VECTOR_GP, 0);
	/* Real mode: a word at the end of 64 KiB. */
	set_up(NULL);
	use_16bit();
	vcpu.regs.cr0 &= ~CR0_PE;
	vcpu.regs.segments[SEGMENT_DS].base = TARGET - 0xf000;
	*gpr(REG_RBX) = 0xffff;
	RAISES("\x89\x07", VECTOR_GP, 0); /* mov [bx], ax */
	*gpr(REG_RBX) = 0xfffe;
	DONE("\x89\x07");
}

static void canonical_faults(void **state)
{
	(void)state;
	use_64bit();
	/* Only one operand can be the frame, so the other is what is wrong. */
	*gpr(REG_RBX) = TARGET;
	*gpr(REG_RSP) = BIT64(47) + 4;
	RAISES("\xff\x33", VECTOR_SS, 0); /* the push ends outside */
	*gpr(REG_RSP) = BIT64(47) + 8;
	RAISES("\xff\x33", VECTOR_SS, 0);
	*gpr(REG_RSI) = TARGET;
	*gpr(REG_RDI) = BIT64(47) - 3;
	RAISES("\xa5", VECTOR_GP, 0);
	assert_int_equal(reads, 0);
	vcpu.regs.cr4 |= CR4_LA57;
	vcpu.regs.cr3 = 0x13000;
	store(0x13000, 8, PAGE_DIRECTORY | 7);
	*gpr(REG_RDI) = BIT64(56) - 3;
	RAISES("\xa5", VECTOR_GP, 0);
}

static void alignment_faults(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = TARGET + 2;
	vcpu.regs.rflags |= RFLAGS_AC;
	DONE("\x8b\x03");
	use_cpl3();
	*gpr(REG_RBX) = TARGET + 2;
	RAISES("\x8b\x03", VECTOR_AC, 0);
	DONE("\x66\x8b\x03");
	*gpr(REG_RBX) = TARGET + 4;
	RAISES("\x48\x8b\x03", VECTOR_AC, 0);
	RAISES("\x0f\xc7\x0b", VECTOR_AC, 0); /* cmpxchg8b */
	vcpu.regs.cr0 &= ~CR0_AM;
	DONE("\x48\x8b\x03");
}

static void page_faults(void **state)
{
	(void)state;
	page_32bit();
	store(PAGE_TABLE + 4 * 0xa, 4, 0xa001); /* read-only, behind the frame */
	*gpr(REG_RBX) = EDGE - 2;
	RAISES("\x01\x03", VECTOR_PF, PFERR_PRESENT | PFERR_WRITE);
	DONE("\x03\x03");
	*gpr(REG_RBX) = EDGE - 2;
	RAISES("\x0f\xb1\x0b", VECTOR_PF,
	       PFERR_PRESENT | PFERR_WRITE);			    /* cmpxchg, also if unequal */
	RAISES("\xd3\x23", VECTOR_PF, PFERR_PRESENT | PFERR_WRITE); /* shl by CL = 0 */
	store(PAGE_TABLE + 4 * 0xa, 4, 0);
	RAISES("\x3b\x03", VECTOR_PF, 0);
	assert_int_equal(vcpu.events.pending.payload, EDGE);
}

static void locks(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = TARGET;
	DONE("\xf0\x01\x03");			  /* lock add [rbx], eax */
	DONE("\xf0\x87\x03");			  /* xchg */
	DONE("\xf0\x0f\xc1\x03");		  /* xadd */
	RAISES("\xf0\x03\x03", VECTOR_UD, 0);	  /* add eax, [rbx] */
	RAISES("\xf0\x39\x03", VECTOR_UD, 0);	  /* cmp */
	RAISES("\xf0\x89\x03", VECTOR_UD, 0);	  /* mov */
	RAISES("\xf0\x0f\xa3\x03", VECTOR_UD, 0); /* bt */
	RAISES("\xf0\xd1\x23", VECTOR_UD, 0);	  /* shl */
	RAISES("\xf0\xf6\x03\x01", VECTOR_UD, 0); /* test */
	*gpr(REG_RDI) = TARGET;
	RAISES("\xf0\xaa", VECTOR_UD, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(segment_faults),
		TEST(canonical_faults),
		TEST(alignment_faults),
		TEST(page_faults),
		TEST(locks),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
