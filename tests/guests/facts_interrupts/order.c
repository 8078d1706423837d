// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_interrupts/order.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { CODE_MAX = 16, SENT_MAX = 4, NMIS = 3, WAIT_OFFSET = 2 };
enum { APIC_TPR = 0x80, APIC_PPR = 0xa0, APIC_EOI = 0xb0, APIC_ISR = 0x100, APIC_IRR = 0x200 };
enum { APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, ICR_SELF = 0x44000, ICR_NMI = 0x4400 };

struct insn {
	const char *name;
	uint8_t bytes[CODE_MAX];
	uint32_t count;
	uint64_t rax, flags;
};

/* With an interrupt pending: where is it taken? */
static const struct insn windows[] = {
	{ "sti", { 0xfb, 0x90, 0x90, 0x90 }, 4, 0, 0 },
	{ "sti-sti", { 0xfb, 0xfb, 0x90, 0x90 }, 4, 0, 0 },
	{ "sti-cli", { 0xfb, 0xfa, 0x90 }, 3, 0, 0 },
	{ "sti-cpuid", { 0xfb, 0x0f, 0xa2, 0x90 }, 4, 0, 0 },
	{ "sti-cpuid-cli", { 0xfb, 0x0f, 0xa2, 0xfa }, 4, 0, 0 },
	{ "sti-rdmsr", { 0xfb, 0x0f, 0x32, 0x90 }, 4, 0, 0 },
	{ "sti-in", { 0xfb, 0xe4, 0x61, 0x90 }, 4, 0, 0 },
	{ "sti-vmcall", { 0xfb, 0x0f, 0x01, 0xc1, 0x90 }, 5, 0, 0 },
	{ "sti-ud", { 0xfb, 0x0f, 0x0b, 0x90 }, 4, 0, 0 },
	{ "sti-int3", { 0xfb, 0xcc, 0x90 }, 3, 0, 0 },
	{ "sti-hlt", { 0xfb, 0xf4, 0x90 }, 3, 0, 0 },
	{ "sti-pause", { 0xfb, 0xf3, 0x90, 0x90 }, 4, 0, 0 },
	{ "sti-ss", { 0xfb, 0x8e, 0xd0, 0x90, 0x90 }, 5, ARENA_FLAT, 0 },
	{ "sti-ss-cpuid", { 0xfb, 0x8e, 0xd0, 0x0f, 0xa2, 0x90 }, 6, ARENA_FLAT, 0 },
	{ "sti-wbinvd", { 0xfb, 0x0f, 0x09, 0x90 }, 4, 0, 0 },
	{ "enabled", { 0x90, 0x90 }, 2, 0, TRIAL_IF },
	{ "enabled-cpuid", { 0x0f, 0xa2, 0x90 }, 3, 0, TRIAL_IF },
	{ "enabled-step", { 0x90, 0x90 }, 2, 0, TRIAL_IF | TRIAL_TF },
	{ "sti-step", { 0xfb, 0x0f, 0xa2, 0x90 }, 4, 0, TRIAL_TF },
	{ "popf", { 0x68, 0x02, 0x02, 0x00, 0x00, 0x9d, 0x90, 0x90 }, 8, 0, 0 },
	{ "popf-cpuid", { 0x68, 0x02, 0x02, 0x00, 0x00, 0x9d, 0x0f, 0xa2, 0x90 }, 9, 0, 0 },
	{ "raise-cr8", { 0x44, 0x0f, 0x22, 0xc0, 0xfb, 0x90, 0x90 }, 7, 5, 0 },
};

static const struct insn lower_cr8 = {
	"lower-cr8", { 0xfb, 0x90, 0x44, 0x0f, 0x22, 0xc0, 0x90, 0x90 }, 8, 4, 0
};

/* Which are sent, in this order, with the task priority. */
struct pending {
	const char *name;
	uint32_t tpr;
	uint8_t vectors[SENT_MAX];
	bool no_eoi;
};

static const struct pending pendings[] = {
	{ "one", 0, { 0x51 }, false },
	{ "up", 0, { 0x51, 0x61, 0x71 }, false },
	{ "down", 0, { 0x71, 0x61, 0x51 }, false },
	{ "class", 0, { 0x51, 0x5f, 0x58 }, false },
	{ "same", 0, { 0x51, 0x51, 0x51 }, false },
	{ "no-eoi", 0, { 0x51, 0x61, 0x71 }, true },
	{ "no-eoi-class", 0, { 0x51, 0x58, 0x5f }, true },
	{ "masked", 0x50, { 0x51, 0x5f, 0x61 }, false },
	{ "sub-class", 0x5f, { 0x51, 0x5f, 0x60 }, false },
	{ "low", 0, { 0x20, 0x2f, 0x31 }, false },
	{ "highest", 0xe0, { 0xef, 0xf0, 0xfe }, false },
	{ "all-masked", 0xf0, { 0xff, 0x51 }, false },
};

static void set_cr8(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(value));
}

static uint64_t get_cr8(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

static void send_self(uint32_t vector)
{
	probe_icr(0, ICR_SELF | vector);
}

static TRIAL_HANDLER void end_of_interrupt(struct trial *trial, struct trial_frame *frame)
{
	if (frame->vector >= 32 && !trial->argument)
		probe_apic_write(APIC_EOI, 0);
}

/* Nothing is left in service or requested. */
static void clean_up(void)
{
	static const uint8_t sti[] = { 0xfb, 0x90, 0x90, 0x90 };
	struct trial trial;

	for (uint32_t i = 0; i < 16; i++)
		probe_apic_write(APIC_EOI, 0);
	probe_apic_write(APIC_TPR, 0);
	for (uint32_t i = 0; i < 2; i++) {
		trial_init(&trial, TRIAL_64_0, sti, sizeof(sti));
		trial.hook = end_of_interrupt;
		trial_run(&trial);
	}
}

static bool is_quiet(void)
{
	uint32_t any = 0;

	for (uint32_t i = 0; i < 8; i++)
		any |= probe_apic_read(APIC_ISR + 16 * i) | probe_apic_read(APIC_IRR + 16 * i);
	return !any;
}

static void window(enum trial_mode mode, const struct insn *insn, const struct pending *pending)
{
	struct trial_text key = { .length = 0 };
	struct trial trial;

	probe_apic_write(APIC_TPR, pending->tpr);
	for (uint32_t i = 0; i < SENT_MAX && pending->vectors[i]; i++)
		send_self(pending->vectors[i]);
	trial_init(&trial, mode, insn->bytes, insn->count);
	trial.hook = end_of_interrupt;
	trial.argument = pending->no_eoi ? &trial : NULL;
	trial.in.gpr[TRIAL_RAX] = insn->rax;
	trial.in.gpr[TRIAL_RCX] = 0x1b;
	trial.in.rflags |= insn->flags;
	/* A fault goes on behind the longest of them. */
	trial.landing = insn->count;
	trial_run(&trial);
	trial_print(&key, "window.%s.%s.%s", insn->name, pending->name, trial_mode_name(mode));
	trial_fact(key.text, &trial);
	trial_print(&key, ".after");
	fact(key.text, "tpr=%x ppr=%x cr8=%lx quiet=%u", probe_apic_read(APIC_TPR),
	     probe_apic_read(APIC_PPR), get_cr8(), is_quiet());
	clean_up();
}

static void windows_and_orders(void)
{
	for (uint32_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		window(TRIAL_64_0, &windows[i], &pendings[0]);
	for (uint32_t i = 1; i < sizeof(pendings) / sizeof(pendings[0]); i++)
		window(TRIAL_64_0, &windows[0], &pendings[i]);
	window(TRIAL_64_0, &lower_cr8, &pendings[7]);
	window(TRIAL_32_0, &windows[0], &pendings[1]);
	window(TRIAL_16_0, &windows[3], &pendings[0]);
	window(TRIAL_64_3, &windows[15], &pendings[1]);
	window(TRIAL_32_3, &windows[16], &pendings[1]);
}

/* TPR and CR8 are one. */
static void priorities(void)
{
	static const uint32_t values[] = { 0, 0x0f, 0x10, 0x35, 0x7f, 0xf0, 0xff, 0x1f0 };

	for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct trial_text key = { .length = 0 };

		trial_print(&key, "tpr.0x%x", values[i]);
		probe_apic_write(APIC_TPR, values[i]);
		fact(key.text, "tpr=%x ppr=%x cr8=%lx", probe_apic_read(APIC_TPR),
		     probe_apic_read(APIC_PPR), get_cr8());
		if (i >= 16)
			continue;
		set_cr8(values[i] & 0xf);
		trial_print(&key, ".as-cr8");
		fact(key.text, "tpr=%x ppr=%x cr8=%lx", probe_apic_read(APIC_TPR),
		     probe_apic_read(APIC_PPR), get_cr8());
	}
	probe_apic_write(APIC_TPR, 0);
}

/* --- NMIs --- */

static uint32_t nmi_count;

/* Sends more while it is blocked by the first; leaves the loop that waited for the first. */
static TRIAL_HANDLER void nmi_hook(struct trial *trial, struct trial_frame *frame)
{
	if (frame->vector != VECTOR_NMI) {
		end_of_interrupt(trial, frame);
		return;
	}
	if (!nmi_count++) {
		for (uint64_t i = 0; i < (uint64_t)trial->argument; i++)
			probe_apic_write(APIC_ICR, ICR_NMI);
	}
	if (frame->rip == trial->start + WAIT_OFFSET)
		frame->rip += 2;
}

static void nmis(void)
{
	/* MOV [RBX], EAX; JMP to itself; NOP; NOP. */
	static const struct insn codes[] = {
		{ "nop", { 0x89, 0x03, 0xeb, 0xfe, 0x90, 0x90 }, 6, 0, 0 },
		{ "cpuid", { 0x89, 0x03, 0xeb, 0xfe, 0x0f, 0xa2, 0x90 }, 7, 0, 0 },
		{ "sti", { 0x89, 0x03, 0xeb, 0xfe, 0xfb, 0x90, 0x90 }, 7, 0, 0 },
		{ "ss", { 0x89, 0x03, 0xeb, 0xfe, 0x8e, 0xd1, 0x90, 0x90 }, 8, 0, 0 },
		{ "ud", { 0x89, 0x03, 0xeb, 0xfe, 0x0f, 0x0b }, 6, 0, 0 },
		{ "enabled", { 0x89, 0x03, 0xeb, 0xfe, 0x90, 0x90 }, 6, 0, TRIAL_IF },
	};

	for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		for (uint32_t more = 0; more <= NMIS; more++) {
			for (enum trial_mode mode = TRIAL_64_0; mode <= TRIAL_32_3; mode++) {
				struct trial_text key = { .length = 0 };
				struct trial trial;

				if (more == 2)
					continue;
				trial_init(&trial, mode, codes[i].bytes, codes[i].count);
				trial.hook = nmi_hook;
				nmi_count = 0;
				trial.argument = (void *)(UINTN)more;
				trial.in.gpr[TRIAL_RAX] = ICR_NMI;
				trial.in.gpr[TRIAL_RCX] = trial.in.ss;
				trial.in.gpr[TRIAL_RBX] =
					(probe_apic_base() & ~UINT64_C(0xfff)) + APIC_ICR;
				trial.in.rflags |= codes[i].flags;
				if (codes[i].flags && more) {
					send_self(0x51);
					send_self(0x61);
				}
				probe_apic_write(APIC_ICR_HIGH, probe_cpus[0].apic_id << 24);
				trial_run(&trial);
				trial_print(&key, "nmi.%s.and-%u.%s", codes[i].name, more,
					    trial_mode_name(mode));
				trial_fact(key.text, &trial);
				clean_up();
			}
		}
	}
}

void facts_order(void)
{
	if (!(probe_apic_base() >> 11 & 1) || (probe_apic_base() >> 10 & 1)) {
		fact("order", "absent");
		return;
	}
	clean_up();
	priorities();
	windows_and_orders();
	nmis();
}
