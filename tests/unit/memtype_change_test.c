/* SPDX-License-Identifier: BSD-2-Clause */
// sources: vmexit/memtype_change.c mm/tdp_mmu.c mm/flush_model.c mm/page_table.c mm/page_format.c mm/memtype.c
// sources: mm/pool.c mm/layout.c
/* CPUs that change their MTRRs by the manual's procedure, and less carefully: one rebuild for each new map. */
#include "tests/unit/mm_test.h"

#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/log.h"
#include "core/mtrr.h"
#include "vmexit/memtype_change.h"
#include "vmexit/nested_fault.h"

#define CPUS  4u
#define GIB   (UINT64_C(1) << 30)
#define VALID 0x800u
#define E     0x800u

struct hv_caps hv_caps;

static struct pool pool;
static struct vm vm;
static struct vcpu vcpus[CPUS];
static struct mtrr_state registers[CPUS];
static uint64_t cr0[CPUS];
static unsigned flushes, reading;

uint64_t cr0_read(struct vcpu *vcpu)
{
	reading = vcpu->index;
	return cr0[vcpu->index];
}

void mtrr_read(struct mtrr_state *mtrr, unsigned maxphyaddr)
{
	*mtrr = registers[reading];
}

void tdp_flush_all(struct vcpu *vcpu)
{
	flushes++;
}

void log_write(enum boot_log_level level, const char *format, ...)
{
}

void wbinvd(void)
{
}

static struct mtrr_state boot_map(void)
{
	struct mtrr_state m = { .cap = 0x108, .variable_count = 8, .maxphyaddr = 40 };

	m.def_type = E | MEMTYPE_WB;
	m.base[0] = 2 * GIB | MEMTYPE_UC;
	m.mask[0] = ((GIB * 1024 - 1) & ~(2 * GIB - 1)) | VALID;
	return m;
}

static void setup(void)
{
	struct page_format format;

	arena_make(&pool, 200);
	memset(&vm, 0, sizeof(vm));
	memset(vcpus, 0, sizeof(vcpus));
	page_format_init(&format, PAGE_FORMAT_EPT, 4, 2, 40);
	for (unsigned i = 0; i < CPUS; i++) {
		vcpus[i].vm = &vm;
		vcpus[i].index = i;
		registers[i] = boot_map();
		cr0[i] = 0;
	}
	assert_true(tdp_mmu_init(&vm.tdp, &format, &pool, &registers[0], 8 * GIB, GIB * 1024));
	flushes = 0;
}

/* --- what a guest does --- */

enum action { SET_CD, CLEAR_CD, SET_E, CLEAR_E, SET_BASE, SET_MASK, DONE };

struct action_step {
	enum action action;
	unsigned index;
	uint64_t value;
};

static void act(unsigned cpu, const struct action_step *step)
{
	struct mtrr_state *m = &registers[cpu];

	switch (step->action) {
	case SET_CD:
		cr0[cpu] |= CR0_CD;
		return;
	case CLEAR_CD:
		cr0[cpu] &= ~(uint64_t)CR0_CD;
		reading = cpu;
		memtype_caching_enabled(&vcpus[cpu]);
		return;
	case SET_E:
		m->def_type |= E;
		break;
	case CLEAR_E:
		m->def_type &= ~(uint64_t)E;
		break;
	case SET_BASE:
		m->base[step->index] = step->value;
		break;
	case SET_MASK:
		m->mask[step->index] = step->value;
		break;
	case DONE:
		return;
	}
	memtype_mtrr_written(&vcpus[cpu]);
}

/* SDM: "MTRR Considerations in MP Systems". */
#define BY_THE_BOOK(...)                                                           \
	{                                                                          \
		{ SET_CD, 0, 0 }, { CLEAR_E, 0, 0 }, __VA_ARGS__, { SET_E, 0, 0 }, \
			{ CLEAR_CD, 0, 0 },                                        \
		{                                                                  \
			DONE, 0, 0                                                 \
		}                                                                  \
	}

#define MASK_256M (((GIB * 1024 - 1) & ~(GIB / 4 - 1)) | VALID)

static const struct action_step write_combining[] =
	BY_THE_BOOK({ SET_BASE, 1, GIB | MEMTYPE_WC }, { SET_MASK, 1, MASK_256M });
static const struct action_step write_through[] =
	BY_THE_BOOK({ SET_BASE, 1, GIB | MEMTYPE_WT }, { SET_MASK, 1, MASK_256M });
/* Another register says what the default says anyway. */
static const struct action_step nothing_new[] =
	BY_THE_BOOK({ SET_BASE, 2, 5 * GIB | MEMTYPE_WB }, { SET_MASK, 2, MASK_256M });
/* Opened and closed without a change. */
static const struct action_step nothing_at_all[] = BY_THE_BOOK({ SET_BASE, 7, 0 });
/* Without CR0.CD, as some systems do. */
static const struct action_step by_e_alone[] = { { CLEAR_E, 0, 0 },
						 { SET_BASE, 1, GIB | MEMTYPE_WC },
						 { SET_MASK, 1, MASK_256M },
						 { SET_E, 0, 0 },
						 { DONE, 0, 0 } };

static void run_alone(unsigned cpu, const struct action_step *steps)
{
	for (; steps->action != DONE; steps++)
		act(cpu, steps);
}

/* All CPUs, one action at a time in random order. */
static void run_all(const struct action_step *const steps[CPUS])
{
	const struct action_step *at[CPUS];
	unsigned running = CPUS;

	memcpy(at, steps, sizeof(at));
	while (running > 0) {
		unsigned cpu = (unsigned)random_below(CPUS);

		if (at[cpu]->action == DONE)
			continue;
		act(cpu, at[cpu]++);
		running -= at[cpu]->action == DONE;
	}
}

static void check_map(const struct mtrr_state *want)
{
	for (uint64_t gpa = 0; gpa < 8 * GIB; gpa += GIB / 8) {
		struct page_mapping mapping;

		assert_true(page_table_lookup(&vm.tdp.table, gpa, &mapping));
		assert_int_equal(mapping.type, mtrr_type(want, gpa));
	}
}

static void one_cpu_at_a_time(void **state)
{
	uint64_t before;

	(void)state;
	setup();
	before = memtype_rebuilds();
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		run_alone(cpu, write_combining);
		assert_int_equal(memtype_rebuilds() - before, 1);
		check_map(&registers[0]);
	}
	assert_int_equal(flushes, 1);
	assert_int_equal(mtrr_type(&vm.tdp.mtrr, GIB), MEMTYPE_WC);
	for (unsigned cpu = CPUS; cpu-- > 0;)
		run_alone(cpu, write_through);
	assert_int_equal(memtype_rebuilds() - before, 2);
	check_map(&registers[0]);
}

static void all_at_once(void **state)
{
	static const struct action_step *const all[][CPUS] = {
		{ write_combining, write_combining, write_combining, write_combining },
		{ write_through, write_through, write_through, write_through },
		{ by_e_alone, by_e_alone, by_e_alone, by_e_alone },
	};

	(void)state;
	for (unsigned i = 0; i < test_rounds(100); i++) {
		uint64_t before = memtype_rebuilds();

		setup();
		run_all(all[0]);
		assert_int_equal(memtype_rebuilds() - before, 1);
		check_map(&registers[1]);
		run_all(all[1]);
		assert_int_equal(memtype_rebuilds() - before, 2);
		run_all(all[1]);
		assert_int_equal(memtype_rebuilds() - before, 2);
		check_map(&registers[2]);
		run_all(all[2]);
		assert_int_equal(memtype_rebuilds() - before, 3);
		check_map(&registers[3]);
		assert_int_equal(flushes, 3);
	}
}

/* Others that only pass through the transient, or write registers that make no difference, rebuild nothing. */
static void nothing_is_rebuilt_for_nothing(void **state)
{
	uint64_t before = memtype_rebuilds();

	(void)state;
	setup();
	for (unsigned cpu = 0; cpu < CPUS; cpu++) {
		run_alone(cpu, nothing_at_all);
		run_alone(cpu, nothing_new);
	}
	assert_int_equal(memtype_rebuilds(), before);
	assert_int_equal(flushes, 0);
	setup();
	run_alone(0, write_combining);
	run_alone(3, nothing_at_all); /* still with the old map */
	assert_int_equal(memtype_rebuilds() - before, 1);
	check_map(&registers[0]);
}

/* In the transient the registers say nothing: not while E is clear, not while caching is off. */
static void transients_are_ignored(void **state)
{
	struct mtrr_state boot = boot_map();
	uint64_t before = memtype_rebuilds();

	(void)state;
	setup();
	for (const struct action_step *step = write_combining; step->action != CLEAR_CD; step++) {
		act(2, step);
		assert_int_equal(memtype_rebuilds(), before);
		check_map(&boot);
	}
	act(2, &(struct action_step){ CLEAR_CD, 0, 0 });
	assert_int_equal(memtype_rebuilds() - before, 1);
	check_map(&registers[2]);
	/* enabled, one register at a time: each is a finished change */
	act(2, &(struct action_step){ SET_MASK, 1, 0 });
	assert_int_equal(memtype_rebuilds() - before, 2);
	check_map(&boot);
}

/* On NPT nothing follows the MTRRs. */
static void untyped_maps_stay(void **state)
{
	(void)state;
	setup();
	vm.tdp.typed = false;
	run_alone(0, write_combining);
	assert_int_equal(flushes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_cpu_at_a_time),
		cmocka_unit_test(all_at_once),
		cmocka_unit_test(nothing_is_rebuilt_for_nothing),
		cmocka_unit_test(transients_are_ignored),
		cmocka_unit_test(untyped_maps_stay),
	};
	int failures;

	hv_caps.maxphyaddr = 40;
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	free(arena);
	return failures;
}
