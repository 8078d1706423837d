// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPUID on each CPU: every leaf and subleaf, leaves out of range, random ones, and what follows CR4 and XCR0.
 *
 *   facts_cpuid.efi
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

#define CR4_OSXSAVE	UINT64_C(0x40000)
#define CR4_PKE		UINT64_C(0x400000)
#define LEAF1_ECX_XSAVE 0x4000000u
#define LEAF7_ECX_PKU	0x8u
#define XSTATE_SSE	UINT64_C(3)
#define FNV_START	UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME	UINT64_C(0x100000001b3)

enum { SHOWN_SUBLEAVES = 4, SUBLEAVES = 64, RANDOM_BLOCKS = 16, RANDOM_IN_BLOCK = 64 };

static bool same(const uint32_t a[4], const uint32_t b[4])
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static uint64_t hash(uint64_t so_far, const uint32_t regs[4])
{
	for (uint32_t i = 0; i < 4; i++)
		so_far = (so_far ^ regs[i]) * FNV_PRIME;
	return so_far;
}

/* A subleaf that shows the same as subleaf 0 is not mentioned; of those from 4 on only a hash. */
static void print_leaf(uint32_t leaf)
{
	uint32_t first[4], regs[4], others = 0;
	uint64_t sum = FNV_START;

	probe_cpuid(leaf, 0, first);
	for (uint32_t subleaf = 0; subleaf < SUBLEAVES; subleaf++) {
		probe_cpuid(leaf, subleaf, regs);
		if (subleaf != 0 && same(first, regs))
			continue;
		if (subleaf < SHOWN_SUBLEAVES)
			fact_line("%scpuid.0x%x.%u = 0x%x 0x%x 0x%x 0x%x", fact_cpu(), leaf,
				  subleaf, regs[0], regs[1], regs[2], regs[3]);
		else
			others++;
		sum = hash(sum, regs);
	}
	if (others)
		fact_line("%scpuid.0x%x.others = %u hash 0x%lx", fact_cpu(), leaf, others, sum);
}

/* Also some leaves that are out of range, of which the answer depends on the vendor. */
static void print_range(uint32_t first, uint32_t count)
{
	for (uint32_t leaf = first; leaf < first + count; leaf++)
		print_leaf(leaf);
}

/* Those that have a line of their own, where something is allowed to differ. */
static bool is_shown(uint32_t leaf)
{
	return leaf == 1 || (leaf >> 8) == 0x400000 || leaf == 0x80000001 || leaf == 0x8000000a ||
	       leaf == 0x8000001f;
}

static void print_random(void)
{
	static const uint32_t bases[4] = { 0, 0x80000000, 0x20000000, 0xc0000000 };
	uint64_t state = 4;
	uint32_t regs[4];

	for (uint32_t block = 0; block < RANDOM_BLOCKS; block++) {
		const uint32_t mask = block & 4 ? 0x3fffffff : 0x3f;
		uint64_t sum = FNV_START;

		for (uint32_t i = 0; i < RANDOM_IN_BLOCK; i++) {
			const uint32_t leaf =
				bases[block & 3] | ((uint32_t)probe_random(&state) & mask);
			const uint64_t subleaf = probe_random(&state);

			if (is_shown(leaf))
				continue;
			probe_cpuid(leaf, (uint32_t)(block & 8 ? subleaf : subleaf & 0x3f), regs);
			sum = hash(sum, regs);
		}
		fact_line("%srandom.%u = hash 0x%lx", fact_cpu(), block, sum);
	}
}

static void set_xcr0(uint64_t value)
{
	__asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(0));
}

static uint64_t xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

/* What CPUID shows of the state of the CPU: OSXSAVE, OSPKE, the size of what XCR0 enables. */
static void print_state(const char *name)
{
	uint32_t one[4], seven[4], size[4], compact[4];

	probe_cpuid(1, 0, one);
	probe_cpuid(7, 0, seven);
	probe_cpuid(0xd, 0, size);
	probe_cpuid(0xd, 1, compact);
	fact_line("%sstate.%s = osxsave %u ospke %u size 0x%x compact 0x%x", fact_cpu(), name,
		  one[2] >> 27 & 1, seven[2] >> 4 & 1, size[1], compact[1]);
}

static void print_xcr0_states(void)
{
	uint32_t regs[4];
	uint64_t old, all;

	probe_cpuid(0xd, 0, regs);
	all = (uint64_t)regs[3] << 32 | regs[0];
	old = xcr0();
	set_xcr0(1);
	print_state("xcr0.x87");
	set_xcr0(XSTATE_SSE);
	print_state("xcr0.sse");
	set_xcr0(all);
	print_state("xcr0.all");
	set_xcr0(old);
}

static void print_states(void)
{
	const uint64_t old = probe_cr4();
	uint32_t one[4], seven[4];

	probe_cpuid(1, 0, one);
	probe_cpuid(7, 0, seven);
	if (!(one[2] & LEAF1_ECX_XSAVE)) {
		fact_line("%sstate = absent", fact_cpu());
		return;
	}
	print_state("before");
	probe_set_cr4(old & ~(CR4_OSXSAVE | CR4_PKE));
	print_state("none");
	probe_set_cr4((old & ~CR4_PKE) | CR4_OSXSAVE);
	print_state("osxsave");
	print_xcr0_states();
	if (seven[2] & LEAF7_ECX_PKU) {
		probe_set_cr4((old & ~CR4_OSXSAVE) | CR4_PKE);
		print_state("pke");
		probe_set_cr4(old | CR4_OSXSAVE | CR4_PKE);
		print_state("both");
	}
	probe_set_cr4(old);
	print_state("after");
}

/* The upper halves are cleared, the flags left alone, prefixes ignored. */
static void print_registers(void)
{
	uint64_t a = UINT64_C(0xaaaaaaaa00000000), b = ~UINT64_C(0),
		 c = UINT64_C(0xcccccccc00000000), d = ~UINT64_C(0);
	uint64_t flags;

	__asm__ volatile("push $0x8d7; popfq; .byte 0x66, 0xf3, 0x48; cpuid; pushfq; pop %4; cld"
			 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "=r"(flags)
			 :
			 : "cc", "memory");
	fact_line("%sregisters = 0x%lx 0x%lx 0x%lx 0x%lx flags 0x%lx", fact_cpu(), a, b, c, d,
		  flags & 0xfff);
}

static void look(void *argument)
{
	(void)argument;
	print_range(0, 0x30);
	print_range(0x40000000, 4);
	print_range(0x80000000, 0x28);
	print_random();
	print_states();
	print_registers();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	probe_begin(image, table);
	fact_begin("cpuid");
	look(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, look, NULL), "start", "CPU %u", i);
		probe_check(probe_join(i, 20000), "join", "CPU %u", i);
	}
	fact_end();
	return probe_end();
}
