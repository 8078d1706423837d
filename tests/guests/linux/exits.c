// SPDX-License-Identifier: BSD-2-Clause
/*
 * How many exits of each kind Solovisor has had since it started, asked by its statistics hypercall
 * (vmexit/hypercall.h).  A static program without a C library, in the initramfs as /tests/exits:
 *
 *   GUEST: exits 0=1234      the number of an enum exit_kind and its count, those that are not 0
 *
 * Beyond the last kind the call is an invalid instruction, as any is without Solovisor: the signal
 * ends the counting.
 */
#include <stddef.h>
#include <stdint.h>

enum { SYS_WRITE = 1, SYS_RT_SIGACTION = 13, SYS_EXIT = 60 };
enum { SIGNAL_ILL = 4, SIGNAL_SET_BYTES = 8 };
enum { KINDS_MAX = 64 };

#define HYPERCALL_STATISTICS 0x534f4c4f56535441u
#define INTEL_EBX	     0x756e6547u

/* As the kernel has it; never used to return. */
struct signal_action {
	void (*handler)(int signal);
	uint64_t flags;
	void (*restorer)(void);
	uint64_t mask;
};

#define SIGNAL_FLAG_RESTORER UINT64_C(0x04000000)

void start_c(void);
static void leave(int status) __attribute__((noreturn));

static int is_intel;
static uint64_t counts[KINDS_MAX];

static long syscall4(long number, long a, long b, long c, long d)
{
	register long r10 asm("r10") = d;
	long result;

	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
		     : "rcx", "r11", "memory");
	return result;
}

static void leave(int status)
{
	for (;;)
		syscall4(SYS_EXIT, status, 0, 0, 0);
}

static void print(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	syscall4(SYS_WRITE, 1, (long)text, (long)length, 0);
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

static uint64_t ask(uint64_t kind)
{
	uint64_t result;

	if (is_intel)
		asm volatile("vmcall" : "=a"(result) : "a"(HYPERCALL_STATISTICS), "c"(kind));
	else
		asm volatile("vmmcall" : "=a"(result) : "a"(HYPERCALL_STATISTICS), "c"(kind));
	return result;
}

static void print_all(int signal)
{
	(void)signal;
	for (unsigned int i = 0; i < KINDS_MAX; i++) {
		if (!counts[i])
			continue;
		print("GUEST: exits ");
		print_decimal(i);
		print("=");
		print_decimal(counts[i]);
		print("\n");
	}
	leave(0);
}

void start_c(void)
{
	struct signal_action action = { .handler = print_all, .flags = SIGNAL_FLAG_RESTORER };
	uint32_t eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	is_intel = ebx == INTEL_EBX;
	if (syscall4(SYS_RT_SIGACTION, SIGNAL_ILL, (long)&action, 0, SIGNAL_SET_BYTES) < 0)
		leave(1);
	for (uint64_t i = 0; i < KINDS_MAX; i++)
		counts[i] = ask(i);
	print_all(0);
}

asm(".globl _start\n_start:\n\tand $-16, %rsp\n\tcall start_c\n\thlt\n");
