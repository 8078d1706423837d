/* SPDX-License-Identifier: BSD-2-Clause */
/* The world switch, arch/vmx/entry.asm. */
#ifndef ARCH_VMX_ENTRY_H
#define ARCH_VMX_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* The first two are enum quick_next. */
enum vmx_entry_result {
	VMX_ENTRY_HANDLED = 1, /* an exit, and its handler has run: prepare the next entry */
	VMX_ENTRY_EXITED = 2,  /* an exit, or an entry that failed late: the exit reason tells */
	VMX_ENTRY_FAIL_INVALID = 3, /* no current VMCS */
	VMX_ENTRY_FAIL_VALID = 4,   /* the VM-instruction error field tells */
	VMX_ENTRY_ABORTED = 5,	    /* an NMI came meanwhile: look at the flags again */
};

/*
 * Enter with the general registers at `gpr` (RSP excluded), which is the vCPU's address, and come
 * back with the guest's stored there. HOST_RSP is written when it is not what *host_rsp says. The
 * entry does not happen if *nmi_count differs from `nmi_seen`. After the exit `after` is called; as
 * long as it returns QUICK_AGAIN the guest is entered again, under the same condition.
 */
uint32_t vmx_enter(uint64_t *gpr, bool launched, const uint64_t *nmi_count, uint64_t nmi_seen,
		   uint64_t *host_rsp, uint32_t (*after)(struct vcpu *));

/* Where an exit arrives: HOST_RIP. Not a function. */
void vmx_exit_point(void);

/*
 * From the look at the NMI count to VMLAUNCH or VMRESUME: an NMI handler that interrupted the host
 * in [start, end) returns to `abort` instead, so that the entry does not happen.
 */
extern const char vmx_entry_window_start[], vmx_entry_window_end[], vmx_entry_window_abort[];

#endif
