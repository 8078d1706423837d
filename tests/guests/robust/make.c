/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/robust/make.h"

#include <stddef.h>

enum { STACK_FRAME = 3, DATA_FRAME = 1, INT3 = 0xcc, DISPLACEMENT_MAX = 8, STACK_REACH = 0x100 };
#define CR0_WP UINT64_C(0x10000)

/* --- random numbers: one stream for each step --- */

struct random {
	uint64_t state;
};

static uint64_t next(struct random *random)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t below(struct random *random, uint32_t count)
{
	return (uint32_t)((next(random) >> 32) * count >> 32);
}

static bool percent(struct random *random, uint32_t share)
{
	return below(random, 100) < share;
}

/* --- modes --- */

enum code_mode { CODE_64, CODE_32, CODE_16, CODE_VIRTUAL, CODE_REAL };

static const struct mode {
	enum robust_paging paging;
	enum code_mode code;
	uint8_t cpl;
	uint8_t weight;
} modes[MAKE_MODES] = {
	{ PAGING_LONG, CODE_64, 0, 22 },   { PAGING_LONG, CODE_64, 3, 14 },
	{ PAGING_LONG, CODE_32, 0, 5 },	   { PAGING_LONG, CODE_32, 3, 6 },
	{ PAGING_LONG, CODE_16, 0, 3 },	   { PAGING_LONG, CODE_16, 3, 3 },
	{ PAGING_32, CODE_32, 0, 8 },	   { PAGING_32, CODE_32, 3, 6 },
	{ PAGING_32, CODE_16, 0, 3 },	   { PAGING_32, CODE_16, 3, 3 },
	{ PAGING_PAE, CODE_32, 0, 7 },	   { PAGING_PAE, CODE_32, 3, 5 },
	{ PAGING_32, CODE_VIRTUAL, 3, 4 }, { PAGING_PAE, CODE_VIRTUAL, 3, 3 },
	{ PAGING_REAL, CODE_REAL, 0, 8 },
};

const char *const make_mode_names[MAKE_MODES] = {
	"64-0", "64-3", "compat32-0", "compat32-3", "compat16-0", "compat16-3", "32-0", "32-3",
	"16-0", "16-3", "pae-0",      "pae-3",	    "vm86",	  "vm86-pae",	"real",
};

static uint32_t pick_mode(struct random *random)
{
	uint32_t sum = 0, at, i = 0;

	for (uint32_t m = 0; m < MAKE_MODES; m++)
		sum += modes[m].weight;
	for (at = below(random, sum); at >= modes[i].weight; i++)
		at -= modes[i].weight;
	return i;
}

/* --- values --- */

static uint64_t address(struct random *random, const struct engine *engine)
{
	return engine->arena + below(random, ARENA_BYTES);
}

static uint64_t value(struct random *random, const struct engine *engine)
{
	static const uint64_t edges[] = { 0x7fffffff,
					  0x80000000,
					  0xffffffff,
					  UINT64_C(0x00007ffffffffff8),
					  UINT64_C(0x0000800000000000),
					  UINT64_C(0xffff800000000000),
					  UINT64_C(0x8000000000000000),
					  ~UINT64_C(0) };

	switch (below(random, 8)) {
	case 0:
	case 1:
	case 2:
		return address(random, engine) & ~UINT64_C(7);
	case 3:
		return address(random, engine);
	case 4:
		return below(random, 64);
	case 5:
		return next(random);
	case 6:
		return next(random) >> (32 + below(random, 24));
	default:
		return edges[below(random, sizeof(edges) / sizeof(edges[0]))];
	}
}

static uint32_t msr_index(struct random *random)
{
	static const uint32_t known[] = {
		0x10,	    0x1b,	0x3a,	    0x3b,	0x48,	    0x49,	0x79,
		0x8b,	    0xc1,	0xfe,	    0x174,	0x175,	    0x176,	0x179,
		0x17a,	    0x1a0,	0x1d9,	    0x200,	0x201,	    0x250,	0x258,
		0x268,	    0x26f,	0x277,	    0x2ff,	0x345,	    0x38d,	0x38f,
		0x400,	    0x401,	0x480,	    0x491,	0x6e0,	    0x802,	0x830,
		0xda0,	    0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
		0xc0000101, 0xc0000102, 0xc0000103, 0xc0000104, 0xc0010010, 0xc0010015, 0xc0010114,
		0xc0010117, 0xc001011f, 0x40000000, 0x40000073,
	};
	static const uint32_t ranges[] = { 0, 0x40000000, 0xc0000000, 0xc0010000 };

	if (percent(random, 50))
		return known[below(random, sizeof(known) / sizeof(known[0]))];
	if (percent(random, 10))
		return (uint32_t)next(random);
	return ranges[below(random, 4)] + below(random, percent(random, 50) ? 0x2000 : 0x300);
}

static uint32_t port(struct random *random)
{
	static const uint32_t known[] = { 0x80, 0x220, 0x23e, 0x23f, 0x300, 0x31c, 0x31f };

	return percent(random, 80) ? known[below(random, 7)] : (uint32_t)next(random) & 0xffff;
}

/* --- descriptors --- */

static uint64_t descriptor(uint64_t base, uint64_t limit, uint64_t rights)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | (rights & 0xff) << 40 |
	       (limit >> 16 & 0xf) << 48 | (rights >> 8 & 0xf0) << 48 | (base >> 24 & 0xff) << 56;
}

static uint64_t segment(struct random *random, const struct engine *engine)
{
	const uint64_t rights = (below(random, 16) << 12 & 0xf000) |
				(percent(random, 90) ? 0x80u : 0) | below(random, 4) << 5 | 0x10 |
				below(random, 16);

	return descriptor(percent(random, 50) ? 0 : address(random, engine),
			  percent(random, 50) ? 0xfffff : next(random), rights);
}

/* Call and task gates. They lead somewhere, or nowhere. */
static uint64_t gate(struct random *random, const struct engine *engine)
{
	static const uint16_t selectors[] = { SELECTOR_CODE64_0, SELECTOR_CODE32_0,
					      SELECTOR_CODE16_0, SELECTOR_CODE32_3,
					      SELECTOR_TASK,	 SELECTOR_TASK_2,
					      SELECTOR_DATA_0,	 0 };
	static const uint8_t types[] = { 0xc, 0xc, 0xc, 0x4, 0x5, 0xe, 0xf };
	const uint64_t offset = percent(random, 70) ? engine->arena + 0xf00 : next(random);
	const uint64_t rights =
		types[below(random, 7)] | below(random, 4) << 5 | (percent(random, 90) ? 0x80u : 0);

	return (offset & 0xffff) | (uint64_t)selectors[below(random, 8)] << 16 |
	       (uint64_t)(percent(random, 20) ? below(random, 32) : 0) << 32 | rights << 40 |
	       (offset >> 16 & 0xffff) << 48;
}

/* A task's segment is one of ours whatever its type says, and the long mode's upper half is zero. */
static void make_gdt(struct random *random, const struct engine *engine, struct robust_step *step)
{
	const uint64_t task = engine->control + 0x6000 +
			      (step->world.paging == PAGING_LONG ? 0
			       : percent(random, 50)		 ? 0x200
								 : 0x400);

	for (uint32_t i = 0; i < GDT_ENTRIES; i++)
		step->world.random_gdt[i] = 0;
	for (uint32_t i = GDT_RANDOM; i + 1 < GDT_ENTRIES; i++) {
		switch (below(random, 8)) {
		case 0:
			step->world.random_gdt[i++] = descriptor(
				task, 0xff,
				(percent(random, 80) ? 0x89 : 0x8b) | below(random, 4) << 5);
			break;
		case 1:
			step->world.random_gdt[i++] = gate(random, engine);
			break;
		case 2:
			step->world.random_gdt[i++] =
				descriptor(address(random, engine), next(random) & 0xfff,
					   percent(random, 90) ? 0x82 : 0x02);
			break;
		default:
			step->world.random_gdt[i] = segment(random, engine);
			break;
		}
	}
}

/* --- pages of the arena beyond those that are used for code and stack --- */

static uint64_t frame(struct random *random, const struct make_setup *setup,
		      const struct engine *engine, struct robust_step *step)
{
	const uint32_t what = below(random, 40);

	/* Written to or not: on a machine without hidden memory the step is not made at all. */
	if (what == 0) {
		step->is_wild = true;
		return setup->hidden + below(random, 256) * PAGE_BYTES;
	}
	if (what < 5 && step->world.paging != PAGING_32)
		return setup->far_address + below(random, 256) * PAGE_BYTES;
	return engine->arena + below(random, ARENA_FRAMES) * PAGE_BYTES;
}

static void make_pages(struct random *random, const struct make_setup *setup,
		       const struct engine *engine, struct robust_step *step)
{
	const uint32_t first = ARENA_FRAMES, count = percent(random, 50) ? 0 : 6;
	struct robust_world *world = &step->world;

	for (uint32_t i = 0; i < ARENA_PAGES; i++)
		world->entries[i] = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t page = first + below(random, ARENA_PAGES - first);
		uint64_t entry = frame(random, setup, engine, step) | (below(random, 128) & 0x67);

		/* Bits 51:48 are reserved on these machines. */
		if (world->paging != PAGING_32)
			entry |= (percent(random, 20) ? PAGE_NX : 0) |
				 (percent(random, 5) ? UINT64_C(1) << 51 : 0);
		world->entries[page] = entry | (percent(random, 90) ? PAGE_PRESENT : 0);
	}
}

/* --- registers --- */

static uint32_t data_selector(struct random *random, const struct mode *mode)
{
	static const uint32_t of_0[] = { SELECTOR_DATA_0, SELECTOR_DATA_0, SELECTOR_DATA16_0,
					 SELECTOR_DATA_3, 0 };
	static const uint32_t of_3[] = { SELECTOR_DATA_3, SELECTOR_DATA_3, SELECTOR_DATA16_3,
					 SELECTOR_DATA_3, 0 };

	if (percent(random, 2))
		return (GDT_RANDOM + below(random, GDT_ENTRIES - GDT_RANDOM)) << 3 | mode->cpl;
	return (mode->cpl == 0 ? of_0 : of_3)[below(random, 5)];
}

static void make_segments(struct random *random, const struct engine *engine,
			  const struct mode *mode, struct robust_state *state)
{
	static const uint32_t code[3][2] = { { SELECTOR_CODE64_0, SELECTOR_CODE64_3 },
					     { SELECTOR_CODE32_0, SELECTOR_CODE32_3 },
					     { SELECTOR_CODE16_0, SELECTOR_CODE16_3 } };
	const bool is_user = mode->cpl == 3;

	if (mode->code >= CODE_VIRTUAL) {
		state->cs = state->ss = state->ds = state->es = state->fs = state->gs =
			(uint32_t)engine->arena >> 4;
		return;
	}
	state->cs = code[mode->code][is_user];
	state->ss = is_user ? SELECTOR_DATA_3 : SELECTOR_DATA_0;
	if (mode->code == CODE_16)
		state->ss = is_user ? SELECTOR_DATA16_3 : SELECTOR_DATA16_0;
	state->ds = data_selector(random, mode);
	state->es = data_selector(random, mode);
	state->fs = data_selector(random, mode);
	state->gs = data_selector(random, mode);
}

static bool is_based(const struct mode *mode)
{
	return mode->code != CODE_64 && mode->code != CODE_32;
}

static void make_registers(struct random *random, const struct engine *engine,
			   const struct mode *mode, struct robust_step *step)
{
	struct robust_state *state = &step->state;
	const uint64_t base = is_based(mode) ? engine->arena : 0;

	for (uint32_t i = 0; i < 16; i++)
		state->gpr[i] = value(random, engine) - (percent(random, 60) ? base : 0);
	if (percent(random, 30))
		state->gpr[RCX] = msr_index(random);
	if (percent(random, 40))
		state->gpr[RDX] = (state->gpr[RDX] & ~UINT64_C(0xffff)) | port(random);
	if (!percent(random, 5) || mode->paging == PAGING_REAL)
		state->gpr[RSP] = engine->arena - base + STACK_FRAME * PAGE_BYTES + 0x400 +
				  (below(random, 0x800) & ~15u);
	/* An exception that finds its stack in our tables does not come back. */
	if ((uint32_t)(state->gpr[RSP] + base - engine->control) < ARENA_BYTES + STACK_REACH)
		state->gpr[RSP] -= ARENA_BYTES + STACK_REACH;
	if (mode->code != CODE_64) {
		for (uint32_t i = 0; i < 16; i++)
			state->gpr[i] = i < 8 ? (uint32_t)state->gpr[i] : 0;
	}
	state->rip = step->code_linear - base;
	state->rflags = 2 | (next(random) & 0xcd5 & ~(uint64_t)FLAG_DF);
	state->rflags |= percent(random, 20) ? FLAG_DF : 0;
	state->rflags |= percent(random, 40) ? FLAG_IF : 0;
	state->rflags |= percent(random, 40) ? below(random, 4) << 12 : 0;
	state->rflags |= mode->paging != PAGING_REAL && percent(random, 15) ? FLAG_AC : 0;
	state->rflags |= mode->code < CODE_VIRTUAL && percent(random, 3) ? FLAG_NT : 0;
	state->rflags |= mode->code == CODE_VIRTUAL ? FLAG_VM : 0;
	state->rflags &= ~(uint64_t)FLAG_TF;
	state->rflags |= step->is_plain ? 0 : FLAG_TF;
}

static void make_control(struct random *random, const struct make_setup *setup,
			 const struct mode *mode, struct robust_world *world)
{
	static const struct {
		uint64_t bit;
		uint32_t share;
	} cr4[] = {
		{ 0x600, 90 },	 { 0x40, 60 },	  { 0x1, 25 },	   { 0x2, 10 },	  { 0x4, 10 },
		{ 0x8, 30 },	 { 0x80, 30 },	  { 0x100, 30 },   { 0x800, 15 }, { 0x10000, 50 },
		{ 0x40000, 80 }, { 0x100000, 8 }, { 0x200000, 8 },
	};

	world->cr0 = CR0_WP | (next(random) & 0x2) | (percent(random, 30) ? 0x40000 : 0) |
		     (percent(random, 8) ? 8 : 0) | (percent(random, 4) ? 4 : 0) |
		     (percent(random, 3) ? 0x40000000 : 0);
	world->cr4 = 0;
	for (uint32_t i = 0; i < sizeof(cr4) / sizeof(cr4[0]); i++)
		world->cr4 |= percent(random, cr4[i].share) ? cr4[i].bit : 0;
	if (mode->paging == PAGING_LONG && percent(random, 10))
		world->cr4 |= 0x20000;
	world->cr4 &= setup->cr4_bits;
}

/* --- code --- */

enum pattern_flags {
	HAS_MODRM = 1,
	IS_REGISTER = 2, /* ModRM names a register */
	IS_STRAIGHT = 4, /* what comes next is the next instruction, or an exception */
	IS_MSR = 8,
	IS_PORT = 16,
	IS_CR = 32,
	IS_XCR = 64,
};

/* What exits, what a hypervisor might have forgotten, and what changes modes and privilege. */
static const struct pattern {
	uint8_t bytes[4], count, flags;
} patterns[] = {
	{ { 0x0f, 0xa2 }, 2, IS_STRAIGHT }, /* CPUID */
	{ { 0x0f, 0xa2 }, 2, IS_STRAIGHT },
	{ { 0x0f, 0x32 }, 2, IS_STRAIGHT | IS_MSR }, /* RDMSR */
	{ { 0x0f, 0x32 }, 2, IS_STRAIGHT | IS_MSR },
	{ { 0x0f, 0x30 }, 2, IS_STRAIGHT | IS_MSR }, /* WRMSR */
	{ { 0x0f, 0x30 }, 2, IS_STRAIGHT | IS_MSR },
	{ { 0xe4 }, 1, IS_PORT }, /* IN, OUT imm8 */
	{ { 0xe6 }, 1, IS_PORT },
	{ { 0xec }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0xed }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0xee }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0xef }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0x6c }, 1, IS_STRAIGHT | IS_PORT }, /* INS, OUTS */
	{ { 0x6d }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0x6e }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0x6f }, 1, IS_STRAIGHT | IS_PORT },
	{ { 0xf3, 0x6c }, 2, IS_PORT },
	{ { 0xf3, 0x6f }, 2, IS_PORT },
	{ { 0x0f, 0x20 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER }, /* MOV CR, DR */
	{ { 0x0f, 0x22 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER | IS_CR },
	{ { 0x0f, 0x22 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER | IS_CR },
	{ { 0x0f, 0x22 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER | IS_CR },
	{ { 0x0f, 0x21 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER },
	{ { 0x0f, 0x23 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER },
	{ { 0x0f, 0x06 }, 2, IS_STRAIGHT },		/* CLTS */
	{ { 0x0f, 0x08 }, 2, IS_STRAIGHT },		/* INVD */
	{ { 0x0f, 0x09 }, 2, IS_STRAIGHT },		/* WBINVD */
	{ { 0x0f, 0x00 }, 2, IS_STRAIGHT | HAS_MODRM }, /* SLDT ... VERW */
	{ { 0x0f, 0x01 }, 2, IS_STRAIGHT | HAS_MODRM }, /* SGDT ... INVLPG and more */
	{ { 0x0f, 0x01 }, 2, IS_STRAIGHT | HAS_MODRM },
	{ { 0x0f, 0x01 }, 2, IS_STRAIGHT | HAS_MODRM | IS_REGISTER },
	{ { 0x0f, 0x01, 0xd0 }, 3, IS_STRAIGHT | IS_XCR }, /* XGETBV, XSETBV */
	{ { 0x0f, 0x01, 0xd1 }, 3, IS_STRAIGHT | IS_XCR },
	{ { 0x0f, 0x01, 0xd1 }, 3, IS_STRAIGHT | IS_XCR },
	{ { 0x0f, 0x01, 0xc1 }, 3, IS_STRAIGHT }, /* VMCALL, VMMCALL */
	{ { 0x0f, 0x01, 0xd9 }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xc2 }, 3, IS_STRAIGHT }, /* VMLAUNCH, VMRESUME, VMXOFF, VMFUNC */
	{ { 0x0f, 0x01, 0xc3 }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xc4 }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xd4 }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xd8 }, 3, IS_STRAIGHT }, /* VMRUN ... INVLPGA */
	{ { 0x0f, 0x01, 0xda }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xdb }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xdc }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xdd }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xde }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xdf }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x78 }, 2, IS_STRAIGHT | HAS_MODRM }, /* VMREAD, VMWRITE */
	{ { 0x0f, 0x79 }, 2, IS_STRAIGHT | HAS_MODRM },
	{ { 0x0f, 0xc7 }, 2, IS_STRAIGHT | HAS_MODRM }, /* VMPTRLD ..., XSAVES, CMPXCHG8B */
	{ { 0x66, 0x0f, 0xc7 }, 3, IS_STRAIGHT | HAS_MODRM },
	{ { 0xf3, 0x0f, 0xc7 }, 3, IS_STRAIGHT | HAS_MODRM },
	{ { 0x66, 0x0f, 0x38, 0x80 }, 4, IS_STRAIGHT | HAS_MODRM }, /* INVEPT, INVVPID, INVPCID */
	{ { 0x66, 0x0f, 0x38, 0x81 }, 4, IS_STRAIGHT | HAS_MODRM },
	{ { 0x66, 0x0f, 0x38, 0x82 }, 4, IS_STRAIGHT | HAS_MODRM },
	{ { 0x0f, 0xae }, 2, IS_STRAIGHT | HAS_MODRM },	      /* FXSAVE ... CLFLUSH */
	{ { 0xf3, 0x0f, 0xae }, 3, IS_STRAIGHT | HAS_MODRM }, /* RDFSBASE ... */
	{ { 0x0f, 0x31 }, 2, IS_STRAIGHT },		      /* RDTSC, RDPMC, RDTSCP */
	{ { 0x0f, 0x33 }, 2, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xf9 }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xf8 }, 3, IS_STRAIGHT }, /* SWAPGS */
	{ { 0x0f, 0x37 }, 2, IS_STRAIGHT },	  /* GETSEC */
	{ { 0x0f, 0xaa }, 2, IS_STRAIGHT },	  /* RSM */
	{ { 0x0f, 0x05 }, 2, IS_STRAIGHT },	  /* SYSCALL and the like: lead to INT3 */
	{ { 0x0f, 0x34 }, 2, IS_STRAIGHT },
	{ { 0x0f, 0x07 }, 2, 0 },
	{ { 0x48, 0x0f, 0x07 }, 3, 0 },
	{ { 0x0f, 0x35 }, 2, 0 },
	{ { 0x0f, 0x0b }, 2, IS_STRAIGHT }, /* UD2, INT1, INT3, INTO, INT n */
	{ { 0xf1 }, 1, IS_STRAIGHT },
	{ { 0xcc }, 1, IS_STRAIGHT },
	{ { 0xce }, 1, IS_STRAIGHT },
	{ { 0xcd }, 1, 0 },
	{ { 0xfa }, 1, IS_STRAIGHT }, /* CLI, STI */
	{ { 0xfb }, 1, IS_STRAIGHT },
	{ { 0x9c }, 1, IS_STRAIGHT }, /* PUSHF, POPF, IRET, RETF */
	{ { 0x9d }, 1, 0 },
	{ { 0xcf }, 1, 0 },
	{ { 0x48, 0xcf }, 2, 0 },
	{ { 0xcb }, 1, 0 },
	{ { 0x9a }, 1, 0 }, /* CALL, JMP far */
	{ { 0xea }, 1, 0 },
	{ { 0xff }, 1, HAS_MODRM },
	{ { 0x8e }, 1, HAS_MODRM }, /* MOV to segments, LSS ... */
	{ { 0x0f, 0xb2 }, 2, HAS_MODRM },
	{ { 0x0f, 0x02 }, 2, IS_STRAIGHT | HAS_MODRM }, /* LAR, LSL */
	{ { 0x0f, 0x03 }, 2, IS_STRAIGHT | HAS_MODRM },
	{ { 0x0f, 0x01, 0xc8 }, 3, IS_STRAIGHT }, /* MONITOR, CLAC, STAC, PKRU */
	{ { 0x0f, 0x01, 0xca }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xcb }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xee }, 3, IS_STRAIGHT },
	{ { 0x0f, 0x01, 0xef }, 3, IS_STRAIGHT },
};

enum { PATTERNS = sizeof(patterns) / sizeof(patterns[0]) };

static void put(struct robust_step *step, uint8_t byte)
{
	if (step->code_bytes < CODE_BYTES_MAX)
		step->code[step->code_bytes++] = byte;
}

static void put_prefixes(struct random *random, const struct mode *mode, struct robust_step *step)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x3e, 0x64, 0x65 };
	uint32_t count = percent(random, 15) ? 1 + below(random, 2) : 0;

	while (count-- > 0)
		put(step, prefixes[below(random, sizeof(prefixes))]);
	if (mode->code == CODE_64 && percent(random, 15))
		put(step, (uint8_t)(0x40 | below(random, 16)));
}

/* The value in the register that the ModRM byte names: near what the control register holds. */
static void prepare_cr(struct random *random, const struct engine *engine, struct robust_step *step,
		       uint8_t modrm)
{
	const uint32_t cr = modrm >> 3 & 7;
	uint64_t *to = &step->state.gpr[modrm & 7];
	static const uint8_t bits_0[] = { 1, 2, 3, 16, 18, 29, 30, 30 };
	static const uint8_t bits_4[] = { 0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 16, 17, 18, 20, 21, 3 };

	if ((modrm & 7) == RSP)
		return;
	if (cr == 0)
		*to = step->world.cr0 ^ UINT64_C(1) << bits_0[below(random, 8)];
	else if (cr == 3)
		*to = engine->control +
		      (step->world.paging == PAGING_LONG  ? 0xe000
		       : step->world.paging == PAGING_PAE ? 0xb000
							  : 0x7000) +
		      (below(random, 4) << 3);
	else if (cr == 4)
		*to = step->world.cr4 ^ UINT64_C(1) << bits_4[below(random, 16)];
	if ((cr == 0 || cr == 4) && percent(random, 10))
		*to ^= UINT64_C(1) << below(random, 64);
}

static uint8_t pick_modrm(struct random *random, const struct pattern *pattern)
{
	const uint8_t modrm = (uint8_t)next(random);
	static const uint8_t usual[] = { 0, 0, 3, 3, 4, 4, 8 };

	if (pattern->flags & IS_CR)
		return (uint8_t)(0xc0 | usual[below(random, 7)] << 3 | (modrm & 7));
	if (pattern->flags & IS_REGISTER)
		return modrm | 0xc0;
	return percent(random, 60) ? modrm & 0x3f : modrm;
}

static void prepare(struct random *random, const struct pattern *pattern, struct robust_step *step)
{
	uint64_t *gpr = step->state.gpr;

	if (pattern->flags & IS_MSR)
		gpr[RCX] = msr_index(random);
	if ((pattern->flags & IS_MSR) && percent(random, 50))
		gpr[RDX] = 0;
	if (pattern->flags & IS_PORT)
		gpr[RDX] = (gpr[RDX] & ~UINT64_C(0xffff)) | port(random);
	if (pattern->flags & IS_XCR) {
		gpr[RCX] = percent(random, 90) ? 0 : below(random, 4);
		gpr[RAX] = percent(random, 80) ? below(random, 8) | 1 : next(random);
		gpr[RDX] = percent(random, 90) ? 0 : next(random);
	}
	if (step->state.rflags & FLAG_VM || step->world.paging != PAGING_LONG) {
		gpr[RAX] = (uint32_t)gpr[RAX];
		gpr[RDX] = (uint32_t)gpr[RDX];
	}
}

/* One instruction, and whatever else its bytes come to mean; in a plain step only INT3 follows. */
static bool put_pattern(struct random *random, const struct engine *engine, const struct mode *mode,
			struct robust_step *step)
{
	const struct pattern *pattern = &patterns[below(random, PATTERNS)];
	uint32_t more = 1 + below(random, 6);
	uint8_t modrm;

	put_prefixes(random, mode, step);
	step->opcode_at = step->code_bytes;
	if (step->code_bytes == 0)
		prepare(random, pattern, step);
	for (uint32_t i = 0; i < pattern->count; i++)
		put(step, pattern->bytes[i]);
	if (pattern->flags & HAS_MODRM) {
		modrm = pick_modrm(random, pattern);
		if (pattern->flags & IS_CR)
			prepare_cr(random, engine, step, modrm);
		put(step, modrm);
	}
	while (!step->is_plain && more-- > 0)
		put(step, percent(random, 50) ? (uint8_t)next(random) : below(random, 16) & 0xf8);
	return (pattern->flags & IS_STRAIGHT) != 0;
}

/* --- hypercalls that the hypervisor knows, with nonsense --- */

static void make_hypercall(struct random *random, const struct make_setup *setup,
			   const struct engine *engine, struct robust_step *step)
{
	static const char names[][9] = { "SOLOVISR", "SOLOVSTA", "SOLOVTWK", "SOLOVTSY",
					 "SOLOVEMU", "SOLOVTRK", "SOLOVCHK" };
	const char *name = names[below(random, 7)];
	const uint64_t addresses[] = { engine->control,	       setup->hidden,
				       setup->hidden + 0x1234, setup->far_address,
				       ~UINT64_C(0),	       ~UINT64_C(0) << 12,
				       UINT64_C(1) << 52,      next(random) | UINT64_C(1) << 51 };
	uint64_t *gpr = step->state.gpr, code = 0;

	for (uint32_t i = 0; i < 8; i++)
		code = code << 8 | (uint8_t)name[i];
	gpr[RAX] = code ^ (percent(random, 10) ? next(random) & 0xff : 0);
	/* Addresses that are given away: never RAM of somebody else's. */
	gpr[RCX] = percent(random, 60) ? below(random, 24) : addresses[1 + below(random, 7)];
	gpr[RDX] = addresses[1 + below(random, 7)];
	gpr[8] = percent(random, 50) ? below(random, 64) * PAGE_BYTES : next(random);
	step->code_bytes = 0;
	put(step, 0x0f);
	put(step, 0x01);
	put(step, percent(random, 50) ? 0xc1 : 0xd9);
	step->opcode_at = 0;
	step->is_wild = true;
}

static void make_halt(struct random *random, struct robust_step *step)
{
	step->code_bytes = 0;
	step->has_timer = true;
	step->opcode_at = 0;
	step->state.rflags |= FLAG_IF;
	if (percent(random, 50)) {
		put(step, 0xfb);
		step->opcode_at = 1;
	}
	put(step, 0xf4);
}

static void make_code(struct random *random, const struct make_setup *setup,
		      const struct engine *engine, const struct mode *mode,
		      struct robust_step *step)
{
	const uint32_t kind = below(random, 1000);
	uint32_t count = 1 + below(random, 3);

	step->code_bytes = 0;
	if (step->is_plain) {
		if (mode->cpl == 0 && kind < 10)
			make_halt(random, step);
		else if (kind < 14 && mode->code == CODE_64)
			make_hypercall(random, setup, engine, step);
		else
			step->is_plain = put_pattern(random, engine, mode, step);
	} else if (percent(random, 35)) {
		while (step->code_bytes < 32)
			put(step, (uint8_t)next(random));
	} else {
		while (count-- > 0)
			(void)put_pattern(random, engine, mode, step);
	}
	/* INT3 follows on this page only, and some of it may be the instruction's displacement. */
	if (!step->has_timer &&
	    step->code_linear + step->code_bytes + DISPLACEMENT_MAX >= engine->arena + PAGE_BYTES)
		step->is_plain = false;
	if (!step->is_plain)
		step->state.rflags |= FLAG_TF;
}

void make_step(const struct make_setup *setup, const struct engine *engine, uint64_t number,
	       struct robust_step *step)
{
	struct random random = { setup->seed * UINT64_C(0x9e3779b97f4a7c15) ^
				 number * UINT64_C(0xd1342543de82ef95) };
	const struct mode *mode;

	(void)next(&random);
	step->mode = pick_mode(&random);
	mode = &modes[step->mode];
	step->is_wild = step->has_timer = false;
	step->is_plain = percent(&random, 40);
	step->insns = 1 + below(&random, 5);
	step->world.paging = mode->paging;
	step->world.is_user = mode->cpl == 3 || percent(&random, 30);
	step->code_linear =
		engine->arena + (percent(&random, 10) ? PAGE_BYTES - 1 - below(&random, 12)
						      : 0x40 + below(&random, 0xe00));
	make_control(&random, setup, mode, &step->world);
	make_gdt(&random, engine, step);
	make_pages(&random, setup, engine, step);
	make_segments(&random, engine, mode, &step->state);
	make_registers(&random, engine, mode, step);
	make_code(&random, setup, engine, mode, step);
}

void make_arena(const struct make_setup *setup, const struct engine *engine, uint64_t *arena)
{
	struct random random = { setup->seed };

	for (uint32_t i = 0; i < ARENA_BYTES / 8; i++) {
		if (i < PAGE_BYTES / 8)
			arena[i] = UINT64_C(0xcccccccccccccccc);
		else if (i < PAGE_BYTES / 8 + 64) /* what the LDT shows */
			arena[i] = percent(&random, 60)	  ? segment(&random, engine)
				   : percent(&random, 50) ? gate(&random, engine)
							  : next(&random);
		else
			arena[i] = value(&random, engine);
	}
}
