/* SPDX-License-Identifier: BSD-2-Clause */
/* The world switch, arch/vmx/entry.asm. */
#ifndef ARCH_VMX_ENTRY_H
#define ARCH_VMX_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

enum vmx_entry_result {
	VMX_ENTRY_EXITED = 0, /* an exit, or an entry that failed late: the exit reason tells */
	VMX_ENTRY_FAIL_INVALID = 1, /* no current VMCS */
	VMX_ENTRY_FAIL_VALID = 2,   /* the VM-instruction error field tells */
	VMX_ENTRY_ABORTED = 3,	    /* an NMI came meanwhile: look at the flags again */
};

/*
 * Enter with the general registers at `gpr` (RSP excluded) and come back with the guest's stored
 * there. HOST_RSP is written when it is not what *host_rsp says. The entry does not happen if
 * *nmi_count differs from `nmi_seen`.
 */
uint32_t vmx_enter(uint64_t *gpr, bool launched, const uint64_t *nmi_count, uint64_t nmi_seen,
		   uint64_t *host_rsp);

/* Where an exit arrives: HOST_RIP. Not a function. */
void vmx_exit_point(void);

/*
 * From the look at the NMI count to VMLAUNCH or VMRESUME: an NMI handler that interrupted the host
 * in [start, end) returns to `abort` instead, so that the entry does not happen.
 */
extern const char vmx_entry_window_start[], vmx_entry_window_end[], vmx_entry_window_abort[];

#endif
