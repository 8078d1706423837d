// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI tables for a machine whose firmware publishes none (OVMF on Bochs), so that Linux finds
 * every CPU, the I/O APIC and the power button of the i440FX: RSDP, XSDT, FADT, FACS, MADT and a
 * DSDT that holds only \_S3 and \_S5.
 *
 *   acpi_tables.efi [next]    next: return EFI_NOT_FOUND, so that a boot manager goes on
 */
#include <efi.h>
#include <efilib.h>
#include <stdint.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table);

enum { CPUS_MAX = 64, PM_BASE = 0xb000, SCI = 9 };
enum { IO_APIC_BASE = 0xfec00000u, LOCAL_APIC_BASE = 0xfee00000u };

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct generic_address {
	uint8_t space;
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access;
	uint64_t address;
} __attribute__((packed));

struct fadt {
	struct acpi_header header;
	uint32_t facs, dsdt;
	uint8_t reserved_a, profile;
	uint16_t sci;
	uint32_t smi_command;
	uint8_t acpi_enable, acpi_disable, s4bios, pstate;
	uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
	uint32_t gpe0, gpe1;
	uint8_t pm1_event_bytes, pm1_control_bytes, pm2_control_bytes, pm_timer_bytes;
	uint8_t gpe0_bytes, gpe1_bytes, gpe1_base, cstate;
	uint16_t c2_latency, c3_latency, flush_bytes, flush_stride;
	uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
	uint16_t boot_flags;
	uint8_t reserved_b;
	uint32_t flags;
	struct generic_address reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor;
	uint64_t x_facs, x_dsdt;
	struct generic_address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control;
	struct generic_address x_pm2_control, x_pm_timer, x_gpe0, x_gpe1;
} __attribute__((packed));
_Static_assert(sizeof(struct fadt) == 244, "the FADT of ACPI 2.0 to 4.0");

struct facs {
	char signature[4];
	uint32_t length;
	uint8_t rest[56];
} __attribute__((packed));

struct madt {
	struct acpi_header header;
	uint32_t local_apic;
	uint32_t flags;
	uint8_t entries[12 + 10 + 10 + CPUS_MAX * 8];
} __attribute__((packed));

/* Everything in one block of ACPI reclaim memory; the FACS wants 64 bytes of alignment. */
struct tables {
	struct facs facs;
	struct rsdp rsdp;
	struct {
		struct acpi_header header;
		uint64_t entries[2];
	} __attribute__((packed)) xsdt;
	struct fadt fadt;
	struct {
		struct acpi_header header;
		uint8_t code[24];
	} __attribute__((packed)) dsdt;
	struct madt madt;
};

/*
 * Name (_S5_, Package (4) { 0, 0, 0, 0 }): sleep type 0 is the PIIX4's soft off; 1 is S3 to Bochs, for which
 * tests/boot/s3_rom.asm does the firmware's part.
 */
static const uint8_t dsdt_code[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0, 0, 0, 0,
				     0x08, '_', 'S', '3', '_', 0x12, 0x06, 0x04, 1, 1, 0, 0 };

typedef struct {
	uint64_t id;
	uint32_t status;
	uint32_t package, core, thread;
	uint8_t extended[24];
} PROCESSOR_INFORMATION;

typedef struct MP_SERVICES {
	EFI_STATUS(EFIAPI *get_number)(struct MP_SERVICES *self, UINTN *total, UINTN *enabled);
	EFI_STATUS(EFIAPI *get_info)
	(struct MP_SERVICES *self, UINTN number, PROCESSOR_INFORMATION *info);
} MP_SERVICES;

static EFI_GUID mp_services_guid = {
	0x3fdda605, 0xa76e, 0x4f46, { 0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 }
};
static EFI_GUID acpi_20_guid = {
	0x8868e871, 0xe4f1, 0x11d3, { 0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 }
};

static uint8_t checksum(const void *data, UINTN bytes)
{
	const uint8_t *at = data;
	unsigned int sum = 0;

	while (bytes--)
		sum += *at++;
	return (uint8_t)(0 - sum);
}

static void finish(struct acpi_header *header, const char *signature, UINTN bytes, uint8_t revision)
{
	CopyMem(header->signature, (void *)(UINTN)signature, 4);
	header->length = (uint32_t)bytes;
	header->revision = revision;
	CopyMem(header->oem, "SLVTST", 6);
	CopyMem(header->oem_table, "TESTONLY", 8);
	CopyMem(header->creator, "SLV ", 4);
	header->checksum = 0;
	header->checksum = checksum(header, bytes);
}

static UINTN read_apic_ids(uint32_t ids[CPUS_MAX])
{
	MP_SERVICES *mp = NULL;
	UINTN total = 1, enabled = 1;

	ids[0] = 0;
	if (EFI_ERROR(BS->LocateProtocol(&mp_services_guid, NULL, (void **)&mp)) ||
	    EFI_ERROR(mp->get_number(mp, &total, &enabled)))
		return 1;
	if (total > CPUS_MAX)
		total = CPUS_MAX;
	for (UINTN i = 0; i < total; i++) {
		PROCESSOR_INFORMATION info;

		if (EFI_ERROR(mp->get_info(mp, i, &info)))
			return i;
		ids[i] = (uint32_t)info.id;
	}
	return total;
}

static uint8_t *put(uint8_t *at, const void *data, UINTN bytes)
{
	CopyMem(at, (void *)(UINTN)data, bytes);
	return at + bytes;
}

static void fill_madt(struct madt *madt, const uint32_t *ids, UINTN cpus)
{
	uint8_t io_apic[12] = { 1, 12, (uint8_t)cpus };
	/* The timer is on input 2; ACPI's interrupt is level-triggered and active high. */
	const uint8_t timer[10] = { 2, 10, 0, 0, 2, 0, 0, 0, 0, 0 };
	const uint8_t sci[10] = { 2, 10, 0, SCI, SCI, 0, 0, 0, 0x0d, 0 };
	const uint32_t io_apic_base = IO_APIC_BASE;
	uint8_t *at = madt->entries;

	for (UINTN i = 0; i < cpus; i++) {
		const uint8_t cpu[8] = { 0, 8, (uint8_t)i, (uint8_t)ids[i], 1, 0, 0, 0 };

		at = put(at, cpu, sizeof(cpu));
	}
	CopyMem(&io_apic[4], (void *)(UINTN)&io_apic_base, 4);
	at = put(at, io_apic, sizeof(io_apic));
	at = put(at, timer, sizeof(timer));
	at = put(at, sci, sizeof(sci));
	madt->local_apic = LOCAL_APIC_BASE;
	madt->flags = 1;
	finish(&madt->header, "APIC", (UINTN)(at - (uint8_t *)madt), 3);
}

static struct generic_address io_port(unsigned int port, unsigned int bits)
{
	return (struct generic_address){ .space = 1, .bit_width = (uint8_t)bits, .address = port };
}

static void fill_fadt(struct fadt *fadt, struct tables *tables)
{
	fadt->facs = (uint32_t)(UINTN)&tables->facs;
	fadt->dsdt = (uint32_t)(UINTN)&tables->dsdt;
	fadt->x_dsdt = (UINTN)&tables->dsdt;
	fadt->sci = SCI;
	fadt->pm1a_event = PM_BASE;
	fadt->pm1_event_bytes = 4;
	fadt->x_pm1a_event = io_port(PM_BASE, 32);
	fadt->pm1a_control = PM_BASE + 4;
	fadt->pm1_control_bytes = 2;
	fadt->x_pm1a_control = io_port(PM_BASE + 4, 16);
	fadt->pm_timer = PM_BASE + 8;
	fadt->pm_timer_bytes = 4;
	fadt->x_pm_timer = io_port(PM_BASE + 8, 32);
	fadt->c2_latency = 0xffff;
	fadt->c3_latency = 0xffff;
	/* There are legacy devices and a keyboard controller. */
	fadt->boot_flags = 3;
	/* WBINVD and C1 work, no fixed sleep button, reset register. */
	fadt->flags = 1u << 0 | 1u << 2 | 1u << 5 | 1u << 10;
	fadt->reset = io_port(0xcf9, 8);
	fadt->reset_value = 6;
	finish(&fadt->header, "FACP", sizeof(*fadt), 3);
}

static void fill_tables(struct tables *tables, const uint32_t *ids, UINTN cpus)
{
	struct rsdp *rsdp = &tables->rsdp;

	CopyMem(tables->facs.signature, "FACS", 4);
	tables->facs.length = sizeof(tables->facs);
	CopyMem(tables->dsdt.code, (void *)(UINTN)dsdt_code, sizeof(dsdt_code));
	finish(&tables->dsdt.header, "DSDT", sizeof(struct acpi_header) + sizeof(dsdt_code), 2);
	fill_fadt(&tables->fadt, tables);
	fill_madt(&tables->madt, ids, cpus);
	tables->xsdt.entries[0] = (UINTN)&tables->fadt;
	tables->xsdt.entries[1] = (UINTN)&tables->madt;
	finish(&tables->xsdt.header, "XSDT", sizeof(tables->xsdt), 1);

	CopyMem(rsdp->signature, "RSD PTR ", 8);
	CopyMem(rsdp->oem, "SLVTST", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = (UINTN)&tables->xsdt;
	rsdp->checksum = checksum(rsdp, 20);
	rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
}

/* For tests/boot/s3_rom.asm, which knows nothing but CMOS when the machine has slept. */
static void note_facs(uint32_t facs)
{
	for (uint8_t i = 0; i < 4; i++) {
		const uint8_t index = (uint8_t)(0x60 + i), byte = (uint8_t)(facs >> 8 * i);

		__asm__ volatile("outb %0, $0x70" : : "a"(index));
		__asm__ volatile("outb %0, $0x71" : : "a"(byte));
	}
}

static BOOLEAN has_acpi(EFI_SYSTEM_TABLE *system_table)
{
	for (UINTN i = 0; i < system_table->NumberOfTableEntries; i++) {
		if (!CompareGuid(&system_table->ConfigurationTable[i].VendorGuid, &acpi_20_guid))
			return TRUE;
	}
	return FALSE;
}

static BOOLEAN wants_next(EFI_HANDLE image)
{
	EFI_LOADED_IMAGE *loaded;
	const CHAR16 *options;
	UINTN count;

	if (EFI_ERROR(BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded)))
		return FALSE;
	options = loaded->LoadOptions;
	count = loaded->LoadOptionsSize / sizeof(CHAR16);
	for (UINTN i = 0; options && i + 4 <= count; i++) {
		if (!CompareMem((void *)(UINTN)&options[i], L"next", 4 * sizeof(CHAR16)))
			return TRUE;
	}
	return FALSE;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table)
{
	EFI_PHYSICAL_ADDRESS address = 0xffffffff;
	uint32_t ids[CPUS_MAX];
	EFI_STATUS status;
	UINTN cpus;

	InitializeLib(image, system_table);
	if (has_acpi(system_table)) {
		Print(L"ACPI: this firmware has tables already\n");
		return wants_next(image) ? EFI_NOT_FOUND : EFI_SUCCESS;
	}
	status = BS->AllocatePages(AllocateMaxAddress, EfiACPIReclaimMemory,
				   EFI_SIZE_TO_PAGES(sizeof(struct tables)), &address);
	if (EFI_ERROR(status)) {
		Print(L"ACPI: no memory: %r\n", status);
		return status;
	}
	ZeroMem((void *)address, sizeof(struct tables));
	cpus = read_apic_ids(ids);
	fill_tables((struct tables *)address, ids, cpus);
	note_facs((uint32_t)(UINTN) & ((struct tables *)address)->facs);
	status = BS->InstallConfigurationTable(&acpi_20_guid, &((struct tables *)address)->rsdp);
	Print(L"ACPI: tables for %d CPUs at 0x%lx: %r\n", cpus, address, status);
	if (EFI_ERROR(status))
		return status;
	return wants_next(image) ? EFI_NOT_FOUND : EFI_SUCCESS;
}
