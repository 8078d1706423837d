/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/exit_trace.h"

#include "arch/x86/insn.h"
#include "core/format.h"

/*
 * What `detail` and `value` are:
 *   CPUID                EAX and (upper half) ECX before it; EAX and EBX after it
 *   RDMSR, WRMSR         the index; the value
 *   XSETBV               the index; the value
 *   CR access            how << 16 | register << 8 | the other operand; the value that is written
 *   nested page fault    the guest-physical address; FAULT_ bits
 *   I/O port             IO_ bits | bytes << 16 | port
 *   exception            the vector; the error code
 *   SIPI                 the vector
 *   task switch          the selector
 *   hypercall            RAX
 *   others               as the CPU gives the reason, and the first word of what it says of it
 */
#define FAULT_WRITE BIT32(0)
#define FAULT_FETCH BIT32(1)
#define FAULT_USER  BIT32(2)
#define FAULT_WALK  BIT32(3)
#define FAULT_THERE BIT32(4)

#define IO_IN	    BIT32(24)
#define IO_STRING   BIT32(25)

static uint64_t pair(const struct vcpu *vcpu, enum reg low, enum reg high)
{
	return (uint32_t)regs_fixed_read(&vcpu->regs, low) | regs_fixed_read(&vcpu->regs, high)
								     << 32;
}

static void note_cr_access(struct vcpu *vcpu, const struct exit_info *exit,
			   struct trace_record *record)
{
	record->detail = (uint64_t)exit->cr.kind << 16 | (uint64_t)exit->cr.cr << 8 | exit->cr.gpr;
	if (exit->cr.kind == CR_ACCESS_WRITE)
		record->value = gpr_read(vcpu, exit->cr.gpr);
	else if (exit->cr.kind == CR_ACCESS_LMSW)
		record->value = exit->cr.lmsw_source;
}

static void note_fault(const struct exit_info *exit, struct trace_record *record)
{
	record->detail = exit->fault.gpa.v;
	record->value =
		(exit->fault.write ? FAULT_WRITE : 0) | (exit->fault.fetch ? FAULT_FETCH : 0) |
		(exit->fault.user ? FAULT_USER : 0) | (exit->fault.during_walk ? FAULT_WALK : 0) |
		(exit->fault.present ? FAULT_THERE : 0);
}

static void note(struct vcpu *vcpu, const struct exit_info *exit, struct trace_record *record)
{
	switch (exit->kind) {
	case EXIT_CPUID:
		record->detail = pair(vcpu, REG_RAX, REG_RCX);
		break;
	case EXIT_RDMSR:
		record->detail = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX);
		break;
	case EXIT_WRMSR:
	case EXIT_XSETBV:
		record->detail = (uint32_t)regs_fixed_read(&vcpu->regs, REG_RCX);
		record->value = pair(vcpu, REG_RAX, REG_RDX);
		break;
	case EXIT_CR_ACCESS:
		note_cr_access(vcpu, exit, record);
		break;
	case EXIT_NESTED_PAGE_FAULT:
		note_fault(exit, record);
		break;
	case EXIT_IO:
		record->detail = (exit->io.in ? IO_IN : 0) | (exit->io.string ? IO_STRING : 0) |
				 (uint32_t)exit->io.bytes << 16 | exit->io.port;
		break;
	case EXIT_EXCEPTION:
		record->detail = exit->exception.vector;
		record->value = exit->exception.error_code;
		break;
	case EXIT_SIPI:
		record->detail = exit->sipi.vector;
		break;
	case EXIT_TASK_SWITCH:
		record->detail = exit->task.selector;
		break;
	case EXIT_HYPERCALL:
		record->detail = regs_fixed_read(&vcpu->regs, REG_RAX);
		break;
	default:
		record->detail = exit->raw_reason;
		record->value = exit->raw_info[0];
		break;
	}
}

void exit_trace_begin(struct vcpu *vcpu, const struct exit_info *exit)
{
	uint64_t now = rdtsc();
	struct trace_record *record = trace_add(vcpu->index);

	record->tsc = now;
	record->kind = (uint8_t)exit->kind;
	record->rip = rip_read(vcpu);
	note(vcpu, exit, record);
}

void exit_trace_end(struct vcpu *vcpu)
{
	struct trace_record *record = trace_last(vcpu->index);

	/* It may have been switched on, or its rings emptied, in the middle of this exit. */
	if (record == NULL || record->cycles != 0)
		return;
	if (record->kind == EXIT_RDMSR)
		record->value = pair(vcpu, REG_RAX, REG_RDX);
	else if (record->kind == EXIT_CPUID)
		record->value = pair(vcpu, REG_RAX, REG_RBX);
	trace_finish(vcpu->index, rdtsc());
}

/* --- in words -------------------------------------------------------------------------------- */

static void describe_cr(const struct trace_record *record, char *text, size_t bytes)
{
	unsigned cr = record->detail >> 8 & 0xff;

	switch ((enum cr_access_kind)(record->detail >> 16)) {
	case CR_ACCESS_WRITE:
		format_string(text, bytes, "cr%u = %lx", cr, (unsigned long)record->value);
		break;
	case CR_ACCESS_READ:
		format_string(text, bytes, "cr%u read", cr);
		break;
	case CR_ACCESS_CLTS:
		format_string(text, bytes, "clts");
		break;
	case CR_ACCESS_LMSW:
		format_string(text, bytes, "lmsw %lx", (unsigned long)record->value);
		break;
	}
}

static void describe_fault(const struct trace_record *record, char *text, size_t bytes)
{
	const char *what = (record->value & FAULT_FETCH) != 0	? "fetch"
			   : (record->value & FAULT_WRITE) != 0 ? "write"
								: "read";

	format_string(text, bytes, "gpa=%lx %s%s%s%s", (unsigned long)record->detail, what,
		      (record->value & FAULT_USER) != 0 ? " user" : "",
		      (record->value & FAULT_WALK) != 0 ? " walk" : "",
		      (record->value & FAULT_THERE) != 0 ? " refused" : " absent");
}

static void describe_io(const struct trace_record *record, char *text, size_t bytes)
{
	format_string(text, bytes, "%s port=%x bytes=%u%s",
		      (record->detail & IO_IN) != 0 ? "in" : "out",
		      (unsigned)(record->detail & 0xffff), (unsigned)(record->detail >> 16 & 0xff),
		      (record->detail & IO_STRING) != 0 ? " string" : "");
}

void exit_trace_describe(const struct trace_record *record, char *text, size_t bytes)
{
	unsigned long detail = record->detail, value = record->value;

	switch ((enum exit_kind)record->kind) {
	case EXIT_CPUID:
		format_string(text, bytes, "leaf=%lx.%lx eax=%lx ebx=%lx", detail & UINT32_MAX,
			      detail >> 32, value & UINT32_MAX, value >> 32);
		break;
	case EXIT_RDMSR:
	case EXIT_WRMSR:
		format_string(text, bytes, "msr=%lx value=%lx", detail, value);
		break;
	case EXIT_XSETBV:
		format_string(text, bytes, "xcr%lu = %lx", detail, value);
		break;
	case EXIT_CR_ACCESS:
		describe_cr(record, text, bytes);
		break;
	case EXIT_NESTED_PAGE_FAULT:
		describe_fault(record, text, bytes);
		break;
	case EXIT_IO:
		describe_io(record, text, bytes);
		break;
	case EXIT_EXCEPTION:
		format_string(text, bytes, "vector=%lu error=%lx", detail, value);
		break;
	case EXIT_SIPI:
		format_string(text, bytes, "vector=%lx", detail);
		break;
	case EXIT_TASK_SWITCH:
		format_string(text, bytes, "selector=%lx", detail);
		break;
	case EXIT_HYPERCALL:
		format_string(text, bytes, "rax=%lx", detail);
		break;
	default:
		format_string(text, bytes, "reason=%lx info=%lx", detail, value);
		break;
	}
}
