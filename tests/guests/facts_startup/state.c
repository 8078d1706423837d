/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM: "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
#include "tests/guests/facts_startup/state.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { MTRRS = 16, XMMS = 16 };

struct mark {
	uint32_t msr;
	uint64_t value;
};

/* Refused where there is none. */
static const struct mark marks[] = {
	{ 0x174, 0x1238 },
	{ 0x175, 0xffff800012345678 },
	{ 0x176, 0xffff800087654321 },
	{ 0x277, UINT64_C(0x0007040600070404) },
	{ 0x1d9, 2 },
	{ 0xc0000081, UINT64_C(0x0023001012345678) },
	{ 0xc0000082, 0xffff800011111110 },
	{ 0xc0000083, 0xffff800022222220 },
	{ 0xc0000084, 0x47700 },
	{ 0xc0000100, 0xffff800033333330 },
	{ 0xc0000102, 0xffff800044444440 },
	{ 0xc0000103, 0x5a5a },
	{ 0x6a0, 0 },
	{ 0xda0, 0 },
};

uint32_t state_is_spoiled, state_spins;

static void do_write(void *argument)
{
	const struct mark *mark = argument;

	probe_wrmsr(mark->msr, mark->value);
}

static void do_read(void *argument)
{
	struct mark *mark = argument;

	mark->value = probe_rdmsr(mark->msr);
}

static bool has_xsave(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	return regs[2] >> 26 & 1;
}

static uint64_t xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static void set_registers(void)
{
	const uint32_t mxcsr = 0x1fa0 | 0x6000;
	const uint16_t control = 0x0e7f;
	static const double number = 1234.5;

	if (has_xsave()) {
		probe_set_cr4(probe_cr4() | 1u << 18);
		__asm__ volatile("xsetbv" : : "a"(3), "d"(0), "c"(0));
	}
	__asm__ volatile("fninit; fldcw %0; fldl %1; ldmxcsr %2"
			 :
			 : "m"(control), "m"(number), "m"(mxcsr));
	__asm__ volatile("mov $0x12345678, %%eax; movd %%eax, %%xmm0; movd %%eax, %%xmm15"
			 :
			 :
			 : "rax");
	__asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3"
			 :
			 : "r"(UINT64_C(0x12345678)));
	__asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffff4ff5)));
	__asm__ volatile("mov %0, %%cr2" : : "r"(UINT64_C(0xfedcba9876543210)));
	__asm__ volatile("mov %0, %%cr8" : : "r"(UINT64_C(5)));
}

void state_spoil(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		struct mark mark = marks[i];

		probe_try(do_write, &mark, NULL);
	}
	set_registers();
	__atomic_store_n(&state_is_spoiled, 1, __ATOMIC_SEQ_CST);
	/* DR7 last: nobody comes by its breakpoints. The registers hold marks while it spins, and counts. */
	__asm__ volatile(
		"mov %0, %%dr7\n\t"
		"mov $0x0123456789abcdef, %%rax\n\t"
		"mov %%rax, %%rbx; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rsi\n\t"
		"mov %%rax, %%rdi; mov %%rax, %%rbp; mov %%rax, %%r8; mov %%rax, %%r9\n\t"
		"stc; std\n"
		"1: lock incl state_spins(%%rip)\n\t"
		"jmp 1b"
		:
		: "r"(UINT64_C(0x455))
		: "memory");
	__builtin_unreachable();
}

void state_print_stub(const struct stub_data *data)
{
	static const char *const gprs[] = {
		"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"
	};
	static const char *const segments[] = { "cs", "ds", "es", "fs", "gs", "ss" };
	static const char *const controls[] = { "cr0", "cr2", "cr3", "cr4" };
	static const char *const debugs[] = { "dr0", "dr1", "dr2", "dr3", "dr6", "dr7" };

	for (uint32_t i = 0; i < 8; i++)
		fact_line("state.%s = 0x%x", gprs[i], data->gpr[i]);
	for (uint32_t i = 1; i < 6; i++) /* CS is the page */
		fact_line("state.%s = 0x%x", segments[i], data->selectors[i]);
	for (uint32_t i = 0; i < 4; i++)
		fact_line("state.%s = 0x%x", controls[i], data->control[i]);
	for (uint32_t i = 0; i < 6; i++)
		fact_line("state.%s = 0x%x", debugs[i], data->debug[i]);
	fact_line("state.gdtr = 0x%x 0x%x", *(const uint16_t *)data->gdtr,
		  *(const uint32_t *)(data->gdtr + 2));
	fact_line("state.idtr = 0x%x 0x%x", *(const uint16_t *)data->idtr,
		  *(const uint32_t *)(data->idtr + 2));
	fact_line("state.eflags = 0x%x", data->flags);
	fact_line("state.efer = 0x%lx", data->efer);
	fact_line("state.limits = faults 0x%x", data->faults);
}

static void print_msr(uint32_t msr)
{
	struct mark mark = { msr, 0 };
	struct probe_fault fault;

	if (probe_try(do_read, &mark, &fault))
		fact_line("state.msr.0x%x = 0x%lx", msr, mark.value);
	else
		fact_line("state.msr.0x%x = fault %u", msr, fault.vector);
}

void state_print_rest(void *argument)
{
	static uint8_t area[512] __attribute__((aligned(16)));
	uint64_t cr8;

	(void)argument;
	__asm__ volatile("fxsave %0" : "=m"(area));
	fact_line("state.fcw = 0x%x", *(const uint16_t *)area);
	fact_line("state.fsw = 0x%x", *(const uint16_t *)(area + 2));
	fact_line("state.ftw = 0x%x", area[4]);
	fact_line("state.st0 = 0x%lx 0x%x", *(const uint64_t *)(area + 32),
		  *(const uint16_t *)(area + 40));
	fact_line("state.mxcsr = 0x%x", *(const uint32_t *)(area + 24));
	fact_line("state.xmm0 = 0x%lx", *(const uint64_t *)(area + 160));
	fact_line("state.xmm15 = 0x%lx", *(const uint64_t *)(area + 160 + 16 * 15));
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	fact_line("state.cr8 = 0x%lx", cr8);
	if (has_xsave()) {
		probe_set_cr4(probe_cr4() | 1u << 18);
		fact_line("state.xcr0 = 0x%lx", xcr0());
	}
	for (uint32_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		print_msr(marks[i].msr);
	print_msr(0x1b);
	print_msr(0x1a0);
	print_msr(0x2ff);
	print_msr(0x3a);
	for (uint32_t i = 0; i < MTRRS; i++)
		print_msr(0x200 + i);
	/* What the firmware relies upon. */
	probe_wrmsr(0x277, UINT64_C(0x0007040600070406));
}
