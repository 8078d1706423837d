/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instructions that C cannot say, one inline function each. Those that may fault on the guest's behalf end in
 * _safe: the fault is turned into `false` by the exception table (core/exception.c).
 */
#ifndef ARCH_X86_INSN_H
#define ARCH_X86_INSN_H

#include "arch/x86/bits.h"
#include "arch/x86/segment.h"

struct cpuid_result {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_result r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "a"(leaf), "c"(subleaf));
	return r;
}

/* The whole registers, whose upper halves it clears, in the manual's order: EAX and ECX are the leaf and its subleaf. */
#ifdef HOST_TEST
__attribute__((weak)) void cpuid_registers(uint64_t *rax, uint64_t *rbx, uint64_t *rcx,
					   uint64_t *rdx);
#else
static inline void cpuid_registers(uint64_t *rax, uint64_t *rbx, uint64_t *rcx, uint64_t *rdx)
{
	asm volatile("cpuid" : "+a"(*rax), "=b"(*rbx), "+c"(*rcx), "=d"(*rdx));
}
#endif

/* This CPU's initial APIC ID: 32 bits where leaf 0xb has it. SDM: "CPUID—CPU Identification". */
static inline uint32_t cpuid_apic_id(void)
{
	if (cpuid(0, 0).eax >= 0xb && cpuid(0xb, 0).ebx != 0)
		return cpuid(0xb, 0).edx;
	return cpuid(1, 0).ebx >> 24;
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr"
		     :
		     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

/*
 * An entry of the exception table says: a fault at the first label goes on at the second. Both are stored
 * relative to their own place, which needs no relocation.
 */
#define EX_TABLE(from, to)                  \
	".pushsection .ex_table, \"a\"\n\t" \
	".balign 4\n\t"                     \
	".long (" from ") - .\n\t"          \
	".long (" to ") - .\n\t"            \
	".popsection\n\t"

/* Returns false if the instruction raised #GP. */
#ifdef HOST_TEST
MUST_CHECK __attribute__((weak)) bool rdmsr_safe(uint32_t msr, uint64_t *value);
MUST_CHECK __attribute__((weak)) bool wrmsr_safe(uint32_t msr, uint64_t value);
#else
MUST_CHECK static inline bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	uint32_t low = 0, high = 0;
	bool ok = false;

	asm volatile("1: rdmsr\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : "+a"(low), "+d"(high), [ok] "+q"(ok)
		     : "c"(msr));
	*value = (uint64_t)high << 32 | low;
	return ok;
}

MUST_CHECK static inline bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	bool ok = false;

	asm volatile("1: wrmsr\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : [ok] "+q"(ok)
		     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
	return ok;
}
#endif

/*
 * The 64 bits at base + index; where that faults, `index` comes back: to the reader of a page table whose index is a multiple
 * of 8, an entry that is not present. (Not asm goto: with outputs it is miscompiled by some compilers.)
 */
static inline uint64_t load64_or_index(const void *base, uint64_t index)
{
	asm volatile("1: movq (%[base],%[index]), %[index]\n"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : [index] "+r"(index)
		     : [base] "r"(base));
	return index;
}

/* What faults outside ring 0 is a unit test's to define, if it runs a user of it. */
#ifdef HOST_TEST
MUST_CHECK __attribute__((weak)) bool xsetbv_safe(uint32_t index, uint64_t value);
#else
MUST_CHECK static inline bool xsetbv_safe(uint32_t index, uint64_t value)
{
	bool ok = false;

	asm volatile("1: xsetbv\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : [ok] "+q"(ok)
		     : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
	return ok;
}
#endif

#ifdef HOST_TEST
#define DEFINE_CR(reg)                                   \
	__attribute__((weak)) uint64_t read_##reg(void); \
	__attribute__((weak)) void write_##reg(uint64_t value);
#else
#define DEFINE_CR(reg)                                                         \
	static inline uint64_t read_##reg(void)                                \
	{                                                                      \
		uint64_t value;                                                \
		asm volatile("mov %%" #reg ", %0" : "=r"(value) : : "memory"); \
		return value;                                                  \
	}                                                                      \
	static inline void write_##reg(uint64_t value)                         \
	{                                                                      \
		asm volatile("mov %0, %%" #reg : : "r"(value) : "memory");     \
	}
#endif

DEFINE_CR(cr0)
DEFINE_CR(cr2)
DEFINE_CR(cr3)
DEFINE_CR(cr4)
DEFINE_CR(cr8)
DEFINE_CR(dr0)
DEFINE_CR(dr1)
DEFINE_CR(dr2)
DEFINE_CR(dr3)
DEFINE_CR(dr6)
DEFINE_CR(dr7)
#undef DEFINE_CR

/* DR0 to DR3. */
static inline uint64_t read_debug_address(unsigned index)
{
	switch (index) {
	case 0:
		return read_dr0();
	case 1:
		return read_dr1();
	case 2:
		return read_dr2();
	default:
		return read_dr3();
	}
}

static inline void write_debug_addresses(const uint64_t address[4])
{
	write_dr0(address[0]);
	write_dr1(address[1]);
	write_dr2(address[2]);
	write_dr3(address[3]);
}

/* False: #GP, a bit is set that this CPU has not. */
#ifdef HOST_TEST
MUST_CHECK __attribute__((weak)) bool write_dr7_safe(uint64_t value);
#else
MUST_CHECK static inline bool write_dr7_safe(uint64_t value)
{
	bool ok = false;

	asm volatile("1: mov %[value], %%dr7\n\t"
		     "movb $1, %[ok]\n\t"
		     "2:\n\t" EX_TABLE("1b", "2b")
		     : [ok] "+q"(ok)
		     : [value] "r"(value)
		     : "memory");
	return ok;
}
#endif

#define DEFINE_IO(suffix, type)                                                   \
	static inline type in##suffix(uint16_t port)                              \
	{                                                                         \
		type value;                                                       \
		asm volatile("in" #suffix " %1, %0" : "=a"(value) : "Nd"(port));  \
		return value;                                                     \
	}                                                                         \
	static inline void out##suffix(uint16_t port, type value)                 \
	{                                                                         \
		asm volatile("out" #suffix " %0, %1" : : "a"(value), "Nd"(port)); \
	}

DEFINE_IO(b, uint8_t)
DEFINE_IO(w, uint16_t)
DEFINE_IO(l, uint32_t)
#undef DEFINE_IO

struct packed_table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static inline void load_gdt(struct table_register table)
{
	struct packed_table_register packed = { table.limit, table.base };

	asm volatile("lgdt %0" : : "m"(packed));
}

static inline void load_idt(struct table_register table)
{
	struct packed_table_register packed = { table.limit, table.base };

	asm volatile("lidt %0" : : "m"(packed));
}

static inline void load_tr(uint16_t selector)
{
	asm volatile("ltr %0" : : "r"(selector) : "memory");
}

static inline void load_ldt(uint16_t selector)
{
	asm volatile("lldt %0" : : "r"(selector) : "memory");
}

static inline void cpu_pause(void)
{
	asm volatile("pause");
}

/* All segment registers; CS by a far return. FS and GS bases become those of the descriptors, or 0. */
static inline void load_selectors(uint16_t cs, uint16_t ss, uint16_t ds, uint16_t es, uint16_t fs,
				  uint16_t gs)
{
	asm volatile("mov %w[ds], %%ds\n\t"
		     "mov %w[es], %%es\n\t"
		     "mov %w[fs], %%fs\n\t"
		     "mov %w[gs], %%gs\n\t"
		     "mov %w[ss], %%ss\n\t"
		     "pushq %[cs]\n\t"
		     "leaq 1f(%%rip), %%rax\n\t"
		     "pushq %%rax\n\t"
		     "lretq\n"
		     "1:"
		     :
		     : [ds] "r"((uint64_t)ds), [es] "r"((uint64_t)es), [fs] "r"((uint64_t)fs),
		       [gs] "r"((uint64_t)gs), [ss] "r"((uint64_t)ss), [cs] "r"((uint64_t)cs)
		     : "rax", "memory");
}

static inline void invalidate_page(uint64_t address)
{
	asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

#ifdef HOST_TEST
__attribute__((weak)) void wbinvd(void);
#else
static inline void wbinvd(void)
{
	asm volatile("wbinvd" : : : "memory");
}
#endif

static inline void cpu_halt(void)
{
	asm volatile("hlt" : : : "memory");
}

static inline void interrupts_disable(void)
{
	asm volatile("cli" : : : "memory");
}

/* Let what is pending come, between the two instructions after STI. */
static inline void interrupts_take(void)
{
	asm volatile("sti\n\tnop\n\tcli" : : : "memory");
}

/* Supervisor accesses to user pages are allowed between the two. SDM: "STAC", "CLAC". */
static inline void stac(void)
{
	asm volatile("stac" : : : "memory");
}

static inline void clac(void)
{
	asm volatile("clac" : : : "memory");
}

#endif
