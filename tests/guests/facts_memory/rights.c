// SPDX-License-Identifier: BSD-2-Clause
/* Accessed and dirty bits, and what protection keys, SMEP, SMAP, NX, WP and LAM make of an access at CPL 0. */
#include "tests/guests/facts_memory/memory.h"

enum {
	CR0_WP = 1 << 16,
	CR4_SMEP = 1 << 20,
	CR4_SMAP = 1 << 21,
	CR4_PKE = 1 << 22,
	CR4_CET = 1 << 23,
	CR4_PKS = 1 << 24,
	CR4_LAM_SUP = 1 << 28,
	LEAF7_1_EAX_LAM = 1 << 26,
	LEAF7_ECX_SHSTK = 1 << 7,
	MSR_PKRS = 0x6e1,
	MSR_EFER_NUMBER = 0xc0000080,
	EFER_NXE = 1 << 11,
	KEY = 5
};

/* --- what an access leaves in the entries --- */

static volatile uint64_t *target;

static void do_load(void *argument)
{
	(void)argument;
	(void)*target;
}

static void do_store(void *argument)
{
	(void)argument;
	*target = 0xc3;
}

static void do_fetch(void *argument)
{
	(void)argument;
	((void (*)(void))(uint64_t)target)();
}

/* One that does not exchange writes all the same. */
static void do_cmpxchg(void *argument)
{
	uint64_t old = 1;

	(void)argument;
	__asm__ volatile("lock; cmpxchgq %2, %1" : "+a"(old), "+m"(*target) : "r"(0ull) : "cc");
}

static void do_movs(void *argument)
{
	uint64_t from = (uint64_t)memory_scratch, to = (uint64_t)target, count = 16;

	(void)argument;
	__asm__ volatile("cld; rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
}

static void do_prefetchw(void *argument)
{
	(void)argument;
	__asm__ volatile("prefetchw %0" : : "m"(*target));
}

static void do_crossing(void *argument)
{
	(void)argument;
	*(volatile uint64_t *)((uint64_t)target + PAGE - 4) = 0;
}

static const struct {
	const char *name;
	probe_function function;
} accesses[] = {
	{ "load", do_load },	     { "store", do_store }, { "fetch", do_fetch },
	{ "cmpxchg", do_cmpxchg },   { "movs", do_movs },   { "prefetchw", do_prefetchw },
	{ "crossing", do_crossing },
};
enum { ACCESSES = sizeof(accesses) / sizeof(accesses[0]), CROSSING = ACCESSES - 1 };

static void clear_bits(void)
{
	for (unsigned level = 0; level < 4; level++)
		*memory_entry(5, level) &= ~(uint64_t)(PTE_A | PTE_D);
	*memory_entry(6, 0) &= ~(uint64_t)(PTE_A | PTE_D);
	memory_flush_tlb();
}

static unsigned bits_of(unsigned page, unsigned level)
{
	return (unsigned)*memory_entry(page, level) & (PTE_A | PTE_D);
}

/* A RET to fetch, in pages 5 and 6. */
static void open_pages(uint64_t first, uint64_t second)
{
	memory_scratch[5 * PAGE] = 0xc3;
	(void)memory_window(6, (uint64_t)memory_scratch + 6 * PAGE, second);
	target = (volatile uint64_t *)memory_window(5, (uint64_t)memory_scratch + 5 * PAGE, first);
}

void memory_bits(void)
{
	for (unsigned i = 0; i < ACCESSES; i++) {
		const char *met;

		open_pages(PTE_P | PTE_W, PTE_P | PTE_W);
		clear_bits();
		met = memory_try(accesses[i].function, NULL);
		fact_line("memory.bits.%s = %s 0x%x 0x%x 0x%x 0x%x 0x%x", accesses[i].name, met,
			  bits_of(5, 3), bits_of(5, 2), bits_of(5, 1), bits_of(5, 0),
			  bits_of(6, 0));
		/* What faults leaves no D. */
		open_pages(PTE_P, PTE_P | PTE_W);
		clear_bits();
		met = memory_try(accesses[i].function, NULL);
		fact_line("memory.bits.%s.readonly = %s 0x%x 0x%x", accesses[i].name, met,
			  bits_of(5, 0), bits_of(6, 0));
		open_pages(PTE_P | PTE_W, 0);
		clear_bits();
		met = memory_try(accesses[i].function, NULL);
		fact_line("memory.bits.%s.half = %s 0x%x", accesses[i].name, met, bits_of(5, 0));
	}
}

/* --- rights --- */

/* Every access to a page with these bits. */
static void rights_fact(const char *what, uint64_t bits)
{
	for (unsigned i = 0; i < CROSSING; i++) {
		open_pages(bits, PTE_P | PTE_W);
		fact_line("memory.rights.%s.%s = %s", what, accesses[i].name,
			  memory_try(accesses[i].function, NULL));
	}
}

static void do_set_cr4(void *argument)
{
	probe_set_cr4(*(const uint64_t *)argument);
}

static bool set_cr4(uint64_t bits, bool on)
{
	uint64_t value = on ? probe_cr4() | bits : probe_cr4() & ~bits;
	struct probe_fault fault;

	return probe_try(do_set_cr4, &value, &fault);
}

static void do_stac(void *argument)
{
	(void)argument;
	__asm__ volatile(".byte 0x0f, 0x01, 0xcb" : : : "cc", "memory");
}

static void do_clac(void *argument)
{
	(void)argument;
	__asm__ volatile(".byte 0x0f, 0x01, 0xca" : : : "cc", "memory");
}

static void load_with_ac(void *argument)
{
	do_stac(NULL);
	do_load(argument);
	do_clac(NULL);
}

static void store_with_ac(void *argument)
{
	do_stac(NULL);
	do_store(argument);
	do_clac(NULL);
}

static void smap(void)
{
	if (!set_cr4(CR4_SMAP, true)) {
		fact_line("memory.rights.smap = absent");
		return;
	}
	rights_fact("smap.user", PTE_P | PTE_W | PTE_U);
	open_pages(PTE_P | PTE_W | PTE_U, 0);
	fact_line("memory.rights.smap.ac.load = %s", memory_try(load_with_ac, NULL));
	fact_line("memory.rights.smap.ac.store = %s", memory_try(store_with_ac, NULL));
	do_clac(NULL);
	(void)set_cr4(CR4_SMAP, false);
}

static void smep(void)
{
	if (!set_cr4(CR4_SMEP, true)) {
		fact_line("memory.rights.smep = absent");
		return;
	}
	rights_fact("smep.user", PTE_P | PTE_W | PTE_U);
	(void)set_cr4(CR4_SMEP, false);
}

static void write_pkru(uint32_t value)
{
	__asm__ volatile(".byte 0x0f, 0x01, 0xef" : : "a"(value), "c"(0), "d"(0) : "memory");
}

static void keys(void)
{
	if (!set_cr4(CR4_PKE, true)) {
		fact_line("memory.rights.pke = absent");
	} else {
		write_pkru(1u << 2 * KEY);
		rights_fact("pku.ad", PTE_P | PTE_W | PTE_U | (uint64_t)KEY << PTE_KEY_SHIFT);
		write_pkru(2u << 2 * KEY);
		rights_fact("pku.wd", PTE_P | PTE_W | PTE_U | (uint64_t)KEY << PTE_KEY_SHIFT);
		rights_fact("pku.system", PTE_P | PTE_W | (uint64_t)KEY << PTE_KEY_SHIFT);
		write_pkru(0);
		(void)set_cr4(CR4_PKE, false);
	}
	if (!set_cr4(CR4_PKS, true)) {
		fact_line("memory.rights.pks = absent");
		return;
	}
	fact_line("memory.rights.pks.write = %s",
		  memory_wrmsr(MSR_PKRS, 1ull << 2 * KEY) ? "ok" : "gp");
	rights_fact("pks.ad", PTE_P | PTE_W | (uint64_t)KEY << PTE_KEY_SHIFT);
	(void)memory_wrmsr(MSR_PKRS, 2ull << 2 * KEY);
	rights_fact("pks.wd", PTE_P | PTE_W | (uint64_t)KEY << PTE_KEY_SHIFT);
	fact_line("memory.rights.pks.reserved = %s",
		  memory_wrmsr(MSR_PKRS, 1ull << 32) ? "ok" : "gp");
	(void)memory_wrmsr(MSR_PKRS, 0);
	(void)set_cr4(CR4_PKS, false);
}

static uint64_t read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static void write_cr0(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static void write_protect(void)
{
	uint64_t old = read_cr0();

	write_cr0(old & ~(uint64_t)CR0_WP);
	rights_fact("nowp.readonly", PTE_P);
	write_cr0(old | CR0_WP);
	rights_fact("wp.readonly", PTE_P);
	write_cr0(old);
}

static void no_execute(void)
{
	uint64_t old = probe_rdmsr(MSR_EFER_NUMBER);

	(void)memory_wrmsr(MSR_EFER_NUMBER, old | EFER_NXE);
	rights_fact("nx", PTE_P | PTE_W | PTE_NX);
	if ((old & EFER_NXE) == 0) {
		(void)memory_wrmsr(MSR_EFER_NUMBER, old);
		rights_fact("nonxe", PTE_P | PTE_W | PTE_NX);
	}
	(void)memory_wrmsr(MSR_EFER_NUMBER, old);
}

/* Supervisor addresses with bits 62 to 57 or 48 that are no sign extension. */
static void linear_address_masking(void)
{
	uint32_t cpuid[4];

	open_pages(PTE_P | PTE_W, 0);
	target = (volatile uint64_t *)((uint64_t)target & ~(1ull << 61));
	fact_line("memory.lam.off = %s", memory_try(do_load, NULL));
	probe_cpuid(7, 1, cpuid);
	if ((cpuid[0] & LEAF7_1_EAX_LAM) == 0 || !set_cr4(CR4_LAM_SUP, true)) {
		fact_line("memory.lam = absent");
		return;
	}
	fact_line("memory.lam.on = %s", memory_try(do_load, NULL));
	(void)set_cr4(CR4_LAM_SUP, false);
}

void memory_rights(void)
{
	uint64_t cr4 = probe_cr4();
	uint32_t cpuid[4];

	(void)set_cr4(CR4_SMEP | CR4_SMAP | CR4_PKE, false);
	rights_fact("plain", PTE_P | PTE_W);
	rights_fact("user", PTE_P | PTE_W | PTE_U);
	rights_fact("absent", 0);
	rights_fact("reserved", PTE_P | PTE_W | 1ull << 51);
	write_protect();
	no_execute();
	smep();
	smap();
	keys();
	linear_address_masking();
	probe_cpuid(7, 0, cpuid);
	fact_line("memory.rights.cet = %s",
		  (cpuid[2] & LEAF7_ECX_SHSTK) != 0 && set_cr4(CR4_CET, true) ? "ok" : "absent");
	probe_set_cr4(cr4);
}
