// SPDX-License-Identifier: BSD-2-Clause
/*
 * Task switches in protected mode: JMP, CALL, IRET, interrupts and a fault through task gates, 32-bit
 * and 16-bit task-state segments, and those that must fault, without and with paging.
 * lib/task.asm has the tasks; here are their tables.
 *
 *   task.efi [facts]
 *
 *   facts  print what is found instead of comparing it with what the manuals say, also on another CPU
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { AREA_PAGES = 16, PAGE = 4096, NAME_BYTES = 44 };
enum { MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101 };

/* As task.asm has them. */
enum {
	BASE = 0x3000000,
	RESULTS = BASE + 0x3000,
	GDT = BASE + 0x4000,
	IDT = BASE + 0x4800,
	TSS_A = BASE + 0x5000,
	TSS_B = BASE + 0x5100,
	TSS_C = BASE + 0x5200,
	TSS_D = BASE + 0x5300,
	TSS_SHORT = BASE + 0x5400,
	STACK_A = BASE + 0x7000,
	STACK_B = BASE + 0x8000,
	STACK_C = BASE + 0x9000,
	DIRECTORY_1 = BASE + 0xa000,
	DIRECTORY_2 = BASE + 0xb000,
	STACK_16 = BASE + 0xc000, /* 4 KiB, as D's segment sees it */
};

enum {
	CODE32 = 0x08,
	DATA = 0x10,
	CODE64 = 0x18,
	CODE16 = 0x20,
	SEL_A = 0x28,
	SEL_B = 0x30,
	SEL_C = 0x38,
	SEL_D = 0x40,
	SEL_GATE = 0x48,
	SEL_ABSENT = 0x50,
	SEL_SHORT = 0x58,
	SEL_STACK_16 = 0x60,
	GDT_BYTES = 0x68,
};

enum { TSS32 = 0x89, TSS16 = 0x81, TASK_GATE = 0x85, INTERRUPT_GATE = 0x8e };
enum { VECTOR_C = 0x40, VECTOR_D = 0x41, ENTRY_BYTES = 16 };
enum { EXCEPTIONS = 32, TSS32_BYTES = 0x68, TSS16_BYTES = 0x2c };
enum { PAGE_4M_WRITABLE = 0x83 };

/* Offsets in the task-state segments. SDM: "Task-State Segment (TSS)", "16-Bit Task-State Segment (TSS)". */
enum {
	TSS32_CR3 = 0x1c,
	TSS32_EIP = 0x20,
	TSS32_EFLAGS = 0x24,
	TSS32_EAX = 0x28,
	TSS32_ESP = 0x38
};
enum { TSS32_EDI = 0x44, TSS32_SEGMENTS = 0x48, TSS32_IOMAP = 0x66 };
enum {
	TSS16_IP = 0x0e,
	TSS16_FLAGS = 0x10,
	TSS16_AX = 0x12,
	TSS16_SP = 0x1a,
	TSS16_SEGMENTS = 0x22
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* As task.asm lays it out. */
struct task_data {
	uint32_t paging_cr3, landing, fault_vector, fault_error, unexpected_eip;
	struct table_register gdt, idt;
} __attribute__((packed));

struct expectation {
	uint32_t value;
	char name[NAME_BYTES];
};

#define HIDDEN __attribute__((visibility("hidden")))
extern const uint8_t probe_task_start[] HIDDEN, probe_task_end[] HIDDEN, probe_task_data[] HIDDEN;
extern const uint8_t probe_task_entries[] HIDDEN, probe_task_b[] HIDDEN, probe_task_c[] HIDDEN;
extern const uint8_t probe_task_d[] HIDDEN;
extern const struct expectation probe_task_expected[] HIDDEN;
extern const uint32_t probe_task_count HIDDEN;
void probe_task_run(void);

static uint32_t offset_of(const uint8_t *label)
{
	return (uint32_t)(label - probe_task_start);
}

static void put_16(uint32_t address, uint32_t value)
{
	*(volatile uint16_t *)(uint64_t)address = (uint16_t)value;
}

static void put_32(uint32_t address, uint32_t value)
{
	*(volatile uint32_t *)(uint64_t)address = value;
}

/* `flags`: granularity, size and long mode, the descriptor's bits 52 to 55. */
static void put_segment(uint32_t selector, uint32_t base, uint32_t limit, uint32_t type,
			uint32_t flags)
{
	put_32(GDT + selector, (limit & 0xffff) | base << 16);
	put_32(GDT + selector + 4, (base >> 16 & 0xff) | type << 8 | (limit & 0xf0000) |
					   flags << 20 | (base & 0xff000000));
}

static void put_gate(uint32_t address, uint32_t selector, uint32_t offset, uint32_t type)
{
	put_32(address, (offset & 0xffff) | selector << 16);
	put_32(address + 4, type << 8 | (offset & 0xffff0000));
}

static void fill_gdt(void)
{
	put_segment(CODE32, 0, 0xfffff, 0x9b, 0xc);
	put_segment(DATA, 0, 0xfffff, 0x93, 0xc);
	put_segment(CODE64, 0, 0xfffff, 0x9b, 0xa);
	put_segment(CODE16, BASE, 0xffff, 0x9b, 0);
	put_segment(SEL_A, TSS_A, TSS32_BYTES - 1, TSS32, 0);
	put_segment(SEL_B, TSS_B, TSS32_BYTES - 1, TSS32, 0);
	put_segment(SEL_C, TSS_C, TSS32_BYTES - 1, TSS32, 0);
	put_segment(SEL_D, TSS_D, TSS16_BYTES - 1, TSS16, 0);
	put_gate(GDT + SEL_GATE, SEL_B, 0, TASK_GATE);
	put_segment(SEL_ABSENT, TSS_B, TSS32_BYTES - 1, TSS32 & 0x7f, 0);
	put_segment(SEL_SHORT, TSS_SHORT, TSS32_BYTES - 2, TSS32, 0);
	put_segment(SEL_STACK_16, STACK_16, 0xfff, 0x93, 0);
}

static void fill_idt(void)
{
	for (uint32_t i = 0; i < EXCEPTIONS; i++)
		put_gate(IDT + i * 8, CODE32,
			 BASE + offset_of(probe_task_entries) + i * ENTRY_BYTES, INTERRUPT_GATE);
	put_gate(IDT + VECTOR_C * 8, SEL_C, 0, TASK_GATE);
	put_gate(IDT + VECTOR_D * 8, SEL_D, 0, TASK_GATE);
}

static void fill_tss32(uint32_t tss, uint32_t cr3, const uint8_t *entry, uint32_t esp)
{
	put_32(tss + TSS32_CR3, cr3);
	put_32(tss + TSS32_EIP, BASE + offset_of(entry));
	put_32(tss + TSS32_EFLAGS, 2);
	put_32(tss + TSS32_EAX, 0xb1b1b1b1);
	put_32(tss + TSS32_EDI, 0xb7b7b7b7);
	put_32(tss + TSS32_ESP, esp);
	for (uint32_t i = 0; i < 4; i++) /* ES, CS, SS, DS; none in FS and GS */
		put_32(tss + TSS32_SEGMENTS + 4 * i, i == 1 ? CODE32 : DATA);
	put_16(tss + TSS32_IOMAP, TSS32_BYTES);
}

static void fill_tss16(uint32_t tss)
{
	put_16(tss + TSS16_IP, offset_of(probe_task_d));
	put_16(tss + TSS16_FLAGS, 2);
	put_16(tss + TSS16_AX, 0xd0d0);
	put_16(tss + TSS16_SP, 0xff0);
	put_16(tss + TSS16_SEGMENTS, DATA);
	put_16(tss + TSS16_SEGMENTS + 2, CODE16);
	put_16(tss + TSS16_SEGMENTS + 4, SEL_STACK_16);
	put_16(tss + TSS16_SEGMENTS + 6, DATA);
}

static struct task_data *fill(bool paging)
{
	struct task_data *data = (struct task_data *)(uint64_t)(BASE + offset_of(probe_task_data));

	SetMem((void *)BASE, AREA_PAGES * PAGE, 0);
	CopyMem((void *)BASE, (void *)(UINTN)probe_task_start, offset_of(probe_task_end));
	for (uint32_t i = 0; i < probe_task_count; i++)
		put_32(RESULTS + 4 * i, ~probe_task_expected[i].value);
	for (uint32_t i = 0; i < 1024; i++) {
		put_32(DIRECTORY_1 + 4 * i, i << 22 | PAGE_4M_WRITABLE);
		put_32(DIRECTORY_2 + 4 * i, i << 22 | PAGE_4M_WRITABLE);
	}
	fill_gdt();
	fill_idt();
	fill_tss32(TSS_A, DIRECTORY_1, probe_task_b, STACK_A);
	fill_tss32(TSS_B, DIRECTORY_2, probe_task_b, STACK_B);
	fill_tss32(TSS_C, DIRECTORY_1, probe_task_c, STACK_C);
	fill_tss16(TSS_D);
	data->paging_cr3 = paging ? DIRECTORY_1 : 0;
	data->gdt = (struct table_register){ GDT_BYTES - 1, GDT };
	data->idt = (struct table_register){ (VECTOR_D + 1) * 8 - 1, IDT };
	return data;
}

static bool prints_facts;

static void print_facts(bool paging, const struct task_data *data)
{
	const char *key = paging ? "paged" : "unpaged";

	for (uint32_t i = 0; i < probe_task_count; i++)
		fact_line("%stask.%s.%u = 0x%x: %s", fact_cpu(), key, i,
			  *(volatile uint32_t *)(uint64_t)(RESULTS + 4 * i),
			  probe_task_expected[i].name);
	fact_line("%stask.%s.fault = %u (0x%x) at 0x%x", fact_cpu(), key, data->fault_vector,
		  data->fault_error, data->unexpected_eip);
}

static void run(bool paging)
{
	const uint64_t fs_base = probe_rdmsr(MSR_FS_BASE), gs_base = probe_rdmsr(MSR_GS_BASE);
	const struct task_data *data = fill(paging);

	if (!prints_facts)
		probe_print("PROBE: %s paging\n", paging ? "with" : "without");
	probe_task_run();
	probe_wrmsr(MSR_FS_BASE, fs_base);
	probe_wrmsr(MSR_GS_BASE, gs_base);
	__asm__ volatile("mov %0, %%dr7" : : "r"(UINT64_C(0x400)));
	if (prints_facts) {
		print_facts(paging, data);
		return;
	}
	for (uint32_t i = 0; i < probe_task_count; i++) {
		const uint32_t found = *(volatile uint32_t *)(uint64_t)(RESULTS + 4 * i);

		probe_check(found == probe_task_expected[i].value, probe_task_expected[i].name,
			    "0x%x instead of 0x%x", found, probe_task_expected[i].value);
	}
	probe_check(!data->unexpected_eip, "no other fault", "%u (0x%x) at 0x%x",
		    data->fault_vector, data->fault_error, data->unexpected_eip);
}

static void run_both(void *argument)
{
	(void)argument;
	run(false);
	run(true);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	EFI_PHYSICAL_ADDRESS area = BASE;
	const char *options = probe_begin(image, table);

	prints_facts = probe_has_word(options, "facts");
	if (prints_facts)
		fact_begin("task");
	if (probe_check(!EFI_ERROR(BS->AllocatePages(AllocateAddress, EfiLoaderCode, AREA_PAGES,
						     &area)),
			"area", "0x%x is not free", BASE)) {
		run_both(NULL);
		if (prints_facts && probe_cpu_count > 1) {
			probe_start_and_wait(1, run_both, NULL);
			probe_check(probe_join(1, 20000), "join", "CPU 1");
		}
	}
	if (prints_facts)
		fact_end();
	return probe_end();
}
