/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/quick.h"

enum quick_next quick_finish(struct vcpu *vcpu)
{
	atomic_store(&vcpu->in_guest, 1);
	if (UNLIKELY(atomic_load(&vcpu->kick.reasons) != 0 || vcpu->regs.dirty != 0))
		return QUICK_PREPARE;
	flush_model_entered(&vcpu->vm->tdp.model, vcpu->index);
	return QUICK_AGAIN;
}
