/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/facts_modes/engine.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { PAGE = 4096, PAGES = 16, OUT_COUNT = 24, VECTORS = 0x38, GDT_ENTRIES = 32 };
/* layout.inc, and the pages behind. */
enum {
	BASE = 0x60000,
	DATA_AREA = BASE + 0x2000,
	PML4 = BASE + 0x3000,
	CODE = BASE + 0x4000,
	STACK = BASE + 0x5000,
	HANDLER_STACK = BASE + 0x6ff0,
	TSS = BASE + 0x7000,
	DIRECTORY = BASE + 0x8000,
	PDPT = BASE + 0x9000,
	PAE_DIRECTORY = BASE + 0xa000,
	DATA = BASE + 0xe000,
	PML5 = BASE + 0xf000
};
enum { CLASS_REAL, CLASS_SAME, CLASS_OUTER, CLASS_VM86 };
enum { TSS_BYTES = 0x68, REDIRECTION = 0x68, IO_BITMAP = 0x88, IO_BYTES = 0x41 };
enum { CR0_PE = 1, CR4_VME = 1, CR4_PSE = 0x10, CR4_PAE = 0x20, FLAGS_VM = 0x20000 };
#define CR0_PG 0x80000000u

struct engine_labels {
	uint32_t enter_32, vectors_16, vectors_32;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
	uint8_t pad[6];
} __attribute__((packed));

struct engine_data {
	uint32_t cr0, cr3, cr4, class;
	uint32_t eip, cs, eflags, esp, ss, es, ds, fs, gs;
	uint32_t gpr[8]; /* in the order of their encoding */
	uint32_t unreal;
	uint32_t to_32, to_32_selector;
	struct table_register gdtr, idtr, ivtr, home_gdtr, home_idtr;
	uint64_t home[10];
	uint32_t out[OUT_COUNT], pad[4];
	uint32_t out_ss, out_cr0, out_cr2, out_cr4, out_dr6, out_efer, out_kind;
	uint8_t pad_2[0x74];
	uint64_t gdt[GDT_ENTRIES];
	uint64_t idt[VECTORS];
	uint16_t ivt[2 * VECTORS];
} __attribute__((packed));

_Static_assert(__builtin_offsetof(struct engine_data, gdtr) == 0x60, "");
_Static_assert(__builtin_offsetof(struct engine_data, out) == 0x100, "");
_Static_assert(__builtin_offsetof(struct engine_data, out_ss) == 0x170, "");
_Static_assert(__builtin_offsetof(struct engine_data, gdt) == 0x200, "");

#define HIDDEN __attribute__((visibility("hidden")))
extern const uint8_t modes_engine_start[] HIDDEN, modes_engine_end[] HIDDEN;
extern const struct engine_labels modes_engine_labels HIDDEN;

static struct engine_data *const data = (struct engine_data *)(UINTN)DATA_AREA;

/* Of the descriptors that snippets.asm names. */
static uint64_t segment(uint32_t base, uint32_t limit, uint32_t type, uint32_t flags)
{
	return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)type << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)flags << 52 |
	       (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(uint32_t offset, uint32_t selector, uint32_t type, uint32_t parameters)
{
	return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)parameters << 32 |
	       (uint64_t)type << 40 | (uint64_t)(offset >> 16) << 48;
}

static void fill_gdt(void)
{
	uint64_t *gdt = data->gdt;
	const uint32_t end = BASE + modes_engine_labels.vectors_32 + 0x35 * 8;

	gdt[0x08 / 8] = segment(0, 0xfffff, 0x9b, 0xc);
	gdt[0x10 / 8] = segment(0, 0xfffff, 0x93, 0xc);
	gdt[0x18 / 8] = segment(0, 0xfffff, 0x9b, 0xa);
	gdt[0x20 / 8] = segment(BASE, 0xffff, 0x9b, 0);
	gdt[0x28 / 8] = segment(BASE, 0xffff, 0x93, 0);
	gdt[0x30 / 8] = segment(0, 0xfffff, 0xfb, 0xc);
	gdt[0x38 / 8] = segment(0, 0xfffff, 0xf3, 0xc);
	gdt[0x40 / 8] = segment(BASE, 0xffff, 0xfb, 0);
	gdt[0x48 / 8] = segment(TSS, IO_BITMAP + IO_BYTES - 1, 0x89, 0);
	gdt[0x50 / 8] = segment(DATA, 0xff, 0x82, 0);
	gdt[0x58 / 8] = segment(DATA, 0xff, 0xf3, 0);
	gdt[0x60 / 8] = segment(DATA, 0xff, 0xf1, 0);
	gdt[0x68 / 8] = segment(DATA, 0xff, 0xf7, 0);
	gdt[0x70 / 8] = segment(0, 0xfffff, 0x99, 0xc);
	gdt[0x78 / 8] = segment(0, 0xfffff, 0x9f, 0xc);
	gdt[0x80 / 8] = segment(DATA, 0xff, 0x73, 0);
	gdt[0x88 / 8] = gate(end, 0x08, 0xec, 1);
	gdt[0x90 / 8] = gate(end - BASE, 0xb8, 0xe4, 1);
	gdt[0x98 / 8] = segment(0, 0xfffff, 0x1b, 0xc);
	gdt[0xa0 / 8] = segment(BASE, 0xffff, 0xf3, 0);
	gdt[0xa8 / 8] = segment(TSS, 0x2b, 0x81, 0);
	gdt[0xb0 / 8] = segment(TSS, 0x67, 0x8b, 0);
	gdt[0xb8 / 8] = segment(BASE, 0xffff, 0x9b, 4);
	data->gdtr = (struct table_register){ sizeof(data->gdt) - 1, (uint64_t)data->gdt, { 0 } };
}

/* 0x30 ends; 0x31 is not for CPL 3, 0x32 a trap gate, 0x33 a gate of 16 bits, 0x34 absent, 0x35 a call gate's. */
static void fill_idt(void)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		const uint32_t at = BASE + modes_engine_labels.vectors_32 + i * 8;

		data->idt[i] = gate(at, 0x08, i == 0x31 ? 0x8e : i == 0x32 ? 0xef : 0xee, 0);
		data->ivt[2 * i] = (uint16_t)(modes_engine_labels.vectors_16 + i * 8);
		data->ivt[2 * i + 1] = BASE >> 4;
	}
	data->idt[0x33] = gate(modes_engine_labels.vectors_32 + 0x33 * 8, 0xb8, 0xe6, 0);
	data->idt[0x34] = gate(0, 0x08, 0x6e, 0);
	data->idt[0x36] = gate(0, 0x08, 0xe9, 0);
	data->idtr = (struct table_register){ sizeof(data->idt) - 1, (uint64_t)data->idt, { 0 } };
	data->ivtr = (struct table_register){ sizeof(data->ivt) - 1, (uint64_t)data->ivt, { 0 } };
}

/* Ports below 0x100 as one may, from there on not; INT 0x20 to 0x27 of virtual-8086 mode stay there. */
static void fill_tss(void)
{
	uint8_t *tss = (uint8_t *)(UINTN)TSS;

	SetMem(tss, PAGE, 0);
	*(uint32_t *)(tss + 4) = HANDLER_STACK;
	*(uint32_t *)(tss + 8) = 0x10;
	*(uint16_t *)(tss + 0x66) = IO_BITMAP;
	SetMem(tss + REDIRECTION, 0x20, 0xff);
	tss[REDIRECTION + 4] = 0;
	SetMem(tss + IO_BITMAP + 0x20, IO_BYTES - 0x20, 0xff);
}

static void fill_tables(void)
{
	uint32_t *directory = (uint32_t *)(UINTN)DIRECTORY;
	uint64_t *pdpt = (uint64_t *)(UINTN)PDPT, *pae = (uint64_t *)(UINTN)PAE_DIRECTORY;

	for (uint32_t i = 0; i < 1024; i++)
		directory[i] = i << 22 | 0x87;
	for (uint32_t i = 0; i < 2048; i++)
		pae[i] = (uint64_t)i << 21 | 0x87;
	SetMem(pdpt, PAGE, 0);
	for (uint32_t i = 0; i < 4; i++)
		pdpt[i] = (uint64_t)(PAE_DIRECTORY + i * PAGE) | 1;
	*(uint64_t *)(UINTN)PML4 = PDPT | 7;
	*(uint64_t *)(UINTN)PML5 = PML4 | 7;
	/* Another of which each bit that is reserved can be set: snippets.asm. */
	for (uint32_t i = 0; i < 64; i++) {
		pdpt[64 + 4 * i] = pdpt[0];
		pdpt[65 + 4 * i] = (uint64_t)(PAE_DIRECTORY + PAGE) | 1 | UINT64_C(1) << i;
	}
}

bool engine_init(void)
{
	EFI_PHYSICAL_ADDRESS at = BASE;

	return !EFI_ERROR(BS->AllocatePages(AllocateAddress, EfiLoaderCode, PAGES, &at));
}

static void fill(void)
{
	SetMem((void *)(UINTN)BASE, PAGES * PAGE, 0);
	CopyMem((void *)(UINTN)BASE, (void *)(UINTN)modes_engine_start,
		(UINTN)(modes_engine_end - modes_engine_start));
	fill_gdt();
	fill_idt();
	fill_tss();
	fill_tables();
	for (uint32_t i = 0; i < 0x400; i++)
		((uint8_t *)(UINTN)DATA)[i] = (uint8_t)i;
}

static const struct {
	const char *name;
	uint32_t class, bits, cr0, cr3, cr4, cs, data, stack, eflags;
} modes[ENGINE_MODES] = {
	[ENGINE_REAL] = { "real", CLASS_REAL, 16, 0, 0, 0, CODE >> 4, DATA >> 4, STACK >> 4, 2 },
	[ENGINE_UNREAL] = { "unreal", CLASS_REAL, 16, 0, 0, 0, CODE >> 4, DATA >> 4, STACK >> 4,
			    2 },
	[ENGINE_16] = { "p16", CLASS_SAME, 16, 0, 0, 0, 0x20, 0x10, 0x28, 2 },
	[ENGINE_32] = { "p32", CLASS_SAME, 32, 0, 0, 0, 0x08, 0x10, 0x10, 2 },
	[ENGINE_16_USER] = { "p16-user", CLASS_OUTER, 16, 0, 0, 0, 0x43, 0x3b, 0xa3, 2 },
	[ENGINE_32_USER] = { "p32-user", CLASS_OUTER, 32, 0, 0, 0, 0x33, 0x3b, 0x3b, 2 },
	[ENGINE_VM86] = { "vm86", CLASS_VM86, 16, 0, 0, 0, CODE >> 4, DATA >> 4, STACK >> 4,
			  FLAGS_VM | 2 },
	[ENGINE_VM86_IOPL] = { "vm86-iopl", CLASS_VM86, 16, 0, 0, 0, CODE >> 4, DATA >> 4,
			       STACK >> 4, FLAGS_VM | 0x3002 },
	[ENGINE_VME] = { "vme", CLASS_VM86, 16, 0, 0, CR4_VME, CODE >> 4, DATA >> 4, STACK >> 4,
			 FLAGS_VM | 2 },
	[ENGINE_VME_IOPL] = { "vme-iopl", CLASS_VM86, 16, 0, 0, CR4_VME, CODE >> 4, DATA >> 4,
			      STACK >> 4, FLAGS_VM | 0x3002 },
	[ENGINE_32_PAGED] = { "p32-paged", CLASS_SAME, 32, CR0_PG, DIRECTORY, CR4_PSE, 0x08, 0x10,
			      0x10, 2 },
	[ENGINE_32_PAE] = { "p32-pae", CLASS_SAME, 32, CR0_PG, PDPT, CR4_PAE, 0x08, 0x10, 0x10, 2 },
	[ENGINE_VM86_PAGED] = { "vm86-paged", CLASS_VM86, 16, CR0_PG, DIRECTORY, CR4_PSE, CODE >> 4,
				DATA >> 4, STACK >> 4, FLAGS_VM | 0x3002 },
};

const char *engine_mode_name(enum engine_mode mode)
{
	return modes[mode].name;
}

/* EIP as the mode's code segment counts it, and the stack as its own does. */
static void fill_job(enum engine_mode mode)
{
	const bool is_flat = modes[mode].bits == 32,
		   is_segment = modes[mode].class == CLASS_REAL || modes[mode].class == CLASS_VM86;

	data->cr0 = modes[mode].cr0 | CR0_PE | 0x30; /* NE, ET */
	data->cr3 = modes[mode].cr3;
	data->cr4 = modes[mode].cr4 | (uint32_t)(probe_cr4() & 0x2640); /* MCE, FXSR, XMM, VMX */
	data->class = modes[mode].class;
	data->eip = is_flat ? CODE : is_segment ? 0 : CODE - BASE;
	data->cs = modes[mode].cs;
	data->eflags = modes[mode].eflags;
	data->esp = is_flat ? STACK + 0xff0 : is_segment ? 0xff0 : STACK + 0xff0 - BASE;
	data->ss = modes[mode].stack;
	data->es = data->ds = modes[mode].data;
	data->fs = data->gs = is_segment ? modes[mode].data : 0;
	data->unreal = mode == ENGINE_UNREAL;
	for (uint32_t i = 0; i < 8; i++)
		data->gpr[i] = 0x11111111 * (i + 1);
	data->gpr[3] = is_segment ? 0 : DATA;
	data->to_32 = BASE + modes_engine_labels.enter_32;
	data->to_32_selector = 0x08;
}

static bool has_error(uint32_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* A value only if it is not the one at the start: lines are long enough. */
static void note(struct trial_text *text, const char *name, uint32_t value, uint32_t usual)
{
	if (value != usual)
		trial_print(text, " %s %x", name, value);
}

/* EDI, ESI, EBP, ESP, EBX, EDX, ECX, EAX as PUSHAD has them. */
static void note_registers(struct trial_text *text)
{
	static const char *const names[] = { "ax", "cx", "dx", "bx", "sp", "bp", "si", "di" };

	for (uint32_t i = 0; i < 8; i++) {
		if (i != 4)
			note(text, names[i], data->out[7 - i], data->gpr[i]);
	}
	note(text, "cr0", data->out_cr0, data->cr0);
	note(text, "cr2", data->out_cr2, 0);
	note(text, "cr4", data->out_cr4, data->cr4);
	note(text, "dr6", data->out_dr6, 0xffff0ff0);
}

/* Behind the registers words: DS, ES, FS, GS, vector, IP, CS, flags. */
static void note_real(struct trial_text *text)
{
	const uint16_t *words = (const uint16_t *)(data->out + 8);

	trial_print(text, "real %x ip %x flags %x", words[4], words[5], words[7]);
	note(text, "cs", words[6], data->cs);
	note(text, "ds", words[0], data->ds);
	note(text, "es", words[1], data->es);
	note(text, "fs", words[2], data->fs);
	note(text, "gs", words[3], data->gs);
	note(text, "ss", data->out_ss & 0xffff, data->ss);
	note(text, "stack", words[8] | (uint32_t)words[9] << 16, 0);
}

/* The same, the vector with an error code or not, and what follows the flags: of another stack, or what was on it. */
static void note_protected(struct trial_text *text)
{
	static const char *const names[] = { "ds", "es", "fs", "gs" };
	const uint32_t *out = data->out, vector = out[12], *frame = out + 13;

	trial_print(text, "%x", vector);
	if (has_error(vector))
		trial_print(text, "(%x)", *frame++);
	trial_print(text, " ip %x flags %x", frame[0], frame[2]);
	note(text, "cs", frame[1] & 0xffff, data->cs);
	for (uint32_t i = 0; i < 4; i++)
		note(text, names[i], out[8 + i] & 0xffff, 0);
	note(text, "ss", data->out_ss, 0x10);
	trial_print(text, " then %x %x", frame[3], frame[4] & 0xffff);
	if (frame[2] & FLAGS_VM)
		trial_print(text, " %x %x %x %x", frame[5] & 0xffff, frame[6] & 0xffff,
			    frame[7] & 0xffff, frame[8] & 0xffff);
}

static void print(const char *key)
{
	struct trial_text text = { .length = 0 };

	if (data->out_kind == 16)
		note_real(&text);
	else
		note_protected(&text);
	note_registers(&text);
	fact(key, "%s", text.text);
}

void engine_run(const char *key, enum engine_mode mode, const uint8_t *from, uint32_t bytes)
{
	void (*run)(void) = (void (*)(void))(UINTN)BASE;

	fill();
	fill_job(mode);
	CopyMem((void *)(UINTN)CODE, (void *)(UINTN)from, bytes);
	__asm__ volatile("mov %0, %%dr6" : : "r"(UINT64_C(0xffff0ff0)));
	run();
	print(key);
}
