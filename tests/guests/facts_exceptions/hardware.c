// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_exceptions/hardware.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { CODE_MAX = 16, SPARE = ARENA_SPARE, SPARE_3 = ARENA_SPARE | 3, BEYOND = 0x208, CR0_TS = 8 };
enum { ABSENT = ARENA_DATA + 0xf000, READ_ONLY = ARENA_DATA + 0xe000 };
enum {
	SUPERVISOR = ARENA_DATA + 0xd000,
	RESERVED = ARENA_DATA + 0xc000,
	NO_EXECUTE = ARENA_DATA + 0xb000
};
enum { STACK_USED = 0x100, WORDS = 5, EFER_NXE = 0x800 };
#define CR0_AM	      UINT64_C(0x40000)
#define CR0_NE	      UINT64_C(0x20)
#define CR4_OSFXSR    UINT64_C(0x600) /* and OSXMMEXCPT */
#define PAGE_NX	      (UINT64_C(1) << 63)
#define PAGE_RESERVED (UINT64_C(1) << 51)
#define NOT_CANONICAL UINT64_C(0x8000000000000000)

/* What RBX is. */
enum place {
	AT_DATA,
	AT_ABSENT,
	AT_READ_ONLY,
	AT_SUPERVISOR,
	AT_RESERVED,
	AT_NO_EXECUTE,
	AT_NOT_CANONICAL,
	AT_ODD
};
/* The access byte of the descriptor that the spare selector has; 0: null. */
enum {
	NO_DESCRIPTOR = 0,
	DATA_ABSENT = 0x13,
	DATA_0 = 0x93,
	DATA_3 = 0xf3,
	CODE_X = 0xf9,
	CODE_ABSENT = 0x1b
};
enum { TSS_ABSENT = 0x09, TSS_BUSY = 0x8b, LDT_ABSENT = 0x02, CALL_GATE = 0x8c };

struct insn {
	const char *name;
	uint8_t bytes[CODE_MAX];
	uint32_t count;
	enum place place;
	uint8_t descriptor;
	uint64_t rax, flags;
};

/* RAX is a selector where one is needed; the second half of each name is what is wrong. */
static const struct insn insns[] = {
	{ "div-zero", { 0xf7, 0xf1 }, 2, AT_DATA, 0, 0, 0 },
	{ "idiv-overflow", { 0x99, 0xf7, 0xf9 }, 3, AT_DATA, 0, 0x80000000, 0 },
	{ "aam-zero", { 0xd4, 0x00 }, 2, AT_DATA, 0, 0, 0 },
	{ "ud0", { 0x0f, 0xff, 0xc0 }, 3, AT_DATA, 0, 0, 0 },
	{ "ud1", { 0x0f, 0xb9, 0xc0 }, 3, AT_DATA, 0, 0, 0 },
	{ "ud1-absent", { 0x0f, 0xb9, 0x03 }, 3, AT_ABSENT, 0, 0, 0 },
	{ "salc", { 0xd6 }, 1, AT_DATA, 0, 0, 0 },
	{ "lock-nop", { 0xf0, 0x90 }, 2, AT_DATA, 0, 0, 0 },
	{ "lock-add-register", { 0xf0, 0x01, 0xc0 }, 3, AT_DATA, 0, 0, 0 },
	{ "push-es", { 0x06 }, 1, AT_DATA, 0, 0, 0 },
	{ "read-absent", { 0x8b, 0x03 }, 2, AT_ABSENT, 0, 0, 0 },
	{ "write-absent", { 0x89, 0x03 }, 2, AT_ABSENT, 0, 0, 0 },
	{ "write-read-only", { 0x89, 0x03 }, 2, AT_READ_ONLY, 0, 0, 0 },
	{ "add-read-only", { 0x01, 0x03 }, 2, AT_READ_ONLY, 0, 0, 0 },
	{ "read-supervisor", { 0x8b, 0x03 }, 2, AT_SUPERVISOR, 0, 0, 0 },
	{ "read-reserved", { 0x8b, 0x03 }, 2, AT_RESERVED, 0, 0, 0 },
	{ "jump-absent", { 0xff, 0xe3 }, 2, AT_ABSENT, 0, 0, 0 },
	{ "jump-no-execute", { 0xff, 0xe3 }, 2, AT_NO_EXECUTE, 0, 0, 0 },
	{ "jump-supervisor", { 0xff, 0xe3 }, 2, AT_SUPERVISOR, 0, 0, 0 },
	{ "jump-not-canonical", { 0xff, 0xe3 }, 2, AT_NOT_CANONICAL, 0, 0, 0 },
	{ "read-not-canonical", { 0x8b, 0x03 }, 2, AT_NOT_CANONICAL, 0, 0, 0 },
	{ "stack-not-canonical",
	  { 0x48, 0x89, 0xdd, 0x8b, 0x45, 0x00 },
	  6,
	  AT_NOT_CANONICAL,
	  0,
	  0,
	  0 },
	{ "push-not-canonical",
	  { 0x48, 0x89, 0xe5, 0x48, 0x89, 0xdc, 0x50, 0x48, 0x89, 0xec },
	  10,
	  AT_NOT_CANONICAL,
	  0,
	  0,
	  0 },
	{ "unaligned", { 0x8b, 0x03 }, 2, AT_ODD, 0, 0, TRIAL_AC },
	{ "unaligned-no-ac", { 0x8b, 0x03 }, 2, AT_ODD, 0, 0, 0 },
	{ "movaps-odd", { 0x0f, 0x28, 0x03 }, 3, AT_ODD, 0, 0, TRIAL_AC },
	{ "ds-beyond", { 0x8e, 0xd8 }, 2, AT_DATA, 0, BEYOND, 0 },
	{ "ds-null", { 0x8e, 0xd8 }, 2, AT_DATA, 0, 0, 0 },
	{ "ds-ldt", { 0x8e, 0xd8 }, 2, AT_DATA, 0, 0xc, 0 },
	{ "ds-absent", { 0x8e, 0xd8 }, 2, AT_DATA, DATA_ABSENT, SPARE, 0 },
	{ "ds-dpl-0", { 0x8e, 0xd8 }, 2, AT_DATA, DATA_0, SPARE, 0 },
	{ "ds-execute-only", { 0x8e, 0xd8 }, 2, AT_DATA, CODE_X, SPARE, 0 },
	{ "ss-beyond", { 0x8e, 0xd0 }, 2, AT_DATA, 0, BEYOND, 0 },
	{ "ss-null", { 0x8e, 0xd0 }, 2, AT_DATA, 0, 0, 0 },
	{ "ss-null-3", { 0x8e, 0xd0 }, 2, AT_DATA, 0, 3, 0 },
	{ "ss-absent", { 0x8e, 0xd0 }, 2, AT_DATA, DATA_ABSENT, SPARE, 0 },
	{ "ss-absent-3", { 0x8e, 0xd0 }, 2, AT_DATA, 0x73, SPARE_3, 0 },
	{ "ss-dpl-3", { 0x8e, 0xd0 }, 2, AT_DATA, DATA_3, SPARE, 0 },
	{ "ss-code", { 0x8e, 0xd0 }, 2, AT_DATA, CODE_X, SPARE, 0 },
	{ "cs-move", { 0x8e, 0xc8 }, 2, AT_DATA, 0, 0, 0 },
	{ "ltr-absent", { 0x0f, 0x00, 0xd8 }, 3, AT_DATA, TSS_ABSENT, SPARE, 0 },
	{ "ltr-busy", { 0x0f, 0x00, 0xd8 }, 3, AT_DATA, TSS_BUSY, SPARE, 0 },
	{ "ltr-beyond", { 0x0f, 0x00, 0xd8 }, 3, AT_DATA, 0, BEYOND, 0 },
	{ "lldt-absent", { 0x0f, 0x00, 0xd0 }, 3, AT_DATA, LDT_ABSENT, SPARE, 0 },
	{ "lldt-data", { 0x0f, 0x00, 0xd0 }, 3, AT_DATA, DATA_0, SPARE, 0 },
	{ "retf-null", { 0xcb }, 1, AT_DATA, 0, 0, 0 },
	{ "retf-absent", { 0xcb }, 1, AT_DATA, CODE_ABSENT, SPARE, 0 },
	{ "retf-gate", { 0xcb }, 1, AT_DATA, CALL_GATE, SPARE, 0 },
	{ "iret-null", { 0xcf }, 1, AT_DATA, 0, 0, 0 },
	{ "iret-absent", { 0xcf }, 1, AT_DATA, CODE_ABSENT, SPARE, 0 },
	{ "iret-nested-task", { 0xcf }, 1, AT_DATA, 0, 0, 0x4000 },
	{ "iretq-null", { 0x48, 0xcf }, 2, AT_DATA, 0, 0, 0 },
	{ "fnop-ts", { 0xd9, 0xd0 }, 2, AT_DATA, 0, 0, 0 },
	{ "wait-ts", { 0x9b }, 1, AT_DATA, 0, 0, 0 },
	{ "xorps-ts", { 0x0f, 0x57, 0xc0 }, 3, AT_DATA, 0, 0, 0 },
	{ "fdiv-unmasked",
	  { 0xdb, 0xe3, 0xd9, 0x2b, 0xd9, 0xee, 0xd9, 0xe8, 0xd8, 0xf1, 0x9b, 0x90 },
	  12,
	  AT_DATA,
	  0,
	  0,
	  0 },
	{ "divps-unmasked",
	  { 0x0f, 0xae, 0x53, 0x04, 0x0f, 0x57, 0xc0, 0x0f, 0x5e, 0xc0 },
	  10,
	  AT_DATA,
	  0,
	  0,
	  0 },
};

static uint64_t address_of(enum place place)
{
	static const uint64_t addresses[] = {
		[AT_DATA] = ARENA_DATA,
		[AT_ABSENT] = ABSENT,
		[AT_READ_ONLY] = READ_ONLY,
		[AT_SUPERVISOR] = SUPERVISOR,
		[AT_RESERVED] = RESERVED,
		[AT_NO_EXECUTE] = NO_EXECUTE,
		[AT_NOT_CANONICAL] = NOT_CANONICAL,
		[AT_ODD] = ARENA_DATA + 1,
	};

	return addresses[place];
}

/* For IRET and RETF: an address and the selector, in words of the mode's size. */
static void put_far_pointer(struct trial *trial, const struct insn *insn)
{
	const bool is_16 = trial->mode >= TRIAL_16_0;
	const uint32_t bytes = insn->bytes[0] == 0x48 ? 8 : is_16 ? 2 : 4;
	const uint64_t words[WORDS] = { trial->start, insn->rax, 2, trial->in.gpr[TRIAL_RSP], 0 };
	uint8_t *at = (uint8_t *)(UINTN)(ARENA_STACK_TOP - STACK_USED);

	if (insn->bytes[0] < 0xca && insn->bytes[0] != 0x48)
		return;
	for (uint32_t i = 0; i < WORDS; i++)
		CopyMem(at + i * bytes, (void *)(UINTN)&words[i], bytes);
	trial->in.gpr[TRIAL_RSP] -= STACK_USED;
}

static void protect_pages(void)
{
	arena_page(ABSENT, 0);
	arena_page(READ_ONLY, ARENA_PRESENT | ARENA_USER);
	arena_page(SUPERVISOR, ARENA_PRESENT | ARENA_WRITABLE);
	arena_page(RESERVED, ARENA_ALL | PAGE_RESERVED);
	arena_page(NO_EXECUTE, ARENA_ALL | PAGE_NX);
}

static void one(enum trial_mode mode, const struct insn *insn)
{
	struct trial_text key = { .length = 0 };
	uint32_t *data = (uint32_t *)(UINTN)ARENA_DATA;
	struct trial trial;
	uint64_t cr0;
	uint32_t length = 0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	data[0] = 0x0300; /* control words with all exceptions unmasked */
	data[1] = 0;
	protect_pages();
	if (insn->descriptor)
		arena_segment(SPARE, 0, 0xfffff, 0xc000u | insn->descriptor);
	trial_init(&trial, mode, insn->bytes, insn->count);
	if (mode < TRIAL_16_0)
		trial.in.gpr[TRIAL_RBX] = address_of(insn->place);
	trial.in.gpr[TRIAL_RAX] = insn->rax;
	if (insn->name[0] == 'i' && insn->name[1] == 'd')
		trial.in.gpr[TRIAL_RCX] = 0xffffffff;
	trial.in.rflags |= insn->flags;
	put_far_pointer(&trial, insn);
	while (insn->name[length])
		length++;
	if (insn->name[length - 1] == 's' && insn->name[length - 2] == 't')
		__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_TS | 2));
	trial_run(&trial);
	__asm__ volatile("mov %0, %%cr0; fninit; ldmxcsr %1"
			 :
			 : "r"(cr0), "m"(*(const uint32_t[]){ 0x1f80 }));
	arena_reset();
	trial_print(&key, "hardware.%s.%s", insn->name, trial_mode_name(mode));
	trial_fact(key.text, &trial);
}

/* RBX has all of the address in 64-bit mode only; in 16-bit code it points to data. */
static bool is_possible(enum trial_mode mode, const struct insn *insn)
{
	if (mode >= TRIAL_16_0 && insn->bytes[0] == 0xff)
		return false;
	return mode <= TRIAL_64_3 || insn->place != AT_NOT_CANONICAL;
}

void facts_hardware(void)
{
	const uint64_t cr4 = probe_cr4();
	uint64_t cr0;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	probe_set_cr4(cr4 | CR4_OSFXSR);
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | CR0_AM | CR0_NE));
	fact("hardware.nxe", "%u", (probe_rdmsr(0xc0000080) & EFER_NXE) != 0);
	for (uint32_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		for (enum trial_mode mode = 0; mode < TRIAL_MODES; mode++) {
			if (is_possible(mode, &insns[i]))
				one(mode, &insns[i]);
		}
	}
	__asm__ volatile("mov %0, %%cr0" : : "r"(cr0));
	probe_set_cr4(cr4);
}
