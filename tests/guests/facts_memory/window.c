// SPDX-License-Identifier: BSD-2-Clause
/* The window, and instructions that may fault. */
#include "tests/guests/facts_memory/memory.h"

enum { SLOT = 300, ENTRIES = 512, CR0_WP = 1 << 16 };

uint8_t memory_scratch[SCRATCH_PAGES * PAGE] __attribute__((aligned(PAGE)));
static uint64_t tables[4][ENTRIES] __attribute__((aligned(PAGE))); /* by level */
static uint64_t old_cr3;

static uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static void write_cr3(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

void memory_flush_tlb(void)
{
	write_cr3(read_cr3());
}

void memory_map(void)
{
	const uint64_t *firmware;

	old_cr3 = read_cr3();
	firmware = (const uint64_t *)(old_cr3 & ~(uint64_t)(PAGE - 1));
	for (unsigned i = 0; i < ENTRIES; i++)
		tables[3][i] = firmware[i];
	tables[3][SLOT] = (uint64_t)tables[2] | PTE_P | PTE_W | PTE_U;
	tables[2][0] = (uint64_t)tables[1] | PTE_P | PTE_W | PTE_U;
	tables[1][0] = (uint64_t)tables[0] | PTE_P | PTE_W | PTE_U;
	write_cr3((uint64_t)tables[3]);
}

void memory_unmap(void)
{
	write_cr3(old_cr3);
}

volatile uint64_t *memory_entry(unsigned page, unsigned level)
{
	static const unsigned fixed[] = { 0, 0, 0, SLOT };

	return &tables[level][level == 0 ? page : fixed[level]];
}

volatile uint8_t *memory_window(unsigned page, uint64_t frame, uint64_t bits)
{
	*memory_entry(page, 0) = frame | bits;
	memory_flush_tlb();
	return (volatile uint8_t *)(0xffff000000000000ull | (uint64_t)SLOT << 39 |
				    (uint64_t)page * PAGE);
}

struct msr_access {
	uint32_t msr;
	uint64_t value;
};

static void do_wrmsr(void *argument)
{
	const struct msr_access *access = argument;

	probe_wrmsr(access->msr, access->value);
}

static void do_rdmsr(void *argument)
{
	struct msr_access *access = argument;

	access->value = probe_rdmsr(access->msr);
}

bool memory_wrmsr(uint32_t msr, uint64_t value)
{
	struct msr_access access = { msr, value };
	struct probe_fault fault;

	return probe_try(do_wrmsr, &access, &fault);
}

bool memory_rdmsr(uint32_t msr, uint64_t *value)
{
	struct msr_access access = { msr, 0 };
	struct probe_fault fault;
	bool ok = probe_try(do_rdmsr, &access, &fault);

	*value = access.value;
	return ok;
}

static uint64_t format(char *to, uint64_t size, const char *text, ...)
{
	uint64_t used;
	va_list arguments;

	va_start(arguments, text);
	used = probe_vformat(to, size, text, arguments);
	va_end(arguments);
	return used;
}

const char *memory_try(probe_function function, void *argument)
{
	static char text[64];
	struct probe_fault fault;

	if (probe_try(function, argument, &fault))
		return "ok";
	format(text, sizeof(text), "vector=%u error=0x%lx", fault.vector, fault.error);
	return text;
}
