// SPDX-License-Identifier: BSD-2-Clause
/*
 * A fuzzer of the hypervisor, from inside: random code in random states of the CPU, in all modes and at both privilege levels.
 * Each step begins with a state that depends on the seed and the step's number alone, and everything that it leaves behind goes
 * into a hash, printed as a fact for every so many steps: bare and hosted these are the same.
 *
 *   robust.efi [seed N] [from N] [count N] [every N] [verbose N] [wild] [no-vm86]
 *
 * wild: also what a bare machine may not survive, and what the hypervisor hides or answers; not part of the hashes.
 * verbose: each step from this one on in words, to find the one that makes a difference.
 * no-vm86: no instruction in virtual-8086 mode; Bochs's AMD-V ends at an exit from there.
 */
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/quiet.h"
#include "tests/guests/robust/engine.h"
#include "tests/guests/robust/look.h"
#include "tests/guests/robust/make.h"
#include "tests/guests/robust/memory.h"

enum { VECTOR_TIMER = 0x31, TIMER_TICKS = 20000, WRITTEN_MSRS = 8 };
enum { APIC_LVT_TIMER = 0x320, APIC_INITIAL_COUNT = 0x380, APIC_DIVIDE = 0x3e0, APIC_SVR = 0xf0 };
enum { LVT_MASKED = 0x10000, APIC_EOI = 0xb0 };
enum { MSR_KERNEL_GS_BASE = 0xc0000102, MSR_STAR = 0xc0000081, MSR_LSTAR = 0xc0000082 };
enum { MSR_CSTAR = 0xc0000083, MSR_FMASK = 0xc0000084, MSR_SYSENTER_CS = 0x174, MSR_XSS = 0xda0 };
enum {
	LANDING = 0xf80,
	FAR_BITS = 38,
	FORGOTTEN = 0x5eed,
	CONSTANT_GS = 0x12345000,
	NOTHING_RUN = 0xff
};
enum { INSN_NOP = 0x90, INSN_INT3 = 0xcc };
#define CR4_OSFXSR  UINT64_C(0x200)
#define CR4_OSXSAVE UINT64_C(0x40000)
#define DR6_INIT    UINT64_C(0xffff0ff0)
#define XCR0_BASE   UINT64_C(7)
#define HASH_BEGIN  UINT64_C(0xcbf29ce484222325)

struct counts {
	uint64_t steps, plain, wild, skipped, empty, insns, halts;
	uint64_t modes[MAKE_MODES];
	uint64_t vectors[ENGINE_VECTORS];
};

struct runner {
	struct engine engine;
	struct robust_step step;
	struct counts counts;
	uint64_t number; /* of the step */
	uint64_t hash;	 /* of the block */
	uint32_t cpu;
	uint32_t lvt;
	uint64_t cr4, xcr0;
	bool is_ready;
	struct {
		uint32_t msr;
		uint64_t value;
	} written[WRITTEN_MSRS];
	uint32_t written_count;
};

static struct options {
	struct make_setup setup;
	uint64_t from, count, every;
	uint32_t cpus;
	uint64_t verbose_from;
	bool is_wild, is_without_vm86, has_xsave;
} options;

static struct runner runners[ENGINE_CPUS_MAX];
/* Behind the arena: zeros. */
static uint64_t templates[ENGINE_CPUS_MAX][(ARENA_BYTES + PAGE_BYTES) / 8];
static uint8_t initial_state[4096] __attribute__((aligned(64)));

/* --- small things --- */

static void mix(uint64_t *hash, uint64_t value)
{
	*hash = (*hash ^ value) * UINT64_C(0x100000001b3);
	*hash ^= *hash >> 29;
}

struct msr_access {
	uint32_t msr;
	uint64_t value;
};

static void read_msr(void *argument)
{
	struct msr_access *access = argument;

	access->value = probe_rdmsr(access->msr);
}

static void write_msr(void *argument)
{
	const struct msr_access *access = argument;

	probe_wrmsr(access->msr, access->value);
}

static uint64_t xgetbv(void)
{
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (uint64_t)high << 32 | low;
}

static void xsetbv(uint64_t value)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* --- a CPU before and after --- */

static uint64_t cr4_bits(void)
{
	uint64_t bits = 0x100; /* PCE */
	uint32_t one[4], seven[4];

	probe_cpuid(1, 0, one);
	probe_cpuid(7, 0, seven);
	bits |= one[3] & 2 ? 3 : 0;		/* VME, PVI */
	bits |= one[3] & 4 ? 8 : 0;		/* DE */
	bits |= one[3] & 0x10 ? 4 : 0;		/* TSD */
	bits |= one[3] & 0x80 ? 0x40 : 0;	/* MCE */
	bits |= one[3] & 0x2000 ? 0x80 : 0;	/* PGE */
	bits |= one[3] & 0x1000000 ? 0x600 : 0; /* OSFXSR, OSXMMEXCPT */
	bits |= one[2] & 0x20000 ? 0x20000 : 0; /* PCIDE */
	bits |= one[2] & 0x4000000 ? CR4_OSXSAVE : 0;
	bits |= seven[1] & 1 ? 0x10000 : 0;	    /* FSGSBASE */
	bits |= seven[1] & 0x80 ? 0x100000 : 0;	    /* SMEP */
	bits |= seven[1] & 0x100000 ? 0x200000 : 0; /* SMAP */
	bits |= seven[2] & 4 ? 0x800 : 0;	    /* UMIP */
	return bits;
}

static void set_msrs(const struct engine *engine)
{
	const uint64_t landing = engine->arena + LANDING;

	probe_wrmsr(MSR_STAR, (uint64_t)SELECTOR_CODE32_3 << 48 |
				      (uint64_t)SELECTOR_CODE64_0 << 32 | landing);
	probe_wrmsr(MSR_LSTAR, landing);
	probe_wrmsr(MSR_CSTAR, landing);
	probe_wrmsr(MSR_FMASK, 0);
	probe_wrmsr(MSR_SYSENTER_CS, SELECTOR_CODE64_0);
	probe_wrmsr(MSR_SYSENTER_CS + 1, engine->arena + 3 * PAGE_BYTES + 0x800);
	probe_wrmsr(MSR_SYSENTER_CS + 2, landing);
}

static void begin_cpu(struct runner *runner)
{
	/* The firmware's services have switched them on: what the timer sends is the step's, not ours. */
	__asm__ volatile("cli");
	runner->cr4 = probe_cr4();
	probe_set_cr4(runner->cr4 | (CR4_OSFXSR | (options.has_xsave ? CR4_OSXSAVE : 0)));
	if (options.has_xsave) {
		runner->xcr0 = xgetbv();
		xsetbv(XCR0_BASE);
	}
	runner->lvt = probe_apic_read(APIC_LVT_TIMER);
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	probe_apic_write(APIC_SVR, probe_apic_read(APIC_SVR) | 0x100);
	set_msrs(&runner->engine);
}

static void end_cpu(struct runner *runner)
{
	engine_leave(&runner->engine);
	probe_apic_write(APIC_LVT_TIMER, runner->lvt);
	if (options.has_xsave)
		xsetbv(runner->xcr0);
	probe_set_cr4(runner->cr4);
}

/* --- before and after each step --- */

static void reset_registers(void)
{
	__asm__ volatile("mov %0, %%dr0; mov %0, %%dr1; mov %0, %%dr2; mov %0, %%dr3"
			 :
			 : "r"(UINT64_C(0)));
	__asm__ volatile("mov %0, %%dr6" : : "r"(DR6_INIT));
	__asm__ volatile("mov %0, %%cr8" : : "r"(UINT64_C(0)));
	probe_wrmsr(MSR_KERNEL_GS_BASE, CONSTANT_GS);
	/* Bochs's keeps what was written, by a step that is not compared perhaps. */
	__asm__ volatile("outb %b0, $0x80" : : "a"(0));
	if (options.has_xsave) {
		if (xgetbv() != XCR0_BASE)
			xsetbv(XCR0_BASE);
		__asm__ volatile("xrstor64 (%0)" : : "r"(initial_state), "a"(7), "d"(0) : "memory");
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(initial_state) : "memory");
	}
}

static void note_msr(struct runner *runner, uint32_t msr)
{
	struct msr_access access = { .msr = msr };

	if (runner->written_count < WRITTEN_MSRS && probe_try(read_msr, &access, NULL)) {
		runner->written[runner->written_count].msr = msr;
		runner->written[runner->written_count++].value = access.value;
	}
}

static void restore_msrs(struct runner *runner)
{
	while (runner->written_count > 0) {
		struct msr_access access;

		runner->written_count--;
		access.msr = runner->written[runner->written_count].msr;
		access.value = runner->written[runner->written_count].value;
		(void)probe_try(write_msr, &access, NULL);
	}
}

/*
 * What differs from the template goes into the hash, and back to what it was. In real mode also what was written past the end of
 * the segment, where QEMU knows no limit: later steps would read it there.
 */
static void take_arena(struct runner *runner, uint64_t *hash)
{
	const bool is_real = runner->step.world.paging == PAGING_REAL;
	const uint32_t bytes = is_real ? ARENA_BYTES + PAGE_BYTES : ARENA_FRAMES * PAGE_BYTES;
	uint64_t *arena = (uint64_t *)runner->engine.arena, *template = templates[runner->cpu];

	for (uint32_t i = 0; i < bytes / 8; i++) {
		if (arena[i] == template[i])
			continue;
		mix(hash, i);
		mix(hash, arena[i]);
		arena[i] = template[i];
	}
}

static void take_tasks(struct runner *runner, uint64_t *hash)
{
	uint32_t count;
	const uint64_t *tasks = engine_tasks(&runner->engine, &count);

	if (runner->step.world.paging != PAGING_32 && runner->step.world.paging != PAGING_PAE)
		return;
	for (uint32_t i = 0; i < count; i++)
		mix(hash, tasks[i]);
}

/* --- the interrupt that ends HLT --- */

static void arm_timer(void)
{
	probe_apic_write(APIC_DIVIDE, 0xb);
	probe_apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
	probe_apic_write(APIC_INITIAL_COUNT, TIMER_TICKS);
}

static void disarm_timer(const struct robust_state *out)
{
	probe_apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
	probe_apic_write(APIC_INITIAL_COUNT, 0);
	if (out->vector == VECTOR_TIMER)
		probe_apic_write(APIC_EOI, 0);
	/* It may have come after another end. */
	__asm__ volatile("sti; nop; nop; nop; cli");
}

/* --- one instruction of a step --- */

static bool is_verbose(const struct runner *runner)
{
	return runner->number >= options.verbose_from;
}

struct place {
	uint64_t linear;
	uint32_t bits, cpl;
	bool is_known; /* RIP is in the arena */
	bool is_forbidden;
};

static struct place find_place(const struct runner *runner, const struct robust_state *state)
{
	const enum robust_paging paging = runner->step.world.paging;
	const bool is_real = paging == PAGING_REAL, is_virtual = (state->rflags & FLAG_VM) != 0;
	const uint64_t descriptor = engine_descriptor(&runner->engine, state->cs);
	const uint64_t arena = runner->engine.arena, control = runner->engine.control;
	struct place place = { .cpl = is_virtual ? 3 : is_real ? 0 : state->cs & 3, .bits = 16 };

	if (is_real || is_virtual) {
		place.linear = (uint64_t)(state->cs << 4) + (state->rip & 0xffff);
	} else if (paging == PAGING_LONG && descriptor >> 53 & 1) {
		place.bits = 64;
		place.linear = state->rip;
	} else {
		place.bits = descriptor >> 54 & 1 ? 32 : 16;
		place.linear = (uint32_t)(state->rip + (descriptor >> 16 & 0xffffff) +
					  (descriptor >> 56 << 24));
	}
	place.is_known = place.linear - arena < ARENA_BYTES;
	place.is_forbidden =
		place.linear - control < ARENA_BYTES || (is_virtual && options.is_without_vm86);
	if (is_real) {
		const uint32_t only = (uint32_t)arena >> 4;

		place.is_forbidden |= state->cs != only || state->ss != only || state->ds != only ||
				      state->es != only || state->fs != only || state->gs != only;
		place.is_forbidden |= (state->gpr[RSP] & 0xffff) < 0x40;
	}
	return place;
}

static struct look look_ahead(const struct runner *runner, const struct robust_state *state)
{
	const struct place place = find_place(runner, state);
	const struct look_state ls = { .state = state,
				       .world = &runner->step.world,
				       .engine = &runner->engine,
				       .bits = place.bits,
				       .cpl = place.cpl,
				       .cr4_bits = options.setup.cr4_bits,
				       .has_timer = runner->step.has_timer };
	struct look look = { .verdict = place.is_forbidden ? LOOK_END : LOOK_RUN };
	uint8_t bytes[2 * INSN_BYTES_MAX];
	uint32_t count = 0;
	const uint8_t *at;

	if (place.is_forbidden || !place.is_known)
		return look;
	for (; count < sizeof(bytes); count++) {
		at = engine_byte(&runner->engine, place.linear + count);
		if (!at)
			break;
		bytes[count] = *at;
	}
	return look_at(&ls, bytes, count);
}

static void forget(enum look_forget what, struct robust_state *out)
{
	if (what == FORGET_NOTHING || (out->vector != VECTOR_DB && out->vector != VECTOR_BP))
		return;
	out->gpr[RAX] = out->gpr[RDX] = FORGOTTEN;
	if (what == FORGET_RAX_RDX)
		return;
	out->gpr[RCX] = FORGOTTEN;
	if (what == FORGET_CPUID)
		out->gpr[RBX] = FORGOTTEN;
}

/* Whether the timer came before HLT or after it: the instruction pointer, also as it is on the stack outside long mode. */
static void forget_return(const struct runner *runner, struct robust_state *out)
{
	const struct engine *engine = &runner->engine;
	const bool is_real = runner->step.world.paging == PAGING_REAL;
	uint64_t linear = (uint64_t)out->ss << 4;
	uint64_t sp = (out->gpr[RSP] - 6) & 0xffff;

	out->rip = 0;
	if (runner->step.world.paging == PAGING_LONG)
		return;
	if (!is_real) {
		const uint64_t descriptor = engine_descriptor(engine, out->ss);

		linear = (descriptor >> 16 & 0xffffff) + (descriptor >> 56 << 24);
		sp = (out->gpr[RSP] - 12) & (descriptor >> 54 & 1 ? UINT32_MAX : UINT16_MAX);
	}
	for (uint32_t i = 0; i < (is_real ? 2 : 4); i++) {
		uint8_t *byte = engine_byte(engine, (uint32_t)(linear + sp + i));

		if (byte)
			*byte = 0;
	}
}

static void put_code(struct runner *runner)
{
	const struct robust_step *step = &runner->step;

	for (uint32_t i = 0; i < step->code_bytes; i++)
		*engine_byte(&runner->engine, step->code_linear + i) = step->code[i];
}

/*
 * Whether HLT can be fetched and left, tried with INT3 in its place: a timer that comes early would hide the fault. The fault
 * is the result then.
 */
static bool can_halt(struct runner *runner, const struct robust_state *in, struct robust_state *out)
{
	const struct robust_step *step = &runner->step;
	const uint32_t last = step->code_bytes - 1;

	for (uint32_t i = 0; i < last; i++)
		*engine_byte(&runner->engine, step->code_linear + i) = INSN_NOP;
	*engine_byte(&runner->engine, step->code_linear + last) = INSN_INT3;
	engine_run(&runner->engine, in, out);
	put_code(runner);
	return out->vector == VECTOR_BP;
}

static void execute(struct runner *runner, const struct look *look, const struct robust_state *in,
		    struct robust_state *out)
{
	const bool has_timer = runner->step.has_timer && can_halt(runner, in, out);

	runner->counts.insns++;
	if (runner->step.has_timer && !has_timer)
		return;
	if (look->is_wrmsr)
		note_msr(runner, (uint32_t)in->gpr[RCX]);
	if (has_timer)
		arm_timer();
	engine_run(&runner->engine, in, out);
	if (has_timer)
		disarm_timer(out);
	if (has_timer && out->vector == VECTOR_TIMER)
		forget_return(runner, out);
	forget(look->forget, out);
}

/* --- a step --- */

static bool is_plain_still(struct runner *runner, const struct look *look)
{
	const struct robust_step *step = &runner->step;

	/* Prefixes that are instructions of their own in this mode. */
	return look->verdict != LOOK_END && look->opcode_at == step->opcode_at;
}

/* Of STI; HLT and the like, the second is looked at as well. */
static struct look look_first(struct runner *runner, struct robust_state *state)
{
	struct robust_step *step = &runner->step;
	struct look look;

	if (step->has_timer) {
		look = (struct look){ .verdict = LOOK_RUN, .opcode_at = step->opcode_at };
		return look;
	}
	look = look_ahead(runner, state);
	if (step->is_plain && !is_plain_still(runner, &look)) {
		step->is_plain = false;
		state->rflags |= FLAG_TF;
	}
	return look;
}

/* Outside long mode the way back from CPL 0 begins with PUSHA on the stack that there is: what is to be forgotten is there. */
static bool is_seen_on_stack(const struct runner *runner, const struct look *look,
			     const struct robust_state *in)
{
	const enum robust_paging paging = runner->step.world.paging;

	return look->forget != FORGET_NOTHING && (paging == PAGING_32 || paging == PAGING_PAE) &&
	       find_place(runner, in).cpl == 0;
}

/* Whether what came out is to be compared. */
static bool run_insns(struct runner *runner, struct robust_state *out)
{
	struct robust_step *step = &runner->step;
	struct robust_state in = step->state;
	bool is_loose = false;

	*out = in;
	out->vector = NOTHING_RUN;
	for (uint32_t i = 0; i < step->insns; i++) {
		const struct look look = i == 0 ? look_first(runner, &in) : look_ahead(runner, &in);

		is_loose |= look.verdict == LOOK_RUN_LOOSE || is_seen_on_stack(runner, &look, &in);
		if (look.verdict == LOOK_END || (is_loose && !options.is_wild))
			break;
		execute(runner, &look, &in, out);
		if (is_verbose(runner))
			probe_print("STEP:   ran to rip=0x%lx vector=0x%lx\n", out->rip,
				    out->vector);
		if (step->is_plain || out->vector != VECTOR_DB)
			break;
		in = *out;
		in.rflags |= FLAG_TF;
	}
	return !is_loose;
}

static void hash_state(uint64_t *hash, const struct robust_state *out)
{
	for (uint32_t i = 0; i < 16; i++)
		mix(hash, out->gpr[i]);
	mix(hash, out->rip);
	mix(hash, out->rflags);
	mix(hash, (uint64_t)out->cs << 32 | out->ss);
	mix(hash, (uint64_t)out->ds << 32 | out->es);
	mix(hash, (uint64_t)out->fs << 32 | out->gs);
	mix(hash, out->vector << 32 | (uint32_t)out->error);
	mix(hash, out->cr2);
	mix(hash, out->dr6);
	mix(hash, out->cr0);
	mix(hash, out->cr4);
	mix(hash, options.has_xsave ? xgetbv() : 0);
}

/* Of registers, of the arena as well, of all: where a difference begins. */
struct hashes {
	uint64_t state, arena, all;
};

static void say_begin(const struct runner *runner, uint64_t number)
{
	const struct robust_step *step = &runner->step;
	char bytes[3 * CODE_BYTES_MAX + 1];
	uint32_t at = 0;

	for (uint32_t i = 0; i < step->code_bytes && i < 20; i++) {
		bytes[at++] = "0123456789abcdef"[step->code[i] >> 4];
		bytes[at++] = "0123456789abcdef"[step->code[i] & 15];
	}
	bytes[at] = 0;
	probe_print("STEP: %lu %s %s %s ...\n", number, make_mode_names[step->mode],
		    step->is_plain ? "plain" : "stepped", bytes);
	probe_print("STEP:   begin rip=0x%lx rflags=0x%lx cr0=0x%lx cr4=0x%lx rax=0x%lx rcx=0x%lx "
		    "rdx=0x%lx rsp=0x%lx\n",
		    step->state.rip, step->state.rflags, step->state.cr0, step->state.cr4,
		    step->state.gpr[RAX], step->state.gpr[RCX], step->state.gpr[RDX],
		    step->state.gpr[RSP]);
}

static void say_end(uint64_t number, const struct robust_state *out, const struct hashes *hashes)
{
	probe_print(
		"STEP: %lu vector=0x%lx error=0x%lx rip=0x%lx cr2=0x%lx hash=0x%lx 0x%lx 0x%lx\n",
		number, out->vector, out->error, out->rip, out->cr2, hashes->state, hashes->arena,
		hashes->all);
	probe_print(
		"STEP:   end rflags=0x%lx cr0=0x%lx cr4=0x%lx dr6=0x%lx cs=0x%x ss=0x%x ds=0x%x es=0x%x fs=0x%x gs=0x%x "
		"rax=0x%lx rcx=0x%lx rdx=0x%lx rbx=0x%lx rsp=0x%lx rbp=0x%lx rsi=0x%lx rdi=0x%lx\n",
		out->rflags, out->cr0, out->cr4, out->dr6, out->cs, out->ss, out->ds, out->es,
		out->fs, out->gs, out->gpr[RAX], out->gpr[RCX], out->gpr[RDX], out->gpr[RBX],
		out->gpr[RSP], out->gpr[RBP], out->gpr[RSI], out->gpr[RDI]);
}

static void count_step(struct runner *runner, const struct robust_state *out, bool is_compared)
{
	struct counts *counts = &runner->counts;

	counts->steps++;
	counts->plain += runner->step.is_plain;
	counts->wild += !is_compared;
	counts->halts += out->vector == VECTOR_TIMER;
	counts->empty += out->vector == NOTHING_RUN;
	counts->modes[runner->step.mode] += out->vector != NOTHING_RUN;
	if (out->vector < ENGINE_VECTORS)
		counts->vectors[out->vector]++;
}

/*
 * IRET and POPF at CPL 0 load VIF and VIP (SDM: "IRET"); in QEMU nothing but an IRET to virtual-8086 mode does, and what one
 * step has set the next ones would show.
 */
static void clear_virtual_interrupt(struct runner *runner)
{
	struct robust_world *world = &runner->step.world;
	const uint32_t segment = (uint32_t)runner->engine.arena >> 4;
	struct robust_state in = { .rflags = 2 | FLAG_VM,
				   .rip = 0x40,
				   .cs = segment,
				   .ss = segment,
				   .ds = segment,
				   .es = segment,
				   .fs = segment,
				   .gs = segment };
	struct robust_state out;

	if (!(__builtin_ia32_readeflags_u64() & (FLAG_VIF | FLAG_VIP)))
		return;
	*world = (struct robust_world){ .paging = PAGING_32, .is_user = true };
	engine_build(&runner->engine, world);
	in.cr0 = world->cr0;
	in.cr4 = world->cr4;
	in.gpr[RSP] = PAGE_BYTES;
	engine_run(&runner->engine, &in, &out);
}

static void run_step(struct runner *runner, uint64_t number)
{
	struct robust_step *step = &runner->step;
	struct hashes hashes;
	uint64_t hash = HASH_BEGIN;
	struct robust_state out;
	bool is_compared;

	runner->number = number;
	make_step(&options.setup, &runner->engine, number, step);
	if (step->is_wild && !options.is_wild) {
		runner->counts.skipped++;
		return;
	}
	engine_build(&runner->engine, &step->world);
	step->state.cr0 = step->world.cr0;
	step->state.cr4 = step->world.cr4;
	put_code(runner);
	reset_registers();
	if (is_verbose(runner))
		say_begin(runner, number);
	is_compared = run_insns(runner, &out) && !step->is_wild;
	hash_state(&hash, &out);
	hashes.state = hash;
	take_arena(runner, &hash);
	hashes.arena = hash;
	take_tasks(runner, &hash);
	hashes.all = is_compared ? hash : 0;
	restore_msrs(runner);
	count_step(runner, &out, is_compared);
	if (is_verbose(runner))
		say_end(number, &out, &hashes);
	if (is_compared)
		mix(&runner->hash, hash);
	clear_virtual_interrupt(runner);
}

/* Each CPU every second step, or so. */
static void run_all(void *argument)
{
	struct runner *runner = argument;
	const uint64_t end = options.from + options.count;
	uint64_t block = options.from, block_end;

	begin_cpu(runner);
	for (; block < end; block = block_end) {
		block_end = block + options.every < end ? block + options.every : end;
		runner->hash = HASH_BEGIN;
		for (uint64_t i = block; i < block_end; i++) {
			if (i % options.cpus == runner->cpu)
				run_step(runner, i);
		}
		fact_line("cpu%u.steps.%lu-%lu = 0x%lx", runner->cpu, block, block_end - 1,
			  runner->hash);
	}
	end_cpu(runner);
}

/* --- all of it --- */

static bool prepare(void)
{
	uint32_t regs[4];

	probe_cpuid(1, 0, regs);
	options.has_xsave = (regs[2] & 0x4000000) != 0;
	options.setup.cr4_bits = cr4_bits();
	options.setup.hidden = memory_find_hidden();
	options.setup.far_address = UINT64_C(1) << FAR_BITS;
	*(uint16_t *)&initial_state[0] = 0x37f;
	*(uint32_t *)&initial_state[24] = 0x1f80;
	for (uint32_t i = 0; i < options.cpus; i++) {
		runners[i].cpu = i;
		if (!engine_prepare(&runners[i].engine, i))
			return false;
		make_arena(&options.setup, &runners[i].engine, templates[i]);
		CopyMem((void *)runners[i].engine.arena, templates[i], ARENA_BYTES);
	}
	return true;
}

static void read_options(const char *text)
{
	options.setup.seed = probe_number(text, "seed", 1);
	options.from = probe_number(text, "from", 0);
	options.count = probe_number(text, "count", 1000);
	options.every = probe_number(text, "every", 1000);
	options.verbose_from =
		probe_has_word(text, "verbose") ? probe_number(text, "verbose", 0) : UINT64_MAX;
	options.is_wild = probe_has_word(text, "wild");
	options.is_without_vm86 = probe_has_word(text, "no-vm86");
	options.cpus = (uint32_t)probe_number(text, "cpus", probe_cpu_count);
	options.cpus = options.cpus < ENGINE_CPUS_MAX ? options.cpus : ENGINE_CPUS_MAX;
}

/* --- the end --- */

static void say_counts(void)
{
	struct counts sum = { 0 };

	for (uint32_t i = 0; i < options.cpus; i++) {
		const uint64_t *from = (const uint64_t *)&runners[i].counts;

		for (uint32_t k = 0; k < sizeof(sum) / 8; k++)
			((uint64_t *)&sum)[k] += from[k];
	}
	probe_print(
		"PROBE: steps=%lu plain=%lu uncompared=%lu skipped=%lu empty=%lu instructions=%lu "
		"halts=%lu\n",
		sum.steps, sum.plain, sum.wild, sum.skipped, sum.empty, sum.insns, sum.halts);
	for (uint32_t i = 0; i < MAKE_MODES; i++)
		probe_print("PROBE: mode %s %lu\n", make_mode_names[i], sum.modes[i]);
	for (uint32_t i = 0; i < ENGINE_VECTORS; i++) {
		if (sum.vectors[i])
			probe_print("PROBE: vector %u %lu\n", i, sum.vectors[i]);
	}
	probe_check(sum.steps + sum.skipped == options.count, "all-steps", "%lu", sum.steps);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *table)
{
	uint64_t checks[MEMORY_CHECKS];
	uint32_t back = 1;

	read_options(probe_begin(image, table));
	if (!probe_check(prepare(), "memory", "not free"))
		return probe_end();
	if (options.is_wild)
		memory_read_checks(checks);
	quiet_begin();
	fact_begin("robust");
	for (uint32_t i = 1; i < options.cpus; i++)
		probe_start_and_wait(i, run_all, &runners[i]);
	run_all(&runners[0]);
	for (uint32_t i = 1; i < options.cpus; i++)
		back += probe_join(i, 600000);
	fact_end();
	probe_check(back == options.cpus, "cpus-back", "%u", back);
	say_counts();
	if (options.is_wild)
		memory_compare_checks(checks, options.setup.hidden);
	quiet_end();
	return probe_end();
}
