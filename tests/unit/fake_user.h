/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU with everything available, and the registers that are live in a CPU, for tests of core/regs_sync.c: its state
 * is one that both vendors accept, and can be compared as a whole.
 */
#ifndef TESTS_UNIT_FAKE_USER_H
#define TESTS_UNIT_FAKE_USER_H

#include <string.h>

#include "arch/x86/xsave.h"
#include "core/caps.h"
#include "core/panic.h"
#include "core/regs_check.h"
#include "core/vendor.h"
#include "mm/guest_copy.h"
#include "tests/unit/fake_loan.h"

struct hv_caps hv_caps;

/* All of what a refused set must leave alone. */
static struct fake_cpu {
	struct vcpu vcpu;
	uint64_t dr[4], cr8, xcr0;
	uint8_t area[REGS_SYNC_XSAVE_BYTES];
} cpu;

static struct x86_limits fake_limits = {
	.cr4 = BITS64(24, 0) & ~(CR4_VMXE | BIT64(15) | BIT64(19)),
	.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE,
	.xcr0 = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_MPX | XCR0_AVX512 | XCR0_AMX | BIT64(9),
	.xsave_end = { [2] = 832,
		       [3] = 1024,
		       [4] = 1088,
		       [5] = 1152,
		       [6] = 1664,
		       [7] = 2688,
		       [9] = 2696,
		       [17] = 2816,
		       [18] = 11008 },
	.maxphyaddr = 40,
	.canonical_bits = 57,
};

#define FAKE_XCR0	 (XCR0_X87 | XCR0_SSE | XCR0_AVX)
#define FAKE_XSAVE_BYTES 832u
/* The CPU's own opinion: an area that begins with this byte does not load. */
#define FAKE_BAD_AREA	 0xbd

uint64_t read_cr8(void)
{
	return cpu.cr8;
}

void write_cr8(uint64_t value)
{
	cpu.cr8 = value;
}

#define FAKE_DR(n)                       \
	uint64_t read_dr##n(void)        \
	{                                \
		return cpu.dr[n];        \
	}                                \
	void write_dr##n(uint64_t value) \
	{                                \
		cpu.dr[n] = value;       \
	}
FAKE_DR(0)
FAKE_DR(1)
FAKE_DR(2)
FAKE_DR(3)

uint64_t xcr0_read(void)
{
	return cpu.xcr0;
}

bool xsetbv_safe(uint32_t index, uint64_t value)
{
	cpu.xcr0 = value;
	return index == 0 && xcr0_is_legal(value, &fake_limits);
}

void fxsave(void *area)
{
	memcpy(area, cpu.area, XSAVE_HEADER);
}

bool fxrstor_safe(const void *area)
{
	memcpy(cpu.area, area, XSAVE_HEADER);
	memcpy(cpu.area + XSAVE_MXCSR_MASK, &(uint32_t){ 0xffff }, 4);
	return true;
}

void xsave(void *area, uint64_t mask)
{
	memcpy(area, cpu.area, xsave_bytes(mask, &fake_limits));
}

/* A fault comes when some of it is loaded already. MXCSR_MASK is the CPU's own. */
bool xrstor_safe(const void *area, uint64_t mask)
{
	memcpy(cpu.area, area, xsave_bytes(mask, &fake_limits));
	memcpy(cpu.area + XSAVE_MXCSR_MASK, &(uint32_t){ 0xffff }, 4);
	return cpu.area[0] != FAKE_BAD_AREA;
}

/* A table of PDPTEs lies at 0x2000, with a reserved bit at 0x3000; other memory is not there. */
bool guest_copy_in(void *to, gpa_t from, uint64_t bytes)
{
	const uint64_t pdptr[4] = { 0x5001, 0x6001, from.v == 0x3000 ? 0x7003 : 0x7001, 0 };

	if (from.v != 0x2000 && from.v != 0x3000)
		return false;
	memcpy(to, pdptr, bytes);
	return true;
}

static unsigned fake_flushes;

static void fake_flush(struct vcpu *vcpu)
{
	(void)vcpu;
	fake_flushes++;
}

static unsigned fake_activations;

static void fake_activity(struct vcpu *vcpu)
{
	fake_activations += vcpu->activity == ACTIVITY_RUNNING;
}

static const struct vendor_ops fake_ops = { .name = "fake",
					    .flush_linear = fake_flush,
					    .activity_changed = fake_activity };
const struct vendor_ops *vendor = &fake_ops;

static void fake_segments(struct segment *segments)
{
	for (unsigned i = 0; i <= SEGMENT_GS; i++)
		segments[i] = (struct segment){ 0, UINT32_MAX, 0xc093, 0x10 };
	segments[SEGMENT_CS] = (struct segment){ 0, UINT32_MAX, 0xa09b, 0x08 };
	segments[SEGMENT_LDTR] = (struct segment){ 0, 0, SEGMENT_UNUSABLE, 0 };
	segments[SEGMENT_TR] = (struct segment){ 0xffff800000003000, 0x67, 0x8b, 0x40 };
}

/* 64-bit mode, CPL 0. */
static void fake_cpu_reset(bool vmx)
{
	struct regs *regs = &cpu.vcpu.regs;

	memset(&cpu, 0, sizeof(cpu));
	regs->available = BITS64(REG_COUNT - 1, 0);
	regs->cr0_guest_owned = regs->cr4_guest_owned = UINT64_MAX;
	regs->rip = 0xffff800000001000;
	regs->rflags = RFLAGS_FIXED | RFLAGS_IF;
	regs->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	regs->cr3 = 0x1000;
	regs->cr4 = CR4_PAE | CR4_PGE | CR4_OSXSAVE;
	regs->efer = EFER_LME | EFER_LMA | EFER_NXE;
	regs->dr6 = DR6_INIT;
	regs->dr7 = DR7_INIT;
	regs->gdtr = (struct table_register){ 0xffff800000004000, 0x7f };
	regs->idtr = (struct table_register){ 0xffff800000005000, 0xfff };
	fake_segments(regs->segments);
	cpu.xcr0 = FAKE_XCR0;
	memset(cpu.area, 0x11, XSAVE_HEADER);
	memcpy(cpu.area + XSAVE_MXCSR, &(uint32_t){ 0x1f80 }, 4);
	memcpy(cpu.area + XSAVE_MXCSR_MASK, &(uint32_t){ 0xffff }, 4);
	cpu.area[XSAVE_XSTATE_BV] = 7;
	hv_caps.vmx = vmx;
	hv_caps.maxphyaddr = fake_limits.maxphyaddr;
	regs_sync_init(&fake_limits);
}

#endif
