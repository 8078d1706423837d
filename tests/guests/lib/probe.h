/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the probes share: EFI programs that look at the machine from ring 0, bare or under the
 * hypervisor, and say what they see on the first serial line.
 *
 *   EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
 *   {
 *	probe_begin(image, table);
 *	probe_check(2 + 2 == 4, "sum", "%u", 2 + 2);
 *	return probe_end();
 *   }
 *
 * Between the two the probe has the machine: interrupts are off and the IDT is its own.
 */
#ifndef TESTS_GUESTS_LIB_PROBE_H
#define TESTS_GUESTS_LIB_PROBE_H

#include <efi.h>
#include <efilib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum { PROBE_CPUS_MAX = 16, PROBE_VECTORS = 256 };
enum { VECTOR_DE = 0, VECTOR_DB = 1, VECTOR_NMI = 2, VECTOR_BP = 3, VECTOR_UD = 6 };
enum { VECTOR_SS = 12, VECTOR_GP = 13, VECTOR_PF = 14, VECTOR_DEVICE = 32 };
/* Not one of the firmware's, whose timer may still tick (OVMF: 32). */
enum { VECTOR_PROBE = 0x91 };

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);

/* --- from beginning to end: probe.c --- */

/* Returns the program's load options after its name. */
const char *probe_begin(EFI_HANDLE image, EFI_SYSTEM_TABLE *table);
/* Prints "PROBE: end good=N bad=N"; EFI_SUCCESS if nothing was bad. */
EFI_STATUS probe_end(void);
/* One fact: prints "PROBE: name ok" or "PROBE: name BAD ..." with the details. */
bool probe_check(bool good, const char *name, const char *format, ...);
void probe_stall(UINTN microseconds);
/* Whether one of the options is this word; the number after it, or the default. */
bool probe_has_word(const char *options, const char *word);
uint64_t probe_number(const char *options, const char *word, uint64_t otherwise);

/* --- the serial line: print.c --- */

/* %s %c %u %x %lu %lx; a whole call is one piece whatever other CPUs print. */
void probe_print(const char *format, ...);
void probe_vprint(const char *format, va_list arguments);
/* The same into a buffer, cut to its size; how many characters are there before the final 0. */
UINTN probe_vformat(char *buffer, UINTN size, const char *format, va_list arguments);

/* --- exceptions: exception.c, entry.asm --- */

struct probe_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct probe_fault {
	bool happened;
	uint32_t vector;
	uint64_t error, rip, cr2;
};

/* Found by GS: each CPU has its own. */
struct probe_cpu {
	struct probe_cpu *self;
	uint64_t try_rsp; /* 0: no probe_try() is running; entry.asm knows this offset */
	struct probe_fault *fault;
	uint32_t index;
	uint32_t apic_id;
	uint64_t counts[PROBE_VECTORS];
	uint64_t last_rip[PROBE_VECTORS];
	uint64_t dr6; /* at the last #DB, cleared by it */
};

extern struct probe_cpu probe_cpus[PROBE_CPUS_MAX];
extern uint32_t probe_cpu_count;

static inline struct probe_cpu *probe_this_cpu(void)
{
	struct probe_cpu *cpu;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

typedef void (*probe_function)(void *argument);

/* Call a function; false if an exception ended it. */
bool probe_try(probe_function function, void *argument, struct probe_fault *fault);
/* The same for one that must fault: whether it did, with this vector. */
bool probe_faults(probe_function function, void *argument, uint32_t vector);
/* Called in the NMI's handler after the counting, if it is set; general registers only. */
extern void (*probe_nmi_hook)(struct probe_cpu *cpu);
/* #DB, #BP, NMI and the vectors from VECTOR_DEVICE on are counted and returned from. */
void probe_exceptions_load(struct probe_cpu *cpu);
void probe_exceptions_restore(void);

/* --- other CPUs: start.c, entry.asm --- */

struct probe_startup {
	uint32_t init_us; /* between INIT and the first SIPI */
	uint32_t sipi_us; /* between two SIPIs */
	uint32_t sipis;
};

extern const struct probe_startup probe_startup_usual;

/* INIT-SIPI-SIPI; the function runs on that CPU with the probe's IDT, which halts after it. */
void probe_start_cpu(uint32_t index, probe_function function, void *argument,
		     const struct probe_startup *startup);
/*
 * The same, and wait until it is there: before that nobody may start another, whose stack and function would take the
 * place of those that a slow CPU is still to read. False: it does not come.
 */
bool probe_start_and_wait(uint32_t index, probe_function function, void *argument);
/* Wait until it has returned there; false if it has not in so many milliseconds. */
bool probe_join(uint32_t index, uint32_t milliseconds);
/* None of those started runs any more: they wait for a SIPI. */
void probe_stop_cpus(void);
/* How often the function of this CPU was entered. */
uint64_t probe_entries(uint32_t index);
bool probe_start_init(void);
/* Below 1 MiB: where the first SIPI leads to. */
uint64_t probe_trampoline_page(void);
void probe_icr(uint32_t apic_id, uint32_t low);
uint64_t probe_apic_base(void);
uint32_t probe_apic_read(uint32_t offset);
void probe_apic_write(uint32_t offset, uint32_t value);

/* --- instructions --- */

static inline uint64_t probe_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void probe_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

static inline void probe_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
	__asm__ volatile("cpuid"
			 : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
			 : "a"(leaf), "c"(subleaf));
}

static inline uint64_t probe_rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline uint64_t probe_cr4(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	return value;
}

static inline void probe_set_cr4(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

static inline void probe_outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t probe_inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* xorshift: the same numbers on every run. */
static inline uint64_t probe_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif
