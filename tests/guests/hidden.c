// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hypervisor's memory as the guest sees it: reserved in the memory map, all ones to read, and
 * nothing that is written there arrives, by whatever instruction and from however many CPUs.
 *
 *   hidden.efi [lax] [flood N]
 *
 * lax: QEMU with several CPUs, where a locked instruction that crosses a page loses its flags when
 * it is single-stepped, bare as well.
 * flood: only N writes one after the other, and one more two seconds later.
 */
#include "tests/guests/lib/probe.h"

enum { PAGE = 4096, MIN_BYTES = 3 << 20, BLOCK = 2 << 20, WRITES_OF_EACH_CPU = 300 };
enum { MSR_APIC_BASE = 0x1b };
#define APIC_BASE_ENABLE UINT64_C(0x800)
#define ONES		 UINT64_C(0xffffffffffffffff)

static volatile uint8_t *area;
static uint64_t area_bytes;
static bool is_lax;

static bool is_all_ones(uint64_t base, uint64_t bytes)
{
	const volatile uint64_t *at = (const volatile uint64_t *)base;

	for (uint64_t i = 0; i < bytes / 8; i++) {
		if (at[i] != ONES)
			return false;
	}
	return true;
}

/* The reserved range in RAM below 4 GiB that reads all ones: the largest there is. */
static void look_at(const EFI_MEMORY_DESCRIPTOR *entry, uint64_t top)
{
	uint64_t base = (entry->PhysicalStart + BLOCK - 1) & ~(uint64_t)(BLOCK - 1);
	const uint64_t end = entry->PhysicalStart + entry->NumberOfPages * PAGE;
	uint64_t bytes = 0;

	if (entry->Type != EfiReservedMemoryType || end > top)
		return;
	while (base < end && !is_all_ones(base, PAGE))
		base += BLOCK;
	while (base + bytes < end && is_all_ones(base + bytes, PAGE))
		bytes += PAGE;
	if (bytes > area_bytes) {
		area = (volatile uint8_t *)base;
		area_bytes = bytes;
	}
}

static uint64_t top_of_ram(const EFI_MEMORY_DESCRIPTOR *entry, uint64_t top)
{
	const uint64_t end = entry->PhysicalStart + entry->NumberOfPages * PAGE;

	if (entry->Type > EfiConventionalMemory || entry->Type == EfiReservedMemoryType)
		return top;
	return end > top && end <= UINT64_C(1) << 32 ? end : top;
}

static void find_area(void)
{
	UINTN count, key, entry_bytes;
	UINT32 version;
	const uint8_t *map = (void *)LibMemoryMap(&count, &key, &entry_bytes, &version);
	uint64_t top = 0;

	for (UINTN i = 0; i < count; i++)
		top = top_of_ram((const void *)(map + i * entry_bytes), top);
	for (UINTN i = 0; i < count; i++)
		look_at((const void *)(map + i * entry_bytes), top);
}

/* --- reading --- */

static void check_reads(void)
{
	const volatile uint16_t *crossing;
	uint64_t bad = 0;
	uint8_t copy[64];

	probe_check(is_all_ones((uint64_t)area, area_bytes), "read-8", "");
	for (uint64_t at = PAGE - 1; at + 1 < area_bytes; at += PAGE) {
		crossing = (const volatile uint16_t *)&area[at];
		bad += *crossing != 0xffff;
	}
	probe_check(!bad, "read-crossing", "%lu", bad);
	__asm__ volatile("movups (%1), %%xmm0; movups %%xmm0, (%0)"
			 :
			 : "r"(copy), "r"(&area[PAGE - 8])
			 : "xmm0", "memory");
	for (int i = 0; i < 16; i++)
		bad += copy[i] != 0xff;
	probe_check(!bad, "read-sse", "%lu", bad);
}

/* --- writing --- */

struct target {
	volatile uint8_t *at;
	uint64_t seen;
};

static void write_1(void *argument)
{
	*((struct target *)argument)->at = 0;
}

static void write_2(void *argument)
{
	*(volatile uint16_t *)((struct target *)argument)->at = 0;
}

static void write_4(void *argument)
{
	*(volatile uint32_t *)((struct target *)argument)->at = 0;
}

static void write_8(void *argument)
{
	*(volatile uint64_t *)((struct target *)argument)->at = 0;
}

static void write_sse(void *argument)
{
	struct target *target = argument;

	__asm__ volatile("xorps %%xmm0, %%xmm0; movups %%xmm0, (%0)"
			 :
			 : "r"(target->at)
			 : "xmm0", "memory");
}

static void write_around_cache(void *argument)
{
	struct target *target = argument;

	__asm__ volatile("movnti %1, (%0)" : : "r"(target->at), "r"(UINT64_C(0)) : "memory");
}

static void write_string(void *argument)
{
	volatile uint8_t *to = ((struct target *)argument)->at;
	uint64_t count = 512;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(UINT64_C(0)) : "memory");
	((struct target *)argument)->seen = count;
}

static void write_copy(void *argument)
{
	volatile uint8_t *to = ((struct target *)argument)->at;
	static const uint8_t zeros[100];
	const uint8_t *from = zeros;
	uint64_t count = sizeof(zeros);

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	((struct target *)argument)->seen = count;
}

static void write_xchg(void *argument)
{
	struct target *target = argument;
	uint64_t value = 0x1234;

	__asm__ volatile("xchg %0, (%1)" : "+r"(value) : "r"(target->at) : "memory");
	target->seen = ~value;
}

static void write_cmpxchg(void *argument)
{
	struct target *target = argument;
	uint64_t value = ONES;
	uint8_t equal;

	__asm__ volatile("lock cmpxchg %3, (%2); sete %1"
			 : "+a"(value), "=q"(equal)
			 : "r"(target->at), "r"(UINT64_C(5))
			 : "memory", "cc");
	/* It was all ones, so the exchange "succeeds". */
	target->seen = !equal;
}

static void write_add(void *argument)
{
	struct target *target = argument;
	uint8_t carry;

	__asm__ volatile("lock addq $1, (%1); setc %0" : "=q"(carry) : "r"(target->at) : "memory");
	target->seen = !carry;
}

static void write_xadd(void *argument)
{
	struct target *target = argument;
	uint32_t value = 7;

	__asm__ volatile("lock xadd %0, (%1)" : "+r"(value) : "r"(target->at) : "memory", "cc");
	target->seen = value + 1;
}

static void write_bit(void *argument)
{
	struct target *target = argument;
	uint8_t was;

	__asm__ volatile("lock btrl $3, (%1); setc %0" : "=q"(was) : "r"(target->at) : "memory");
	target->seen = !was;
}

static void write_state(void *argument)
{
	struct target *target = argument;

	__asm__ volatile("fxsave (%0)" : : "r"((uint64_t)target->at & ~UINT64_C(15)) : "memory");
}

/* The area as a stack: what comes back from it is what reading there gives. */
static void write_push(void *argument)
{
	struct target *target = argument;
	uint64_t value;

	/* The firmware has interrupts on, and a frame there is lost. */
	__asm__ volatile("pushfq; pop %%r9; cli; mov %%rsp, %%r8; mov %1, %%rsp; push $0; pushfq;"
			 "pop %0; mov %%r8, %%rsp; push %%r9; popfq"
			 : "=&r"(value)
			 : "r"((uint64_t)target->at & ~UINT64_C(7))
			 : "r8", "r9", "memory");
	target->seen = ~value;
}

static const struct writer {
	const char *name;
	probe_function function;
} writers[] = {
	{ "write-1", write_1 },		 { "write-2", write_2 },
	{ "write-4", write_4 },		 { "write-8", write_8 },
	{ "write-sse", write_sse },	 { "write-movnti", write_around_cache },
	{ "write-stosq", write_string }, { "write-movsb", write_copy },
	{ "write-xchg", write_xchg },	 { "write-cmpxchg", write_cmpxchg },
	{ "write-add", write_add },	 { "write-xadd", write_xadd },
	{ "write-bit", write_bit },	 { "write-fxsave", write_state },
	{ "write-push", write_push },
};

enum { WRITERS = sizeof(writers) / sizeof(writers[0]) };

/* In the middle of a page, at its end, across its end. */
static void check_writer(const struct writer *writer, const char *where, uint64_t offset)
{
	struct target target = { area + offset, 0 };
	struct probe_fault fault;
	const bool good = probe_try(writer->function, &target, &fault);
	const uint64_t page = offset & ~(uint64_t)(PAGE - 1);

	if (is_lax && (offset & 7) > 0 && offset % PAGE > PAGE - 8)
		target.seen = 0;
	if (!good)
		probe_check(false, writer->name, "%s: exception %u error 0x%lx cr2 0x%lx rip 0x%lx",
			    where, fault.vector, fault.error, fault.cr2, fault.rip);
	else
		probe_check(!target.seen && is_all_ones((uint64_t)area + page, 3 * PAGE),
			    writer->name, "%s: seen 0x%lx", where, target.seen);
}

static void check_writes(void)
{
	for (uint32_t i = 0; i < WRITERS; i++) {
		check_writer(&writers[i], "in a page", 5 * PAGE + 0x340);
		check_writer(&writers[i], "at its end", 9 * PAGE - 8);
		check_writer(&writers[i], "across its end", 7 * PAGE - 3);
	}
}

static void check_every_page(void)
{
	for (uint64_t at = 0; at < area_bytes; at += PAGE) {
		volatile uint64_t *word = (volatile uint64_t *)&area[at + (at / PAGE * 8) % PAGE];

		*word = at;
	}
	probe_check(is_all_ones((uint64_t)area, area_bytes), "write-every-page", "");
}

/* From the memory before it into it, in one instruction: the first half arrives. */
static void check_border(void)
{
	volatile uint32_t *before = (volatile uint32_t *)(area - 4);
	const uint32_t old = *before;
	const uint64_t value = ~(uint64_t)old & 0xffffffff;

	*(volatile uint64_t *)before = value;
	probe_check(*before == (uint32_t)value && is_all_ones((uint64_t)area, PAGE),
		    "write-into-it", "0x%x", *before);
	*before = old;
}

/* --- executing: 0xff 0xff is no instruction --- */

static void execute(void *argument)
{
	void (*function)(void) = (void (*)(void))((struct target *)argument)->at;

	function();
}

static void check_executing(void)
{
	for (uint64_t at = 0; at < area_bytes; at += area_bytes / 8 + PAGE - 1) {
		struct target target = { area + at, 0 };
		struct probe_fault fault = { .happened = false };

		probe_try(execute, &target, &fault);
		probe_check(fault.happened && fault.vector == VECTOR_UD &&
				    fault.rip == (uint64_t)target.at,
			    "execute", "exception %u at 0x%lx", fault.vector, fault.rip);
	}
}

/* --- all CPUs at once --- */

static uint32_t bad_reads, waiting;

static void write_much(void *argument)
{
	uint64_t state = (uint64_t)argument + 77;

	__atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&waiting, __ATOMIC_SEQ_CST) < probe_cpu_count)
		__asm__ volatile("pause");
	for (uint32_t i = 0; i < WRITES_OF_EACH_CPU; i++) {
		volatile uint64_t *word =
			(volatile uint64_t *)&area[probe_random(&state) % (area_bytes - 8)];

		*word = state;
		if (*word != ONES)
			__atomic_add_fetch(&bad_reads, 1, __ATOMIC_SEQ_CST);
	}
}

static void move_apic(void *argument)
{
	probe_wrmsr(MSR_APIC_BASE, *(const uint64_t *)argument);
}

/* The registers of the local APIC would cover what is there, for the hypervisor as well. */
static void check_apic_base(void)
{
	const uint64_t base = probe_rdmsr(MSR_APIC_BASE), flags = base & (PAGE - 1);
	uint64_t there = (uint64_t)area | flags, off = there & ~APIC_BASE_ENABLE;

	probe_check(probe_faults(move_apic, &there, VECTOR_GP), "apic-over", "");
	probe_check(probe_faults(move_apic, &off, VECTOR_GP), "apic-over-off", "");
	probe_check(probe_rdmsr(MSR_APIC_BASE) == base, "apic-stays", "0x%lx",
		    probe_rdmsr(MSR_APIC_BASE));
}

static void check_all_cpus(void)
{
	uint32_t back = 0;

	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_start_and_wait(i, write_much, (void *)(uint64_t)i);
	write_much(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		back += probe_join(i, 20000);
	probe_check(back + 1 == probe_cpu_count, "cpus-back", "%u of %u", back + 1,
		    probe_cpu_count);
	probe_check(!bad_reads, "cpus-writing", "%u", bad_reads);
	probe_check(is_all_ones((uint64_t)area, area_bytes), "cpus-after", "");
}

/* --- many --- */

/* The firmware halts in between: no time passes for a clock that counts instructions. */
static void wait_seconds(uint64_t seconds)
{
	EFI_EVENT timer;
	UINTN index;

	probe_exceptions_restore();
	__asm__ volatile("sti");
	BS->CreateEvent(EVT_TIMER, 0, NULL, NULL, &timer);
	BS->SetTimer(timer, TimerRelative, seconds * 10000000);
	BS->WaitForEvent(1, &timer, &index);
	BS->CloseEvent(timer);
	__asm__ volatile("cli");
	probe_exceptions_load(&probe_cpus[0]);
}

static void flood(uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		area[i % PAGE] = 0;
	probe_check(is_all_ones((uint64_t)area, PAGE), "flood", "");
	wait_seconds(2);
	area[0] = 0;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	is_lax = probe_has_word(options, "lax");
	find_area();
	probe_print("PROBE: area=0x%lx bytes=%lu\n", (uint64_t)area, area_bytes);
	if (!probe_check(area_bytes >= MIN_BYTES, "reserved", "nothing"))
		return probe_end();
	if (probe_has_word(options, "flood")) {
		flood(probe_number(options, "flood", 0));
	} else {
		check_reads();
		check_every_page();
		check_writes();
		check_border();
		check_executing();
		check_apic_base();
		check_all_cpus();
	}
	return probe_end();
}
