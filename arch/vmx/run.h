/* SPDX-License-Identifier: BSD-2-Clause */
/* The run loop: enter, decode, handle, resume. */
#ifndef ARCH_VMX_RUN_H
#define ARCH_VMX_RUN_H

#include "core/vendor.h"

bool vmx_run(struct vcpu *vcpu, struct failure *failure);

#endif
