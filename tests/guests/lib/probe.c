/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/probe.h"

enum { CPU_IS_BOOT_CPU = 1 };

struct processor_information {
	uint64_t id;
	uint32_t flags;
	uint32_t package, core, thread;
	uint8_t extended[24];
};

struct mp_services {
	EFI_STATUS(EFIAPI *get_number)(struct mp_services *self, UINTN *total, UINTN *enabled);
	EFI_STATUS(EFIAPI *get_info)
	(struct mp_services *self, UINTN number, struct processor_information *information);
};

uint32_t probe_cpu_count = 1;
static uint32_t good_count, bad_count;
static uint64_t saved_rflags;

/* This CPU becomes number 0. */
static void find_cpus(void)
{
	EFI_GUID guid = {
		0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 }
	};
	struct processor_information information;
	struct mp_services *mp = NULL;
	UINTN total = 1, enabled;
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	probe_cpus[0].apic_id = regs[1] >> 24;
	if (EFI_ERROR(BS->LocateProtocol(&guid, NULL, (void **)&mp)) ||
	    EFI_ERROR(mp->get_number(mp, &total, &enabled)))
		return;
	for (UINTN i = 0; i < total && probe_cpu_count < PROBE_CPUS_MAX; i++) {
		if (EFI_ERROR(mp->get_info(mp, i, &information)))
			break;
		if (information.flags & CPU_IS_BOOT_CPU) {
			probe_cpus[0].apic_id = (uint32_t)information.id;
			continue;
		}
		probe_cpus[probe_cpu_count].index = probe_cpu_count;
		probe_cpus[probe_cpu_count++].apic_id = (uint32_t)information.id;
	}
}

static const char *read_options(EFI_HANDLE image)
{
	static char options[256];
	EFI_LOADED_IMAGE *loaded;
	const CHAR16 *text;
	UINTN at = 0, count, length = 0;

	if (EFI_ERROR(BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded)))
		return options;
	text = loaded->LoadOptions;
	count = text ? loaded->LoadOptionsSize / sizeof(CHAR16) : 0;
	while (at < count && text[at] && text[at] != ' ')
		at++;
	while (at < count && text[at] == ' ')
		at++;
	while (at < count && text[at] && length + 1 < sizeof(options))
		options[length++] = (char)text[at++];
	return options;
}

const char *probe_begin(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options;

	InitializeLib(image, table);
	BS->SetWatchdogTimer(0, 0, 0, NULL);
	options = read_options(image);
	find_cpus();
	if (!probe_start_init())
		probe_print("PROBE: no memory below 1 MiB\n");
	__asm__ volatile("pushfq; pop %0; cli" : "=r"(saved_rflags));
	probe_exceptions_load(&probe_cpus[0]);
	probe_print("PROBE: begin cpus=%u\n", probe_cpu_count);
	return options;
}

EFI_STATUS probe_end(void)
{
	probe_stop_cpus();
	/* The last characters before an emulator is ended may be lost. */
	for (int i = 0; i < 2; i++)
		probe_print("PROBE: end good=%u bad=%u\n", good_count, bad_count);
	probe_exceptions_restore();
	__asm__ volatile("push %0; popfq" : : "r"(saved_rflags) : "memory", "cc");
	return bad_count ? EFI_DEVICE_ERROR : EFI_SUCCESS;
}

bool probe_check(bool good, const char *name, const char *format, ...)
{
	char details[512] = "";
	va_list arguments;

	good_count += good;
	bad_count += !good;
	if (!good) {
		va_start(arguments, format);
		probe_vformat(details, sizeof(details), format, arguments);
		va_end(arguments);
	}
	/* In one piece: other CPUs may print facts. */
	probe_print("PROBE: %s %s%s\n", name, good ? "ok" : "BAD ", details);
	return good;
}

void probe_stall(UINTN microseconds)
{
	if (microseconds)
		BS->Stall(microseconds);
}

/* What follows the word, or NULL. */
static const char *after_word(const char *options, const char *word)
{
	while (*options) {
		UINTN length = 0;

		while (word[length] && options[length] == word[length])
			length++;
		if (!word[length] && (!options[length] || options[length] == ' '))
			return &options[length];
		while (*options && *options != ' ')
			options++;
		while (*options == ' ')
			options++;
	}
	return NULL;
}

bool probe_has_word(const char *options, const char *word)
{
	return after_word(options, word) != NULL;
}

uint64_t probe_number(const char *options, const char *word, uint64_t otherwise)
{
	const char *at = after_word(options, word);
	uint64_t value = 0;

	if (!at || !*at)
		return otherwise;
	for (at++; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}
