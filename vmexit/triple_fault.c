/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/triple_fault.h"

#include "core/log.h"
#include "core/panic.h"
#include "vmexit/reset.h"

enum exit_verdict triple_fault_exit(struct vcpu *vcpu)
{
	log_set_synchronous();
	log_error("cpu %u: triple fault in the guest, the machine resets", vcpu->index);
	hv_dump_guest(vcpu);
	reset_machine(vcpu);
}
