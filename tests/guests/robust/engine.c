/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/robust/engine.h"

#include "tests/guests/lib/probe.h"

enum { BLOCK_BASE = 0x20000, BLOCK_BYTES = 0x20000 };

/* The control block. engine.asm knows where code, data and stack are. */
enum {
	AT_LAST_GDT = 0, /* and what code in real mode writes past its 64 KiB, before */
	AT_CODE = 0x1000,
	AT_DATA = 0x3000,
	AT_GDT = 0x4000,
	AT_IDT_64 = 0x5000,
	AT_IDT_32 = 0x5400,
	AT_IDT_REAL = 0x5800,
	AT_TASKS = 0x6000,
	AT_PD_32 = 0x7000,
	AT_PT_32 = 0x8000,
	AT_STACK_DF = 0x9000,
	AT_STACK = 0xa000,
	AT_PDPT_PAE = 0xb000,
	AT_PD = 0xc000,
	AT_PT = 0xd000,
	AT_PML4 = 0xe000,
	AT_PDPT = 0xf000,
	CONTROL_BYTES = 0x10000,
	STACK_TOP = 0xaff0,
	STACK_DF_TOP = 0x9ff0,
};

enum { TASK_BYTES = 0x200, TASK_LIMIT = 0xff, TASK_IO_MAP = 0x70, IO_PORTS = 0x400 };
enum { CONTROL_CODE = 0x08, CONTROL_DATA = 0x10, CONTROL_CODE16 = 0x98 };
enum { STUB_BYTES = 16, STUB_REAL_BYTES = 8, ENTRIES = 512, VECTOR_TF = 8 };
enum { KIND_LONG, KIND_LEGACY, KIND_REAL };

#define CR0_PE	  UINT64_C(0x1)
#define CR0_ET	  UINT64_C(0x10)
#define CR0_NE	  UINT64_C(0x20)
#define CR0_PG	  UINT64_C(0x80000000)
#define CR4_PAE	  UINT64_C(0x20)
#define EFER_LME  UINT64_C(0x100)
#define EFER_BASE UINT64_C(0x801) /* SCE, NXE */
#define FRAME	  UINT64_C(0x000ffffffffff000)

struct far_pointer {
	uint32_t offset;
	uint16_t selector, pad;
};

struct far_pointer_16 {
	uint16_t offset, selector;
	uint32_t pad;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
	uint8_t pad[6];
} __attribute__((packed));

/* engine.asm knows the offsets. */
struct engine_data {
	struct robust_state in;
	uint8_t pad_in[0x100 - sizeof(struct robust_state)];
	struct robust_state out;
	uint8_t pad_out[0x100 - sizeof(struct robust_state)];
	uint64_t cr0, cr3, cr4, efer;
	uint32_t kind, task, ldt, pad;
	struct far_pointer to_32, to_home, to_16;
	struct far_pointer_16 to_real;
	struct far_pointer from_real;
	struct table_register gdtr, idtr, home_gdtr, home_idtr;
};

_Static_assert(sizeof(struct robust_state) == 0xd8, "");
_Static_assert(__builtin_offsetof(struct engine_data, to_32) == 0x230, "");
_Static_assert(__builtin_offsetof(struct engine_data, gdtr) == 0x258, "");
_Static_assert(__builtin_offsetof(struct engine_data, home_idtr) == 0x288, "");

struct engine_code {
	uint32_t enter_32, enter_16, enter_real, from_real, home, double_fault;
	uint32_t stubs_64, stubs_32, stubs_16;
};

extern const uint8_t engine_start[] __attribute__((visibility("hidden")));
extern const uint8_t engine_end[] __attribute__((visibility("hidden")));
extern const struct engine_code engine_code __attribute__((visibility("hidden")));

static void *at(const struct engine *engine, uint32_t offset)
{
	return (void *)(engine->control + offset);
}

static struct engine_data *data_of(const struct engine *engine)
{
	return at(engine, AT_DATA);
}

/* --- ports --- */

/* Nothing answers there, or nothing comes of it; and the port of the firmware's POST codes. */
bool engine_port_is_safe(uint32_t port, uint32_t bytes)
{
	const uint32_t end = port + bytes;

	return (port >= 0x80 && end <= 0x81) || (port >= 0x220 && end <= 0x240) ||
	       (port >= 0x300 && end <= 0x320);
}

static uint8_t io_map[IO_PORTS / 8 + 1];

static void fill_io_map(uint8_t *map)
{
	for (uint32_t port = 0; port < IO_PORTS; port++) {
		if (engine_port_is_safe(port, 1))
			map[port / 8] = (uint8_t)(map[port / 8] & ~(1u << port % 8));
		else
			map[port / 8] = (uint8_t)(map[port / 8] | 1u << port % 8);
	}
	map[IO_PORTS / 8] = 0xff;
}

/* --- descriptors --- */

static uint64_t descriptor(uint64_t base, uint64_t limit, uint64_t rights)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (rights & 0xff) << 40 |
	       (limit >> 16 & 0xf) << 48 | (rights >> 8 & 0xf0) << 48 | (base >> 24 & 0xff) << 56;
}

static uint64_t task_base(const struct engine *engine, uint32_t index)
{
	return engine->control + AT_TASKS + index * TASK_BYTES;
}

static void fill_system_descriptors(const struct engine *engine, uint64_t *gdt, bool is_long)
{
	gdt[SELECTOR_TASK / 8] = descriptor(task_base(engine, is_long ? 0 : 1), TASK_LIMIT, 0x89);
	gdt[SELECTOR_TASK_2 / 8] = is_long ? 0 : descriptor(task_base(engine, 2), TASK_LIMIT, 0x89);
	gdt[SELECTOR_TASK_DF / 8] =
		is_long ? 0 : descriptor(task_base(engine, 3), TASK_LIMIT, 0x89);
	gdt[SELECTOR_LDT / 8] = descriptor(engine->arena + PAGE_BYTES, 0x1ff, 0x82);
	gdt[SELECTOR_LDT / 8 + 1] = 0;
}

static void fill_gdt(const struct engine *engine)
{
	uint64_t *gdt = at(engine, AT_GDT);

	gdt[0] = 0;
	gdt[CONTROL_CODE / 8] = descriptor(engine->control, CONTROL_BYTES - 1, 0x409b);
	gdt[CONTROL_DATA / 8] = descriptor(engine->control, CONTROL_BYTES - 1, 0x4093);
	gdt[SELECTOR_CODE64_0 / 8] = descriptor(0, 0xfffff, 0xa09b);
	gdt[SELECTOR_DATA_0 / 8] = descriptor(0, 0xfffff, 0xc093);
	gdt[SELECTOR_CODE32_3 / 8] = descriptor(0, 0xfffff, 0xc0fb);
	gdt[SELECTOR_DATA_3 / 8] = descriptor(0, 0xfffff, 0xc0f3);
	gdt[SELECTOR_CODE64_3 / 8] = descriptor(0, 0xfffff, 0xa0fb);
	gdt[SELECTOR_CODE64_3 / 8 + 1] = descriptor(0, 0xfffff, 0xc0f3);
	gdt[SELECTOR_CODE32_0 / 8] = descriptor(0, 0xfffff, 0xc09b);
	gdt[SELECTOR_CODE16_0 / 8] = descriptor(engine->arena, 0xffff, 0x009b);
	gdt[SELECTOR_DATA16_0 / 8] = descriptor(engine->arena, 0xffff, 0x0093);
	gdt[SELECTOR_CODE16_3 / 8] = descriptor(engine->arena, 0xffff, 0x00fb);
	gdt[SELECTOR_DATA16_3 / 8] = descriptor(engine->arena, 0xffff, 0x00f3);
	gdt[CONTROL_CODE16 / 8] = descriptor(engine->control, 0xffff, 0x009b);
	gdt[CONTROL_CODE16 / 8 + 1] = 0;
	fill_system_descriptors(engine, gdt, engine->world->paging == PAGING_LONG);
	for (uint32_t i = GDT_RANDOM; i < GDT_ENTRIES; i++)
		gdt[i] = engine->world->random_gdt[i];
}

static void fill_idts(const struct engine *engine)
{
	uint64_t *idt_64 = at(engine, AT_IDT_64), *idt_32 = at(engine, AT_IDT_32);
	uint32_t *idt_real = at(engine, AT_IDT_REAL);

	for (uint32_t i = 0; i < ENGINE_VECTORS; i++) {
		/* INT n pushes no error code: those that are to have one are the CPU's alone. */
		const bool has_error =
			i == 8 || (i >= 10 && i <= 14) || i == 17 || i == 21 || i == 29 || i == 30;
		const uint64_t type = (has_error ? UINT64_C(0x8e) : UINT64_C(0xee)) << 40;
		const uint64_t at_64 = engine->control + engine_code.stubs_64 + i * STUB_BYTES;
		const uint64_t at_32 = engine_code.stubs_32 + i * STUB_BYTES;

		idt_64[2 * i] = (at_64 & 0xffff) | SELECTOR_CODE64_0 << 16 | UINT64_C(1) << 32 |
				type | at_64 >> 16 << 48;
		idt_64[2 * i + 1] = 0;
		idt_32[i] = (at_32 & 0xffff) | CONTROL_CODE << 16 | type | at_32 >> 16 << 48;
		idt_real[i] = (uint32_t)(engine_code.stubs_16 + i * STUB_REAL_BYTES) |
			      (uint32_t)(engine->control >> 4) << 16;
	}
	idt_32[VECTOR_TF] = (uint64_t)SELECTOR_TASK_DF << 16 | UINT64_C(0x85) << 40;
}

static void fill_task_64(const struct engine *engine)
{
	uint32_t *task = (uint32_t *)task_base(engine, 0);

	for (uint32_t i = 0; i < TASK_IO_MAP / 4; i++)
		task[i] = 0;
	task[1] = (uint32_t)engine->control + STACK_TOP; /* RSP0 */
	task[9] = (uint32_t)engine->control + STACK_TOP; /* IST1 */
	task[25] = TASK_IO_MAP << 16;
	CopyMem((uint8_t *)task + TASK_IO_MAP, io_map, sizeof(io_map));
}

static void fill_task_32(const struct engine *engine, uint32_t index)
{
	uint32_t *task = (uint32_t *)task_base(engine, index);
	const bool is_df = index == 3;

	for (uint32_t i = 0; i < TASK_IO_MAP / 4; i++)
		task[i] = 0;
	task[1] = STACK_TOP;
	task[2] = CONTROL_DATA;
	task[7] = (uint32_t)engine_cr3(engine);
	task[9] = 2;
	task[8] = is_df ? engine_code.double_fault : (uint32_t)engine->arena + PAGE_BYTES - 0x20;
	task[14] = is_df ? STACK_DF_TOP : (uint32_t)engine->arena + 3 * PAGE_BYTES + 0x800;
	for (uint32_t i = 18; i < 24; i++)
		task[i] = is_df ? CONTROL_DATA : SELECTOR_DATA_0;
	task[19] = is_df ? CONTROL_CODE : SELECTOR_CODE32_0;
	task[25] = TASK_IO_MAP << 16;
	CopyMem((uint8_t *)task + TASK_IO_MAP, io_map, sizeof(io_map));
}

const uint64_t *engine_tasks(const struct engine *engine, uint32_t *count)
{
	*count = 4 * TASK_BYTES / 8;
	return at(engine, AT_TASKS);
}

uint64_t engine_descriptor(const struct engine *engine, uint32_t selector)
{
	const uint64_t *table = at(engine, AT_GDT);
	const uint32_t index = selector >> 3 & 0x1fff;

	if (selector & 4)
		return index < 64 ? ((uint64_t *)(engine->arena + PAGE_BYTES))[index] : 0;
	return index && index < GDT_ENTRIES ? table[index] : 0;
}

/* --- page tables --- */

/* The control block: supervisor, its code and its tables read-only. */
static uint64_t control_entry(const struct engine *engine, uint32_t offset)
{
	const bool is_written = offset == AT_DATA || offset == AT_GDT || offset == AT_TASKS ||
				offset == AT_STACK || offset == AT_STACK_DF;

	return (engine->control + offset) | PAGE_PRESENT | (is_written ? PAGE_WRITABLE : 0);
}

static uint64_t arena_entry(const struct engine *engine, uint32_t page)
{
	const uint64_t wanted = engine->world->entries[page];

	if (wanted)
		return wanted;
	return (engine->arena + page % ARENA_FRAMES * PAGE_BYTES) | PAGE_PRESENT | PAGE_WRITABLE |
	       (engine->world->is_user ? PAGE_USER : 0);
}

static void fill_leaves(const struct engine *engine)
{
	uint32_t *pt_32 = at(engine, AT_PT_32);
	uint64_t *pt = at(engine, AT_PT), entry;

	for (uint32_t page = 0; page < ARENA_PAGES; page++) {
		entry = arena_entry(engine, page);
		pt[engine->arena / PAGE_BYTES + page] = entry;
		pt_32[engine->arena / PAGE_BYTES + page] = (uint32_t)entry;
		entry = control_entry(engine, page * PAGE_BYTES);
		pt[engine->control / PAGE_BYTES + page] = entry;
		pt_32[engine->control / PAGE_BYTES + page] = (uint32_t)entry;
	}
}

static void fill_upper(const struct engine *engine)
{
	const uint64_t all = PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER, c = engine->control;

	*(uint32_t *)at(engine, AT_PD_32) = (uint32_t)(c + AT_PT_32) | (uint32_t)all;
	*(uint64_t *)at(engine, AT_PDPT_PAE) = (c + AT_PD) | PAGE_PRESENT;
	*(uint64_t *)at(engine, AT_PD) = (c + AT_PT) | all;
	*(uint64_t *)at(engine, AT_PML4) = (c + AT_PDPT) | all;
	*(uint64_t *)at(engine, AT_PDPT) = (c + AT_PD) | all;
}

uint64_t engine_cr3(const struct engine *engine)
{
	static const uint32_t roots[] = { [PAGING_LONG] = AT_PML4,
					  [PAGING_32] = AT_PD_32,
					  [PAGING_PAE] = AT_PDPT_PAE,
					  [PAGING_REAL] = AT_PD_32 };

	return engine->control + roots[engine->world->paging];
}

uint8_t *engine_byte(const struct engine *engine, uint64_t linear)
{
	const uint64_t offset = linear - engine->arena;
	uint64_t entry;

	if (offset >= ARENA_BYTES)
		return NULL;
	if (engine->world->paging == PAGING_REAL)
		return (uint8_t *)linear;
	entry = arena_entry(engine, (uint32_t)(offset / PAGE_BYTES)) & FRAME;
	if (entry - engine->arena >= ARENA_BYTES)
		return NULL;
	return (uint8_t *)(entry + offset % PAGE_BYTES);
}

/* --- preparing --- */

static void fill_pointers(const struct engine *engine)
{
	struct engine_data *data = data_of(engine);
	const uint32_t control = (uint32_t)engine->control;

	data->to_32 = (struct far_pointer){ engine_code.enter_32, CONTROL_CODE, 0 };
	data->to_home = (struct far_pointer){ control + engine_code.home, SELECTOR_CODE64_0, 0 };
	data->to_16 = (struct far_pointer){ engine_code.enter_16, CONTROL_CODE16, 0 };
	data->to_real = (struct far_pointer_16){ (uint16_t)engine_code.enter_real,
						 (uint16_t)(control >> 4), 0 };
	data->from_real = (struct far_pointer){ engine_code.from_real, CONTROL_CODE, 0 };
	data->gdtr.base = engine->control + AT_GDT;
	data->gdtr.limit = GDT_ENTRIES * 8 - 1;
}

bool engine_prepare(struct engine *engine, uint32_t cpu)
{
	EFI_PHYSICAL_ADDRESS block = BLOCK_BASE + cpu * BLOCK_BYTES;

	if (EFI_ERROR(BS->AllocatePages(AllocateAddress, EfiLoaderCode, BLOCK_BYTES / PAGE_BYTES,
					&block)))
		return false;
	engine->arena = block;
	engine->control = block + ARENA_BYTES;
	SetMem((void *)block, BLOCK_BYTES, 0);
	CopyMem(at(engine, AT_CODE), (void *)(UINTN)engine_start,
		(UINTN)(engine_end - engine_start));
	fill_idts(engine);
	fill_io_map(io_map);
	fill_pointers(engine);
	fill_upper(engine);
	return true;
}

static void fill_registers(struct engine *engine)
{
	static const uint32_t limits[] = { [KIND_LONG] = 16, [KIND_LEGACY] = 8, [KIND_REAL] = 4 };
	static const uint32_t idts[] = {
		[KIND_LONG] = AT_IDT_64, [KIND_LEGACY] = AT_IDT_32, [KIND_REAL] = AT_IDT_REAL
	};
	struct robust_world *world = engine->world;
	struct engine_data *data = data_of(engine);

	data->kind = world->paging == PAGING_LONG   ? KIND_LONG
		     : world->paging == PAGING_REAL ? KIND_REAL
						    : KIND_LEGACY;
	world->cr0 |= CR0_ET | CR0_NE;
	if (data->kind != KIND_REAL)
		world->cr0 |= CR0_PE | CR0_PG;
	data->cr3 = engine_cr3(engine);
	if (world->paging == PAGING_LONG || world->paging == PAGING_PAE)
		world->cr4 |= CR4_PAE;
	data->efer = EFER_BASE | (data->kind == KIND_LONG ? EFER_LME : 0);
	data->task = SELECTOR_TASK;
	data->ldt = SELECTOR_LDT;
	data->idtr.base = engine->control + idts[data->kind];
	data->idtr.limit = (uint16_t)(limits[data->kind] * ENGINE_VECTORS - 1);
}

void engine_build(struct engine *engine, struct robust_world *world)
{
	engine->world = world;
	fill_gdt(engine);
	fill_task_64(engine);
	for (uint32_t i = 1; i < 4; i++)
		fill_task_32(engine, i);
	fill_leaves(engine);
	fill_registers(engine);
}

/* In the state that a double fault's task finds, the registers of the task before are in its segment. */
static void take_from_task(const struct engine *engine, struct robust_state *out)
{
	const uint16_t link = *(const uint16_t *)task_base(engine, 3);
	const uint32_t *task = (const uint32_t *)task_base(engine, link == SELECTOR_TASK_2 ? 2 : 1);

	out->rip = task[8];
	out->rflags = task[9];
	for (uint32_t i = 0; i < 8; i++)
		out->gpr[i] = task[10 + i];
	out->es = task[18] & 0xffff;
	out->cs = task[19] & 0xffff;
	out->ss = task[20] & 0xffff;
	out->ds = task[21] & 0xffff;
	out->fs = task[22] & 0xffff;
	out->gs = task[23] & 0xffff;
}

/* Pushed as 32 bits a selector is 16 of them, and whatever was on the stack before. */
static void cut_selectors(struct robust_state *out)
{
	out->cs &= 0xffff;
	out->ss &= 0xffff;
	out->ds &= 0xffff;
	out->es &= 0xffff;
	out->fs &= 0xffff;
	out->gs &= 0xffff;
}

void engine_run(struct engine *engine, const struct robust_state *in, struct robust_state *out)
{
	struct engine_data *data = data_of(engine);

	data->in = *in;
	data->cr0 = in->cr0;
	data->cr4 = in->cr4;
	SetMem(&data->out, sizeof(data->out), 0);
	fill_system_descriptors(engine, at(engine, AT_GDT), data->kind == KIND_LONG);
	((void (*)(void))(engine->control + AT_CODE))();
	*out = data->out;
	if (data->kind == KIND_LEGACY && out->vector == VECTOR_TF)
		take_from_task(engine, out);
	cut_selectors(out);
}

void engine_leave(struct engine *engine)
{
	/* In the block, which stays allocated: the program itself goes. */
	uint64_t *gdt = at(engine, AT_LAST_GDT);
	struct table_register gdtr;
	uint32_t bytes;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	bytes = (gdtr.limit + 8u) & ~7u;
	if (bytes + 16 > PAGE_BYTES)
		return;
	CopyMem(gdt, (const void *)gdtr.base, gdtr.limit + 1u);
	gdt[bytes / 8] = descriptor(task_base(engine, 0), TASK_LIMIT, 0x89);
	gdt[bytes / 8 + 1] = 0;
	gdtr.limit = (uint16_t)(bytes + 15);
	gdtr.base = (uint64_t)gdt;
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(gdtr), "r"(bytes) : "memory");
}
