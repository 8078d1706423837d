/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hypercall by which a test in the guest has the instructions on one frame of its own RAM emulated, in order to compare them
 * with the CPU's (tests/guests/emulate.c). All it can do is to make accesses to that frame slow.
 */
#ifndef VMEXIT_EMULATE_CALL_H
#define VMEXIT_EMULATE_CALL_H

#include "vmexit/exit.h"

/*
 * RAX on input; CPL 0, else #UD. RCX is the guest-physical address of a page of RAM, RDX 1 to have accesses to it emulated from
 * now on, or 0 for no longer; executing from it, or page tables in it, also end that. There is one such frame at a time. On
 * output RAX is an enum emulate_call_status. With RDX 2 RAX becomes how many times an instruction, or some iterations of one,
 * have been emulated.
 */
#define HYPERCALL_TEST_EMULATE UINT64_C(0x534f4c4f56454d55) /* "SOLOVEMU" */

enum emulate_call_status {
	EMULATE_CALL_DONE = 0,
	EMULATE_CALL_REFUSED = 1, /* no RAM, another frame is, or no page to split the map */
};

/* False: #UD. */
bool emulate_call(struct vcpu *vcpu, uint64_t *result);

/* Whether a nested page fault at `gpa` is on that frame, and then what becomes of it. */
bool emulate_call_is_page(gpa_t gpa);
enum exit_verdict emulate_call_exit(struct vcpu *vcpu, const struct exit_info *exit);

#endif
