/* SPDX-License-Identifier: BSD-2-Clause */
/* core/monitor_target.h on the machine. */
#ifndef VMEXIT_MONITOR_MACHINE_H
#define VMEXIT_MONITOR_MACHINE_H

#include "core/monitor_target.h"
#include "core/vcpu.h"

extern const struct monitor_target monitor_machine;

/* A stop begins, and this CPU leads it: all of the table is called on it from now on. */
void monitor_machine_lead(struct vcpu *leader);

#endif
