/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/exception.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "core/cpu.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/startup.h"

#define STUB_BYTES     16u
#define GATE_INTERRUPT UINT64_C(0x8e00)

struct exception_table_entry {
	int32_t from, to; /* relative to their own addresses */
};

extern const uint8_t exception_stubs[];
extern const struct exception_table_entry ex_table_start[], ex_table_end[];

static uint64_t idt[256][2] __attribute__((aligned(16)));
static struct {
	uint64_t start, end, abort;
} nmi_window;

/* SDM: "64-Bit Mode IDT". */
static void set_gate(unsigned vector, unsigned ist)
{
	uint64_t address = (uint64_t)exception_stubs + (uint64_t)vector * STUB_BYTES;

	idt[vector][0] = (address & 0xffff) | (uint64_t)HOST_CS << 16 | (uint64_t)ist << 32 |
			 GATE_INTERRUPT << 32 | field_get(BITS64(31, 16), address) << 48;
	idt[vector][1] = address >> 32;
}

void exception_init(void)
{
	for (unsigned vector = 0; vector < 256; vector++)
		set_gate(vector, 0);
	set_gate(VECTOR_NMI, IST_NMI);
	set_gate(VECTOR_DF, IST_DF);
	set_gate(VECTOR_MC, IST_MC);
}

void exception_load_idt(void)
{
	struct table_register table = { (uint64_t)idt, sizeof(idt) - 1 };

	load_idt(table);
}

void exception_set_nmi_window(uint64_t start, uint64_t end, uint64_t abort)
{
	nmi_window.start = start;
	nmi_window.end = end;
	nmi_window.abort = abort;
}

/* May come at any host instruction on VT-x: counts, and nothing else. */
static void handle_nmi(struct exception_frame *frame)
{
	cpu_self()->nmi_count++;
	if (frame->rip >= nmi_window.start && frame->rip < nmi_window.end)
		frame->rip = nmi_window.abort;
}

static bool fix_up(struct exception_frame *frame)
{
	const struct exception_table_entry *entry;

	for (entry = ex_table_start; entry < ex_table_end; entry++) {
		if (frame->rip == (uint64_t)&entry->from + (uint64_t)(int64_t)entry->from) {
			frame->rip = (uint64_t)&entry->to + (uint64_t)(int64_t)entry->to;
			return true;
		}
	}
	return false;
}

static void dump_frame(const struct exception_frame *f)
{
	log_error("rip %016llx rsp %016llx rflags %08llx cr2 %016llx cr3 %llx",
		  (unsigned long long)f->rip, (unsigned long long)f->rsp,
		  (unsigned long long)f->rflags, (unsigned long long)read_cr2(),
		  (unsigned long long)read_cr3());
	log_error("rax %016llx rcx %016llx rdx %016llx rbx %016llx", (unsigned long long)f->rax,
		  (unsigned long long)f->rcx, (unsigned long long)f->rdx,
		  (unsigned long long)f->rbx);
	log_error("rbp %016llx rsi %016llx rdi %016llx r8  %016llx", (unsigned long long)f->rbp,
		  (unsigned long long)f->rsi, (unsigned long long)f->rdi,
		  (unsigned long long)f->r8);
	log_error("r9  %016llx r10 %016llx r11 %016llx r12 %016llx", (unsigned long long)f->r9,
		  (unsigned long long)f->r10, (unsigned long long)f->r11,
		  (unsigned long long)f->r12);
	log_error("r13 %016llx r14 %016llx r15 %016llx", (unsigned long long)f->r13,
		  (unsigned long long)f->r14, (unsigned long long)f->r15);
}

/* One at a time: a level-triggered line that is still up would send the next one at once, for ever. */
static bool drop_interrupt(struct exception_frame *frame)
{
	struct cpu *cpu = cpu_self();

	if (frame->vector < APIC_FIRST_TAKEN || !cpu->drops_interrupts)
		return false;
	apic_end_interrupt(cpu->vcpu->apic_base, cpu->apic_page, (uint8_t)frame->vector);
	frame->rflags &= ~RFLAGS_IF;
	return true;
}

void exception_handle(struct exception_frame *frame)
{
	if (frame->vector == VECTOR_NMI) {
		handle_nmi(frame);
		return;
	}
	/*
	 * The host never traps: what is left of the guest's single step in Bochs' AMD-V. GS is the guest's here. And in QEMU's, the
	 * guest's breakpoints hold for the host: RF, or it meets one for ever.
	 */
	if (frame->vector == VECTOR_DB && (frame->rflags & RFLAGS_TF) == 0) {
		frame->rflags |= RFLAGS_RF;
		return;
	}
	/* AMD-V with R_INIT: an INIT that came while the host ran. */
	if (frame->vector == VECTOR_SX) {
		startup_send_init(&cpu_self()->vcpu->startup);
		atomic_fetch_or(&cpu_self()->vcpu->kick.reasons, KICK_ACTIVITY);
		return;
	}
	if (frame->vector != VECTOR_MC && fix_up(frame))
		return;
	if (drop_interrupt(frame))
		return;
	log_set_synchronous();
	dump_frame(frame);
	hv_panic("exception %u (error code %llx) in the hypervisor", (unsigned)frame->vector,
		 (unsigned long long)frame->error_code);
}
