// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/debuggee/syscalls.h"

#include "tests/guests/lib/arena.h"
#include "tests/guests/lib/probe.h"
#include "tests/guests/lib/trial.h"

enum { MSR_EFER = 0xc0000080, MSR_STAR = 0xc0000081 };
enum { MSR_LSTAR = 0xc0000082, MSR_SFMASK = 0xc0000084, EFER_SCE = 1 };
enum { USER = 0x40, ENTRY = 0x80, R11 = 11 };

/* Where they are, for the debugger. */
const volatile uint64_t sysret_at = ARENA_CODE + TRIAL_OFFSET;
const volatile uint64_t syscall_at = ARENA_CODE + TRIAL_OFFSET + USER;
const volatile uint64_t entry_at = ARENA_CODE + TRIAL_OFFSET + ENTRY;

static const uint8_t sysret[] = { 0x48, 0x0f, 0x07 };
static const uint8_t call[] = { 0x0f, 0x05, 0x90, 0xcd, TRIAL_END };
/* MOV to and from R11 and RCX would hide what SYSCALL has put there. */
static const uint8_t entry[] = { 0x90, 0x90, 0xcd, TRIAL_END };

bool debuggee_syscalls_prepare(void)
{
	return arena_prepare();
}

static void put(uint64_t address, const uint8_t *code, uint64_t bytes)
{
	CopyMem((void *)(UINTN)address, (void *)(UINTN)code, bytes);
}

static void load_msrs(uint64_t mask)
{
	/* SYSRET takes its stack segment, and the code segment behind that. */
	const uint64_t user = (uint64_t)(ARENA_USER_FLAT - 8) << 48;

	probe_wrmsr(MSR_EFER, probe_rdmsr(MSR_EFER) | EFER_SCE);
	probe_wrmsr(MSR_STAR, user | (uint64_t)ARENA_CODE64 << 32);
	probe_wrmsr(MSR_LSTAR, entry_at);
	probe_wrmsr(MSR_SFMASK, mask);
}

static void say(const char *prefix, const struct trial *trial, uint64_t mask)
{
	struct trial_text text = { .length = 0 };

	for (uint32_t i = 0; i < trial->count; i++) {
		const struct trial_event *event = &trial->events[i];

		trial_print_event(&text, trial, event);
		trial_print(&text, ",rcx=%lx,r11=%lx", event->frame.gpr[TRIAL_RCX],
			    event->frame.gpr[R11]);
	}
	probe_print("DEBUGGEE: %s tf=%lx mask=%lx:%s end=%u@%lx f=%lx cs=%lx rcx=%lx r11=%lx\n",
		    prefix, trial->in.gpr[R11] & TRIAL_TF, mask, text.text, trial->ended,
		    trial->last.rip, trial->last.rflags, trial->last.cs, trial->last.gpr[TRIAL_RCX],
		    trial->last.gpr[R11]);
}

static void go(const char *prefix, uint64_t tf, uint64_t mask)
{
	struct trial trial;

	trial_init(&trial, TRIAL_64_0, sysret, sizeof(sysret));
	put(syscall_at, call, sizeof(call));
	put(entry_at, entry, sizeof(entry));
	trial.in.gpr[TRIAL_RCX] = syscall_at;
	trial.in.gpr[R11] = trial.in.rflags | tf;
	load_msrs(mask);
	trial_run(&trial);
	say(prefix, &trial, mask);
}

void debuggee_syscalls(const char *prefix)
{
	arena_enter();
	for (uint64_t tf = 0; tf <= TRIAL_TF; tf += TRIAL_TF) {
		for (uint64_t mask = 0; mask <= TRIAL_TF; mask += TRIAL_TF)
			go(prefix, tf, mask);
	}
	arena_leave();
}
