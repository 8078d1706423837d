/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's triple fault: its state to serial, then the machine resets, as it would have without us. */
#ifndef VMEXIT_TRIPLE_FAULT_H
#define VMEXIT_TRIPLE_FAULT_H

#include "vmexit/exit.h"

enum exit_verdict triple_fault_exit(struct vcpu *vcpu);

#endif
