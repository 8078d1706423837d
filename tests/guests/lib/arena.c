/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/arena.h"

#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101, VECTORS = 256 };
enum { ENTRIES = 512, DIRECTORIES = 4, TYPE_TSS = 0x89, PAGE_LARGE = 0x80 };
#define LARGE_BYTES UINT64_C(0x200000)
#define CR0_WP	    UINT64_C(0x10000)
#define CR4_LA57    UINT64_C(0x1000)
#define CR4_SM_BITS UINT64_C(0x300000) /* SMEP and SMAP */

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* At ARENA_PAGING. */
struct paging {
	uint64_t root[ENTRIES], pointers[ENTRIES];
	uint64_t directories[DIRECTORIES][ENTRIES];
	uint64_t pages[ENTRIES]; /* of the 2 MiB around the arena */
};

static struct {
	uint64_t cr0, cr3, cr4, fs_base, gs_base;
	struct table_register gdt, idt;
	uint16_t cs, ss, ds, es, fs, gs;
} saved;

static struct paging *paging(void)
{
	return (struct paging *)(UINTN)ARENA_PAGING;
}

struct arena_gate *arena_gate(uint32_t vector)
{
	return (struct arena_gate *)(UINTN)ARENA_IDT + vector;
}

struct arena_tss *arena_tss(void)
{
	return (struct arena_tss *)(UINTN)ARENA_TSS;
}

void arena_segment(uint32_t selector, uint32_t base, uint32_t limit, uint32_t rights)
{
	uint64_t *entry = (uint64_t *)(UINTN)(ARENA_GDT + (selector & ~7u));

	*entry = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
		 (uint64_t)(rights & 0xff) << 40 | (uint64_t)(limit >> 16 & 0xf) << 48 |
		 (uint64_t)(rights >> 12 & 0xf) << 52 | (uint64_t)(base >> 24) << 56;
}

void arena_page(uint64_t linear, uint64_t rights)
{
	const uint64_t frame = linear & ~UINT64_C(0xfff);

	paging()->pages[frame / ARENA_PAGE % ENTRIES] = frame | rights;
	__asm__ volatile("invlpg (%0)" : : "r"(frame) : "memory");
}

static void fill_paging(void)
{
	struct paging *tables = paging();

	tables->root[0] = (uint64_t)tables->pointers | ARENA_ALL;
	for (uint32_t i = 0; i < DIRECTORIES; i++) {
		tables->pointers[i] = (uint64_t)tables->directories[i] | ARENA_ALL;
		for (uint32_t j = 0; j < ENTRIES; j++)
			tables->directories[i][j] =
				(i * ENTRIES + j) * LARGE_BYTES | ARENA_ALL | PAGE_LARGE;
	}
	tables->directories[0][ARENA_BASE / LARGE_BYTES] = (uint64_t)tables->pages | ARENA_ALL;
}

static void reset_gdt(void)
{
	SetMem((void *)(UINTN)ARENA_GDT, ARENA_GDT_BYTES, 0);
	arena_segment(ARENA_CODE64, 0, 0xfffff, 0xa09b);
	arena_segment(ARENA_FLAT, 0, 0xfffff, 0xc093);
	arena_segment(ARENA_CODE32, 0, 0xfffff, 0xc09b);
	arena_segment(ARENA_CODE16, ARENA_CODE, 0xffff, 0x009b);
	arena_segment(ARENA_STACK16, ARENA_STACK, 0xffff, 0x0093);
	arena_segment(ARENA_DATA16, ARENA_DATA, 0xffff, 0x0093);
	arena_segment(ARENA_USER_CODE32, 0, 0xfffff, 0xc0fb);
	arena_segment(ARENA_USER_FLAT, 0, 0xfffff, 0xc0f3);
	arena_segment(ARENA_USER_CODE64, 0, 0xfffff, 0xa0fb);
	arena_segment(ARENA_USER_CODE16, ARENA_CODE, 0xffff, 0x00fb);
	arena_segment(ARENA_USER_STACK16, ARENA_STACK, 0xffff, 0x00f3);
	arena_segment(ARENA_USER_DATA16, ARENA_DATA, 0xffff, 0x00f3);
	arena_segment(ARENA_TR, ARENA_TSS, sizeof(struct arena_tss) - 1, TYPE_TSS | 2);
}

/* Interrupt gates on the stack that is there, but for #DF and NMI; INT n may be used at CPL 0 only. */
static void reset_idt(void)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		const uint64_t entry = trial_entry(i);

		*arena_gate(i) = (struct arena_gate){ .offset_0 = (uint16_t)entry,
						      .selector = ARENA_CODE64,
						      .type = GATE_INTERRUPT,
						      .offset_16 = (uint16_t)(entry >> 16),
						      .offset_32 = (uint32_t)(entry >> 32) };
	}
	arena_gate(TRIAL_END)->type = GATE_INTERRUPT_3;
	arena_gate(2)->ist = 2;
	arena_gate(8)->ist = 1;
}

static void reset_tss(void)
{
	struct arena_tss *tss = arena_tss();

	SetMem(tss, sizeof(*tss), 0xff);
	SetMem(tss, __builtin_offsetof(struct arena_tss, io_bits), 0);
	tss->rsp[0] = ARENA_RSP0_TOP;
	for (uint32_t i = 0; i < 7; i++)
		tss->ist[i] = ARENA_IST + (i + 1) * ARENA_IST_BYTES;
	tss->io_map = __builtin_offsetof(struct arena_tss, io_bits);
}

void arena_reset(void)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		const uint64_t frame = ARENA_BASE + i * ARENA_PAGE;

		if (paging()->pages[i] != (frame | ARENA_ALL))
			arena_page(frame, ARENA_ALL);
	}
	reset_gdt();
	reset_idt();
	reset_tss();
}

bool arena_prepare(void)
{
	EFI_PHYSICAL_ADDRESS at = ARENA_BASE;

	if ((probe_cr4() & CR4_LA57) || EFI_ERROR(BS->AllocatePages(AllocateAddress, EfiLoaderCode,
								    ARENA_BYTES / ARENA_PAGE, &at)))
		return false;
	SetMem((void *)(UINTN)ARENA_BASE, ARENA_BYTES, 0);
	fill_paging();
	return true;
}

static void load_cs(uint64_t selector)
{
	__asm__ volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:"
			 :
			 : "r"(selector)
			 : "rax", "memory");
}

static void save(void)
{
	__asm__ volatile("cli; sgdt %0; sidt %1" : "=m"(saved.gdt), "=m"(saved.idt));
	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1" : "=r"(saved.cr0), "=r"(saved.cr3));
	saved.cr4 = probe_cr4();
	saved.fs_base = probe_rdmsr(MSR_FS_BASE);
	saved.gs_base = probe_rdmsr(MSR_GS_BASE);
	__asm__ volatile(
		"mov %%cs, %0; mov %%ss, %1; mov %%ds, %2; mov %%es, %3; mov %%fs, %4; mov %%gs, %5"
		: "=r"(saved.cs), "=r"(saved.ss), "=r"(saved.ds), "=r"(saved.es), "=r"(saved.fs),
		  "=r"(saved.gs));
}

void arena_enter(void)
{
	const struct table_register gdt = { ARENA_GDT_BYTES - 1, ARENA_GDT };
	const struct table_register idt = { ARENA_IDT_BYTES - 1, ARENA_IDT };

	save();
	arena_reset();
	arena_segment(ARENA_TR, ARENA_TSS, sizeof(struct arena_tss) - 1, TYPE_TSS);
	__asm__ volatile("lgdt %0; lidt %1" : : "m"(gdt), "m"(idt));
	__asm__ volatile("ltr %w0" : : "r"(ARENA_TR));
	load_cs(ARENA_CODE64);
	__asm__ volatile("mov %0, %%ss; mov %0, %%ds; mov %0, %%es" : : "r"(ARENA_FLAT));
	probe_set_cr4(saved.cr4 & ~CR4_SM_BITS);
	__asm__ volatile("mov %0, %%cr0" : : "r"(saved.cr0 | CR0_WP));
	__asm__ volatile("mov %0, %%cr3" : : "r"((uint64_t)ARENA_PAGING) : "memory");
}

void arena_leave(void)
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
