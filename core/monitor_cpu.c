/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/monitor_cpu.h"

#include "arch/x86/cr.h"
#include "core/events.h"
#include "core/format.h"
#include "core/monitor_regs.h"

/* A register's bits by name. */
struct flag {
	uint64_t bit;
	const char *name;
};

static const struct flag rflags_flags[] = {
	{ RFLAGS_CF, "CF" }, { RFLAGS_PF, "PF" }, { RFLAGS_AF, "AF" }, { RFLAGS_ZF, "ZF" },
	{ RFLAGS_SF, "SF" }, { RFLAGS_TF, "TF" }, { RFLAGS_IF, "IF" }, { RFLAGS_DF, "DF" },
	{ RFLAGS_OF, "OF" }, { RFLAGS_NT, "NT" }, { RFLAGS_RF, "RF" }, { RFLAGS_VM, "VM" },
	{ RFLAGS_AC, "AC" }, { 0, NULL },
};

static const struct flag cr0_flags[] = {
	{ CR0_PE, "PE" }, { CR0_MP, "MP" }, { CR0_EM, "EM" }, { CR0_TS, "TS" },
	{ CR0_ET, "ET" }, { CR0_NE, "NE" }, { CR0_WP, "WP" }, { CR0_AM, "AM" },
	{ CR0_NW, "NW" }, { CR0_CD, "CD" }, { CR0_PG, "PG" }, { 0, NULL },
};

static const struct flag cr4_flags[] = {
	{ CR4_VME, "VME" },
	{ CR4_PVI, "PVI" },
	{ CR4_TSD, "TSD" },
	{ CR4_DE, "DE" },
	{ CR4_PSE, "PSE" },
	{ CR4_PAE, "PAE" },
	{ CR4_MCE, "MCE" },
	{ CR4_PGE, "PGE" },
	{ CR4_PCE, "PCE" },
	{ CR4_OSFXSR, "OSFXSR" },
	{ CR4_OSXMMEXCPT, "OSXMM" },
	{ CR4_UMIP, "UMIP" },
	{ CR4_LA57, "LA57" },
	{ CR4_VMXE, "VMXE" },
	{ CR4_FSGSBASE, "FSGSBASE" },
	{ CR4_PCIDE, "PCIDE" },
	{ CR4_OSXSAVE, "OSXSAVE" },
	{ CR4_SMEP, "SMEP" },
	{ CR4_SMAP, "SMAP" },
	{ CR4_PKE, "PKE" },
	{ CR4_CET, "CET" },
	{ CR4_PKS, "PKS" },
	{ 0, NULL },
};

static const struct flag efer_flags[] = {
	{ EFER_SCE, "SCE" }, { EFER_LME, "LME" },   { EFER_LMA, "LMA" },
	{ EFER_NXE, "NXE" }, { EFER_SVME, "SVME" }, { 0, NULL },
};

static void say_flags(const struct monitor *monitor, const char *name, uint64_t value,
		      const struct flag *flags)
{
	char text[160];
	size_t used = 0;

	text[0] = '\0';
	for (; flags->name != NULL; flags++) {
		if ((value & flags->bit) != 0)
			used += format_string(text + used, sizeof(text) - used, " %s", flags->name);
	}
	monitor_say(monitor, "%-6s %016lx%s\n", name, (unsigned long)value, text);
}

static const char *mode_name(const struct regs_sync *state)
{
	const struct segment *cs = &state->sregs.segments[SEGMENT_CS];

	if ((state->sregs.cr0 & CR0_PE) == 0)
		return "real mode";
	if ((state->regs.rflags & RFLAGS_VM) != 0)
		return "virtual-8086";
	if ((state->sregs.efer & EFER_LMA) != 0)
		return (cs->rights & SEGMENT_L) != 0 ? "64-bit" : "compatibility";
	return (cs->rights & SEGMENT_DB) != 0 ? "32-bit" : "16-bit";
}

const char *monitor_command_cpus(struct monitor *monitor, struct monitor_args *args)
{
	const char *why = monitor_args_end(args);

	if (why != NULL)
		return why;
	for (unsigned cpu = 0; cpu < monitor->target->gdb->cpus(); cpu++) {
		const struct regs_sync *state = monitor_state(monitor, cpu);

		monitor_say(monitor, "%c cpu %-3u APIC %-3u ", cpu == monitor->cpu ? '*' : ' ', cpu,
			    monitor->target->apic_id(cpu));
		if (state == NULL) {
			monitor_say(monitor, "%s\n", monitor_waits_for_sipi);
			continue;
		}
		monitor_say(monitor, "%-13s CPL %u  RIP %04x:%016lx  CR3 %016lx\n",
			    mode_name(state), segment_dpl(&state->sregs.segments[SEGMENT_SS]),
			    state->sregs.segments[SEGMENT_CS].selector,
			    (unsigned long)state->regs.rip, (unsigned long)state->sregs.cr3);
	}
	return NULL;
}

const char *monitor_command_cpu(struct monitor *monitor, struct monitor_args *args)
{
	bool change = monitor_args_more(args);
	unsigned cpu = monitor_args_cpu(monitor, args);
	const char *why = monitor_args_end(args);

	if (why != NULL)
		return why;
	if (change)
		monitor->cpu = cpu;
	monitor_say(monitor, "cpu %u\n", monitor->cpu);
	return NULL;
}

/* Of a CPU that is an argument, or the chosen one. NULL: *why says it. */
static const struct regs_sync *state_of(const struct monitor *monitor, struct monitor_args *args,
					const char **why)
{
	unsigned cpu = monitor_args_cpu(monitor, args);
	const struct regs_sync *state;

	*why = monitor_args_end(args);
	if (*why != NULL)
		return NULL;
	state = monitor_state(monitor, cpu);
	if (state == NULL)
		*why = monitor_waits_for_sipi;
	return state;
}

const char *monitor_command_regs(struct monitor *monitor, struct monitor_args *args)
{
	static const char order[16][4] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
					   "r8",  "r9",	 "r10", "r11", "r12", "r13", "r14", "r15" };
	const char *why;
	const struct regs_sync *state = state_of(monitor, args, &why);

	if (state == NULL)
		return why;
	for (unsigned i = 0; i < ARRAY_COUNT(order); i++) {
		size_t bytes = order[i][2] == '\0' ? 2 : 3;
		unsigned number;

		if (!monitor_reg_find(order[i], bytes, &number))
			continue;
		monitor_say(monitor, "%-3s %016lx%s", order[i],
			    (unsigned long)monitor_reg_value(state, number),
			    i % 4 == 3 ? "\n" : "  ");
	}
	monitor_say(monitor, "rip %04x:%016lx\n", state->sregs.segments[SEGMENT_CS].selector,
		    (unsigned long)state->regs.rip);
	say_flags(monitor, "rflags", state->regs.rflags, rflags_flags);
	if (state->events.interrupt_shadow != 0)
		monitor_say(monitor, "in an interrupt shadow\n");
	if (state->events.nmi_blocked != 0)
		monitor_say(monitor, "NMIs are blocked\n");
	return NULL;
}

const char *monitor_command_sregs(struct monitor *monitor, struct monitor_args *args)
{
	static const char names[SEGMENT_COUNT][5] = { "es", "cs", "ss",	  "ds",
						      "fs", "gs", "ldtr", "tr" };
	const char *why;
	const struct regs_sync *state = state_of(monitor, args, &why);

	if (state == NULL)
		return why;
	monitor_say(monitor, "%s\n", mode_name(state));
	for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
		const struct segment *segment = &state->sregs.segments[i];

		monitor_say(monitor, "%-4s %04x base %016lx limit %08x rights %05x%s\n", names[i],
			    segment->selector, (unsigned long)segment->base, segment->limit,
			    segment->rights,
			    (segment->rights & SEGMENT_UNUSABLE) != 0 ? " unusable" : "");
	}
	monitor_say(monitor, "gdtr      base %016lx limit %04x\n",
		    (unsigned long)state->sregs.gdtr.base, state->sregs.gdtr.limit);
	monitor_say(monitor, "idtr      base %016lx limit %04x\n",
		    (unsigned long)state->sregs.idtr.base, state->sregs.idtr.limit);
	say_flags(monitor, "cr0", state->sregs.cr0, cr0_flags);
	monitor_say(monitor, "cr2    %016lx\ncr3    %016lx\n", (unsigned long)state->sregs.cr2,
		    (unsigned long)state->sregs.cr3);
	say_flags(monitor, "cr4", state->sregs.cr4, cr4_flags);
	monitor_say(monitor, "cr8    %lx\n", (unsigned long)state->sregs.cr8);
	say_flags(monitor, "efer", state->sregs.efer, efer_flags);
	for (unsigned i = 0; i < 4; i++)
		monitor_say(monitor, "dr%u %016lx%s", i, (unsigned long)state->debug.dr[i],
			    i == 3 ? "\n" : "  ");
	monitor_say(monitor, "dr6 %08lx  dr7 %08lx\n", (unsigned long)state->debug.dr6,
		    (unsigned long)state->debug.dr7);
	return NULL;
}

const char *monitor_command_msr(struct monitor *monitor, struct monitor_args *args)
{
	uint32_t msr = (uint32_t)monitor_args_number_up_to(args, UINT32_MAX,
							   "the number of an MSR has 32 bits");
	bool write = monitor_args_more(args);
	uint64_t value = write ? monitor_args_number(args) : 0;
	const char *why = monitor_args_end(args);

	if (why != NULL)
		return why;
	if (monitor_state(monitor, monitor->cpu) == NULL)
		return monitor_waits_for_sipi;
	if (!monitor->target->msr(monitor->cpu, msr, write, &value))
		return write ? "#GP: no such MSR, or not that value" : "#GP: there is no such MSR";
	monitor_say(monitor, "msr 0x%x %s 0x%016lx\n", msr, write ? "becomes" : "is",
		    (unsigned long)value);
	return NULL;
}

/* --- inject ---------------------------------------------------------------------------------- */

/* SDM: "Exception and Interrupt Vectors". */
static bool has_error_code(unsigned vector)
{
	return vector < 32 &&
	       (BIT32(vector) &
		(BIT32(VECTOR_DF) | BIT32(VECTOR_TS) | BIT32(VECTOR_NP) | BIT32(VECTOR_SS) |
		 BIT32(VECTOR_GP) | BIT32(VECTOR_PF) | BIT32(VECTOR_AC) | BIT32(VECTOR_CP))) != 0;
}

static bool has_payload(unsigned vector)
{
	return vector == VECTOR_DB || vector == VECTOR_PF;
}

static enum event_type type_of(unsigned vector)
{
	if (vector >= 32)
		return EVENT_EXTERNAL;
	return vector == VECTOR_BP || vector == VECTOR_OF ? EVENT_SOFT_EXCEPTION : EVENT_EXCEPTION;
}

static void read_event(struct monitor_args *args, struct regs_sync_events *event)
{
	unsigned vector = (unsigned)monitor_args_number_up_to(args, 255, "a vector is at most 255");

	event->valid = 1;
	event->vector = (uint8_t)vector;
	event->type = (uint8_t)type_of(vector);
	event->insn_bytes = event->type == EVENT_SOFT_EXCEPTION;
	event->has_error = has_error_code(vector);
	event->has_payload = has_payload(vector);
	event->error_code = 0;
	event->payload = vector == VECTOR_DB ? DR6_BS : 0;
	if (event->has_error && monitor_args_more(args))
		event->error_code = (uint32_t)monitor_args_number_up_to(
			args, UINT16_MAX, "an error code has 16 bits");
	if (event->has_payload && monitor_args_more(args))
		event->payload = monitor_args_number(args);
}

const char *monitor_command_inject(struct monitor *monitor, struct monitor_args *args)
{
	struct regs_sync *state = monitor_state(monitor, monitor->cpu);
	struct regs_sync_events event;
	const char *why;
	bool is_nmi;

	if (state == NULL)
		return monitor_waits_for_sipi;
	event = state->events;
	is_nmi = monitor_args_word(args, "nmi");
	if (is_nmi)
		event.nmi_pending = 1;
	else
		read_event(args, &event);
	why = monitor_args_end(args);
	if (why == NULL && !is_nmi && state->events.valid != 0)
		why = "another event is to be delivered first";
	if (why != NULL)
		return why;
	state->events = event;
	state->dirty |= REGS_SYNC_EVENTS;
	return monitor->target->gdb->store(monitor->cpu);
}
