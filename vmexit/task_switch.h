/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hardware task switch, done in software: VT-x and AMD-V both leave it to the hypervisor. By JMP,
 * CALL, IRET or a task gate, between 16- and 32-bit task state segments, into protected and
 * virtual-8086 mode. There are none in IA-32e mode.
 */
#ifndef VMEXIT_TASK_SWITCH_H
#define VMEXIT_TASK_SWITCH_H

#include "vmexit/exit.h"

/*
 * The CPU has checked the privilege levels and the task gate before the exit (SDM: "Treatment of
 * Task Switches"). An event that came through the gate waits in vcpu->events for its delivery: the
 * switch is that delivery.
 */
enum exit_verdict task_switch_exit(struct vcpu *vcpu, const struct exit_info *exit);

#endif
