// SPDX-License-Identifier: BSD-2-Clause
/*
 * Single instructions that the hypervisor intercepts or hides, from ring 0.
 *
 *   insns.efi bare | named | hidden [lax] [unbroken]
 *
 * without Solovisor, or how it is to show in CPUID; lax: a machine that checks no reserved bits;
 * unbroken: Bochs with several CPUs, where an instruction breakpoint is hit again and again, bare as
 * well, until the stack is at its end.
 */
#include "tests/guests/lib/probe.h"
#include "vmexit/sync_call.h"

enum { PAGE = 4096, APIC_EOI = 0xb0, APIC_SVR = 0xf0, ICR_NMI = 0x4400, ICR_FIXED = 0x4000 };
enum { MSR_FEATURE_CONTROL = 0x3a, MSR_VMX_BASIC = 0x480 };
#define MSR_EFER      0xc0000080u
#define MSR_VM_CR     0xc0010114u
#define MSR_VM_HSAVE  0xc0010117u
#define EFER_LME      UINT64_C(0x100)
#define EFER_SVME     UINT64_C(0x1000)
#define CR4_VMXE      UINT64_C(0x2000)
#define CR4_OSXSAVE   UINT64_C(0x40000)
#define PRESENCE      UINT64_C(0x534f4c4f56495352)
#define CPUID_OSXSAVE (1u << 27)

static bool is_bare, is_hidden, is_lax, is_amd;

/* --- CPUID --- */

static bool name_is(const uint32_t regs[4], const char *name)
{
	return !CompareMem((void *)(UINTN)&regs[1], (void *)(UINTN)name, 12);
}

static void check_cpuid(void)
{
	uint32_t regs[4], max;

	probe_cpuid(0, 0, regs);
	is_amd = regs[1] == 0x68747541;
	probe_cpuid(1, 0, regs);
	if (!is_bare)
		probe_check(!(regs[2] & 0x20), "cpuid-vmx", "0x%x", regs[2]);
	if (!is_bare && !is_hidden)
		probe_check(regs[2] >> 31, "cpuid-hypervisor", "0x%x", regs[2]);
	probe_check(!(regs[2] & CPUID_OSXSAVE) == !(probe_cr4() & CR4_OSXSAVE), "cpuid-osxsave",
		    "0x%x", regs[2]);
	probe_cpuid(0x80000000, 0, regs);
	max = regs[0];
	probe_cpuid(0x80000001, 0, regs);
	if (!is_bare)
		probe_check(!(regs[2] & 4), "cpuid-svm", "0x%x", regs[2]);
	if (!is_bare && max >= 0x8000000a) {
		probe_cpuid(0x8000000a, 0, regs);
		probe_check(!(regs[0] | regs[1] | regs[2] | regs[3]), "cpuid-svm-leaf", "0x%x",
			    regs[0]);
	}
	probe_cpuid(0x40000000, 0, regs);
	probe_check(name_is(regs, "SolovisorHV\0") == (!is_bare && !is_hidden), "cpuid-name",
		    "0x%x", regs[1]);
}

/* --- the same instruction in other clothes --- */

static uint8_t *code;

struct form {
	const char *name;
	uint8_t bytes[16];
	uint32_t length;
};

static const struct form cpuid_forms[] = {
	{ "cpuid-plain", { 0x0f, 0xa2 }, 2 },
	{ "cpuid-prefixes", { 0x66, 0x66, 0x2e, 0x0f, 0xa2 }, 5 },
	{ "cpuid-rep", { 0xf3, 0x0f, 0xa2 }, 3 },
	{ "cpuid-repne-rex", { 0xf2, 0x48, 0x0f, 0xa2 }, 4 },
	{ "cpuid-address", { 0x67, 0x41, 0x0f, 0xa2 }, 4 },
	{ "cpuid-segments", { 0x64, 0x65, 0x36, 0x3e, 0x26, 0x0f, 0xa2 }, 7 },
	{ "cpuid-15-bytes",
	  { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x0f,
	    0xa2 },
	  15 },
};

/* The instruction, then RET: at `at` of two pages. */
static void *place(const struct form *form, uint32_t at)
{
	static const uint8_t ret = 0xc3;

	CopyMem(code + at, (void *)(UINTN)form->bytes, form->length);
	CopyMem(code + at + form->length, (void *)(UINTN)&ret, 1);
	return code + at;
}

static uint32_t call_cpuid(void *where)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	__asm__ volatile("call *%4"
			 : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx)
			 : "r"(where)
			 : "memory");
	return ebx;
}

static uint32_t cpuid_answer;

static void try_cpuid(void *where)
{
	cpuid_answer = call_cpuid(where);
}

static void check_form(const struct form *form, uint32_t at)
{
	struct probe_fault fault;
	uint32_t regs[4];

	probe_cpuid(0, 0, regs);
	cpuid_answer = 0;
	if (!probe_try(try_cpuid, place(form, at), &fault))
		probe_check(false, form->name, "at 0x%x: exception %u rip 0x%lx", at, fault.vector,
			    fault.rip);
	else
		probe_check(cpuid_answer == regs[1], form->name, "at 0x%x: 0x%x", at, cpuid_answer);
}

static void check_forms(void)
{
	static const struct form locked = { "cpuid-lock", { 0xf0, 0x0f, 0xa2 }, 3 };

	for (uint32_t i = 0; i < sizeof(cpuid_forms) / sizeof(cpuid_forms[0]); i++) {
		const uint32_t length = cpuid_forms[i].length;

		check_form(&cpuid_forms[i], 64);
		/* Ending with the page, and with one byte on the next one. */
		check_form(&cpuid_forms[i], PAGE - length);
		check_form(&cpuid_forms[i], PAGE - length + 1);
		check_form(&cpuid_forms[i], PAGE - 1);
	}
	probe_check(probe_faults(try_cpuid, place(&locked, 64), VECTOR_UD), "cpuid-lock", "");
}

/* --- instructions that are not there --- */

static const struct form absent_forms[] = {
	{ "vmxon", { 0xf3, 0x0f, 0xc7, 0x34, 0x24 }, 5 },
	{ "vmclear", { 0x66, 0x0f, 0xc7, 0x34, 0x24 }, 5 },
	{ "vmptrld", { 0x0f, 0xc7, 0x34, 0x24 }, 4 },
	{ "vmread", { 0x0f, 0x78, 0xc0 }, 3 },
	{ "vmwrite", { 0x0f, 0x79, 0xc0 }, 3 },
	{ "vmcall", { 0x0f, 0x01, 0xc1 }, 3 },
	{ "vmlaunch", { 0x0f, 0x01, 0xc2 }, 3 },
	{ "vmresume", { 0x0f, 0x01, 0xc3 }, 3 },
	{ "vmxoff", { 0x0f, 0x01, 0xc4 }, 3 },
	{ "vmfunc", { 0x0f, 0x01, 0xd4 }, 3 },
	{ "vmrun", { 0x0f, 0x01, 0xd8 }, 3 },
	{ "vmmcall", { 0x0f, 0x01, 0xd9 }, 3 },
	{ "vmload", { 0x0f, 0x01, 0xda }, 3 },
	{ "vmsave", { 0x0f, 0x01, 0xdb }, 3 },
	{ "stgi", { 0x0f, 0x01, 0xdc }, 3 },
	{ "clgi", { 0x0f, 0x01, 0xdd }, 3 },
	{ "skinit", { 0x0f, 0x01, 0xde }, 3 },
	{ "invlpga", { 0x0f, 0x01, 0xdf }, 3 },
	{ "invept", { 0x66, 0x0f, 0x38, 0x80, 0x04, 0x24 }, 6 },
	{ "invvpid", { 0x66, 0x0f, 0x38, 0x81, 0x04, 0x24 }, 6 },
};

static void call_code(void *where)
{
	__asm__ volatile("call *%0"
			 :
			 : "r"(where), "a"(UINT64_C(0)), "c"(0)
			 : "rbx", "rdx", "memory");
}

static void check_absent(void)
{
	for (uint32_t i = 0; i < sizeof(absent_forms) / sizeof(absent_forms[0]); i++) {
		struct probe_fault fault = { .happened = false };
		void *where = place(&absent_forms[i], 64);

		probe_try(call_code, where, &fault);
		probe_check(fault.happened && fault.vector == VECTOR_UD &&
				    fault.rip == (uint64_t)where,
			    absent_forms[i].name, "exception %u at 0x%lx", fault.vector, fault.rip);
	}
}

/* --- the hypercall --- */

static uint64_t call_result;

static void call_presence(void *argument)
{
	uint64_t rax = *(const uint64_t *)argument;

	if (is_amd)
		__asm__ volatile("vmmcall" : "+a"(rax) : : "memory");
	else
		__asm__ volatile("vmcall" : "+a"(rax) : : "memory");
	call_result = rax;
}

static void check_hypercall(void)
{
	uint64_t rax = PRESENCE;

	if (is_bare)
		return;
	probe_check(probe_try(call_presence, &rax, NULL) && call_result == 1, "hypercall", "0x%lx",
		    call_result);
	rax = PRESENCE + 1;
	probe_check(probe_faults(call_presence, &rax, VECTOR_UD), "hypercall-other", "");
}

/* --- model-specific registers --- */

struct msr {
	uint32_t index;
	uint64_t value;
};

static void read_msr(void *argument)
{
	struct msr *msr = argument;

	msr->value = probe_rdmsr(msr->index);
}

static void write_msr(void *argument)
{
	const struct msr *msr = argument;

	probe_wrmsr(msr->index, msr->value);
}

static void check_efer(void)
{
	struct msr efer = { MSR_EFER, 0 };
	const uint64_t value = probe_rdmsr(MSR_EFER);

	probe_check(!(value & EFER_SVME), "efer-svme", "0x%lx", value);
	efer.value = value;
	probe_check(probe_try(write_msr, &efer, NULL), "efer-same", "");
	if (!is_bare) {
		efer.value = value | EFER_SVME;
		probe_check(probe_faults(write_msr, &efer, VECTOR_GP), "efer-set-svme", "");
	}
	efer.value = value & ~EFER_LME;
	if (!is_bare || !is_lax)
		probe_check(probe_faults(write_msr, &efer, VECTOR_GP), "efer-lme", "");
	efer.value = value | UINT64_C(1) << 60;
	probe_check(probe_faults(write_msr, &efer, VECTOR_GP) == !is_lax, "efer-reserved", "");
	probe_check(probe_rdmsr(MSR_EFER) == value, "efer-after", "0x%lx", probe_rdmsr(MSR_EFER));
}

/* They may read as something or fault, the same each time, and everything goes on. */
static void check_unknown_msrs(void)
{
	static const uint32_t indexes[] = { 0x2ffff,	0x12345678, 0x40000000, 0x4b564d00,
					    0xc0001fff, 0xc0011fff, 0xfffffff0, 0x1fff };

	for (uint32_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
		struct msr msr = { indexes[i], 0 };
		const bool reads = probe_try(read_msr, &msr, NULL);
		const bool again = probe_try(read_msr, &msr, NULL);

		probe_print("PROBE: msr 0x%x reads=%u value=0x%lx\n", msr.index, reads, msr.value);
		probe_check(reads == again, "msr-unknown", "0x%x", msr.index);
		msr.value = 0;
		probe_try(write_msr, &msr, NULL);
	}
}

static void check_hidden_msrs(void)
{
	struct msr msr = { is_amd ? MSR_VM_HSAVE : MSR_VMX_BASIC, 0 };

	if (is_bare)
		return;
	probe_check(probe_faults(read_msr, &msr, VECTOR_GP), "msr-hidden-read", "");
	probe_check(probe_faults(write_msr, &msr, VECTOR_GP), "msr-hidden-write", "");
	msr.index = is_amd ? MSR_VM_CR : MSR_FEATURE_CONTROL;
	if (!probe_try(read_msr, &msr, NULL))
		return;
	if (is_amd)
		probe_check((msr.value & 0x18) == 0x18, "vm-cr", "0x%lx", msr.value);
	else
		probe_check((msr.value & 7) == 1, "feature-control", "0x%lx", msr.value);
}

/* --- CR4, XCR0, INVD --- */

static void set_cr4(void *argument)
{
	probe_set_cr4(*(const uint64_t *)argument);
}

struct xcr {
	uint32_t index;
	uint64_t value;
};

static void set_xcr(void *argument)
{
	const struct xcr *xcr = argument;

	__asm__ volatile("xsetbv"
			 :
			 : "c"(xcr->index), "a"((uint32_t)xcr->value),
			   "d"((uint32_t)(xcr->value >> 32)));
}

static uint64_t get_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static void check_xsetbv(void)
{
	struct xcr xcr = { 0, 1 };
	const uint64_t cr4 = probe_cr4();
	uint32_t regs[4];
	uint64_t old;

	probe_set_cr4(cr4 & ~CR4_OSXSAVE);
	probe_cpuid(1, 0, regs);
	probe_check(!(regs[2] & CPUID_OSXSAVE), "osxsave-off", "");
	probe_check(probe_faults(set_xcr, &xcr, VECTOR_UD), "xsetbv-off", "");
	probe_set_cr4(cr4 | CR4_OSXSAVE);
	probe_cpuid(1, 0, regs);
	probe_check(regs[2] & CPUID_OSXSAVE, "osxsave-on", "");
	old = get_xcr0();
	xcr.value = 3;
	probe_check(probe_try(set_xcr, &xcr, NULL) && get_xcr0() == 3, "xsetbv", "0x%lx",
		    get_xcr0());
	xcr.value = 2;
	probe_check(probe_faults(set_xcr, &xcr, VECTOR_GP), "xsetbv-no-x87", "");
	xcr.value = 5;
	probe_check(probe_faults(set_xcr, &xcr, VECTOR_GP), "xsetbv-no-sse", "");
	xcr.value = UINT64_C(1) << 62 | 3;
	probe_check(probe_faults(set_xcr, &xcr, VECTOR_GP), "xsetbv-reserved", "");
	xcr = (struct xcr){ 9, 1 };
	probe_check(probe_faults(set_xcr, &xcr, VECTOR_GP), "xsetbv-index", "");
	probe_check(get_xcr0() == 3, "xsetbv-kept", "0x%lx", get_xcr0());
	xcr = (struct xcr){ 0, old };
	set_xcr(&xcr);
	probe_set_cr4(cr4);
}

static void run_invd(void *argument)
{
	volatile uint64_t *word = argument;

	*word = 1234;
	if (!is_bare)
		__asm__ volatile("invd" : : : "memory");
	__asm__ volatile("wbinvd" : : : "memory");
}

static void check_registers(void)
{
	uint64_t value = probe_cr4() | CR4_VMXE, word = 0;

	if (!is_bare)
		probe_check(probe_faults(set_cr4, &value, VECTOR_GP), "cr4-vmxe", "");
	probe_check(!(probe_cr4() & CR4_VMXE), "cr4", "0x%lx", probe_cr4());
	probe_check(probe_try(run_invd, &word, NULL) && word == 1234, "invd", "%lu", word);
}

/* --- single steps: the trap comes right after the instruction --- */

#define STEP(name, instruction, ...)                                                               \
	static void name(uint64_t *next)                                                           \
	{                                                                                          \
		__asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %0; mov %1, %%rcx;"               \
				 "pushfq; orq $0x100, (%%rsp); popfq;" instruction "; 1: nop; nop" \
				 : "=m"(*next)                                                     \
				 : __VA_ARGS__                                                     \
				 : "rax", "rbx", "rcx", "rdx", "r8", "memory", "cc");              \
	}

static uint64_t step_word;

STEP(step_nop, "nop", "r"(UINT64_C(0)))
STEP(step_cpuid, "cpuid", "r"(UINT64_C(0)))
STEP(step_rdmsr, "rdmsr", "r"(UINT64_C(0x1b)))
STEP(step_rdmsr_efer, "rdmsr", "r"((uint64_t)MSR_EFER))
STEP(step_store, "movq %1, (%1)", "r"(&step_word))
STEP(step_in, "inb $0x61, %%al", "r"(UINT64_C(0)))
STEP(step_invd, "wbinvd", "r"(UINT64_C(0)))

#undef STEP

static void step_wrmsr(uint64_t *next)
{
	const uint64_t efer = probe_rdmsr(MSR_EFER);

	__asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %0; pushfq; orq $0x100, (%%rsp); popfq;"
			 "wrmsr; 1: nop; nop"
			 : "=m"(*next)
			 : "c"(MSR_EFER), "a"((uint32_t)efer), "d"(0)
			 : "r8", "memory", "cc");
}

/* MOV SS holds the trap back for one instruction. */
static void step_after_ss(uint64_t *next)
{
	__asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %0; mov %%ss, %%r9d;"
			 "pushfq; orq $0x100, (%%rsp); popfq; mov %%r9d, %%ss; cpuid; 1: nop; nop"
			 : "=m"(*next)
			 : "a"(0), "c"(0)
			 : "rbx", "rdx", "r8", "r9", "memory", "cc");
}

static void step_apic(uint64_t *next)
{
	const uint64_t apic = (probe_apic_base() & ~UINT64_C(0xfff)) + APIC_EOI;

	__asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %0; pushfq; orq $0x100, (%%rsp); popfq;"
			 "movl $0, (%1); 1: nop; nop"
			 : "=m"(*next)
			 : "r"(apic)
			 : "r8", "memory", "cc");
}

static const struct {
	const char *name;
	void (*function)(uint64_t *next);
} steps[] = {
	{ "step-nop", step_nop },	  { "step-cpuid", step_cpuid },
	{ "step-rdmsr", step_rdmsr },	  { "step-rdmsr-efer", step_rdmsr_efer },
	{ "step-store", step_store },	  { "step-in", step_in },
	{ "step-wbinvd", step_invd },	  { "step-wrmsr", step_wrmsr },
	{ "step-mov-ss", step_after_ss }, { "step-apic", step_apic },
};

static void check_steps(void)
{
	struct probe_cpu *cpu = probe_this_cpu();

	for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const uint64_t before = cpu->counts[VECTOR_DB];
		uint64_t next = 0;

		cpu->dr6 = 0;
		steps[i].function(&next);
		probe_check(cpu->counts[VECTOR_DB] == before + 1 &&
				    cpu->last_rip[VECTOR_DB] == next && (cpu->dr6 & 0x4000),
			    steps[i].name, "%lu traps, at 0x%lx instead of 0x%lx, DR6 0x%lx",
			    cpu->counts[VECTOR_DB] - before, cpu->last_rip[VECTOR_DB], next,
			    cpu->dr6);
	}
}

/* --- the state, moved to a user of the hypervisor and back --- */

static uint64_t move_state(uint64_t deed, uint64_t *r11, uint64_t xmm5[2])
{
	register uint64_t in_r11 __asm__("r11") = *r11;
	uint64_t rax = HYPERCALL_TEST_SYNC;

	if (is_amd)
		__asm__ volatile("movups (%[xmm]), %%xmm5; vmmcall; movups %%xmm5, (%[xmm])"
				 : "+a"(rax), "+r"(in_r11)
				 : "c"(deed), [xmm] "r"(xmm5)
				 : "xmm5", "memory");
	else
		__asm__ volatile("movups (%[xmm]), %%xmm5; vmcall; movups %%xmm5, (%[xmm])"
				 : "+a"(rax), "+r"(in_r11)
				 : "c"(deed), [xmm] "r"(xmm5)
				 : "xmm5", "memory");
	*r11 = in_r11;
	return rax;
}

static void sync_regs(uint64_t regs[8])
{
	__asm__ volatile("mov %%cr0, %0; mov %%cr3, %1" : "=r"(regs[0]), "=r"(regs[1]));
	regs[2] = probe_cr4();
	__asm__ volatile("mov %%dr0, %0; mov %%dr3, %1" : "=r"(regs[3]), "=r"(regs[4]));
	__asm__ volatile("mov %%dr6, %0; mov %%dr7, %1" : "=r"(regs[5]), "=r"(regs[6]));
	regs[7] = probe_rdmsr(MSR_EFER);
}

static void check_sync_deed(const char *name, uint64_t deed, bool accepted)
{
	const uint64_t old = UINT64_C(0x5555555544444444);
	const uint64_t want = deed == SYNC_CALL_CHANGE ? SYNC_CALL_VALUE : old;
	uint64_t r11 = old, xmm5[2] = { old, ~old }, before[8], after[8], reason, dr2;

	__asm__ volatile("mov %0, %%dr2" : : "r"(old));
	sync_regs(before);
	reason = move_state(deed, &r11, xmm5);
	sync_regs(after);
	__asm__ volatile("mov %%dr2, %0" : "=r"(dr2));
	probe_check((reason == 0) == accepted, name, "reason %lu", reason);
	probe_check(r11 == want && dr2 == want && xmm5[0] == want && xmm5[1] == ~old, name,
		    "R11 0x%lx DR2 0x%lx XMM5 0x%lx 0x%lx", r11, dr2, xmm5[0], xmm5[1]);
	for (uint32_t i = 0; i < 8; i++)
		probe_check(before[i] == after[i], name, "register %u: 0x%lx, was 0x%lx", i,
			    after[i], before[i]);
}

static void check_sync(void)
{
	if (is_bare)
		return;
	check_sync_deed("sync-same", SYNC_CALL_SAME, true);
	check_sync_deed("sync-change", SYNC_CALL_CHANGE, true);
	check_sync_deed("sync-bad-rip", SYNC_CALL_BAD_RIP, false);
	check_sync_deed("sync-bad-cr4", SYNC_CALL_BAD_CR4, false);
	check_sync_deed("sync-bad-xsave", SYNC_CALL_BAD_XSAVE, false);
	__asm__ volatile("mov %0, %%dr2" : : "r"(UINT64_C(0)));
}

/*
 * RF covers the instruction that an IRET goes to, and only that, also if it exits: a breakpoint on
 * the next one is hit.
 */
static void check_resume_flag(void)
{
	struct probe_cpu *cpu = probe_this_cpu();
	const uint64_t before = cpu->counts[VECTOR_DB];
	uint64_t next;

	cpu->dr6 = 0;
	__asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %0; mov %%r8, %%dr0;"
			 "mov $0x402, %%r8d; mov %%r8, %%dr7;"
			 "mov %%rsp, %%r8; mov %%ss, %%ecx; push %%rcx; push %%r8;"
			 "pushfq; orq $0x10000, (%%rsp); mov %%cs, %%ecx; push %%rcx;"
			 "lea 2f(%%rip), %%r8; push %%r8; xor %%ecx, %%ecx; iretq;"
			 "2: cpuid; 1: nop; nop;"
			 "mov $0x400, %%r8d; mov %%r8, %%dr7"
			 : "=m"(next)
			 : "a"(0)
			 : "rbx", "rcx", "rdx", "r8", "memory", "cc");
	probe_check(cpu->counts[VECTOR_DB] == before + 1 && cpu->last_rip[VECTOR_DB] == next &&
			    (cpu->dr6 & 1),
		    "rf-cpuid", "%lu breakpoints, at 0x%lx instead of 0x%lx, DR6 0x%lx",
		    cpu->counts[VECTOR_DB] - before, cpu->last_rip[VECTOR_DB], next, cpu->dr6);
}

/* --- interrupts --- */

/* STI holds an interrupt back for one instruction, also for one that exits. */
static void check_shadow(void)
{
	struct probe_cpu *cpu = probe_this_cpu();
	const uint64_t before = cpu->counts[VECTOR_PROBE];
	uint64_t next;

	probe_apic_write(APIC_SVR, probe_apic_read(APIC_SVR) | 0x100);
	probe_icr(cpu->apic_id, ICR_FIXED | VECTOR_PROBE);
	for (int i = 0; i < 1000; i++)
		__asm__ volatile("pause");
	__asm__ volatile("lea 1f(%%rip), %%r8; mov %%r8, %0; sti; cpuid; 1: nop; nop; nop; cli"
			 : "=m"(next)
			 : "a"(0), "c"(0)
			 : "rbx", "rdx", "r8", "memory", "cc");
	probe_check(cpu->counts[VECTOR_PROBE] == before + 1 && cpu->last_rip[VECTOR_PROBE] == next,
		    "sti-cpuid", "%lu, at 0x%lx instead of 0x%lx",
		    cpu->counts[VECTOR_PROBE] - before, cpu->last_rip[VECTOR_PROBE], next);
}

static bool wait_for_nmis(const struct probe_cpu *cpu, uint64_t count)
{
	for (int i = 0; i < 100000 && cpu->counts[VECTOR_NMI] < count; i++)
		probe_stall(100);
	return cpu->counts[VECTOR_NMI] == count;
}

static uint32_t stop_waiting;

static void wait_until_stopped(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&stop_waiting, __ATOMIC_SEQ_CST))
		__asm__ volatile("pause");
}

static void check_nmis(void)
{
	struct probe_cpu *cpu = probe_this_cpu();

	for (uint64_t i = 1; i <= 5; i++) {
		probe_icr(cpu->apic_id, ICR_NMI);
		if (!wait_for_nmis(cpu, i))
			break;
	}
	probe_check(cpu->counts[VECTOR_NMI] == 5, "nmi-self", "%lu", cpu->counts[VECTOR_NMI]);
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_start_and_wait(i, wait_until_stopped, NULL), "cpu-came", "%u", i);
	for (uint32_t round = 1; round <= 20; round++) {
		probe_icr(0, ICR_NMI | 0xc0000);
		for (uint32_t i = 1; i < probe_cpu_count; i++) {
			if (!wait_for_nmis(&probe_cpus[i], round))
				probe_check(false, "nmi-others", "cpu %u round %u: %lu", i, round,
					    probe_cpus[i].counts[VECTOR_NMI]);
		}
	}
	probe_check(cpu->counts[VECTOR_NMI] == 5, "nmi-not-self", "%lu", cpu->counts[VECTOR_NMI]);
	stop_waiting = 1;
	for (uint32_t i = 1; i < probe_cpu_count; i++)
		probe_check(probe_join(i, 20000), "cpu-back", "%u", i);
}

/* --- NMIs inside the NMI's handler: one waits, until an IRET --- */

static struct {
	void (*deed)(void);
	uint64_t first;
	uint64_t before, after; /* how many had come, inside the handler */
} inside;

#define GENERAL_REGS_ONLY __attribute__((target("general-regs-only")))

/* Time for an NMI to come, and exits for it to come at. */
static GENERAL_REGS_ONLY void dawdle(void)
{
	uint32_t regs[4];

	for (int i = 0; i < 200; i++) {
		__asm__ volatile("pause");
		probe_cpuid(0, 0, regs);
	}
}

static GENERAL_REGS_ONLY void in_handler(struct probe_cpu *cpu)
{
	if (cpu->counts[VECTOR_NMI] != inside.first)
		return;
	for (int i = 0; i < 3; i++)
		probe_icr(cpu->apic_id, ICR_NMI);
	dawdle();
	inside.before = cpu->counts[VECTOR_NMI];
	inside.deed();
	dawdle();
	inside.after = cpu->counts[VECTOR_NMI];
}

static GENERAL_REGS_ONLY void do_nothing(void)
{
}

/* The handler of another exception ends in IRET, which unblocks NMIs. */
static GENERAL_REGS_ONLY void do_breakpoint(void)
{
	__asm__ volatile("int3");
}

static void check_nested_nmi(const char *name, void (*deed)(void), uint64_t more_inside)
{
	struct probe_cpu *cpu = probe_this_cpu();

	inside.deed = deed;
	inside.first = cpu->counts[VECTOR_NMI] + 1;
	probe_nmi_hook = in_handler;
	probe_icr(cpu->apic_id, ICR_NMI);
	wait_for_nmis(cpu, inside.first + 1);
	dawdle();
	probe_nmi_hook = NULL;
	probe_check(inside.before == inside.first && inside.after == inside.first + more_inside &&
			    cpu->counts[VECTOR_NMI] == inside.first + 1,
		    name, "%lu, inside the handler %lu and %lu",
		    cpu->counts[VECTOR_NMI] - inside.first, inside.before - inside.first,
		    inside.after - inside.first);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	EFI_PHYSICAL_ADDRESS pages;
	const char *options = probe_begin(image, table);

	is_bare = probe_has_word(options, "bare");
	is_hidden = probe_has_word(options, "hidden");
	is_lax = probe_has_word(options, "lax");
	if (EFI_ERROR(BS->AllocatePages(AllocateAnyPages, EfiLoaderCode, 2, &pages)))
		return EFI_OUT_OF_RESOURCES;
	code = (uint8_t *)pages;
	check_cpuid();
	check_forms();
	check_absent();
	check_hypercall();
	check_efer();
	check_unknown_msrs();
	check_hidden_msrs();
	check_registers();
	check_xsetbv();
	check_steps();
	check_sync();
	if (!probe_has_word(options, "unbroken"))
		check_resume_flag();
	check_shadow();
	check_nmis();
	check_nested_nmi("nmi-blocked", do_nothing, 0);
	check_nested_nmi("nmi-after-iret", do_breakpoint, 1);
	return probe_end();
}
