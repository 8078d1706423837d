// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI S3 without an operating system: go to sleep, wake up at a vector of our own in real mode, start the other CPUs, and
 * again. Each wake-up is one line with what the CPUs name as their hypervisor (tests/guests/sleep/code.asm); nothing of the
 * firmware is used from the first sleep on.
 *
 *   sleep.efi [rounds N]
 *   sleep.efi prepare     the DSDT's \_S3 gets a type at which the emulated machine stays awake
 *   sleep.efi fail        go to sleep with that type: all goes on as before
 */
#include "tests/guests/lib/probe.h"

#define PAGES	      2u
#define LOW_MAX	      0x9ffffull
#define NAME_LEAF     0x40000000u

#define FADT_FACS     36
#define FADT_DSDT     40
#define FADT_EVENT    56
#define FADT_CONTROL  64
#define FADT_X_FACS   132
#define FADT_X_DSDT   140
#define FACS_VECTOR   12
#define FACS_X_VECTOR 24

#define TYPE_S3	      1u
#define TYPE_NOTHING  5u
#define SLEEP(type)   (0x2000u | (type) << 10)
#define CMOS_STATUS_B 0x0b
#define CMOS_ALARM_ON 0x20

struct sleep_words {
	uint32_t round, rounds, others, facs, event, control, sleep, started, other_name;
};

extern const uint8_t sleep_code[], sleep_words[], sleep_code_end[];

static uint32_t get_32(const uint8_t *at)
{
	uint32_t value;

	CopyMem(&value, (void *)(UINTN)at, sizeof(value));
	return value;
}

static uint64_t get_64(const uint8_t *at)
{
	return get_32(at) | (uint64_t)get_32(at + 4) << 32;
}

static const uint8_t *find_fadt(EFI_SYSTEM_TABLE *table)
{
	EFI_GUID guid = {
		0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0, 0x80, 0xc7, 0x3c, 0x88, 0x81 }
	};
	const uint8_t *xsdt = NULL;

	for (UINTN i = 0; i < table->NumberOfTableEntries; i++) {
		if (!CompareGuid(&table->ConfigurationTable[i].VendorGuid, &guid))
			xsdt = (const uint8_t *)get_64(
				(const uint8_t *)table->ConfigurationTable[i].VendorTable + 24);
	}
	for (uint32_t at = 36; xsdt && at < get_32(xsdt + 4); at += 8) {
		const uint8_t *entry = (const uint8_t *)get_64(xsdt + at);

		if (!CompareMem(entry, "FACP", 4))
			return entry;
	}
	return NULL;
}

static uint64_t address(const uint8_t *fadt, UINTN x, UINTN old)
{
	uint64_t value = get_64(fadt + x);

	return value ? value : get_32(fadt + old);
}

static void cmos_write(uint8_t index, uint8_t value)
{
	probe_outb(0x70, index);
	probe_outb(0x71, value);
}

static void out_16(uint32_t port, uint32_t value)
{
	__asm__ volatile("outw %w0, %w1" : : "a"(value), "d"(port));
}

static uint16_t in_16(uint32_t port)
{
	uint16_t value;

	__asm__ volatile("inw %w1, %w0" : "=a"(value) : "d"(port));
	return value;
}

/* Package (4) {5, 5, ...} in place of {1, 1, 0, 0}, and the sum as it was. */
static void prepare(uint8_t *dsdt)
{
	static const uint8_t from[] = { '_', 'S', '3', '_', 0x12, 6, 4, 1, 1, 0, 0 };
	static const uint8_t to[] = { '_', 'S', '3', '_', 0x12, 6, 4, 0x0a, 5, 0x0a, 5 };
	uint32_t bytes = get_32(dsdt + 4);
	bool found = false;
	uint8_t sum = 0;

	for (uint32_t at = 36; at + sizeof(from) <= bytes && !found; at++) {
		found = !CompareMem(dsdt + at, from, sizeof(from));
		if (found)
			CopyMem(dsdt + at, (void *)(UINTN)to, sizeof(to));
	}
	dsdt[9] = 0;
	for (uint32_t at = 0; at < bytes; at++)
		sum = (uint8_t)(sum + dsdt[at]);
	dsdt[9] = (uint8_t)-sum;
	probe_check(found, "prepared", "\\_S3 found %d", found);
}

static struct sleep_words *place(const uint8_t *fadt, uint64_t rounds, uint64_t *base)
{
	EFI_PHYSICAL_ADDRESS low = LOW_MAX;
	struct sleep_words *words;

	if (EFI_ERROR(BS->AllocatePages(AllocateMaxAddress, EfiReservedMemoryType, PAGES, &low)))
		return NULL;
	CopyMem((void *)low, (void *)(UINTN)sleep_code, (UINTN)(sleep_code_end - sleep_code));
	words = (struct sleep_words *)(low + (UINTN)(sleep_words - sleep_code));
	words->rounds = (uint32_t)rounds;
	words->others = probe_cpu_count - 1;
	words->facs = (uint32_t)address(fadt, FADT_X_FACS, FADT_FACS);
	words->event = get_32(fadt + FADT_EVENT);
	words->control = get_32(fadt + FADT_CONTROL);
	words->sleep = SLEEP(TYPE_S3);
	*base = low;
	return words;
}

static void fall_asleep(const struct sleep_words *words, uint64_t base)
{
	*(volatile uint32_t *)(UINTN)(words->facs + FACS_VECTOR) = (uint32_t)base;
	*(volatile uint64_t *)(UINTN)(words->facs + FACS_X_VECTOR) = 0;
	/* The clock's alarm, at each second. */
	cmos_write(1, 0xc0);
	cmos_write(3, 0xc0);
	cmos_write(5, 0xc0);
	probe_outb(0x70, CMOS_STATUS_B);
	cmos_write(CMOS_STATUS_B, probe_inb(0x71) | CMOS_ALARM_ON);
	probe_outb(0x70, 0x0c);
	probe_inb(0x71);
	out_16(words->event, 0xffff);
	out_16(words->event + 2, 0x0400);
	__asm__ volatile("wbinvd" : : : "memory");
	out_16(words->control, (in_16(words->control) & 0xc3ffu) | words->sleep);
}

static void name_of(void *argument)
{
	probe_cpuid(NAME_LEAF, 0, argument);
}

/* The write has done nothing, and everybody is where they were. */
static void stay_awake(struct sleep_words *words, uint64_t base)
{
	uint32_t before[4], after[4], other[4] = { 0 };

	name_of(before);
	words->sleep = SLEEP(TYPE_NOTHING);
	fall_asleep(words, base);
	name_of(after);
	probe_check(!CompareMem(before, after, sizeof(before)), "same hypervisor", "0x%x",
		    after[1]);
	probe_check(*(volatile uint32_t *)(UINTN)(words->facs + FACS_VECTOR) != 0, "vector kept",
		    "CNT 0x%x", in_16(words->control));
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		bool joined = probe_start_and_wait(i, name_of, other) && probe_join(i, 5000);

		probe_check(joined && other[1] == before[1], "other CPU", "%u name 0x%x", i,
			    other[1]);
	}
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	const uint8_t *fadt = find_fadt(table);
	struct sleep_words *words;
	uint64_t base = 0;

	if (!probe_check(fadt != NULL, "FADT", "found"))
		return probe_end();
	if (probe_has_word(options, "prepare")) {
		prepare((uint8_t *)address(fadt, FADT_X_DSDT, FADT_DSDT));
		return probe_end();
	}
	words = place(fadt, probe_number(options, "rounds", 2), &base);
	if (!probe_check(words != NULL, "low memory", "0x%lx", base))
		return probe_end();
	if (probe_has_word(options, "fail")) {
		stay_awake(words, base);
		return probe_end();
	}
	probe_print("SLEEP: at 0x%lx, ports 0x%x 0x%x\n", base, words->event, words->control);
	probe_stall(100000);
	__asm__ volatile("cli");
	fall_asleep(words, base);
	probe_stall(3000000);
	probe_check(false, "asleep", "still awake");
	return probe_end();
}
