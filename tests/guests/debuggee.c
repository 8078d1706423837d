// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a debugger is tried on: functions to stop in, variables to watch and to change, a timer that interrupts all the time,
 * and other CPUs that write. It says where it is loaded and waits for `attached`; tests/boot/test_gdb.py has its symbols.
 *
 *   debuggee.efi [rounds N] [timer TICKS] [sleep] [writers] [spin] [syscalls] [registers [hot N]]
 */
#include "tests/guests/debuggee/registers.h"
#include "tests/guests/debuggee/syscalls.h"
#include "tests/guests/lib/probe.h"

enum { APIC_SVR = 0xf0, APIC_EOI = 0xb0, APIC_LVT_TIMER = 0x320, APIC_INITIAL = 0x380 };
enum { APIC_DIVIDE = 0x3e0, SVR_ENABLED = 0x1ff, TIMER_PERIODIC = 0x20000, DIVIDE_BY_1 = 0xb };
enum { WRITES = 20, WRITERS_MAX = 4 };

/* The debugger's to change. */
volatile uint64_t attached, released, knob = 1;
/* Its to watch. */
volatile uint64_t watched[WRITERS_MAX], spun[PROBE_CPUS_MAX];
volatile uint64_t written_by_all __attribute__((aligned(4096)));
volatile uint64_t sum;

uint64_t debuggee_inner(uint64_t a, uint64_t b);
uint64_t debuggee_middle(uint64_t a);
uint64_t debuggee_outer(uint64_t a);
uint64_t debuggee_work(uint64_t rounds);
uint64_t debuggee_register(void);
void debuggee_wound(void);
void debuggee_sleep(void);
void debuggee_spin(void *argument);
void debuggee_write_together(void);
void debuggee_write(void *argument);
void debuggee_end(void);

/* On a page of its own: a breakpoint slows down what else is executed on its page. */
#define ALONE __attribute__((noinline, aligned(4096)))

ALONE uint64_t debuggee_inner(uint64_t a, uint64_t b)
{
	__asm__ volatile("");
	return a * 3 + b;
}

ALONE uint64_t debuggee_middle(uint64_t a)
{
	return debuggee_inner(a + 1, knob) + 1;
}

__attribute__((noinline)) uint64_t debuggee_outer(uint64_t a)
{
	return debuggee_middle(a * 2) ^ 1;
}

/* All kinds of instructions whose step is not like another's, in the midst of timer interrupts. */
__attribute__((noinline)) uint64_t debuggee_work(uint64_t rounds)
{
	static uint8_t from[16] = "the quick brown", to[16];
	uint64_t state = 1, total = 0;

	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t flags, count = sizeof(from);
		const uint8_t *source = from;
		uint8_t *target = to;

		__asm__ volatile("rep movsb"
				 : "+S"(source), "+D"(target), "+c"(count)
				 :
				 : "memory");
		__asm__ volatile("pushfq; popq %0" : "=r"(flags));
		__asm__ volatile("cli; nop; sti; nop; mov %%ss, %%eax; mov %%eax, %%ss\n"
				 ".globl debuggee_after_ss\ndebuggee_after_ss: nop"
				 :
				 :
				 : "eax", "memory");
		__asm__ volatile(".globl debuggee_int3\ndebuggee_int3: int3" : : : "memory");
		__asm__ volatile("push %0; popfq" : : "r"(flags) : "memory", "cc");
		__asm__ volatile("xor %%eax, %%eax; cpuid" : : : "eax", "ebx", "ecx", "edx");
		total += probe_random(&state) + to[i % sizeof(to)] + (flags & 0x100);
	}
	return total;
}

ALONE uint64_t debuggee_register(void)
{
	uint64_t value;

	__asm__ volatile("mov $0x1111, %0\n"
			 ".globl debuggee_here\n"
			 "debuggee_here: nop"
			 : "=a"(value));
	return value;
}

/* The timer runs. */
ALONE void debuggee_wound(void)
{
	__asm__ volatile("");
}

/* What waits for an interrupt, first in the shadow of an STI, and an IRET. Without MWAIT there is none. */
ALONE void debuggee_sleep(void)
{
	static uint64_t monitored;
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	__asm__ volatile("cli; nop; sti\n"
			 ".globl debuggee_sti_hlt\ndebuggee_sti_hlt: hlt\n"
			 ".globl debuggee_sti_hlt_end\ndebuggee_sti_hlt_end: nop; nop\n"
			 ".globl debuggee_hlt\ndebuggee_hlt: hlt\n"
			 ".globl debuggee_hlt_end\ndebuggee_hlt_end: nop"
			 :
			 :
			 : "memory");
	if (regs[2] & 8)
		__asm__ volatile("monitor; xor %%eax, %%eax\n"
				 ".globl debuggee_mwait\ndebuggee_mwait: mwait\n"
				 ".globl debuggee_mwait_end\ndebuggee_mwait_end: nop"
				 :
				 : "a"(&monitored), "c"(0), "d"(0)
				 : "memory");
	__asm__ volatile(
		"mov %%rsp, %%rax; mov %%ss, %%ecx; push %%rcx; push %%rax; pushfq\n"
		"mov %%cs, %%ecx; push %%rcx; lea debuggee_iret_end(%%rip), %%rax; push %%rax\n"
		".globl debuggee_iret\ndebuggee_iret: iretq\n"
		".globl debuggee_iret_end\ndebuggee_iret_end: nop"
		:
		:
		: "rax", "rcx", "memory", "cc");
}

/* With interrupts off, and nothing in it that exits: only a debugger ends it. */
ALONE void debuggee_spin(void *argument)
{
	uint64_t index = (uint64_t)argument;

	__asm__ volatile("cli");
	/* One line: a step of it has no end either. */
	for (; !released; spun[index]++)
		;
}

static uint64_t writers(void)
{
	return probe_cpu_count < WRITERS_MAX ? probe_cpu_count : WRITERS_MAX;
}

/* One variable, from the moment when the last of them is here. */
ALONE void debuggee_write_together(void)
{
	static volatile uint64_t here;

	__atomic_fetch_add(&here, 1, __ATOMIC_SEQ_CST);
	while (here < writers())
		__asm__ volatile("pause");
	for (unsigned i = 0; i < WRITES; i++)
		__atomic_fetch_add(&written_by_all, 1, __ATOMIC_SEQ_CST);
}

__attribute__((noinline)) void debuggee_write(void *argument)
{
	uint64_t index = (uint64_t)argument;

	for (unsigned i = 0; i < WRITES; i++)
		__atomic_fetch_add(&watched[index], 1, __ATOMIC_SEQ_CST);
	debuggee_write_together();
}

ALONE void debuggee_end(void)
{
	__asm__ volatile("");
}

ALONE static void start_timer(uint32_t ticks)
{
	probe_apic_write(APIC_SVR, SVR_ENABLED);
	probe_apic_write(APIC_DIVIDE, DIVIDE_BY_1);
	probe_apic_write(APIC_LVT_TIMER, TIMER_PERIODIC | VECTOR_PROBE);
	probe_apic_write(APIC_INITIAL, ticks);
	__asm__ volatile("sti");
}

static void stop_timer(void)
{
	__asm__ volatile("cli");
	probe_apic_write(APIC_LVT_TIMER, 0x10000);
}

static void write_from_all(void)
{
	for (uint32_t i = 1; i < writers(); i++)
		probe_check(probe_start_and_wait(i, debuggee_write, (void *)(uint64_t)i), "writer",
			    "%u", i);
	debuggee_write(NULL);
	for (uint32_t i = 1; i < writers(); i++)
		probe_check(probe_join(i, 600000), "written", "%u", i);
	for (uint32_t i = 0; i < writers(); i++)
		probe_check(watched[i] == WRITES, "writes", "%u: %lu", i, watched[i]);
	probe_check(written_by_all == WRITES * writers(), "together", "%lu", written_by_all);
}

static void spin_on_all(void)
{
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_start_and_wait(i, debuggee_spin, (void *)(uint64_t)i), "spinner",
			    "%u", i);
	probe_print("DEBUGGEE: spins\n");
	debuggee_spin(NULL);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_join(i, 60000), "released", "%u", i);
	probe_print("DEBUGGEE: released=%lu\n", released);
}

static void use_registers(uint64_t without, uint64_t rounds)
{
	debuggee_hot(rounds);
	debuggee_look();
	debuggee_look();
	debuggee_strings();
	probe_check(debuggee_own("with") == without, "own", "not as without a debugger");
}

ALONE EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	const char *options = probe_begin(image, table);
	uint64_t rounds = probe_number(options, "rounds", 100), ticks, expected;
	uint32_t regs[4];
	bool registers = probe_has_word(options, "registers");
	uint64_t without = registers ? debuggee_own("without") : 0;
	bool syscalls = probe_has_word(options, "syscalls") &&
			probe_check(debuggee_syscalls_prepare(), "arena", "no memory there");

	if (syscalls)
		debuggee_syscalls("without");

	probe_print("DEBUGGEE: main=0x%lx\n", (uint64_t)efi_main);
	/* An exit each time, where the debugger's line is looked at. */
	while (!attached)
		probe_cpuid(0, 0, regs);
	if (registers)
		use_registers(without, probe_number(options, "hot", 200000));
	if (syscalls)
		debuggee_syscalls("with");
	probe_print("DEBUGGEE: outer=%lu\n", debuggee_outer(5));
	probe_print("DEBUGGEE: register=0x%lx\n", debuggee_register());
	expected = debuggee_work(rounds);
	start_timer((uint32_t)probe_number(options, "timer", 5000000));
	debuggee_wound();
	sum = debuggee_work(rounds);
	if (probe_has_word(options, "sleep"))
		debuggee_sleep();
	ticks = probe_this_cpu()->counts[VECTOR_PROBE];
	stop_timer();
	probe_check(sum == expected, "sum", "%lx %lx", sum, expected);
	probe_print("DEBUGGEE: ticks=%lu\n", ticks);
	if (probe_has_word(options, "writers"))
		write_from_all();
	if (probe_has_word(options, "spin"))
		spin_on_all();
	debuggee_end();
	return probe_end();
}
