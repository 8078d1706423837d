/* SPDX-License-Identifier: BSD-2-Clause */
/* What an exit does after emulate_insn() (vmexit/emulate.h), where the CPU can still do what the emulator does not know. */
#ifndef VMEXIT_EMULATE_EXIT_H
#define VMEXIT_EMULATE_EXIT_H

#include "vmexit/emulate.h"
#include "vmexit/exit.h"
#include "vmexit/step.h"

/* On EMULATE_NATIVE the guest executes the instruction itself, in a step of `kind` with the frame of `gpa` open. */
enum exit_verdict emulate_exit_or_step(struct vcpu *vcpu, enum emulate_result result,
				       enum step_kind kind, gpa_t gpa);

#endif
