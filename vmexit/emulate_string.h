/* SPDX-License-Identifier: BSD-2-Clause */
/* String instructions, one iteration after the other. */
#ifndef VMEXIT_EMULATE_STRING_H
#define VMEXIT_EMULATE_STRING_H

#include "vmexit/emulate_operand.h"

/* em->form is one of EMULATE_STRING. */
MUST_CHECK enum emulate_result emulate_string_insn(struct emulation *em);

#endif
