/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hypercall by which a test in the guest has its own CPU's state moved to a user and back (core/regs_sync.h), in order to
 * find it as it was, changed where that was asked for, or untouched by what was refused (tests/guests/insns.c).
 */
#ifndef VMEXIT_SYNC_CALL_H
#define VMEXIT_SYNC_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* RAX on input; CPL 0, else #UD. RCX is an enum sync_call_deed; on output RAX is an enum regs_sync_reason. */
#define HYPERCALL_TEST_SYNC UINT64_C(0x534f4c4f56545359) /* "SOLOVTSY" */

enum sync_call_deed {
	SYNC_CALL_SAME,	     /* all sets, unchanged */
	SYNC_CALL_CHANGE,    /* R11, DR2 and the low half of XMM5 become SYNC_CALL_VALUE */
	SYNC_CALL_BAD_RIP,   /* and R11 changed as well */
	SYNC_CALL_BAD_CR4,   /* the same */
	SYNC_CALL_BAD_XSAVE, /* the same */
	SYNC_CALL_DEED_COUNT,
};

#define SYNC_CALL_VALUE UINT64_C(0x0000123456789abc)

/* False: #UD. */
bool sync_call(struct vcpu *vcpu, uint64_t *result);

#endif
