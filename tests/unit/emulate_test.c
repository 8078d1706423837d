/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/emulate.c vmexit/emulate_alu.c vmexit/emulate_form.c vmexit/emulate_operand.c
// sources: vmexit/emulate_string.c vmexit/guest_segment.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: arch/x86/debug.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* Operands of the emulator's instructions, what it leaves to the CPU, and any bytes at all. */
#include "tests/unit/emulate_test.h"

#define RANDOM_CASES 300000u

/* --- operands ------------------------------------------------------------------------------- */

static void set_frame(unsigned offset, uint64_t value)
{
	memcpy(frame + offset, &value, 8);
}

static void loads_and_stores(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = TARGET + 0x10;
	*gpr(REG_RAX) = UINT64_C(0x1122334455667788);
	DONE("\x48\x89\x03"); /* mov [rbx], rax */
	assert_int_equal(frame_value(0x10), UINT64_C(0x1122334455667788));
	DONE("\x88\x63\x08"); /* mov [rbx+8], ah */
	assert_int_equal(frame_value(0x18), 0x77);
	*gpr(REG_RCX) = ~UINT64_C(0);
	DONE("\x8b\x0b"); /* mov ecx, [rbx]: clears the upper half */
	assert_int_equal(*gpr(REG_RCX), 0x55667788);
	*gpr(REG_RCX) = ~UINT64_C(0);
	DONE("\x66\x8b\x0b"); /* mov cx, [rbx]: keeps it */
	assert_int_equal(*gpr(REG_RCX), UINT64_C(0xffffffffffff7788));
	DONE("\x8a\x2b"); /* mov ch, [rbx] */
	assert_int_equal(*gpr(REG_RCX), UINT64_C(0xffffffffffff8888));
	DONE("\x40\x8a\x2b"); /* mov bpl, [rbx] */
	assert_int_equal(*gpr(REG_RBP), 0x88);
	DONE("\x48\xa1\x10\x90\x00\x00\x00\x00\x00\x00"); /* mov rax, [0x9010] */
	assert_int_equal(*gpr(REG_RAX), UINT64_C(0x1122334455667788));
	vcpu.regs.segments[SEGMENT_FS].base = TARGET;
	DONE("\x64\x48\xc7\x04\x25\x20\x00\x00\x00\xff\xff\xff\xff"); /* mov qword fs:[0x20], -1 */
	assert_int_equal(frame_value(0x20), UINT64_MAX);
	DONE("\xc6\x05\x29\x50\x00\x00\x5a"); /* mov byte [rip+0x5029], 0x5a */
	assert_int_equal(frame[0x30], 0x5a);
	assert_int_equal(vcpu.regs.rip, CODE); /* moving it is the verdict's */
}

static void across_the_edge(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = EDGE - 3;
	*gpr(REG_RAX) = UINT64_C(0x1122334455667788);
	store(EDGE, 4, 0xaaaaaaaa);
	DONE("\x48\x89\x03");
	assert_int_equal(frame_value(0xff8) >> 40, 0x667788);
	assert_int_equal(load(EDGE, 4), 0x22334455);
	assert_int_equal(memory[EDGE + 4], 0x11);
	DONE("\x48\x01\x03"); /* add [rbx], rax */
	assert_int_equal(load(EDGE, 4), 0x446688aa);
	*gpr(REG_RBX) = TARGET - 2;
	DONE("\x8b\x0b");
	assert_int_equal(*gpr(REG_RCX), 0);
	/* In one, only the CPU can do it. */
	NATIVE("\xf0\x01\x03");
	NATIVE("\x87\x03");
}

static void bits_beyond_the_operand(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = TARGET + 0x100;
	*gpr(REG_RAX) = (uint64_t)-1;
	DONE("\x48\x0f\xab\x03"); /* bts [rbx], rax */
	assert_int_equal(frame_value(0xf8), BIT64(63));
	*gpr(REG_RAX) = 8 * 0x80 + 5;
	DONE("\xf0\x0f\xab\x03"); /* lock bts [rbx], eax */
	assert_int_equal(frame_value(0x180), BIT64(5));
	*gpr(REG_RAX) = 0xfff0; /* -16 as a word */
	DONE("\x66\x0f\xab\x03");
	assert_int_equal(frame_value(0xf8), BIT64(63) | BIT64(48));
	DONE("\x0f\xba\x2b\xff"); /* bts dword [rbx], 0xff: an immediate stays inside */
	assert_int_equal(frame_value(0x100), BIT64(31));
}

static void pushes_and_pops(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = TARGET;
	set_frame(0, UINT64_C(0x123456789abcdef0));
	DONE("\xff\x33"); /* push qword [rbx] */
	assert_int_equal(*gpr(REG_RSP), STACK - 8);
	assert_int_equal(load(STACK - 8, 4), 0x9abcdef0);
	DONE("\x66\xff\x33"); /* 16 bits */
	assert_int_equal(*gpr(REG_RSP), STACK - 10);
	DONE("\x66\x8f\x43\x20"); /* pop word [rbx+0x20] */
	assert_int_equal(frame_value(0x20), 0xdef0);
	/* The address is made after the increment: [rsp] is the word above the one that is taken. */
	*gpr(REG_RSP) = TARGET + 0x40;
	set_frame(0x40, 77);
	DONE("\x8f\x04\x24"); /* pop [rsp] */
	assert_int_equal(*gpr(REG_RSP), TARGET + 0x48);
	assert_int_equal(frame_value(0x48), 77);
	DONE("\xff\x34\x24"); /* push [rsp]: before the decrement */
	assert_int_equal(frame_value(0x40), 77);
	/* A 16-bit stack wraps in its 64 KiB, and the upper half of ESP stays. */
	set_up(NULL);
	use_16bit();
	*gpr(REG_RSP) = 0x12340000;
	*gpr(REG_RBX) = TARGET;
	DONE("\xff\x37"); /* push word [bx] */
	assert_int_equal(*gpr(REG_RSP), 0x1234fffe);
}

static void wide_compare_and_exchange(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RSI) = TARGET + 0x10;
	set_frame(0x10, 1);
	set_frame(0x18, 2);
	*gpr(REG_RAX) = 1;
	*gpr(REG_RDX) = 2;
	*gpr(REG_RBX) = 3;
	*gpr(REG_RCX) = 4;
	DONE("\xf0\x48\x0f\xc7\x0e"); /* lock cmpxchg16b [rsi] */
	assert_int_equal(frame_value(0x10), 3);
	assert_int_equal(frame_value(0x18), 4);
	assert_true(vcpu.regs.rflags & RFLAGS_ZF);
	assert_int_equal(*gpr(REG_RAX), 1);
	DONE("\x48\x0f\xc7\x0e");
	assert_int_equal(*gpr(REG_RAX), 3);
	assert_int_equal(*gpr(REG_RDX), 4);
	assert_false(vcpu.regs.rflags & RFLAGS_ZF);
	*gpr(REG_RSI) += 8;
	RAISES("\x48\x0f\xc7\x0e", VECTOR_GP, 0);
	DONE("\x0f\xc7\x0e"); /* cmpxchg8b is not that strict */
}

/* --- beside the instruction's own work --------------------------------------------------------- */

static void what_is_left_to_the_cpu(void **state)
{
	(void)state;
	use_64bit();
	*gpr(REG_RBX) = TARGET;
	NATIVE("\x0f\x11\x03"); /* movups [rbx], xmm0 */
	NATIVE("\xff\x13");	/* call [rbx] */
	NATIVE("\xf7\x33");	/* div dword [rbx] */
	NATIVE("\x8e\x1b");	/* mov ds, [rbx] */
	NATIVE("\x8f\xc0");	/* pop rax */
	NATIVE("\x01\xd8");	/* add eax, ebx */
	NATIVE("\x66\x63\x03");
	*gpr(REG_RBX) = OTHER; /* not the frame */
	NATIVE("\x89\x03");
	*gpr(REG_RBX) = MEMORY_BYTES; /* a device */
	NATIVE("\x89\x03");
	*gpr(REG_RBX) = TARGET;
	refuses = true;
	NATIVE("\x01\x03");
	refuses = false;
	vcpu.regs.dr7 |= BIT64(0) | BIT64(16); /* a breakpoint on writes */
	NATIVE("\x89\x03");
	vcpu.regs.dr7 = DR7_INIT | BIT64(0); /* on execution */
	DONE("\x89\x03");
	vcpu.events.pending.valid = true;
	NATIVE("\x89\x03");
	vcpu.events.pending.valid = false;
	vcpu.regs.cr3 |= CR3_LAM_U48;
	NATIVE("\x89\x03");
	assert_int_equal(reads, 0);
	assert_int_equal(writes, 1);
}

/* The operand beside the frame is written as by the CPU: whoever tracks it is told exactly. */
static void writes_to_tracked_frames(void **state)
{
	(void)state;
	use_64bit();
	store(TARGET, 4, 0);
	memcpy(frame, "\1\2\3\4\5\6\7\10", 8);
	track_frames(OTHER, 1);
	track_frames(EDGE, 1);
	*gpr(REG_RSI) = TARGET;
	*gpr(REG_RDI) = OTHER + 6;
	DONE("\xa5"); /* movsd */
	assert_int_equal(told_count, 1);
	assert_int_equal(told_writes[0].gpa, OTHER + 6);
	assert_int_equal(told_writes[0].count, 4);
	assert_int_equal(load(OTHER + 6, 4), 0x04030201);
	/* read only */
	*gpr(REG_RSI) = OTHER;
	*gpr(REG_RDI) = TARGET;
	DONE("\xa5");
	assert_int_equal(told_count, 1);
	/* over the edge of the frame */
	*gpr(REG_RBX) = EDGE - 2;
	*gpr(REG_RAX) = 0x44332211;
	DONE("\x89\x03");
	assert_int_equal(told_count, 2);
	assert_int_equal(told_writes[1].gpa, EDGE);
	assert_int_equal(told_writes[1].count, 2);
	assert_int_equal(load(EDGE, 2), 0x4433);
	/* a stack, each iteration of a string, and the marks of the page tables */
	*gpr(REG_RBX) = TARGET;
	*gpr(REG_RSP) = OTHER + 0x100;
	DONE("\xff\x33"); /* push qword [rbx] */
	assert_int_equal(told_count, 3);
	assert_int_equal(told_writes[2].gpa, OTHER + 0xf8);
	assert_int_equal(told_writes[2].count, 8);
	*gpr(REG_RCX) = 3;
	*gpr(REG_RSI) = TARGET;
	*gpr(REG_RDI) = OTHER;
	DONE("\xf3\xa4");
	assert_int_equal(told_count, 6);
	assert_int_equal(told_bytes, 4 + 2 + 8 + 3);
	expect_told_is_memory(OTHER, 1);
	expect_told_is_memory(EDGE, 1);
}

/* --- anything ------------------------------------------------------------------------------- */

static uint64_t random_state = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t random64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static void random_registers(void)
{
	for (unsigned i = 0; i < 16; i++) {
		vcpu.regs.gpr[i] = random64();
		if ((random64() & 3) != 0)
			vcpu.regs.gpr[i] = TARGET - 64 + (random64() & 0x10ff);
	}
	vcpu.regs.rflags = RFLAGS_FIXED | (random64() & 0xcd5);
}

static uint64_t memory_digest(void)
{
	uint64_t digest = 0;

	for (unsigned at = TARGET - 512; at < EDGE + 512; at += 8) {
		uint64_t value;

		memcpy(&value, memory + at, 8);
		digest = (digest ^ value) * UINT64_C(0x100000001b3);
	}
	return digest;
}

/* Whatever the bytes are: all of an instruction or nothing. */
static void all_or_nothing(void **state)
{
	unsigned counts[3] = { 0 };

	(void)state;
	use_64bit();
	for (unsigned i = 0; i < RANDOM_CASES; i++) {
		uint8_t bytes[INSN_MAX_BYTES];
		enum emulate_result result;
		struct insn insn;
		struct regs before;
		uint64_t digest;
		unsigned writes_before = writes;

		for (unsigned at = 0; at < sizeof(bytes); at++)
			bytes[at] = (uint8_t)random64();
		if (!decode_insn(bytes, sizeof(bytes), 8, &insn))
			continue;
		random_registers();
		vcpu.events.pending.valid = false;
		before = vcpu.regs;
		digest = memory_digest();
		result = emulate_insn(&vcpu, &insn, &target);
		counts[result]++;
		assert_true(vcpu.regs.rip == CODE);
		if (result == EMULATE_DONE || insn.rep || insn.repne)
			continue;
		assert_memory_equal(before.gpr, vcpu.regs.gpr, sizeof(before.gpr));
		assert_int_equal(before.rflags, vcpu.regs.rflags);
		assert_int_equal(digest, memory_digest());
		assert_int_equal(writes, writes_before);
		assert_int_equal(vcpu.events.pending.valid, result == EMULATE_RESUME);
	}
	assert_true(counts[EMULATE_DONE] > RANDOM_CASES / 50);
	assert_true(counts[EMULATE_RESUME] > RANDOM_CASES / 100);
	assert_true(counts[EMULATE_NATIVE] > RANDOM_CASES / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads_and_stores),		 TEST(across_the_edge),
		TEST(bits_beyond_the_operand),	 TEST(pushes_and_pops),
		TEST(wide_compare_and_exchange), TEST(what_is_left_to_the_cpu),
		TEST(writes_to_tracked_frames),	 TEST(all_or_nothing),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
