// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ports and what is behind them: reads of each width, writes where they do no harm, string forms, ports at CPL 3, PCI
 * configuration by ports and by memory, CMOS, keyboard controller.
 *
 *   facts_io.efi
 */
#include "tests/guests/facts_io/strings.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trip.h"

enum { CMOS_INDEX = 0x70, CMOS_DATA = 0x71, CMOS_CLOCK = 0xe, CMOS_BYTES = 0x80 };
enum { PORT_A20 = 0x92, PORT_RESET = 0xcf9, PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc };
enum { KBC_DATA = 0x60, KBC_STATUS = 0x64, KBC_FULL = 1, KBC_BUSY = 2, KBC_POLLS = 100000 };
enum { ATA_STATUS = 0x1f7, ATA_STATUS_AGAIN = 0x3f6, ATA_IDX = 2 };
enum { PCI_DEVICES = 32, PCI_FUNCTIONS = 8, PCI_BYTES = 256, Q35_BUS_BASE = 0x60 };
#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define Q35_HOST  0x29c08086u

static uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static uint64_t add(uint64_t sum, uint64_t value)
{
	return (sum ^ value) * FNV_PRIME;
}

/* --- ports --- */

/* In the status of a disk, IDX comes with every nth read, and the firmware has read it before. */
static uint8_t in8_settled(uint16_t port)
{
	const uint8_t value = probe_inb(port);

	return port == ATA_STATUS || port == ATA_STATUS_AGAIN ? value & (uint8_t)~ATA_IDX : value;
}

/* Reading them changes nothing, and nothing changes them but who writes them. */
static void print_reads(void)
{
	static const uint16_t ports[] = { 0x00,	 0x08,	0x21,	0x3f,	0x80,  0x81,  0x84,
					  0x8f,	 0x92,	0xa1,	0xb2,	0xb3,  0xe9,  0xed,
					  0x1f7, 0x2e8, 0x2f0,	0x2f8,	0x2ff, 0x378, 0x3f6,
					  0x3fb, 0x402, 0x4d0,	0x4d1,	0x510, 0xcf8, 0xcf9,
					  0xcfa, 0xcfb, 0x5555, 0xfffe, 0xffff };

	for (uint32_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		fact_line("%sread.0x%x = 0x%x 0x%x 0x%x", fact_cpu(), ports[i],
			  in8_settled(ports[i]), in16(ports[i]), in32(ports[i]));
}

/* The page registers of the DMA controller keep a byte each; PCI's address register has 32 bits, its bytes none. */
static void print_writes(void)
{
	uint64_t a = ~UINT64_C(0);

	out32(0x84, 0x44332211);
	fact_line("%swrite.0x84.long = 0x%x 0x%x", fact_cpu(), in32(0x84), in16(0x85));
	out16(0x85, 0x6655);
	fact_line("%swrite.0x85.word = 0x%x", fact_cpu(), in32(0x84));
	probe_outb(0x87, 0x77);
	fact_line("%swrite.0x87.byte = 0x%x", fact_cpu(), in32(0x84));
	out32(PCI_ADDRESS, 0x80000000);
	out16(PCI_ADDRESS, 0x1234);
	probe_outb(PCI_ADDRESS + 3, 0x55);
	fact_line("%swrite.0xcf8 = 0x%x", fact_cpu(), in32(PCI_ADDRESS));
	out32(PCI_ADDRESS, 0x80fffffc);
	fact_line("%swrite.0xcf8.all = 0x%x 0x%x 0x%x", fact_cpu(), in32(PCI_ADDRESS),
		  in16(PCI_ADDRESS), probe_inb(PCI_ADDRESS + 3));
	__asm__ volatile("inb $0x84, %%al" : "+a"(a));
	fact_line("%sregister.byte = 0x%lx", fact_cpu(), a);
	__asm__ volatile("inw $0x84, %%ax" : "+a"(a));
	fact_line("%sregister.word = 0x%lx", fact_cpu(), a);
	__asm__ volatile("inl $0x84, %%eax" : "+a"(a));
	fact_line("%sregister.long = 0x%lx", fact_cpu(), a);
	a = ~UINT64_C(0);
	__asm__ volatile(".byte 0x48\n\tinl $0x84, %%eax" : "+a"(a));
	fact_line("%sregister.rexw = 0x%lx", fact_cpu(), a);
}

/* The gates of A20 and reset: read, and written as they are. */
static void print_gates(void)
{
	const uint8_t a20 = probe_inb(PORT_A20);

	probe_outb(PORT_A20, a20 & 0xfe);
	fact_line("%sgate.0x92 = 0x%x 0x%x", fact_cpu(), a20, probe_inb(PORT_A20));
	probe_outb(PORT_RESET, 0);
	fact_line("%sgate.0xcf9.0 = 0x%x", fact_cpu(), probe_inb(PORT_RESET));
	probe_outb(PORT_RESET, 2);
	fact_line("%sgate.0xcf9.2 = 0x%x", fact_cpu(), probe_inb(PORT_RESET));
	probe_outb(PORT_RESET, 0);
}

/* --- CMOS --- */

static uint8_t cmos_read(uint8_t index)
{
	probe_outb(CMOS_INDEX, index);
	return probe_inb(CMOS_DATA);
}

static void print_cmos(void)
{
	const uint8_t kept = cmos_read(0x7f);
	uint64_t sum = FNV_START;

	for (uint8_t i = CMOS_CLOCK; i < CMOS_BYTES; i++)
		sum = add(sum, cmos_read(i));
	fact_line("%scmos = hash 0x%lx", fact_cpu(), sum);
	fact_line("%scmos.status = 0x%x 0x%x", fact_cpu(), cmos_read(0xb), cmos_read(0xd));
	fact_line("%scmos.nmi = 0x%x", fact_cpu(), cmos_read(0x80 | 0x10));
	for (uint32_t i = 0; i < 3; i++) {
		const uint8_t value = (uint8_t)(0x5a << i);

		probe_outb(CMOS_INDEX, 0x7f);
		probe_outb(CMOS_DATA, value);
		fact_line("%scmos.written.0x%x = 0x%x", fact_cpu(), value, cmos_read(0x7f));
	}
	probe_outb(CMOS_INDEX, 0x7f);
	probe_outb(CMOS_DATA, kept);
	probe_outb(CMOS_INDEX, 0x12);
	fact_line("%scmos.words = 0x%x 0x%x", fact_cpu(), in16(CMOS_INDEX) & 0xff00,
		  in16(CMOS_DATA) & 0xff);
}

/* --- keyboard controller --- */

static bool kbc_wait(uint8_t mask, uint8_t value)
{
	for (uint32_t i = 0; i < KBC_POLLS; i++) {
		if ((probe_inb(KBC_STATUS) & mask) == value)
			return true;
	}
	return false;
}

static void kbc_empty(void)
{
	for (uint32_t i = 0; i < 32 && (probe_inb(KBC_STATUS) & KBC_FULL); i++)
		probe_inb(KBC_DATA);
}

/* What a command of the controller answers; 0x100: nothing. */
static uint32_t kbc_ask(uint8_t command)
{
	kbc_empty();
	if (!kbc_wait(KBC_BUSY, 0))
		return 0x200;
	probe_outb(KBC_STATUS, command);
	return kbc_wait(KBC_FULL, KBC_FULL) ? probe_inb(KBC_DATA) : 0x100;
}

static void kbc_tell(uint8_t command, uint8_t value)
{
	kbc_wait(KBC_BUSY, 0);
	probe_outb(KBC_STATUS, command);
	kbc_wait(KBC_BUSY, 0);
	probe_outb(KBC_DATA, value);
	kbc_wait(KBC_BUSY, 0);
}

static void print_keyboard(void)
{
	uint32_t mode, output;

	if (probe_inb(KBC_STATUS) == 0xff) {
		fact_line("%skbc = absent", fact_cpu());
		return;
	}
	mode = kbc_ask(0x20);
	fact_line("%skbc.mode = 0x%x", fact_cpu(), mode);
	fact_line("%skbc.test = 0x%x", fact_cpu(), kbc_ask(0xaa));
	fact_line("%skbc.interface = 0x%x", fact_cpu(), kbc_ask(0xab));
	fact_line("%skbc.input = 0x%x", fact_cpu(), kbc_ask(0xc0));
	output = kbc_ask(0xd0);
	fact_line("%skbc.output = 0x%x", fact_cpu(), output & 0x3);
	/* Bit 0 would reset the machine, bit 1 is A20: both stay. */
	if (output < 0x100)
		kbc_tell(0xd1, (uint8_t)output | 3);
	fact_line("%skbc.output.written = 0x%x", fact_cpu(), kbc_ask(0xd0) & 0x3);
	kbc_tell(0xd2, 0xa5);
	fact_line("%skbc.loop = 0x%x", fact_cpu(),
		  kbc_wait(KBC_FULL, KBC_FULL) ? probe_inb(KBC_DATA) : 0x100u);
	if (mode < 0x100)
		kbc_tell(0x60, (uint8_t)mode);
	kbc_empty();
	/* After all that bit 3 tells data from commands. */
	fact_line("%skbc.status = 0x%x", fact_cpu(), probe_inb(KBC_STATUS) & 0x17);
}

/* --- PCI --- */

static uint32_t pci_read(uint32_t device, uint32_t function, uint32_t offset)
{
	out32(PCI_ADDRESS, 0x80000000 | device << 11 | function << 8 | (offset & 0xfc));
	return in32(PCI_DATA);
}

static uint64_t ecam;

static void read_ecam(void *argument)
{
	uint64_t *at = argument;

	*at = *(volatile uint32_t *)*at;
}

/* By memory, of 4 KiB; *faulted if the firmware has not mapped it. */
static uint64_t ecam_hash(uint32_t device, uint32_t function, uint32_t bytes, bool *faulted)
{
	uint64_t sum = FNV_START;

	for (uint32_t offset = 0; offset < bytes; offset += 4) {
		uint64_t at = ecam | device << 15 | function << 12 | offset;

		if (!probe_try(read_ecam, &at, NULL))
			*faulted = true;
		sum = add(sum, at);
	}
	return sum;
}

static void print_function(uint32_t device, uint32_t function)
{
	uint64_t sum = FNV_START;
	bool faulted = false;

	for (uint32_t offset = 0; offset < PCI_BYTES; offset += 4)
		sum = add(sum, pci_read(device, function, offset));
	fact_line("%spci.%u.%u = 0x%x hash 0x%lx", fact_cpu(), device, function,
		  pci_read(device, function, 0), sum);
	if (!ecam)
		return;
	fact_line("%secam.%u.%u = hash 0x%lx", fact_cpu(), device, function,
		  ecam_hash(device, function, PCI_BYTES, &faulted));
	fact_line("%secam.%u.%u.extended = hash 0x%lx faulted %u", fact_cpu(), device, function,
		  ecam_hash(device, function, 4096, &faulted), faulted);
}

/* Narrow accesses of the data port, at each of its bytes. */
static void print_narrow_pci(void)
{
	uint64_t sum = FNV_START;

	for (uint32_t offset = 0; offset < PCI_BYTES; offset++) {
		out32(PCI_ADDRESS, 0x80000000 | (offset & 0xfc));
		sum = add(sum, probe_inb((uint16_t)(PCI_DATA + (offset & 3))));
		if (!(offset & 1))
			sum = add(sum, in16((uint16_t)(PCI_DATA + (offset & 2))));
	}
	fact_line("%spci.narrow = hash 0x%lx", fact_cpu(), sum);
	out32(PCI_ADDRESS, 0);
	fact_line("%spci.disabled = 0x%x", fact_cpu(), in32(PCI_DATA));
	/* The interrupt line is a byte that only software uses. */
	out32(PCI_ADDRESS, 0x8000003c);
	sum = probe_inb(PCI_DATA);
	probe_outb(PCI_DATA, 0xa5);
	fact_line("%spci.line = 0x%x", fact_cpu(), probe_inb(PCI_DATA));
	probe_outb(PCI_DATA, (uint8_t)sum);
}

static void print_pci(void)
{
	/* As the firmware has put it; outside of the first 4 GiB it would be somewhere else each time. */
	if (pci_read(0, 0, 0) == Q35_HOST && (pci_read(0, 0, Q35_BUS_BASE) & 1))
		ecam = (pci_read(0, 0, Q35_BUS_BASE) & 0xf0000000) |
		       (uint64_t)pci_read(0, 0, Q35_BUS_BASE + 4) << 32;
	fact_line("%secam = 0x%lx", fact_cpu(), ecam);
	for (uint32_t device = 0; device < PCI_DEVICES; device++) {
		for (uint32_t function = 0; function < PCI_FUNCTIONS; function++) {
			if (pci_read(device, function, 0) != UINT32_MAX)
				print_function(device, function);
		}
	}
	print_narrow_pci();
}

static void look(void *argument)
{
	(void)argument;
	print_reads();
	print_writes();
	print_gates();
	print_cmos();
	print_keyboard();
	print_pci();
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	probe_begin(image, table);
	if (!probe_check(trip_init(), "memory", "none below 1 MiB"))
		return probe_end();
	fact_begin("io");
	look(NULL);
	strings_print();
	permissions_print();
	for (uint32_t i = 1; i < probe_cpu_count; i++) {
		probe_check(probe_start_and_wait(i, look, NULL), "start", "CPU %u", i);
		probe_check(probe_join(i, 60000), "join", "CPU %u", i);
	}
	fact_end();
	return probe_end();
}
