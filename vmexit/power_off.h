/* SPDX-License-Identifier: BSD-2-Clause */
/* Switch the machine off as an OS would. */
#ifndef VMEXIT_POWER_OFF_H
#define VMEXIT_POWER_OFF_H

#include "core/vcpu.h"

/* Returns only where the machine does not say how, or stays on all the same: false in the first case. */
bool power_off(const struct vm *vm);

#endif
