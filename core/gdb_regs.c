/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/gdb_regs.h"

#include "arch/x86/cr.h"
#include "arch/x86/xsave.h"
#include "core/format.h"
#include "core/string.h"

/* In the legacy region of the XSAVE area. SDM: "Legacy Region of an XSAVE Area". */
#define AREA_FCW	 0u
#define AREA_FSW	 2u
#define AREA_FTW	 4u /* abridged: one bit a register, 1: not empty */
#define AREA_FOP	 6u
#define AREA_FIP	 8u
#define AREA_FCS	 12u
#define AREA_FDP	 16u
#define AREA_FDS	 20u
#define AREA_ST		 32u
#define AREA_XMM	 160u
#define AREA_YMM_HIGH	 576u
#define AREA_SLOT	 16u /* from one ST, XMM or YMM to the next */

#define FCW_AFTER_INIT	 0x37fu
#define MXCSR_AFTER_INIT 0x1f80u

/* Where a register is, beside those whose `offset` is into the structure itself. */
enum place {
	PLACE_STATE, /* in struct regs_sync */
	PLACE_AREA,  /* in the XSAVE area */
	PLACE_FTW,   /* x87 tags, which the area has abridged */
};

/* The x87, SSE and AVX components, in the order of their bits in XSTATE_BV; NONE for what is in none. */
enum component {
	COMPONENT_X87,
	COMPONENT_SSE,
	COMPONENT_AVX,
	COMPONENT_NONE,
};

struct run {
	const char *name;     /* of the first; others count up from there */
	const char *type;     /* in GDB's words */
	uint16_t count;	      /* 0: one, whose name has no number */
	uint16_t first;	      /* the first one's number in its name */
	uint32_t offset, gap; /* of the first; from one to the next */
	uint8_t bytes;	      /* stored */
	uint8_t shown;	      /* bytes of GDB's value, the rest is 0 */
	uint8_t set;	      /* a REGS_SYNC_ bit */
	uint8_t place, component;
};

#define STATE(set_, field)                                                 \
	.offset = offsetof(struct regs_sync, field), .place = PLACE_STATE, \
	.component = COMPONENT_NONE, .set = (set_)
#define AREA(component_, at) \
	.offset = (at), .place = PLACE_AREA, .component = (component_), .set = REGS_SYNC_XSAVE
#define GPR(name_, reg)                                                   \
	{                                                                 \
		.name = (name_), .type = "int64", .bytes = 8, .shown = 8, \
		STATE(REGS_SYNC_REGS, regs.gpr[reg])                      \
	}
#define SELECTOR(name_, index)                                            \
	{                                                                 \
		.name = (name_), .type = "int32", .bytes = 2, .shown = 4, \
		STATE(REGS_SYNC_SREGS, sregs.segments[index].selector)    \
	}
#define BASE(name_, index)                                                \
	{                                                                 \
		.name = (name_), .type = "int64", .bytes = 8, .shown = 8, \
		STATE(REGS_SYNC_SREGS, sregs.segments[index].base)        \
	}
#define X87(name_, at, bytes_)                                                 \
	{                                                                      \
		.name = (name_), .type = "int", .bytes = (bytes_), .shown = 4, \
		AREA(COMPONENT_X87, at)                                        \
	}
#define SYSTEM(name_, set_, field)                                                           \
	{                                                                                    \
		.name = (name_), .type = "int64", .bytes = 8, .shown = 8, STATE(set_, field) \
	}

static const struct run core_runs[] = {
	GPR("rax", REG_RAX),
	GPR("rbx", REG_RBX),
	GPR("rcx", REG_RCX),
	GPR("rdx", REG_RDX),
	GPR("rsi", REG_RSI),
	GPR("rdi", REG_RDI),
	{ .name = "rbp",
	  .type = "data_ptr",
	  .bytes = 8,
	  .shown = 8,
	  STATE(REGS_SYNC_REGS, regs.gpr[REG_RBP]) },
	{ .name = "rsp",
	  .type = "data_ptr",
	  .bytes = 8,
	  .shown = 8,
	  STATE(REGS_SYNC_REGS, regs.gpr[REG_RSP]) },
	{ .name = "r",
	  .type = "int64",
	  .count = 8,
	  .first = 8,
	  .bytes = 8,
	  .shown = 8,
	  .gap = 8,
	  STATE(REGS_SYNC_REGS, regs.gpr[REG_R8]) },
	{ .name = "rip",
	  .type = "code_ptr",
	  .bytes = 8,
	  .shown = 8,
	  STATE(REGS_SYNC_REGS, regs.rip) },
	{ .name = "eflags",
	  .type = "flags",
	  .bytes = 4,
	  .shown = 4,
	  STATE(REGS_SYNC_REGS, regs.rflags) },
	SELECTOR("cs", SEGMENT_CS),
	SELECTOR("ss", SEGMENT_SS),
	SELECTOR("ds", SEGMENT_DS),
	SELECTOR("es", SEGMENT_ES),
	SELECTOR("fs", SEGMENT_FS),
	SELECTOR("gs", SEGMENT_GS),
	{ .name = "st",
	  .type = "i387_ext",
	  .count = 8,
	  .bytes = 10,
	  .shown = 10,
	  .gap = AREA_SLOT,
	  AREA(COMPONENT_X87, AREA_ST) },
	X87("fctrl", AREA_FCW, 2),
	X87("fstat", AREA_FSW, 2),
	{ .name = "ftag",
	  .type = "int",
	  .bytes = 2,
	  .shown = 4,
	  .offset = AREA_FTW,
	  .place = PLACE_FTW,
	  .component = COMPONENT_X87,
	  .set = REGS_SYNC_XSAVE },
	X87("fiseg", AREA_FCS, 2),
	X87("fioff", AREA_FIP, 4),
	X87("foseg", AREA_FDS, 2),
	X87("fooff", AREA_FDP, 4),
	X87("fop", AREA_FOP, 2),
};

static const struct run sse_runs[] = {
	{ .name = "xmm",
	  .type = "vec128",
	  .count = 16,
	  .bytes = 16,
	  .shown = 16,
	  .gap = AREA_SLOT,
	  AREA(COMPONENT_SSE, AREA_XMM) },
	{ .name = "mxcsr",
	  .type = "mxcsr",
	  .bytes = 4,
	  .shown = 4,
	  AREA(COMPONENT_SSE, XSAVE_MXCSR) },
};

static const struct run segment_runs[] = {
	BASE("fs_base", SEGMENT_FS),
	BASE("gs_base", SEGMENT_GS),
};

static const struct run avx_runs[] = {
	{ .name = "ymm",
	  .type = "uint128",
	  .count = 16,
	  .bytes = 16,
	  .shown = 16,
	  .gap = AREA_SLOT,
	  AREA(COMPONENT_AVX, AREA_YMM_HIGH) },
};

static const struct run system_runs[] = {
	SYSTEM("cr0", REGS_SYNC_SREGS, sregs.cr0),
	SYSTEM("cr2", REGS_SYNC_SREGS, sregs.cr2),
	SYSTEM("cr3", REGS_SYNC_SREGS, sregs.cr3),
	SYSTEM("cr4", REGS_SYNC_SREGS, sregs.cr4),
	SYSTEM("cr8", REGS_SYNC_SREGS, sregs.cr8),
	SYSTEM("efer", REGS_SYNC_SREGS, sregs.efer),
	SYSTEM("gdtr_base", REGS_SYNC_SREGS, sregs.gdtr.base),
	{ .name = "gdtr_limit",
	  .type = "int32",
	  .bytes = 2,
	  .shown = 4,
	  STATE(REGS_SYNC_SREGS, sregs.gdtr.limit) },
	SYSTEM("idtr_base", REGS_SYNC_SREGS, sregs.idtr.base),
	{ .name = "idtr_limit",
	  .type = "int32",
	  .bytes = 2,
	  .shown = 4,
	  STATE(REGS_SYNC_SREGS, sregs.idtr.limit) },
	SELECTOR("ldtr", SEGMENT_LDTR),
	SELECTOR("tr", SEGMENT_TR),
	BASE("tr_base", SEGMENT_TR),
	SYSTEM("dr6", REGS_SYNC_DEBUG, debug.dr6),
	SYSTEM("dr7", REGS_SYNC_DEBUG, debug.dr7),
};

struct flag {
	const char *name;
	uint8_t first, last;
};

static const struct flag eflags[] = {
	{ "CF", 0, 0 },	    { "", 1, 1 },      { "PF", 2, 2 },	 { "AF", 4, 4 },   { "ZF", 6, 6 },
	{ "SF", 7, 7 },	    { "TF", 8, 8 },    { "IF", 9, 9 },	 { "DF", 10, 10 }, { "OF", 11, 11 },
	{ "IOPL", 12, 13 }, { "NT", 14, 14 },  { "RF", 16, 16 }, { "VM", 17, 17 }, { "AC", 18, 18 },
	{ "VIF", 19, 19 },  { "VIP", 20, 20 }, { "ID", 21, 21 }, { NULL, 0, 0 },
};

static const struct flag mxcsr[] = {
	{ "IE", 0, 0 },	  { "DE", 1, 1 },   { "ZE", 2, 2 },   { "OE", 3, 3 },	{ "UE", 4, 4 },
	{ "PE", 5, 5 },	  { "DAZ", 6, 6 },  { "IM", 7, 7 },   { "DM", 8, 8 },	{ "ZM", 9, 9 },
	{ "OM", 10, 10 }, { "UM", 11, 11 }, { "PM", 12, 12 }, { "FZ", 15, 15 }, { NULL, 0, 0 },
};

static const struct {
	const char *id, *type;
	unsigned count;
} vectors[] = {
	{ "v4_float", "ieee_single", 4 }, { "v2_double", "ieee_double", 2 },
	{ "v16_int8", "int8", 16 },	  { "v8_int16", "int16", 8 },
	{ "v4_int32", "int32", 4 },	  { "v2_int64", "int64", 2 },
};

/* In the order of the numbers. `flags_id` names the type that `flags` makes. */
static const struct feature {
	const char *name;
	const struct run *runs;
	unsigned count;
	const char *flags_id;
	const struct flag *flags;
	bool has_vectors; /* the type vec128 */
	bool needs_avx;
	const char *suffix; /* of numbered names */
} features[] = {
	{ "org.gnu.gdb.i386.core", core_runs, ARRAY_COUNT(core_runs), "flags", eflags, false, false,
	  "" },
	{ "org.gnu.gdb.i386.sse", sse_runs, ARRAY_COUNT(sse_runs), "mxcsr", mxcsr, true, false,
	  "" },
	{ "org.gnu.gdb.i386.segments", segment_runs, ARRAY_COUNT(segment_runs), NULL, NULL, false,
	  false, "" },
	{ "org.solovisor.system", system_runs, ARRAY_COUNT(system_runs), NULL, NULL, false, false,
	  "" },
	{ "org.gnu.gdb.i386.avx", avx_runs, ARRAY_COUNT(avx_runs), NULL, NULL, false, true, "h" },
};

static unsigned run_registers(const struct run *run)
{
	return run->count == 0 ? 1 : run->count;
}

/* --- values --- */

/* The run that a number belongs to, and its place in it; NULL: none. */
static const struct run *find(unsigned number, unsigned *index)
{
	for (unsigned f = 0; f < ARRAY_COUNT(features); f++) {
		for (unsigned i = 0; i < features[f].count; i++) {
			const struct run *run = &features[f].runs[i];

			if (number < run_registers(run)) {
				*index = number;
				return run;
			}
			number -= run_registers(run);
		}
	}
	return NULL;
}

unsigned gdb_regs_count(void)
{
	unsigned count = 0;

	for (unsigned f = 0; f < ARRAY_COUNT(features); f++) {
		for (unsigned i = 0; i < features[f].count; i++)
			count += run_registers(&features[f].runs[i]);
	}
	return count;
}

unsigned gdb_reg_bytes(unsigned number)
{
	unsigned index;
	const struct run *run = find(number, &index);

	return run == NULL ? 0 : run->shown;
}

static uint64_t components_in_use(const struct regs_sync *state)
{
	uint64_t in_use;

	memcpy(&in_use, state->xsave.area + XSAVE_XSTATE_BV, sizeof(in_use));
	return in_use;
}

/* XCR0 has no say in x87 and SSE state, which are there without it. */
static bool is_present(const struct regs_sync *state, const struct run *run)
{
	if ((state->valid & run->set) == 0)
		return false;
	return run->component != COMPONENT_AVX || (state->xsave.xcr0 & XCR0_AVX) != 0;
}

/* Without SSE in XCR0 the state is that of FXSAVE, which has no bits. */
static bool is_in_use(const struct regs_sync *state, const struct run *run)
{
	if (run->component == COMPONENT_NONE ||
	    (run->component == COMPONENT_SSE && run->offset == XSAVE_MXCSR))
		return true;
	if (run->component == COMPONENT_SSE && (state->xsave.xcr0 & XCR0_SSE) == 0)
		return true;
	return (components_in_use(state) & BIT64(run->component)) != 0;
}

/* What the component holds after XRSTOR without its bit. SDM: "State Components", initial configuration. */
static void initial_value(const struct run *run, uint8_t *value)
{
	if (run->place == PLACE_AREA && run->component == COMPONENT_X87 && run->offset == AREA_FCW)
		memcpy(value, &(uint16_t){ FCW_AFTER_INIT }, 2);
	else if (run->place == PLACE_FTW)
		memcpy(value, &(uint16_t){ 0xffff }, 2);
}

/* 2 bits a register in GDB's word: 3 empty, 1 zero, 2 special, 0 valid. SDM: "x87 FPU Tag Word". */
static unsigned tag_of(const uint8_t *st)
{
	uint64_t significand;
	uint16_t exponent;

	memcpy(&significand, st, sizeof(significand));
	memcpy(&exponent, st + 8, sizeof(exponent));
	exponent &= 0x7fff;
	if (exponent == 0 && significand == 0)
		return 1;
	if (exponent == 0 || exponent == 0x7fff || significand >> 63 == 0)
		return 2;
	return 0;
}

/* Tags are of physical registers, the slots count from the top of the stack. */
static uint16_t full_tags(const uint8_t *area)
{
	unsigned top = (unsigned)area[AREA_FSW + 1] >> 3 & 7;
	uint16_t tags = 0;

	for (unsigned i = 0; i < 8; i++) {
		bool empty = (area[AREA_FTW] >> i & 1) == 0;
		unsigned slot = (i - top) & 7;
		unsigned tag = empty ? 3 : tag_of(area + AREA_ST + slot * AREA_SLOT);

		tags = (uint16_t)(tags | tag << 2 * i);
	}
	return tags;
}

static void put_tags(uint8_t *area, const uint8_t *value)
{
	unsigned tags = value[0] | (unsigned)value[1] << 8;

	area[AREA_FTW] = 0;
	for (unsigned i = 0; i < 8; i++) {
		if ((tags >> 2 * i & 3) != 3)
			area[AREA_FTW] |= (uint8_t)(1u << i);
	}
}

bool gdb_reg_read(const struct regs_sync *state, unsigned number, uint8_t value[GDB_REG_BYTES_MAX])
{
	unsigned index;
	const struct run *run = find(number, &index);
	uint16_t tags;

	if (run == NULL || !is_present(state, run))
		return false;
	memset(value, 0, GDB_REG_BYTES_MAX);
	if (!is_in_use(state, run)) {
		initial_value(run, value);
	} else if (run->place == PLACE_FTW) {
		tags = full_tags(state->xsave.area);
		memcpy(value, &tags, sizeof(tags));
	} else {
		const uint8_t *base =
			run->place == PLACE_AREA ? state->xsave.area : (const uint8_t *)state;

		memcpy(value, base + run->offset + index * run->gap, run->bytes);
	}
	return true;
}

/* A component that was in its initial configuration comes to be: all of it as it was, but in the area. */
static void materialize(struct regs_sync *state, const struct run *run)
{
	uint8_t *area = state->xsave.area;
	uint64_t in_use = components_in_use(state) | BIT64(run->component);

	if (run->component == COMPONENT_X87) {
		memset(area, 0, XSAVE_MXCSR);
		memset(area + AREA_ST, 0, 8 * AREA_SLOT);
		memcpy(area + AREA_FCW, &(uint16_t){ FCW_AFTER_INIT }, 2);
	} else if (run->component == COMPONENT_SSE) {
		memset(area + AREA_XMM, 0, 16 * AREA_SLOT);
	} else {
		memset(area + AREA_YMM_HIGH, 0, 16 * AREA_SLOT);
	}
	memcpy(area + XSAVE_XSTATE_BV, &in_use, sizeof(in_use));
}

/* MXCSR is loaded with SSE or AVX only: it must not be lost. */
static void use_mxcsr(struct regs_sync *state, const struct run *sse)
{
	uint64_t in_use = components_in_use(state);

	if ((state->xsave.xcr0 & XCR0_SSE) != 0 && (in_use & (XCR0_SSE | XCR0_AVX)) == 0)
		materialize(state, sse);
}

bool gdb_reg_write(struct regs_sync *state, unsigned number, const uint8_t *value)
{
	unsigned index;
	const struct run *run = find(number, &index);
	uint8_t *base;

	if (run == NULL || !is_present(state, run))
		return false;
	for (unsigned i = run->bytes; i < run->shown; i++) {
		if (value[i] != 0)
			return false;
	}
	if (!is_in_use(state, run))
		materialize(state, run);
	if (run->place == PLACE_AREA && run->offset == XSAVE_MXCSR)
		use_mxcsr(state, run);
	base = run->place == PLACE_STATE ? (uint8_t *)state : state->xsave.area;
	if (run->place == PLACE_FTW)
		put_tags(base, value);
	else
		memcpy(base + run->offset + index * run->gap, value, run->bytes);
	state->dirty |= run->set;
	return true;
}

/* --- the description --- */

/* The part of a long text that was asked for. */
struct window {
	size_t at; /* of the next character of the text */
	size_t first;
	char *buffer;
	size_t bytes, used;
};

static void show(struct window *window, const char *text)
{
	for (; *text != 0; text++, window->at++) {
		if (window->at >= window->first && window->used < window->bytes)
			window->buffer[window->used++] = *text;
	}
}

static const char *group_of(const struct run *run)
{
	switch (run->component) {
	case COMPONENT_X87:
		return "float";
	case COMPONENT_SSE:
	case COMPONENT_AVX:
		return "vector";
	default:
		return run->set == REGS_SYNC_REGS ? "general" : "system";
	}
}

static void show_register(struct window *window, const struct feature *feature,
			  const struct run *run, unsigned index)
{
	char line[160], number[8] = "";

	if (run->count != 0)
		format_string(number, sizeof(number), "%u%s", run->first + index, feature->suffix);
	format_string(line, sizeof(line),
		      "<reg name=\"%s%s\" bitsize=\"%u\" type=\"%s\" group=\"%s\"/>", run->name,
		      number, 8u * run->shown, run->type, group_of(run));
	show(window, line);
}

static void show_flags(struct window *window, const char *id, const struct flag *flags)
{
	char line[80];

	format_string(line, sizeof(line), "<flags id=\"%s\" size=\"4\">", id);
	show(window, line);
	for (; flags->name != NULL; flags++) {
		format_string(line, sizeof(line), "<field name=\"%s\" start=\"%u\" end=\"%u\"/>",
			      flags->name, flags->first, flags->last);
		show(window, line);
	}
	show(window, "</flags>");
}

static void show_vectors(struct window *window)
{
	char line[80];

	for (unsigned i = 0; i < ARRAY_COUNT(vectors); i++) {
		format_string(line, sizeof(line), "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>",
			      vectors[i].id, vectors[i].type, vectors[i].count);
		show(window, line);
	}
	show(window, "<union id=\"vec128\">");
	for (unsigned i = 0; i < ARRAY_COUNT(vectors); i++) {
		format_string(line, sizeof(line), "<field name=\"%s\" type=\"%s\"/>", vectors[i].id,
			      vectors[i].id);
		show(window, line);
	}
	show(window, "<field name=\"uint128\" type=\"uint128\"/></union>");
}

static void show_feature(struct window *window, const struct feature *feature)
{
	show(window, "<feature name=\"");
	show(window, feature->name);
	show(window, "\">");
	if (feature->flags != NULL)
		show_flags(window, feature->flags_id, feature->flags);
	if (feature->has_vectors)
		show_vectors(window);
	for (unsigned i = 0; i < feature->count; i++) {
		for (unsigned j = 0; j < run_registers(&feature->runs[i]); j++)
			show_register(window, feature, &feature->runs[i], j);
	}
	show(window, "</feature>");
}

size_t gdb_regs_describe(bool avx, size_t offset, char *buffer, size_t bytes)
{
	struct window window = { .first = offset, .buffer = buffer, .bytes = bytes };

	show(&window, "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
		      "<architecture>i386:x86-64</architecture>");
	for (unsigned i = 0; i < ARRAY_COUNT(features); i++) {
		if (!features[i].needs_avx || avx)
			show_feature(&window, &features[i]);
	}
	show(&window, "</target>");
	return window.used;
}
