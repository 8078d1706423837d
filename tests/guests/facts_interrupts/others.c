// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_interrupts/others.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { APIC_TPR = 0x80, APIC_LDR = 0xd0, APIC_DFR = 0xe0, APIC_SVR = 0xf0 };
enum {
	VECTOR = 0x71,
	LOW_VECTOR = 0x70,
	POLLS = 2000,
	PATIENT_POLLS = 30000,
	POLL_US = 100,
	QUIET_US = 20000
};
enum { FIXED = 0x4000, LOWEST = 0x4100, NMI = 0x4400, LOGICAL = 0x800 };
enum { TO_SELF = 0x40000, TO_ALL = 0x80000, TO_OTHERS = 0xc0000, BROADCAST = 0xff };
#define DFR_FLAT UINT32_MAX
/* What the other CPUs do meanwhile. */
enum deed { DEED_NONE, DEED_SPIN, DEED_HALT, DEED_HALT_BLOCKED, DEED_LEAVE };

static uint32_t deed, ready[PROBE_CPUS_MAX], woken[PROBE_CPUS_MAX];
static uint32_t nmi_may_end, nmis_inside;

static uint32_t load(const uint32_t *value)
{
	return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static void store(uint32_t *value, uint32_t to)
{
	__atomic_store_n(value, to, __ATOMIC_SEQ_CST);
}

static void set_up_apic(uint32_t index)
{
	probe_apic_write(APIC_SVR, 0x1ff);
	probe_apic_write(APIC_TPR, 0);
	probe_apic_write(APIC_DFR, DFR_FLAT);
	probe_apic_write(APIC_LDR, 1u << (24 + index));
}

/* Until it is told to leave. A halted one says how often it was woken. */
static void serve(void *argument)
{
	const struct probe_cpu *cpu = probe_this_cpu();
	const uint32_t me = cpu->index;

	(void)argument;
	set_up_apic(me);
	for (;;) {
		const uint32_t now = load(&deed);

		store(&ready[me], now);
		switch (now) {
		case DEED_LEAVE:
			return;
		case DEED_HALT:
			__asm__ volatile("sti; hlt; cli" : : : "memory");
			__atomic_add_fetch(&woken[me], 1, __ATOMIC_SEQ_CST);
			break;
		case DEED_HALT_BLOCKED:
			__asm__ volatile("cli; hlt" : : : "memory");
			__atomic_add_fetch(&woken[me], 1, __ATOMIC_SEQ_CST);
			break;
		default:
			__asm__ volatile("sti; pause; pause; cli" : : : "memory");
			break;
		}
	}
}

static bool all_ready(uint32_t wanted)
{
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		if (load(&ready[i]) != wanted)
			return false;
	}
	return true;
}

static uint64_t count_of(uint32_t index, uint32_t vector)
{
	return *(volatile uint64_t *)&probe_cpus[index].counts[vector];
}

/*
 * Whatever was sent before is there by now, however slow the others are: an interrupt of lower priority has been taken
 * by each of them.
 */
static void settle(void)
{
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		const uint64_t before = count_of(i, LOW_VECTOR);

		probe_icr(probe_cpus[i].apic_id, FIXED | LOW_VECTOR);
		for (uint32_t j = 0; j < PATIENT_POLLS && count_of(i, LOW_VECTOR) == before; j++)
			probe_stall(POLL_US);
	}
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

/* Those that halt have to be woken to hear of it; those that spin are not disturbed. */
static void tell(uint32_t wanted)
{
	const bool must_wake = load(&deed) != DEED_SPIN;

	store(&deed, wanted);
	for (uint32_t i = 0; i < PATIENT_POLLS && !all_ready(wanted); i++) {
		if (must_wake)
			probe_icr(0, TO_OTHERS | NMI);
		probe_stall(POLL_US);
	}
	if (wanted == DEED_SPIN)
		settle();
	else
		probe_stall(QUIET_US); /* it says so before it halts */
}

static void clear_counts(void)
{
	for (uint32_t i = 0; i < probe_cpu_count; i++) {
		store(&woken[i], 0);
		probe_cpus[i].counts[VECTOR] = probe_cpus[i].counts[VECTOR_NMI] = 0;
	}
}

/* How often each CPU has had it, in the order of their numbers; lowest priority: how often all together. */
static void count_fact(const char *prefix, const char *name, uint32_t vector, bool sum)
{
	struct trial_text text = { .length = 0 }, key = { .length = 0 };
	uint64_t total = 0;

	settle();
	for (uint32_t i = 0; i < probe_cpu_count; i++) {
		const uint64_t count = count_of(i, vector);

		total += count;
		trial_print(&text, " %lu", count);
	}
	trial_print(&key, "%s.%s", prefix, name);
	if (sum)
		fact(key.text, "%lu in all", total);
	else
		fact(key.text, "%s", text.text + 1);
	clear_counts();
}

struct message {
	const char *name;
	uint32_t destination, low;
	bool sum;
};

static const struct message messages[] = {
	{ "self", 0, TO_SELF | FIXED | VECTOR, false },
	{ "all", 0, TO_ALL | FIXED | VECTOR, false },
	{ "others", 0, TO_OTHERS | FIXED | VECTOR, false },
	{ "broadcast", BROADCAST, FIXED | VECTOR, false },
	{ "nobody", 0x7e, FIXED | VECTOR, false },
	{ "logical-1", 1, LOGICAL | FIXED | VECTOR, false },
	{ "logical-2", 2, LOGICAL | FIXED | VECTOR, false },
	{ "logical-3", 3, LOGICAL | FIXED | VECTOR, false },
	{ "logical-all", BROADCAST, LOGICAL | FIXED | VECTOR, false },
	{ "logical-none", 0, LOGICAL | FIXED | VECTOR, false },
	{ "lowest-2", 2, LOGICAL | LOWEST | VECTOR, false },
	{ "lowest-all", BROADCAST, LOGICAL | LOWEST | VECTOR, true },
	{ "lowest-others", 0, TO_OTHERS | LOWEST | VECTOR, true },
};

static void send_all(const char *prefix)
{
	for (uint32_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		probe_icr(messages[i].destination, messages[i].low);
		count_fact(prefix, messages[i].name, VECTOR, messages[i].sum);
	}
	for (uint32_t i = 0; i < probe_cpu_count; i++) {
		struct trial_text name = { .length = 0 };

		trial_print(&name, "cpu%u", i);
		probe_icr(probe_cpus[i].apic_id, FIXED | VECTOR);
		count_fact(prefix, name.text, VECTOR, false);
		trial_print(&name, "-nmi");
		probe_icr(probe_cpus[i].apic_id, NMI);
		count_fact(prefix, name.text, VECTOR_NMI, false);
	}
	probe_icr(0, TO_OTHERS | NMI);
	count_fact(prefix, "others-nmi", VECTOR_NMI, false);
	probe_icr(3, LOGICAL | NMI);
	count_fact(prefix, "logical-3-nmi", VECTOR_NMI, false);
}

/* --- NMIs while one is handled --- */

static __attribute__((target("general-regs-only"))) void stay_in_nmi(struct probe_cpu *cpu)
{
	if (!cpu->index)
		return;
	__atomic_add_fetch(&nmis_inside, 1, __ATOMIC_SEQ_CST);
	while (!load(&nmi_may_end))
		__asm__ volatile("pause");
}

static void blocked_nmis(uint32_t more)
{
	struct trial_text name = { .length = 0 };

	store(&nmi_may_end, 0);
	store(&nmis_inside, 0);
	probe_nmi_hook = stay_in_nmi;
	probe_icr(probe_cpus[1].apic_id, NMI);
	for (uint32_t i = 0; i < POLLS && !load(&nmis_inside); i++)
		probe_stall(POLL_US);
	for (uint32_t i = 0; i < more; i++) {
		probe_icr(probe_cpus[1].apic_id, NMI);
		probe_icr(probe_cpus[1].apic_id, FIXED | VECTOR);
	}
	store(&nmi_may_end, 1);
	settle();
	probe_nmi_hook = NULL;
	trial_print(&name, "nmi.blocked.interrupts-and-%u", more);
	fact(name.text, "%lu", count_of(1, VECTOR));
	name.length = 0;
	trial_print(&name, "and-%u", more);
	count_fact("nmi.blocked", name.text, VECTOR_NMI, false);
}

/* --- who wakes up --- */

static void wake_fact(const char *name, const char *what, uint64_t value)
{
	struct trial_text key = { .length = 0 };

	trial_print(&key, "wakes.%s.%s", name, what);
	fact(key.text, "%lu", value);
}

static void wait_for_waking(uint32_t before)
{
	for (uint32_t i = 0; i < POLLS && load(&woken[1]) == before; i++)
		probe_stall(POLL_US);
	/* And perhaps once more than it should. */
	probe_stall(QUIET_US);
}

static void wakes(const char *name, uint32_t how)
{
	uint32_t was;

	tell(how);
	clear_counts();
	probe_icr(probe_cpus[1].apic_id, FIXED | VECTOR);
	wait_for_waking(0);
	wake_fact(name, "interrupt", load(&woken[1]));
	was = load(&woken[1]);
	probe_icr(probe_cpus[1].apic_id, NMI);
	wait_for_waking(was);
	wake_fact(name, "nmi", load(&woken[1]));
	tell(DEED_SPIN);
	settle();
	wake_fact(name, "taken", count_of(1, VECTOR));
	clear_counts();
}

static void with_others(void)
{
	static const uint32_t more[] = { 0, 1, 3 };

	for (uint32_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		blocked_nmis(more[i]);
	wakes("halt", DEED_HALT);
	wakes("halt-blocked", DEED_HALT_BLOCKED);
	tell(DEED_HALT);
	clear_counts();
	send_all("halted");
}

void facts_others(void)
{
	const uint32_t ldr = probe_apic_read(APIC_LDR), dfr = probe_apic_read(APIC_DFR);
	const uint32_t svr = probe_apic_read(APIC_SVR);

	if (!(probe_apic_base() >> 11 & 1) || (probe_apic_base() >> 10 & 1)) {
		fact("others", "absent");
		return;
	}
	set_up_apic(0);
	fact("ldr", "%x", probe_apic_read(APIC_LDR));
	fact("dfr", "%x", probe_apic_read(APIC_DFR));
	store(&deed, DEED_SPIN);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		if (!probe_start_and_wait(i, serve, NULL))
			fact("start", "cpu %u does not", i);
	}
	tell(DEED_SPIN);
	clear_counts();
	send_all("spinning");
	if (probe_cpu_count > 1)
		with_others();
	tell(DEED_LEAVE);
	probe_apic_write(APIC_LDR, ldr);
	probe_apic_write(APIC_DFR, dfr);
	probe_apic_write(APIC_SVR, svr);
}
