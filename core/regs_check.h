/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a whole state is one that a CPU can have and that an entry accepts: a pure function. SDM: "Checks on the Guest
 * State Area", with unrestricted guest; APM volume 2: "Canonicalization and Consistency Checks".
 */
#ifndef CORE_REGS_CHECK_H
#define CORE_REGS_CHECK_H

#include "core/regs_sync.h"

struct regs_check_env {
	const struct x86_limits *limits;
	bool vmx; /* else SVM, which is less strict with segments and has no soft events */
	uint32_t mxcsr_mask;
};

/* All sets but XSAVE, which is looked at only if `with_xsave`. */
enum regs_sync_reason regs_check_state(const struct regs_sync *state, bool with_xsave,
				       const struct regs_check_env *env);

#endif
