/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The quick way through an exit, for the kinds that operating systems cause most and that need nothing decoded: from the
 * control structure straight to the handler and back into the guest, without struct exit_info, and without leaving the
 * loop in the back end's entry stub. Everything unusual (an event whose delivery was interrupted, a single step,
 * somebody who watches, another mode) takes the general way, vmexit_handle(), before anything was done.
 */
#ifndef VMEXIT_QUICK_H
#define VMEXIT_QUICK_H

#include "core/exit_watch.h"
#include "vmexit/cpuid.h"
#include "vmexit/hypercall.h"
#include "vmexit/msr.h"
#include "vmexit/nmi.h"
#include "vmexit/simple.h"

/* What the entry stub does next; the stubs know the numbers. */
enum quick_next {
	QUICK_AGAIN = 0,   /* enter the guest again as it is */
	QUICK_PREPARE = 1, /* the exit is dealt with; something is to be done before the entry */
	QUICK_GENERAL = 2, /* the exit is for vmexit_handle() */
};

/*
 * Call the handler of a kind that takes the quick way. The handler neither reads nor moves RIP, RFLAGS or the interrupt
 * shadow in the register cache; the caller has them.
 */
static inline enum exit_verdict quick_handle(struct vcpu *vcpu, enum exit_kind kind)
{
	nmi_after_exit(vcpu);
	vcpu->exit_counts[kind]++;
	switch (kind) {
	case EXIT_CPUID:
		return cpuid_exit(vcpu);
	case EXIT_RDMSR:
		return msr_read_exit(vcpu);
	case EXIT_WRMSR:
		return msr_write_exit(vcpu);
	case EXIT_XSETBV:
		return xsetbv_cpl0_exit(vcpu);
	case EXIT_HYPERCALL:
		return hypercall_presence_exit(vcpu);
	default:
		return VERDICT_FATAL;
	}
}

/*
 * The instruction is done and RIP moved. In the order of nmi_before_entry(): first says that the guest runs, then looks.
 * NMIs that came meanwhile are the back end's to notice, as they are on the general way.
 */
enum quick_next quick_finish(struct vcpu *vcpu);

#endif
