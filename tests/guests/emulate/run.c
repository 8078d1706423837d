/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/emulate/run.h"

#define HYPERCALL_TEST_EMULATE UINT64_C(0x534f4c4f56454d55) /* "SOLOVEMU" */

enum { VECTOR_COUNT = 32, ENTRY_BYTES = 16, TABLE_ENTRIES = 512, GDT_ENTRIES = 32 };
enum { MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101, GATE_INTERRUPT_3 = 0xee };
#define CR0_AM	    UINT64_C(0x40000)
#define CR0_WP	    UINT64_C(0x10000)
#define CR4_LA57    UINT64_C(0x1000)
#define CR4_SM_BITS UINT64_C(0x300000) /* SMEP and SMAP */
#define ENTRY_PS    UINT64_C(0x80)
#define ENTRY_BASE  UINT64_C(0x000ffffffffff000)
#define DR6_INIT    UINT64_C(0xffff0ff0)

struct gate {
	uint16_t offset_0, selector;
	uint8_t ist, type;
	uint16_t offset_16;
	uint32_t offset_32, reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct tss {
	uint32_t reserved_0;
	uint64_t rsp[3], reserved_1, ist[7], reserved_2;
	uint16_t reserved_3, io_map;
} __attribute__((packed));

extern const uint8_t run_entries[] __attribute__((visibility("hidden")));
void run_enter(const struct cpu_state *in, struct cpu_state *out);

struct world worlds[2];

static uint8_t code_frame[PAGE] __attribute__((aligned(PAGE)));
static uint64_t tables[4][TABLE_ENTRIES] __attribute__((aligned(PAGE)));
static uint8_t frames[2 * WORLD_PAGES][PAGE] __attribute__((aligned(PAGE)));
static uint8_t stack[PAGE] __attribute__((aligned(16)));
static uint64_t gdt[GDT_ENTRIES];
static struct gate idt[VECTOR_COUNT] __attribute__((aligned(16)));
static struct tss tss;

static struct {
	uint64_t cr0, cr3, cr4, fs_base, gs_base;
	struct table_register gdt, idt;
	uint16_t cs, ss, ds, es, fs, gs;
} saved;

static uint8_t page_rights[WORLD_PAGES];
static bool is_amd;

/* --- page tables --- */

static uint64_t read_cr3(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr3, %0" : "=r"(value));
	return value;
}

static uint64_t read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

/* A copy of one level on the way to WINDOW; `index` leads on to `next`. Where a large page was, nothing else is needed. */
static bool copy_level(uint64_t *to, uint64_t *from_entry, uint32_t index, uint64_t *next)
{
	const uint64_t *from = (const uint64_t *)(*from_entry & ENTRY_BASE);
	uint64_t old = 0;

	for (uint32_t i = 0; i < TABLE_ENTRIES; i++)
		to[i] = from ? from[i] : 0;
	old = to[index];
	to[index] = (uint64_t)next | PAGE_ALL;
	*from_entry = (old & 1) && !(old & ENTRY_PS) ? old : 0;
	return !(old & ENTRY_PS) || from;
}

static uint32_t index_at(uint32_t level)
{
	return (uint32_t)(WINDOW >> (12 + 9 * level)) & (TABLE_ENTRIES - 1);
}

static bool make_tables(void)
{
	uint64_t entry = read_cr3();

	if (probe_cr4() & CR4_LA57)
		return false;
	for (uint32_t level = 3; level > 0; level--) {
		if (!copy_level(tables[3 - level], &entry, index_at(level), tables[4 - level]))
			return false;
	}
	tables[3][0] = (uint64_t)code_frame | PAGE_ALL;
	return true;
}

/* --- descriptors --- */

static uint64_t descriptor(uint64_t base, uint64_t limit, uint64_t rights)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (rights & 0xff) << 40 |
	       (limit >> 16 & 0xf) << 48 | (rights >> 8 & 0xf0) << 48 | (base >> 24 & 0xff) << 56;
}

static void set_descriptor(uint32_t selector, uint64_t base, uint64_t limit, uint64_t rights)
{
	gdt[selector / 8] = descriptor(base, limit, rights);
}

static void make_gdt(void)
{
	const uint64_t *old = (const uint64_t *)saved.gdt.base;
	const uint64_t edge = TARGET_PAGE + SEGMENT_EDGE;

	for (uint32_t i = 0; i < SELECTOR_CODE64_0 / 8 && 8 * i < saved.gdt.limit; i++)
		gdt[i] = old[i];
	set_descriptor(SELECTOR_CODE64_0, 0, 0xfffff, 0xa09b);
	set_descriptor(SELECTOR_DATA_0, 0, 0xfffff, 0xc093);
	set_descriptor(SELECTOR_CODE64_3, 0, 0xfffff, 0xa0fb);
	set_descriptor(SELECTOR_DATA_3, 0, 0xfffff, 0xc0f3);
	set_descriptor(SELECTOR_CODE32_3, 0, 0xfffff, 0xc0fb);
	set_descriptor(SELECTOR_CODE16_3, WINDOW, 0xffff, 0x00fb);
	set_descriptor(SELECTOR_DATA16_3, WINDOW, 0xffff, 0x00f3);
	/* Byte granular limits reach 1 MiB: these two begin at WINDOW. */
	set_descriptor(SELECTOR_SHORT_3, WINDOW, edge - WINDOW - 1, 0x40f3);
	set_descriptor(SELECTOR_DOWN_3, WINDOW, edge - WINDOW - 1, 0x40f7);
	set_descriptor(SELECTOR_READ_3, 0, 0xfffff, 0xc0f1);
	set_descriptor(SELECTOR_SHORT16_3, WINDOW, edge - WINDOW - 1, 0x00f3);
	set_descriptor(SELECTOR_DOWN16_3, WINDOW, edge - WINDOW - 1, 0x00f7);
	tss.ist[0] = tss.rsp[0] = (uint64_t)stack + sizeof(stack);
	tss.io_map = sizeof(tss);
	set_descriptor(SELECTOR_TSS, (uint64_t)&tss, sizeof(tss) - 1, 0x0089);
	gdt[SELECTOR_TSS / 8 + 1] = (uint64_t)&tss >> 32;
}

static void make_idt(void)
{
	for (uint32_t i = 0; i < VECTOR_COUNT; i++) {
		const uint64_t entry = (uint64_t)run_entries + i * ENTRY_BYTES;

		idt[i] = (struct gate){ .offset_0 = (uint16_t)entry,
					.selector = SELECTOR_CODE64_0,
					.ist = 1,
					.type = GATE_INTERRUPT_3,
					.offset_16 = (uint16_t)(entry >> 16),
					.offset_32 = (uint32_t)(entry >> 32) };
	}
}

/* --- begin and end --- */

bool run_prepare(void)
{
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	for (uint32_t i = 0; i < 2 * WORLD_PAGES; i++)
		worlds[i / WORLD_PAGES].frames[i % WORLD_PAGES] = frames[i];
	__asm__ volatile("sgdt %0; sidt %1" : "=m"(saved.gdt), "=m"(saved.idt));
	return make_tables();
}

static void load_cs(uint64_t selector)
{
	__asm__ volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
			 :
			 : "r"(selector)
			 : "rax", "memory");
}

void run_begin(void)
{
	const struct table_register new_gdt = { sizeof(gdt) - 1, (uint64_t)gdt };
	const struct table_register new_idt = { sizeof(idt) - 1, (uint64_t)idt };

	saved.cr0 = read_cr0();
	saved.cr3 = read_cr3();
	saved.cr4 = probe_cr4();
	saved.fs_base = probe_rdmsr(MSR_FS_BASE);
	saved.gs_base = probe_rdmsr(MSR_GS_BASE);
	__asm__ volatile(
		"mov %%cs, %0; mov %%ss, %1; mov %%ds, %2; mov %%es, %3; mov %%fs, %4; mov %%gs, %5"
		: "=r"(saved.cs), "=r"(saved.ss), "=r"(saved.ds), "=r"(saved.es), "=r"(saved.fs),
		  "=r"(saved.gs));
	make_gdt();
	make_idt();
	__asm__ volatile("lgdt %0; lidt %1" : : "m"(new_gdt), "m"(new_idt));
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS));
	load_cs(SELECTOR_CODE64_0);
	__asm__ volatile("mov %0, %%ss; mov %0, %%ds; mov %0, %%es" : : "r"(SELECTOR_DATA_0));
	probe_set_cr4(saved.cr4 & ~CR4_SM_BITS);
	__asm__ volatile("mov %0, %%cr0" : : "r"(saved.cr0 | CR0_AM | CR0_WP));
	__asm__ volatile("mov %0, %%cr3" : : "r"(tables[0]) : "memory");
}

void run_end(void)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(saved.cr3) : "memory");
	__asm__ volatile("mov %0, %%cr0" : : "r"(saved.cr0));
	probe_set_cr4(saved.cr4);
	__asm__ volatile("lgdt %0; lidt %1" : : "m"(saved.gdt), "m"(saved.idt));
	load_cs(saved.cs);
	__asm__ volatile("mov %0, %%ss; mov %1, %%ds; mov %2, %%es; mov %3, %%fs; mov %4, %%gs"
			 :
			 : "r"(saved.ss), "r"(saved.ds), "r"(saved.es), "r"(saved.fs),
			   "r"(saved.gs));
	probe_wrmsr(MSR_FS_BASE, saved.fs_base);
	probe_wrmsr(MSR_GS_BASE, saved.gs_base);
}

/* --- one run --- */

void run_code(uint32_t offset, const uint8_t *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		code_frame[offset + i] = bytes[i];
	code_frame[offset + count] = 0xcc;
}

void run_rights(const uint8_t rights[WORLD_PAGES])
{
	for (uint32_t i = 0; i < WORLD_PAGES; i++)
		page_rights[i] = rights[i];
}

static void show_page(uint64_t address, const uint8_t *frame, uint8_t rights)
{
	tables[3][address >> 12 & (TABLE_ENTRIES - 1)] = (uint64_t)frame | rights;
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static void load_data_segments(const struct cpu_state *in)
{
	__asm__ volatile("mov %0, %%fs; mov %1, %%gs" : : "r"(in->fs), "r"(in->gs));
	if (in->cs != SELECTOR_CODE64_0 && in->cs != SELECTOR_CODE64_3)
		return;
	probe_wrmsr(MSR_FS_BASE, in->fs_base);
	probe_wrmsr(MSR_GS_BASE, in->gs_base);
}

void run_world(const struct world *world, const struct cpu_state *in, struct cpu_state *out)
{
	for (uint32_t i = 0; i < WORLD_PAGES; i++) {
		show_page(page_address(i), world->frames[i], page_rights[i]);
	}
	load_data_segments(in);
	__asm__ volatile("mov %0, %%dr6" : : "r"(DR6_INIT));
	run_enter(in, out);
}

uint64_t run_hypercall(uint64_t rcx, uint64_t rdx)
{
	uint64_t rax = HYPERCALL_TEST_EMULATE;

	if (is_amd)
		__asm__ volatile("vmmcall" : "+a"(rax) : "c"(rcx), "d"(rdx) : "memory");
	else
		__asm__ volatile("vmcall" : "+a"(rax) : "c"(rcx), "d"(rdx) : "memory");
	return rax;
}

bool run_emulate(bool on)
{
	return run_hypercall((uint64_t)worlds[1].frames[TARGET_INDEX], on) == 0;
}

uint64_t run_emulated(void)
{
	return run_hypercall(0, 2);
}
