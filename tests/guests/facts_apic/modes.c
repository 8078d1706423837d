/* SPDX-License-Identifier: BSD-2-Clause */
/* IA32_APIC_BASE. SDM: "Local x2APIC State Transitions", "Relocating the Local APIC Registers". */
#include "tests/guests/facts_apic/facts_apic.h"

#include "tests/guests/lib/fact.h"

enum { MSR_APIC_BASE = 0x1b, MSR_X2APIC = 0x800, X2APIC_MSRS = 0x41, PAGE = 4096 };
enum { BASE_EXTD = 0x400, BASE_EN = 0x800 };
#define BASE_ADDRESS UINT64_C(0xfffffffffffff000)

static uint8_t *page;

struct msr_access {
	uint32_t msr;
	uint64_t value;
};

static void do_read(void *argument)
{
	struct msr_access *access = argument;

	access->value = probe_rdmsr(access->msr);
}

static void do_write(void *argument)
{
	const struct msr_access *access = argument;

	probe_wrmsr(access->msr, access->value);
}

/* "0x..." or "fault VECTOR(ERROR)": behind what came before in the line. */
static const char *try_access(probe_function function, struct msr_access *access)
{
	static char texts[PROBE_CPUS_MAX][40];
	char *text = texts[probe_this_cpu()->index];
	static const char digits[] = "0123456789abcdef";
	struct probe_fault fault;
	uint32_t length = 0;
	uint64_t value;

	if (!probe_try(function, access, &fault)) {
		text[length++] = '#';
		text[length++] = digits[fault.vector >> 4 & 15];
		text[length++] = digits[fault.vector & 15];
		text[length++] = '.';
		text[length++] = digits[fault.error & 15];
		text[length] = 0;
		return text;
	}
	if (function == do_write)
		return "ok";
	value = access->value;
	for (int shift = 60; shift >= 0; shift -= 4) {
		if (value >> shift || shift == 0)
			text[length++] = digits[value >> shift & 15];
	}
	text[length] = 0;
	return text;
}

static bool write_base(const char *key, uint64_t value)
{
	struct msr_access access = { MSR_APIC_BASE, value };
	const char *said = try_access(do_write, &access);

	fact_line("%sbase.%s = %s, then 0x%lx", fact_cpu(), key, said, probe_apic_base());
	return said[0] == 'o';
}

static bool cpuid_has_apic(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	return regs[3] >> 9 & 1;
}

static bool cpuid_has_x2apic(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	return regs[2] >> 21 & 1;
}

/* --- another address --- */

void apic_moves_init(void)
{
	page = AllocatePool(2 * PAGE);
	page = (uint8_t *)(((uint64_t)page + PAGE - 1) & BASE_ADDRESS);
}

void apic_try_moves(void)
{
	const uint64_t base = probe_apic_base(), address = base & BASE_ADDRESS;
	volatile uint32_t *here = (volatile uint32_t *)page, *there = (volatile uint32_t *)address;
	struct msr_access access = { MSR_APIC_BASE, (base & ~BASE_ADDRESS) | (uint64_t)page };

	for (uint32_t i = 0; i < PAGE / 4; i++)
		here[i] = 0x11223344;
	probe_apic_write(APIC_LDR, 0x5a000000);
	fact_line("%smoved.write = %s", fact_cpu(), try_access(do_write, &access));
	fact_line("%smoved.base = %u", fact_cpu(), probe_apic_base() == access.value);
	fact_line("%smoved.here = 0x%x 0x%x", fact_cpu(), here[APIC_VERSION / 4],
		  here[APIC_LDR / 4]);
	fact_line("%smoved.there = 0x%x 0x%x", fact_cpu(), there[APIC_VERSION / 4],
		  there[APIC_LDR / 4]);
	here[APIC_LDR / 4] = 0xa5000000;
	fact_line("%smoved.written-here = 0x%x 0x%x", fact_cpu(), here[APIC_LDR / 4],
		  there[APIC_LDR / 4]);
	there[APIC_LDR / 4] = 0x3c000000;
	fact_line("%smoved.written-there = 0x%x 0x%x", fact_cpu(), here[APIC_LDR / 4],
		  there[APIC_LDR / 4]);
	access.value = base;
	fact_line("%smoved.back = %s 0x%x", fact_cpu(), try_access(do_write, &access),
		  there[APIC_LDR / 4]);
	fact_line("%smoved.memory = 0x%x 0x%x", fact_cpu(), here[APIC_VERSION / 4],
		  here[APIC_LDR / 4]);
	probe_apic_write(APIC_LDR, 0);
}

/* --- bits that are reserved, and ways that are not allowed --- */

static void try_illegal(const char *mode)
{
	static const uint8_t reserved[] = { 0, 1, 7, 9, 63, 52 };
	const uint64_t base = probe_apic_base();

	for (uint32_t i = 0; i < sizeof(reserved); i++) {
		struct msr_access access = { MSR_APIC_BASE, base | UINT64_C(1) << reserved[i] };
		const char *said = try_access(do_write, &access);

		fact_line("%sbase.%s.bit-%u = %s, then 0x%lx", fact_cpu(), mode, reserved[i], said,
			  probe_apic_base());
		access.value = base;
		try_access(do_write, &access);
	}
}

/* --- x2APIC mode --- */

static bool is_settled(uint32_t msr)
{
	return msr != 0x839 && msr != 0x830 && msr != 0x80b && msr != 0x83f;
}

static void print_x2apic(const char *when)
{
	for (uint32_t i = 0; i < X2APIC_MSRS; i++) {
		struct msr_access access = { MSR_X2APIC + i, 0 };

		if (is_settled(access.msr))
			fact_line("%sx2apic.%s.0x%x = %s", fact_cpu(), when, access.msr,
				  try_access(do_read, &access));
	}
}

/* Bits and whole registers that must not be written. */
static void try_x2apic_writes(void)
{
	static const struct msr_access accesses[] = {
		{ 0x802, 0 },
		{ 0x803, 0 },
		{ 0x808, 0x100 },
		{ 0x808, 0x1ff },
		{ 0x80a, 0 },
		{ 0x80b, 1 },
		{ 0x80b, 0 },
		{ 0x80d, 1 },
		{ 0x80e, 0 },
		{ 0x80f, 0x1ff },
		{ 0x80f, 0x21ff },
		{ 0x80f, UINT64_C(0x1000001ff) },
		{ 0x810, 0 },
		{ 0x828, 0 },
		{ 0x828, 1 },
		{ 0x82f, 0x10000 },
		{ 0x830, UINT64_C(0x55550000f041) },
		{ 0x830, UINT64_C(0x555500001041) },
		{ 0x830, UINT64_C(0x555500030041) },
		{ 0x830, UINT64_C(0x555500100041) },
		{ 0x831, 0 },
		{ 0x832, 0x100b1 },
		{ 0x832, 0x80100b1 },
		{ 0x835, 0x10700 },
		{ 0x837, 0x100b2 },
		{ 0x838, 0 },
		{ 0x839, 0 },
		{ 0x83e, 0xb },
		{ 0x83e, 0x1b },
		{ 0x83f, 0x100 },
		{ 0x83f, UINT64_C(1) << 32 },
		{ 0x840, 0 },
	};

	for (uint32_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		struct msr_access access = accesses[i];

		fact_line("%sx2apic.write.0x%x.0x%lx = %s", fact_cpu(), access.msr, access.value,
			  try_access(do_write, &access));
	}
	print_x2apic("written");
}

static void send_self(const char *name, uint32_t msr, uint64_t value)
{
	struct probe_cpu *cpu = probe_this_cpu();
	const uint64_t before = cpu->counts[VECTOR_PROBE], nmis = cpu->counts[VECTOR_NMI];
	struct msr_access access = { msr, value };
	const char *said = try_access(do_write, &access);

	for (uint32_t i = 0; i < 20000; i++)
		__asm__ volatile("pause");
	__asm__ volatile("sti; nop; nop; cli");
	fact_line("%sx2apic.ipi.%s = %s, taken %lu, NMIs %lu", fact_cpu(), name, said,
		  cpu->counts[VECTOR_PROBE] - before, cpu->counts[VECTOR_NMI] - nmis);
	access.msr = 0x830;
	fact_line("%sx2apic.icr-after.%s = %s", fact_cpu(), name, try_access(do_read, &access));
}

static void try_x2apic_ipis(void)
{
	const uint64_t id = probe_rdmsr(0x802) << 32, logical = probe_rdmsr(0x80d) << 32;

	probe_wrmsr(0x80f, 0x1ff);
	send_self("physical", 0x830, id | VECTOR_PROBE);
	send_self("logical", 0x830, logical | 0x800 | VECTOR_PROBE);
	send_self("self", 0x830, 0x40000 | VECTOR_PROBE);
	send_self("self-msr", 0x83f, VECTOR_PROBE);
	send_self("nmi", 0x830, id | 0x400);
	send_self("sipi-running", 0x830, id | 0x600);
	send_self("nobody", 0x830, UINT64_C(0x7777) << 32 | 0x4000 | VECTOR_PROBE);
}

static void x2apic(uint64_t base)
{
	volatile uint32_t *mmio = (volatile uint32_t *)(base & BASE_ADDRESS);

	probe_apic_write(APIC_LDR, 0x5a000000);
	if (!write_base("xapic.to-x2apic", base | BASE_EXTD))
		return;
	print_x2apic("found");
	fact_line("%sx2apic.mmio = 0x%x 0x%x", fact_cpu(), mmio[APIC_ID / 4],
		  mmio[APIC_VERSION / 4]);
	try_x2apic_writes();
	try_x2apic_ipis();
	try_illegal("x2apic");
	write_base("x2apic.to-x2apic", base | BASE_EXTD);
	write_base("x2apic.to-xapic", base);
	write_base("x2apic.to-invalid", (base | BASE_EXTD) & ~(uint64_t)BASE_EN);
}

/* --- off --- */

static void off(uint64_t base)
{
	volatile uint32_t *mmio = (volatile uint32_t *)(base & BASE_ADDRESS);
	struct msr_access access = { 0x802, 0 };
	uint64_t cr8;

	if (!write_base("to-off", base & ~(uint64_t)BASE_EN))
		return;
	fact_line("%soff.cpuid = %u %u", fact_cpu(), cpuid_has_apic(), cpuid_has_x2apic());
	fact_line("%soff.mmio = 0x%x 0x%x 0x%x", fact_cpu(), mmio[APIC_ID / 4],
		  mmio[APIC_VERSION / 4], mmio[APIC_SVR / 4]);
	fact_line("%soff.x2apic-id = %s", fact_cpu(), try_access(do_read, &access));
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	fact_line("%soff.cr8 = 0x%lx", fact_cpu(), cr8);
	write_base("off.to-x2apic", base | BASE_EXTD);
	write_base("off.to-invalid", (base | BASE_EXTD) & ~(uint64_t)BASE_EN);
	write_base("off.to-off", base & ~(uint64_t)BASE_EN);
	write_base("off.to-xapic", base);
	fact_line("%son.cpuid = %u %u", fact_cpu(), cpuid_has_apic(), cpuid_has_x2apic());
}

void apic_try_modes(bool turns_off)
{
	const uint64_t base = probe_apic_base();

	fact_line("%son.first = %u %u", fact_cpu(), cpuid_has_apic(), cpuid_has_x2apic());
	try_illegal("xapic");
	write_base("xapic.to-invalid", (base | BASE_EXTD) & ~(uint64_t)BASE_EN);
	if (!turns_off)
		return;
	if (cpuid_has_x2apic())
		x2apic(base);
	if (probe_apic_base() & BASE_EXTD) {
		write_base("x2apic.to-off", base & ~(uint64_t)BASE_EN);
		write_base("x2apic.off.to-xapic", base);
	}
	if (probe_apic_base() & BASE_EN)
		apic_print_registers("after-x2apic");
	if (probe_apic_base() & BASE_EN)
		off(base);
	if (probe_apic_base() & BASE_EN)
		apic_print_registers("after-off");
}
