// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/debuggee/registers.h"

#include "tests/guests/lib/probe.h"

#define ALONE	 __attribute__((noinline, aligned(4096)))
#define DR7_INIT UINT64_C(0x400)

volatile uint64_t looked = 5;
volatile uint8_t string_data[4];
/* The guest watches it, and so does the debugger. */
volatile uint32_t own_data;

void own_target(void);

ALONE uint64_t debuggee_hot(uint64_t rounds)
{
	uint64_t sum = 0;

	__asm__ volatile("1: add %1, %0\n\t"
			 "dec %1\n\t"
			 "jnz 1b\n"
			 ".globl debuggee_hot_end\n"
			 "debuggee_hot_end: nop"
			 : "+r"(sum), "+r"(rounds)
			 :
			 : "cc");
	return sum;
}

ALONE void debuggee_look(void)
{
	uint64_t value;

	__asm__ volatile("mov %1, %0\n"
			 ".globl debuggee_first\n"
			 "debuggee_first: nop\n\t"
			 "movq $6, %1\n"
			 ".globl debuggee_second\n"
			 "debuggee_second: nop\n\t"
			 "mov %1, %0\n"
			 ".globl debuggee_third\n"
			 "debuggee_third: nop"
			 : "=&r"(value), "+m"(looked));
}

/* The scratch register of COM2, which is the hypervisor's own: its accesses to memory are made in software. */
ALONE void debuggee_strings(void)
{
	const volatile uint8_t *source = string_data;
	volatile uint8_t *target = string_data + 1;
	uint64_t count = sizeof(string_data);

	__asm__ volatile(".globl debuggee_outs\n"
			 "debuggee_outs: rep outsb\n\t"
			 "insb\n"
			 ".globl debuggee_ins_end\n"
			 "debuggee_ins_end: nop"
			 : "+S"(source), "+D"(target), "+c"(count)
			 : "d"(0x2ff)
			 : "memory");
}

ALONE void own_target(void)
{
	__asm__ volatile("");
}

static void load(const uint64_t dr[4], uint64_t dr7)
{
	__asm__ volatile("mov %0, %%dr7" : : "r"(DR7_INIT));
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
			 :
			 : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
	__asm__ volatile("mov %0, %%dr7" : : "r"(dr7) : "memory");
}

/* The digest of a line, which is printed. Addresses are said as what they are of. */
static uint64_t say(const char *prefix, const char *what, const uint64_t expected[4],
		    uint64_t before)
{
	struct probe_cpu *cpu = probe_this_cpu();
	uint64_t dr[4], dr6, dr7, same = 0, events = cpu->counts[VECTOR_DB] - before, seen = 0;

	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
	__asm__ volatile("mov %%dr6, %0; mov %%dr7, %1" : "=r"(dr6), "=r"(dr7));
	for (uint32_t i = 0; i < 4; i++)
		same |= (uint64_t)(dr[i] == expected[i]) << i;
	if (events)
		seen = cpu->dr6;
	probe_print("DEBUGGEE: %s %s: same=%lx dr6=%lx dr7=%lx events=%lu seen=%lx target=%u\n",
		    prefix, what, same, dr6, dr7, events, seen,
		    events && cpu->last_rip[VECTOR_DB] == (uint64_t)own_target);
	return ((same * 31 + dr6) * 31 + dr7) * 31 + events * 7 + seen;
}

static void step(void)
{
	__asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
}

/* GD, and a read that it finds. */
static uint64_t detect(uint64_t dr7)
{
	uint64_t value;

	__asm__ volatile("mov %1, %%dr7; mov %%dr0, %0"
			 : "=&r"(value)
			 : "r"(dr7 | 0x2000)
			 : "memory");
	return value;
}

uint64_t debuggee_own(const char *prefix)
{
	const uint64_t *count = &probe_this_cpu()->counts[VECTOR_DB];
	/* On execution, on four bytes that are written, and one on accesses that is not enabled. */
	const uint64_t dr[4] = { (uint64_t)own_target, (uint64_t)&own_data, (uint64_t)&looked,
				 0x1234 };
	const uint64_t dr7 = DR7_INIT | 0x1 | 0x8 | 0x00d00000 | 0x03000000;
	uint64_t digest = 0, before = *count;

	load(dr, dr7);
	digest = digest * 31 + say(prefix, "loaded", dr, before);
	/* Before data is met: QEMU would tell of that again at each later step. */
	step();
	digest = digest * 31 + say(prefix, "stepped", dr, before);
	before = *count;
	own_target();
	digest = digest * 31 + say(prefix, "executed", dr, before);
	before = *count;
	own_data = own_data + 1;
	digest = digest * 31 + say(prefix, "written", dr, before);
	before = *count;
	digest = digest * 31 + (detect(dr7) == dr[0]);
	digest = digest * 31 + say(prefix, "detected", dr, before);
	/* All four: there is none left for anybody else. */
	before = *count;
	load(dr, dr7 | 0xff);
	own_target();
	digest = digest * 31 + say(prefix, "all", dr, before);
	load((const uint64_t[4]){ 0 }, DR7_INIT);
	return digest * 31 + say(prefix, "none", (const uint64_t[4]){ 0 }, *count);
}
