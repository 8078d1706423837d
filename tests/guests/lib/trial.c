/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/guests/lib/trial.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/fact.h"
#include "tests/guests/lib/probe.h"

enum { ENTRY_BYTES = 16, VECTOR_OF = 4, MSR_FS_BASE = 0xc0000100, MSR_GS_BASE = 0xc0000101 };
enum { RFLAGS_ONE = 2, RFLAGS_UNDEFINED = 0, CODE_SEGMENT_BYTES = 0x10000 };
enum { INT_OPCODE = 0xcd };
#define DR6_INIT UINT64_C(0xffff0ff0)
#define DR7_INIT UINT64_C(0x400)

struct mode {
	const char *name;
	uint16_t cs, ss, ds;
};

static const struct mode modes[TRIAL_MODES] = {
	[TRIAL_64_0] = { "64.0", ARENA_CODE64, ARENA_FLAT, ARENA_FLAT },
	[TRIAL_64_3] = { "64.3", ARENA_USER_CODE64, ARENA_USER_FLAT, ARENA_USER_FLAT },
	[TRIAL_32_0] = { "32.0", ARENA_CODE32, ARENA_FLAT, ARENA_FLAT },
	[TRIAL_32_3] = { "32.3", ARENA_USER_CODE32, ARENA_USER_FLAT, ARENA_USER_FLAT },
	[TRIAL_16_0] = { "16.0", ARENA_CODE16, ARENA_STACK16, ARENA_DATA16 },
	[TRIAL_16_3] = { "16.3", ARENA_USER_CODE16, ARENA_USER_STACK16, ARENA_USER_DATA16 },
};

extern const uint8_t trial_entries[] __attribute__((visibility("hidden")));
void trial_enter(const struct trial_state *in);
__attribute__((noreturn)) void trial_return(void);
void trial_exception(struct trial_frame *frame);

static struct trial *current;

uint64_t trial_entry(uint32_t vector)
{
	return (uint64_t)trial_entries + vector * ENTRY_BYTES;
}

const char *trial_mode_name(enum trial_mode mode)
{
	return modes[mode].name;
}

bool trial_is_user(enum trial_mode mode)
{
	return (modes[mode].cs & 3) != 0;
}

static bool is_16(enum trial_mode mode)
{
	return mode == TRIAL_16_0 || mode == TRIAL_16_3;
}

uint64_t trial_code_offset(enum trial_mode mode, uint64_t address)
{
	return is_16(mode) ? address - ARENA_CODE : address;
}

void trial_init_at(struct trial *trial, enum trial_mode mode, const uint8_t *code, uint32_t bytes,
		   uint32_t offset)
{
	uint8_t *to = (uint8_t *)(UINTN)ARENA_CODE + offset;
	const uint64_t data = is_16(mode) ? 0 : ARENA_DATA;

	SetMem(trial, sizeof(*trial), 0);
	CopyMem(to, (void *)(UINTN)code, bytes);
	to[bytes] = INT_OPCODE;
	to[bytes + 1] = TRIAL_END;
	trial->mode = mode;
	trial->start = trial_code_offset(mode, (uint64_t)to);
	trial->goes_on = 1u << VECTOR_DB | 1u << VECTOR_NMI | 1u << VECTOR_BP | 1u << VECTOR_OF;
	trial->in.rip = trial->start;
	trial->in.cs = modes[mode].cs;
	trial->in.ss = modes[mode].ss;
	trial->in.ds = trial->in.es = trial->in.fs = trial->in.gs = modes[mode].ds;
	trial->in.rflags = RFLAGS_ONE;
	trial->in.gpr[TRIAL_RSP] = ARENA_STACK_TOP;
	trial->in.gpr[TRIAL_RBX] = trial->in.gpr[TRIAL_RSI] = trial->in.gpr[TRIAL_RDI] = data;
}

void trial_init(struct trial *trial, enum trial_mode mode, const uint8_t *code, uint32_t bytes)
{
	trial_init_at(trial, mode, code, bytes, TRIAL_OFFSET);
}

/* The breakpoint's instruction is executed when the handler returns. */
static TRIAL_HANDLER void pass_breakpoint(struct trial_frame *frame, uint64_t dr6)
{
	if (dr6 & 0xf)
		frame->rflags |= TRIAL_RF;
}

static TRIAL_HANDLER void note(struct trial *trial, const struct trial_frame *frame)
{
	struct trial_event *event = &trial->events[trial->count++];
	const uint64_t *from = (const uint64_t *)frame;
	uint64_t *to = (uint64_t *)&event->frame;

	for (uint32_t i = 0; i < sizeof(*frame) / sizeof(*to); i++)
		to[i] = from[i];
	__asm__ volatile("mov %%cr2, %0; mov %%dr6, %1" : "=r"(event->cr2), "=r"(event->dr6));
	if (frame->vector == VECTOR_DB && !trial->keeps_dr6)
		__asm__ volatile("mov %0, %%dr6" : : "r"(DR6_INIT));
}

static TRIAL_HANDLER void end(struct trial *trial, const struct trial_frame *frame)
{
	const uint64_t *from = (const uint64_t *)frame;
	uint64_t *to = (uint64_t *)&trial->last;

	for (uint32_t i = 0; i < sizeof(*frame) / sizeof(*to); i++)
		to[i] = from[i];
	trial->ended = frame->vector == TRIAL_END;
	trial_return();
}

/* When DR7 is read at the end, it may be watched: any #DB clears that. Anything else is a mistake of the probe's. */
static TRIAL_HANDLER void between_trials(const struct trial_frame *frame)
{
	if (frame->vector == VECTOR_DB || frame->vector >= 32)
		return;
	probe_print("FACT: trial: exception %lu error 0x%lx at 0x%lx\n", frame->vector,
		    frame->error, frame->rip);
	for (;;)
		__asm__ volatile("cli; hlt");
}

TRIAL_HANDLER void trial_exception(struct trial_frame *frame)
{
	struct trial *trial = current;
	const bool is_exception = frame->vector < 32;

	if (!trial)
		between_trials(frame);
	if (!trial)
		return;
	if (frame->vector == TRIAL_END)
		end(trial, frame);
	note(trial, frame);
	if (trial->hook)
		trial->hook(trial, frame);
	if (trial->count == TRIAL_EVENTS)
		end(trial, frame);
	if (!is_exception)
		return;
	if (frame->vector == VECTOR_DB)
		pass_breakpoint(frame, trial->events[trial->count - 1].dr6);
	if (trial->goes_on >> frame->vector & 1)
		return;
	if (!trial->landing)
		end(trial, frame);
	frame->rip = trial->start + trial->landing;
}

void trial_run(struct trial *trial)
{
	const uint64_t fs_base = probe_rdmsr(MSR_FS_BASE), gs_base = probe_rdmsr(MSR_GS_BASE);

	current = trial;
	trial->count = 0;
	trial->ended = false;
	if (!trial->keeps_dr6)
		__asm__ volatile("mov %0, %%dr6" : : "r"(DR6_INIT));
	__asm__ volatile("mov %0, %%cr2" : : "r"(UINT64_C(0)));
	if (trial->dr7)
		__asm__ volatile("mov %0, %%dr7" : : "r"(trial->dr7));
	trial_enter(&trial->in);
	current = NULL;
	__asm__ volatile("mov %%dr7, %0" : "=r"(trial->dr7_after));
	if (trial->dr7)
		__asm__ volatile("mov %0, %%dr7" : : "r"(DR7_INIT));
	probe_wrmsr(MSR_FS_BASE, fs_base);
	probe_wrmsr(MSR_GS_BASE, gs_base);
}

/* --- as text --- */

void trial_print(struct trial_text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->length += probe_vformat(text->text + text->length, sizeof(text->text) - text->length,
				      format, arguments);
	va_end(arguments);
}

static const char *const vector_names[32] = { "de", "db", "nmi", "bp", "of", "br", "ud", "nm",
					      "df", 0,	  "ts",	 "np", "ss", "gp", "pf", 0,
					      "mf", "ac", "mc",	 "xm", "ve", "cp", 0,	 0,
					      0,    0,	  0,	 0,    0,    0,	   "sx" };

static bool has_error(uint64_t vector)
{
	return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 ||
	       vector == 30;
}

void trial_print_event(struct trial_text *text, const struct trial *trial,
		       const struct trial_event *event)
{
	const struct trial_frame *frame = &event->frame;
	const int64_t offset = (int64_t)(frame->rip - trial->start);
	const uint64_t pushed = trial->in.gpr[TRIAL_RSP] - frame->rsp;

	if (frame->vector < 32 && vector_names[frame->vector])
		trial_print(text, " %s", vector_names[frame->vector]);
	else
		trial_print(text, " 0x%lx", frame->vector);
	if (has_error(frame->vector))
		trial_print(text, "(%lx)", frame->error);
	/* In a handler, whose address is the program's. */
	if (frame->rip >= ARENA_BASE + ARENA_BYTES && frame->rip < UINT32_MAX) {
		trial_print(text, "@handler");
		return;
	}
	if (offset >= -CODE_SEGMENT_BYTES && offset < CODE_SEGMENT_BYTES)
		trial_print(text, offset < 0 ? "@-%lx" : "@%lx",
			    (uint64_t)(offset < 0 ? -offset : offset));
	else if (frame->rip >> 47)
		trial_print(text, "@0x%lx", frame->rip);
	trial_print(text, ",f=%lx", frame->rflags & ~(uint64_t)RFLAGS_UNDEFINED);
	if (frame->cs != trial->in.cs)
		trial_print(text, ",cs=%lx", frame->cs);
	if (frame->ss != trial->in.ss)
		trial_print(text, ",ss=%lx", frame->ss);
	if (pushed)
		trial_print(text, pushed >> 63 ? ",sp=+%lx" : ",sp=-%lx",
			    pushed >> 63 ? 0 - pushed : pushed);
	if (frame->vector == VECTOR_DB)
		trial_print(text, ",dr6=%lx", event->dr6);
	if (frame->vector == VECTOR_PF)
		trial_print(text, ",cr2=%lx", event->cr2);
}

void trial_fact(const char *key, const struct trial *trial)
{
	struct trial_text text = { .length = 0 };

	for (uint32_t i = 0; i < trial->count; i++)
		trial_print_event(&text, trial, &trial->events[i]);
	if (trial->ended)
		trial_print(&text, " end@%lx", trial->last.rip - trial->start);
	else if (trial->count == TRIAL_EVENTS)
		trial_print(&text, " ...");
	fact(key, "%s", text.text + (text.length > 0));
}
