// SPDX-License-Identifier: BSD-2-Clause
/*
 * Does the hypervisor notice input while no CPU of the guest exits by itself? The hypervisor's line (COM2) is connected with
 * the third one, which is the guest's: the guest itself sends there and takes the time until the answer. What it sends is a
 * packet of GDB's remote protocol with a wrong sum, which is refused at once and stops nobody.
 *
 *   attention.efi tries N limit MS
 */
#include "tests/guests/lib/probe.h"

enum { PEER = 0x3e8, HIDDEN = 0x2f8, DATA = 0, FIFO = 2, LINE = 3, MODEM = 4, STATUS = 5 };
enum { SCRATCH = 7, REGISTERS = 8, STATUS_READY = 0x01, STATUS_CAN_SEND = 0x20 };
enum { CALIBRATION_US = 20000, PATIENCE_MS = 20000 };
enum { IO_APIC = 0xfec00000, PIN = 3, OTHER_PIN = 7, VECTOR_ANY = 0x9e };

static uint64_t per_ms, limit_ms;
static volatile bool over;

static uint32_t io_apic_read(uint32_t index)
{
	*(volatile uint32_t *)(UINTN)IO_APIC = index;
	return *(volatile uint32_t *)((UINTN)IO_APIC + 0x10);
}

static void io_apic_write(uint32_t index, uint32_t value)
{
	*(volatile uint32_t *)(UINTN)IO_APIC = index;
	*(volatile uint32_t *)((UINTN)IO_APIC + 0x10) = value;
}

/* 57600 baud, as fast as a packet needs; nothing interrupts. */
static void open_peer(void)
{
	probe_outb(PEER + LINE, 0x83);
	probe_outb(PEER + DATA, 1);
	probe_outb(PEER + 1, 0);
	probe_outb(PEER + LINE, 0x03);
	probe_outb(PEER + FIFO, 0x07);
	probe_outb(PEER + MODEM, 0x03);
}

static void send(const char *text)
{
	for (; *text; text++) {
		while (!(probe_inb(PEER + STATUS) & STATUS_CAN_SEND))
			;
		probe_outb(PEER + DATA, (uint8_t)*text);
	}
}

static int receive(uint64_t until)
{
	while (!(probe_inb(PEER + STATUS) & STATUS_READY))
		if (probe_rdtsc() > until)
			return -1;
	return probe_inb(PEER + DATA);
}

/* The time to the answer in TSC cycles, or 0. */
static uint64_t try_once(void)
{
	uint64_t start, until;
	int byte;

	send("$?#0");
	start = probe_rdtsc();
	until = start + PATIENCE_MS * per_ms;
	send("0"); /* only now the packet is whole */
	while ((byte = receive(until)) >= 0)
		if (byte == '-')
			return probe_rdtsc() - start;
	return 0;
}

static void spin(void *argument)
{
	(void)argument;
	while (!over)
		__asm__ volatile("");
}

static uint64_t nmis(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < probe_cpu_count; i++)
		sum += probe_cpus[i].counts[VECTOR_NMI];
	return sum;
}

/* On a busy host an emulated machine stands still now and then while its clock goes on: so not each single one. */
static void try_often(uint64_t tries)
{
	uint64_t worst = 0, missed = 0, late = 0;

	for (uint64_t i = 0; i < tries; i++) {
		uint64_t took = try_once();

		missed += took == 0;
		late += took > limit_ms * per_ms;
		worst = took > worst ? took : worst;
	}
	probe_print("PROBE: tries=%lu missed=%lu late=%lu worst=%lu us\n", tries, missed, late,
		    worst * 1000 / per_ms);
	probe_check(missed == 0, "answered", "%lu of %lu are not", missed, tries);
	probe_check(3 * late <= tries, "in-time", "%lu of %lu are late", late, tries);
}

/* What is read is all ones, and nothing keeps what is written; only the status has to be one that no driver waits for. */
static void look_at_hidden(void)
{
	static const uint8_t values[] = { 0x00, 0x55, 0x83, 0x03 };
	uint32_t wide;
	uint16_t word;
	bool absent = true;

	for (unsigned v = 0; v < sizeof(values); v++) {
		for (unsigned i = 0; i < REGISTERS; i++)
			probe_outb((uint16_t)(HIDDEN + i), values[v]);
		for (unsigned i = 0; i < REGISTERS; i++)
			absent &= probe_inb((uint16_t)(HIDDEN + i)) == (i == STATUS ? 0x60 : 0xff);
	}
	probe_check(absent, "absent", "a register of COM2 answers");
	__asm__ volatile("inw %1, %0" : "=a"(word) : "Nd"((uint16_t)(HIDDEN + SCRATCH)));
	__asm__ volatile("inl %1, %0" : "=a"(wide) : "Nd"((uint16_t)(HIDDEN + LINE)));
	probe_check((word & 0xff) == 0xff && wide == 0xff60ffff, "absent.wide", "%x %x", word,
		    wide);
}

/* Its entry of the I/O APIC is what the guest makes it, as far as the guest can see. */
static void look_at_io_apic(uint64_t tries)
{
	static const uint32_t low[] = { 0x10000 | VECTOR_ANY, 0x1a800 | VECTOR_ANY, 0x10700 };
	const uint32_t pins[] = { PIN, OTHER_PIN };
	bool same = true;

	for (unsigned p = 0; p < 2; p++) {
		const uint32_t index = 0x10 + 2 * pins[p];
		const uint32_t old_low = io_apic_read(index), old_high = io_apic_read(index + 1);

		for (unsigned i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
			io_apic_write(index + 1, 0x05000000 + (i << 24));
			io_apic_write(index, low[i]);
			same &= io_apic_read(index) == low[i];
			same &= io_apic_read(index + 1) == 0x05000000 + (i << 24);
		}
		try_often(tries);
		io_apic_write(index, old_low);
		io_apic_write(index + 1, old_high);
		same &= io_apic_read(index) == old_low && io_apic_read(index + 1) == old_high;
	}
	probe_check(same, "redirection", "an entry does not keep what is written");
	probe_check(io_apic_read(1) >> 16 >= 15, "version", "%x", io_apic_read(1));
}

/* The guest's own NMIs are still its own. */
static void look_at_nmis(void)
{
	const uint64_t before = nmis();

	probe_check(before == 0, "no-nmi", "%lu came", before);
	for (unsigned i = 0; i < 5; i++) {
		probe_icr(probe_this_cpu()->apic_id, 0x4400);
		for (uint64_t until = probe_rdtsc() + per_ms; probe_rdtsc() < until;)
			;
	}
	probe_check(nmis() == before + 5, "own-nmi", "%lu of 5", nmis() - before);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint64_t tries = probe_number(options, "tries", 20), start;

	limit_ms = probe_number(options, "limit", 100);
	start = probe_rdtsc();
	probe_stall(CALIBRATION_US);
	per_ms = (probe_rdtsc() - start) * 1000 / CALIBRATION_US;
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_start_and_wait(i, spin, NULL), "spins", "CPU %u", i);
	open_peer();
	look_at_hidden();
	try_often(tries);
	look_at_io_apic(3);
	look_at_nmis();
	try_often(3);
	over = true;
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_join(i, 1000), "stops", "CPU %u", i);
	probe_stop_cpus();
	return probe_end();
}
