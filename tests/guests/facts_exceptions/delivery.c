// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_exceptions/delivery.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { CODE_MAX = 4, SPARE = ARENA_SPARE, BEYOND = 0x208, IST_INDEX = 3 };
enum { ABSENT = ARENA_DATA + 0xf000, SPLIT_TABLES = ARENA_TABLES + 0x8000, SPLIT_SELECTOR = 0x100 };
enum {
	APIC_ICR = 0xfee00300,
	APIC_ICR_HIGH = 0x310,
	ICR_SELF = 0x44000,
	ICR_NMI = 0x4400,
	EXTERNAL = 0x51
};
enum { WAIT_OFFSET = 2, ARMED_VECTORS = 32 };

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* What happens: one of each class of events. */
struct trigger {
	const char *name;
	uint8_t bytes[CODE_MAX];
	uint32_t count, vector;
	uint64_t rax, rbx, flags;
};

static const struct trigger triggers[] = {
	{ "int", { 0xcd, 0x41 }, 2, 0x41, 0, 0, 0 },
	{ "int3", { 0xcc }, 1, 3, 0, 0, 0 },
	{ "int1", { 0xf1 }, 1, 1, 0, 0, 0 },
	{ "step", { 0x90 }, 1, 1, 0, 0, TRIAL_TF },
	{ "step-cpuid", { 0x0f, 0xa2 }, 2, 1, 0, 0, TRIAL_TF },
	{ "ud", { 0x0f, 0x0b }, 2, 6, 0, 0, 0 },
	{ "hypercall-ud", { 0x0f, 0x01, 0xc1 }, 3, 6, 0, 0, 0 },
	{ "de", { 0xf7, 0xf1 }, 2, 0, 0, 0, 0 },
	{ "np", { 0x8e, 0xd8 }, 2, 11, SPARE, 0, 0 },
	{ "ss", { 0x8e, 0xd0 }, 2, 12, SPARE, 0, 0 },
	{ "gp", { 0x8e, 0xd8 }, 2, 13, BEYOND, 0, 0 },
	{ "pf", { 0x8b, 0x03 }, 2, 14, 0, ABSENT, 0 },
	/* With the page open to CPL 3; it waits where it is. */
	{ "external",
	  { 0x89, 0x03, 0xeb, 0xfe },
	  4,
	  EXTERNAL,
	  ICR_SELF | EXTERNAL,
	  APIC_ICR,
	  TRIAL_IF },
	{ "nmi", { 0x89, 0x03, 0xeb, 0xfe }, 4, 2, ICR_NMI, APIC_ICR, 0 },
};

/* What is in its way. */
enum obstacle {
	NONE,
	GATE_ABSENT,
	GATE_TYPE,
	GATE_TASK,
	GATE_BEYOND,
	SELECTOR_NULL,
	SELECTOR_BEYOND,
	SELECTOR_DATA,
	SELECTOR_ABSENT,
	SELECTOR_USER,
	SELECTOR_32,
	SELECTOR_LDT,
	HANDLER_NOT_CANONICAL,
	HANDLER_ABSENT,
	STACK_ABSENT,
	STACK_READ_ONLY,
	STACK_NOT_CANONICAL,
	IST_ABSENT,
	IST_NOT_CANONICAL,
	GATE_PAGE_ABSENT,
	GDT_PAGE_ABSENT,
	OBSTACLES
};

static const char *const obstacle_names[OBSTACLES] = {
	"none",
	"gate-absent",
	"gate-type",
	"gate-task",
	"gate-beyond",
	"selector-null",
	"selector-beyond",
	"selector-data",
	"selector-absent",
	"selector-user",
	"selector-32",
	"selector-ldt",
	"handler-not-canonical",
	"handler-absent",
	"stack-absent",
	"stack-read-only",
	"stack-not-canonical",
	"ist-absent",
	"ist-not-canonical",
	"gate-page-absent",
	"gdt-page-absent",
};

static void load_idt(uint64_t base, uint32_t bytes)
{
	const struct table_register idt = { (uint16_t)(bytes - 1), base };

	__asm__ volatile("lidt %0" : : "m"(idt));
}

static void load_gdt(uint64_t base, uint32_t bytes)
{
	const struct table_register gdt = { (uint16_t)(bytes - 1), base };

	__asm__ volatile("lgdt %0" : : "m"(gdt));
}

static void stack_pages(uint64_t rights)
{
	for (uint64_t at = 0; at < 0x8000; at += ARENA_PAGE) {
		arena_page(ARENA_STACK + at, rights);
		arena_page(ARENA_RSP0 + at, rights);
	}
}

/* The first 32 gates on one page and the others on the next, which is not there. */
static void split_idt(void)
{
	const uint64_t base = SPLIT_TABLES + ARENA_PAGE - ARMED_VECTORS * sizeof(struct arena_gate);

	CopyMem((void *)(UINTN)base, (void *)(UINTN)ARENA_IDT, ARENA_IDT_BYTES);
	load_idt(base, ARENA_IDT_BYTES);
	arena_page(SPLIT_TABLES + ARENA_PAGE, 0);
}

/* The same with the GDT; the code segment of this gate is on the second page. */
static void split_gdt(struct arena_gate *gate)
{
	const uint64_t base = SPLIT_TABLES + ARENA_PAGE - SPLIT_SELECTOR;

	arena_segment(SPLIT_SELECTOR, 0, 0xfffff, 0xa09b);
	CopyMem((void *)(UINTN)base, (void *)(UINTN)ARENA_GDT, ARENA_GDT_BYTES);
	load_gdt(base, ARENA_GDT_BYTES);
	gate->selector = SPLIT_SELECTOR;
	arena_page(SPLIT_TABLES + ARENA_PAGE, 0);
}

static void set_selector(struct arena_gate *gate, uint32_t rights)
{
	arena_segment(SPARE + 8, 0, 0xfffff, rights);
	gate->selector = SPARE + 8;
}

static void set_ist(struct arena_gate *gate, uint64_t stack)
{
	gate->ist = IST_INDEX;
	arena_tss()->ist[IST_INDEX - 1] = stack;
}

static void obstruct(enum obstacle obstacle, const struct trigger *trigger, struct trial *trial)
{
	struct arena_gate *gate = arena_gate(trigger->vector);

	switch (obstacle) {
	case GATE_ABSENT:
		gate->type &= 0x7f;
		break;
	case GATE_TYPE:
		gate->type = (gate->type & 0xf0) | 0xc;
		break;
	case GATE_TASK:
		gate->type = (gate->type & 0xf0) | 0x5;
		break;
	case GATE_BEYOND:
		load_idt(ARENA_IDT, 16 * (TRIAL_END + 1)); /* those below are still there */
		break;
	case SELECTOR_NULL:
		gate->selector = 0;
		break;
	case SELECTOR_BEYOND:
		gate->selector = BEYOND;
		break;
	case SELECTOR_DATA:
		set_selector(gate, 0xc093);
		break;
	case SELECTOR_ABSENT:
		set_selector(gate, 0xa01b);
		break;
	case SELECTOR_USER:
		set_selector(gate, 0xa0fb);
		break;
	case SELECTOR_32:
		set_selector(gate, 0xc09b);
		break;
	case SELECTOR_LDT:
		gate->selector = 0xc;
		break;
	case HANDLER_NOT_CANONICAL:
		gate->offset_0 = gate->offset_16 = 0;
		gate->offset_32 = 0x00800000;
		break;
	case HANDLER_ABSENT:
		gate->offset_0 = (uint16_t)ABSENT;
		gate->offset_16 = ABSENT >> 16;
		gate->offset_32 = 0;
		arena_page(ABSENT, 0);
		break;
	case STACK_ABSENT:
		stack_pages(0);
		break;
	case STACK_READ_ONLY:
		stack_pages(ARENA_PRESENT | ARENA_USER);
		break;
	case STACK_NOT_CANONICAL:
		arena_tss()->rsp[0] = UINT64_C(0x1000000000000000);
		if (trial->mode == TRIAL_64_0)
			trial->in.gpr[TRIAL_RSP] = UINT64_C(0x1000000000000000);
		break;
	case IST_ABSENT:
		set_ist(gate, ABSENT + ARENA_PAGE);
		arena_page(ABSENT, 0);
		break;
	case IST_NOT_CANONICAL:
		set_ist(gate, UINT64_C(0x1000000000000000));
		break;
	case GATE_PAGE_ABSENT:
		split_idt();
		break;
	case GDT_PAGE_ABSENT:
		split_gdt(gate);
		break;
	case NONE:
	case OBSTACLES:
		break;
	}
}

/* Behind a trigger that waits. */
static TRIAL_HANDLER void stop_waiting(struct trial *trial, struct trial_frame *frame)
{
	if (trial->argument && frame->rip == trial->start + WAIT_OFFSET)
		frame->rip += 2;
	if (frame->vector == EXTERNAL)
		probe_apic_write(0xb0, 0);
}

/* An interrupt whose delivery failed is in service all the same. */
static void end_interrupts(void)
{
	for (uint32_t i = 0; i < 4; i++)
		probe_apic_write(0xb0, 0);
}

/* A handler that raises what it is the handler of would do so for ever; ours needs CPL 0. */
static bool is_impossible(enum trial_mode mode, const struct trigger *trigger,
			  enum obstacle obstacle)
{
	return (trial_is_user(mode) && obstacle == SELECTOR_USER) ||
	       (trigger->vector == VECTOR_PF && obstacle == HANDLER_ABSENT) ||
	       (trigger->vector == VECTOR_GP && obstacle == HANDLER_NOT_CANONICAL);
}

static void one(enum trial_mode mode, const struct trigger *trigger, enum obstacle obstacle)
{
	struct trial_text key = { .length = 0 };
	struct trial trial;

	arena_segment(SPARE, 0, 0xfffff,
		      mode == TRIAL_64_3 || mode == TRIAL_32_3 ? 0xc073 : 0xc013);
	if (trigger->vector == 3 || trigger->vector >= ARMED_VECTORS)
		arena_gate(trigger->vector)->type = GATE_INTERRUPT_3;
	if (trigger->rbx == ABSENT)
		arena_page(ABSENT, 0);
	trial_init(&trial, mode, trigger->bytes, trigger->count);
	trial.goes_on = 0;
	trial.hook = stop_waiting;
	trial.argument = trigger->rbx == APIC_ICR ? &trial : NULL;
	trial.in.gpr[TRIAL_RAX] =
		trigger->rax == SPARE && trial_is_user(mode) ? trigger->rax | 3 : trigger->rax;
	trial.in.gpr[TRIAL_RBX] = trigger->rbx;
	trial.in.rflags |= trigger->flags;
	obstruct(obstacle, trigger, &trial);
	trial_run(&trial);
	load_idt(ARENA_IDT, ARENA_IDT_BYTES);
	load_gdt(ARENA_GDT, ARENA_GDT_BYTES);
	end_interrupts();
	arena_reset();
	trial_print(&key, "delivery.%s.%s.%s", trigger->name, obstacle_names[obstacle],
		    trial_mode_name(mode));
	trial_fact(key.text, &trial);
}

void facts_delivery(void)
{
	static const enum trial_mode some[] = { TRIAL_64_0, TRIAL_64_3, TRIAL_32_0, TRIAL_32_3 };

	probe_apic_write(APIC_ICR_HIGH, probe_cpus[0].apic_id << 24);
	for (uint32_t i = 0; i < sizeof(triggers) / sizeof(triggers[0]); i++) {
		for (enum obstacle obstacle = NONE; obstacle < OBSTACLES; obstacle++) {
			for (uint32_t j = 0; j < (obstacle < GATE_BEYOND ? 4 : 2); j++) {
				if (!is_impossible(some[j], &triggers[i], obstacle))
					one(some[j], &triggers[i], obstacle);
			}
		}
	}
}
