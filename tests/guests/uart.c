// SPDX-License-Identifier: BSD-2-Clause
/*
 * An interrupt-driven driver of the first UART, as a kernel has one: what it sends, sixteen bytes for each interrupt of an empty
 * transmitter, and what it receives are complete, whoever else uses the line.
 *
 *   uart.efi bytes N     sends N bytes and receives as many, at once
 *
 * In both directions byte i is '\n' if i % 61 is 60, else 'A' + i % 53. It sends between "go" and "done".
 */
#include "tests/guests/lib/probe.h"

enum { PORT = 0x3f8, DATA = 0, IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6 };
enum { SCRATCH = 7, IO_APIC = 0xfec00000, PIN = 4, FIFO_BYTES = 16, PATIENCE_S = 20 };

static struct {
	uint64_t bytes, sent, got, wrong, interrupts, idle_calls;
} run;

static uint8_t in(unsigned reg)
{
	return probe_inb((uint16_t)(PORT + reg));
}

static void out(unsigned reg, uint8_t value)
{
	probe_outb((uint16_t)(PORT + reg), value);
}

static uint8_t pattern(uint64_t i)
{
	return i % 61 == 60 ? '\n' : (uint8_t)('A' + i % 53);
}

static void io_apic_write(uint32_t index, uint32_t value)
{
	*(volatile uint32_t *)(UINTN)IO_APIC = index;
	*(volatile uint32_t *)((UINTN)IO_APIC + 0x10) = value;
}

static void route(uint32_t low)
{
	io_apic_write(0x10 + 2 * PIN, 0x10000);
	io_apic_write(0x11 + 2 * PIN, probe_this_cpu()->apic_id << 24);
	io_apic_write(0x10 + 2 * PIN, low);
}

static void receive(void)
{
	uint8_t byte;

	while (in(LSR)&0x01) {
		byte = in(DATA);
		run.wrong += byte != pattern(run.got);
		run.got++;
	}
}

static void send(void)
{
	for (unsigned i = 0; i < FIFO_BYTES && run.sent < run.bytes; i++)
		out(DATA, pattern(run.sent++));
	if (run.sent == run.bytes)
		out(IER, 0x05);
}

static void handle(void)
{
	uint8_t why = in(IIR);

	run.interrupts++;
	run.idle_calls += (why & 1) != 0;
	for (; !(why & 1); why = in(IIR)) {
		switch (why & 0x0f) {
		case 0x04:
		case 0x0c:
			receive();
			break;
		case 0x02:
			send();
			break;
		case 0x06:
			(void)in(LSR);
			break;
		default:
			(void)in(MSR);
			break;
		}
	}
}

/* What drivers try before they believe that there is one. */
static void look(void)
{
	bool keeps;

	out(IER, 0);
	keeps = in(IER) == 0;
	out(IER, 0x0f);
	keeps &= in(IER) == 0x0f;
	out(IER, 0);
	out(SCRATCH, 0x5a);
	keeps &= in(SCRATCH) == 0x5a;
	probe_check(keeps, "registers", "they do not keep what is written");
	out(MCR, 0x1a);
	probe_check((in(MSR)&0xf0) == 0x90, "loop", "%x", in(MSR));
	out(MCR, 0x0b);
	out(LCR, 0x83);
	out(DATA, 1);
	out(IER, 0);
	probe_check(in(DATA) == 1 && in(IER) == 0, "divisor", "%x %x", in(DATA), in(IER));
	out(LCR, 0x03);
	out(FCR, 0x87);
	probe_check((in(IIR)&0xc0) == 0xc0, "fifos", "%x", in(IIR));
}

static void work(void)
{
	struct probe_cpu *cpu = probe_this_cpu();
	const uint64_t start = probe_rdtsc();
	uint64_t seen = cpu->counts[VECTOR_PROBE], per_second, last;

	probe_stall(10000);
	per_second = (probe_rdtsc() - start) * 100;
	last = probe_rdtsc();
	__asm__ volatile("sti");
	out(IER, 0x07);
	while ((run.sent < run.bytes || run.got < run.bytes) &&
	       probe_rdtsc() - last < PATIENCE_S * per_second) {
		if (*(volatile uint64_t *)&cpu->counts[VECTOR_PROBE] == seen)
			continue;
		seen = cpu->counts[VECTOR_PROBE];
		last = probe_rdtsc();
		handle();
	}
	__asm__ volatile("cli");
	while ((in(LSR)&0x60) != 0x60)
		;
	out(IER, 0);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);

	run.bytes = probe_number(options, "bytes", 4096);
	look();
	route(VECTOR_PROBE);
	probe_print("PROBE: go\n");
	work();
	route(0x10000);
	probe_print("\nPROBE: done\n");
	probe_print("PROBE: interrupts=%lu without-cause=%lu\n", run.interrupts, run.idle_calls);
	probe_check(run.sent == run.bytes, "sent", "%lu of %lu", run.sent, run.bytes);
	probe_check(run.got == run.bytes && run.wrong == 0, "received", "%lu of %lu, %lu wrong",
		    run.got, run.bytes, run.wrong);
	probe_check(probe_this_cpu()->counts[VECTOR_NMI] == 0, "no-nmi", "%lu came",
		    probe_this_cpu()->counts[VECTOR_NMI]);
	return probe_end();
}
