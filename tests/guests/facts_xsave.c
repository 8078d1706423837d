// SPDX-License-Identifier: BSD-2-Clause
/*
 * Extended state: which XCR0 and IA32_XSS are taken, what the forms of XSAVE write, and that no exit changes a register of
 * x87, SSE, AVX or AVX-512, whichever component is in use.
 *
 *   facts_xsave.efi [exits N]
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { CR4_OSFXSR = 1 << 9, CR4_OSXMMEXCPT = 1 << 10, CR4_OSXSAVE = 1 << 18 };
enum { MSR_XSS = 0xda0, MSR_APIC_BASE = 0x1b, MSR_MTRR_DEF = 0x2ff, AREA = 12288 };
enum { X87 = 1, SSE = 2, AVX = 4, OPMASK = 0x20, AVX512 = 0xe0, PKRU = 0x200 };
enum { FORM_XSAVE, FORM_XSAVEOPT, FORM_XSAVEC, FORM_XSAVES, FORMS };

static uint8_t area[AREA] __attribute__((aligned(64))), pattern[AREA] __attribute__((aligned(64)));
static uint64_t supported, supervisor;

static uint64_t xgetbv(uint32_t index)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

struct xcr {
	uint32_t index;
	uint64_t value;
};

static void do_xsetbv(void *argument)
{
	const struct xcr *xcr = argument;

	__asm__ volatile("xsetbv"
			 :
			 : "a"((uint32_t)xcr->value), "d"((uint32_t)(xcr->value >> 32)),
			   "c"(xcr->index)
			 : "memory");
}

static bool set_xcr(uint32_t index, uint64_t value)
{
	struct xcr xcr = { index, value };
	struct probe_fault fault;

	return probe_try(do_xsetbv, &xcr, &fault);
}

static void do_xgetbv(void *argument)
{
	*(uint64_t *)argument = xgetbv((uint32_t) * (uint64_t *)argument);
}

static void do_wrmsr_xss(void *argument)
{
	probe_wrmsr(MSR_XSS, *(uint64_t *)argument);
}

/* --- what is taken --- */

static void registers(void)
{
	uint64_t old = xgetbv(0), value;
	struct probe_fault fault;

	fact_line("%sxsave.xcr0 = 0x%lx", fact_cpu(), old);
	for (unsigned bit = 0; bit < 64; bit++) {
		bool alone = set_xcr(0, 1ull << bit), with;

		with = set_xcr(0, X87 | SSE | 1ull << bit);
		fact_line("%sxsave.xcr0.bit%u = %s %s 0x%lx", fact_cpu(), bit, alone ? "ok" : "gp",
			  with ? "ok" : "gp", xgetbv(0));
		(void)set_xcr(0, old);
	}
	for (unsigned value8 = 0; value8 < 256; value8++) {
		bool ok = set_xcr(0, value8);

		fact_line("%sxsave.xcr0.low0x%x = %s 0x%lx", fact_cpu(), value8, ok ? "ok" : "gp",
			  xgetbv(0));
		(void)set_xcr(0, old);
	}
	fact_line("%sxsave.xcr1.write = %s", fact_cpu(), set_xcr(1, 1) ? "ok" : "gp");
	fact_line("%sxsave.xcr0x80000000.write = %s", fact_cpu(),
		  set_xcr(0x80000000, X87) ? "ok" : "gp");
	for (uint64_t index = 0; index < 4; index++) {
		value = index;
		fact_line("%sxsave.xgetbv%lu = %s", fact_cpu(), index,
			  probe_try(do_xgetbv, &value, &fault) ? "ok" : "fault");
	}
	/* Without OSXSAVE they are no instructions. */
	probe_set_cr4(probe_cr4() & ~(uint64_t)CR4_OSXSAVE);
	value = 0;
	(void)probe_try(do_xgetbv, &value, &fault);
	fact_line("%sxsave.off.xgetbv = %u", fact_cpu(), fault.happened ? fault.vector : 255);
	fault.happened = false;
	(void)probe_try(do_xsetbv, &(struct xcr){ 0, old }, &fault);
	fact_line("%sxsave.off.xsetbv = %u", fact_cpu(), fault.happened ? fault.vector : 255);
	probe_set_cr4(probe_cr4() | CR4_OSXSAVE);
}

static void supervisor_states(void)
{
	struct probe_fault fault;
	uint32_t regs[4];
	uint64_t value, old;

	probe_cpuid(0xd, 1, regs);
	if ((regs[0] & 8) == 0) {
		fact_line("%sxsave.xss = absent", fact_cpu());
		return;
	}
	old = probe_rdmsr(MSR_XSS);
	fact_line("%sxsave.xss = 0x%lx", fact_cpu(), old);
	supervisor = regs[2] | (uint64_t)regs[3] << 32;
	for (unsigned bit = 0; bit < 64; bit++) {
		bool ok;

		value = 1ull << bit;
		ok = probe_try(do_wrmsr_xss, &value, &fault);
		fact_line("%sxsave.xss.bit%u = %s 0x%lx", fact_cpu(), bit, ok ? "ok" : "gp",
			  probe_rdmsr(MSR_XSS));
		probe_wrmsr(MSR_XSS, old);
	}
}

/* --- what is written --- */

struct save {
	unsigned form;
	uint64_t mask;
	uint8_t *to;
};

static void do_save(void *argument)
{
	const struct save *save = argument;
	uint32_t low = (uint32_t)save->mask, high = (uint32_t)(save->mask >> 32);

	switch (save->form) {
	case FORM_XSAVE:
		__asm__ volatile("xsave64 (%0)" : : "r"(save->to), "a"(low), "d"(high) : "memory");
		break;
	case FORM_XSAVEOPT:
		__asm__ volatile("xsaveopt64 (%0)"
				 :
				 : "r"(save->to), "a"(low), "d"(high)
				 : "memory");
		break;
	case FORM_XSAVEC:
		__asm__ volatile("xsavec64 (%0)" : : "r"(save->to), "a"(low), "d"(high) : "memory");
		break;
	default:
		__asm__ volatile("xsaves64 (%0)" : : "r"(save->to), "a"(low), "d"(high) : "memory");
		break;
	}
}

static void do_restore(void *argument)
{
	const struct save *save = argument;
	uint32_t low = (uint32_t)save->mask, high = (uint32_t)(save->mask >> 32);

	if (save->form == FORM_XSAVES)
		__asm__ volatile("xrstors64 (%0)"
				 :
				 : "r"(save->to), "a"(low), "d"(high)
				 : "memory");
	else
		__asm__ volatile("xrstor64 (%0)" : : "r"(save->to), "a"(low), "d"(high) : "memory");
}

static uint64_t hash(const uint8_t *at, unsigned bytes)
{
	uint64_t value = 1469598103934665603ull;

	for (unsigned i = 0; i < bytes; i++)
		value = (value ^ at[i]) * 1099511628211ull;
	return value;
}

static void clear(uint8_t *at)
{
	for (unsigned i = 0; i < AREA; i++)
		at[i] = 0;
}

/* Every component filled with numbers that it accepts. */
static void fill(const char *name, uint64_t components)
{
	uint64_t seed = 0x2545f4914f6cdd1dull;
	struct save load = { FORM_XSAVE, components, pattern };
	struct probe_fault fault;
	uint32_t regs[4];

	clear(pattern);
	for (unsigned bit = 2; bit < 63; bit++) {
		if ((components & supported & 1ull << bit) == 0)
			continue;
		probe_cpuid(0xd, bit, regs);
		for (unsigned i = 0; i < regs[0] && regs[1] + i < AREA; i++)
			pattern[regs[1] + i] = (uint8_t)probe_random(&seed);
		/* PKRU: any key but those in use; bounds and tiles have rules of their own. */
		if (bit == 9)
			*(uint32_t *)(pattern + regs[1]) = 0x55555554;
		if (bit == 3 || bit == 4 || bit == 17)
			for (unsigned i = 0; i < regs[0]; i++)
				pattern[regs[1] + i] = 0;
	}
	*(uint16_t *)(pattern + 0) = 0x27f; /* FCW */
	pattern[4] = 0xff;		    /* all registers in use */
	for (unsigned i = 0; i < 8; i++) {
		*(uint64_t *)(pattern + 32 + 16 * i) = probe_random(&seed) | 1ull << 63;
		*(uint16_t *)(pattern + 40 + 16 * i) = 0x4001 + (uint16_t)i;
	}
	*(uint32_t *)(pattern + 24) = 0x1fa5; /* MXCSR */
	for (unsigned i = 0; i < 256; i++)
		pattern[160 + i] = (uint8_t)probe_random(&seed);
	*(uint64_t *)(pattern + 512) = components & ~0x20018ull;
	fact_line("%sxsave.fill.%s = 0x%lx %s", fact_cpu(), name, components,
		  probe_try(do_restore, &load, &fault) ? "ok" : "fault");
}

static void forms(void)
{
	static const char *const names[FORMS] = { "xsave", "xsaveopt", "xsavec", "xsaves" };
	struct probe_fault fault;
	uint32_t regs[4];

	probe_cpuid(0xd, 1, regs);
	for (unsigned form = 0; form < FORMS; form++) {
		/* XSAVEOPT, XSAVEC and XSAVES have bits of their own. */
		bool there = form == FORM_XSAVE ||
			     (regs[0] & 1u << (form == FORM_XSAVES ? 3 : form - 1)) != 0;

		if (!there) {
			fact_line("%sxsave.form.%s = absent", fact_cpu(), names[form]);
			continue;
		}
		for (unsigned bit = 0; bit < 20; bit++) {
			struct save save = { form, 1ull << bit, area };
			bool ok;

			clear(area);
			ok = probe_try(do_save, &save, &fault);
			fact_line("%sxsave.form.%s.%u = %s 0x%lx 0x%lx 0x%lx", fact_cpu(),
				  names[form], bit, ok ? "ok" : "fault", *(uint64_t *)(area + 512),
				  *(uint64_t *)(area + 520), hash(area, AREA));
		}
		/* Not aligned. */
		fault.happened = false;
		(void)probe_try(do_save, &(struct save){ form, 3, area + 8 }, &fault);
		fact_line("%sxsave.form.%s.unaligned = %u", fact_cpu(), names[form],
			  fault.happened ? fault.vector : 255);
	}
}

/* --- what exits leave alone --- */

static void do_vmcall(void *argument)
{
	(void)argument;
	__asm__ volatile("vmcall" : : "a"(0) : "memory");
}

static void do_ud2(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

static void exit_of_kind(uint64_t which)
{
	struct probe_fault fault;
	uint32_t regs[4];
	uint64_t value;

	switch (which % 8) {
	case 0:
		probe_cpuid((uint32_t)which, 0, regs);
		break;
	case 1:
		probe_wrmsr(MSR_APIC_BASE, probe_rdmsr(MSR_APIC_BASE));
		break;
	case 2:
		(void)set_xcr(0, xgetbv(0));
		break;
	case 3:
		(void)probe_try(do_vmcall, NULL, &fault);
		break;
	case 4:
		__asm__ volatile("mov %%cr0, %0; mov %0, %%cr0" : "=r"(value) : : "memory");
		__asm__ volatile("mov %%cr4, %0; mov %0, %%cr4" : "=r"(value) : : "memory");
		break;
	case 5:
		(void)probe_inb(0x71);
		probe_apic_write(0x80, probe_apic_read(0x80)); /* TPR */
		break;
	case 6:
		(void)probe_try(do_ud2, NULL, &fault);
		break;
	default:
		/* One that is the same MTRR, and WBINVD, at times. */
		if (which % 4096 == 7)
			__asm__ volatile("wbinvd" : : : "memory");
		else
			(void)probe_rdmsr(MSR_APIC_BASE);
		break;
	}
}

static void exits(const char *name, uint64_t components, uint64_t count)
{
	struct save save = { FORM_XSAVE, components, area };
	uint64_t old = xgetbv(0), before, after;

	if ((components & supported) != components || !set_xcr(0, components | X87)) {
		fact_line("%sxsave.exits.%s = absent", fact_cpu(), name);
		return;
	}
	fill(name, components);
	clear(area);
	do_save(&save);
	before = hash(area, AREA);
	for (uint64_t i = 0; i < count; i++)
		exit_of_kind(i);
	clear(area);
	do_save(&save);
	after = hash(area, AREA);
	fact_line("%sxsave.exits.%s = 0x%lx %s xcr0=0x%lx", fact_cpu(), name, before,
		  before == after ? "unchanged" : "changed", xgetbv(0));
	(void)set_xcr(0, old);
}

static void look(void *argument)
{
	uint64_t count = (uint64_t)argument, old_cr4 = probe_cr4();
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	if ((regs[2] & 1u << 26) == 0) {
		fact_line("%sxsave = absent", fact_cpu());
		return;
	}
	probe_set_cr4(old_cr4 | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE);
	probe_cpuid(0xd, 0, regs);
	supported = regs[0] | (uint64_t)regs[3] << 32;
	registers();
	supervisor_states();
	(void)set_xcr(0, supported & (X87 | SSE | AVX | AVX512 | PKRU));
	fill("forms", xgetbv(0));
	forms();
	exits("x87", X87, count / 4);
	exits("sse", X87 | SSE, count / 4);
	exits("avx", X87 | SSE | AVX, count / 4);
	exits("avx512", X87 | SSE | AVX | AVX512, count / 4);
	(void)set_xcr(0, X87);
	probe_set_cr4(old_cr4);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint64_t count = probe_number(options, "exits", 4000);

	fact_begin("xsave");
	look((void *)count);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, look, (void *)count), "start", "CPU %u", i);
		probe_check(probe_join(i, 120000), "join", "CPU %u", i);
	}
	fact_end();
	return probe_end();
}
