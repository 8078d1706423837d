// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_interrupts/timers.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { APIC_TPR = 0x80, APIC_EOI = 0xb0, APIC_SVR = 0xf0, APIC_ISR = 0x100, APIC_IRR = 0x200 };
enum { APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_LVT_TIMER = 0x320, APIC_LVT_LINT0 = 0x350 };
enum { APIC_INITIAL = 0x380, APIC_CURRENT = 0x390, APIC_DIVIDE = 0x3e0, SVR_ENABLE = 0x100 };
enum { LVT_MASKED = 0x10000, LVT_PERIODIC = 0x20000, LVT_DEADLINE = 0x40000, LVT_EXTINT = 0x700 };
enum { DIVIDE_BY_1 = 0xb, TIMER_VECTOR = 0x61, PIN_VECTOR = 0x52, HPET_VECTOR = 0x62 };
enum { PIC_1 = 0x20, PIC_2 = 0xa0, PIC_BASE_1 = 0x68, PIC_BASE_2 = 0x70, PIC_EOI = 0x20 };
enum { PIT_CHANNEL_0 = 0x40, PIT_COMMAND = 0x43, PIT_ONE_SHOT = 0x30, PIT_PERIODIC = 0x34 };
enum {
	PIT_TICKS = 20000,
	IOAPIC = 0xfec00000,
	IOAPIC_PIN_0 = 0x10,
	IOAPIC_PIT = 2,
	IOAPIC_NMI = 0x400
};
enum { IOAPIC_LEVEL = 0x8000, IOAPIC_REMOTE_IRR = 0x4000, IOAPIC_MASKED = 0x10000 };
enum { HPET = 0xfed00000, HPET_CONFIG = 0x10, HPET_STATUS = 0x20, HPET_COUNTER = 0xf0 };
enum {
	HPET_TIMER_0 = 0x100,
	HPET_COMPARATOR_0 = 0x108,
	HPET_ENABLE = 1,
	HPET_LEVEL = 2,
	HPET_INT = 4
};
enum { MSR_TSC_DEADLINE = 0x6e0, CPUID_TSC_DEADLINE = 1 << 24, CPUID_MONITOR = 8, ENOUGH = 3 };
#define HPET_PERIOD_FS_MAX UINT64_C(100000000)
#define FS_PER_MS	   UINT64_C(1000000000000)

/* STI; HLT; CLI. Also an interrupt that is there already is taken behind HLT. */
static const uint8_t halt[] = { 0xfb, 0xf4, 0xfa };
static const uint8_t halts[] = { 0xfb, 0xf4, 0xf4, 0xf4, 0xfa };
static const uint8_t halt_blocked[] = { 0xf4, 0x90 };
/* MONITOR; XOR ECX, ECX; XOR EAX, EAX; STI; MWAIT until it is taken out of it; CLI */
static const uint8_t mwait[] = { 0x0f, 0x01, 0xc8, 0x31, 0xc9, 0x31, 0xc0,
				 0xfb, 0x0f, 0x01, 0xc9, 0xeb, 0xfb, 0xfa };
enum { MWAIT_END = 13, GUARD_VECTOR = 0x63, GUARD_COUNT = 100000000 };

/* Of the level-triggered pin, at its interrupt and behind its end. */
static struct {
	uint32_t pin, before, after;
	bool clears;
} level;

static volatile uint32_t *ioapic(uint32_t reg)
{
	volatile uint32_t *base = (volatile uint32_t *)(UINTN)IOAPIC;

	base[0] = reg;
	return base + 4;
}

static volatile uint64_t *hpet(uint32_t reg)
{
	return (volatile uint64_t *)(UINTN)(HPET + reg);
}

static uint32_t pin_state(void)
{
	return *ioapic(IOAPIC_PIN_0 + 2 * level.pin) & IOAPIC_REMOTE_IRR;
}

static TRIAL_HANDLER void end_of_interrupt(struct trial *trial, struct trial_frame *frame)
{
	if (frame->vector >= PIC_BASE_1 && frame->vector < PIC_BASE_2 + 8) {
		probe_outb(PIC_1, PIC_EOI);
		return;
	}
	if (frame->vector < 32)
		return;
	if (frame->vector == HPET_VECTOR) {
		level.before = pin_state();
		if (level.clears || trial->count > 1)
			*hpet(HPET_STATUS) = 1;
	}
	probe_apic_write(APIC_EOI, 0);
	if (trial->argument)
		frame->rip = trial->start + MWAIT_END;
	if (frame->vector == HPET_VECTOR)
		level.after = pin_state();
}

/* One more of a periodic timer may be there by chance. */
static void take_the_rest(void)
{
	struct trial trial;

	trial_init(&trial, TRIAL_64_0, halt, 1);
	trial.in.rflags |= TRIAL_IF;
	trial.hook = end_of_interrupt;
	trial_run(&trial);
}

/* For a timer that is not the APIC's own: should it never come, that one ends the waiting. */
static void guard(void)
{
	take_the_rest();
	probe_apic_write(APIC_LVT_TIMER, GUARD_VECTOR);
	probe_apic_write(APIC_INITIAL, GUARD_COUNT);
}

static void end_guard(void)
{
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | GUARD_VECTOR);
	probe_apic_write(APIC_INITIAL, 0);
}

static void wait(const char *key, const uint8_t *code, uint32_t bytes)
{
	struct trial trial;

	trial_init(&trial, TRIAL_64_0, code, bytes);
	trial.hook = end_of_interrupt;
	trial_run(&trial);
	trial_fact(key, &trial);
}

/* How often is chance: often enough. */
static void wait_often(const char *key)
{
	struct trial trial;

	trial_init(&trial, TRIAL_64_0, halts, sizeof(halts));
	trial.hook = end_of_interrupt;
	trial_run(&trial);
	fact(key, "0x%lx %s", trial.events[0].frame.vector,
	     trial.count >= ENOUGH ? "often" : "seldom");
}

/* --- the local APIC's timer --- */

static uint32_t is_requested(uint32_t vector)
{
	return probe_apic_read(APIC_IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static void apic_timer(void)
{
	probe_apic_write(APIC_DIVIDE, DIVIDE_BY_1);
	probe_apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	probe_apic_write(APIC_INITIAL, 100000);
	wait("apic-timer.one-shot", halt, sizeof(halt));
	fact("apic-timer.one-shot.count", "%x", probe_apic_read(APIC_CURRENT));
	probe_apic_write(APIC_INITIAL, 100000);
	wait("apic-timer.one-shot.again", halt, sizeof(halt));
	probe_apic_write(APIC_LVT_TIMER, LVT_PERIODIC | TIMER_VECTOR);
	probe_apic_write(APIC_INITIAL, 300000);
	wait_often("apic-timer.periodic");
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
	probe_apic_write(APIC_INITIAL, 0);
	take_the_rest();
	fact("apic-timer.stopped.count", "%x", probe_apic_read(APIC_CURRENT));
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
	probe_apic_write(APIC_INITIAL, 1000);
	while (probe_apic_read(APIC_CURRENT))
		__asm__ volatile("pause");
	fact("apic-timer.masked.requested", "%u", is_requested(TIMER_VECTOR));
}

static void mwait_wakes(void)
{
	struct trial trial;
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_MONITOR)) {
		fact("mwait", "absent");
		return;
	}
	probe_apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	probe_apic_write(APIC_INITIAL, 3000000);
	trial_init(&trial, TRIAL_64_0, mwait, sizeof(mwait));
	trial.hook = end_of_interrupt;
	trial.argument = &trial;
	trial.in.gpr[TRIAL_RAX] = ARENA_DATA;
	trial_run(&trial);
	fact("mwait.apic-timer", "0x%lx", trial.events[0].frame.vector);
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
}

static const char *armed(void)
{
	return probe_rdmsr(MSR_TSC_DEADLINE) ? "not zero" : "zero";
}

static void deadline(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	if (!(regs[2] & CPUID_TSC_DEADLINE)) {
		fact("deadline", "absent");
		return;
	}
	probe_apic_write(APIC_LVT_TIMER, LVT_DEADLINE | TIMER_VECTOR);
	__asm__ volatile("mfence" : : : "memory");
	fact("deadline.unarmed", "%s", armed());
	probe_wrmsr(MSR_TSC_DEADLINE, probe_rdtsc() + 1000000);
	wait("deadline.soon", halt, sizeof(halt));
	fact("deadline.soon.after", "%s", armed());
	probe_wrmsr(MSR_TSC_DEADLINE, 1);
	wait("deadline.past", halt, sizeof(halt));
	probe_wrmsr(MSR_TSC_DEADLINE, ~UINT64_C(0));
	fact("deadline.never", "%lx", probe_rdmsr(MSR_TSC_DEADLINE));
	probe_wrmsr(MSR_TSC_DEADLINE, 0);
	fact("deadline.disarmed", "%lx requested=%u", probe_rdmsr(MSR_TSC_DEADLINE),
	     is_requested(TIMER_VECTOR));
	probe_apic_write(APIC_INITIAL, 1000);
	fact("deadline.count", "%x %x", probe_apic_read(APIC_INITIAL),
	     probe_apic_read(APIC_CURRENT));
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | LVT_DEADLINE | TIMER_VECTOR);
	probe_wrmsr(MSR_TSC_DEADLINE, 1);
	fact("deadline.masked", "requested=%u", is_requested(TIMER_VECTOR));
	probe_wrmsr(MSR_TSC_DEADLINE, 0);
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
}

/* --- its registers --- */

static void registers(void)
{
	const uint32_t svr = probe_apic_read(APIC_SVR);

	for (uint32_t reg = APIC_LVT_TIMER; reg <= 0x370; reg += 0x10) {
		struct trial_text key = { .length = 0 };
		const uint32_t old = probe_apic_read(reg);
		uint32_t ones, zero;

		probe_apic_write(reg, 0xffffffff);
		ones = probe_apic_read(reg);
		probe_apic_write(reg, LVT_MASKED);
		zero = probe_apic_read(reg);
		trial_print(&key, "register.0x%x", reg);
		fact(key.text, "ones=%x masked=%x", ones, zero);
		probe_apic_write(reg, old);
	}
	probe_apic_write(APIC_SVR, 0xffffffff);
	fact("register.svr.ones", "%x", probe_apic_read(APIC_SVR));
	probe_apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	probe_apic_write(APIC_SVR, svr & ~(uint32_t)SVR_ENABLE);
	fact("register.disabled.timer", "%x", probe_apic_read(APIC_LVT_TIMER));
	probe_apic_write(APIC_LVT_TIMER, TIMER_VECTOR);
	fact("register.disabled.timer.written", "%x", probe_apic_read(APIC_LVT_TIMER));
	probe_apic_write(APIC_SVR, svr);
	fact("register.enabled.timer", "%x", probe_apic_read(APIC_LVT_TIMER));
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | TIMER_VECTOR);
	probe_apic_write(APIC_ESR, 0);
	probe_icr(0, 0x40000 | 5);
	probe_apic_write(APIC_ESR, 0);
	fact("register.esr.illegal-vector", "%x", probe_apic_read(APIC_ESR));
	probe_apic_write(APIC_ESR, 0);
	fact("register.esr.after", "%x", probe_apic_read(APIC_ESR));
	take_the_rest(); /* QEMU has it delivered all the same */
	fact("register.icr", "%x", probe_apic_read(APIC_ICR));
	/* What can only be read takes no harm. The firmware's count is not to go on. */
	probe_apic_write(APIC_INITIAL, 0);
	probe_apic_write(APIC_ISR, 0xffffffff);
	probe_apic_write(APIC_CURRENT, 0xffffffff);
	fact("register.read-only", "%x %x", probe_apic_read(APIC_ISR),
	     probe_apic_read(APIC_CURRENT));
	for (uint32_t value = 0; value < 16; value++) {
		struct trial_text key = { .length = 0 };

		probe_apic_write(APIC_DIVIDE, value);
		trial_print(&key, "register.divide.%u", value);
		fact(key.text, "%x", probe_apic_read(APIC_DIVIDE));
	}
}

/* --- PIT --- */

static void pit(uint8_t mode)
{
	probe_outb(PIT_COMMAND, mode);
	probe_outb(PIT_CHANNEL_0, PIT_TICKS & 0xff);
	probe_outb(PIT_CHANNEL_0, PIT_TICKS >> 8);
}

/* As OVMF has it, should it use the PIC at all. */
static void start_pic(void)
{
	const uint8_t masks[] = { probe_inb(PIC_1 + 1), probe_inb(PIC_2 + 1) };

	probe_outb(PIC_1, 0x11);
	probe_outb(PIC_1 + 1, PIC_BASE_1);
	probe_outb(PIC_1 + 1, 4);
	probe_outb(PIC_1 + 1, 1);
	probe_outb(PIC_2, 0x11);
	probe_outb(PIC_2 + 1, PIC_BASE_2);
	probe_outb(PIC_2 + 1, 2);
	probe_outb(PIC_2 + 1, 1);
	probe_outb(PIC_1 + 1, masks[0]);
	probe_outb(PIC_2 + 1, masks[1]);
}

static void pit_by_pic(void)
{
	const uint32_t lint0 = probe_apic_read(APIC_LVT_LINT0);

	start_pic();
	guard();
	pit(PIT_ONE_SHOT);
	probe_apic_write(APIC_LVT_LINT0, LVT_EXTINT);
	probe_outb(PIC_1 + 1, 0xfe);
	wait("pit.pic", halt, sizeof(halt));
	probe_outb(PIC_1, 0x0b);
	fact("pit.pic.in-service", "%x", probe_inb(PIC_1));
	guard();
	/* External interrupts of the PIC do not look at the task priority. */
	probe_apic_write(APIC_TPR, 0xff);
	pit(PIT_ONE_SHOT);
	wait("pit.pic.priority", halt, sizeof(halt));
	probe_apic_write(APIC_TPR, 0);
	pit(PIT_PERIODIC);
	wait_often("pit.pic.periodic");
	probe_outb(PIC_1 + 1, 0xff);
	pit(PIT_ONE_SHOT);
	probe_apic_write(APIC_LVT_LINT0, lint0);
	end_guard();
}

static void route(uint32_t pin, uint32_t low)
{
	*ioapic(IOAPIC_PIN_0 + 2 * pin + 1) = probe_cpus[0].apic_id << 24;
	*ioapic(IOAPIC_PIN_0 + 2 * pin) = low;
}

/* An NMI wakes, whatever RFLAGS.IF. One that came too early has a successor. */
static uint64_t pit_by_nmi(const uint8_t *code, uint32_t bytes)
{
	struct trial trial;

	trial_init(&trial, TRIAL_64_0, code, bytes);
	trial.hook = end_of_interrupt;
	guard();
	pit(PIT_PERIODIC);
	route(IOAPIC_PIT, IOAPIC_NMI);
	trial_run(&trial);
	route(IOAPIC_PIT, IOAPIC_MASKED);
	end_guard();
	return trial.events[0].frame.vector;
}

static void pit_by_ioapic(void)
{
	uint64_t vector;

	guard();
	pit(PIT_ONE_SHOT);
	route(IOAPIC_PIT, PIN_VECTOR);
	wait("pit.ioapic", halt, sizeof(halt));
	guard();
	pit(PIT_PERIODIC);
	wait_often("pit.ioapic.periodic");
	route(IOAPIC_PIT, IOAPIC_MASKED);
	end_guard();
	vector = pit_by_nmi(halt, sizeof(halt));
	fact("pit.nmi.enabled", "%lx", vector);
	/* Nothing else would wake it. */
	if (vector == VECTOR_NMI)
		fact("pit.nmi.disabled", "%lx", pit_by_nmi(halt_blocked, sizeof(halt_blocked)));
	pit(PIT_ONE_SHOT);
}

/* --- HPET --- */

static void hpet_shot(uint64_t config, uint64_t ticks)
{
	*hpet(HPET_TIMER_0) = config;
	*hpet(HPET_STATUS) = 1;
	*hpet(HPET_COMPARATOR_0) = (uint32_t)(*hpet(HPET_COUNTER) + ticks);
}

static void hpet_level(const char *key, uint64_t config, uint64_t ticks, bool clears)
{
	struct trial_text sub = { .length = 0 };

	level.clears = clears;
	level.before = level.after = 0;
	hpet_shot(config | HPET_LEVEL | HPET_INT, ticks);
	guard();
	route(level.pin, HPET_VECTOR | IOAPIC_LEVEL);
	wait(key, halt, sizeof(halt));
	*hpet(HPET_TIMER_0) = 0;
	*hpet(HPET_STATUS) = 1;
	route(level.pin, IOAPIC_MASKED);
	trial_print(&sub, "%s.remote-irr", key);
	fact(sub.text, "in service %u, ended %u", level.before != 0, level.after != 0);
}

static void hpet_timer(void)
{
	const uint64_t capability = *hpet(0), period = capability >> 32,
		       pins = *hpet(HPET_TIMER_0) >> 32;
	uint64_t old, config, ticks;

	if (!period || period > HPET_PERIOD_FS_MAX || !pins) {
		fact("hpet", "absent");
		return;
	}
	/* The PIT's pin is not taken. */
	for (level.pin = 23; level.pin > 3 && !(pins >> level.pin & 1); level.pin--)
		;
	ticks = 2 * FS_PER_MS / period;
	old = *hpet(HPET_CONFIG);
	*hpet(HPET_CONFIG) = HPET_ENABLE;
	config = (uint64_t)level.pin << 9;
	fact("hpet.pin", "%u", level.pin);
	hpet_shot(config | HPET_INT, ticks);
	guard();
	route(level.pin, PIN_VECTOR);
	wait("hpet.edge", halt, sizeof(halt));
	*hpet(HPET_TIMER_0) = 0;
	route(level.pin, IOAPIC_MASKED);
	hpet_level("hpet.level", config, ticks, true);
	/* Still asserted at its end: it comes again. */
	hpet_level("hpet.level.again", config, ticks, false);
	*hpet(HPET_CONFIG) = old;
	end_guard();
}

void facts_timers(void)
{
	if (!(probe_apic_base() >> 11 & 1) || (probe_apic_base() >> 10 & 1)) {
		fact("timers", "absent");
		return;
	}
	registers();
	apic_timer();
	mwait_wakes();
	deadline();
	pit_by_pic();
	pit_by_ioapic();
	hpet_timer();
}
