// SPDX-License-Identifier: BSD-2-Clause
/*
 * The local APIC of each CPU: its registers and their reserved bits, errors, IPIs to itself, what an INIT leaves of it, all
 * modes and the ways between them, and another address.
 *
 *   facts_apic.efi [widths] [vectors] [boot-off]
 *
 *   widths    also accesses that are not aligned 32-bit ones (Bochs gives up at them)
 *   vectors   also IPIs with a vector that must not be delivered (QEMU delivers it)
 *   boot-off  the boot CPU's APIC is switched off as well (in Bochs it would not come back)
 */
#include "tests/guests/facts_apic/facts_apic.h"

#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/quiet.h"

enum { JOIN_MS = 20000, PAGE = 4096 };

static bool tries_widths, tries_vectors, boot_cpu_off;

/* Registers that change by themselves, or hold what an address has come into, are not compared. */
static bool is_settled(uint32_t offset)
{
	return offset != APIC_ICR_LOW && offset != APIC_ICR_HIGH && offset != APIC_TIMER_CURRENT &&
	       offset != APIC_EOI;
}

void apic_print_registers(const char *when)
{
	for (uint32_t offset = 0; offset < 0x400; offset += 0x10) {
		if (is_settled(offset))
			fact_line("%sxapic.%s.0x%x = 0x%x", fact_cpu(), when, offset,
				  probe_apic_read(offset));
	}
}

static const uint32_t writable[] = { APIC_ID,	       APIC_TPR,	 APIC_LDR,
				     APIC_DFR,	       APIC_SVR,	 APIC_ESR,
				     APIC_LVT_TIMER,   APIC_LVT_THERMAL, APIC_LVT_PERF,
				     APIC_LVT_LINT0,   APIC_LVT_LINT1,	 APIC_LVT_ERROR,
				     APIC_TIMER_DIVIDE };
enum { WRITABLES = sizeof(writable) / sizeof(writable[0]) };

static const uint32_t patterns[] = { 0xffffffff, 0x00010000, 0xaaabaaaa, 0x55555555 | 0x10000 };

/* Which bits are kept. All that is written to an LVT entry masks it. */
static void try_reserved_bits(const char *when)
{
	for (uint32_t i = 0; i < WRITABLES; i++) {
		const uint32_t offset = writable[i], old = probe_apic_read(offset);
		uint32_t read[4];

		for (uint32_t j = 0; j < 4; j++) {
			probe_apic_write(offset, patterns[j]);
			read[j] = probe_apic_read(offset);
		}
		probe_apic_write(offset, old);
		fact_line("%sxapic.%s.keeps.0x%x = 0x%x 0x%x 0x%x 0x%x, then 0x%x", fact_cpu(),
			  when, offset, read[0], read[1], read[2], read[3],
			  probe_apic_read(offset));
	}
}

/* What cannot be written: it stays, and an error is noted or not. */
static void try_read_only(void)
{
	static const uint32_t offsets[] = { APIC_VERSION, 0x90,	 0xa0,	0x100,
					    0x180,	  0x200, 0x270, APIC_TIMER_CURRENT,
					    0x40,	  0x70,	 0xc0,	0x290,
					    0x3d0 };

	for (uint32_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		const uint32_t old = probe_apic_read(offsets[i]);

		probe_apic_write(APIC_ESR, 0);
		probe_apic_write(offsets[i], ~old);
		probe_apic_write(APIC_ESR, 0);
		fact_line("%sxapic.read-only.0x%x = %s, error 0x%x", fact_cpu(), offsets[i],
			  probe_apic_read(offsets[i]) == old ? "stays" : "changes",
			  probe_apic_read(APIC_ESR));
	}
}

/* --- commands --- */

static void wait_a_little(void)
{
	for (uint32_t i = 0; i < 20000; i++)
		__asm__ volatile("pause");
}

/* An IPI to this CPU, with interrupts disabled: where it is seen; then it is taken. */
static void try_self(const char *name, uint32_t high, uint32_t low)
{
	struct probe_cpu *cpu = probe_this_cpu();
	const uint64_t before = cpu->counts[VECTOR_PROBE], nmis = cpu->counts[VECTOR_NMI];
	uint32_t pending, errors;

	probe_apic_write(APIC_ESR, 0);
	probe_apic_write(APIC_ICR_HIGH, high);
	probe_apic_write(APIC_ICR_LOW, low);
	wait_a_little();
	pending = probe_apic_read(0x200 + 0x10 * (VECTOR_PROBE / 32));
	probe_apic_write(APIC_ESR, 0);
	errors = probe_apic_read(APIC_ESR);
	__asm__ volatile("sti; nop; nop; cli");
	fact_line("%sxapic.icr.%s = IRR 0x%x ESR 0x%x taken %lu NMIs %lu ISR 0x%x high 0x%x",
		  fact_cpu(), name, pending, errors, cpu->counts[VECTOR_PROBE] - before,
		  cpu->counts[VECTOR_NMI] - nmis,
		  probe_apic_read(0x100 + 0x10 * (VECTOR_PROBE / 32)),
		  probe_apic_read(APIC_ICR_HIGH) == high);
	fact_line("%sxapic.icr-after.%s = 0x%x", fact_cpu(), name,
		  probe_apic_read(APIC_ICR_LOW) & ~0x1000u);
}

static void try_commands(void)
{
	const uint32_t id = probe_apic_read(APIC_ID) & 0xff000000;

	probe_apic_write(APIC_SVR, 0x1ff);
	probe_apic_write(APIC_LDR, 0x01000000u << (probe_this_cpu()->index & 7));
	try_self("physical", id, VECTOR_PROBE | 0x4000);
	try_self("self", 0, VECTOR_PROBE | 0x44000);
	try_self("self-level", 0, VECTOR_PROBE | 0x4c000);
	try_self("logical", 0x01000000u << (probe_this_cpu()->index & 7), VECTOR_PROBE | 0x4800);
	try_self("lowest", 0x01000000u << (probe_this_cpu()->index & 7), VECTOR_PROBE | 0x4900);
	try_self("nobody", 0x77000000, VECTOR_PROBE | 0x4000);
	if (tries_vectors)
		try_self("illegal-vector", id, 0x4005);
	try_self("nmi-physical", id, 0x4400);
	try_self("nmi-nobody", 0x77000000, 0x4400);
	try_self("init-deassert", id, 0x8500);
	try_self("sipi-running", id, 0x4600);
	try_self("sipi-nobody", 0x77000000, 0x4600);
	probe_apic_write(APIC_TPR, 0xf0);
	try_self("tpr", id, VECTOR_PROBE | 0x4000);
	fact_line("%sxapic.ppr.tpr-f0 = 0x%x", fact_cpu(), probe_apic_read(0xa0));
	probe_apic_write(APIC_TPR, 0);
	__asm__ volatile("sti; nop; nop; cli");
	probe_apic_write(APIC_SVR, 0xff);
	try_self("soft-disabled-nmi", id, 0x4400);
}

/* CR8 is the upper half of TPR. */
static void try_cr8(void)
{
	uint64_t cr8;

	probe_apic_write(APIC_TPR, 0x57);
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	__asm__ volatile("mov %0, %%cr8" : : "r"(UINT64_C(9)));
	fact_line("%sxapic.cr8 = 0x%lx 0x%x", fact_cpu(), cr8, probe_apic_read(APIC_TPR));
	probe_apic_write(APIC_TPR, 0);
}

/* --- together --- */

static void xapic(void)
{
	static uint32_t saved[PROBE_CPUS_MAX][WRITABLES];
	uint32_t *mine = saved[probe_this_cpu()->index];
	const uint32_t initial = probe_apic_read(APIC_TIMER_INITIAL);

	for (uint32_t i = 0; i < WRITABLES; i++)
		mine[i] = probe_apic_read(writable[i]);
	probe_apic_write(APIC_TIMER_INITIAL, 0);
	apic_print_registers("found");
	probe_apic_write(APIC_SVR, 0x1ff);
	try_reserved_bits("enabled");
	probe_apic_write(APIC_SVR, 0xff);
	try_reserved_bits("disabled");
	try_read_only();
	try_commands();
	try_cr8();
	if (tries_widths)
		apic_try_widths();
	for (uint32_t i = 0; i < WRITABLES; i++)
		probe_apic_write(writable[i], mine[i]);
	probe_apic_write(APIC_TIMER_INITIAL, initial);
}

static void look(void *argument)
{
	(void)argument;
	__asm__ volatile("cli"); /* the firmware's calls end with interrupts on */
	fact_line("%sbase.found = 0x%lx", fact_cpu(), probe_apic_base());
	xapic();
	apic_try_moves();
	apic_try_modes(probe_this_cpu()->index != 0 || boot_cpu_off);
}

/* After this its CPU gets an INIT. */
static void leave_marks(void *argument)
{
	(void)argument;
	probe_apic_write(APIC_SVR, 0x3de);
	probe_apic_write(APIC_TPR, 0x40);
	probe_apic_write(APIC_LDR, 0x5a000000);
	probe_apic_write(APIC_DFR, 0x0fffffff);
	probe_apic_write(APIC_LVT_TIMER, 0x300b1);
	probe_apic_write(APIC_LVT_LINT0, 0x10700);
	probe_apic_write(APIC_LVT_LINT1, 0x10400);
	probe_apic_write(APIC_LVT_ERROR, 0x100b2);
	probe_apic_write(APIC_TIMER_DIVIDE, 0xb);
	probe_apic_write(APIC_TIMER_INITIAL, 0x7fffffff);
}

static void look_after_init(void *argument)
{
	(void)argument;
	fact_line("%sbase.after-init = 0x%lx", fact_cpu(), probe_apic_base());
	apic_print_registers("after-init");
	fact_line("%sxapic.after-init.timer = %s", fact_cpu(),
		  probe_apic_read(APIC_TIMER_CURRENT) ? "runs" : "stopped");
}

static void run_on(uint32_t cpu, probe_function function)
{
	if (cpu == 0) {
		function(NULL);
		return;
	}
	probe_check(probe_start_and_wait(cpu, function, NULL), "start", "CPU %u", cpu);
	probe_check(probe_join(cpu, JOIN_MS), "join", "CPU %u", cpu);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	tries_widths = probe_has_word(options, "widths");
	tries_vectors = probe_has_word(options, "vectors");
	boot_cpu_off = probe_has_word(options, "boot-off");
	apic_moves_init();
	quiet_begin();
	fact_begin("apic");
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		run_on(i, leave_marks);
		run_on(i, look_after_init);
	}
	for (uint32_t i = 0; i < probe_cpu_count; i++)
		run_on(i, look);
	fact_end();
	quiet_end();
	return probe_end();
}
