/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run a piece of code in 16-, 32- or 64-bit code segments at CPL 0 or 3 of long mode, in the arena (lib/arena.h), and note
 * every exception and interrupt until it ends.
 *
 *	static const uint8_t cpuid[] = { 0x0f, 0xa2 };
 *	struct trial trial;
 *
 *	trial_init(&trial, TRIAL_64_0, cpuid, sizeof(cpuid));
 *	trial.in.rflags |= TRIAL_TF;
 *	trial_run(&trial);
 *	trial_fact("step.cpuid", &trial);	FACT: step.cpuid = db@2,f=102,dr6=ffff4ff0 ...
 *
 * The code ends by an INT TRIAL_END that is put behind it, by an exception that is not to go on, or after
 * TRIAL_EVENTS of them. One CPU at a time.
 */
#ifndef TESTS_GUESTS_LIB_TRIAL_H
#define TESTS_GUESTS_LIB_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

enum trial_mode {
	TRIAL_64_0,
	TRIAL_64_3,
	TRIAL_32_0,
	TRIAL_32_3,
	TRIAL_16_0, /* its code segment begins at ARENA_CODE; a stack of 16 bits */
	TRIAL_16_3,
	TRIAL_MODES
};

enum { TRIAL_END = 0x30, TRIAL_EVENTS = 10, TRIAL_OFFSET = 0x400 };
enum {
	TRIAL_TF = 0x100,
	TRIAL_IF = 0x200,
	TRIAL_IOPL3 = 0x3000,
	TRIAL_RF = 0x10000,
	TRIAL_AC = 0x40000
};
enum { TRIAL_RAX, TRIAL_RCX, TRIAL_RDX, TRIAL_RBX, TRIAL_RSP, TRIAL_RBP, TRIAL_RSI, TRIAL_RDI };

/* trial.asm knows the offsets. */
struct trial_state {
	uint64_t gpr[16]; /* in the order of their encoding */
	uint64_t rip, cs, rflags, ss;
	uint16_t ds, es, fs, gs;
};

/* What the entry stub pushes, and the CPU. */
struct trial_frame {
	uint64_t gpr[16]; /* RSP: of the handler */
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

struct trial_event {
	struct trial_frame frame;
	uint64_t cr2, dr6;
};

struct trial {
	enum trial_mode mode;
	struct trial_state in;
	uint64_t start; /* RIP offsets are counted from here */
	/* Vectors below 32 after which the code goes on where it was: #DB, NMI, #BP and #OF unless changed. */
	uint32_t goes_on;
	/* Where it goes on after any other exception: an offset from the start; 0: it ends. */
	uint32_t landing;
	uint64_t dr7; /* loaded last before it begins, and reset at the end; 0: none */
	/* DR6 is what it was before the trial, and is not initialized at each event. */
	bool keeps_dr6;
	/* If set, called at each event but TRIAL_END after it was noted; general registers only. */
	void (*hook)(struct trial *trial, struct trial_frame *frame);
	bool ended; /* by TRIAL_END; its frame is `last` */
	uint64_t dr7_after;
	uint32_t count;
	struct trial_event events[TRIAL_EVENTS];
	struct trial_frame last;
	void *argument; /* the probe's */
};

#define TRIAL_HANDLER __attribute__((target("general-regs-only")))

/* Code, mode and registers: 0, but RBX, RSI and RDI point to ARENA_DATA. Interrupts are off, IOPL is 0. */
void trial_init(struct trial *trial, enum trial_mode mode, const uint8_t *code, uint32_t bytes);
/* The same with the code elsewhere, at an offset from ARENA_CODE. */
void trial_init_at(struct trial *trial, enum trial_mode mode, const uint8_t *code, uint32_t bytes,
		   uint32_t offset);
void trial_run(struct trial *trial);
/* Print what happened as one fact. */
void trial_fact(const char *key, const struct trial *trial);
/* "64.0" and so on, for keys. */
const char *trial_mode_name(enum trial_mode mode);
bool trial_is_user(enum trial_mode mode);
/* Where an address below ARENA_CODE + 64 KiB is as an offset in the code segment of the mode. */
uint64_t trial_code_offset(enum trial_mode mode, uint64_t address);

/* Of the gates, for arena.c. */
uint64_t trial_entry(uint32_t vector);

/* A line of text that grows, for facts. */
struct trial_text {
	char text[400];
	uint64_t length;
};

void trial_print(struct trial_text *text, const char *format, ...);
void trial_print_event(struct trial_text *text, const struct trial *trial,
		       const struct trial_event *event);

#endif
