/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The emulator in one MiB of guest memory, of which one frame is a trapped one that keeps a list of what it is asked. The
 * values that instructions compute are compared with CPUs elsewhere; here it is what surrounds them. For one program's main
 * file.
 */
#ifndef TESTS_UNIT_EMULATE_TEST_H
#define TESTS_UNIT_EMULATE_TEST_H

#include "tests/unit/track_test.h"
#include "tests/unit/fake_loan.h"

#include "vmexit/emulate.h"
#include "vmexit/guest_memory.h"

#include "vmexit/guest_memory.h"

#define TARGET 0x9000u /* the frame */
#define EDGE   (TARGET + PAGE_BYTES)
#define OTHER  0xc000u
#define CODE   0x4000u
#define STACK  0xe000u

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

static inline void use_16bit(void)
{
	vcpu.regs.segments[SEGMENT_CS].rights = 0x009b;
	for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
		if (i != SEGMENT_CS)
			vcpu.regs.segments[i] = (struct segment){ .limit = 0xffff, .rights = 0x93 };
	}
}

static inline void use_cpl3(void)
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

static inline uint64_t frame_value(unsigned offset)
{
	uint64_t value;

	memcpy(&value, frame + offset, 8);
	return value;
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

#endif
