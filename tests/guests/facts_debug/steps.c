// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/facts_debug/steps.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { CODE_MAX = 18, MSR_DEBUGCTL = 0x1d9, MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081 };
enum { MSR_LSTAR = 0xc0000082, MSR_CSTAR = 0xc0000083, MSR_SFMASK = 0xc0000084 };
enum { MSR_APIC_BASE = 0x1b, MSR_PAT = 0x277, MSR_KERNEL_GS = 0xc0000102 };
enum { DEBUGCTL_BTF = 2, STACK_WORDS = 5, EFER_SCE = 1 };
/* The offset of where IRET, SYSCALL and the like go to, and a page that is not there. */
enum { TARGET = 0x80, ABSENT = ARENA_DATA + 0xf000 };
#define CR4_DE	    UINT64_C(8)
#define CR4_OSXSAVE UINT64_C(0x40000)

/* What has to be in the registers or on the stack. */
enum need {
	NOTHING,
	NEED_CR0,
	NEED_CR3,
	NEED_CR4,
	NEED_XCR0,
	NEED_MSR,    /* RCX is the index, EDX:EAX its value */
	NEED_FRAME,  /* of IRET, to TARGET */
	NEED_FLAGS,  /* of POPF */
	NEED_TABLE,  /* GDTR at RBX */
	NEED_ABSENT, /* RBX, RSI and RDI point to a page that is not present */
};

struct insn {
	const char *name;
	uint8_t bytes[CODE_MAX];
	uint32_t count;
	enum need need;
	uint64_t rax, rcx, rdx;
	bool is_first; /* in the short run in all modes */
};

static const struct insn insns[] = {
	{ "nop", { 0x90 }, 1, .need = NOTHING },
	{ "cpuid", { 0x0f, 0xa2 }, 2, .is_first = true },
	{ "cpuid-prefixed", { 0x66, 0x2e, 0xf3, 0x0f, 0xa2 }, 5, .is_first = true },
	{ "cpuid-locked", { 0xf0, 0x0f, 0xa2 }, 3, .need = NOTHING },
	{ "cpuid-long",
	  { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
	    0x0f, 0xa2 },
	  16,
	  .need = NOTHING },
	{ "two-cpuid", { 0x0f, 0xa2, 0x0f, 0xa2 }, 4, .need = NOTHING },
	{ "rdtsc", { 0x0f, 0x31 }, 2, .need = NOTHING },
	{ "rdtscp", { 0x0f, 0x01, 0xf9 }, 3, .need = NOTHING },
	{ "rdpmc", { 0x0f, 0x33 }, 2, .need = NOTHING },
	{ "rdmsr-apic-base", { 0x0f, 0x32 }, 2, .rcx = MSR_APIC_BASE, .is_first = true },
	{ "rdmsr-efer", { 0x0f, 0x32 }, 2, .rcx = MSR_EFER },
	{ "rdmsr-none", { 0x0f, 0x32 }, 2, .rcx = 0x12345678, .is_first = true },
	{ "rdmsr-locked", { 0xf0, 0x0f, 0x32 }, 3, .rcx = MSR_EFER },
	{ "wrmsr-apic-base", { 0x0f, 0x30 }, 2, .need = NEED_MSR, .rcx = MSR_APIC_BASE },
	{ "wrmsr-efer", { 0x0f, 0x30 }, 2, .need = NEED_MSR, .rcx = MSR_EFER, .is_first = true },
	{ "wrmsr-pat", { 0x0f, 0x30 }, 2, .need = NEED_MSR, .rcx = MSR_PAT },
	{ "wrmsr-kernel-gs", { 0x0f, 0x30 }, 2, .need = NEED_MSR, .rcx = MSR_KERNEL_GS },
	{ "wrmsr-none", { 0x0f, 0x30 }, 2, .rcx = 0x12345678 },
	{ "wrmsr-not-canonical", { 0x0f, 0x30 }, 2, .rcx = MSR_KERNEL_GS, .rdx = 0x800000 },
	{ "xgetbv", { 0x0f, 0x01, 0xd0 }, 3, .need = NOTHING },
	{ "xsetbv", { 0x0f, 0x01, 0xd1 }, 3, .need = NEED_XCR0, .is_first = true },
	{ "xsetbv-wrong", { 0x0f, 0x01, 0xd1 }, 3, .is_first = true },
	{ "xsetbv-index", { 0x0f, 0x01, 0xd1 }, 3, .need = NEED_XCR0, .rcx = 5 },
	{ "in-byte", { 0xe4, 0x61 }, 2, .is_first = true },
	{ "in-word", { 0x66, 0xe5, 0x80 }, 3, .need = NOTHING },
	{ "in-dx", { 0xec }, 1, .rdx = 0x61 },
	{ "in-dx-full", { 0xed }, 1, .rdx = 0x80 },
	{ "out-byte", { 0xe6, 0x80 }, 2, .need = NOTHING },
	{ "out-dx", { 0xee }, 1, .rdx = 0x80 },
	{ "insb", { 0x6c }, 1, .rdx = 0x80 },
	{ "outsb", { 0x6e }, 1, .rdx = 0x80 },
	{ "rep-insb", { 0xf3, 0x6c }, 2, .rcx = 3, .rdx = 0x80, .is_first = true },
	{ "rep-outsb", { 0xf3, 0x6e }, 2, .rcx = 3, .rdx = 0x80, .is_first = true },
	{ "rep-outsb-none", { 0xf3, 0x6e }, 2, .rcx = 0, .rdx = 0x80 },
	{ "rep-movsb", { 0xf3, 0xa4 }, 2, .rcx = 3 },
	{ "insb-absent", { 0x6c }, 1, .need = NEED_ABSENT, .rdx = 0x80 },
	{ "outsb-absent", { 0x6e }, 1, .need = NEED_ABSENT, .rdx = 0x80 },
	{ "invd", { 0x0f, 0x08 }, 2, .is_first = true },
	{ "wbinvd", { 0x0f, 0x09 }, 2, .need = NOTHING },
	{ "wbnoinvd", { 0xf3, 0x0f, 0x09 }, 3, .need = NOTHING },
	{ "vmcall", { 0x0f, 0x01, 0xc1 }, 3, .is_first = true },
	{ "vmmcall", { 0x0f, 0x01, 0xd9 }, 3, .is_first = true },
	{ "vmcall-locked", { 0xf0, 0x0f, 0x01, 0xc1 }, 4, .need = NOTHING },
	{ "vmlaunch", { 0x0f, 0x01, 0xc2 }, 3, .need = NOTHING },
	{ "vmxoff", { 0x0f, 0x01, 0xc4 }, 3, .need = NOTHING },
	{ "vmread", { 0x0f, 0x78, 0xc0 }, 3, .need = NOTHING },
	{ "vmxon", { 0xf3, 0x0f, 0xc7, 0x30 }, 4, .need = NEED_ABSENT },
	{ "invept", { 0x66, 0x0f, 0x38, 0x80, 0x03 }, 5, .need = NEED_ABSENT },
	{ "vmfunc", { 0x0f, 0x01, 0xd4 }, 3, .need = NOTHING },
	{ "vmrun", { 0x0f, 0x01, 0xd8 }, 3, .need = NOTHING },
	{ "vmload", { 0x0f, 0x01, 0xda }, 3, .need = NOTHING },
	{ "stgi", { 0x0f, 0x01, 0xdc }, 3, .need = NOTHING },
	{ "clgi", { 0x0f, 0x01, 0xdd }, 3, .need = NOTHING },
	{ "skinit", { 0x0f, 0x01, 0xde }, 3, .need = NOTHING },
	{ "invlpga", { 0x0f, 0x01, 0xdf }, 3, .need = NOTHING },
	{ "rsm", { 0x0f, 0xaa }, 2, .need = NOTHING },
	{ "getsec", { 0x0f, 0x37 }, 2, .need = NOTHING },
	{ "ud2", { 0x0f, 0x0b }, 2, .need = NOTHING },
	{ "mov-from-cr0", { 0x0f, 0x20, 0xc0 }, 3, .need = NOTHING },
	{ "mov-to-cr0", { 0x0f, 0x22, 0xc0 }, 3, .need = NEED_CR0, .is_first = true },
	{ "mov-from-cr1", { 0x0f, 0x20, 0xc8 }, 3, .need = NOTHING },
	{ "mov-from-cr2", { 0x0f, 0x20, 0xd0 }, 3, .need = NOTHING },
	{ "mov-from-cr3", { 0x0f, 0x20, 0xd8 }, 3, .need = NOTHING },
	{ "mov-to-cr3", { 0x0f, 0x22, 0xd8 }, 3, .need = NEED_CR3, .is_first = true },
	{ "mov-from-cr4", { 0x0f, 0x20, 0xe0 }, 3, .need = NOTHING },
	{ "mov-to-cr4", { 0x0f, 0x22, 0xe0 }, 3, .need = NEED_CR4, .is_first = true },
	{ "mov-from-cr8", { 0x44, 0x0f, 0x20, 0xc0 }, 4, .need = NOTHING },
	{ "mov-to-cr8", { 0x44, 0x0f, 0x22, 0xc0 }, 4, .need = NOTHING },
	{ "mov-to-cr8-wrong", { 0x44, 0x0f, 0x22, 0xc0 }, 4, .rax = 16 },
	{ "mov-from-cr15", { 0x44, 0x0f, 0x20, 0xf8 }, 4, .need = NOTHING },
	{ "clts", { 0x0f, 0x06 }, 2, .need = NOTHING },
	{ "smsw", { 0x0f, 0x01, 0xe0 }, 3, .need = NOTHING },
	{ "lmsw", { 0x0f, 0x01, 0xf0 }, 3, .need = NEED_CR0, .is_first = true },
	{ "mov-from-dr0", { 0x0f, 0x21, 0xc0 }, 3, .need = NOTHING },
	{ "mov-from-dr6", { 0x0f, 0x21, 0xf0 }, 3, .need = NOTHING },
	{ "mov-from-dr7", { 0x0f, 0x21, 0xf8 }, 3, .need = NOTHING },
	{ "mov-to-dr7", { 0x0f, 0x23, 0xf8 }, 3, .rax = 0x400 },
	{ "mov-from-dr4", { 0x0f, 0x21, 0xe0 }, 3, .need = NOTHING },
	{ "pause", { 0xf3, 0x90 }, 2, .need = NOTHING },
	{ "invlpg", { 0x0f, 0x01, 0x3b }, 3, .need = NOTHING },
	{ "invpcid", { 0x66, 0x0f, 0x38, 0x82, 0x03 }, 5, .need = NOTHING },
	{ "monitor", { 0x0f, 0x01, 0xc8 }, 3, .need = NEED_CR3 },
	{ "sgdt", { 0x0f, 0x01, 0x03 }, 3, .need = NOTHING },
	{ "sidt-absent", { 0x0f, 0x01, 0x0b }, 3, .need = NEED_ABSENT },
	{ "lgdt", { 0x0f, 0x01, 0x13 }, 3, .need = NEED_TABLE },
	{ "lgdt-absent", { 0x0f, 0x01, 0x13 }, 3, .need = NEED_ABSENT },
	{ "sldt", { 0x0f, 0x00, 0xc0 }, 3, .need = NOTHING },
	{ "str", { 0x0f, 0x00, 0xc8 }, 3, .need = NOTHING },
	{ "lldt", { 0x0f, 0x00, 0xd0 }, 3, .need = NOTHING },
	{ "ltr-busy", { 0x0f, 0x00, 0xd8 }, 3, .rax = ARENA_TR },
	{ "lar", { 0x0f, 0x02, 0xc0 }, 3, .need = NOTHING },
	{ "cli", { 0xfa }, 1, .need = NOTHING },
	{ "sti", { 0xfb, 0x90, 0xfa }, 3, .is_first = true },
	{ "sti-cpuid", { 0xfb, 0x0f, 0xa2, 0xfa }, 4, .is_first = true },
	{ "sti-rdmsr", { 0xfb, 0x0f, 0x32, 0xfa }, 4, .rcx = MSR_EFER },
	{ "ss-nop", { 0x8e, 0xd0, 0x90, 0x90 }, 4, .is_first = true },
	{ "ss-cpuid", { 0x8e, 0xd0, 0x0f, 0xa2, 0x90 }, 5, .is_first = true },
	{ "ss-rdmsr", { 0x8e, 0xd0, 0x0f, 0x32 }, 4, .rcx = MSR_APIC_BASE },
	{ "ss-in", { 0x8e, 0xd0, 0xe4, 0x61, 0x90 }, 5, .need = NOTHING },
	{ "ss-int3", { 0x8e, 0xd0, 0xcc, 0x90 }, 4, .need = NOTHING },
	{ "ss-vmcall", { 0x8e, 0xd0, 0x0f, 0x01, 0xc1 }, 5, .need = NOTHING },
	{ "ss-ss-cpuid", { 0x8e, 0xd0, 0x8e, 0xd0, 0x0f, 0xa2, 0x90 }, 7, .need = NOTHING },
	{ "pop-ss-cpuid", { 0x17, 0x0f, 0xa2, 0x90 }, 4, .need = NOTHING },
	{ "iret", { 0xcf, 0x90 }, 2, .need = NEED_FRAME, .is_first = true },
	{ "iretq", { 0x48, 0xcf, 0x90 }, 3, .need = NEED_FRAME },
	{ "popf", { 0x9d, 0x90 }, 2, .need = NEED_FLAGS, .is_first = true },
	{ "popf-cpuid", { 0x9d, 0x0f, 0xa2, 0x90 }, 4, .need = NEED_FLAGS },
	{ "pushf", { 0x9c }, 1, .need = NOTHING },
	{ "int", { 0xcd, 0x42, 0x90 }, 3, .is_first = true },
	{ "int3", { 0xcc, 0x90 }, 2, .need = NOTHING },
	{ "int3-long", { 0xcd, 0x03, 0x90 }, 3, .need = NOTHING },
	{ "into", { 0xce, 0x90 }, 2, .need = NOTHING },
	{ "int1", { 0xf1, 0x90 }, 2, .is_first = true },
	{ "syscall", { 0x0f, 0x05, 0x90 }, 3, .is_first = true },
	{ "sysret", { 0x48, 0x0f, 0x07 }, 3, .rcx = 1 },
	{ "sysret-32", { 0x0f, 0x07 }, 2, .rcx = 1 },
	{ "sysenter", { 0x0f, 0x34 }, 2, .need = NOTHING },
	{ "swapgs", { 0x0f, 0x01, 0xf8 }, 3, .need = NOTHING },
	{ "rdfsbase", { 0xf3, 0x48, 0x0f, 0xae, 0xc0 }, 5, .need = NOTHING },
	{ "call", { 0xe8, 0x00, 0x00, 0x00, 0x00, 0x0f, 0xa2 }, 7, .need = NOTHING },
	{ "clflush", { 0x0f, 0xae, 0x3b }, 3, .need = NOTHING },
	{ "rdrand", { 0x0f, 0xc7, 0xf0 }, 3, .need = NOTHING },
	{ "rdseed", { 0x0f, 0xc7, 0xf8 }, 3, .need = NOTHING },
	{ "rdpid", { 0xf3, 0x0f, 0xc7, 0xf8 }, 4, .need = NOTHING },
};

static uint64_t read_cr0(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	return value;
}

static uint64_t read_xcr0(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static uint32_t word_bytes(const struct trial *trial, const struct insn *insn)
{
	switch (trial->mode) {
	case TRIAL_64_0:
	case TRIAL_64_3:
		return insn->need == NEED_FLAGS || insn->bytes[0] == 0x48 ? 8 : 4;
	case TRIAL_32_0:
	case TRIAL_32_3:
		return 4;
	default:
		return 2;
	}
}

static void put_words(struct trial *trial, uint32_t bytes, const uint64_t *words, uint32_t count)
{
	uint8_t *at = (uint8_t *)(UINTN)ARENA_STACK_TOP - 0x100;

	for (uint32_t i = 0; i < count; i++)
		CopyMem(at + i * bytes, (void *)(UINTN)&words[i], bytes);
	trial->in.gpr[TRIAL_RSP] -= 0x100;
}

static void put_frame(struct trial *trial, const struct insn *insn)
{
	const uint64_t words[STACK_WORDS] = { trial->start + TARGET, trial->in.cs,
					      trial->in.rflags | TRIAL_RF, ARENA_STACK_TOP - 0x80,
					      trial->in.ss };

	put_words(trial, word_bytes(trial, insn), words, STACK_WORDS);
}

static void meet_need(struct trial *trial, const struct insn *insn)
{
	struct trial_state *in = &trial->in;
	const uint64_t flags = in->rflags;
	uint64_t value = 0;

	switch (insn->need) {
	case NEED_CR0:
		in->gpr[TRIAL_RAX] = read_cr0();
		break;
	case NEED_CR3:
		__asm__ volatile("mov %%cr3, %0" : "=r"(in->gpr[TRIAL_RAX]));
		break;
	case NEED_CR4:
		in->gpr[TRIAL_RAX] = probe_cr4();
		break;
	case NEED_XCR0:
		value = probe_cr4() & CR4_OSXSAVE ? read_xcr0() : 1;
		break;
	case NEED_MSR:
		value = probe_rdmsr((uint32_t)insn->rcx);
		break;
	case NEED_FRAME:
		put_frame(trial, insn);
		break;
	case NEED_FLAGS:
		put_words(trial, word_bytes(trial, insn), &flags, 1);
		break;
	case NEED_TABLE:
		__asm__ volatile("sgdt %0" : "=m"(*(uint8_t(*)[10])(UINTN)ARENA_DATA));
		break;
	case NEED_ABSENT:
		arena_page(ABSENT, 0);
		in->gpr[TRIAL_RBX] += ABSENT - ARENA_DATA;
		in->gpr[TRIAL_RSI] = in->gpr[TRIAL_RDI] = in->gpr[TRIAL_RBX];
		in->gpr[TRIAL_RAX] = in->gpr[TRIAL_RBX];
		break;
	case NOTHING:
		break;
	}
	if (insn->need == NEED_XCR0 || insn->need == NEED_MSR) {
		in->gpr[TRIAL_RAX] = (uint32_t)value;
		in->gpr[TRIAL_RDX] = value >> 32;
	}
}

/* Where IRET goes, and SYSCALL and SYSRET: two instructions, one of which exits. */
static void put_target(struct trial *trial)
{
	static const uint8_t target[] = { 0x0f, 0xa2, 0x90, 0xcd, TRIAL_END };

	CopyMem((void *)(UINTN)(ARENA_CODE + TRIAL_OFFSET + TARGET), (void *)(UINTN)target,
		sizeof(target));
	if (trial->in.gpr[TRIAL_RCX] == 1)
		trial->in.gpr[TRIAL_RCX] = ARENA_CODE + TRIAL_OFFSET + TARGET;
}

static void step(const char *prefix, enum trial_mode mode, const struct insn *insn, uint64_t flags)
{
	struct trial_text key = { .length = 0 };
	struct trial trial;

	trial_init(&trial, mode, insn->bytes, insn->count);
	trial.in.gpr[TRIAL_RAX] = insn->rax;
	trial.in.gpr[TRIAL_RCX] = insn->rcx;
	trial.in.gpr[TRIAL_RDX] = insn->rdx;
	if (insn->bytes[0] == 0x8e)
		trial.in.gpr[TRIAL_RAX] = trial.in.ss;
	if (insn->bytes[0] == 0x17)
		*(volatile uint64_t *)(UINTN)ARENA_STACK_TOP = trial.in.ss;
	trial.in.rflags |= flags;
	if (insn->bytes[1] == 0x07 || insn->bytes[2] == 0x07)
		trial.in.gpr[11] = trial.in.rflags; /* SYSRET's */
	meet_need(&trial, insn);
	put_target(&trial);
	trial_run(&trial);
	__asm__ volatile("mov %0, %%cr8" : : "r"(UINT64_C(0)));
	if (insn->need == NEED_ABSENT)
		arena_page(ABSENT, ARENA_ALL);
	trial_print(&key, "%s.%s.%s", prefix, insn->name, trial_mode_name(mode));
	trial_fact(key.text, &trial);
}

enum choice { FIRST_IN_ALL_MODES, ALL_AT_64, ALL, WITH_X };

static bool is_chosen(const struct insn *insn, enum trial_mode mode, enum choice choice)
{
	/* LGDT takes 10 bytes, and that the operand is absent there holds elsewhere only; or there is a REX prefix. */
	if (mode > TRIAL_64_3 &&
	    ((insn->bytes[1] == 0x01 && insn->bytes[2] == 0x13) || (insn->bytes[0] & 0xf0) == 0x40))
		return false;
	switch (choice) {
	case FIRST_IN_ALL_MODES:
		return insn->is_first;
	case ALL_AT_64:
		return insn->is_first || mode <= TRIAL_64_3;
	case WITH_X:
		return insn->name[0] == 'x';
	case ALL:
		break;
	}
	return true;
}

static void all(const char *prefix, uint64_t flags, enum choice choice)
{
	for (uint32_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		for (enum trial_mode mode = TRIAL_64_0; mode < TRIAL_MODES; mode++) {
			if (is_chosen(&insns[i], mode, choice))
				step(prefix, mode, &insns[i], flags);
		}
	}
}

/* Traps of branches only. */
static void branches(void)
{
	static const struct insn codes[] = {
		{ "nops", { 0x90, 0x90 }, 2, .need = NOTHING },
		{ "jump", { 0x90, 0xeb, 0x00, 0x90 }, 4, .need = NOTHING },
		{ "cpuid", { 0x0f, 0xa2, 0x90 }, 3, .need = NOTHING },
		{ "cpuid-jump", { 0x0f, 0xa2, 0xeb, 0x00, 0x0f, 0xa2 }, 6, .need = NOTHING },
		{ "not-taken", { 0x72, 0x00, 0x90 }, 3, .need = NOTHING },
		{ "rdmsr", { 0x0f, 0x32, 0x90 }, 3, .rcx = MSR_EFER },
		{ "int", { 0xcd, 0x42, 0x90 }, 3, .need = NOTHING },
		{ "int3", { 0xcc, 0x0f, 0xa2 }, 3, .need = NOTHING },
		{ "ss-cpuid", { 0x8e, 0xd0, 0x0f, 0xa2, 0x90 }, 5, .need = NOTHING },
	};
	const uint64_t debugctl = probe_rdmsr(MSR_DEBUGCTL);

	for (uint32_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct trial_text key = { .length = 0 };

		probe_wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF);
		step("branch", TRIAL_64_0, &codes[i], TRIAL_TF);
		trial_print(&key, "branch.%s.debugctl", codes[i].name);
		fact(key.text, "0x%lx", probe_rdmsr(MSR_DEBUGCTL));
		probe_wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF);
		step("branch", TRIAL_64_3, &codes[i], TRIAL_TF);
		step("branch", TRIAL_32_0, &codes[i], TRIAL_TF);
	}
	probe_wrmsr(MSR_DEBUGCTL, debugctl);
}

struct star {
	uint64_t efer, star, lstar, cstar, sfmask;
};

static void swap_star(struct star *star)
{
	const struct star old = { probe_rdmsr(MSR_EFER), probe_rdmsr(MSR_STAR),
				  probe_rdmsr(MSR_LSTAR), probe_rdmsr(MSR_CSTAR),
				  probe_rdmsr(MSR_SFMASK) };

	probe_wrmsr(MSR_EFER, star->efer);
	probe_wrmsr(MSR_STAR, star->star);
	probe_wrmsr(MSR_LSTAR, star->lstar);
	probe_wrmsr(MSR_CSTAR, star->cstar);
	probe_wrmsr(MSR_SFMASK, star->sfmask);
	*star = old;
}

void facts_steps(bool full)
{
	const uint64_t target = ARENA_CODE + TRIAL_OFFSET + TARGET, cr4 = probe_cr4();
	struct star star = { probe_rdmsr(MSR_EFER) | EFER_SCE,
			     (uint64_t)(ARENA_USER_CODE32) << 48 | (uint64_t)ARENA_CODE64 << 32,
			     target, target, 0 };
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	swap_star(&star);
	if (regs[2] >> 26 & 1)
		probe_set_cr4(cr4 | CR4_OSXSAVE);
	all("step", TRIAL_TF, full ? ALL : ALL_AT_64);
	all("plain", 0, full ? ALL : FIRST_IN_ALL_MODES);
	if (full)
		all("step-rf", TRIAL_TF | TRIAL_RF, ALL);
	probe_set_cr4(cr4 & ~CR4_OSXSAVE);
	all("no-osxsave", 0, WITH_X);
	probe_set_cr4(cr4);
	branches();
	swap_star(&star);
}
