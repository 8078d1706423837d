// SPDX-License-Identifier: BSD-2-Clause
/*
 * Single steps by the hypervisor that the guest must not see: instructions that save or load RFLAGS, raise, fault or are
 * watched, each executed without and with the guest's own TF. First alone, then as one that the hypervisor steps: because
 * the CPU marks the table entry of the code as accessed and the table is tracked, because the stack is tracked, or
 * both. What is left in the stack, in registers and in DR6, and which traps came, must be the same.
 *
 *   steps.efi [bochs] [verbose]
 *
 *   bochs  what that CPU does otherwise is counted and printed: docs/emulators.md
 */
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/track_ask.h"

enum { PAGE = 4096, SLOT = 32, CODE = 0, DATA = 2, HOLE = 3, STACK_AT = 2048 };
enum { ENTRY_P = 1, ENTRY_RW = 2, ENTRY_A = 0x20, ENTRY_D = 0x40 };
enum { MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081, MSR_LSTAR, MSR_SFMASK = 0xc0000084 };
#define ALIAS	  (UINT64_C(1) << 45)
#define TF	  UINT64_C(0x100)
#define RF	  UINT64_C(0x10000)
#define FLAGS	  UINT64_C(2)
#define DR6_QUIET UINT64_C(0xffff0ff0)

struct steps_entry {
	uint64_t rip, cs, rflags, rsp, ss, saved, after, r11;
};

void steps_enter(struct steps_entry *entry) __attribute__((visibility("hidden")));
extern const uint8_t steps_back[] __attribute__((visibility("hidden")));

struct test {
	const char *name;
	uint8_t bytes[12];
	uint32_t count;
	bool loads; /* RFLAGS from the stack, or SYSCALL's mask: also with TF in it */
	bool frame; /* IRETQ */
	bool breakpoint;
	bool faults;
};

static const struct test tests[] = {
	{ .name = "nop", .bytes = { 0x90 }, .count = 1 },
	{ .name = "pushf", .bytes = { 0x9c }, .count = 1 },
	{ .name = "popf", .bytes = { 0x9d }, .count = 1, .loads = true },
	{ .name = "iret", .bytes = { 0x48, 0xcf }, .count = 2, .loads = true, .frame = true },
	{ .name = "int3", .bytes = { 0xcc }, .count = 1 },
	{ .name = "int-n", .bytes = { 0xcd, VECTOR_PROBE }, .count = 2 },
	{ .name = "int-3", .bytes = { 0xcd, 3 }, .count = 2 },
	{ .name = "int1", .bytes = { 0xf1 }, .count = 1 },
	{ .name = "syscall", .bytes = { 0x0f, 0x05 }, .count = 2, .loads = true },
	{ .name = "mov-from-dr6", .bytes = { 0x41, 0x0f, 0x21, 0xf3 }, .count = 4 }, /* to R11 */
	{ .name = "breakpoint", .bytes = { 0x90 }, .count = 1, .breakpoint = true },
	{ .name = "ud2", .bytes = { 0x0f, 0x0b }, .count = 2, .faults = true },
	/* MOV RAX from an address that is not mapped, and from one that is none */
	{ .name = "page-fault",
	  .bytes = { 0x48, 0xa1, 0, 0x30, 0, 0, 0, 0x20, 0, 0 },
	  .count = 10,
	  .faults = true },
	{ .name = "general-protection",
	  .bytes = { 0x48, 0xa1, 0, 0, 0, 0, 0, 0, 0, 0x80 },
	  .count = 10,
	  .faults = true },
};

enum { TESTS = sizeof(tests) / sizeof(tests[0]), FLAGS_RESULT = 5, RESULTS = 11 };

static const char *const result_names[RESULTS] = { "traps",  "bps",   "interrupts", "trap-rip",
						   "dr6",    "flags", "after",	    "r11",
						   "pushed", "fault", "cr2" };

static uint8_t *pages; /* PT, tracked stack, code, data, PDPT, PD, GDT, plain stack */
static uint64_t *pt;
static uint8_t *tracked_stack, *plain_stack, *code, *data;
static struct track_log *notes;
static struct steps_entry entry;
static bool is_amd, is_bochs, is_verbose;
static uint64_t unseen_marks, resume_flags; /* Bochs */

static uint64_t ask(uint64_t operation, const void *address)
{
	return track_ask(is_amd, operation, (uint64_t)address, 0);
}

static uint64_t noted(void)
{
	return *(volatile uint64_t *)&notes->written;
}

/* --- the alias: one page table of our own, below the firmware's tables --- */

static void map_alias(void)
{
	uint64_t *table, cr0, cr3;

	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1" : "=r"(cr0), "=r"(cr3));
	table = (uint64_t *)(cr3 & ~(uint64_t)(PAGE - 1));
	if (probe_cr4() & 1u << 12)
		table = (uint64_t *)(table[0] & UINT64_C(0xffffffffff000));
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~UINT64_C(0x10000)) : "memory");
	table[ALIAS >> 39] = (uint64_t)(pages + 4 * PAGE) | ENTRY_P | ENTRY_RW | ENTRY_A;
	__asm__ volatile("mov %0, %%cr0; mov %1, %%cr3" : : "r"(cr0), "r"(cr3) : "memory");
	*(uint64_t *)(pages + 4 * PAGE) =
		(uint64_t)(pages + 5 * PAGE) | ENTRY_P | ENTRY_RW | ENTRY_A;
	*(uint64_t *)(pages + 5 * PAGE) = (uint64_t)pt | ENTRY_P | ENTRY_RW | ENTRY_A;
	pt[CODE] = (uint64_t)code | ENTRY_P | ENTRY_RW | ENTRY_A | ENTRY_D;
	pt[DATA] = (uint64_t)data | ENTRY_P | ENTRY_RW | ENTRY_A | ENTRY_D;
}

static void forget_alias(unsigned page)
{
	__asm__ volatile("invlpg (%0)" : : "r"(ALIAS + page * PAGE) : "memory");
}

/* Each instruction has its place, and jumps back. */
static void write_code(void)
{
	/* LEA RSP, [RSP - 256]: another trap leaves the frame of the first one; JMP R12 */
	static const uint8_t back[11] = { 0x48, 0x8d, 0xa4, 0x24, 0x00, 0xff,
					  0xff, 0xff, 0x41, 0xff, 0xe4 };

	for (unsigned i = 0; i < TESTS; i++) {
		uint8_t *to = code + i * SLOT;

		for (unsigned k = 0; k < tests[i].count; k++)
			*to++ = tests[i].bytes[k];
		for (unsigned k = 0; k < sizeof(back); k++)
			*to++ = back[k];
	}
}

/* The firmware's descriptors and two more, for SYSCALL: its data segment follows its code segment. */
static void load_descriptors(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) table;
	uint64_t *gdt = (uint64_t *)(pages + 6 * PAGE), star;
	unsigned count;

	__asm__ volatile("sgdt %0" : "=m"(table));
	count = (table.limit + 1u) / 8;
	for (unsigned i = 0; i < count; i++)
		gdt[i] = ((const uint64_t *)table.base)[i];
	gdt[count] = UINT64_C(0x00af9b000000ffff);
	gdt[count + 1] = UINT64_C(0x00cf93000000ffff);
	star = (uint64_t)count * 8 << 32;
	table.limit = (uint16_t)((count + 2) * 8 - 1);
	table.base = (uint64_t)gdt;
	__asm__ volatile("lgdt %0" : : "m"(table));
	probe_wrmsr(MSR_EFER, probe_rdmsr(MSR_EFER) | 1);
	probe_wrmsr(MSR_STAR, star);
	probe_wrmsr(MSR_LSTAR, (uint64_t)steps_back);
}

/* --- one instruction --- */

static void enter(void *argument)
{
	(void)argument;
	steps_enter(&entry);
}

static void prepare_stack(const struct test *test, uint8_t *stack, uint64_t loaded)
{
	uint64_t *top = (uint64_t *)(stack + STACK_AT);

	top[-1] = top[-3] = 0;
	top[0] = loaded;
	if (!test->frame)
		return;
	top[0] = entry.rip + test->count;
	top[1] = entry.cs;
	top[2] = loaded;
	top[3] = (uint64_t)top;
	top[4] = entry.ss;
}

static void set_dr(uint64_t dr0, uint64_t dr7)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr7; mov %2, %%dr6"
			 :
			 : "r"(dr0), "r"(dr7), "r"(DR6_QUIET | 0x4002));
}

/* `steps`: bit 0, the fetch; bit 1, the stack. Returns the number of notes. */
static uint64_t execute(const struct test *test, bool tf, bool loaded_tf, unsigned steps,
			uint64_t results[RESULTS])
{
	uint8_t *stack = (steps & 2) != 0 ? tracked_stack : plain_stack;
	const uint64_t *top = (const uint64_t *)(stack + STACK_AT);
	struct probe_cpu *cpu = probe_this_cpu();
	struct probe_fault fault = { .happened = false };
	uint64_t traps = cpu->counts[VECTOR_DB], bps = cpu->counts[VECTOR_BP];
	uint64_t interrupts = cpu->counts[VECTOR_PROBE], seen;

	entry.rip = ALIAS + (uint64_t)(test - tests) * SLOT;
	entry.rflags = FLAGS | (tf ? TF : 0);
	entry.rsp = (uint64_t)top;
	prepare_stack(test, stack, FLAGS | (loaded_tf ? TF : 0));
	probe_wrmsr(MSR_SFMASK, loaded_tf ? TF : 0);
	cpu->last_rip[VECTOR_DB] = cpu->dr6 = 0;
	set_dr(entry.rip, test->breakpoint ? 0x401 : 0x400);
	pt[CODE] = (pt[CODE] & ~(uint64_t)ENTRY_A) | ((steps & 1) != 0 ? 0 : ENTRY_A);
	forget_alias(CODE);
	seen = noted();
	if (!test->faults)
		enter(NULL);
	else if (!probe_try(enter, NULL, &fault))
		entry.after = entry.r11 = fault.rip - ALIAS;
	seen = noted() - seen;
	probe_check((pt[CODE] & ENTRY_A) != 0, test->name, "the code is not marked as accessed");
	set_dr(0, 0x400);
	results[0] = cpu->counts[VECTOR_DB] - traps;
	results[1] = cpu->counts[VECTOR_BP] - bps;
	results[2] = cpu->counts[VECTOR_PROBE] - interrupts;
	results[3] = cpu->last_rip[VECTOR_DB];
	results[4] = cpu->dr6;
	results[5] = top[-3];
	results[6] = entry.after;
	results[7] = entry.r11;
	results[8] = top[-1];
	results[9] = fault.happened ? fault.vector << 16 | fault.error : 0;
	results[10] = fault.happened && fault.vector == VECTOR_PF ? fault.cr2 : 0;
	return seen;
}

static void compare_result(const struct test *test, bool tf, bool loaded_tf, unsigned steps,
			   unsigned i, uint64_t alone, uint64_t stepped)
{
	if (is_bochs && i == FLAGS_RESULT && stepped == (alone | RF)) {
		resume_flags++;
		return;
	}
	probe_check(alone == stepped, test->name, "tf %u %u step %u: %s 0x%lx, alone 0x%lx", tf,
		    loaded_tf, steps, result_names[i], stepped, alone);
}

static void compare(const struct test *test, bool tf, bool loaded_tf)
{
	uint64_t alone[RESULTS], stepped[RESULTS], notes_alone;

	notes_alone = execute(test, tf, loaded_tf, 0, alone);
	probe_check(notes_alone == 0, test->name, "alone: %lu notes", notes_alone);
	if (is_verbose)
		for (unsigned i = 0; i < RESULTS; i++)
			probe_print("PROBE: %s %u %u: %s 0x%lx\n", test->name, tf, loaded_tf,
				    result_names[i], alone[i]);
	for (unsigned steps = 1; steps < 4; steps++) {
		const uint64_t count = execute(test, tf, loaded_tf, steps, stepped);

		if (is_bochs)
			unseen_marks += steps == 1 && count == 0;
		else
			probe_check((steps & 1) == 0 || count != 0, test->name, "not stepped");
		for (unsigned i = 0; i < RESULTS; i++)
			compare_result(test, tf, loaded_tf, steps, i, alone[i], stepped[i]);
	}
}

/* --- a store that faults in its second page, with the first one opened for it --- */

static void store_across(void *argument)
{
	*(volatile uint64_t *)argument = UINT64_C(0x1122334455667788);
}

static void check_faulting_store(void)
{
	const uint64_t at = ALIAS + HOLE * PAGE - 4;
	const uint32_t *last = (const uint32_t *)(data + PAGE - 4);
	struct probe_fault fault;
	uint64_t seen;

	probe_check(ask(TRACK_CALL_ADD, data) == 1, "faulting-store", "not tracked");
	seen = noted();
	for (unsigned i = 0; i < 3; i++) {
		bool done = probe_try(store_across, (void *)at, &fault);

		if (is_amd && is_bochs)
			fault.cr2 = ALIAS + HOLE * PAGE; /* VMRUN does not load it there */
		probe_check(!done && fault.vector == VECTOR_PF && fault.error == 2 &&
				    fault.cr2 == ALIAS + HOLE * PAGE,
			    "faulting-store", "vector %u error 0x%lx at 0x%lx", fault.vector,
			    fault.error, fault.cr2);
	}
	probe_check(noted() == seen, "faulting-store", "%lu notes", noted() - seen);
	probe_check(*last == 0, "faulting-store", "0x%x is written", *last);
	/* and it is still closed */
	*(volatile uint32_t *)(ALIAS + HOLE * PAGE - 4) = 1;
	probe_check(noted() == seen + 1, "store-after", "%lu notes", noted() - seen);
	probe_check(ask(TRACK_CALL_REMOVE, data) == 1, "faulting-store", "not removed");
}

static bool get_memory(void)
{
	EFI_PHYSICAL_ADDRESS at;
	uint16_t cs, ss;

	if (EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderCode, 9, &at)))
		return false;
	pages = (uint8_t *)at;
	for (unsigned i = 0; i < 9 * PAGE; i++)
		pages[i] = 0;
	pt = (uint64_t *)pages;
	tracked_stack = pages + PAGE;
	code = pages + 2 * PAGE;
	data = pages + 3 * PAGE;
	plain_stack = pages + 7 * PAGE;
	notes = (struct track_log *)(pages + 8 * PAGE);
	__asm__ volatile("mov %%cs, %0; mov %%ss, %1" : "=r"(cs), "=r"(ss));
	entry.cs = cs;
	entry.ss = ss;
	/* The firmware has allowed interrupts again. */
	__asm__ volatile("cli" : : : "memory");
	return true;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	is_bochs = probe_has_word(options, "bochs");
	is_verbose = probe_has_word(options, "verbose");
	if (!probe_check(get_memory(), "memory", ""))
		return probe_end();
	write_code();
	map_alias();
	load_descriptors();
	probe_check(ask(TRACK_CALL_LOG, notes) == 1, "log", "");
	probe_check(ask(TRACK_CALL_ADD, pt) == 1, "track-table", "");
	probe_check(ask(TRACK_CALL_ADD, tracked_stack) == 1, "track-stack", "");
	for (const struct test *test = tests; test < tests + TESTS; test++) {
		/* There RF is lost with each walk through the tracked table: it would be hit for ever. */
		if (is_amd && is_bochs && test->breakpoint) {
			probe_print("PROBE: %s is left out\n", test->name);
			continue;
		}
		for (unsigned tf = 0; tf < 4; tf++) {
			if ((tf & 2) == 0 || test->loads)
				compare(test, (tf & 1) != 0, (tf & 2) != 0);
		}
	}
	probe_check(ask(TRACK_CALL_REMOVE, tracked_stack) == 1, "untrack-stack", "");
	probe_check(ask(TRACK_CALL_REMOVE, pt) == 1, "untrack-table", "");
	check_faulting_store();
	if (is_bochs)
		probe_print("PROBE: unseen marks %lu, resume flags %lu\n", unseen_marks,
			    resume_flags);
	return probe_end();
}
