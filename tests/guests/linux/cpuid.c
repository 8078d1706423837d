// SPDX-License-Identifier: BSD-2-Clause
/*
 * The first question of a Linux guest: who says it is below us, seen from every CPU?  A static
 * program without a C library, since unpacking and starting things is slow in an emulator.
 *
 *   cpuid        GUEST: hypervisor=<name | none | mixed>
 *   cpuid tsc    GUEST: tsc=<time stamp counter>
 */
#include <stddef.h>
#include <stdint.h>

enum { SYS_WRITE = 1, SYS_EXIT = 60, SYS_SCHED_SETAFFINITY = 203 };
enum { CPUS_MAX = 1024, NAME_BYTES = 13 };

void start_c(const uintptr_t *stack);

/* Without a C library and in its standard place, so that the compiler's copies find it. */
void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

void *memcpy(void *to, const void *from, size_t bytes)
{
	void *result = to;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	return result;
}

void *memset(void *to, int value, size_t bytes)
{
	void *result = to;

	asm volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return result;
}

static long syscall3(long number, long a, long b, long c)
{
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c)
		     : "rcx", "r11", "memory");
	return result;
}

static void print(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	syscall3(SYS_WRITE, 1, (long)text, (long)length);
}

static void print_decimal(uint64_t value)
{
	char digits[21];
	size_t at = sizeof(digits) - 1;

	digits[at] = 0;
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(&digits[at]);
}

static void cpuid(uint32_t leaf, uint32_t out[4])
{
	asm volatile("cpuid"
		     : "=a"(out[0]), "=b"(out[1]), "=c"(out[2]), "=d"(out[3])
		     : "a"(leaf), "c"(0));
}

static void hypervisor_name(char name[NAME_BYTES])
{
	uint32_t regs[4];

	memset(name, 0, NAME_BYTES);
	cpuid(1, regs);
	if (!(regs[2] & (UINT32_C(1) << 31))) {
		memcpy(name, "none", 4);
		return;
	}
	cpuid(0x40000000, regs);
	memcpy(name, &regs[1], 12);
}

static int names_differ(const char *a, const char *b)
{
	for (int i = 0; i < NAME_BYTES; i++) {
		if (a[i] != b[i])
			return 1;
	}
	return 0;
}

static void print_hypervisor(void)
{
	uint64_t mask[CPUS_MAX / 64] = { 0 };
	char first[NAME_BYTES], name[NAME_BYTES];

	hypervisor_name(first);
	for (unsigned int cpu = 0; cpu < CPUS_MAX; cpu++) {
		memset(mask, 0, sizeof(mask));
		mask[cpu / 64] = UINT64_C(1) << (cpu % 64);
		if (syscall3(SYS_SCHED_SETAFFINITY, 0, sizeof(mask), (long)mask) < 0)
			continue;
		hypervisor_name(name);
		if (names_differ(first, name)) {
			print("GUEST: hypervisor=mixed\n");
			return;
		}
	}
	print("GUEST: hypervisor=");
	print(first);
	print("\n");
}

static void print_tsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	print("GUEST: tsc=");
	print_decimal(((uint64_t)high << 32) | low);
	print("\n");
}

void start_c(const uintptr_t *stack)
{
	const uintptr_t argument_count = stack[0];
	const char *word = (const char *)stack[2];

	if (argument_count > 1 && word[0] == 't')
		print_tsc();
	else
		print_hypervisor();
	syscall3(SYS_EXIT, 0, 0, 0);
}

asm(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start_c\n\thlt\n");
