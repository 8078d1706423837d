/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/hypercall.h"

enum exit_verdict hypercall_exit(struct vcpu *vcpu)
{
	if (cpl_read(vcpu) != 0 || gpr_read_raw(vcpu, REG_RAX) != HYPERCALL_PRESENCE) {
		events_raise_ud(vcpu);
		return VERDICT_RESUME;
	}
	gpr_write_raw(vcpu, REG_RAX, HYPERCALL_VERSION);
	return VERDICT_NEXT_INSN;
}
