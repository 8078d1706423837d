/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to control registers that the back end traps. */
#ifndef VMEXIT_CR_H
#define VMEXIT_CR_H

#include "vmexit/exit.h"

enum exit_verdict cr_access_exit(struct vcpu *vcpu, const struct exit_info *exit);

#endif
