// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instructions that switch tasks, and those of virtual-8086 mode that save, load or clear TF, each executed alone and then
 * as one that the hypervisor steps: because the CPU marks the table entry of the code as accessed and the table is tracked,
 * because the frame of the task-state segments and of the stack is tracked, or both. What is saved in the outgoing task or
 * pushed, what the incoming one finds, and all debug exceptions on the way must be the same.
 *
 *   switches.efi [no-vm86] [bochs] [lax] [lax-gate] [verbose]
 *
 *   no-vm86  not those of virtual-8086 mode (docs/emulators.md)
 *   bochs    that CPU keeps entries of untracked tables: the first steps may not be seen
 *   lax      not with a T bit, which QEMU does not know, nor with a breakpoint on what the switch accesses, which it traps
 *            in the middle
 *   lax-gate not with one behind a task gate: what EVENTINJ does there, Bochs' AMD-V forgets
 */
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/quiet.h"
#include "tests/guests/lib/track_ask.h"
#include "tests/guests/lib/trip.h"
#include "tests/guests/switches/cases.h"

enum { PAGE = 4096, AREA_PAGES = 12, LOGGED = 8 };

/* Linear addresses below 4 MiB, by the page table. */
enum { AT_TESTED = 0x10000, AT_STACK_86 = 0x20000, SP_86 = 0xff0, HANDLER_86 = 0x100 };

enum { TSS32 = 0x89, TSS16 = 0x81, BUSY = 2, TASK_GATE = 0xe5, INTERRUPT_GATE = 0xee };
enum { TSS32_BYTES = 0x68, TSS16_BYTES = 0x2c, IO_MAP_AT = 0x88, REDIRECTION_AT = 0x68 };
enum { ENTRY_P = 1, ENTRY_RW = 2, ENTRY_US = 4, ENTRY_A = 0x20, ENTRY_D = 0x40, ENTRY_PS = 0x80 };
enum { APIC_TPR = 0x80, DR7_QUIET = 0x400, DR7_GLOBAL_0 = 2 };
#define CR4_VME UINT64_C(1)

struct table_register {
	uint16_t limit;
	uint32_t base;
	uint16_t pad;
} __attribute__((packed));

struct logged {
	uint32_t eip, eflags, dr6, tr;
};

struct switch_data {
	uint32_t cr3, dr7, dr0, eip, cs, eflags, esp, ss, tr;
	uint32_t saved_esp, saved_ss, saved_cr3, saved_cs, pad;
	struct table_register saved_gdtr, saved_idtr, gdtr, idtr;
	uint32_t vector, pushed[4], end_tr, flags, count;
	struct logged log[LOGGED];
};

_Static_assert(__builtin_offsetof(struct switch_data, vector) == 0x58, "as switch.asm has it");

/* One run: how the test is varied, and what was found. */
struct variant {
	bool tf;     /* when the instruction is executed */
	bool new_tf; /* in what it loads: the incoming task's flags, or the words on the stack */
	bool trap_bit;
	bool vme;
	uint32_t iopl;
};

struct outcome {
	uint32_t vector, pushed[4], end_tr, flags, count;
	struct logged log[LOGGED];
	uint32_t saved_ip, saved_flags, link, types;
	uint16_t words[8]; /* below and at the stack's top in virtual-8086 mode */
};

enum { OUTCOME_WORDS = sizeof(struct outcome) / 4 };

extern const uint8_t switch_start[] __attribute__((visibility("hidden")));
extern const uint8_t switch_end[] __attribute__((visibility("hidden")));
extern const uint8_t switch_vectors[] __attribute__((visibility("hidden")));
extern const uint8_t switch_debug[] __attribute__((visibility("hidden")));
extern const uint8_t switch_task[] __attribute__((visibility("hidden")));

static bool is_amd, is_bochs, is_verbose;
static uint64_t unseen;

static uint32_t offset_of(const uint8_t *label)
{
	return (uint32_t)(label - switch_start);
}

static volatile uint16_t *word_at(uint32_t address)
{
	return (volatile uint16_t *)(uint64_t)address;
}

static volatile uint32_t *dword_at(uint32_t address)
{
	return (volatile uint32_t *)(uint64_t)address;
}

static struct switch_data *data(void)
{
	return (struct switch_data *)(uint64_t)DATA;
}

static uint64_t ask(uint64_t operation, uint32_t address)
{
	return track_ask(is_amd, operation, address, 0);
}

/* --- tables --- */

static void put_segment(uint32_t selector, uint32_t base, uint32_t limit, uint32_t type,
			uint32_t flags)
{
	*dword_at(GDT + selector) = (limit & 0xffff) | base << 16;
	*dword_at(GDT + selector + 4) = (base >> 16 & 0xff) | type << 8 | (limit & 0xf0000) |
					flags << 20 | (base & 0xff000000);
}

static void put_gate(uint32_t at, uint32_t selector, uint32_t offset, uint32_t type)
{
	*dword_at(at) = (offset & 0xffff) | selector << 16;
	*dword_at(at + 4) = type << 8 | (offset & 0xffff0000);
}

/* The incoming task of an IRET is one that waits, and busy. */
static void fill_gdt(const struct test *test)
{
	const uint32_t busy = test->nested ? BUSY : 0;

	put_segment(CODE32, 0, 0xfffff, 0x9b, 0xc);
	put_segment(DATA32, 0, 0xfffff, 0x93, 0xc);
	put_segment(SEL_A, TSS_A, IO_MAP_AT, TSS32, 0);
	put_segment(SEL_B, TSS_B, TSS32_BYTES - 1, TSS32 | busy, 0);
	put_segment(SEL_A16, TSS_A16, TSS16_BYTES - 1, TSS16, 0);
	put_segment(SEL_B16, TSS_B16, TSS16_BYTES - 1, TSS16 | busy, 0);
	put_gate(GDT + SEL_GATE, SEL_B, 0, TASK_GATE);
	put_segment(SEL_STACK16, STACKS, 0x3ff, 0x93, 0);
	put_segment(SEL_LAST, TSS_A, IO_MAP_AT, TSS32, 0);
	put_segment(SEL_CODE_LOW, CODE, 0xffff, 0x9b, 4);
}

static void fill_idt(const struct test *test)
{
	for (uint32_t i = 0; i < VECTORS; i++)
		put_gate(IDT + 8 * i, CODE32, CODE + offset_of(switch_vectors) + 8 * i,
			 INTERRUPT_GATE);
	put_gate(IDT + 8 * VECTOR_DB, CODE32, CODE + offset_of(switch_debug), INTERRUPT_GATE);
	put_gate(IDT + 8 * VECTOR_B, SEL_B, 0, TASK_GATE);
	put_gate(IDT + 8 * VECTOR_B16, SEL_B16, 0, TASK_GATE);
	if (!test->exception)
		return;
	put_gate(IDT + 8 * VECTOR_UD, SEL_B, 0, TASK_GATE);
	put_gate(IDT + 8 * VECTOR_GP, SEL_B, 0, TASK_GATE);
}

static void fill_tss32(uint32_t tss, uint32_t cr3, uint32_t esp, uint32_t eflags)
{
	*dword_at(tss + 0x04) = STACKS + PAGE; /* ESP0, SS0 */
	*dword_at(tss + 0x08) = DATA32;
	*dword_at(tss + 0x1c) = cr3;
	*dword_at(tss + 0x20) = CODE + offset_of(switch_task);
	*dword_at(tss + 0x24) = eflags;
	*dword_at(tss + 0x38) = esp;
	for (uint32_t i = 0; i < 4; i++) /* ES, CS, SS, DS; none in FS and GS */
		*dword_at(tss + 0x48 + 4 * i) = i == 1 ? CODE32 : DATA32;
}

static void fill_states(const struct test *test, const struct variant *variant)
{
	const uint32_t flags = 2u | (variant->new_tf ? TF : 0);

	SetMem((void *)STATE, PAGE, 0);
	fill_tss32(TSS_A, DIRECTORY_1, STACKS + PAGE, 2);
	*word_at(TSS_A) = test->to16 ? SEL_B16 : SEL_B;
	*word_at(TSS_A + 0x66) = IO_MAP_AT;
	*word_at(TSS_A16) = *word_at(TSS_A);
	/* VECTOR_GATE is not redirected to the program. */
	*(volatile uint8_t *)(uint64_t)(TSS_A + REDIRECTION_AT + VECTOR_GATE / 8) =
		1u << VECTOR_GATE % 8;
	*(volatile uint8_t *)(uint64_t)(TSS_A + IO_MAP_AT) = 0xff;
	fill_tss32(TSS_B, DIRECTORY_2, STACKS + 0x800, flags);
	*word_at(TSS_B + 0x64) = variant->trap_bit;
	*word_at(TSS_B + 0x66) = TSS32_BYTES;
	*word_at(TSS_B16 + 0x0e) = (uint16_t)offset_of(switch_task);
	*word_at(TSS_B16 + 0x10) = (uint16_t)flags;
	*word_at(TSS_B16 + 0x1a) = 0x3f0;
	*word_at(TSS_B16 + 0x22) = DATA32;
	*word_at(TSS_B16 + 0x24) = SEL_CODE_LOW;
	*word_at(TSS_B16 + 0x26) = SEL_STACK16;
	*word_at(TSS_B16 + 0x28) = DATA32;
	/* What POPF, or IRET, finds. */
	*word_at(STATE + SP_86) = (uint16_t)(flags | test->loaded);
	if (!test->iret)
		return;
	*word_at(STATE + SP_86) = (uint16_t)test->count;
	*word_at(STATE + SP_86 + 2) = AT_TESTED / 16;
	*word_at(STATE + SP_86 + 4) = (uint16_t)(flags | test->loaded);
}

/* Below 4 MiB by the page table, all else one to one. The entry of what is tested has not been used. */
static void fill_tables(void)
{
	const uint32_t table = ENTRY_P | ENTRY_RW | ENTRY_US | ENTRY_A;

	SetMem((void *)PT, PAGE, 0);
	for (uint32_t i = 0; i < 1024; i++)
		*dword_at(DIRECTORY_1 + 4 * i) = i << 22 | table | ENTRY_D | ENTRY_PS;
	*dword_at(DIRECTORY_1) = PT | table;
	CopyMem((void *)DIRECTORY_2, (void *)DIRECTORY_1, PAGE);
	*dword_at(PT) = IVT | table | ENTRY_D;
	*dword_at(PT + AT_TESTED / 1024) = TESTED | ENTRY_P | ENTRY_RW | ENTRY_US;
	*dword_at(PT + AT_STACK_86 / 1024) = STATE | table | ENTRY_D;
}

/* NOP and HLT, which faults in virtual-8086 mode, behind the instruction and in its handler there. */
static void fill_tested(const struct test *test)
{
	uint8_t *to = (uint8_t *)(uint64_t)TESTED;

	SetMem((void *)TESTED, PAGE, 0xf4);
	CopyMem(to, (void *)(UINTN)test->bytes, test->count);
	if (test->count == 7 && test->bytes[5] == CODE32)
		*(volatile uint32_t *)(uint64_t)(TESTED + 1) = CODE + offset_of(switch_task);
	to[test->count] = to[HANDLER_86] = 0x90;
	if (!test->vm86)
		to[test->count + 1] = 0xcc;
	/* The operand of the far forms in memory, below the handler's NOP: at AT_TESTED + 0x100 */
	if (test->count == 6) {
		*dword_at(TESTED + 0x100) = 0x12345678;
		*word_at(TESTED + 0x104) = SEL_B;
	}
	SetMem((void *)IVT, PAGE, 0xff);
	*dword_at(IVT + 4 * VECTOR_86) = HANDLER_86 | AT_TESTED / 16 << 16;
}

static void fill_data(const struct test *test, const struct variant *variant)
{
	struct switch_data *to = data();

	SetMem(to, sizeof(*to), 0);
	to->cr3 = DIRECTORY_1;
	to->dr7 = DR7_QUIET | test->dr7 | (test->breakpoint ? DR7_GLOBAL_0 : 0);
	to->dr0 = test->breakpoint ? CODE + offset_of(switch_task) : test->watched;
	to->eip = test->vm86 ? 0 : AT_TESTED;
	to->cs = test->vm86 ? AT_TESTED / 16 : CODE32;
	to->eflags = 2u | test->eflags | (variant->tf ? TF : 0) | variant->iopl << IOPL_SHIFT |
		     (test->nested ? NT : 0) | (test->vm86 ? VM : 0);
	to->esp = SP_86;
	to->ss = AT_STACK_86 / 16;
	to->tr = test->from16 ? SEL_A16 : SEL_A;
	to->gdtr = (struct table_register){ GDT_BYTES - 1, GDT, 0 };
	to->idtr = (struct table_register){ VECTORS * 8 - 1, IDT, 0 };
}

/* --- one run --- */

static void collect(const struct test *test, struct outcome *out)
{
	const struct switch_data *from = data();

	SetMem(out, sizeof(*out), 0);
	CopyMem(&out->vector, (void *)(UINTN)&from->vector,
		sizeof(*from) - __builtin_offsetof(struct switch_data, vector));
	out->saved_ip = test->from16 ? *word_at(TSS_A16 + 0x0e) : *dword_at(TSS_A + 0x20);
	out->saved_flags = test->from16 ? *word_at(TSS_A16 + 0x10) : *dword_at(TSS_A + 0x24);
	out->link = *word_at(test->to16 ? TSS_B16 : TSS_B);
	if (test->exception) /* QEMU leaves RF out of it. */
		out->saved_flags &= ~(uint32_t)RF;
	for (uint32_t i = 0; i < 4; i++)
		out->types |= (*dword_at(GDT + SEL_A + 8 * i + 4) >> 8 & 0xff) << 8 * i;
	for (uint32_t i = 0; i < 8; i++)
		out->words[i] = *word_at(STATE + SP_86 - 10 + 2 * i);
}

/* What is good is not worth a line. */
static void expect(bool good, const struct test *test, const char *what)
{
	if (!good)
		probe_check(false, test->name, "%s", what);
}

static uint64_t noted(void)
{
	return *(volatile uint64_t *)(uint64_t)NOTES;
}

/* `steps`: bit 0, the fetch; bit 1, the frame with the task-state segments and the stack. Returns the number of notes. */
static uint64_t execute(const struct test *test, const struct variant *variant, unsigned steps,
			struct outcome *out)
{
	static const uint8_t call[] = { 0xb8, 0,    CODE >> 8 & 0xff, 0, CODE >> 24, 0xff,
					0xd0, 0xcd, TRIP_DONE };
	const uint32_t frames[2] = { PT, STATE };
	const struct trip trip = { .mode = TRIP_PSE_32,
				   .cr4_set = variant->vme ? CR4_VME : 0,
				   .code = call,
				   .bytes = sizeof(call) };
	struct trip_end end;
	uint64_t notes;

	fill_gdt(test);
	fill_idt(test);
	fill_tables();
	fill_tested(test);
	fill_states(test, variant);
	fill_data(test, variant);
	for (unsigned i = 0; i < 2; i++) {
		if ((steps >> i & 1) != 0)
			expect(ask(TRACK_CALL_ADD, frames[i]) == 1, test, "is not tracked");
	}
	notes = noted();
	trip_run(&trip, &end);
	notes = noted() - notes;
	for (unsigned i = 0; i < 2; i++) {
		if ((steps >> i & 1) != 0)
			expect(ask(TRACK_CALL_REMOVE, frames[i]) == 1, test, "stays tracked");
	}
	expect(end.vector == TRIP_DONE, test, "does not come back");
	collect(test, out);
	return notes;
}

static void print_outcome(const struct test *test, const struct variant *variant, const char *what,
			  const struct outcome *out)
{
	probe_print(
		"PROBE: %s tf %u/%u t %u vme %u iopl %u %s: vector %x (%x %x %x) tr %x flags %x saved %x %x link %x "
		"types %x\n",
		test->name, variant->tf, variant->new_tf, variant->trap_bit, variant->vme,
		variant->iopl, what, out->vector, out->pushed[0], out->pushed[1], out->pushed[2],
		out->end_tr, out->flags, out->saved_ip, out->saved_flags, out->link, out->types);
	probe_print("PROBE:   stack %x %x %x %x %x\n", out->words[0], out->words[1], out->words[2],
		    out->words[3], out->words[4]);
	for (uint32_t i = 0; i < out->count && i < LOGGED; i++)
		probe_print("PROBE:   #DB at %x flags %x dr6 %x tr %x\n", out->log[i].eip,
			    out->log[i].eflags, out->log[i].dr6, out->log[i].tr);
}

static void compare(const struct test *test, const struct variant *variant)
{
	struct outcome alone, stepped;
	bool is_same, are_all_same = true;

	execute(test, variant, 0, &alone);
	if (is_verbose)
		print_outcome(test, variant, "alone", &alone);
	for (unsigned steps = 1; steps < 4; steps++) {
		const uint64_t notes = execute(test, variant, steps, &stepped);

		if (is_bochs)
			unseen += notes == 0;
		else
			expect((steps & 1) == 0 || notes != 0, test, "is not stepped");
		is_same = CompareMem(&alone, &stepped, sizeof(alone)) == 0;
		are_all_same &= is_same;
		if (is_same)
			continue;
		print_outcome(test, variant, "alone", &alone);
		print_outcome(test, variant, "stepped", &stepped);
	}
	probe_check(are_all_same, test->name, "tf %u/%u t %u vme %u iopl %u", variant->tf,
		    variant->new_tf, variant->trap_bit, variant->vme, variant->iopl);
}

/* Whether the T bit is to be tried with it: a 16-bit task has none. */
static bool tries_trap_bit(const struct test *test, const char *options)
{
	bool is_event = test->exception || test->bytes[0] == 0xcd;

	return !test->to16 && !probe_has_word(options, "lax") &&
	       !(is_event && probe_has_word(options, "lax-gate"));
}

static void compare_switches(const struct test *test, bool has_trap_bit)
{
	for (unsigned i = 0; i < 8; i++) {
		const struct variant variant = { .tf = (i & 1) != 0,
						 .new_tf = (i & 2) != 0,
						 .trap_bit = (i & 4) != 0 };

		if (!variant.trap_bit || has_trap_bit)
			compare(test, &variant);
	}
}

static void compare_vm86(const struct test *test, bool has_vme)
{
	for (unsigned i = 0; i < 16; i++) {
		const struct variant variant = { .tf = (i & 1) != 0,
						 .new_tf = (i & 2) != 0,
						 .vme = (i & 4) != 0,
						 .iopl = (i & 8) != 0 ? 3 : 0 };

		if ((!variant.new_tf || test->loads) && (!variant.vme || has_vme))
			compare(test, &variant);
	}
}

static bool get_memory(void)
{
	EFI_PHYSICAL_ADDRESS at = BASE;

	if (!trip_init() ||
	    EFI_ERROR(BS->AllocatePages(AllocateAddress, EfiLoaderCode, AREA_PAGES, &at)))
		return false;
	SetMem((void *)BASE, AREA_PAGES * PAGE, 0);
	CopyMem((void *)CODE, (void *)(UINTN)switch_start, offset_of(switch_end));
	/* The firmware has allowed interrupts again. */
	__asm__ volatile("cli" : : : "memory");
	return true;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const bool has_vm86 = !probe_has_word(options, "no-vm86");
	uint32_t regs[4], tpr;
	bool has_vme;

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	probe_cpuid(1, 0, regs);
	has_vme = (regs[3] & 2) != 0;
	is_bochs = probe_has_word(options, "bochs");
	is_verbose = probe_has_word(options, "verbose");
	if (!probe_check(get_memory(), "memory", ""))
		return probe_end();
	quiet_begin();
	tpr = probe_apic_read(APIC_TPR); /* one may wait already, for a POPF that sets IF */
	probe_apic_write(APIC_TPR, 0xff);
	probe_check(ask(TRACK_CALL_LOG, NOTES) == 1, "log", "");
	for (const struct test *test = switch_tests; test->name; test++) {
		if (test->watched != 0 && probe_has_word(options, "lax"))
			continue;
		if (!test->vm86)
			compare_switches(test, tries_trap_bit(test, options));
		else if (has_vm86)
			compare_vm86(test, has_vme);
	}
	probe_apic_write(APIC_TPR, tpr);
	quiet_end();
	probe_print("PROBE: unseen %lu, virtual-8086 mode %u, VME %u\n", unseen, has_vm86, has_vme);
	return probe_end();
}
