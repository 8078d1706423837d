/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hypercall by which a test in the guest finds out whether the hypervisor's own memory is what it was, whatever the guest has
 * done in between (tests/guests/robust.c).
 */
#ifndef VMEXIT_CHECK_CALL_H
#define VMEXIT_CHECK_CALL_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* RAX on input; CPL 0, else #UD. RCX is an enum check_call_what; on output RAX is the number. */
#define HYPERCALL_TEST_CHECK UINT64_C(0x534f4c4f5643484b) /* "SOLOVCHK" */

enum check_call_what {
	CHECK_CALL_IMAGE, /* check sum of code and constants */
	CHECK_CALL_HOST, /* check sum of the hypervisor's page tables, without accessed and dirty bits */
	/* How many pages of the guest's map lead into the hypervisor's memory, but for reading all ones. */
	CHECK_CALL_LEAKS,
};

/* False: #UD. */
bool check_call(struct vcpu *vcpu, uint64_t *result);

#endif
