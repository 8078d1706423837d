/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/panic.h"

#include "arch/x86/insn.h"
#include "core/format.h"
#include "core/kick.h"
#include "core/log.h"
#include "core/vcpu.h"
#include "core/vendor.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"

#define BACKTRACE_MAX 16u

typedef unsigned long long ull;

extern const uint8_t core_text_start[], core_text_end[];

static _Atomic(uint32_t) stopping;
static bool guest_runs;

void panic_guest_runs(void)
{
	guest_runs = true;
}

void hv_stop_cpu(void)
{
	for (;;) {
		interrupts_disable();
		cpu_halt();
	}
}

static void stop_others(void)
{
	if (atomic_exchange(&stopping, 1) != 0)
		hv_stop_cpu(); /* somebody else was first and tells the story */
	if (guest_runs)
		kick_others(cpu_self()->vcpu, KICK_STOP);
}

/* No frame pointers are kept: every word on the stack that points into the code may be a return address. */
static void print_host_backtrace(void)
{
	const uint64_t *word = __builtin_frame_address(0);
	unsigned printed = 0;

	for (; ((uint64_t)word & (PAGE_BYTES - 1)) != 0 && printed < BACKTRACE_MAX; word++) {
		if (*word >= (uint64_t)core_text_start && *word < (uint64_t)core_text_end) {
			log_error("  host %016llx", (ull)*word);
			printed++;
		}
	}
}

void hv_panic(const char *format, ...)
{
	char line[200];
	struct format_arguments arguments;

	log_set_synchronous();
	va_start(arguments.list, format);
	format_string_v(line, sizeof(line), format, &arguments);
	va_end(arguments.list);
	log_error("PANIC: %s", line);
	stop_others();
	print_host_backtrace();
	log_error("all CPUs stopped");
	hv_stop_cpu();
}

void mm_panic(const char *what)
{
	hv_panic("%s", what);
}

static void dump_segment(struct vcpu *vcpu, enum segment_index index, const char *name)
{
	const struct segment *s = segment_read(vcpu, index);

	log_error("%s %04x base %016llx limit %08x rights %05x", name, s->selector, (ull)s->base,
		  s->limit, s->rights);
}

static bool read_linear(struct vcpu *vcpu, uint64_t address, uint64_t *value)
{
	struct paging_role role = { .cr0 = cr0_read(vcpu),
				    .cr3 = cr3_read(vcpu),
				    .cr4 = cr4_read(vcpu),
				    .efer = efer_read(vcpu),
				    .maxphyaddr = hv_caps.maxphyaddr,
				    .huge_pages = true };
	struct gva_result result;

	if (!gva_walk(&role, &guest_copy_reader, (gva_t){ address }, ACCESS_PEEK, &result))
		return false;
	return guest_copy_in(value, result.gpa, sizeof(*value));
}

/* By frame pointers, where the guest keeps them. */
static void dump_guest_backtrace(struct vcpu *vcpu)
{
	uint64_t frame = gpr_read_raw(vcpu, REG_RBP), next, address;

	if (!mode_is_64bit(vcpu))
		return;
	for (unsigned i = 0; i < BACKTRACE_MAX; i++) {
		if ((frame & 7) != 0 || !read_linear(vcpu, frame, &next) ||
		    !read_linear(vcpu, frame + 8, &address))
			return;
		log_error("  guest %016llx", (ull)address);
		if (next <= frame)
			return;
		frame = next;
	}
}

void hv_dump_guest(struct vcpu *vcpu)
{
	static const char *const segment_name[SEGMENT_COUNT] = { "es  ", "cs  ", "ss  ", "ds  ",
								 "fs  ", "gs  ", "ldtr", "tr  " };
	static const char *const gpr_name[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						  "rsi", "rdi", "r8 ", "r9 ", "r10", "r11",
						  "r12", "r13", "r14", "r15" };

	log_error("cpu %u guest state: rip %016llx rflags %08llx", vcpu->index, (ull)rip_read(vcpu),
		  (ull)rflags_read(vcpu));
	for (unsigned i = 0; i < 16; i += 4)
		log_error("%s %016llx %s %016llx %s %016llx %s %016llx", gpr_name[i],
			  (ull)gpr_read_raw(vcpu, i), gpr_name[i + 1],
			  (ull)gpr_read_raw(vcpu, i + 1), gpr_name[i + 2],
			  (ull)gpr_read_raw(vcpu, i + 2), gpr_name[i + 3],
			  (ull)gpr_read_raw(vcpu, i + 3));
	log_error("cr0 %llx cr2 %llx cr3 %llx cr4 %llx efer %llx dr7 %llx", (ull)cr0_read(vcpu),
		  (ull)cr2_read(vcpu), (ull)cr3_read(vcpu), (ull)cr4_read(vcpu),
		  (ull)efer_read(vcpu), (ull)dr7_read(vcpu));
	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		dump_segment(vcpu, (enum segment_index)i, segment_name[i]);
	log_error("gdtr %016llx %04x idtr %016llx %04x shadow %u", (ull)gdtr_read(vcpu).base,
		  gdtr_read(vcpu).limit, (ull)idtr_read(vcpu).base, idtr_read(vcpu).limit,
		  interrupt_shadow_read(vcpu));
	dump_guest_backtrace(vcpu);
}

void hv_dump_and_stop(struct vcpu *vcpu, const char *why, uint64_t reason, const uint64_t info[2])
{
	log_set_synchronous();
	log_error("PANIC: cpu %u: %s: reason %llx info %llx %llx", vcpu->index, why, (ull)reason,
		  (ull)info[0], (ull)info[1]);
	stop_others();
	hv_dump_guest(vcpu);
	vendor->dump(vcpu);
	print_host_backtrace();
	log_error("all CPUs stopped");
	hv_stop_cpu();
}
