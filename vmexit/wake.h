/* SPDX-License-Identifier: BSD-2-Clause */
/* After S3, before the OS runs: every CPU back into VMX or SVM, and the guest to its waking vector. */
#ifndef VMEXIT_WAKE_H
#define VMEXIT_WAKE_H

#include "vmexit/exit.h"

/* This CPU comes from the firmware or a SIPI (core/wake.h): vendor_ops.wake of both. */
void wake_cpu(struct cpu *cpu) __attribute__((noreturn));

#endif
