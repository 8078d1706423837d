/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/emulate_exit.h"

enum exit_verdict emulate_exit_or_step(struct vcpu *vcpu, enum emulate_result result,
				       enum step_kind kind, gpa_t gpa)
{
	switch (result) {
	case EMULATE_DONE:
		return VERDICT_NEXT_INSN;
	case EMULATE_RESUME:
		return VERDICT_RESUME;
	case EMULATE_NATIVE:
		break;
	}
	step_begin(vcpu, kind, gpa);
	return VERDICT_RESUME;
}
