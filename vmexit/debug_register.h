/* SPDX-License-Identifier: BSD-2-Clause */
/* MOV to and from the debug registers: trapped only while the guest lends them (core/debug_loan.h). */
#ifndef VMEXIT_DEBUG_REGISTER_H
#define VMEXIT_DEBUG_REGISTER_H

#include "vmexit/exit.h"

enum exit_verdict dr_access_exit(struct vcpu *vcpu, const struct exit_info *exit);

#endif
