// SPDX-License-Identifier: BSD-2-Clause
/* MTRRs, PAT, and an access of every kind to memory of every type. */
#include "tests/guests/facts_memory/memory.h"

enum { TYPES = 8, FIXED = 11, VARIABLE_MAX = 10, CPUID_MTRR = 1 << 12 };

static const uint32_t fixed_msrs[FIXED] = { 0x250, 0x258, 0x259, 0x268, 0x269, 0x26a,
					    0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

static void msr_fact(const char *what, uint32_t msr)
{
	uint64_t value;
	bool ok = memory_rdmsr(msr, &value);

	if (ok)
		fact_line("%smemory.%s.0x%x = 0x%lx", fact_cpu(), what, msr, value);
	else
		fact_line("%smemory.%s.0x%x = absent", fact_cpu(), what, msr);
}

static unsigned variable_count(void)
{
	uint64_t cap;

	return memory_rdmsr(MSR_MTRRCAP, &cap) ? (unsigned)(cap & 0xff) : 0;
}

static void show_mtrrs(const char *what)
{
	unsigned count = variable_count();

	msr_fact(what, MSR_MTRR_DEF);
	for (unsigned i = 0; i < 2 * count && i < 2 * VARIABLE_MAX; i++)
		msr_fact(what, MSR_MTRR_FIRST + i);
	for (unsigned i = 0; i < FIXED; i++)
		msr_fact(what, fixed_msrs[i]);
}

/* What becomes of a value, and back to what it was. */
static void write_fact(const char *what, uint32_t msr, uint64_t value)
{
	uint64_t old, now;
	bool ok;

	if (!memory_rdmsr(msr, &old))
		return;
	ok = memory_wrmsr(msr, value);
	(void)memory_rdmsr(msr, &now);
	fact_line("%smemory.%s.0x%x.0x%lx = %s 0x%lx", fact_cpu(), what, msr, value,
		  ok ? "ok" : "gp", now);
	(void)memory_wrmsr(msr, old);
}

/* Of a range of one page, without holes: a map of many ranges takes long to rebuild. */
static uint64_t mask_of_page(void)
{
	uint32_t cpuid[4];

	probe_cpuid(0x80000008, 0, cpuid);
	return (((1ull << (cpuid[0] & 0xff)) - 1) & ~(uint64_t)(PAGE - 1)) | MTRR_MASK_VALID;
}

/* The last pair is one that OVMF has no use for. */
static void write_mtrrs(void)
{
	/* Not valid but with bit 11: no map to rebuild for each. */
	const uint64_t mask = mask_of_page() & ~(uint64_t)MTRR_MASK_VALID;
	uint32_t base = MSR_MTRR_FIRST + 2 * (variable_count() - 1);

	for (unsigned type = 0; type < TYPES; type++) {
		write_fact("mtrr.write", base, 0xe0000000 | type);
		write_fact("mtrr.write", 0x26f, 0x0606060606060600ull | type);
		write_fact("mtrr.write", MSR_MTRR_DEF, MTRR_DEF_ENABLE | MTRR_DEF_FIXED | type);
	}
	for (unsigned bit = 8; bit < 64; bit++) {
		write_fact("mtrr.base", base, 1ull << bit);
		write_fact("mtrr.mask", base + 1, mask ^ 1ull << bit);
	}
	for (unsigned bit = 3; bit < 64; bit++)
		write_fact("mtrr.def", MSR_MTRR_DEF, MTRR_DEF_ENABLE | 6 | 1ull << bit);
	write_fact("mtrr.cap", MSR_MTRRCAP, 0);
	write_fact("mtrr.beyond", base + 2, 0);
}

void memory_mtrrs(void)
{
	uint32_t cpuid[4];

	probe_cpuid(1, 0, cpuid);
	if ((cpuid[3] & CPUID_MTRR) == 0 || variable_count() == 0) {
		fact_line("%smemory.mtrr = absent", fact_cpu());
		return;
	}
	msr_fact("mtrr", MSR_MTRRCAP);
	show_mtrrs("mtrr");
	write_mtrrs();
	/* All is as it was. */
	show_mtrrs("mtrr.after");
}

void memory_pat(void)
{
	uint64_t old;

	if (!memory_rdmsr(MSR_PAT, &old)) {
		fact_line("%smemory.pat = absent", fact_cpu());
		return;
	}
	msr_fact("pat", MSR_PAT);
	for (unsigned type = 0; type < 9; type++) {
		/* Each in the highest entry, and in one that is in use. */
		write_fact("pat.high", MSR_PAT, (old & ~(0xffull << 56)) | (uint64_t)type << 56);
		write_fact("pat.low", MSR_PAT, (old & ~(0xffull << 8)) | (uint64_t)type << 8);
	}
	for (unsigned bit = 3; bit < 64; bit += bit % 8 == 7 ? 4 : 1)
		write_fact("pat.bit", MSR_PAT, old | 1ull << bit);
	msr_fact("pat.after", MSR_PAT);
}

/* --- types --- */

/* Stores and loads of every kind; what is there afterwards and what came back, as one number. */
static uint64_t work_on(volatile uint8_t *page)
{
	uint64_t hash = 1469598103934665603ull, seed = 88172645463325252ull, old = 5, one = 1;

	for (unsigned i = 0; i < PAGE; i += 8)
		*(volatile uint64_t *)(page + i) = probe_random(&seed);
	*(volatile uint32_t *)(page + 61) = 0x12345678; /* across a cache line */
	*(volatile uint16_t *)(page + 127) = 0xabcd;
	__asm__ volatile("movntiq %1, %0" : "=m"(*(volatile uint64_t *)(page + 256)) : "r"(old));
	__asm__ volatile("lock; xaddq %0, %1"
			 : "+r"(one), "+m"(*(volatile uint64_t *)(page + 264)));
	__asm__ volatile("lock; cmpxchgq %2, %1"
			 : "+a"(old), "+m"(*(volatile uint64_t *)(page + 256))
			 : "r"(seed)
			 : "cc");
	__asm__ volatile("xchgq %0, %1" : "+r"(old), "+m"(*(volatile uint64_t *)(page + 272)));
	__asm__ volatile("clflush %0" : : "m"(*page));
	__asm__ volatile("sfence; mfence; lfence" : : : "memory");
	__asm__ volatile("cld; rep stosb" : : "a"(0x5a), "D"(page + 512), "c"(300) : "memory");
	__asm__ volatile("rep movsb" : : "S"(page + 100), "D"(page + 1000), "c"(77) : "memory");
	for (unsigned i = 0; i < PAGE; i++)
		hash = (hash ^ page[i]) * 1099511628211ull;
	return hash ^ one ^ old;
}

/* Every entry of the PAT in turn, by PAT, PCD and PWT of the page's entry. */
static void types_fact(const char *what)
{
	for (unsigned entry = 0; entry < 8; entry++) {
		uint64_t bits = ((entry & 1) ? PTE_PWT : 0) | ((entry & 2) ? PTE_PCD : 0) |
				((entry & 4) ? PTE_PAT : 0);
		volatile uint8_t *page =
			memory_window(0, (uint64_t)memory_scratch, PTE_P | PTE_W | bits);

		fact_line("%smemory.%s.pat%u = 0x%lx", fact_cpu(), what, entry, work_on(page));
	}
}

/* UC, WC, WT, WP, WB, UC-: all of them in the PAT. */
#define PAT_ALL	  0x0007010500040106ull
#define PAT_TYPES 6

/* With the scratch page in a range of its own: SDM, "MTRR Considerations in MP Systems". */
static void set_mtrr(unsigned pair, uint64_t base, uint64_t mask)
{
	uint64_t def = probe_rdmsr(MSR_MTRR_DEF);

	__asm__ volatile("wbinvd" : : : "memory");
	probe_wrmsr(MSR_MTRR_DEF, def & ~(uint64_t)MTRR_DEF_ENABLE);
	probe_wrmsr(MSR_MTRR_FIRST + 2 * pair, base);
	probe_wrmsr(MSR_MTRR_FIRST + 2 * pair + 1, mask);
	probe_wrmsr(MSR_MTRR_DEF, def);
	__asm__ volatile("wbinvd" : : : "memory");
}

static const uint8_t mtrr_types[] = { 0, 1, 4, 5, 6 };

void memory_types(void)
{
	uint64_t pat = probe_rdmsr(MSR_PAT);
	unsigned count = variable_count();
	char what[] = "type.mtrr0";

	types_fact("type");
	if (!memory_wrmsr(MSR_PAT, PAT_ALL))
		return;
	types_fact("type.all");
	for (unsigned i = 0; i < sizeof(mtrr_types) && count != 0; i++) {
		what[sizeof(what) - 2] = (char)('0' + mtrr_types[i]);
		set_mtrr(count - 1, (uint64_t)memory_scratch | mtrr_types[i], mask_of_page());
		types_fact(what);
	}
	if (count != 0)
		set_mtrr(count - 1, 0, 0);
	probe_wrmsr(MSR_PAT, pat);
}

/* --- on all CPUs at once --- */

static uint32_t arrived;
static volatile uint64_t all_base, all_mask;

/* Everybody waits for everybody before and after. */
static void meet(uint32_t round)
{
	__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < round * probe_cpu_count)
		__asm__ volatile("pause");
}

static void change_with_others(void *argument)
{
	(void)argument;
	meet(1);
	set_mtrr(variable_count() - 1, all_base, all_mask);
	meet(2);
}

void memory_types_of_all(void)
{
	uint64_t seen;

	if (variable_count() == 0)
		return;
	for (unsigned i = 0; i <= sizeof(mtrr_types); i++) {
		bool last = i == sizeof(mtrr_types);

		all_base = last ? 0 : (uint64_t)memory_scratch | mtrr_types[i];
		all_mask = last ? 0 : mask_of_page();
		__atomic_store_n(&arrived, 0, __ATOMIC_SEQ_CST);
		for (uint32_t cpu = 1; cpu < probe_cpu_count; cpu++)
			probe_check(probe_start_and_wait(cpu, change_with_others, NULL), "start",
				    "CPU %u", cpu);
		change_with_others(NULL);
		for (uint32_t cpu = 1; cpu < probe_cpu_count; cpu++)
			probe_check(probe_join(cpu, 20000), "join", "CPU %u", cpu);
		seen = work_on(memory_window(0, (uint64_t)memory_scratch, PTE_P | PTE_W));
		fact_line("memory.type.together.%u = 0x%lx", i, seen);
	}
}
