/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU whose VMCB is real memory, with what arch/svm's events and steps call. VMRUN is what each test says that the guest
 * does. For one program's main file.
 */
#ifndef TESTS_UNIT_FAKE_VMRUN_H
#define TESTS_UNIT_FAKE_VMRUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "arch/svm/svm.h"
#include "arch/x86/insn.h"
#include "arch/x86/msr.h"
#include "core/kick.h"
#include "core/panic.h"
#include "core/vendor.h"
#include "mm/guest_copy.h"
#include "mm/layout.h"
#include "tests/unit/fake_loan.h"
#include "vmexit/guest_memory.h"
#include "vmexit/guest_physical.h"
#include "vmexit/step.h"

struct hv_caps hv_caps;
static struct vmcb vmcb;
static struct svm_vcpu svm;
static struct vcpu vcpu;
static struct vm vm;
static unsigned kicks;
static uint8_t opcode; /* of the guest's next instruction */
static enum insn_map map;
static uint64_t debugctl;

static const struct vendor_ops fake_ops = { .name = "fake", .regs_fetch = svm_regs_fetch };
const struct vendor_ops *vendor = &fake_ops;

static uint64_t cr8;

uint64_t read_cr8(void)
{
	return cr8;
}

void write_cr8(uint64_t value)
{
	cr8 = value;
}

bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	*value = debugctl;
	return msr == MSR_DEBUGCTL;
}

bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	debugctl = value;
	return msr == MSR_DEBUGCTL;
}

void hv_panic(const char *format, ...)
{
	fail_msg("panic: %s", format);
	__builtin_unreachable();
}

/* The guest's memory: one byte of its stack. */
static uint8_t pushed;

bool guest_copy_in(void *to, gpa_t from, uint64_t bytes)
{
	(void)from;
	memcpy(to, &pushed, bytes);
	return bytes == sizeof(pushed);
}

/* It takes the map's lock, whose holder may be waiting until this CPU is out of the guest. */
bool guest_physical_write(struct vcpu *v, gpa_t to, const void *from, unsigned bytes)
{
	(void)to;
	assert_int_equal(atomic_load(&v->in_guest), 0);
	memcpy(&pushed, from, bytes);
	return bytes == sizeof(pushed);
}

/* The first page of its linear memory. */
static uint8_t low_memory[0x1000];

bool guest_read(struct vcpu *v, gva_t gva, void *to, unsigned bytes, unsigned access,
		struct guest_fault *fault)
{
	(void)v;
	(void)access;
	(void)fault;
	if (gva.v + bytes > sizeof(low_memory))
		return false;
	memcpy(to, low_memory + gva.v, bytes);
	return true;
}

bool guest_write(struct vcpu *v, gva_t gva, const void *from, unsigned bytes, unsigned access,
		 struct guest_fault *fault)
{
	(void)access;
	(void)fault;
	assert_int_equal(atomic_load(&v->in_guest), 0);
	if (gva.v + bytes > sizeof(low_memory))
		return false;
	memcpy(low_memory + gva.v, from, bytes);
	return true;
}

bool guest_write_probe(struct vcpu *v, gva_t gva, unsigned bytes, unsigned access,
		       struct guest_fault *fault)
{
	(void)v;
	(void)access;
	(void)fault;
	return gva.v + bytes <= sizeof(low_memory);
}

void mm_panic(const char *what)
{
	fail_msg("mm_panic: %s", what);
	__builtin_unreachable();
}

bool guest_translate(struct vcpu *v, gva_t gva, unsigned bytes, unsigned access,
		     struct guest_span *span, struct guest_fault *fault)
{
	(void)v;
	(void)bytes;
	(void)access;
	(void)fault;
	span->gpa[0] = (gpa_t){ gva.v };
	return gva.v == 0x1ff1;
}

gva_t guest_linear_rip(struct vcpu *v)
{
	return (gva_t){ rip_read(v) };
}

bool guest_fetch_insn(struct vcpu *v, struct insn *out)
{
	(void)v;
	*out = (struct insn){ .bytes = map == INSN_MAP_PRIMARY && opcode != 0xcd ? 1 : 2,
			      .map = map,
			      .opcode = opcode,
			      .immediate = 0x80,
			      .reg = 6,
			      .rm = REG_RBX,
			      .code_bytes = mode_is_64bit(v) ? 8 : 4 };
	return true;
}

void kick_send(struct vcpu *target, uint32_t reason)
{
	(void)target;
	kicks += reason == KICK_RECHECK;
}

void svm_set_intercepts(struct vcpu *v)
{
	(void)v;
	vmcb.intercept[0] = svm.nmi_blocked && !svm.step ? INTERCEPT_IRET : 0;
}

/* vmexit/step.c without frames. */
void step_begin(struct vcpu *v, enum step_kind kind, gpa_t gpa)
{
	(void)gpa;
	v->step_kind = (uint8_t)kind;
	svm_set_single_step(v, true);
}

static unsigned given_up_in_guest;

static void step_end(void)
{
	if (vcpu.step_kind == STEP_IRET)
		nmi_blocked_write(&vcpu, false);
	svm_set_single_step(&vcpu, false);
	vcpu.step_kind = STEP_NONE;
}

void step_cancel(struct vcpu *v)
{
	bool blocked = v->step_kind == STEP_IRET;

	given_up_in_guest += v->in_guest != 0;
	step_end();
	if (blocked)
		nmi_blocked_write(v, true);
}

static int clear(void **state)
{
	(void)state;
	memset(&vmcb, 0, sizeof(vmcb));
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.vm = &vm;
	vcpu.in_guest = 1;
	given_up_in_guest = 0;
	svm = (struct svm_vcpu){ .vmcb = &vmcb };
	vcpu.backend = &svm;
	vcpu.regs.cr0_guest_owned = vcpu.regs.cr4_guest_owned = UINT64_MAX;
	vcpu.regs.available = ~REGS_LAZY;
	vmcb.cr0 = CR0_PE;
	vmcb.rflags = RFLAGS_FIXED;
	vmcb.dr6 = DR6_INIT;
	vmcb.dr7 = DR7_INIT;
	kicks = 0;
	opcode = 0x89;
	map = INSN_MAP_PRIMARY;
	debugctl = 0;
	vmcb.rip = 0x1000;
	return 0;
}

/* As arch/svm/run.c up to VMRUN; what it would have loaded is in the VMCB. */
static void enter(void)
{
	vmcb.event_injection = 0;
	if (vcpu.events.pending.valid || vcpu.events.nmi_pending)
		svm_events_inject(&vcpu);
	if ((vcpu.regs.dirty & REGS_LAZY) != 0)
		svm_regs_store(&vcpu);
	vcpu.regs.dirty = 0;
}

static void leave(void)
{
	regs_forget_lazy(&vcpu.regs);
	vmcb.event_injection = 0;
	if ((vmcb.exit_int_info & EVENT_VALID) != 0)
		svm_events_requeue(&vcpu);
}

static inline uint64_t info(unsigned vector, unsigned type, bool error)
{
	return vector | type << 8 | (error ? EVENT_ERROR_VALID : 0) | EVENT_VALID |
	       UINT64_C(0x18) << 32;
}

#endif
