/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/track/types.h"

#include "tests/guests/track/area.h"
#include "tests/guests/track/together.h"

enum { MSR_MTRRCAP = 0xfe, MSR_MTRR_BASE0 = 0x200, MSR_MTRR_DEF_TYPE = 0x2ff };
enum { TYPE_WC = 1, TYPE_WT = 4, TYPE_WB = 6, MTRR_VALID = 0x800, MTRR_E = 0x800 };

struct type_change {
	uint32_t msr; /* the base of a free pair */
	uint64_t base, mask;
	bool with_cd; /* by the manual's procedure; else MTRRdefType.E alone */
};

static struct type_change type_change;

static void set_cr0(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

/* SDM: "MTRR Considerations in MP Systems". */
static void change_own(void)
{
	const struct type_change *change = &type_change;
	const uint64_t def_type = probe_rdmsr(MSR_MTRR_DEF_TYPE);
	uint64_t cr0, cr3;

	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1" : "=r"(cr0), "=r"(cr3));
	if (change->with_cd) {
		set_cr0((cr0 | 1u << 30) & ~UINT64_C(0x20000000));
		__asm__ volatile("wbinvd; mov %0, %%cr3" : : "r"(cr3) : "memory");
	}
	probe_wrmsr(MSR_MTRR_DEF_TYPE, def_type & ~(uint64_t)MTRR_E);
	probe_wrmsr(change->msr, change->base);
	probe_wrmsr(change->msr + 1, change->mask);
	probe_wrmsr(MSR_MTRR_DEF_TYPE, def_type);
	if (change->with_cd) {
		__asm__ volatile("wbinvd; mov %0, %%cr3" : : "r"(cr3) : "memory");
		set_cr0(cr0);
	}
}

static void change_together(void *argument)
{
	(void)argument;
	together_start();
	change_own();
}

static uint64_t type_at(const uint8_t *at)
{
	return area_lookup(at) >> TRACK_CALL_TYPE_SHIFT & 0xff;
}

static uint64_t rebuilds(void)
{
	return area_ask(TRACK_CALL_REBUILDS, 0, 0);
}

static uint32_t free_pair(void)
{
	const uint32_t count = (uint32_t)probe_rdmsr(MSR_MTRRCAP) & 0xff;

	for (uint32_t i = 0; i < count; i++) {
		if (!(probe_rdmsr(MSR_MTRR_BASE0 + 2 * i + 1) & MTRR_VALID))
			return MSR_MTRR_BASE0 + 2 * i;
	}
	return 0;
}

/* All CPUs at once, or this one alone and then the others with the same. */
static void check_change(const char *name, bool all, uint64_t expected_type,
			 uint64_t expected_rebuilds)
{
	const uint64_t before = rebuilds();

	if (!all) {
		change_own();
		probe_check(rebuilds() - before == expected_rebuilds, name,
			    "%lu rebuilds by one CPU", rebuilds() - before);
	}
	probe_check(together_run(change_together, change_together, 20000) == probe_cpu_count, name,
		    "a CPU has not come back");
	probe_check(rebuilds() - before == expected_rebuilds, name, "%lu rebuilds",
		    rebuilds() - before);
	probe_check(type_at(area) == expected_type, name, "type %lu", type_at(area));
	probe_check(type_at(area + LARGE) == TYPE_WB && type_at(area - PAGE) == TYPE_WB, name,
		    "the neighbours are %lu and %lu", type_at(area + LARGE), type_at(area - PAGE));
}

void types_check(void)
{
	const uint64_t before = area_lookup(area);
	uint32_t regs[4];
	uint64_t reach;

	probe_cpuid(0x80000008, 0, regs);
	reach = (UINT64_C(1) << (regs[0] & 0xff)) - 1;
	type_change.msr = free_pair();
	if (!probe_check(type_change.msr != 0 && type_at(area) == TYPE_WB, "types-start",
			 "type %lu", type_at(area)))
		return;
	for (uint32_t i = 0; i < 2; i++) {
		type_change.with_cd = i == 0;
		type_change.mask = (~(uint64_t)(LARGE - 1) & reach) | MTRR_VALID;
		type_change.base = (uint64_t)area | TYPE_WT;
		check_change("write-through", i == 0, TYPE_WT, 1);
		check_change("write-through-again", true, TYPE_WT, 0);
		type_change.base = (uint64_t)area | TYPE_WC;
		check_change("write-combining", i != 0, TYPE_WC, 1);
		/* says what the default says: another register, the same map, once the range is back */
		type_change.base = (uint64_t)area | TYPE_WB;
		check_change("write-back", true, TYPE_WB, 1);
		type_change.base = 0;
		type_change.mask = 0;
		check_change("nothing-new", false, TYPE_WB, 0);
	}
	probe_check(area_lookup(area) == before, "types-merged", "0x%lx, before 0x%lx",
		    area_lookup(area), before);
}
