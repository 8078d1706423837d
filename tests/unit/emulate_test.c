// sources: vmexit/emulate.c vmexit/emulate_alu.c vmexit/emulate_form.c vmexit/emulate_operand.c
// sources: vmexit/emulate_string.c vmexit/guest_segment.c vmexit/guest_memory.c vmexit/decode.c vmexit/decode_system.c
// sources: arch/x86/debug.c core/regs.c core/events.c arch/x86/segment.c
// sources: mm/gva_walk.c mm/table_walk.c mm/page_role.c mm/page_format.c mm/gva_fetch.c mm/guest_copy.c mm/layout.c
// sources: vmexit/guest_physical.c vmexit/track.c mm/page_track.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c
// sources: mm/memtype.c mm/pool.c
/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator in one MiB of guest memory, of which one frame is a trapped one that keeps a list of what it is asked. The
 * values that instructions compute are compared with CPUs elsewhere; here it is what surrounds them.
 */
#include "tests/unit/track_test.h"
#include "tests/unit/fake_loan.h"

#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"

#define TARGET	     0x9000u /* the frame */
#define EDGE	     (TARGET + PAGE_BYTES)
#define OTHER	     0xc000u
#define CODE	     0x4000u
#define STACK	     0xe000u
#define RANDOM_CASES 300000u

/* --- the frame ------------------------------------------------------------------------------ */

static uint8_t frame[PAGE_BYTES];
static unsigned reads, writes, port_reads, port_writes;
static bool refuses; /* to be read */
static uint32_t port_value;

static bool covers(void *context, gpa_t gpa)
{
	assert_ptr_equal(context, frame);
	return (gpa.v & ~(PAGE_BYTES - 1)) == TARGET;
}

static uint8_t *inside(void *context, gpa_t gpa, unsigned bytes)
{
	assert_true(covers(context, gpa));
	assert_true(bytes > 0 && bytes <= 16 && gpa.v + bytes <= EDGE);
	return frame + (gpa.v - TARGET);
}

static bool frame_read(void *context, gpa_t gpa, void *to, unsigned bytes)
{
	const uint8_t *from = inside(context, gpa, bytes);

	if (refuses)
		return false;
	reads++;
	memcpy(to, from, bytes);
	return true;
}

static void frame_write(void *context, gpa_t gpa, const void *from, unsigned bytes)
{
	writes++;
	memcpy(inside(context, gpa, bytes), from, bytes);
}

static uint32_t frame_port_read(void *context, uint16_t port, unsigned bytes)
{
	assert_ptr_equal(context, frame);
	port_reads++;
	return port_value + port + bytes;
}

static void frame_port_write(void *context, uint16_t port, uint32_t value, unsigned bytes)
{
	assert_ptr_equal(context, frame);
	port_writes++;
	port_value = value + port + bytes;
}

static struct emulate_target target = {
	.context = frame,
	.covers = covers,
	.read = frame_read,
	.write = frame_write,
	.port_read = frame_port_read,
	.port_write = frame_port_write,
};

/* --- the CPU -------------------------------------------------------------------------------- */

static uint64_t debugctl;

static bool fake_msr_read(struct vcpu *which, uint32_t msr, uint64_t *value)
{
	assert_ptr_equal(which, &vcpu);
	assert_int_equal(msr, 0x1d9);
	*value = debugctl;
	return true;
}

static const struct vendor_ops ops = { .name = "fake", .msr_read = fake_msr_read };

static int set_up(void **state)
{
	struct regs *regs = &vcpu.regs;

	(void)state;
	vendor = &ops;
	memset(&vcpu, 0, sizeof(vcpu));
	memset(memory, 0, MEMORY_BYTES);
	memset(frame, 0, sizeof(frame));
	reads = writes = port_reads = port_writes = 0;
	refuses = false;
	debugctl = port_value = 0;
	regs->available = ~UINT64_C(0);
	regs->rflags = RFLAGS_FIXED;
	regs->rip = CODE;
	regs->cr0 = CR0_PE | CR0_NE | CR0_ET | CR0_AM;
	regs->cr3 = PAGE_DIRECTORY;
	regs->dr7 = DR7_INIT;
	regs->gpr[REG_RSP] = STACK;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++)
		regs->segments[i] = flat(0x10, 0xc093);
	regs->segments[SEGMENT_CS] = flat(0x08, 0xc09b);
	hv_caps.maxphyaddr = 40;
	track_set_up();
	return 0;
}

/* 64-bit mode, the first 2 MiB on themselves. */
static void use_64bit(void)
{
	store(PAGE_DIRECTORY, 8, PAGE_TABLE | 7);
	store(PAGE_TABLE, 8, OTHER_DIRECTORY | 7);
	store(OTHER_DIRECTORY, 8, 0x87);
	vcpu.regs.cr0 |= CR0_PG | CR0_WP;
	vcpu.regs.cr4 |= CR4_PAE;
	vcpu.regs.efer = EFER_LME | EFER_LMA;
	vcpu.regs.segments[SEGMENT_CS].rights = 0xa09b;
}

static void use_16bit(void)
{
	vcpu.regs.segments[SEGMENT_CS].rights = 0x009b;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		if (i != SEGMENT_CS)
			vcpu.regs.segments[i] = (struct segment){ .limit = 0xffff, .rights = 0x93 };
	}
}

static void use_cpl3(void)
{
	vcpu.regs.segments[SEGMENT_SS].rights |= SEGMENT_DPL;
}

static uint64_t *gpr(enum reg reg)
{
	return &vcpu.regs.gpr[reg];
}

static enum emulate_result emulate(const void *bytes, unsigned count)
{
	struct insn insn;

	assert_true(decode_insn(bytes, count, mode_code_bytes(&vcpu), &insn));
	assert_int_equal(insn.bytes, count);
	vcpu.decoded_bytes = 0;
	return emulate_insn(&vcpu, &insn, &target);
}

#define EMULATE(text) emulate(text, sizeof(text) - 1)
#define DONE(text)                                                      \
	do {                                                            \
		assert_int_equal(EMULATE(text), EMULATE_DONE);          \
		assert_int_equal(vcpu.decoded_bytes, sizeof(text) - 1); \
		assert_false(vcpu.events.pending.valid);                \
	} while (0)
#define NATIVE(text)                                             \
	do {                                                     \
		assert_int_equal(EMULATE(text), EMULATE_NATIVE); \
		assert_int_equal(vcpu.decoded_bytes, 0);         \
	} while (0)

/* Nothing else has changed. */
static void raises(const void *bytes, unsigned count, unsigned vector, uint32_t error)
{
	struct regs before = vcpu.regs;
	unsigned writes_before = writes;

	assert_int_equal(emulate(bytes, count), EMULATE_RESUME);
	assert_true(vcpu.events.pending.valid);
	assert_int_equal(vcpu.events.pending.vector, vector);
	assert_int_equal(vcpu.events.pending.error_code, error);
	assert_int_equal(vcpu.decoded_bytes, 0);
	assert_memory_equal(before.gpr, vcpu.regs.gpr, sizeof(before.gpr));
	assert_int_equal(before.rflags, vcpu.regs.rflags);
	assert_int_equal(writes_before, writes);
	vcpu.events.pending.valid = false;
}

#define RAISES(text, vector, error) raises(text, sizeof(text) - 1, vector, error)

static uint64_t frame_value(unsigned offset)
{
	uint64_t value;

	memcpy(&value, frame + offset, 8);
	return value;
}

static void set_frame(unsigned offset, uint64_t value)
{
	memcpy(frame + offset, &value, 8);
}

/* --- operands ------------------------------------------------------------------------------- */

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

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(loads_and_stores),
		TEST(across_the_edge),
		TEST(bits_beyond_the_operand),
		TEST(pushes_and_pops),
		TEST(wide_compare_and_exchange),
		TEST(a_bounded_number_of_iterations),
		TEST(strings_that_leave_the_frame),
		TEST(strings_that_fault),
		TEST(comparisons_end_strings),
		TEST(single_steps_between_iterations),
		TEST(ports),
		TEST(trapped_ports),
		TEST(trapped_strings),
		TEST(segment_faults),
		TEST(canonical_faults),
		TEST(alignment_faults),
		TEST(page_faults),
		TEST(locks),
		TEST(what_is_left_to_the_cpu),
		TEST(writes_to_tracked_frames),
		TEST(all_or_nothing),
	};

	return cmocka_run_group_tests(tests, make_memory, free_memory);
}
