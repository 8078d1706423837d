/* SPDX-License-Identifier: BSD-2-Clause */
/* The way into S3 (core/sleep.h), and back if the machine does not go. */
#ifndef VMEXIT_SUSPEND_H
#define VMEXIT_SUSPEND_H

#include "vmexit/exit.h"

/*
 * The guest's write of `bytes` bytes to `port`, which puts the machine to sleep: do it once all CPUs have left VMX or SVM.
 * Returns if the machine is still awake then (or if another CPU has tried at the same time), with everything as before.
 */
void suspend(struct vcpu *vcpu, uint16_t port, unsigned bytes, uint32_t value);

/* KICK_SLEEP: leave VMX or SVM, and come back only if the machine does not fall asleep. */
void suspend_take_part(struct vcpu *vcpu);

#endif
