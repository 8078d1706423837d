// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/walk/excursion.h"

#include "tests/guests/lib/probe.h"

enum { PAGE = 4096, PAGE_USER = 1, PAGE_DATA = 2, PAGE_STACK = 3 };
enum { GDT_ENTRIES = 12, LAST_GDT_ENTRIES = 64, VECTORS = 49, VECTOR_BYTES = 8, STUB_BYTES = 8 };
enum { SELECTOR_CODE_32 = 0x08, SELECTOR_CODE_64 = 0x18, SELECTOR_TASK_32 = 0x38 };
enum { SELECTOR_TASK_64 = 0x40, SELECTOR_LDT = 0x50 };
/* Second entry of the LDT, RPL 3. */
enum { SELECTOR_IN_LDT = 0xf };
enum { TYPE_LDT = 0x82, TYPE_TASK = 0x89, TYPE_GATE_USER = 0xee };
enum { RFLAGS_ONE = 0x2, RFLAGS_AC = 0x40000 };
#define EFER_LME UINT64_C(0x100)

struct far_pointer {
	uint32_t offset;
	uint16_t selector, pad;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
	uint8_t pad[6];
} __attribute__((packed));

/* excursion.asm knows the offsets. */
struct excursion_data {
	uint64_t cr0, cr3, cr4, efer;
	uint64_t linear, value, code;
	uint32_t pkru, rflags;
	uint32_t is_64, is_user, task, selector;
	uint64_t out_rax, out_rsp, out_cr2;
	struct far_pointer to_32, to_64, to_leave, to_home;
	struct table_register gdtr, idtr, home_gdtr, home_idtr;
	uint64_t home[9];
	/* The rest is C's alone. */
	uint64_t gdt[GDT_ENTRIES];
	uint64_t idt_32[VECTORS];
	uint64_t idt_64[VECTORS * 2];
	uint32_t task_32[26];
	uint32_t task_64[26];
	uint64_t last_gdt[LAST_GDT_ENTRIES];
};

_Static_assert(__builtin_offsetof(struct excursion_data, to_32) == 0x68, "");
_Static_assert(__builtin_offsetof(struct excursion_data, home) == 0xc8, "");
_Static_assert(sizeof(struct excursion_data) <= PAGE, "one page");

struct excursion_code {
	uint32_t enter_32, enter_64, leave_32, home;
	uint32_t vectors_32, vectors_64;
	uint32_t kernel_32, kernel_64, user_32, user_64;
};

extern const uint8_t excursion_start[] __attribute__((visibility("hidden")));
extern const uint8_t excursion_end[] __attribute__((visibility("hidden")));
extern const struct excursion_code excursion_code __attribute__((visibility("hidden")));

static uint32_t base;
static struct excursion_data *data;

uint32_t excursion_base(void)
{
	return base;
}

bool excursion_page_is_user(uint32_t page)
{
	return page == PAGE_USER;
}

bool excursion_page_is_writable(uint32_t page)
{
	return page >= PAGE_DATA;
}

/* A segment that is no code or data, as in 32-bit mode; the upper half of the base follows it in long mode. */
static uint64_t system_descriptor(uint64_t at, uint32_t limit, uint32_t type)
{
	return (limit & 0xffff) | (at & 0xffffff) << 16 | (uint64_t)type << 40 |
	       (uint64_t)(limit >> 16 & 0xf) << 48 | (at >> 24 & 0xff) << 56;
}

static void fill_gdt(void)
{
	uint64_t *gdt = data->gdt;

	gdt[1] = 0x00cf9b000000ffff; /* 0x08: code, 32 bits */
	gdt[2] = 0x00cf93000000ffff; /* 0x10: data */
	gdt[3] = 0x00af9b000000ffff; /* 0x18: code, 64 bits */
	gdt[4] = 0x00cffb000000ffff; /* 0x23: code of CPL 3, 32 bits */
	gdt[5] = 0x00cff3000000ffff; /* 0x2b: data of CPL 3 */
	gdt[6] = 0x00affb000000ffff; /* 0x33: code of CPL 3, 64 bits */
	data->gdtr =
		(struct table_register){ .limit = sizeof(data->gdt) - 1, .base = (uint64_t)gdt };
}

/* The gates and the tasks' stacks. All gates may be used from CPL 3. */
static void fill_idt(void)
{
	const uint32_t stack = base + EXCURSION_PAGES * PAGE;

	for (uint32_t i = 0; i < VECTORS; i++) {
		const uint64_t at_32 = base + excursion_code.vectors_32 + i * VECTOR_BYTES;
		const uint64_t at_64 = base + excursion_code.vectors_64 + i * VECTOR_BYTES;
		const uint64_t type = (uint64_t)TYPE_GATE_USER << 40;

		data->idt_32[i] =
			(at_32 & 0xffff) | SELECTOR_CODE_32 << 16 | type | at_32 >> 16 << 48;
		data->idt_64[2 * i] =
			(at_64 & 0xffff) | SELECTOR_CODE_64 << 16 | type | at_64 >> 16 << 48;
	}
	data->task_32[1] = stack;
	data->task_32[2] = 0x10;
	data->task_64[1] = stack;
	data->task_32[25] = data->task_64[25] = sizeof(data->task_32) << 16;
}

static void fill_pointers(void)
{
	data->to_32 = (struct far_pointer){ base + excursion_code.enter_32, SELECTOR_CODE_32, 0 };
	data->to_64 = (struct far_pointer){ base + excursion_code.enter_64, SELECTOR_CODE_64, 0 };
	data->to_leave =
		(struct far_pointer){ base + excursion_code.leave_32, SELECTOR_CODE_32, 0 };
	data->to_home = (struct far_pointer){ base + excursion_code.home, SELECTOR_CODE_64, 0 };
}

bool excursion_init(void)
{
	EFI_PHYSICAL_ADDRESS at = UINT32_MAX;
	/* So that they never lie on both sides of a 2 MiB boundary. */
	const uint64_t align = 2 * EXCURSION_PAGES * PAGE;

	if (EFI_ERROR(
		    BS->AllocatePages(AllocateMaxAddress, EfiLoaderCode, 3 * EXCURSION_PAGES, &at)))
		return false;
	base = (uint32_t)((at + align - 1) & ~(align - 1));
	SetMem((void *)(UINTN)base, EXCURSION_PAGES * PAGE, 0);
	CopyMem((void *)(UINTN)base, (void *)(UINTN)excursion_start,
		(UINTN)(excursion_end - excursion_start));
	data = (void *)(UINTN)(base + PAGE_DATA * PAGE);
	fill_gdt();
	fill_idt();
	fill_pointers();
	return true;
}

/* The task register's segment was marked busy by the last trip. */
static void fill_system_segments(const struct excursion *trip, bool is_64)
{
	const uint64_t ldt = trip->linear - 8;
	uint64_t *gdt = data->gdt;

	gdt[SELECTOR_TASK_32 / 8] =
		system_descriptor((uint64_t)data->task_32, sizeof(data->task_32) - 1, TYPE_TASK);
	gdt[SELECTOR_TASK_64 / 8] =
		system_descriptor((uint64_t)data->task_64, sizeof(data->task_64) - 1, TYPE_TASK);
	gdt[SELECTOR_TASK_64 / 8 + 1] = 0;
	if (trip->access == TRIP_LDT) {
		gdt[SELECTOR_LDT / 8] = system_descriptor(ldt, 15, TYPE_LDT);
		gdt[SELECTOR_LDT / 8 + 1] = is_64 ? ldt >> 32 : 0;
	} else {
		gdt[SELECTOR_LDT / 8] = system_descriptor(0, 0, TYPE_LDT);
		gdt[SELECTOR_LDT / 8 + 1] = 0;
	}
	data->task = is_64 ? SELECTOR_TASK_64 : SELECTOR_TASK_32;
	data->idtr.limit = is_64 ? sizeof(data->idt_64) - 1 : sizeof(data->idt_32) - 1;
	data->idtr.base = is_64 ? (uint64_t)data->idt_64 : (uint64_t)data->idt_32;
}

static uint64_t stub(const struct excursion *trip, bool is_64)
{
	const uint32_t kernel = is_64 ? excursion_code.kernel_64 : excursion_code.kernel_32;
	const uint32_t user = is_64 ? excursion_code.user_64 : excursion_code.user_32;

	return base + (trip->is_user ? user : kernel) + (uint32_t)trip->access * STUB_BYTES;
}

static void fill_data(const struct excursion *trip, bool is_64)
{
	data->cr0 = trip->cr0;
	data->cr3 = trip->cr3;
	data->cr4 = trip->cr4;
	data->efer = trip->efer;
	data->linear = trip->linear;
	data->value = trip->value;
	data->code = stub(trip, is_64);
	data->pkru = trip->pkru;
	data->rflags = RFLAGS_ONE | (trip->ac ? RFLAGS_AC : 0);
	data->is_64 = is_64;
	data->is_user = trip->is_user;
	data->selector = SELECTOR_IN_LDT;
}

static bool has_error_code(uint32_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* What the exception has pushed, below the vector: words of 4 or 8 bytes. */
static uint64_t pushed(uint32_t index, bool is_64)
{
	const uint8_t *stack = (const uint8_t *)data->out_rsp;

	return is_64 ? ((const uint64_t *)(const void *)stack)[index]
		     : ((const uint32_t *)(const void *)stack)[index];
}

void excursion_run(const struct excursion *trip, struct excursion_end *end)
{
	const bool is_64 = (trip->efer & EFER_LME) != 0;
	bool has_error;

	fill_data(trip, is_64);
	fill_system_segments(trip, is_64);
	((void (*)(void))(UINTN)base)();
	data->out_rsp &= UINT32_MAX;
	end->vector = (uint32_t)pushed(0, is_64);
	has_error = has_error_code(end->vector);
	end->error = has_error ? pushed(1, is_64) : 0;
	end->rip = pushed(has_error ? 2 : 1, is_64);
	end->cr2 = is_64 ? data->out_cr2 : (uint32_t)data->out_cr2;
	end->value = (uint32_t)data->out_rax;
}

void excursion_leave(void)
{
	struct table_register gdtr;
	uint64_t *gdt = data->last_gdt;
	uint32_t bytes;

	__asm__ volatile("sgdt %0" : "=m"(gdtr));
	bytes = (gdtr.limit + 8u) & ~7u;
	if (bytes + 16 > sizeof(data->last_gdt))
		return;
	CopyMem(gdt, (const void *)gdtr.base, gdtr.limit + 1u);
	gdt[bytes / 8] =
		system_descriptor((uint64_t)data->task_64, sizeof(data->task_64) - 1, TYPE_TASK);
	gdt[bytes / 8 + 1] = 0;
	gdtr = (struct table_register){ .limit = (uint16_t)(bytes + 15), .base = (uint64_t)gdt };
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(gdtr), "r"(bytes) : "memory");
}
