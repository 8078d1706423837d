// SPDX-License-Identifier: BSD-2-Clause
/*
 * MSRs on each CPU: what each index reads as, whether that may be written back, and what each bit does when it is toggled.
 *
 *   facts_msr.efi
 *
 * A row of neighbours with equal results is one line; those of which somebody may have an opinion have a line each.
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

#define BIT(n)		(UINT64_C(1) << (n))
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

struct access {
	uint32_t msr;
	uint64_t value, back;
};

struct msr_range {
	uint32_t first, last;
};

static const struct msr_range ranges[] = {
	{ 0, 0x2000 },
	{ 0x40000000, 0x400000ff },
	{ 0xc0000000, 0xc0002000 },
	{ 0xc0010000, 0xc0012000 },
};

/* Their value is another one each time, or on each run: only whether they can be read. */
static const struct msr_range volatile_msrs[] = {
	{ 0x10, 0x10 },	  /* TSC */
	{ 0x3b, 0x3b },	  /* TSC_ADJUST */
	{ 0xc1, 0xc8 },	  /* PMC0-7 */
	{ 0xe7, 0xe8 },	  /* MPERF, APERF */
	{ 0x19c, 0x19c }, /* THERM_STATUS */
	{ 0x1b1, 0x1b1 }, /* PACKAGE_THERM_STATUS */
	{ 0x309, 0x30c }, /* FIXED_CTR0-3 */
	{ 0x611, 0x611 }, /* energy counters */
	{ 0x619, 0x619 },
	{ 0x639, 0x639 },
	{ 0x641, 0x641 },
	{ 0x6e0, 0x6e0 },	    /* TSC_DEADLINE */
	{ 0x839, 0x839 },	    /* x2APIC current count */
	{ 0xc0000100, 0xc0000102 }, /* FS, GS, KERNEL_GS base: addresses */
	{ 0xc0010004, 0xc0010007 }, /* performance counters */
	{ 0xc0010201, 0xc0010201 },
	{ 0xc0010203, 0xc0010203 },
	{ 0xc0010205, 0xc0010205 },
	{ 0xc0010207, 0xc0010207 },
	{ 0xc0010209, 0xc0010209 },
	{ 0xc001020b, 0xc001020b },
};

/* Not written back: what a write does is more than to keep the value. */
static const struct msr_range not_written[] = {
	{ 0x10, 0x10 },		    /* TSC: time would jump */
	{ 0x3b, 0x3b },		    /* TSC_ADJUST: the same, where it follows the TSC */
	{ 0x79, 0x79 },		    /* BIOS_UPDT_TRIG: microcode */
	{ 0x17, 0x17 },		    /* platform ID */
	{ 0x9b, 0x9b },		    /* SMM_MONITOR_CTL */
	{ 0x9e, 0x9e },		    /* SMBASE */
	{ 0x830, 0x830 },	    /* x2APIC ICR: sends an interrupt */
	{ 0x83f, 0x83f },	    /* x2APIC SELF IPI: the same */
	{ 0xc0010020, 0xc0010020 }, /* PATCH_LOADER: microcode */
	{ 0xc0010050, 0xc0010056 }, /* SMI on I/O */
	{ 0xc0010061, 0xc0010068 }, /* P-states: power */
	{ 0xc0010111, 0xc0010113 }, /* SMM base, address, mask */
	{ 0xc0010119, 0xc0010119 }, /* SMM key */
};

/* A line each. */
static const struct msr_range single[] = {
	{ 0x10, 0x10 },
	{ 0x1b, 0x1b },
	{ 0x3a, 0x3b },
	{ 0x48, 0x49 },
	{ 0x79, 0x79 },
	{ 0x8b, 0x8b },
	{ 0xe1, 0xe1 },
	{ 0xfe, 0xfe },
	{ 0x10a, 0x10b },
	{ 0x174, 0x176 },
	{ 0x179, 0x17b },
	{ 0x1a0, 0x1a0 },
	{ 0x1d9, 0x1d9 },
	{ 0x200, 0x213 },
	{ 0x250, 0x250 },
	{ 0x258, 0x259 },
	{ 0x268, 0x26f },
	{ 0x277, 0x277 },
	{ 0x2ff, 0x2ff },
	{ 0x480, 0x493 },
	{ 0x6a0, 0x6a8 },
	{ 0x6e0, 0x6e1 },
	{ 0x800, 0x83f },
	{ 0xd90, 0xd93 },
	{ 0xda0, 0xda0 },
	{ 0xc0000080, 0xc0000084 },
	{ 0xc0000100, 0xc0000104 },
	{ 0xc0010010, 0xc0010010 },
	{ 0xc0010015, 0xc001001d },
	{ 0xc0010020, 0xc0010020 },
	{ 0xc0010111, 0xc001011f },
};

static bool is_in(const struct msr_range *list, UINTN count, uint32_t msr)
{
	for (UINTN i = 0; i < count; i++) {
		if (msr >= list[i].first && msr <= list[i].last)
			return true;
	}
	return false;
}

#define IS_IN(list, msr) is_in(list, sizeof(list) / sizeof((list)[0]), msr)

static void read_msr(void *argument)
{
	struct access *access = argument;

	access->value = probe_rdmsr(access->msr);
}

static void write_msr(void *argument)
{
	const struct access *access = argument;

	probe_wrmsr(access->msr, access->value);
}

/* Write, read back, restore. Nothing is done in between: what was written may be a base of ours. */
static void try_value(void *argument)
{
	struct access *access = argument;
	/* cppcheck-suppress constStatement */
	register uint64_t old __asm__("r10") = access->back;
	register uint64_t low __asm__("r8");
	register uint64_t high __asm__("r9");

	__asm__ volatile("wrmsr\n\trdmsr\n\tmov %%rax, %%r8\n\tmov %%rdx, %%r9\n\t"
			 "mov %%r10d, %%eax\n\tmov %%r10, %%rdx\n\tshr $32, %%rdx\n\twrmsr"
			 : "=r"(low), "=r"(high)
			 : "a"((uint32_t)access->value), "d"((uint32_t)(access->value >> 32)),
			   "c"(access->msr), "r"(old)
			 : "memory");
	access->back = high << 32 | low;
}

/* --- every index --- */

enum outcome { READ_FAULTS, READ_ONLY, WRITE_FAULTS, WRITTEN, WRITTEN_CHANGED };

struct row {
	uint32_t first, last;
	enum outcome outcome;
	uint32_t vector, error;
	uint64_t value;
	bool is_volatile;
};

static void print_row(const struct row *row)
{
	static const char *const words[] = { "", "not written", "write faults", "written",
					     "written, reads otherwise" };
	const char *cpu = fact_cpu(), *word = words[row->outcome];

	if (row->outcome == READ_FAULTS)
		fact_line("%smsr.0x%x = to 0x%x: vector %u error 0x%x", cpu, row->first, row->last,
			  row->vector, row->error);
	else if (row->is_volatile)
		fact_line("%smsr.0x%x = to 0x%x: any, %s", cpu, row->first, row->last, word);
	else
		fact_line("%smsr.0x%x = to 0x%x: 0x%lx, %s", cpu, row->first, row->last, row->value,
			  word);
}

static struct row look_at(uint32_t msr)
{
	struct access access = { .msr = msr };
	struct row row = { .first = msr, .last = msr, .is_volatile = IS_IN(volatile_msrs, msr) };
	struct probe_fault fault;
	uint64_t value;

	if (!probe_try(read_msr, &access, &fault)) {
		row.vector = fault.vector;
		row.error = (uint32_t)fault.error;
		return row;
	}
	value = access.value;
	row.value = row.is_volatile ? 0 : value;
	row.outcome = READ_ONLY;
	if (IS_IN(not_written, msr))
		return row;
	row.outcome = WRITE_FAULTS;
	if (probe_try(write_msr, &access, &fault))
		row.outcome = WRITTEN;
	if (row.outcome == WRITTEN && !row.is_volatile && probe_try(read_msr, &access, NULL) &&
	    access.value != value)
		row.outcome = WRITTEN_CHANGED;
	return row;
}

static bool joins(const struct row *a, const struct row *b)
{
	return a->outcome == b->outcome && a->vector == b->vector && a->error == b->error &&
	       a->value == b->value && a->is_volatile == b->is_volatile &&
	       !IS_IN(single, a->last) && !IS_IN(single, b->first);
}

static void look_at_range(const struct msr_range *range)
{
	struct row row = look_at(range->first);

	for (uint32_t msr = range->first + 1; msr <= range->last; msr++) {
		const struct row next = look_at(msr);

		if (joins(&row, &next)) {
			row.last = msr;
			continue;
		}
		print_row(&row);
		row = next;
	}
	print_row(&row);
}

/* --- every bit --- */

struct walk {
	uint32_t msr;
	uint64_t left_alone;
};

static const struct walk walks[] = {
	{ 0x1b, BIT(8) | BITS(51, 10) }, /* APIC_BASE: where it is and whether */
	{ 0x3a, BIT(0) },		 /* FEATURE_CONTROL: the lock is for ever */
	{ 0x48, 0 },			 /* SPEC_CTRL */
	{ 0xe1, 0 },			 /* UMWAIT_CONTROL */
	{ 0xfe, 0 },			 /* MTRRCAP */
	{ 0x10a, 0 },			 /* ARCH_CAPABILITIES */
	{ 0x122, 0 },			 /* TSX_CTRL */
	{ 0x140, 0 },			 /* MISC_FEATURES_ENABLES */
	{ 0x174, 0 },			 /* SYSENTER_CS */
	{ 0x175, 0 },			 /* SYSENTER_ESP */
	{ 0x176, 0 },			 /* SYSENTER_EIP */
	{ 0x179, 0 },			 /* MCG_CAP */
	{ 0x17a, 0 },			 /* MCG_STATUS */
	{ 0x17b, 0 },			 /* MCG_CTL */
	{ 0x186, BIT(20) | BIT(22) },	 /* PERFEVTSEL0: no interrupt, not on */
	{ 0x1a0, BIT(22) | BIT(34) },	 /* MISC_ENABLE: neither CPUID's limit nor NX */
	{ 0x1c4, 0 },			 /* XFD */
	{ 0x1d9, 0 },			 /* DEBUGCTL */
	{ 0x200, 0 },			 /* MTRR_PHYSBASE0 */
	{ 0x201, BITS(51, 12) },	 /* MTRR_PHYSMASK0: holes in the mask */
	{ 0x20e, 0 },			 /* MTRR_PHYSBASE7 */
	{ 0x20f, 0 },			 /* MTRR_PHYSMASK7 */
	{ 0x250, 0 },			 /* MTRR_FIX64K */
	{ 0x26f, 0 },			 /* MTRR_FIX4K_F8000 */
	{ 0x277, 0 },			 /* PAT */
	{ 0x2ff, 0 },			 /* MTRR_DEF_TYPE */
	{ 0x38d, 0 },			 /* FIXED_CTR_CTRL */
	{ 0x38f, 0 },			 /* PERF_GLOBAL_CTRL */
	{ 0x400, 0 },			 /* MC0_CTL */
	{ 0x401, 0 },			 /* MC0_STATUS */
	{ 0x6a0, 0 },			 /* U_CET */
	{ 0x6a2, 0 },			 /* S_CET: CR4.CET is clear */
	{ 0x6a4, 0 },			 /* PL0_SSP */
	{ 0x6a7, 0 },			 /* PL3_SSP */
	{ 0x6a8, 0 },			 /* INTERRUPT_SSP_TABLE */
	{ 0x6e1, 0 },			 /* PKRS */
	{ 0xd93, 0 },			 /* PASID */
	{ 0xda0, 0 },			 /* XSS */
	{ 0xc0000080, BIT(11) },	 /* EFER: NX is in the tables */
	{ 0xc0000081, 0 },		 /* STAR */
	{ 0xc0000082, 0 },		 /* LSTAR */
	{ 0xc0000083, 0 },		 /* CSTAR */
	{ 0xc0000084, 0 },		 /* SFMASK */
	{ 0xc0000100, 0 },		 /* FS_BASE */
	{ 0xc0000101, 0 },		 /* GS_BASE */
	{ 0xc0000102, 0 },		 /* KERNEL_GS_BASE */
	{ 0xc0000103, 0 },		 /* TSC_AUX */
	{ 0xc0010010, 0 },		 /* SYSCFG */
	{ 0xc0010015, 0 },		 /* HWCR */
	{ 0xc0010114, BIT(3) | BIT(4) }, /* VM_CR: the lock is for ever */
	{ 0xc0010117, 0 },		 /* VM_HSAVE_PA */
	{ 0xc001011f, 0 },		 /* VIRT_SPEC_CTRL */
};

/* False: it faults. */
static bool try_in(struct access *access, uint64_t value)
{
	const uint64_t old = access->back;
	bool ok;

	access->value = value;
	ok = probe_try(try_value, access, NULL);
	access->value = access->back;
	access->back = old;
	return ok;
}

static bool begin_at(struct access *access, uint32_t msr)
{
	access->msr = msr;
	if (!probe_try(read_msr, access, NULL))
		return false;
	access->back = access->value;
	return true;
}

/* The address of a base of this program is no fact; each bit of it is toggled all the same. */
static void walk_bits(const struct walk *walk)
{
	uint64_t faults = 0, taken = 0, ignored = 0, other = 0;
	struct access access;

	if (!begin_at(&access, walk->msr)) {
		fact_line("%sbits.0x%x = absent", fact_cpu(), walk->msr);
		return;
	}
	for (uint32_t i = 0; i < 64; i++) {
		const uint64_t value = access.back ^ BIT(i);

		if (walk->left_alone & BIT(i))
			continue;
		if (!try_in(&access, value))
			faults |= BIT(i);
		else if (access.value == value)
			taken |= BIT(i);
		else if (access.value == access.back)
			ignored |= BIT(i);
		else
			other |= BIT(i);
	}
	fact_line("%sbits.0x%x = faults 0x%lx taken 0x%lx ignored 0x%lx other 0x%lx", fact_cpu(),
		  walk->msr, faults, taken, ignored, other);
}

/* --- values --- */

static void print_types(const char *name, uint32_t msr, uint32_t shift, uint64_t field)
{
	struct access access;
	uint32_t taken = 0, faults = 0;

	if (!begin_at(&access, msr)) {
		fact_line("%s%s = absent", fact_cpu(), name);
		return;
	}
	for (uint32_t type = 0; type < 32; type++) {
		const uint64_t value = (access.back & ~(field << shift)) | (uint64_t)type << shift;

		if (!try_in(&access, value))
			faults |= 1u << type;
		else if (access.value == value)
			taken |= 1u << type;
	}
	fact_line("%s%s = taken 0x%x faults 0x%x", fact_cpu(), name, taken, faults);
}

static void print_canonical(uint32_t msr)
{
	static const uint64_t values[] = {
		UINT64_C(0x00007fffffffffff), UINT64_C(0x0000800000000000),
		UINT64_C(0xffff7fffffffffff), UINT64_C(0xffff800000000000),
		UINT64_C(0x8000000000000000), UINT64_C(0x00ffffffffffffff),
		UINT64_C(0x0100000000000000), UINT64_C(0xff00000000000000),
		UINT64_C(0xffffffffffffffff), UINT64_C(0x00000000fffffffe),
	};
	uint32_t taken = 0, faults = 0;
	struct access access;

	if (!begin_at(&access, msr)) {
		fact_line("%scanonical.0x%x = absent", fact_cpu(), msr);
		return;
	}
	for (uint32_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (!try_in(&access, values[i]))
			faults |= 1u << i;
		else if (access.value == values[i])
			taken |= 1u << i;
	}
	fact_line("%scanonical.0x%x = taken 0x%x faults 0x%x", fact_cpu(), msr, taken, faults);
}

static void print_values(void)
{
	static const uint32_t bases[] = {
		0x175,	    0x176,	0x6a4,	    0x6a7,	0x6a8,
		0xc0000082, 0xc0000083, 0xc0000100, 0xc0000101, 0xc0000102
	};

	print_types("pat.0", 0x277, 0, 0xff);
	print_types("pat.7", 0x277, 56, 0xff);
	print_types("mtrr.default", 0x2ff, 0, 0xff);
	print_types("mtrr.physbase", 0x204, 0, 0xff);
	print_types("mtrr.fix.0", 0x250, 0, 0xff);
	print_types("mtrr.fix.7", 0x26f, 56, 0xff);
	for (uint32_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		print_canonical(bases[i]);
}

/* The upper half of RCX does not count, those of RAX and RDX are cleared, the flags stay. */
static void print_registers(void)
{
	uint64_t a = ~UINT64_C(0), d = ~UINT64_C(0), flags;

	__asm__ volatile("push $0x8d7\n\tpopfq\n\trdmsr\n\tpushfq\n\tpop %2\n\tcld"
			 : "+a"(a), "+d"(d), "=r"(flags)
			 : "c"(UINT64_C(0xcccccccc000000fe))
			 : "cc", "memory");
	fact_line("%sregisters = 0x%lx 0x%lx flags 0x%lx", fact_cpu(), a, d, flags & 0xfff);
}

static void look(void *argument)
{
	(void)argument;
	for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		look_at_range(&ranges[i]);
	for (uint32_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++)
		walk_bits(&walks[i]);
	print_values();
	print_registers();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	probe_begin(image, table);
	fact_begin("msr");
	look(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, look, NULL), "start", "CPU %u", i);
		probe_check(probe_join(i, 60000), "join", "CPU %u", i);
	}
	fact_end();
	return probe_end();
}
