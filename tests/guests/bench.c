// SPDX-License-Identifier: BSD-2-Clause
/*
 * What instructions cost, by a time stamp counter that counts instructions (QEMU -icount, Bochs).
 *
 *   bench.efi                      each probe bare: "BENCH: cpuid 1000 2003 3003"
 *   bench.efi hosted [N [PROBE]]   under Solovisor: the hypercall, too; N times, only that one
 *   bench.efi x2apic               only the APIC's registers in x2APIC mode, which it leaves on
 *   bench.efi start \path words    "BENCH: start \path tsc=N", then what that program took
 *
 * A probe is a loop that is run twice: with everything but the instruction in question, and with
 * it.  Printed are the iterations and both loops' ticks, each the least of a few runs.
 */
#include <efi.h>
#include <efilib.h>
#include <stdint.h>

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table);

enum { ITERATIONS = 1000, RUNS = 3, LINE_CHARS = 256, LOG_EXITS = 400 };

enum { MSR_APIC_BASE = 0x1b, MSR_FEATURE_CONTROL = 0x3a, MSR_PAT = 0x277 };
enum { MSR_MTRR_DEF_TYPE = 0x2ff };
enum { MSR_X2APIC_TPR = 0x808, MSR_X2APIC_EOI = 0x80b, MSR_X2APIC_ICR = 0x830 };
enum { APIC_BASE_X2APIC = 1 << 10 };
enum { CPUID_X2APIC = 1 << 21, CPUID_XSAVE = 1 << 26 }; /* leaf 1, ECX */
enum { CR4_OSXSAVE = 1 << 18 };

#define MSR_EFER	   0xc0000080u
#define APIC_PAGE	   0xfee00000u
#define PCI_HOST_BRIDGE	   0x80000000u
#define HYPERCALL_PRESENCE 0x534f4c4f56495352u
/* A fixed interrupt, edge, asserted, to a CPU that is not there. */
#define ICR_TO_NOBODY	   0xfffe000040feu

/* A loop over `body`, which finds two arguments in RSI and RDI and may change RAX to RDX. */
#define LOOP(name, body)                                                    \
	static uint64_t name(uint64_t a, uint64_t b)                        \
	{                                                                   \
		uint64_t begin, end;                                        \
                                                                            \
		asm volatile("rdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n" \
			     "\tmov %%rax, %0\n\tmov %4, %%r13d\n"          \
			     ".balign 16\n1:\n\t" body "\n\t"               \
			     "dec %%r13d\n\tjnz 1b\n\t"                     \
			     "rdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n" \
			     : "=&r"(begin), "=&a"(end)                     \
			     : "S"(a), "D"(b), "r"(iterations)              \
			     : "rbx", "rcx", "rdx", "r13", "memory", "cc"); \
		return end - begin;                                         \
	}

#define PROBE(name, setup, instruction) \
	LOOP(name##_without, setup)     \
	LOOP(name##_with, setup "\n\t" instruction)

#define LOAD_LEAF  "mov %%esi, %%eax\n\txor %%ecx, %%ecx"
#define LOAD_MSR   "mov %%esi, %%ecx"
#define LOAD_VALUE "mov %%esi, %%ecx\n\tmov %%rdi, %%rax\n\tmov %%rdi, %%rdx\n\tshr $32, %%rdx"

static uint32_t iterations = ITERATIONS;
static const CHAR16 *only = L"";

PROBE(cpuid, LOAD_LEAF, "cpuid")
PROBE(cpuid_prefixed, LOAD_LEAF, ".byte 0x66, 0xf3, 0x48\n\tcpuid")
PROBE(rdmsr, LOAD_MSR, "rdmsr")
PROBE(wrmsr, LOAD_VALUE, "wrmsr")
PROBE(vmcall, "mov %%rsi, %%rax", "vmcall")
PROBE(vmmcall, "mov %%rsi, %%rax", "vmmcall")
PROBE(xsetbv, LOAD_VALUE, "xsetbv")
PROBE(in, "mov %%esi, %%edx", "in %%dx, %%al")
PROBE(out, "mov %%esi, %%edx\n\txor %%eax, %%eax", "out %%al, %%dx")
PROBE(pci, "mov $0xcf8, %%edx\n\tmov %%esi, %%eax",
      "out %%eax, %%dx\n\tmov $0xcfc, %%edx\n\tin %%dx, %%eax")
PROBE(cr3, "nop", "mov %%rsi, %%cr3")
PROBE(cr4, "nop", "mov %%rsi, %%cr4")
PROBE(tsc, "nop", "rdtsc")
PROBE(load, "nop", "mov (%%rsi), %%eax")
PROBE(store, "nop", "mov %%edi, (%%rsi)")
PROBE(store_immediate, "nop", "movl $0, (%%rsi)")

static uint64_t read_tsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static BOOLEAN is_intel(void)
{
	uint32_t a = 0, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return b == 0x756e6547;
}

static uint32_t feature_bits(void)
{
	uint32_t a = 1, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c;
}

static uint64_t least(uint64_t (*loop)(uint64_t, uint64_t), uint64_t a, uint64_t b)
{
	uint64_t best = UINT64_MAX;

	for (unsigned int i = 0; i < RUNS; i++) {
		uint64_t flags, ticks;

		asm volatile("pushfq\n\tpop %0\n\tcli" : "=r"(flags) : : "memory");
		ticks = loop(a, b);
		asm volatile("push %0\n\tpopfq" : : "r"(flags) : "memory", "cc");
		if (ticks < best)
			best = ticks;
	}
	return best;
}

#define MEASURE(text, name, a, b) measure(text, name##_without, name##_with, a, b)

static void measure(const CHAR16 *name, uint64_t (*without)(uint64_t, uint64_t),
		    uint64_t (*with)(uint64_t, uint64_t), uint64_t a, uint64_t b)
{
	uint64_t base;

	if (*only && StrCmp((CHAR16 *)(UINTN)name, (CHAR16 *)(UINTN)only))
		return;
	base = least(without, a, b);
	Print(L"BENCH: %s %d %ld %ld\n", name, iterations, base, least(with, a, b));
}

static void measure_msrs(BOOLEAN intel)
{
	if (intel) {
		MEASURE(L"rdmsr", rdmsr, MSR_FEATURE_CONTROL, 0);
		MEASURE(L"wrmsr", wrmsr, MSR_APIC_BASE, read_msr(MSR_APIC_BASE));
	} else {
		MEASURE(L"rdmsr", rdmsr, MSR_EFER, 0);
		MEASURE(L"wrmsr", wrmsr, MSR_EFER, read_msr(MSR_EFER));
		MEASURE(L"wrmsr-apic-base", wrmsr, MSR_APIC_BASE, read_msr(MSR_APIC_BASE));
	}
	MEASURE(L"wrmsr-mtrr", wrmsr, MSR_MTRR_DEF_TYPE, read_msr(MSR_MTRR_DEF_TYPE));
	MEASURE(L"rdmsr-pat", rdmsr, MSR_PAT, 0);
}

static void measure_apic(void)
{
	/* In x2APIC mode the registers are MSRs. */
	if (read_msr(MSR_APIC_BASE) & APIC_BASE_X2APIC) {
		Print(L"BENCH: the APIC is in x2APIC mode\n");
		return;
	}
	MEASURE(L"xapic-read", load, APIC_PAGE + 0x20, 0);
	MEASURE(L"xapic-eoi", store, APIC_PAGE + 0xb0, 0);
	MEASURE(L"xapic-eoi-immediate", store_immediate, APIC_PAGE + 0xb0, 0);
	MEASURE(L"xapic-tpr", store, APIC_PAGE + 0x80, *(volatile uint32_t *)(APIC_PAGE + 0x80ul));
}

/* The value that is there already. */
static void measure_xsetbv(void)
{
	uint64_t cr4;
	uint32_t low, high;

	if (!(feature_bits() & CPUID_XSAVE))
		return;
	asm volatile("mov %%cr4, %0" : "=r"(cr4));
	asm volatile("mov %0, %%cr4" : : "r"(cr4 | CR4_OSXSAVE) : "memory");
	asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	MEASURE(L"xsetbv", xsetbv, 0, (uint64_t)high << 32 | low);
	asm volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static void measure_x2apic(void)
{
	const uint64_t base = read_msr(MSR_APIC_BASE) | APIC_BASE_X2APIC;

	if (feature_bits() & CPUID_X2APIC) {
		asm volatile("wrmsr"
			     :
			     : "c"(MSR_APIC_BASE), "a"((uint32_t)base), "d"((uint32_t)(base >> 32))
			     : "memory");
		MEASURE(L"x2apic-eoi", wrmsr, MSR_X2APIC_EOI, 0);
		MEASURE(L"x2apic-tpr", wrmsr, MSR_X2APIC_TPR, read_msr(MSR_X2APIC_TPR));
		MEASURE(L"x2apic-icr", wrmsr, MSR_X2APIC_ICR, ICR_TO_NOBODY);
	}
	Print(L"BENCH: end\n");
}

static void measure_all(BOOLEAN hosted)
{
	const BOOLEAN intel = is_intel();
	uint64_t cr3, cr4;

	asm volatile("mov %%cr3, %0\n\tmov %%cr4, %1" : "=r"(cr3), "=r"(cr4));
	MEASURE(L"cpuid", cpuid, 0, 0);
	MEASURE(L"cpuid-prefixed", cpuid_prefixed, 0, 0);
	MEASURE(L"cpuid-1", cpuid, 1, 0);
	MEASURE(L"cpuid-7", cpuid, 7, 0);
	measure_msrs(intel);
	if (hosted && intel)
		MEASURE(L"hypercall", vmcall, HYPERCALL_PRESENCE, 0);
	else if (hosted)
		MEASURE(L"hypercall", vmmcall, HYPERCALL_PRESENCE, 0);
	measure_xsetbv();
	MEASURE(L"in", in, 0x61, 0);
	MEASURE(L"out", out, 0x80, 0);
	MEASURE(L"pci-read", pci, PCI_HOST_BRIDGE, 0);
	MEASURE(L"mov-cr3", cr3, cr3, 0);
	MEASURE(L"mov-cr4", cr4, cr4, 0);
	MEASURE(L"rdtsc", tsc, 0, 0);
	measure_apic();
	Print(L"BENCH: end\n");
}

/* What Solovisor's log still holds goes out bit by bit at its exits: not while we measure. */
static void let_log_out(void)
{
	for (unsigned int i = 0; i < LOG_EXITS; i++) {
		uint32_t a = 0, b, c = 0, d;

		asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		BS->Stall(100);
	}
}

/* `line`: the path and the program's arguments, its load options. */
static EFI_STATUS start_program(EFI_HANDLE image, EFI_HANDLE device, CHAR16 *line)
{
	static CHAR16 path[LINE_CHARS];
	EFI_LOADED_IMAGE *loaded;
	EFI_HANDLE program;
	EFI_STATUS status;
	uint64_t begin, end;
	UINTN length = 0;

	while (line[length] && line[length] != L' ' && length + 1 < LINE_CHARS) {
		path[length] = line[length];
		length++;
	}
	status = BS->LoadImage(FALSE, image, FileDevicePath(device, path), NULL, 0, &program);
	if (EFI_ERROR(status))
		return status;
	status = BS->HandleProtocol(program, &LoadedImageProtocol, (void **)&loaded);
	if (EFI_ERROR(status))
		return status;
	loaded->LoadOptions = line;
	loaded->LoadOptionsSize = (UINT32)((StrLen(line) + 1) * sizeof(CHAR16));
	/* A boot loader does not come back. */
	Print(L"BENCH: start %s tsc=%ld\n", path, read_tsc());
	begin = read_tsc();
	status = BS->StartImage(program, NULL, NULL);
	end = read_tsc();
	let_log_out();
	Print(L"BENCH: started %s ticks=%ld %r\n", path, end - begin, status);
	return status;
}

static CHAR16 *next_word(CHAR16 *at)
{
	while (*at && *at != L' ')
		at++;
	while (*at == L' ')
		at++;
	return at;
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system_table)
{
	EFI_LOADED_IMAGE *loaded;
	CHAR16 *words;
	BOOLEAN hosted;

	InitializeLib(image, system_table);
	BS->HandleProtocol(image, &LoadedImageProtocol, (void **)&loaded);
	words = loaded->LoadOptionsSize ? next_word(loaded->LoadOptions) : (CHAR16 *)(UINTN)L"";
	if (!StrnCmp(words, (CHAR16 *)(UINTN)L"start ", 6))
		return start_program(image, loaded->DeviceHandle, next_word(words));
	if (!StrnCmp(words, (CHAR16 *)(UINTN)L"x2apic", 6)) {
		measure_x2apic();
		return EFI_SUCCESS;
	}
	hosted = !StrnCmp(words, (CHAR16 *)(UINTN)L"hosted", 6);
	words = next_word(words);
	if (*words) {
		iterations = (uint32_t)Atoi(words);
		only = next_word(words);
	}
	measure_all(hosted);
	return EFI_SUCCESS;
}
