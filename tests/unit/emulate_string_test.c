/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/emulate.c vmexit/emulate_alu.c vmexit/emulate_form.c vmexit/emulate_operand.c
// sources: vmexit/emulate_string.c vmexit/guest_segment.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: arch/x86/debug.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* String instructions under emulation, iteration by iteration, and those on I/O ports. */
#include "tests/unit/emulate_test.h"

/* --- strings -------------------------------------------------------------------------------- */

static void a_bounded_number_of_iterations(void **state)
{
	unsigned rounds = 0;
	enum emulate_result result;

	(void)state;
	use_64bit();
	*gpr(REG_RDI) = TARGET;
	*gpr(REG_RCX) = 200;
	*gpr(REG_RAX) = 0x5a;
	do {
		result = EMULATE("\xf3\xaa"); /* rep stosb */
		rounds++;
		assert_int_equal(*gpr(REG_RDI) - TARGET, 200 - *gpr(REG_RCX));
		assert_int_equal(*gpr(REG_RDI) - TARGET, writes);
		assert_true(result == EMULATE_DONE || (vcpu.regs.rflags & RFLAGS_RF) != 0);
	} while (result == EMULATE_RESUME);
	assert_int_equal(result, EMULATE_DONE);
	assert_int_equal(rounds, (200 + EMULATE_ITERATIONS - 1) / EMULATE_ITERATIONS);
	assert_int_equal(*gpr(REG_RCX), 0);
	assert_int_equal(frame[199], 0x5a);
	assert_int_equal(frame[200], 0);
}

/* Off the frame the CPU goes on by itself. */
static void strings_that_leave_the_frame(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RDI) = EDGE - 6;
	*gpr(REG_RCX) = 10;
	*gpr(REG_RAX) = 0x11223344;
	assert_int_equal(EMULATE("\xf3\xab"), EMULATE_RESUME);
	assert_int_equal(*gpr(REG_RCX), 8);
	assert_int_equal(*gpr(REG_RDI), EDGE + 2);
	assert_int_equal(load(EDGE, 2), 0x1122);
	NATIVE("\xf3\xab");
	assert_int_equal(*gpr(REG_RCX), 8);
	/* Backwards, into it. */
	vcpu.regs.rflags |= RFLAGS_DF;
	*gpr(REG_RSI) = TARGET + 1;
	*gpr(REG_RDI) = OTHER;
	*gpr(REG_RCX) = 5;
	frame[0] = 1;
	frame[1] = 2;
	assert_int_equal(EMULATE("\xf3\xa4"), EMULATE_RESUME); /* rep movsb */
	assert_int_equal(*gpr(REG_RCX), 3);
	assert_int_equal(memory[OTHER], 2);
	assert_int_equal(memory[OTHER - 1], 1);
}

static void strings_that_fault(void **state)
{
	(void)state;
	page_32bit();
	store(PAGE_TABLE + 4 * 0xd, 4, 0); /* behind OTHER nothing is mapped */
	*gpr(REG_RSI) = TARGET;
	*gpr(REG_RDI) = OTHER + PAGE_BYTES - 3;
	*gpr(REG_RCX) = 10;
	assert_int_equal(EMULATE("\xf3\xa4"), EMULATE_RESUME);
	assert_int_equal(vcpu.events.pending.vector, VECTOR_PF);
	assert_int_equal(vcpu.events.pending.error_code, PFERR_WRITE);
	assert_int_equal(vcpu.events.pending.payload, OTHER + PAGE_BYTES);
	assert_int_equal(*gpr(REG_RCX), 7);
	assert_int_equal(*gpr(REG_RSI), TARGET + 3);
	assert_int_equal(*gpr(REG_RDI), OTHER + PAGE_BYTES);
	assert_int_equal(reads, 3); /* what has side effects is not read for nothing */
	vcpu.events.pending.valid = false;
	RAISES("\xf3\xa4", VECTOR_PF, PFERR_WRITE);
	assert_int_equal(reads, 3);
}

static void comparisons_end_strings(void **state)
{
	(void)state;
	use_64bit();
	memset(frame, 7, 20);
	frame[9] = 8;
	*gpr(REG_RDI) = TARGET;
	*gpr(REG_RCX) = 100;
	*gpr(REG_RAX) = 7;
	DONE("\xf3\xae"); /* repe scasb */
	assert_int_equal(*gpr(REG_RCX), 90);
	assert_int_equal(*gpr(REG_RDI), TARGET + 10);
	assert_false(vcpu.regs.rflags & RFLAGS_ZF);
	assert_true(vcpu.regs.rflags & RFLAGS_CF);
	*gpr(REG_RDI) = TARGET + 18;
	*gpr(REG_RAX) = 0;
	DONE("\xf2\xae"); /* repne scasb */
	assert_int_equal(*gpr(REG_RDI), TARGET + 21);
	assert_true(vcpu.regs.rflags & RFLAGS_ZF);
	/* Counters and pointers of 32 bits lose what lies above them. */
	*gpr(REG_RSI) = UINT64_C(0xff00000000000000) + TARGET;
	*gpr(REG_RDI) = UINT64_C(0xff00000000000000) + OTHER;
	*gpr(REG_RCX) = UINT64_C(0xff00000000000002);
	memset(memory + OTHER, 7, 2);
	DONE("\x67\xf3\xa6"); /* repe cmpsb */
	assert_int_equal(*gpr(REG_RSI), TARGET + 2);
	assert_int_equal(*gpr(REG_RDI), OTHER + 2);
	assert_int_equal(*gpr(REG_RCX), 0);
}

static void single_steps_between_iterations(void **state)
{
	(void)state;
	use_64bit();
	vcpu.regs.rflags |= RFLAGS_TF;
	vcpu.regs.interrupt_shadow = SHADOW_STI;
	*gpr(REG_RDI) = TARGET;
	*gpr(REG_RCX) = 3;
	for (unsigned left = 2; left != 0; left--) {
		assert_int_equal(EMULATE("\xf3\xaa"), EMULATE_RESUME);
		assert_int_equal(*gpr(REG_RCX), left);
		assert_int_equal(vcpu.events.pending.vector, VECTOR_DB);
		assert_int_equal(vcpu.events.pending.payload, DR6_BS);
		assert_true(vcpu.regs.rflags & RFLAGS_RF);
		assert_int_equal(vcpu.regs.interrupt_shadow, 0);
		assert_int_equal(vcpu.regs.rip, CODE);
		vcpu.events.pending.valid = false;
	}
	DONE("\xf3\xaa"); /* the last trap is the verdict's */
	/* DEBUGCTL.BTF: only branches trap. */
	debugctl = BIT64(1);
	*gpr(REG_RCX) = 3;
	DONE("\xf3\xaa");
}

static uint64_t accessed_at;
static unsigned accessed_bytes;
static bool accessed_write;

static bool note_access(void *context, gva_t address, unsigned bytes, bool write)
{
	(void)context;
	accessed_at = address.v;
	accessed_bytes = bytes;
	accessed_write = write;
	return address.v == STACK + 2;
}

/* Behind an iteration that has met a breakpoint the guest is told, whatever is left; the CPU has no part in it. */
static void breakpoints_on_the_memory_of_ports(void **state)
{
	(void)state;
	use_64bit();
	vcpu.regs.dr7 |= 0x00030001;
	target.traps_ports = true;
	NATIVE("\x66\x6f");
	target.accessed = note_access;
	*gpr(REG_RDX) = 0x604;
	*gpr(REG_RSI) = STACK;
	*gpr(REG_RCX) = 3;
	assert_int_equal(EMULATE("\xf3\x66\x6f"), EMULATE_RESUME);
	assert_int_equal(*gpr(REG_RCX), 1);
	assert_int_equal(accessed_at, STACK + 2);
	assert_int_equal(accessed_bytes, 2);
	assert_false(accessed_write);
	assert_true(vcpu.regs.rflags & RFLAGS_RF);
	*gpr(REG_RDI) = STACK + 1;
	DONE("\x6c");
	assert_int_equal(accessed_at, STACK + 1);
	assert_true(accessed_write);
	target.accessed = NULL;
	target.traps_ports = false;
}

/* The port is what is trapped; the memory is ordinary. */
static void trapped_ports(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RDX) = 0x604;
	*gpr(REG_RSI) = STACK;
	*gpr(REG_RCX) = 2;
	store(STACK, 4, 0x20002400);
	NATIVE("\x66\x6f");
	target.traps_ports = true;
	DONE("\xf3\x66\x6f"); /* rep outsw: the second one is what counts last */
	assert_int_equal(port_value, 0x2000 + 0x604 + 2);
	assert_int_equal(port_writes, 2);
	assert_int_equal(*gpr(REG_RSI), STACK + 4);
	NATIVE("\xa4"); /* nothing else is ours */
	target.traps_ports = false;
}

/* The code is what is trapped: repeated or not, if there is RAM; nothing but strings. */
static void trapped_strings(void **state)
{
	const struct emulate_target old = target;

	(void)state;
	use_64bit();
	target = (struct emulate_target){ .traps_strings = true };
	*gpr(REG_RDI) = STACK;
	*gpr(REG_RAX) = 0x5a;
	*gpr(REG_RCX) = EMULATE_ITERATIONS + 2;
	assert_int_equal(EMULATE("\xf3\xaa"), EMULATE_RESUME);
	assert_int_equal(*gpr(REG_RCX), 2);
	assert_int_equal(*gpr(REG_RDI), STACK + EMULATE_ITERATIONS);
	DONE("\xf3\xaa");
	assert_int_equal(*gpr(REG_RDI), STACK + EMULATE_ITERATIONS + 2);
	NATIVE("\xf3\x6d"); /* insd: its port is not */
	NATIVE("\x88\x07"); /* mov [rdi], al */
	target = old;
	NATIVE("\xf3\xaa");
}

static void ports(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RDX) = 0x80;
	*gpr(REG_RDI) = TARGET;
	*gpr(REG_RCX) = 2;
	port_value = 0x100;
	DONE("\xf3\x6d"); /* rep insd */
	assert_int_equal(frame_value(0), UINT64_C(0x0000018400000184));
	*gpr(REG_RSI) = TARGET;
	DONE("\x66\x6f"); /* outsw */
	assert_int_equal(port_value, 0x184 + 0x80 + 2);
	assert_int_equal(port_writes, 1);
	/* The permission bitmap is the CPU's to read. */
	use_cpl3();
	NATIVE("\x6e");
	vcpu.regs.rflags |= RFLAGS_IOPL;
	DONE("\x6e");
	vcpu.regs.rflags |= RFLAGS_VM;
	vcpu.regs.efer = 0;
	vcpu.regs.cr0 &= ~CR0_PG;
	vcpu.regs.segments[SEGMENT_DS].limit = 0xffff;
	NATIVE("\x6e");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bounded_number_of_iterations),
		TEST(strings_that_leave_the_frame),
		TEST(strings_that_fault),
		TEST(comparisons_end_strings),
		TEST(single_steps_between_iterations),
		TEST(ports),
		TEST(trapped_ports),
		TEST(breakpoints_on_the_memory_of_ports),
		TEST(trapped_strings),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
