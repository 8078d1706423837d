// SPDX-License-Identifier: BSD-2-Clause
/* Caches, code that changes itself or is changed by another CPU, and devices above and below RAM. */
#include "tests/guests/facts_memory/memory.h"

enum { LEAF7_EBX_CLFLUSHOPT = 1 << 23, LEAF7_EBX_CLWB = 1 << 24, LEAF1_EDX_CLFSH = 1 << 19 };

static void do_wbinvd(void *argument)
{
	(void)argument;
	__asm__ volatile("wbinvd" : : : "memory");
}

static void do_wbnoinvd(void *argument)
{
	(void)argument;
	__asm__ volatile("rep; wbinvd" : : : "memory");
}

static void do_invd(void *argument)
{
	(void)argument;
	__asm__ volatile("wbinvd; invd" : : : "memory");
}

static void do_clflush(void *argument)
{
	__asm__ volatile("clflush %0" : : "m"(*(uint8_t *)argument) : "memory");
}

static void do_clflushopt(void *argument)
{
	__asm__ volatile(".byte 0x66; clflush %0" : : "m"(*(uint8_t *)argument) : "memory");
}

static void do_clwb(void *argument)
{
	__asm__ volatile(".byte 0x66; xsaveopt %0" : : "m"(*(uint8_t *)argument) : "memory");
}

static void do_prefetch(void *argument)
{
	__asm__ volatile("prefetcht0 %0; prefetchnta %0" : : "m"(*(uint8_t *)argument));
}

static void cache_fact(const char *name, bool there, probe_function function, void *at)
{
	volatile uint64_t *page = (volatile uint64_t *)memory_scratch;
	const char *met;

	if (!there) {
		fact_line("memory.cache.%s = absent", name);
		return;
	}
	page[0] = 0x1122334455667788;
	met = memory_try(function, at);
	fact_line("memory.cache.%s = %s 0x%lx", name, met, page[0]);
}

void memory_caches(void)
{
	uint32_t one[4], seven[4];
	void *nothing = (void *)memory_window(1, 0, 0); /* not present */

	probe_cpuid(1, 0, one);
	probe_cpuid(7, 0, seven);
	cache_fact("wbinvd", true, do_wbinvd, NULL);
	cache_fact("wbnoinvd", true, do_wbnoinvd, NULL);
	cache_fact("invd", true, do_invd, NULL);
	cache_fact("clflush", (one[3] & LEAF1_EDX_CLFSH) != 0, do_clflush, memory_scratch);
	cache_fact("clflush.absent", (one[3] & LEAF1_EDX_CLFSH) != 0, do_clflush, nothing);
	cache_fact("clflushopt", (seven[1] & LEAF7_EBX_CLFLUSHOPT) != 0, do_clflushopt,
		   memory_scratch);
	cache_fact("clwb", (seven[1] & LEAF7_EBX_CLWB) != 0, do_clwb, memory_scratch);
	cache_fact("prefetch", true, do_prefetch, memory_scratch);
	cache_fact("prefetch.absent", true, do_prefetch, nothing);
}

/* --- code --- */

/* MOV EAX, imm32; RET. */
static void write_code(volatile uint8_t *code, uint32_t value)
{
	static const uint8_t bytes[] = { 0xb8, 0, 0, 0, 0, 0xc3 };

	for (unsigned i = 0; i < sizeof(bytes); i++)
		code[i] = bytes[i];
	*(volatile uint32_t *)(code + 1) = value;
}

static uint32_t call(volatile uint8_t *code)
{
	return ((uint32_t(*)(void))code)();
}

/* Changed through the same address, and through another one. */
void memory_code(void)
{
	volatile uint8_t *code = memory_window(2, (uint64_t)memory_scratch + PAGE, PTE_P | PTE_W);
	volatile uint8_t *alias = memory_window(3, (uint64_t)memory_scratch + PAGE, PTE_P | PTE_W);
	uint32_t sum = 0, seen;

	for (uint32_t i = 0; i < 1000; i++) {
		write_code(i % 2 == 0 ? code : alias, i);
		/* SDM: "Handling Self- and Cross-Modifying Code". */
		__asm__ volatile("xor %%eax, %%eax; cpuid"
				 :
				 :
				 : "eax", "ebx", "ecx", "edx", "memory");
		sum += call(code) == i;
	}
	fact_line("memory.code.changed = %u", sum);
	write_code(code, 0x0badc0de);
	code[1] = 0x42;
	seen = call(alias);
	fact_line("memory.code.alias = 0x%x", seen);
}

static volatile uint8_t *shared_code;
static volatile uint32_t last_seen, in_order;

static void follow(void *argument)
{
	uint32_t before = 0, now;

	(void)argument;
	in_order = 1;
	/* Its own tables are the firmware's: the page's first address. */
	do {
		now = call(shared_code);
		in_order &= now >= before;
		before = now;
		__asm__ volatile("xor %%eax, %%eax; cpuid"
				 :
				 :
				 : "eax", "ebx", "ecx", "edx", "memory");
	} while (now != 500);
	last_seen = now;
}

/* One aligned word is changed while another CPU runs it: it sees old or new, in order. */
void memory_code_of_another(void)
{
	bool is_done = false;

	shared_code = memory_scratch + 2 * PAGE + 3; /* the immediate is aligned */
	write_code(shared_code, 0);
	probe_check(probe_start_and_wait(1, follow, NULL), "start", "CPU 1");
	for (uint32_t i = 1; i <= 500; i++)
		*(volatile uint32_t *)(shared_code + 1) = i;
	/* QEMU keeps what it translated while the last store came; another store throws it away. */
	for (uint32_t i = 0; i < 20000 && !is_done; i++) {
		*(volatile uint32_t *)(shared_code + 1) = 500;
		is_done = probe_join(1, 1);
	}
	probe_check(is_done, "join", "CPU 1");
	fact_line("memory.code.cross = 0x%x %s", last_seen, in_order ? "in order" : "back");
}

/* --- devices --- */

struct device {
	const char *name;
	uint64_t address;
};

static void do_read(void *argument)
{
	struct device *device = argument;

	device->address = *(volatile uint64_t *)device->address;
}

static void read_fact(const char *name, uint64_t address, unsigned shift)
{
	struct device device = { name, 0 };
	const char *met;

	device.address = (uint64_t)memory_window(4, address & ~(uint64_t)(PAGE - 1),
						 PTE_P | PTE_W | PTE_PCD) +
			 address % PAGE;
	met = memory_try(do_read, &device);
	fact_line("memory.device.%s.%u = %s 0x%lx", name, shift, met,
		  met[0] == 'o' ? device.address : 0);
}

/* What nobody answers, RAM's end, the flash, and the highest addresses that there are. */
void memory_devices(void)
{
	uint32_t cpuid[4];
	unsigned bits;

	probe_cpuid(0x80000008, 0, cpuid);
	bits = cpuid[0] & 0xff;
	for (unsigned shift = 33; shift < bits; shift++)
		read_fact("above", 1ull << shift, shift);
	read_fact("top", (1ull << bits) - PAGE, bits);
	read_fact("beyond", 1ull << bits, bits);
	read_fact("flash", 0xfffff000, 0);
	read_fact("vga", 0xa0000, 0);
	read_fact("option", 0xc0000, 0);
	read_fact("hole", 0xfe000000, 0);
	/* Writes to what nobody answers are gone. */
	*(volatile uint64_t *)memory_window(4, 1ull << (bits - 1), PTE_P | PTE_W | PTE_PCD) = 0;
	read_fact("written", 1ull << (bits - 1), 0);
}
