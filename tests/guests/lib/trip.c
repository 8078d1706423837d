/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/trip.h"

#include "tests/guests/lib/probe.h"

enum { PAGE = 4096, PAGES = 4, CODE_AT = PAGE, DATA_AT = 2 * PAGE, LOW_LIMIT = 0x9f000 };
enum { GDT_ENTRIES = 12, VECTORS = 49, VECTOR_BYTES = 8, TSS_BYTES = 104 };
enum {
	SELECTOR_CODE_32 = 0x08,
	SELECTOR_CODE_64 = 0x18,
	SELECTOR_CODE_16 = 0x38,
	SELECTOR_TASK = 0x48
};
enum { TYPE_TASK = 0x89, TYPE_GATE_USER = 0xee, RFLAGS_ONE = 2 };
enum { ENTRY_USER = 4, ENTRY_TABLE = 0x23, ENTRY_LARGE = 0xe3, TABLES = 5 };
enum { KIND_CODE, KIND_64, KIND_REAL, KIND_USER32, KIND_USER64 };
#define CR0_PE	  UINT64_C(0x1)
#define CR0_ET_NE UINT64_C(0x30)
#define CR0_PG	  UINT64_C(0x80000000)
#define CR4_PSE	  UINT64_C(0x10)
#define CR4_PAE	  UINT64_C(0x20)
#define CR4_LA57  UINT64_C(0x1000)
#define EFER_LME  UINT64_C(0x100)

struct far_pointer {
	uint32_t offset;
	uint16_t selector, pad;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
	uint8_t pad[6];
} __attribute__((packed));

/* trip.asm knows the offsets. */
struct trip_data {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t regs[TRIP_REGS], out[TRIP_REGS];
	uint64_t out_rsp, out_cr2;
	uint32_t rflags, kind;
	struct far_pointer to_32, to_64, to_code, to_16, to_real, to_leave, to_home;
	struct table_register gdtr, idtr, home_gdtr, home_idtr;
	uint64_t home[9];
	/* The rest is C's alone. */
	uint64_t gdt[GDT_ENTRIES];
	uint64_t idt_32[VECTORS];
	uint64_t idt_64[VECTORS * 2];
	uint32_t ivt[VECTORS];
	uint8_t task[TSS_BYTES + TRIP_PORTS / 8 + 1];
	uint8_t scratch[TRIP_SCRATCH] __attribute__((aligned(64)));
};

_Static_assert(__builtin_offsetof(struct trip_data, rflags) == 0x90, "");
_Static_assert(__builtin_offsetof(struct trip_data, gdtr) == 0xd0, "");
_Static_assert(__builtin_offsetof(struct trip_data, home) == 0x110, "");
_Static_assert(sizeof(struct trip_data) <= PAGE, "one page");

struct trip_code {
	uint32_t enter_32, enter_64, enter_16, in_real, leave_32, home;
	uint32_t vectors_16, vectors_32, vectors_64;
};

extern const uint8_t trip_start[] __attribute__((visibility("hidden")));
extern const uint8_t trip_end_of_code[] __attribute__((visibility("hidden")));
extern const struct trip_code trip_code __attribute__((visibility("hidden")));

/* The first GiB one to one, for CPL 0 and for CPL 3: five or four levels, PAE's PDPTEs, 32-bit. */
struct tables {
	uint64_t pml5[512], pml4[512], pdpt[512], pd[512];
	uint64_t pae_pdpt[512];
	uint32_t pd_32[1024];
} __attribute__((aligned(4096)));

static struct tables tables[2];
static uint32_t base;
static struct trip_data *data;

static const struct {
	const char *name;
	uint8_t kind;
	bool is_long, is_16, is_paged, is_user;
} modes[TRIP_MODES] = {
	[TRIP_LONG_64] = { "long64", KIND_64, true, false, true, false },
	[TRIP_LONG_32] = { "long32", KIND_CODE, true, false, true, false },
	[TRIP_LONG_16] = { "long16", KIND_CODE, true, true, true, false },
	[TRIP_PAE_32] = { "pae32", KIND_CODE, false, false, true, false },
	[TRIP_PSE_32] = { "pse32", KIND_CODE, false, false, true, false },
	[TRIP_FLAT_32] = { "flat32", KIND_CODE, false, false, false, false },
	[TRIP_FLAT_16] = { "flat16", KIND_CODE, false, true, false, false },
	[TRIP_REAL_16] = { "real16", KIND_REAL, false, true, false, false },
	[TRIP_USER_64] = { "user64", KIND_USER64, true, false, true, true },
	[TRIP_USER_LONG_32] = { "userlong32", KIND_USER32, true, false, true, true },
	[TRIP_USER_32] = { "user32", KIND_USER32, false, false, true, true },
};

const char *trip_mode_name(enum trip_mode mode)
{
	return modes[mode].name;
}

bool trip_is_long(enum trip_mode mode)
{
	return modes[mode].is_long;
}

uint8_t *trip_io_bitmap(void)
{
	return &data->task[TSS_BYTES];
}

uint8_t *trip_scratch(void)
{
	return data->scratch;
}

static uint64_t system_descriptor(uint64_t at, uint32_t limit, uint32_t type)
{
	return (limit & 0xffff) | (at & 0xffffff) << 16 | (uint64_t)type << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (at >> 24 & 0xff) << 56;
}

static void fill_gdt(void)
{
	uint64_t *gdt = data->gdt;

	gdt[1] = 0x00cf9b000000ffff;			/* 0x08: code, 32 bits */
	gdt[2] = 0x00cf93000000ffff;			/* 0x10: data */
	gdt[3] = 0x00af9b000000ffff;			/* 0x18: code, 64 bits */
	gdt[4] = 0x00cffb000000ffff;			/* 0x23: code of CPL 3, 32 bits */
	gdt[5] = 0x00cff3000000ffff;			/* 0x2b: data of CPL 3 */
	gdt[6] = 0x00affb000000ffff;			/* 0x33: code of CPL 3, 64 bits */
	gdt[7] = system_descriptor(base, 0xffff, 0x9b); /* 0x38: code, 16 bits */
	gdt[8] = system_descriptor(base, 0xffff, 0x93); /* 0x40: data of real mode */
	data->gdtr =
		(struct table_register){ .limit = sizeof(data->gdt) - 1, .base = (uint64_t)gdt };
}

/* All gates may be used from CPL 3. */
static void fill_idt(void)
{
	for (uint32_t i = 0; i < VECTORS; i++) {
		const uint64_t at_32 = base + trip_code.vectors_32 + i * VECTOR_BYTES;
		const uint64_t at_64 = base + trip_code.vectors_64 + i * VECTOR_BYTES;
		const uint64_t type = (uint64_t)TYPE_GATE_USER << 40;

		data->idt_32[i] =
			(at_32 & 0xffff) | SELECTOR_CODE_32 << 16 | type | at_32 >> 16 << 48;
		data->idt_64[2 * i] =
			(at_64 & 0xffff) | SELECTOR_CODE_64 << 16 | type | at_64 >> 16 << 48;
		data->ivt[i] = (trip_code.vectors_16 + i * VECTOR_BYTES) | base >> 4 << 16;
	}
}

static void fill_task(void)
{
	uint32_t *task = (uint32_t *)(void *)data->task;
	const uint32_t stack = base + PAGES * PAGE;

	/* ESP0, or RSP0's lower half; the I/O map behind the rest. */
	task[1] = stack;
	task[25] = TSS_BYTES << 16;
	SetMem(&data->task[TSS_BYTES], sizeof(data->task) - TSS_BYTES, 0xff);
}

static void fill_pointers(void)
{
	const uint16_t segment = (uint16_t)(base >> 4);

	data->to_32 = (struct far_pointer){ base + trip_code.enter_32, SELECTOR_CODE_32, 0 };
	data->to_64 = (struct far_pointer){ base + trip_code.enter_64, SELECTOR_CODE_64, 0 };
	data->to_16 = (struct far_pointer){ trip_code.enter_16, SELECTOR_CODE_16, 0 };
	/* For 16-bit code: the selector follows 16 bits of offset. */
	data->to_real = (struct far_pointer){ trip_code.in_real | (uint32_t)segment << 16, 0, 0 };
	data->to_leave = (struct far_pointer){ base + trip_code.leave_32, SELECTOR_CODE_32, 0 };
	data->to_home = (struct far_pointer){ base + trip_code.home, SELECTOR_CODE_64, 0 };
}

static void fill_tables(struct tables *t, uint32_t user)
{
	t->pml5[0] = (uint64_t)t->pml4 | ENTRY_TABLE | user;
	t->pml4[0] = (uint64_t)t->pdpt | ENTRY_TABLE | user;
	t->pdpt[0] = (uint64_t)t->pd | ENTRY_TABLE | user;
	t->pae_pdpt[0] = (uint64_t)t->pd | 1;
	for (uint32_t i = 0; i < 512; i++)
		t->pd[i] = (uint64_t)i << 21 | ENTRY_LARGE | user;
	for (uint32_t i = 0; i < 256; i++)
		t->pd_32[i] = i << 22 | ENTRY_LARGE | user;
}

bool trip_init(void)
{
	EFI_PHYSICAL_ADDRESS at = LOW_LIMIT;

	if ((uint64_t)&tables[2] > UINT32_MAX ||
	    EFI_ERROR(BS->AllocatePages(AllocateMaxAddress, EfiLoaderCode, PAGES, &at)))
		return false;
	base = (uint32_t)at;
	SetMem((void *)(UINTN)base, PAGES * PAGE, 0);
	CopyMem((void *)(UINTN)base, (void *)(UINTN)trip_start,
		(UINTN)(trip_end_of_code - trip_start));
	data = (void *)(UINTN)(base + DATA_AT);
	fill_gdt();
	fill_idt();
	fill_task();
	fill_pointers();
	fill_tables(&tables[0], 0);
	fill_tables(&tables[1], ENTRY_USER);
	return true;
}

static uint64_t table_of(enum trip_mode mode, bool is_wide)
{
	struct tables *t = &tables[modes[mode].is_user];

	if (modes[mode].is_long)
		return (uint64_t)(is_wide ? t->pml5 : t->pml4);
	return mode == TRIP_PSE_32 ? (uint64_t)t->pd_32 : (uint64_t)t->pae_pdpt;
}

static void fill_idtr(enum trip_mode mode)
{
	if (modes[mode].is_long)
		data->idtr = (struct table_register){ sizeof(data->idt_64) - 1,
						      (uint64_t)data->idt_64,
						      { 0 } };
	else if (mode == TRIP_REAL_16)
		data->idtr = (struct table_register){ sizeof(data->ivt) - 1,
						      (uint64_t)data->ivt,
						      { 0 } };
	else
		data->idtr = (struct table_register){ sizeof(data->idt_32) - 1,
						      (uint64_t)data->idt_32,
						      { 0 } };
}

static void fill_data(const struct trip *trip)
{
	const enum trip_mode mode = trip->mode;
	uint64_t cr4 = mode == TRIP_PSE_32 ? CR4_PSE : CR4_PAE;

	if (!modes[mode].is_paged)
		cr4 = 0;
	data->cr0 =
		((CR0_PE | CR0_ET_NE | (modes[mode].is_paged ? CR0_PG : 0)) & ~trip->cr0_clear) |
		trip->cr0_set;
	data->cr3 = table_of(mode, trip->cr4_set & CR4_LA57);
	data->cr4 = cr4 | trip->cr4_set;
	data->efer = (modes[mode].is_long ? EFER_LME : 0) | trip->efer_set;
	CopyMem(data->regs, (void *)(UINTN)trip->regs, sizeof(data->regs));
	data->rflags = RFLAGS_ONE | trip->rflags;
	data->kind = modes[mode].kind;
	data->to_code = (struct far_pointer){ base + CODE_AT, SELECTOR_CODE_32, 0 };
	if (mode == TRIP_LONG_64)
		data->to_code.selector = SELECTOR_CODE_64;
	else if (modes[mode].is_16)
		data->to_code = (struct far_pointer){ CODE_AT, SELECTOR_CODE_16, 0 };
	/* SS0, or the upper half of RSP0. */
	((uint32_t *)(void *)data->task)[2] = modes[mode].is_long ? 0 : 0x10;
	/* The last trip has marked it busy. */
	data->gdt[SELECTOR_TASK / 8] =
		system_descriptor((uint64_t)data->task, sizeof(data->task) - 1, TYPE_TASK);
	data->gdt[SELECTOR_TASK / 8 + 1] = 0;
	fill_idtr(mode);
}

static bool has_error_code(uint32_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* What the exception has pushed, below the vector: words of 2, 4 or 8 bytes. */
static uint64_t pushed(uint32_t index, enum trip_mode mode)
{
	const void *stack = (const void *)(UINTN)(uint32_t)data->out_rsp;

	if (modes[mode].is_long)
		return ((const uint64_t *)stack)[index];
	if (mode == TRIP_REAL_16)
		return ((const uint16_t *)stack)[index];
	return ((const uint32_t *)stack)[index];
}

void trip_run(const struct trip *trip, struct trip_end *end)
{
	const enum trip_mode mode = trip->mode;
	bool has_error;

	SetMem((void *)(UINTN)(base + CODE_AT), PAGE, 0xf4);
	CopyMem((void *)(UINTN)(base + CODE_AT), (void *)(UINTN)trip->code, trip->bytes);
	fill_data(trip);
	((void (*)(void))(UINTN)base)();
	end->vector = (uint32_t)pushed(0, mode) & 0xff;
	has_error = has_error_code(end->vector) && mode != TRIP_REAL_16;
	end->error = has_error ? pushed(1, mode) : 0;
	end->ip = pushed(has_error ? 2 : 1, mode) - (modes[mode].is_16 ? CODE_AT : base + CODE_AT);
	end->cr2 = modes[mode].is_long ? data->out_cr2 : (uint32_t)data->out_cr2;
	for (uint32_t i = 0; i < TRIP_REGS; i++)
		end->regs[i] = modes[mode].is_long ? data->out[i] : (uint32_t)data->out[i];
}
