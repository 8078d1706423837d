/* SPDX-License-Identifier: BSD-2-Clause */
/* The other CPUs, started by INIT and SIPI as an operating system does it, past the firmware. */
#include "tests/guests/lib/probe.h"

enum { START_POLLS = 300000 };
enum { STACK_BYTES = 16384, MSR_APIC_BASE = 0x1b, MSR_EFER = 0xc0000080, MSR_X2APIC = 0x800 };
enum { APIC_ICR_LOW = 0x300, APIC_ICR_HIGH = 0x310, ICR_PENDING = 0x1000 };
enum { ICR_INIT = 0x4500, ICR_STARTUP = 0x4600, TRAMPOLINE_LIMIT = 0x9f000 };

/* As entry.asm lays it out. */
struct trampoline_data {
	uint64_t cr0, cr3, cr4, efer, stack, argument, function;
	uint32_t cs, ss;
	uint32_t to_32;
	uint16_t to_32_selector, pad_0;
	uint32_t to_64;
	uint16_t to_64_selector, pad_1;
	uint16_t gdt_limit;
	uint32_t gdt_base;
	uint16_t pad_2;
	uint8_t final_gdt[10];
} __attribute__((packed));

struct job {
	struct probe_cpu *cpu;
	probe_function function;
	void *argument;
	uint64_t entered; /* written by that CPU */
	uint32_t is_done; /* the same */
};

extern const uint8_t probe_trampoline_start[] __attribute__((visibility("hidden")));
extern const uint8_t probe_trampoline_end[] __attribute__((visibility("hidden")));
extern const uint8_t probe_trampoline_data[] __attribute__((visibility("hidden")));

const struct probe_startup probe_startup_usual = { 10000, 200, 2 };

static uint8_t stacks[PROBE_CPUS_MAX][STACK_BYTES] __attribute__((aligned(16)));
static struct job jobs[PROBE_CPUS_MAX];
static EFI_PHYSICAL_ADDRESS trampoline;

uint64_t probe_apic_base(void)
{
	return probe_rdmsr(MSR_APIC_BASE);
}

static bool is_x2apic(void)
{
	return (probe_apic_base() & 0x400) != 0;
}

static volatile uint32_t *apic_register(uint32_t offset)
{
	return (volatile uint32_t *)((probe_apic_base() & ~UINT64_C(0xfff)) + offset);
}

uint32_t probe_apic_read(uint32_t offset)
{
	if (is_x2apic())
		return (uint32_t)probe_rdmsr(MSR_X2APIC + offset / 16);
	return *apic_register(offset);
}

void probe_apic_write(uint32_t offset, uint32_t value)
{
	if (is_x2apic())
		probe_wrmsr(MSR_X2APIC + offset / 16, value);
	else
		*apic_register(offset) = value;
}

void probe_icr(uint32_t apic_id, uint32_t low)
{
	if (is_x2apic()) {
		probe_wrmsr(MSR_X2APIC + APIC_ICR_LOW / 16, (uint64_t)apic_id << 32 | low);
		return;
	}
	probe_apic_write(APIC_ICR_HIGH, apic_id << 24);
	probe_apic_write(APIC_ICR_LOW, low);
	while (probe_apic_read(APIC_ICR_LOW) & ICR_PENDING)
		__asm__ volatile("pause");
}

static void run_job(void *argument)
{
	struct job *job = argument;

	probe_exceptions_load(job->cpu);
	__atomic_add_fetch(&job->entered, 1, __ATOMIC_SEQ_CST);
	job->function(job->argument);
	__atomic_store_n(&job->is_done, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("cli; hlt");
}

static struct trampoline_data *trampoline_data(void)
{
	return (struct trampoline_data *)(trampoline + (uint64_t)(probe_trampoline_data -
								  probe_trampoline_start));
}

/* The other CPUs get this one's modes, tables and descriptors. */
static void fill_trampoline(void)
{
	struct trampoline_data *data = trampoline_data();

	__asm__ volatile("mov %%cr0, %0" : "=r"(data->cr0));
	__asm__ volatile("mov %%cr3, %0" : "=r"(data->cr3));
	data->cr4 = probe_cr4();
	data->efer = probe_rdmsr(MSR_EFER) & ~UINT64_C(0x400);
	__asm__ volatile("mov %%cs, %0" : "=r"(data->cs));
	__asm__ volatile("mov %%ss, %0" : "=r"(data->ss));
	__asm__ volatile("sgdt %0" : "=m"(data->final_gdt));
	data->to_32 += (uint32_t)trampoline;
	data->to_64 += (uint32_t)trampoline;
	data->gdt_base += (uint32_t)trampoline;
}

bool probe_start_init(void)
{
	trampoline = TRAMPOLINE_LIMIT;
	if (EFI_ERROR(BS->AllocatePages(AllocateMaxAddress, EfiLoaderCode, 1, &trampoline)))
		return false;
	CopyMem((void *)trampoline, (void *)(UINTN)probe_trampoline_start,
		(UINTN)(probe_trampoline_end - probe_trampoline_start));
	fill_trampoline();
	return true;
}

uint64_t probe_trampoline_page(void)
{
	return trampoline;
}

void probe_start_cpu(uint32_t index, probe_function function, void *argument,
		     const struct probe_startup *startup)
{
	struct trampoline_data *data = trampoline_data();
	struct job *job = &jobs[index];
	const uint32_t apic_id = probe_cpus[index].apic_id;

	job->cpu = &probe_cpus[index];
	job->function = function;
	job->argument = argument;
	job->is_done = 0;
	/* A function's first instruction finds the stack as after a call. */
	data->stack = (uint64_t)&stacks[index][STACK_BYTES - 64];
	data->argument = (uint64_t)job;
	data->function = (uint64_t)run_job;
	/* After the far return the stack is as it was. */
	data->stack -= 8;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	probe_icr(apic_id, ICR_INIT);
	probe_stall(startup->init_us);
	for (uint32_t i = 0; i < startup->sipis; i++) {
		probe_icr(apic_id, ICR_STARTUP | (uint32_t)(trampoline >> 12));
		if (startup->sipi_us)
			probe_stall(startup->sipi_us);
	}
}

bool probe_start_and_wait(uint32_t index, probe_function function, void *argument)
{
	const uint64_t before = probe_entries(index);

	probe_start_cpu(index, function, argument, &probe_startup_usual);
	for (uint32_t i = 0; i < START_POLLS && probe_entries(index) == before; i++)
		probe_stall(100);
	return probe_entries(index) != before;
}

bool probe_join(uint32_t index, uint32_t milliseconds)
{
	for (uint32_t i = 0; i < milliseconds * 10; i++) {
		if (__atomic_load_n(&jobs[index].is_done, __ATOMIC_SEQ_CST))
			return true;
		probe_stall(100);
	}
	return false;
}

uint64_t probe_entries(uint32_t index)
{
	return __atomic_load_n(&jobs[index].entered, __ATOMIC_SEQ_CST);
}

void probe_stop_cpus(void)
{
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		if (probe_entries(i))
			probe_icr(probe_cpus[i].apic_id, ICR_INIT);
	}
	probe_stall(10000);
}
